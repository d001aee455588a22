/*
 * importance.c - ml_importance with a method: by what a model's trees say of
 * themselves, or by what rows of a source show.
 *
 * Permutation (Breiman 2001; Fisher, Rudin and Dominici 2019): how much worse the
 * model's main metric gets when a column's values are dealt out anew among the
 * rows, mean and standard deviation over the repeats.  SHAP: the mean of
 * a column's absolute contribution, summed over the classes where there are more
 * than two.
 */
#include "explain/rows.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/host.h"
#include "core/predict.h"
#include "eval/metrics.h"

#define ROWS_PER_CHECK 256

typedef struct Line
{
	const char *name;
	double		value;
	double		sd;				/* NaN: none */
	int			position;
} Line;

static int
compare_lines(const void *a, const void *b)
{
	const Line *left = a;
	const Line *right = b;

	if (left->value != right->value)
		return left->value > right->value ? -1 : 1;
	return left->position - right->position;
}

/* ---- from the model itself ---- */

static void
shares_of_model(const MlModel *model, const char *method, Line *lines)
{
	const MlEncoder *encoder = model->encoder;
	double	   *encoded = palloc0(sizeof(double) * Max(encoder->p, 1));
	double		total = 0;

	if (model->algorithm->importance_by == NULL ||
		!model->algorithm->importance_by(model->fit, method, encoded))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("models of algorithm \"%s\" have no importance by \"%s\"", model->algorithm->name, method),
				 errhint("Methods \"permutation\" and \"shap\" measure it on rows of a source.")));
	for (int j = 0; j < encoder->p; j++)
	{
		lines[encoder->source[j]].value += encoded[j];
		total += encoded[j];
	}
	for (int i = 0; i < encoder->schema->ncolumns && total > 0; i++)
		lines[i].value /= total;
}

/* ---- permutation ---- */

/* The main metric, with cells of one column taken from the rows that `from` names (NULL: all as they are). */
static double
measure(MlSampleRows *rows, double *cells, const MlColumn *column, const int *from, bool *higher_is_better)
{
	const MlModel *model = rows->model;
	int			ncells = model->encoder->schema->ncells;
	MlMetrics  *metrics = ml_metrics_create(model->task, model->classes);
	const char *name = ml_metrics_main(model->task, model->classes);
	MlMetricValue *values;
	double		value = NAN;
	int			n;

	for (int i = 0; i < rows->n; i++)
	{
		if (i % ROWS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		memcpy(cells, rows->cells + (Size) i * ncells, sizeof(double) * ncells);
		if (from != NULL)
			memcpy(cells + column->first_cell, rows->cells + (Size) from[i] * ncells + column->first_cell,
				   sizeof(double) * column->cells);
		ml_rows_predict(rows, cells);
		ml_metrics_add(metrics, rows->y[i], rows->out, 1);
	}
	n = ml_metrics_values(metrics, &values);
	for (int i = 0; i < n; i++)
		if (strcmp(values[i].name, name) == 0)
		{
			value = values[i].value;
			*higher_is_better = values[i].higher_is_better;
			if (isnan(value))
				ereport(ERROR,
						(errcode(ERRCODE_DATA_EXCEPTION),
						 errmsg("metric \"%s\" is undefined on these rows", name),
						 values[i].undefined ? errdetail_internal("%s", values[i].undefined) : 0));
		}
	ml_metrics_free(metrics);
	return value;
}

/* The next of a sequence of random numbers (SplitMix64: Steele, Lea and Flood 2014). */
static uint64
next_random(uint64 *state)
{
	uint64		z = (*state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void
shuffle(int *order, int n, uint64 seed)
{
	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = n - 1; i > 0; i--)
	{
		int			j = (int) (next_random(&seed) % (uint64) (i + 1));
		int			moved = order[i];

		order[i] = order[j];
		order[j] = moved;
	}
}

static void
permutation(MlSampleRows *rows, int repeats, int64 seed, Line *lines)
{
	const MlSchema *schema = rows->model->encoder->schema;
	double	   *cells = palloc(sizeof(double) * Max(schema->ncells, 1));
	int		   *order = palloc_extended(sizeof(int) * (Size) rows->n, MCXT_ALLOC_HUGE);
	bool		higher = false;
	double		intact = measure(rows, cells, NULL, NULL, &higher);

	for (int c = 0; c < schema->ncolumns; c++)
	{
		double		mean = 0;
		double		m2 = 0;

		for (int r = 0; r < repeats; r++)
		{
			uint64		state = (uint64) seed;
			double		drop;
			double		delta;

			/* A sequence of its own for each column and repeat. */
			state = next_random(&state) + (uint64) c;
			state = next_random(&state) + (uint64) r;
			shuffle(order, rows->n, state);
			drop = measure(rows, cells, &schema->columns[c], order, &higher) - intact;
			if (higher)
				drop = -drop;
			delta = drop - mean;
			mean += delta / (r + 1);
			m2 += delta * (drop - mean);
		}
		lines[c].value = mean;
		lines[c].sd = repeats > 1 ? sqrt(m2 / (repeats - 1)) : NAN;
	}
}

/* ---- SHAP ---- */

static void
mean_contributions(MlSampleRows *rows, Line *lines)
{
	const MlModel *model = rows->model;
	const MlEncoder *encoder = model->encoder;
	int			ncolumns = encoder->schema->ncolumns;
	int			outputs = model->classes > 2 ? model->classes : 1;
	double	   *encoded = palloc0(sizeof(double) * Max(encoder->p, 1));
	double	   *columns = palloc0(sizeof(double) * Max(ncolumns, 1));
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "ml_ext explain", ALLOCSET_DEFAULT_SIZES);

	if (model->algorithm->explain == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm \"%s\" cannot explain its predictions", model->algorithm->name)));
	for (int i = 0; i < rows->n; i++)
		for (int k = 0; k < outputs; k++)
		{
			MemoryContext old = MemoryContextSwitchTo(scratch);
			double		base;

			CHECK_FOR_INTERRUPTS();
			if (k == 0)
				ml_rows_predict(rows, rows->cells + (Size) i * encoder->schema->ncells);
			model->algorithm->explain(model->fit, rows->x, k, &base, encoded);
			memset(columns, 0, sizeof(double) * ncolumns);
			for (int j = 0; j < encoder->p; j++)
				columns[encoder->source[j]] += encoded[j];
			for (int c = 0; c < ncolumns; c++)
				lines[c].value += fabs(columns[c]) / rows->n;
			MemoryContextSwitchTo(old);
			MemoryContextReset(scratch);
		}
}

/* ---- SQL ---- */

static void
measure_on_rows(FunctionCallInfo fcinfo, const MlModel *model, const char *method, Line *lines)
{
	bool		shap = strcmp(method, "shap") == 0;
	int			most = ml_rows_int(fcinfo, 3, "rows", 1, 10000000);
	int			repeats = ml_rows_int(fcinfo, 4, "repeats", 1, 1000);
	int64		seed = PG_ARGISNULL(5) ? 0 : PG_GETARG_INT64(5);
	MlSampleRows *rows;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("importance by \"%s\" is measured on rows", method),
				 errhint("Name them with source => '...'.")));
	if (!shap && model->target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the model has no target, so no metric can get worse"),
				 errhint("Use method => 'shap'.")));
	rows = ml_rows_read(model, ml_rows_text(fcinfo, 2, "source"), !shap, most, seed);
	if (shap)
		mean_contributions(rows, lines);
	else
		permutation(rows, repeats, seed, lines);
}

static void
importance(FunctionCallInfo fcinfo, MlResultRows *result)
{
	const MlModel *model = ml_rows_model(fcinfo, ML_VIEW);
	const MlSchema *schema = model->encoder->schema;
	const char *method = ml_rows_text(fcinfo, 1, "method");
	Line	   *lines = palloc0(sizeof(Line) * Max(schema->ncolumns, 1));

	for (int i = 0; i < schema->ncolumns; i++)
		lines[i] = (Line) {schema->columns[i].name, 0, NAN, i};
	if (strcmp(method, "permutation") == 0 || strcmp(method, "shap") == 0)
		measure_on_rows(fcinfo, model, method, lines);
	else if (strcmp(method, "gain") != 0 && strcmp(method, "cover") != 0 && strcmp(method, "splits") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("importance by \"%s\" is unknown", method),
				 errhint("Methods are gain, cover, splits, permutation and shap.")));
	else if (!PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("importance by \"%s\" is in the model and reads no source", method)));
	else
		shares_of_model(model, method, lines);
	qsort(lines, schema->ncolumns, sizeof(Line), compare_lines);
	for (int i = 0; i < schema->ncolumns; i++)
	{
		Datum		values[3] = {CStringGetTextDatum(lines[i].name), Float8GetDatum(lines[i].value),
			Float8GetDatum(lines[i].sd)};
		bool		nulls[3] = {false, false, isnan(lines[i].sd)};

		ml_result_add(result, values, nulls);
	}
}

/* ml_importance(model, method, source, rows, repeats, seed) */
ML_FUNCTION(ml_sql_importance_by)
{
	MlResultRows result;
	MemoryContext cxt;
	MemoryContext caller;

	ml_result_begin(fcinfo, &result);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext importance", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(cxt);
	importance(fcinfo, &result);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
	PG_RETURN_VOID();
}
