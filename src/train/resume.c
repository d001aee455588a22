/*
 * resume.c - parameter "continue": a training that goes on from a model of the
 * catalog, with more rounds on new rows.
 *
 * The model's own columns, categories, encoder and classes are used, so that its
 * trees mean the same as before: a column it needs must be there, a category it does not
 * know counts as missing (its code lies behind those of the encoder), a class it does
 * not know is an error.  What was unpacked belongs to the training.
 */
#include "train/train.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/catalog.h"
#include "core/registry.h"

/* The parameter that names the model to go on from: where it stands in the algorithm's struct; or NULL. */
static char **
model_field(const MlTraining *t)
{
	for (const MlParam *p = t->algorithm->params; p->name != NULL; p++)
		if (p->type == ML_PARAM_MODEL)
			return (char **) ((char *) t->params + p->offset);
	return NULL;
}

/* Its encoder is what its preprocessing parameters made; others would have no effect. */
static void
take_preprocessing(MlTraining *t)
{
	static const char *const fixed[] = {
		"impute", "indicator", "scale", "categories", "levels", "max_categories", "unseen"
	};
	MlCoreParams given = t->core;
	void	   *own = palloc0(Max(t->algorithm->params_size, 1));

	if (t->request.params != NULL && JB_ROOT_IS_OBJECT(t->request.params))
		for (int i = 0; i < lengthof(fixed); i++)
		{
			JsonbValue	value;

			if (getKeyJsonValueFromContainer(&t->request.params->root, fixed[i], strlen(fixed[i]), &value))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("parameter \"%s\" cannot be given with \"continue\"", fixed[i]),
						 errdetail("The encoding of the model to continue is used.")));
		}
	ml_params_parse(t->start->params, t->algorithm->name, ml_core_params, &t->core, t->algorithm->params, own);
	ml_core_params_settle(&t->core, t->algorithm);
	t->core.nonfinite = given.nonfinite;
	t->core.class_weight = given.class_weight;
	t->core.refit = given.refit;
}

static void
take_target(MlTraining *t)
{
	const MlModel *start = t->start;

	if (t->request.target == NULL)
		t->request.target = start->target;
	else if (start->target != NULL && strcmp(t->request.target, start->target) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model to continue predicts \"%s\", not \"%s\"", start->target, t->request.target)));
	if (t->task != 0 && t->task != start->task)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model to continue does %s, not %s", ml_task_name(start->task), ml_task_name(t->task))));
	t->task = start->task;
}

void
ml_resume_open(MlTraining *t)
{
	char	  **field = model_field(t);
	MlModelRef	ref;

	if (field == NULL || *field == NULL)
		return;
	if (!t->stores)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"continue\" is for ml_train and ml_fit"),
				 errdetail("The model to continue may have learned from the rows that would measure it.")));
	ml_catalog_resolve(*field, ML_VIEW, false, &ref);
	t->start = ml_model_unpack(ml_catalog_payload(ref.version_id));
	if (t->start->algorithm != t->algorithm)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" cannot be continued by algorithm \"%s\"", *field, t->algorithm->name),
				 errdetail("Its algorithm is \"%s\".", t->start->algorithm->name)));
	t->start_name = pstrdup(ref.name);
	t->start_version = ref.version;
	*field = psprintf("%s@%d", ref.name, ref.version);	/* what the new model says of itself */
	take_preprocessing(t);
	take_target(t);
}

/* ---- columns ---- */

/* The features are the model's; arguments that name columns must not say otherwise. */
void
ml_resume_features(MlTraining *t)
{
	const MlRequest *r = &t->request;

	t->schema = palloc(sizeof(MlSchema));
	*t->schema = *t->start->encoder->schema;
	t->start->encoder->schema = t->schema;
	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		const char *name = t->schema->columns[i].name;

		t->feature_column[i] = ml_source_column(t->source, name);
		t->named[i] = true;
		if (ml_name_in(name, r->exclude, r->nexclude) || (r->nfeatures >= 0 && !ml_name_in(name, r->features, r->nfeatures)) ||
			t->feature_column[i] == t->target_column || t->feature_column[i] == t->group_column)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the model to continue needs column \"%s\" as a feature", name)));
	}
	for (int i = 0; i < r->nfeatures; i++)
		if (ml_schema_find(t->schema, r->features[i]) < 0)
			ml_warn("column \"%s\" was left out: the model to continue does not have it", r->features[i]);
}

/* ---- classes ---- */

static int
find_class(const MlTraining *t, const char *label)
{
	for (int k = 0; k < t->start->classes; k++)
		if (strcmp(t->start->labels[k], label) == 0)
			return k;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("target \"%s\" has a class \"%s\", which the model to continue does not know",
					t->request.target, label)));
}

/* The value of each of the model's classes, from its label where no row has it. */
static double *
class_values(const MlTraining *t, const int *number)
{
	int			n = t->start->classes;
	double	   *value = palloc(n * sizeof(double));
	bool		boolean = getBaseType(t->source->columns[t->target_column].type) == BOOLOID;

	for (int k = 0; k < n; k++)
		value[k] = boolean ? k : strtod(t->start->labels[k], NULL);
	for (int k = 0; k < t->classes; k++)
		value[number[k]] = t->label_value[k];
	for (int k = 1; k < n; k++)
		if (!(value[k - 1] < value[k]))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("target \"%s\" is a number, but the classes of the model to continue are not", t->request.target),
					 errhint("Cast it to text in the source.")));
	return value;
}

/* Numbers the classes as the model does; some of its classes may have no row. */
void
ml_resume_classes(MlTraining *t)
{
	int			n = t->start->classes;
	int		   *number = palloc(Max(t->classes, 1) * sizeof(int));
	double	   *rows = palloc0(n * sizeof(double));

	for (int k = 0; k < t->classes; k++)
	{
		number[k] = find_class(t, t->labels[k]);
		rows[number[k]] = t->class_rows[k];
	}
	if (t->class_of)
		for (int code = 0; code < t->classes; code++)
			t->class_of[code] = number[t->class_of[code]];
	else
		t->label_value = class_values(t, number);
	t->labels = t->start->labels;
	t->classes = n;
	t->class_rows = rows;
}
