/*
 * rows.c - rows of a source as a model sees them.
 *
 * The sample is that of the rows with the smallest hash of position and seed, kept
 * in a heap whose root is the largest of them.  Everything lives in the context
 * current at the call and counts against the budget.
 */
#include "explain/rows.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/cache.h"
#include "core/host.h"
#include "core/state.h"

/* ---- arguments ---- */

char *
ml_rows_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

int
ml_rows_int(FunctionCallInfo fcinfo, int n, const char *name, int min, int max)
{
	int			value;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	value = PG_GETARG_INT32(n);
	if (value < min || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d is out of range for parameter \"%s\"", value, name),
				 errdetail("Valid range is %d to %d.", min, max)));
	return value;
}

const MlModel *
ml_rows_model(FunctionCallInfo fcinfo, MlPrivilege need)
{
	MlModelRef	ref;

	if (get_fn_expr_argtype(fcinfo->flinfo, 0) == TEXTOID)
	{
		ml_catalog_resolve(ml_rows_text(fcinfo, 0, "model"), need, false, &ref);
		return ml_cache_version(ref.version_id, CurrentMemoryContext);
	}
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "model")));
	return ml_model_unpack((struct varlena *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)));
}

/* ---- reading ---- */

/* A row that is kept, for now: its cells and target are at `slot`. */
typedef struct Kept
{
	double		u;
	int64		number;
	int			slot;
} Kept;

typedef struct Reader
{
	const MlModel *model;
	MlConverter *converters;	/* per column of the model */
	MlColumn	target;
	MlConverter actual;
	bool		with_target;
	FmgrInfo	output;			/* of the target's type */
	int64		seed;
	int			most;
	int			n;
	int			room;			/* of the arrays below */
	Kept	   *kept;			/* a heap, once there are more than `most` */
	double	   *values;			/* slots of ncells + 1 */
	double	   *row;			/* ncells + 1 */
	int64		read;
	int64		skipped;		/* no target */
} Reader;

/* Whether a is to be dropped before b. */
static bool
farther(const Kept *a, const Kept *b)
{
	return a->u != b->u ? a->u > b->u : a->number > b->number;
}

static void
sift_down(Kept *heap, int n, int i)
{
	Kept		moved = heap[i];

	for (int child = 2 * i + 1; child < n; child = 2 * i + 1)
	{
		if (child + 1 < n && farther(&heap[child + 1], &heap[child]))
			child++;
		if (!farther(&heap[child], &moved))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moved;
}

static int
slot_width(const Reader *r)
{
	return r->model->encoder->schema->ncells + 1;
}

static void
enlarge(Reader *r)
{
	int			room = Min(r->most, Max(256, 2 * r->room));
	Size		width = sizeof(double) * slot_width(r);

	ml_budget_check(mul_size(room, width + sizeof(Kept)), "the rows to explain");
	/* What is there stays in its context; the first time is before any row is read. */
	r->kept = r->kept ? repalloc_huge(r->kept, room * sizeof(Kept)) : palloc_extended(room * sizeof(Kept), MCXT_ALLOC_HUGE);
	r->values = r->values ? repalloc_huge(r->values, room * width) : palloc_extended(room * width, MCXT_ALLOC_HUGE);
	r->room = room;
}

/* The row just read, unless `most` others are to be kept instead. */
static void
keep(Reader *r, double u)
{
	Kept		row = {u, r->read, r->n};

	if (r->n == r->most)
	{
		if (!farther(&r->kept[0], &row))
			return;
		row.slot = r->kept[0].slot;
		r->kept[0] = row;
		sift_down(r->kept, r->n, 0);
	}
	else
	{
		r->kept[r->n++] = row;
		if (r->n == r->most)
			for (int i = r->n / 2; i-- > 0;)
				sift_down(r->kept, r->n, i);
	}
	memcpy(r->values + (Size) row.slot * slot_width(r), r->row, sizeof(double) * slot_width(r));
}

static void
read_target(Reader *r, Datum value)
{
	double	   *y = &r->row[slot_width(r) - 1];

	ml_convert(&r->actual, value, false, y);
	if (r->model->classes > 0 && *y == ML_UNSEEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model does not know class \"%s\" of column \"%s\"",
						OutputFunctionCall(&r->output, value), r->model->target),
				 errhint("Leave such rows out of the source.")));
	if (!isfinite(*y))
		ml_reject_value(r->model->target, *y);
}

static void
read_row(void *arg, const MlRow *row)
{
	Reader	   *r = arg;
	const MlSchema *schema = r->model->encoder->schema;
	int			n = schema->ncolumns;

	if (r->with_target && row->isnull[n])
	{
		r->skipped++;
		return;
	}
	if (r->with_target)
		read_target(r, row->values[n]);
	for (int i = 0; i < n; i++)
		ml_convert(&r->converters[i], row->values[i], row->isnull[i], r->row + schema->columns[i].first_cell);
	r->read++;
	if (r->n == r->room && r->n < r->most)
		enlarge(r);
	keep(r, ml_split_uniform(row->position, (uint64) r->seed));
}

static void
open_target(Reader *r, const MlSource *source, int column)
{
	const MlModel *model = r->model;
	Oid			output;
	bool		varlena;

	r->target.name = model->target;
	r->target.type = model->target_type;
	r->target.cells = 1;
	r->target.kind = ML_NUMBER;
	if (model->classes > 0)
	{
		r->target.kind = ML_CATEGORY;
		r->target.dict = ml_dict_create(CurrentMemoryContext);
		for (int k = 0; k < model->classes; k++)
			ml_dict_intern(r->target.dict, model->labels[k], strlen(model->labels[k]));
	}
	getTypeOutputInfo(source->columns[column].type, &output, &varlena);
	fmgr_info(output, &r->output);
	ml_converter_init(&r->actual, &r->target, source->columns[column].type, false);
}

static int
compare_number(const void *a, const void *b)
{
	const Kept *left = a;
	const Kept *right = b;

	return left->number < right->number ? -1 : left->number > right->number;
}

/* What was kept, in the order it was read. */
static MlSampleRows *
collect(const Reader *r)
{
	MlSampleRows *rows = palloc0(sizeof(MlSampleRows));
	int			ncells = slot_width(r) - 1;

	rows->model = r->model;
	rows->n = r->n;
	rows->read = r->read;
	rows->cells = palloc_extended(Max(1, sizeof(double) * (Size) r->n * ncells), MCXT_ALLOC_HUGE);
	rows->number = palloc_extended(Max(1, sizeof(int64) * (Size) r->n), MCXT_ALLOC_HUGE);
	if (r->with_target)
		rows->y = palloc_extended(Max(1, sizeof(double) * (Size) r->n), MCXT_ALLOC_HUGE);
	rows->x = palloc0(sizeof(double) * Max(r->model->encoder->p, 1));
	rows->out = palloc0(sizeof(double) * Max(r->model->classes, 1));
	if (r->n > 0)
		qsort(r->kept, r->n, sizeof(Kept), compare_number);
	for (int i = 0; i < r->n; i++)
	{
		const double *from = r->values + (Size) r->kept[i].slot * (ncells + 1);

		memcpy(rows->cells + (Size) i * ncells, from, sizeof(double) * ncells);
		rows->number[i] = r->kept[i].number;
		if (r->with_target)
			rows->y[i] = from[ncells];
	}
	return rows;
}

MlSampleRows *
ml_rows_read(const MlModel *model, const char *text, bool target, int most, int64 seed)
{
	const MlSchema *schema = model->encoder->schema;
	MlSource   *source = ml_source_open(text);
	int		   *columns = palloc((schema->ncolumns + 1) * sizeof(int));
	Reader		r = {.model = model, .with_target = target, .seed = seed, .most = most};
	MlSampleRows *rows;

	r.converters = palloc0(Max(schema->ncolumns, 1) * sizeof(MlConverter));
	for (int i = 0; i < schema->ncolumns; i++)
	{
		columns[i] = ml_source_column(source, schema->columns[i].name);
		ml_converter_init(&r.converters[i], &schema->columns[i], source->columns[columns[i]].type, false);
	}
	if (target)
	{
		columns[schema->ncolumns] = ml_source_column(source, model->target);
		open_target(&r, source, columns[schema->ncolumns]);
	}
	r.row = palloc0(sizeof(double) * slot_width(&r));
	enlarge(&r);
	ml_stream(source, columns, schema->ncolumns + target, read_row, &r);
	if (r.skipped > 0)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("%lld of %lld rows have no value of \"%s\" and were left out",
						(long long) r.skipped, (long long) (r.read + r.skipped), model->target)));
	if (r.n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the source has no rows to explain the model with")));
	if (r.read > r.n)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("a sample of %d of %lld rows is used", r.n, (long long) r.read)));
	rows = collect(&r);
	pfree(r.kept);
	pfree(r.values);
	return rows;
}

void
ml_rows_predict(MlSampleRows *rows, const double *cells)
{
	const MlModel *model = rows->model;

	if (!ml_encode(model->encoder, cells, model->encoder->schema->ncells, 1, rows->x))
		ml_encode_error(model->encoder, cells);
	model->algorithm->predict(model->fit, rows->x, rows->out);
}
