/*
 * train.c - from a request to collected rows: columns resolved, types judged,
 * rows read once into a dataset, task and classes settled, useless columns left
 * out with a reason.
 *
 * Everything belongs to the training's memory context, which is a child of the
 * caller's and goes with it on error.  Rows are read in one query, as the
 * caller; from then on only the dataset is read.
 */
#include "train/train.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/itemptr.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "core/progress.h"
#include "core/registry.h"
#include "core/state.h"

#define MAX_CLASSES 1000
#define MANY_CLASSES 20			/* beyond, and with less than two rows a class, they are no labels */
#define MAX_EXACT 9007199254740992.0	/* 2^53: beyond, a double merges integers */
#define SAMPLE_ROWS 32768		/* a first fit on so many rows saves passes over all of them */
#define SAMPLE_SALT 0x5a3b1e
#define MAX_LEVELS 100000		/* of a category column found by "all columns": beyond it is an identifier */
#define ID_LIKE_SHARE 0.5		/* distinct values per row that make a text column an identifier */
#define ID_LIKE_LEVELS 20		/* ... from this many on */

/* ---- algorithm and task ---- */

static void
parse_params(MlTraining *t, Jsonb *given)
{
	t->params = palloc0(Max(t->algorithm->params_size, 1));
	ml_params_parse(given, t->algorithm->name, ml_core_params, &t->core,
					t->algorithm->params, t->params);
	t->params_json = ml_params_to_jsonb(ml_core_params, &t->core, t->algorithm->params, t->params);
	if (t->task != 0 && t->algorithm->check)
		t->algorithm->check(t->params, t->task);
}

static uint32
parse_task(const char *task)
{
	if (task == NULL)
		return 0;
	if (strcmp(task, "regression") == 0)
		return ML_REGRESSION;
	if (strcmp(task, "classification") == 0)
		return ML_CLASSIFICATION;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("task \"%s\" does not exist", task),
			 errhint("Valid tasks are \"regression\" and \"classification\".")));
}

static const char *
task_name(uint32 task)
{
	return task == ML_CLASSIFICATION ? "classification" : "regression";
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

/* The default algorithm of a task, with the parameters that make it safe on any table. */
static void
choose_algorithm(MlTraining *t)
{
	if (t->algorithm != NULL)
		return;
	t->algorithm_chosen = true;
	if (t->task == ML_CLASSIFICATION)
	{
		Jsonb	   *given = t->request.params;

		t->algorithm = ml_registry_find("logistic", false);
		if (given == NULL)
			given = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{\"l2\": 1}")));
		parse_params(t, given);
	}
	else
	{
		t->algorithm = ml_registry_find("linear", false);
		parse_params(t, t->request.params);
	}
}

/* Called with the task known. */
static void
settle_algorithm(MlTraining *t)
{
	choose_algorithm(t);
	if ((t->algorithm->tasks & t->task) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("algorithm \"%s\" does not do %s", t->algorithm->name, task_name(t->task)),
				 errdetail("The target \"%s\" makes this a %s task.", t->request.target, task_name(t->task)),
				 errhint("Name another algorithm, or the task.")));
	if (t->core.class_weight != ML_CLASS_WEIGHT_NONE && t->task == ML_REGRESSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"class_weight\" needs classes, but this is a regression")));
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

static bool
name_in(const char *name, char *const *names, int n)
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
	if (t->request.nfeatures >= 0)
	{
		for (int i = 0; i < t->request.nfeatures; i++)
		{
			int			column = ml_source_column(source, t->request.features[i]);

			if (column == t->target_column)
				target_role(t, "a feature");
			if (column != t->offset_column &&
				!name_in(source->columns[column].name, t->request.exclude, t->request.nexclude))
				add_feature(t, column, true);
		}
	}
	else
		for (int i = 0; i < source->ncolumns; i++)
			if (i != t->target_column && i != t->weight_column && i != t->offset_column &&
				i != t->split_column && i != t->order_column &&
				!name_in(source->columns[i].name, t->request.exclude, t->request.nexclude))
				add_feature(t, i, false);
	/* Predictions need the offset as training does. */
	if (t->offset_column >= 0)
		add_feature(t, t->offset_column, true);
}

void
ml_training_open(MlTraining *t, const MlRequest *request)
{
	MlKind		target_kind;

	t->request = *request;
	t->cxt = CurrentMemoryContext;
	t->warnings.cxt = CurrentMemoryContext;
	t->task = parse_task(request->task);
	if (request->algorithm != NULL)
	{
		t->algorithm = ml_registry_find(request->algorithm, false);
		parse_params(t, request->params);
		if (t->task == 0 && t->algorithm->tasks == ML_REGRESSION)
			t->task = ML_REGRESSION;
		if (t->task == 0 && t->algorithm->tasks == ML_CLASSIFICATION)
			t->task = ML_CLASSIFICATION;
	}
	t->source = ml_source_open(request->source);
	if (request->target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no target given"),
				 errhint("Name the column to be predicted: target => '...'.")));
	t->target_column = ml_source_column(t->source, request->target);
	target_kind = ml_kind_of_type(t->source->columns[t->target_column].type);
	if (target_kind != ML_NUMBER && target_kind != ML_BOOLEAN && target_kind != ML_CATEGORY)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s cannot be the target", request->target,
						format_type_be(t->source->columns[t->target_column].type)),
				 target_kind == 0 || target_kind == ML_ARRAY
				 ? errhint("Cast it in the source to a number, text or boolean.")
				 : errhint("Make it a number in the source, as in extract(epoch FROM %s).",
						   quote_identifier(request->target))));
	if (t->task == 0)
		t->task = task_of_type(t->source->columns[t->target_column].type);
	if (t->task == ML_REGRESSION &&
		ml_kind_of_type(t->source->columns[t->target_column].type) == ML_CATEGORY)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s cannot be the target of a regression", request->target,
						format_type_be(t->source->columns[t->target_column].type)),
				 errhint("Cast it to a number in the source, or use a classification algorithm.")));
	if (t->task != 0)
		settle_algorithm(t);
	t->weight_column = number_column(t, request->weight, "a weight", false);
	t->offset_column = number_column(t, role_column(t, "offset"), "an offset", true);
	t->order_column = number_column(t, request->order_by, "an order", false);
	t->split_column = request->split_by ? ml_source_column(t->source, request->split_by) : -1;
	if (t->split_column == t->target_column)
		target_role(t, "split by");
	resolve_features(t);
}

/* ---- collecting ---- */

typedef struct Collector
{
	MlTraining *t;
	int			natts;			/* attributes before the position */
	FmgrInfo	split_hash;
	Oid			split_collation;
	bool	   *dead;			/* per column: too many categories, no longer read */
	bool		plain;			/* all features are float8: a Datum is the double */
} Collector;

static void
flush_pending(MlTraining *t)
{
	int			n = t->npending;

	if (n == 0)
		return;
	ml_summaries_add(t->summaries, t->schema->ncells + (t->y_summary ? 1 : 0),
					 t->pending, n, t->stored_width);
	ml_dataset_append(t->rows, t->pending, n);
	t->npending = 0;
	ml_progress_rows(t->rows_read);
}

/* The length of an array column is that of its first value. */
static int
first_array_length(const MlSourceColumn *column, Datum value, bool isnull)
{
	MlColumn	probe = {0};
	MlConverter converter;

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("column \"%s\" is NULL in the first row, so the length of its arrays is unknown",
						column->name),
				 errhint("Filter NULL arrays out in the source.")));
	probe.name = column->name;
	probe.kind = ML_ARRAY;
	ml_converter_init(&converter, &probe, column->type, false);
	return ml_array_length(&converter, value);
}

/* Sets up cells, converters and the dataset when the first row is at hand. */
static void
first_row(Collector *c, TupleTableSlot *slot)
{
	MlTraining *t = c->t;
	MemoryContext old = MemoryContextSwitchTo(t->cxt);
	int			at = 0;
	MlColumn   *target = palloc0(sizeof(MlColumn));
	MlKind		target_kind = ml_kind_of_type(t->source->columns[t->target_column].type);

	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		MlColumn   *col = &t->schema->columns[i];

		if (col->kind == ML_ARRAY)
			col->cells = first_array_length(&t->source->columns[t->feature_column[i]],
									  slot->tts_values[i], slot->tts_isnull[i]);
		if (col->kind == ML_CATEGORY)
			col->dict = ml_dict_create(t->cxt);
		col->first_cell = at;
		at += col->cells;
	}
	t->schema->ncells = at;
	t->converters = palloc0((t->schema->ncolumns + 1) * sizeof(MlConverter));
	c->plain = FLOAT8PASSBYVAL;
	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		Oid			type = t->source->columns[t->feature_column[i]].type;

		ml_converter_init(&t->converters[i], &t->schema->columns[i], type, true);
		c->plain &= type == FLOAT8OID;
	}

	/* Classes of a number target keep their printed form only if it is not plain. */
	target->name = t->source->columns[t->target_column].name;
	target->cells = 1;
	target->kind = target_kind;
	if (target_kind == ML_CATEGORY ||
		(t->task == ML_CLASSIFICATION &&
		 getBaseType(t->source->columns[t->target_column].type) == NUMERICOID))
	{
		target->kind = ML_CATEGORY;
		target->dict = t->target_dict = ml_dict_create(t->cxt);
	}
	ml_converter_init(&t->converters[t->schema->ncolumns], target,
					  t->source->columns[t->target_column].type, true);

	t->at_y = at++;
	t->at_u = at++;
	t->at_w = t->weight_column >= 0 ? at++ : -1;
	t->at_offset = t->offset_column >= 0 ? at++ : -1;
	t->at_order = t->order_column >= 0 ? at++ : -1;
	t->width = t->stored_width = at;
	t->pending = ml_alloc((size_t) ML_TILE_ROWS * at, sizeof(double));
	t->rows = ml_dataset_create(at, ml_budget_bytes());
	if (t->source->rows_estimate > 4 * SAMPLE_ROWS)
	{
		t->sample = ml_dataset_create(at, ml_budget_bytes() / 4);
		t->sample_share = SAMPLE_ROWS / t->source->rows_estimate;
	}
	t->summaries = ml_alloc(t->schema->ncells + 1, sizeof(MlSummary));
	for (int i = 0; i <= t->schema->ncells; i++)
		ml_summary_init(&t->summaries[i], i);
	if (t->target_dict == NULL)
		t->y_summary = &t->summaries[t->schema->ncells];
	MemoryContextSwitchTo(old);
}

/* Applies the policy for NaN and infinity; false: leave the row out. */
static bool
nonfinite_cells(MlTraining *t, const MlColumn *col, double *cells)
{
	for (int c = 0; c < col->cells; c++)
	{
		if (isfinite(cells[c]))
			continue;
		if (t->core.nonfinite == ML_NONFINITE_ERROR)
			ml_reject_value(col->name, cells[c]);
		if (t->core.nonfinite == ML_NONFINITE_DROP)
			return false;
		cells[c] = get_float8_nan();
	}
	return true;
}

/* In number, or because their texts would take half of the memory. */
static bool
too_many_levels(const MlDict *dict)
{
	return ml_dict_size(dict) > MAX_LEVELS || ml_dict_bytes(dict) > ml_budget_bytes() / 2;
}

static void
fail_levels(const MlColumn *col)
{
	if (ml_dict_size(col->dict) > MAX_LEVELS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column \"%s\" has more than %d categories", col->name, MAX_LEVELS),
				 errhint("Group its values in the source, or leave it out.")));
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("memory budget exceeded by the categories of column \"%s\"", col->name),
			 errdetail("%d of them take %zu kB, half of what maintenance_work_mem allows.",
					   ml_dict_size(col->dict), ml_dict_bytes(col->dict) / 1024),
			 errhint("Group its values in the source, leave it out, or raise maintenance_work_mem.")));
}

static bool
convert_features(Collector *c, TupleTableSlot *slot, double *row)
{
	MlTraining *t = c->t;

	if (c->plain && !ml_any_null(slot->tts_isnull, t->schema->ncolumns))
	{
		memcpy(row, slot->tts_values, t->schema->ncolumns * sizeof(double));
		if (ml_cells_finite(row, t->schema->ncolumns))
			return true;
	}
	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		MlColumn   *col = &t->schema->columns[i];
		double	   *cells = row + col->first_cell;

		if (slot->tts_isnull[i] || c->dead[i])
		{
			for (int j = 0; j < col->cells; j++)
				cells[j] = get_float8_nan();
			continue;
		}
		ml_convert(&t->converters[i], slot->tts_values[i], false, cells);
		if (col->kind == ML_CATEGORY)
		{
			if (too_many_levels(col->dict))
			{
				if (t->named[i])
					fail_levels(col);
				c->dead[i] = true;
			}
		}
		else if (col->kind == ML_ARRAY)
		{
			for (int j = 0; j < col->cells; j++)
				if (isinf(cells[j]) && !nonfinite_cells(t, col, cells))
					return false;
		}
		else if (!isfinite(cells[0]) && !nonfinite_cells(t, col, cells))
			return false;
	}
	return true;
}

/* The attribute as a number; NULL is NaN, anything else must be finite. */
static double
role_number(const MlTraining *t, int column, Datum value, bool isnull)
{
	MlColumn	col = {0};
	MlConverter converter;
	double		number;

	if (isnull)
		return get_float8_nan();
	if (t->source->columns[column].type == FLOAT8OID)
		number = DatumGetFloat8(value);
	else
	{
		col.name = t->source->columns[column].name;
		col.kind = ml_kind_of_type(t->source->columns[column].type);
		col.cells = 1;
		ml_converter_init(&converter, &col, t->source->columns[column].type, false);
		ml_convert(&converter, value, false, &number);
	}
	if (!isfinite(number))
		ml_reject_value(t->source->columns[column].name, number);
	return number;
}

/* Where a row falls: by its group, its physical position, or its number in the query. */
static double
row_uniform(Collector *c, TupleTableSlot *slot, int split_att)
{
	MlTraining *t = c->t;
	uint64		position;

	if (split_att >= 0)
	{
		if (slot->tts_isnull[split_att])
			position = 0;
		else
			position = DatumGetUInt64(FunctionCall2Coll(&c->split_hash, c->split_collation,
														slot->tts_values[split_att], Int64GetDatum(0)));
	}
	else if (t->source->position)
	{
		ItemPointer tid = (ItemPointer) DatumGetPointer(slot->tts_values[c->natts]);

		position = ((uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16) |
			ItemPointerGetOffsetNumberNoCheck(tid);
		if (t->source->parted)
			position ^= (uint64) DatumGetObjectId(slot->tts_values[c->natts + 1]) << 48;
	}
	else
		position = t->rows_read;
	return ml_split_uniform(position, t->request.seed);
}

static bool
number_target(const MlTraining *t)
{
	return ml_kind_of_type(t->source->columns[t->target_column].type) == ML_NUMBER;
}

static void
too_many_classes(const MlTraining *t)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("target \"%s\" has more than %d classes", t->request.target, MAX_CLASSES),
			 number_target(t)
			 ? errhint("For a number that is measured rather than a label, use task => 'regression'.")
			 : errhint("Group its values in the source.")));
}

/* Rows per class code, in an array that grows. */
static void
count_class(MlTraining *t, int code)
{
	if (code >= t->ncodes)
	{
		int			n = Max(64, 2 * code);

		if (code > MAX_CLASSES)
			too_many_classes(t);
		t->code_rows = t->code_rows ? repalloc(t->code_rows, n * sizeof(double))
			: MemoryContextAlloc(t->cxt, n * sizeof(double));
		memset(t->code_rows + t->ncodes, 0, (n - t->ncodes) * sizeof(double));
		t->ncodes = n;
	}
	t->code_rows[code]++;
}

static void
collect_row(void *arg, TupleTableSlot *slot)
{
	Collector  *c = arg;
	MlTraining *t = c->t;
	int			att = t->schema->ncolumns;
	double	   *row;
	double		y;
	double		w = 1;
	double		offset = 0;
	double		order = 0;
	int			split_att = -1;

	if (t->rows_read++ == 0)
		first_row(c, slot);
	if (slot->tts_isnull[att])
	{
		t->rows_no_target++;
		return;
	}
	ml_convert(&t->converters[att], slot->tts_values[att], false, &y);
	if (!isfinite(y))
		ml_reject_value(t->request.target, y);
	att++;
	if (t->weight_column >= 0)
	{
		w = role_number(t, t->weight_column, slot->tts_values[att], slot->tts_isnull[att]);
		if (w < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("weight %g in column \"%s\" is negative", w, t->request.weight)));
		att++;
	}
	if (t->offset_column >= 0)
	{
		offset = role_number(t, t->offset_column, slot->tts_values[att], slot->tts_isnull[att]);
		att++;
	}
	if (t->split_column >= 0)
		split_att = att++;
	if (t->order_column >= 0)
	{
		order = role_number(t, t->order_column, slot->tts_values[att], slot->tts_isnull[att]);
		if (isnan(order))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("column \"%s\", the order, contains NULL", t->request.order_by)));
		att++;
	}
	if (isnan(w) || w == 0 || isnan(offset))
	{
		t->rows_no_target++;
		return;
	}
	row = t->pending + (Size) t->npending * t->stored_width;
	if (!convert_features(c, slot, row))
	{
		t->rows_nonfinite++;
		return;
	}
	row[t->at_y] = y;
	if (t->target_dict)
		count_class(t, (int) y);
	row[t->at_u] = row_uniform(c, slot, split_att);
	if (t->at_w >= 0)
		row[t->at_w] = w;
	if (t->at_offset >= 0)
		row[t->at_offset] = offset;
	if (t->at_order >= 0)
		row[t->at_order] = -order;
	if (t->sample && ml_split_uniform((uint64) (row[t->at_u] * 0x1p53), SAMPLE_SALT) < t->sample_share &&
		ml_dataset_rows(t->sample) < 4 * SAMPLE_ROWS)
		ml_dataset_append(t->sample, row, 1);
	if (++t->npending == ML_TILE_ROWS)
		flush_pending(t);
}

/* SELECT of everything a row needs, in the order that collect_row expects. */
static char *
collect_query(Collector *c)
{
	MlTraining *t = c->t;
	StringInfoData sql;
	int		   *columns = palloc((t->schema->ncolumns + 5) * sizeof(int));
	int			n = t->schema->ncolumns;

	memcpy(columns, t->feature_column, n * sizeof(int));
	columns[n++] = t->target_column;
	if (t->weight_column >= 0)
		columns[n++] = t->weight_column;
	if (t->offset_column >= 0)
		columns[n++] = t->offset_column;
	if (t->split_column >= 0)
		columns[n++] = t->split_column;
	if (t->order_column >= 0)
		columns[n++] = t->order_column;
	c->natts = n;
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	ml_source_targets(&sql, columns, n);
	if (t->source->position)
		appendStringInfoString(&sql, t->source->parted ? ", s.ctid, s.tableoid" : ", s.ctid");
	appendStringInfo(&sql, " FROM %s", t->source->from);
	return sql.data;
}

static void
nothing_to_learn(const MlTraining *t, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("%s", why),
			 errdetail("%lld rows read, %lld without target or weight, %lld left out for a missing or non-finite value.",
					   (long long) t->rows_read, (long long) t->rows_no_target,
					   (long long) (t->rows_missing + t->rows_nonfinite))));
}

/* ---- task and classes ---- */

/* Labels of a number target, as the table would print them whatever the settings. */
static void
number_labels(MlTraining *t)
{
	Oid			type = getBaseType(t->source->columns[t->target_column].type);

	t->labels = palloc(t->classes * sizeof(char *));
	for (int k = 0; k < t->classes; k++)
	{
		double		value = t->label_value[k];

		if (fabs(value) >= MAX_EXACT)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("value %.0f of target \"%s\" is too large for a label", value, t->request.target),
					 errhint("Cast the target to text in the source.")));
		if (type == BOOLOID)
			t->labels[k] = ml_label_text(BOOLOID, BoolGetDatum(value != 0));
		else if (type == FLOAT4OID)
			t->labels[k] = ml_label_text(FLOAT4OID, Float4GetDatum((float4) value));
		else
			t->labels[k] = ml_label_text(FLOAT8OID, Float8GetDatum(value));
	}
}

/* Two values need no pass: the summary knows both, and how often. */
static bool
two_classes(MlTraining *t)
{
	const MlSummary *s = t->y_summary;

	if (ml_summary_distinct(s) > 2)
		return false;
	t->classes = s->min == s->max ? 1 : 2;
	t->label_value = palloc(2 * sizeof(double));
	t->class_rows = palloc0(2 * sizeof(double));
	t->label_value[0] = s->min;
	t->label_value[1] = s->max;
	if (t->classes == 2)
		t->class_rows[1] = rint((s->mean - s->min) / (s->max - s->min) * s->n);
	t->class_rows[0] = s->n - t->class_rows[1];
	return true;
}

/* Distinct values of a number target, sorted, with their counts. */
static void
number_classes(MlTraining *t)
{
	double	   *value = palloc(MAX_CLASSES * sizeof(double));
	double	   *count = palloc0(MAX_CLASSES * sizeof(double));
	int			n = 0;
	const double *rows;
	int			got;

	ml_dataset_rewind(t->rows);
	while ((got = ml_dataset_next(t->rows, &rows)) > 0)
		for (int i = 0; i < got; i++)
		{
			double		y = rows[(Size) i * t->stored_width + t->at_y];
			int			k = 0;

			for (int high = n; k < high;)
			{
				int			middle = (k + high) / 2;

				if (value[middle] < y)
					k = middle + 1;
				else
					high = middle;
			}
			if (k == n || value[k] != y)
			{
				if (n == MAX_CLASSES)
					too_many_classes(t);
				memmove(value + k + 1, value + k, (n - k) * sizeof(double));
				memmove(count + k + 1, count + k, (n - k) * sizeof(double));
				value[k] = y;
				count[k] = 0;
				n++;
			}
			count[k]++;
		}
	t->classes = n;
	t->label_value = value;
	t->class_rows = count;
}

typedef struct ClassOrder
{
	int			code;
	const char *bytes;
	int			len;
	double		number;			/* numeric labels sort as numbers */
} ClassOrder;

static int
compare_classes(const void *a, const void *b)
{
	const ClassOrder *x = a;
	const ClassOrder *y = b;
	int			c;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	c = memcmp(x->bytes, y->bytes, Min(x->len, y->len));
	return c != 0 ? c : x->len - y->len;
}

static void
dictionary_classes(MlTraining *t)
{
	int			n = ml_dict_size(t->target_dict);
	ClassOrder *order = palloc(Max(n, 1) * sizeof(ClassOrder));
	bool		numeric = getBaseType(t->source->columns[t->target_column].type) == NUMERICOID;

	if (n > MAX_CLASSES)
		too_many_classes(t);
	for (int i = 0; i < n; i++)
	{
		order[i].code = i;
		order[i].bytes = ml_dict_get(t->target_dict, i, &order[i].len);
		order[i].number = numeric ? strtod(order[i].bytes, NULL) : 0;
	}
	qsort(order, n, sizeof(ClassOrder), compare_classes);
	t->classes = n;
	t->labels = palloc(Max(n, 1) * sizeof(char *));
	t->class_of = palloc(Max(n, 1) * sizeof(int));
	t->class_rows = palloc0(Max(n, 1) * sizeof(double));
	for (int k = 0; k < n; k++)
	{
		t->labels[k] = pstrdup(order[k].bytes);
		t->class_of[order[k].code] = k;
		t->class_rows[k] = t->code_rows[order[k].code];
	}
}

/* An integer target has at most two values: then it is a label. */
static void
settle_task(MlTraining *t)
{
	if (t->task != 0)
		return;
	t->task = ml_summary_distinct(t->y_summary) <= 2 ? ML_CLASSIFICATION : ML_REGRESSION;
	if (t->algorithm && !(t->algorithm->tasks & t->task))
		t->task = t->algorithm->tasks;
	settle_algorithm(t);
	ereport(NOTICE,
			(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
			 errmsg("target \"%s\" is taken as %s", t->request.target,
					t->task == ML_CLASSIFICATION ? "a label: classification" : "a number: regression")));
}

/* One warning, however many they are. */
static void
warn_rare_classes(const MlTraining *t, double total)
{
	int			rare = 0;
	int			least = 0;

	for (int k = 0; k < t->classes; k++)
	{
		rare += t->class_rows[k] < 0.01 * total;
		if (t->class_rows[k] < t->class_rows[least])
			least = k;
	}
	if (rare > 1)
		ml_warn("%d classes of target \"%s\" have less than 1 %% of %.0f rows each, the fewest is \"%s\" with %.0f",
				rare, t->request.target, total, t->labels[least], t->class_rows[least]);
	else if (rare == 1)
		ml_warn("class \"%s\" of target \"%s\" has only %.0f of %.0f rows", t->labels[least],
				t->request.target, t->class_rows[least], total);
}

static void
settle_classes(MlTraining *t)
{
	double		total = t->rows_used;

	if (t->task != ML_CLASSIFICATION)
		return;
	if (t->target_dict)
		dictionary_classes(t);
	else
	{
		if (!two_classes(t))
			number_classes(t);
		number_labels(t);
	}
	if (t->classes < 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("target \"%s\" has only one class, \"%s\"", t->request.target,
						t->classes ? t->labels[0] : ""),
				 errdetail("%lld rows were used.", (long long) t->rows_used)));
	if (t->classes > MANY_CLASSES && t->classes > t->rows_used / 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("target \"%s\" is no label", t->request.target),
				 errdetail("It has %d different values in %lld rows.", t->classes, (long long) t->rows_used),
				 number_target(t) ? errhint("For a number use task => 'regression'.") : 0));
	warn_rare_classes(t, total);
	if (t->core.class_weight == ML_CLASS_WEIGHT_BALANCED)
	{
		t->class_weight = palloc(t->classes * sizeof(double));
		for (int k = 0; k < t->classes; k++)
			t->class_weight[k] = total / (t->classes * t->class_rows[k]);
	}
}

/* ---- useless columns ---- */

/* Why a column carries nothing, or NULL. */
static char *
useless(const MlTraining *t, int i, bool keep_constant)
{
	const MlColumn *col = &t->schema->columns[i];
	double		n = 0;
	bool		constant = true;

	for (int c = col->first_cell; c < col->first_cell + col->cells; c++)
	{
		n += t->summaries[c].n;
		if (t->summaries[c].n > 0 && t->summaries[c].min != t->summaries[c].max)
			constant = false;
	}
	if (col->kind == ML_CATEGORY)
	{
		int			levels = ml_dict_size(col->dict);

		if (too_many_levels(col->dict) ||
			(!t->named[i] && levels >= ID_LIKE_LEVELS && levels > ID_LIKE_SHARE * n))
			return psprintf("%d different texts in %.0f rows look like an identifier", levels, n);
		if (levels == 1 && t->summaries[col->first_cell].nulls > 0)
			constant = false;
	}
	if (n == 0)
		return "it is NULL in every row";
	if (constant && !keep_constant && !(t->core.indicator && t->summaries[col->first_cell].nulls > 0))
		return "it has the same value in every row";
	return NULL;
}

/* Leaves useless columns out of the schema; rows are handed out without them. */
static void
settle_features(MlTraining *t)
{
	MlSchema   *schema = t->schema;
	const MlParam *intercept = ml_param_find(t->algorithm->params, "intercept");
	bool		keep_constant = intercept && !*(bool *) ((char *) t->params + intercept->offset);
	int			extra = t->stored_width - schema->ncells;
	int			kept = 0;
	int			cells = 0;

	t->stored = palloc(t->stored_width * sizeof(int));
	for (int i = 0; i < schema->ncolumns; i++)
	{
		MlColumn	col = schema->columns[i];
		char	   *why = useless(t, i, keep_constant || t->feature_column[i] == t->offset_column);

		if (why)
		{
			ml_warn("column \"%s\" was left out: %s", col.name, why);
			continue;
		}
		if (col.kind == ML_NUMBER && t->rows_used > 100 &&
			t->summaries[col.first_cell].integers == t->rows_used &&
			t->summaries[col.first_cell].max - t->summaries[col.first_cell].min == t->rows_used - 1 &&
			ml_summary_distinct(&t->summaries[col.first_cell]) > 0.9 * t->rows_used)
			ml_warn("column \"%s\" numbers the rows: leave it out with exclude => '{\"%s\"}' unless it carries meaning",
					col.name, col.name);
		for (int c = 0; c < col.cells; c++)
		{
			t->stored[cells + c] = col.first_cell + c;
			memmove(&t->summaries[cells + c], &t->summaries[col.first_cell + c], sizeof(MlSummary));
		}
		col.first_cell = cells;
		cells += col.cells;
		schema->columns[kept] = col;
		t->feature_column[kept] = t->feature_column[i];
		kept++;
	}
	if (kept == 0 && !(t->algorithm->flags & ML_NO_FEATURES))
		nothing_to_learn(t, "no usable feature column is left");
	for (int j = 0; j < extra; j++)
		t->stored[cells + j] = schema->ncells + j;
	schema->ncolumns = kept;
	schema->ncells = cells;
	t->width = cells + extra;
	t->at_y -= t->stored_width - t->width;
	t->at_u -= t->stored_width - t->width;
	t->at_w -= t->at_w >= 0 ? t->stored_width - t->width : 0;
	t->at_offset -= t->at_offset >= 0 ? t->stored_width - t->width : 0;
	t->at_order -= t->at_order >= 0 ? t->stored_width - t->width : 0;
}

/* Rows that impute = drop leaves out are counted once here. */
static void
count_missing(MlTraining *t)
{
	MlRowView	view = {{0}};
	int64		n = 0;
	int			got;

	if (t->core.impute != ML_IMPUTE_DROP)
		return;
	ml_rows_start(t);
	while ((got = ml_rows_next(t, NULL, &view)) > 0)
		n += got;
	t->rows_missing = t->rows_used - n;
	t->rows_used = n;
	if (n == 0)
		nothing_to_learn(t, "no rows to learn from");
}

void
ml_training_collect(MlTraining *t)
{
	Collector	c = {0};

	c.t = t;
	c.dead = palloc0(Max(t->schema->ncolumns, 1) * sizeof(bool));
	if (t->split_column >= 0)
	{
		TypeCacheEntry *type = lookup_type_cache(t->source->columns[t->split_column].type,
												 TYPECACHE_HASH_EXTENDED_PROC_FINFO);

		if (!OidIsValid(type->hash_extended_proc))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of type %s cannot be split by", t->request.split_by,
							format_type_be(t->source->columns[t->split_column].type))));
		fmgr_info_copy(&c.split_hash, &type->hash_extended_proc_finfo, CurrentMemoryContext);
		c.split_collation = t->source->columns[t->split_column].collation;
	}
	ml_progress_phase(ML_PHASE_READ);
	ml_stream(collect_query(&c), collect_row, &c);
	if (t->rows_read > 0)
	{
		flush_pending(t);
		ml_dataset_seal(t->rows);
		if (t->sample)
			ml_dataset_seal(t->sample);
		t->rows_used = ml_dataset_rows(t->rows);
	}
	if (t->rows_used == 0)
		nothing_to_learn(t, "no rows to learn from");
	settle_task(t);
	settle_classes(t);
	settle_features(t);
	count_missing(t);
}
