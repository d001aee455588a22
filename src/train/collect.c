/*
 * collect.c - the rows of a training, read in one query as the caller into a
 * dataset; from then on only the dataset is read.
 */
#include "train/train.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "core/progress.h"
#include "core/state.h"

#define SAMPLE_ROWS 32768		/* a first fit on so many rows saves passes over all of them */
#define SAMPLE_SALT 0x5a3b1e
#define FIT_ROWS_BYTES ((Size) 1 << 18)	/* with fit the algorithm keeps the rows: memory is for that */

/* ---- collecting ---- */

typedef struct Collector
{
	MlTraining *t;
	FmgrInfo	split_hash;
	Oid			split_collation;
	FmgrInfo	group_hash;
	Oid			group_collation;
	bool		group_number;	/* the group is a small integer: its own number */
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
					 t->pending, n, t->stored_width, 0);
	if (t->fingerprinted && ml_plain_fingerprint(t))
		ml_fingerprint_rows(&t->fingerprint, t->pending, n, t->schema->ncells, t->stored_width, t->pending + t->at_y,
							t->at_w >= 0 ? t->pending + t->at_w : NULL, t->stored_width);
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

/* Classes of a number target keep their printed form only if it is not plain. */
static void
target_converter(MlTraining *t)
{
	const MlSourceColumn *from = &t->source->columns[t->target_column];
	MlColumn   *target = palloc0(sizeof(MlColumn));

	target->name = from->name;
	target->cells = 1;
	target->kind = ml_kind_of_type(from->type);
	if (target->kind == ML_CATEGORY ||
		(t->task == ML_CLASSIFICATION && getBaseType(from->type) == NUMERICOID))
	{
		target->kind = ML_CATEGORY;
		target->dict = t->target_dict = ml_dict_create(t->cxt);
	}
	ml_converter_init(&t->converters[t->schema->ncolumns], target, from->type, true);
}

/* Sets up cells, converters and the dataset when the first row is at hand. */
static void
first_row(Collector *c, const MlRow *from)
{
	MlTraining *t = c->t;
	MemoryContext old = MemoryContextSwitchTo(t->cxt);
	int			at = 0;
	bool		keeps_rows = t->algorithm_open || (t->algorithm != NULL && t->algorithm->fit != NULL);

	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		MlColumn   *col = &t->schema->columns[i];

		if (col->kind == ML_ARRAY && t->start == NULL)
			col->cells = first_array_length(&t->source->columns[t->feature_column[i]],
									  from->values[i], from->isnull[i]);
		if (col->kind == ML_CATEGORY && t->start == NULL)
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

	if (t->target_column >= 0)
		target_converter(t);
	t->at_y = at++;
	t->at_u = at++;
	t->at_w = t->weight_column >= 0 ? at++ : -1;
	t->at_offset = t->offset_column >= 0 ? at++ : -1;
	t->at_order = t->order_column >= 0 ? at++ : -1;
	t->at_group = t->group_column >= 0 ? at++ : -1;
	t->at_key = t->split_column >= 0 ? at++ : t->at_u;
	t->at_rival = t->rival ? at : -1;
	at += t->rival ? t->rival->outputs : 0;
	t->width = t->stored_width = at;
	t->pending = ml_alloc((size_t) ML_TILE_ROWS * at, sizeof(double));
	t->rows = ml_dataset_create(at, keeps_rows ? Min(FIT_ROWS_BYTES, ml_budget_bytes()) : ml_budget_bytes());
	if (!keeps_rows && t->source->rows_estimate > 4 * SAMPLE_ROWS)
	{
		t->sample = ml_dataset_create(at, ml_budget_bytes() / 4);
		t->sample_share = SAMPLE_ROWS / t->source->rows_estimate;
	}
	memset(&t->fingerprint, 0, sizeof(t->fingerprint));
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
bool
ml_too_many_levels(const MlDict *dict)
{
	return ml_dict_size(dict) > ML_MAX_LEVELS || ml_dict_bytes(dict) > ml_budget_bytes() / 2;
}

static void
fail_levels(const MlColumn *col)
{
	if (ml_dict_size(col->dict) > ML_MAX_LEVELS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column \"%s\" has more than %d categories", col->name, ML_MAX_LEVELS),
				 errhint("Group its values in the source, or leave it out.")));
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("memory budget exceeded by the categories of column \"%s\"", col->name),
			 errdetail("%d of them take %zu kB, half of what maintenance_work_mem allows.",
					   ml_dict_size(col->dict), ml_dict_bytes(col->dict) / 1024),
			 errhint("Group its values in the source, leave it out, or raise maintenance_work_mem.")));
}

static bool
convert_features(Collector *c, const MlRow *from, double *row)
{
	MlTraining *t = c->t;

	if (c->plain && !ml_any_null(from->isnull, t->schema->ncolumns))
	{
		memcpy(row, from->values, t->schema->ncolumns * sizeof(double));
		if (ml_cells_finite(row, t->schema->ncolumns))
			return true;
	}
	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		MlColumn   *col = &t->schema->columns[i];
		double	   *cells = row + col->first_cell;

		if (from->isnull[i] || c->dead[i])
		{
			for (int j = 0; j < col->cells; j++)
				cells[j] = get_float8_nan();
			continue;
		}
		ml_convert(&t->converters[i], from->values[i], false, cells);
		if (col->kind == ML_CATEGORY)
		{
			if (ml_too_many_levels(col->dict))
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
row_uniform(Collector *c, const MlRow *row, int split_att)
{
	MlTraining *t = c->t;
	uint64		position;

	if (split_att >= 0)
		position = row->isnull[split_att] ? 0 :
			DatumGetUInt64(FunctionCall2Coll(&c->split_hash, c->split_collation,
											 row->values[split_att], Int64GetDatum(0)));
	else
		position = row->position;
	return ml_split_uniform(position, t->request.seed);
}

/* A number of the row's group: the integer itself, else 53 bits of the value's hash. */
static double
row_group(Collector *c, Datum value, bool isnull)
{
	MlTraining *t = c->t;

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("column \"%s\", the group, contains NULL", t->source->columns[t->group_column].name)));
	if (c->group_number)
		return DatumGetInt32(value);
	return (double) (DatumGetUInt64(FunctionCall2Coll(&c->group_hash, c->group_collation, value,
													  Int64GetDatum(0))) >> 11);
}

bool
ml_number_target(const MlTraining *t)
{
	return ml_kind_of_type(t->source->columns[t->target_column].type) == ML_NUMBER;
}

void
ml_too_many_classes(const MlTraining *t)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("target \"%s\" has more than %d classes", t->request.target, ML_MAX_CLASSES),
			 ml_number_target(t)
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

		if (code > ML_MAX_CLASSES)
			ml_too_many_classes(t);
		t->code_rows = t->code_rows ? repalloc(t->code_rows, n * sizeof(double))
			: MemoryContextAlloc(t->cxt, n * sizeof(double));
		memset(t->code_rows + t->ncodes, 0, (n - t->ncodes) * sizeof(double));
		t->ncodes = n;
	}
	t->code_rows[code]++;
}

static void
collect_row(void *arg, const MlRow *from)
{
	Collector  *c = arg;
	MlTraining *t = c->t;
	int			att = t->schema->ncolumns;
	int			target_att = -1;
	double	   *row;
	double		y = 0;
	double		w = 1;
	double		offset = 0;
	double		order = 0;
	double		group = 0;
	int			split_att = -1;

	if (t->rows_read++ == 0)
		first_row(c, from);
	if (t->target_column >= 0)
	{
		if (from->isnull[att])
		{
			t->rows_no_target++;
			return;
		}
		target_att = att++;
	}
	if (t->target_column >= 0 && t->target_dict == NULL)
	{
		ml_convert(&t->converters[target_att], from->values[target_att], false, &y);
		if (!isfinite(y))
			ml_reject_value(t->request.target, y);
	}
	if (t->weight_column >= 0)
	{
		w = role_number(t, t->weight_column, from->values[att], from->isnull[att]);
		if (!ml_weight_fits(w))
			ml_reject_weight(t->request.weight, w);
		att++;
	}
	if (t->offset_column >= 0)
	{
		offset = role_number(t, t->offset_column, from->values[att], from->isnull[att]);
		att++;
	}
	if (t->split_column >= 0)
		split_att = att++;
	if (t->order_column >= 0)
	{
		order = role_number(t, t->order_column, from->values[att], from->isnull[att]);
		if (isnan(order))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("column \"%s\", the order, contains NULL", t->request.order_by)));
		att++;
	}
	if (t->group_column >= 0)
	{
		group = row_group(c, from->values[att], from->isnull[att]);
		att++;
	}
	if (isnan(w) || w == 0 || isnan(offset))
	{
		t->rows_no_target++;
		return;
	}
	row = t->pending + (Size) t->npending * t->stored_width;
	if (!convert_features(c, from, row))
	{
		t->rows_nonfinite++;
		return;
	}
	if (t->target_dict)
	{
		/* Only now: a class is one when it has a row that is used. */
		ml_convert(&t->converters[target_att], from->values[target_att], false, &y);
		count_class(t, (int) y);
	}
	row[t->at_y] = y;
	row[t->at_u] = row_uniform(c, from, split_att);
	if (t->at_w >= 0)
		row[t->at_w] = w;
	if (t->at_offset >= 0)
		row[t->at_offset] = offset;
	if (t->at_order >= 0)
		row[t->at_order] = -order;
	if (t->at_group >= 0)
		row[t->at_group] = group;
	if (t->at_key != t->at_u)
		row[t->at_key] = row_uniform(c, from, -1);
	if (t->at_rival >= 0)
		ml_rival_predict(t->rival, from, att, row + t->at_rival);
	if (t->sample && ml_split_uniform((uint64) (row[t->at_u] * 0x1p53), SAMPLE_SALT) < t->sample_share &&
		ml_dataset_rows(t->sample) < 4 * SAMPLE_ROWS)
		ml_dataset_append(t->sample, row, 1);
	if (++t->npending == ML_TILE_ROWS)
		flush_pending(t);
}

/* The source columns of everything a row needs, in the order that collect_row expects. */
static int
collect_columns(const MlTraining *t, int *columns)
{
	int			n = t->schema->ncolumns;

	memcpy(columns, t->feature_column, n * sizeof(int));
	if (t->target_column >= 0)
		columns[n++] = t->target_column;
	if (t->weight_column >= 0)
		columns[n++] = t->weight_column;
	if (t->offset_column >= 0)
		columns[n++] = t->offset_column;
	if (t->split_column >= 0)
		columns[n++] = t->split_column;
	if (t->order_column >= 0)
		columns[n++] = t->order_column;
	if (t->group_column >= 0)
		columns[n++] = t->group_column;
	if (t->rival)
		for (int i = 0; i < t->rival->model->encoder->schema->ncolumns; i++)
			columns[n++] = t->rival->column[i];
	return n;
}

void
ml_nothing_to_learn(const MlTraining *t, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("%s", why),
			 errdetail("%lld rows read, %lld without target or weight, %lld left out for a missing or non-finite value.",
					   (long long) t->rows_read, (long long) t->rows_no_target,
					   (long long) (t->rows_missing + t->rows_nonfinite))));
}

/* The hash function of a column's type, for what `role` says. */
static void
column_hash(const MlTraining *t, int column, const char *role, FmgrInfo *hash, Oid *collation)
{
	const MlSourceColumn *from = &t->source->columns[column];
	TypeCacheEntry *type = lookup_type_cache(from->type, TYPECACHE_HASH_EXTENDED_PROC_FINFO);

	if (!OidIsValid(type->hash_extended_proc))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s cannot be %s", from->name, format_type_be(from->type), role)));
	fmgr_info_copy(hash, &type->hash_extended_proc_finfo, CurrentMemoryContext);
	*collation = from->collation;
}

void
ml_training_collect(MlTraining *t)
{
	Collector	c = {0};
	int		   *columns = palloc((t->schema->ncolumns + 6 + (t->rival ? t->rival->model->encoder->schema->ncolumns : 0)) * sizeof(int));
	int			n;

	c.t = t;
	c.dead = palloc0(Max(t->schema->ncolumns, 1) * sizeof(bool));
	if (t->group_column >= 0)
	{
		c.group_number = t->source->columns[t->group_column].type == INT4OID;
		column_hash(t, t->group_column, "a group", &c.group_hash, &c.group_collation);
	}
	if (t->split_column >= 0)
		column_hash(t, t->split_column, "split by", &c.split_hash, &c.split_collation);
	ml_progress_phase(ML_PHASE_READ);
	n = collect_columns(t, columns);
	ml_stream(t->source, columns, n, collect_row, &c);
	if (t->rows_read > 0)
	{
		flush_pending(t);
		ml_summaries_settle(t->summaries, t->schema->ncells + 1);
		ml_dataset_seal(t->rows);
		if (t->sample)
			ml_dataset_seal(t->sample);
		t->rows_used = ml_dataset_rows(t->rows);
	}
	if (t->rows_used == 0)
		ml_nothing_to_learn(t, "no rows to learn from");
	ml_training_settle(t);
}
