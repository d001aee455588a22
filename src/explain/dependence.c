/*
 * dependence.c - how a prediction depends on one column: partial dependence
 * (Friedman 2001) and individual conditional expectation (Goldstein et al. 2015).
 *
 * Rows of a source are predicted with each value of a grid in the place of the
 * column's own; ICE is these predictions, partial dependence their mean over the
 * rows.  The grid has values that occur: all of them if few, else at equal
 * steps of rank; the most frequent categories; and NULL, where it occurs.
 */
#include "explain/rows.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/host.h"

#define POSTGRES_EPOCH 946684800.0	/* 2000-01-01 in seconds of Unix time */
#define ROWS_PER_CHECK 256

typedef struct Point
{
	double		cell;
	int			count;			/* rows with this category */
} Point;

typedef struct Dependence
{
	MlSampleRows *rows;
	const MlColumn *column;
	Point	   *point;
	int			npoints;
	int			first;			/* classes asked for: from here ... */
	int			nclasses;		/* ... so many; 0: no classes */
	double	   *cells;			/* scratch row */
	double	   *answer;			/* of the last prediction, for each class asked for */
} Dependence;

/* ---- grid ---- */

static int
compare_cell(const void *a, const void *b)
{
	double		left = ((const Point *) a)->cell;
	double		right = ((const Point *) b)->cell;

	return left < right ? -1 : left > right;
}

static int
compare_count(const void *a, const void *b)
{
	const Point *left = a;
	const Point *right = b;

	return left->count != right->count ? right->count - left->count : compare_cell(a, b);
}

/* Sorted points without repetition; returns how many. */
static int
distinct(Point *point, int n)
{
	int			kept = 0;

	for (int i = 0; i < n; i++)
		if (kept > 0 && point[kept - 1].cell == point[i].cell)
			point[kept - 1].count++;
		else
			point[kept++] = (Point) {point[i].cell, 1};
	return kept;
}

/* At most `grid` of n sorted numbers, at equal steps of rank, the ends included. */
static int
thin_out(Point *point, int n, int grid)
{
	Point	   *all = palloc_extended(sizeof(Point) * (Size) n, MCXT_ALLOC_HUGE);
	int			different;

	memcpy(all, point, sizeof(Point) * (Size) n);
	different = distinct(point, n);
	if (different <= grid)
		return different;
	for (int i = 0; i < grid; i++)
		point[i] = all[(int64) i * (n - 1) / (grid - 1)];
	return distinct(point, grid);
}

static void
make_grid(Dependence *d, int grid)
{
	const MlSampleRows *rows = d->rows;
	int			ncells = rows->model->encoder->schema->ncells;
	bool		missing = false;
	int			n = 0;

	d->point = palloc_extended(sizeof(Point) * ((Size) rows->n + 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < rows->n; i++)
	{
		double		cell = rows->cells[(Size) i * ncells + d->column->first_cell];

		if (isnan(cell))
			missing = true;
		else if (d->column->kind != ML_CATEGORY || cell != ML_UNSEEN)
			d->point[n++].cell = cell;
	}
	qsort(d->point, n, sizeof(Point), compare_cell);
	if (d->column->kind != ML_CATEGORY)
		d->npoints = n > 0 ? thin_out(d->point, n, grid) : 0;
	else
	{
		n = distinct(d->point, n);
		qsort(d->point, n, sizeof(Point), compare_count);
		d->npoints = Min(n, grid);
		if (n > grid)
			ereport(NOTICE,
					(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
					 errmsg("the %d most frequent of %d categories are shown", grid, n)));
	}
	if (missing)
		d->point[d->npoints++].cell = NAN;
}

/* ---- values for people ---- */

/* Of a date or time that could be encoded, and so is finite. */
static Timestamp
microseconds(double cell)
{
	return (Timestamp) rint(cell * USECS_PER_SEC);
}

static char *
cell_text(const MlColumn *column, double cell)
{
	int			len;

	switch (column->kind)
	{
		case ML_CATEGORY:
			return pstrdup(ml_dict_get(column->dict, (int) cell, &len));
		case ML_BOOLEAN:
			return cell != 0 ? "true" : "false";
		case ML_DATE:
			return DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum((DateADT) floor(cell / SECS_PER_DAY))));
		case ML_TIMESTAMP:
			return DatumGetCString(DirectFunctionCall1(timestamp_out, TimestampGetDatum(microseconds(cell))));
		case ML_TIMESTAMPTZ:
			return DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(microseconds(cell))));
		case ML_TIME:
			return DatumGetCString(DirectFunctionCall1(time_out, TimeADTGetDatum(microseconds(cell))));
		default:
			return float8out_internal(cell);
	}
}

/* Columns value and x of the result. */
static void
put_point(const Dependence *d, int i, Datum *values, bool *nulls)
{
	const MlColumn *column = d->column;
	double		cell = d->point[i].cell;
	bool		date = column->kind == ML_DATE || column->kind == ML_TIMESTAMP || column->kind == ML_TIMESTAMPTZ;

	nulls[0] = isnan(cell);
	nulls[1] = isnan(cell) || column->kind == ML_CATEGORY;
	if (!nulls[0])
		values[0] = CStringGetTextDatum(cell_text(column, cell));
	if (!nulls[1])
		values[1] = Float8GetDatum(date ? cell + POSTGRES_EPOCH : cell);
}

/* Column class, of the k-th that was asked for. */
static void
put_class(const Dependence *d, int k, Datum *value, bool *isnull)
{
	*isnull = d->nclasses == 0;
	if (!*isnull)
		*value = CStringGetTextDatum(d->rows->model->labels[d->first + k]);
}

/* ---- predictions ---- */

/* Row `row` with the value of point i: d->answer. */
static void
predict(Dependence *d, int row, int i)
{
	const MlModel *model = d->rows->model;
	int			ncells = model->encoder->schema->ncells;

	memcpy(d->cells, d->rows->cells + (Size) row * ncells, sizeof(double) * ncells);
	d->cells[d->column->first_cell] = d->point[i].cell;
	ml_rows_predict(d->rows, d->cells);
	for (int k = 0; k < Max(d->nclasses, 1); k++)
		d->answer[k] = model->classes > 2 ? d->rows->out[d->first + k] :
			d->nclasses == 1 && d->first == 0 ? 1 - d->rows->out[0] : d->rows->out[0];
}

static void
choose_classes(Dependence *d, const MlModel *model, const char *class)
{
	if (model->classes == 0 && class != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model predicts a number and has no classes")));
	if (model->classes == 0)
		return;
	d->first = model->classes == 2 ? 1 : 0;
	d->nclasses = model->classes == 2 ? 1 : model->classes;
	if (class == NULL)
		return;
	d->nclasses = 1;
	for (d->first = 0; d->first < model->classes; d->first++)
		if (strcmp(model->labels[d->first], class) == 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model has no class \"%s\"", class)));
}

static const MlColumn *
find_feature(const MlModel *model, const char *feature)
{
	const MlSchema *schema = model->encoder->schema;
	int			i = ml_schema_find(schema, feature);

	if (i < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the model has no feature \"%s\"", feature)));
	if (schema->columns[i].kind == ML_ARRAY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("feature \"%s\" is an array, which has no single value to change", feature)));
	return &schema->columns[i];
}

/* Arguments (model, source, feature, grid, class, rows, seed), the rows and the grid. */
static void
begin(Dependence *d, FunctionCallInfo fcinfo)
{
	const MlModel *model = ml_rows_model(fcinfo, ML_PREDICT);
	char	   *source = ml_rows_text(fcinfo, 1, "source");
	int			grid = ml_rows_int(fcinfo, 3, "grid", 2, 10000);
	int			most = ml_rows_int(fcinfo, 5, "rows", 1, 10000000);

	memset(d, 0, sizeof(Dependence));
	d->column = find_feature(model, ml_rows_text(fcinfo, 2, "feature"));
	choose_classes(d, model, PG_ARGISNULL(4) ? NULL : ml_rows_text(fcinfo, 4, "class"));
	d->rows = ml_rows_read(model, source, false, most, PG_ARGISNULL(6) ? 0 : PG_GETARG_INT64(6));
	d->cells = palloc0(sizeof(double) * Max(model->encoder->schema->ncells, 1));
	d->answer = palloc0(sizeof(double) * Max(d->nclasses, 1));
	make_grid(d, grid);
}

/* ---- SQL ---- */

static void
partial_dependence(Dependence *d, MlResultRows *result)
{
	int			n = Max(d->nclasses, 1);
	double	   *sum = palloc(sizeof(double) * n);

	for (int i = 0; i < d->npoints; i++)
	{
		memset(sum, 0, sizeof(double) * n);
		for (int row = 0; row < d->rows->n; row++)
		{
			if (row % ROWS_PER_CHECK == 0)
				CHECK_FOR_INTERRUPTS();
			predict(d, row, i);
			for (int k = 0; k < n; k++)
				sum[k] += d->answer[k];
		}
		for (int k = 0; k < n; k++)
		{
			Datum		values[4] = {0};
			bool		nulls[4] = {false};

			put_point(d, i, values, nulls);
			put_class(d, k, &values[2], &nulls[2]);
			values[3] = Float8GetDatum(sum[k] / d->rows->n);
			ml_result_add(result, values, nulls);
		}
	}
}

static void
individual_expectations(Dependence *d, MlResultRows *result)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "ml_ext ice", ALLOCSET_DEFAULT_SIZES);

	for (int row = 0; row < d->rows->n; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(scratch);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < d->npoints; i++)
		{
			predict(d, row, i);
			for (int k = 0; k < Max(d->nclasses, 1); k++)
			{
				Datum		values[5] = {0};
				bool		nulls[5] = {false};

				values[0] = Int64GetDatum(d->rows->number[row]);
				put_point(d, i, values + 1, nulls + 1);
				put_class(d, k, &values[3], &nulls[3]);
				values[4] = Float8GetDatum(d->answer[k]);
				ml_result_add(result, values, nulls);
			}
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
	}
}

static void
answer(FunctionCallInfo fcinfo, void (*fill) (Dependence *d, MlResultRows *result))
{
	MlResultRows result;
	MemoryContext cxt;
	MemoryContext caller;
	Dependence	d;

	ml_result_begin(fcinfo, &result);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext dependence", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(cxt);
	begin(&d, fcinfo);
	fill(&d, &result);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
}

/* ml_partial_dependence(model, source, feature, grid, class, rows, seed) */
ML_FUNCTION(ml_sql_partial_dependence)
{
	answer(fcinfo, partial_dependence);
	PG_RETURN_VOID();
}

/* ml_ice(model, source, feature, grid, class, rows, seed) */
ML_FUNCTION(ml_sql_ice)
{
	answer(fcinfo, individual_expectations);
	PG_RETURN_VOID();
}
