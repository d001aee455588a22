/*
 * train.c - from a request to a plan: algorithm and parameters found, columns of
 * the source resolved, types judged, before any row is read.
 *
 * Everything belongs to the training's memory context, which is a child of the
 * caller's and goes with it on error.
 */
#include "train/train.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/progress.h"
#include "core/registry.h"

/* ---- algorithm and task ---- */

void
ml_training_params(MlTraining *t, Jsonb *given)
{
	t->params = palloc0(Max(t->algorithm->params_size, 1));
	ml_params_parse(given, t->algorithm->name, ml_core_params, &t->core,
					t->algorithm->params, t->params);
	ml_core_params_settle(&t->core, t->algorithm);
	t->params_json = ml_params_to_jsonb(ml_core_params, &t->core, t->algorithm->params, t->params);
	if (t->core.keep_state && !ml_algorithm_additive(t->algorithm))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("algorithm \"%s\" has no state that could be kept", t->algorithm->name),
				 errhint("Leave \"keep_state\" out, or use linear, ridge, lasso or elastic_net.")));
	if (t->core.keep_state && t->core.refit == ML_REFIT_NEVER)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameters \"keep_state\" and \"refit\": \"never\" do not go together"),
				 errdetail("A state is that of all rows, the holdout's included.")));
	if (t->task != 0 && t->algorithm->check)
		t->algorithm->check(t->params, t->task);
}

static uint32
parse_task(const char *task)
{
	uint32		found;

	if (task == NULL)
		return 0;
	found = ml_task_find(task);
	if (found == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("task \"%s\" does not exist", task),
				 errhint("Valid tasks are \"regression\", \"classification\" and \"anomaly\".")));
	return found;
}

/* The task that the target's type decides; 0 for integers, whose values must be seen. */
static uint32
task_of_type(Oid type)
{
	switch (ml_kind_of_type(type))
	{
		case ML_BOOLEAN:
		case ML_CATEGORY:
			return ML_CLASSIFICATION;
		case ML_NUMBER:
			type = getBaseType(type);
			return type == INT2OID || type == INT4OID || type == INT8OID ? 0 : ML_REGRESSION;
		default:
			return ML_REGRESSION;
	}
}

/* Called with the task known. */
void
ml_settle_algorithm(MlTraining *t)
{
	if (t->algorithm == NULL)
		ml_choose_first(t, t->compares);
	if ((t->algorithm->tasks & t->task) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("algorithm \"%s\" does not do %s", t->algorithm->name, ml_task_name(t->task)),
				 t->request.target == NULL ? 0 :
				 errdetail("The target \"%s\" makes this a %s task.", t->request.target, ml_task_name(t->task)),
				 errhint("Name another algorithm, or the task.")));
	if (t->core.class_weight != ML_CLASS_WEIGHT_NONE && t->task != ML_CLASSIFICATION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 t->task == ML_REGRESSION
				 ? errmsg("parameter \"class_weight\" needs classes, but this is a regression")
				 : errmsg("parameter \"class_weight\" needs classes, but there is no target")));
	if (t->core.categories == ML_TARGET && t->task == ML_ANOMALY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value \"target\" of parameter \"categories\" needs a target")));
	if (t->algorithm->check)
		t->algorithm->check(t->params, t->task);
}

/* ---- columns ---- */

/* A column that a parameter of the algorithm names, such as glm's offset. */
static const char *
role_column(const MlTraining *t, const char *param)
{
	const MlParam *p = t->algorithm ? ml_param_find(t->algorithm->params, param) : NULL;

	return p ? *(char *const *) ((const char *) t->params + p->offset) : NULL;
}

static void
target_role(const MlTraining *t, const char *role)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the target \"%s\" cannot be %s", t->request.target, role),
			 errhint("Name another column.")));
}

static int
number_column(const MlTraining *t, const char *name, const char *role, bool must_be_number)
{
	int			column;
	MlKind		kind;

	if (name == NULL)
		return -1;
	column = ml_source_column(t->source, name);
	if (column == t->target_column)
		target_role(t, role);
	kind = ml_kind_of_type(t->source->columns[column].type);
	if (kind == 0 || kind == ML_CATEGORY || kind == ML_ARRAY || (must_be_number && kind != ML_NUMBER))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s cannot be %s", name,
						format_type_be(t->source->columns[column].type), role),
				 errhint("Cast it to a number in the source.")));
	return column;
}

bool
ml_name_in(const char *name, char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void
add_feature(MlTraining *t, int column, bool named)
{
	MlSourceColumn *from = &t->source->columns[column];
	MlKind		kind = ml_kind_of_type(from->type);
	MlColumn   *col;
	int			n = t->schema->ncolumns;

	if (kind == 0)
	{
		if (named)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of type %s cannot be a feature", from->name,
							format_type_be(from->type)),
					 errhint("Cast it in the source to a number, text, boolean, date or timestamp.")));
		ml_warn("column \"%s\" was left out: type %s cannot be a feature", from->name,
				format_type_be(from->type));
		return;
	}
	for (int i = 0; i < n; i++)
		if (strcmp(t->schema->columns[i].name, from->name) == 0)
			ereport(ERROR,
					(errcode(named ? ERRCODE_DUPLICATE_COLUMN : ERRCODE_AMBIGUOUS_COLUMN),
					 errmsg("column \"%s\" appears twice in the %s", from->name,
							named ? "features" : "source")));
	col = &t->schema->columns[n];
	col->name = from->name;
	col->type = format_type_be(from->type);
	col->kind = kind;
	col->cells = 1;
	t->feature_column[n] = column;
	t->named[n] = named;
	t->schema->ncolumns++;
}

static void
resolve_features(MlTraining *t)
{
	MlSource   *source = t->source;

	t->schema = palloc0(sizeof(MlSchema));
	t->schema->columns = palloc0(source->ncolumns * sizeof(MlColumn));
	t->feature_column = palloc0(source->ncolumns * sizeof(int));
	t->named = palloc0(source->ncolumns * sizeof(bool));
	for (int i = 0; i < t->request.nexclude; i++)
		(void) ml_source_column(source, t->request.exclude[i]);
	if (t->algorithm && (t->algorithm->flags & ML_NO_FEATURES))
		return;
	if (t->start)
	{
		ml_resume_features(t);
		return;
	}
	if (t->request.nfeatures >= 0)
	{
		for (int i = 0; i < t->request.nfeatures; i++)
		{
			int			column = ml_source_column(source, t->request.features[i]);

			if (column == t->target_column)
				target_role(t, "a feature");
			if (column == t->group_column)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("column \"%s\", the group, cannot be a feature", source->columns[column].name)));
			if (column != t->offset_column &&
				!ml_name_in(source->columns[column].name, t->request.exclude, t->request.nexclude))
				add_feature(t, column, true);
		}
	}
	else
		for (int i = 0; i < source->ncolumns; i++)
			if (i != t->target_column && i != t->weight_column && i != t->offset_column &&
				i != t->split_column && i != t->order_column && i != t->group_column &&
				!ml_name_in(source->columns[i].name, t->request.exclude, t->request.nexclude))
				add_feature(t, i, false);
	/* Predictions need the offset as training does. */
	if (t->offset_column >= 0)
		add_feature(t, t->offset_column, true);
}

/* The column of parameter "group"; its rows also stay together when the rows are split, unless said otherwise. */
static void
resolve_group(MlTraining *t)
{
	const char *name = role_column(t, "group");

	t->group_column = -1;
	if (name == NULL)
		return;
	t->group_column = ml_source_column(t->source, name);
	if (t->group_column == t->target_column)
		target_role(t, "a group");
	if (t->request.split_by == NULL && t->request.order_by == NULL)
		t->request.split_by = name;
}

/* Without a target there is nothing to be measured, so nothing is held out either. */
static void
open_without_target(MlTraining *t)
{
	if (t->task != ML_ANOMALY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no target given"),
				 errhint("Name the column to be predicted: target => '...'.")));
	if (t->request.split_by != NULL || t->request.order_by != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" needs a target", t->request.split_by ? "split_by" : "order_by"),
				 errdetail("Without a target no rows are held out to measure the model.")));
	t->target_column = -1;
}

static void
open_target(MlTraining *t)
{
	const MlRequest *request = &t->request;
	const MlSourceColumn *target;
	MlKind		kind;

	if (t->task == ML_ANOMALY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 t->algorithm ? errmsg("algorithm \"%s\" learns without a target", t->algorithm->name)
				 : errmsg("anomalies are learned without a target"),
				 errhint("Leave the target out, and keep its column from being a feature: exclude => '{%s}'.",
						 quote_identifier(request->target))));
	t->target_column = ml_source_column(t->source, request->target);
	target = &t->source->columns[t->target_column];
	kind = ml_kind_of_type(target->type);
	if (kind != ML_NUMBER && kind != ML_BOOLEAN && kind != ML_CATEGORY)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s cannot be the target", request->target,
						format_type_be(target->type)),
				 kind == 0 || kind == ML_ARRAY
				 ? errhint("Cast it in the source to a number, text or boolean.")
				 : errhint("Make it a number in the source, as in extract(epoch FROM %s).",
						   quote_identifier(request->target))));
	if (t->task == 0)
		t->task = task_of_type(target->type);
	if (t->task == ML_REGRESSION && kind == ML_CATEGORY)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s cannot be the target of a regression", request->target,
						format_type_be(target->type)),
				 errhint("Cast it to a number in the source, or use a classification algorithm.")));
}

void
ml_training_open(MlTraining *t, const MlRequest *request)
{
	t->request = *request;
	t->cxt = CurrentMemoryContext;
	t->warnings.cxt = CurrentMemoryContext;
	t->task = parse_task(request->task);
	if (request->algorithm != NULL)
	{
		t->algorithm = ml_registry_find(request->algorithm, false);
		ml_training_params(t, request->params);
		ml_resume_open(t);
		if (t->task == 0 && (t->algorithm->tasks & (t->algorithm->tasks - 1)) == 0)
			t->task = t->algorithm->tasks;
	}
	t->source = ml_source_open(request->source);
	ml_progress_relation(t->source->relid);
	if (t->request.target == NULL)
		open_without_target(t);
	else
		open_target(t);
	if (t->task != 0)
		ml_settle_algorithm(t);
	t->weight_column = number_column(t, request->weight, "a weight", false);
	t->offset_column = number_column(t, role_column(t, "offset"), "an offset", true);
	t->order_column = number_column(t, request->order_by, "an order", false);
	resolve_group(t);
	t->split_column = t->request.split_by ? ml_source_column(t->source, t->request.split_by) : -1;
	if (t->split_column >= 0 && t->split_column == t->target_column)
		target_role(t, "split by");
	resolve_features(t);
	ml_constraints_check(t);
}
