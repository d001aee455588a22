/*
 * attribution.c - what each column of a row adds to a prediction, and how much
 * each column counts over all.
 *
 * An algorithm explains encoded columns; people know the columns of their
 * table, so what the encoded columns of one source column add is summed.
 *
 * Importance, for algorithms without a measure of their own: the standard
 * deviation of a column's contribution over the training values, as the
 * summaries in the model have kept them.  For a number the contribution is
 * linear in the value, so it is the effect of one standard deviation; any other
 * kind of column walks through the quantiles of its values.  A model that has
 * forgotten rows knows no values any more, but these deviations (deploy/additive.c).
 */
#include "core/json.h"
#include "core/predict.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#define QUANTILES 200			/* steps of half a percent: finer than the sketch's error */

/* ---- one row ---- */

/* Sums what encoded columns add by the column they come from. */
static void
sum_by_source(const MlEncoder *encoder, const double *encoded, double *columns)
{
	memset(columns, 0, sizeof(double) * encoder->schema->ncolumns);
	for (int i = 0; i < encoder->p; i++)
		columns[encoder->source[i]] += encoded[i];
}

static void
put_contribution(Tuplestorestate *store, TupleDesc tupdesc, const char *feature,
				 const char *value, double contribution)
{
	Datum		values[3];
	bool		nulls[3] = {false, value == NULL, false};

	ml_check_prediction(contribution);
	values[0] = CStringGetTextDatum(feature);
	values[1] = value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
	values[2] = Float8GetDatum(contribution);
	tuplestore_putvalues(store, tupdesc, values, nulls);
}

static void
need_explain(const MlModel *model)
{
	if (model->algorithm->explain == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm \"%s\" cannot explain its predictions", model->algorithm->name)));
}

ML_FUNCTION(ml_sql_explain)
{
	TupleDesc	tupdesc;
	Tuplestorestate *store = ml_look_begin(fcinfo, &tupdesc);
	MlSite	   *site = ml_site_detailed(fcinfo, ML_PREDICT);
	const MlModel *model = site->model;
	const MlEncoder *encoder = model->encoder;
	double	   *encoded = palloc0(sizeof(double) * Max(encoder->p, 1));
	double	   *columns = palloc0(sizeof(double) * Max(encoder->schema->ncolumns, 1));
	double		base = 0.0;

	need_explain(model);
	ml_site_predict(site, fcinfo);
	model->algorithm->explain(model->fit, site->x,
							  model->classes > 2 ? ml_site_class(site) : 0, &base, encoded);
	sum_by_source(encoder, encoded, columns);
	put_contribution(store, tupdesc, "(base)", NULL, base);
	for (int i = 0; i < encoder->schema->ncolumns; i++)
		put_contribution(store, tupdesc, encoder->schema->columns[i].name,
						 ml_site_value(site, fcinfo, i), columns[i]);
	PG_RETURN_NULL();
}

/* ---- all rows ---- */

/* A row of typical cells, to change one column of. */
typedef struct Probe
{
	const MlModel *model;
	double	   *cells;
	double	   *x;
	double	   *encoded;
	double	   *columns;
} Probe;

static bool
is_plain_number(const MlEncoder *encoder, int column)
{
	return encoder->columns[column].code == ML_CODE_NUMBER;
}

static void
probe_init(Probe *probe, const MlModel *model)
{
	const MlEncoder *encoder = model->encoder;
	const MlSchema *schema = encoder->schema;

	probe->model = model;
	probe->cells = palloc0(sizeof(double) * Max(schema->ncells, 1));
	probe->x = palloc0(sizeof(double) * Max(encoder->p, 1));
	probe->encoded = palloc0(sizeof(double) * Max(encoder->p, 1));
	probe->columns = palloc0(sizeof(double) * Max(schema->ncolumns, 1));
	for (int i = 0; i < schema->ncolumns; i++)
		for (int k = 0; k < schema->columns[i].cells; k++)
		{
			int			cell = schema->columns[i].first_cell + k;
			const MlSummary *s = &model->summaries[cell];

			if (s->n > 0)
				probe->cells[cell] = is_plain_number(encoder, i) ? s->mean : ml_summary_quantile(s, 0.5);
		}
}

/* What the column adds to an output with the probe's cells; false when they cannot be encoded. */
static bool
probe_run(Probe *probe, int column, int output, double *contribution)
{
	const MlEncoder *encoder = probe->model->encoder;
	double		base;

	if (!ml_encode(encoder, probe->cells, encoder->schema->ncells, 1, probe->x))
		return false;
	probe->model->algorithm->explain(probe->model->fit, probe->x, output, &base, probe->encoded);
	sum_by_source(encoder, probe->encoded, probe->columns);
	*contribution = probe->columns[column];
	return true;
}

/* Variance of the contribution of a number, or of each of an array's numbers. */
static double
number_variance(Probe *probe, int column, int output)
{
	const MlColumn *c = &probe->model->encoder->schema->columns[column];
	double		sum = 0.0;

	for (int k = 0; k < c->cells; k++)
	{
		int			cell = c->first_cell + k;
		const MlSummary *s = &probe->model->summaries[cell];
		double		saved = probe->cells[cell];
		double		at_mean;
		double		above;

		if (s->n > 1 && probe_run(probe, column, output, &at_mean))
		{
			probe->cells[cell] = saved + sqrt(ml_summary_variance(s, false));
			if (probe_run(probe, column, output, &above))
				sum += (above - at_mean) * (above - at_mean);
		}
		probe->cells[cell] = saved;
	}
	return sum;
}

/* Adds a weighted value to a running mean and sum of squares (West 1979). */
static void
add_weighted(double value, double weight, double *total, double *mean, double *m2)
{
	double		delta = value - *mean;

	*total += weight;
	*mean += delta * weight / *total;
	*m2 += weight * delta * (value - *mean);
}

/* Variance of the contribution of a column of one cell over its values, missing ones included. */
static double
value_variance(Probe *probe, int column, int output)
{
	const MlColumn *c = &probe->model->encoder->schema->columns[column];
	const MlSummary *s = &probe->model->summaries[c->first_cell];
	MlQuantiles quantiles;
	double		saved = probe->cells[c->first_cell];
	double		total = 0.0;
	double		mean = 0.0;
	double		m2 = 0.0;
	double		contribution;

	ml_quantiles_init(&quantiles, s);
	for (int k = 0; k < QUANTILES && s->n > 0; k++)
	{
		double		value = ml_quantile(&quantiles, (k + 0.5) / QUANTILES);

		probe->cells[c->first_cell] = c->kind == ML_CATEGORY ? rint(value) : value;
		if (probe_run(probe, column, output, &contribution))
			add_weighted(contribution, s->n / QUANTILES, &total, &mean, &m2);
	}
	probe->cells[c->first_cell] = NAN;
	if (s->nulls > 0 && probe_run(probe, column, output, &contribution))
		add_weighted(contribution, s->nulls, &total, &mean, &m2);
	probe->cells[c->first_cell] = saved;
	return total > 0 ? m2 / total : 0.0;
}

static void
measured_weights(const MlModel *model, double *weight)
{
	const MlEncoder *encoder = model->encoder;
	int			outputs = model->classes > 2 ? model->classes : 1;
	Probe		probe;

	if (model->summaries == NULL)
	{
		JsonbContainer *spreads = ml_json_member(model->info ? &model->info->root : NULL, "spreads");

		if (ml_json_size(spreads) != encoder->schema->ncolumns)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("model carries no summaries of its training rows")));
		for (int i = 0; i < encoder->schema->ncolumns; i++)
			weight[i] = fmax(ml_json_at(spreads, i), 0);
		return;
	}
	probe_init(&probe, model);
	for (int i = 0; i < encoder->schema->ncolumns; i++)
	{
		weight[i] = 0.0;
		for (int output = 0; output < outputs; output++)
		{
			CHECK_FOR_INTERRUPTS();
			weight[i] += sqrt(is_plain_number(encoder, i) ?
							  number_variance(&probe, i, output) :
							  value_variance(&probe, i, output));
		}
	}
}

typedef struct Share
{
	const char *name;
	double		weight;
	int			position;
} Share;

static int
compare_shares(const void *a, const void *b)
{
	const Share *left = a;
	const Share *right = b;

	if (left->weight != right->weight)
		return left->weight > right->weight ? -1 : 1;
	return left->position - right->position;
}

ML_FUNCTION(ml_sql_importance)
{
	TupleDesc	tupdesc;
	Tuplestorestate *store = ml_look_begin(fcinfo, &tupdesc);
	MlSite	   *site = ml_site_detailed(fcinfo, ML_VIEW);
	const MlModel *model = site->model;
	const MlSchema *schema = model->encoder->schema;
	double	   *weight = palloc0(sizeof(double) * Max(schema->ncolumns, 1));
	Share	   *shares = palloc0(sizeof(Share) * Max(schema->ncolumns, 1));
	double		total = 0.0;

	if (schema->ncolumns > 0 && model->algorithm->importance != NULL)
	{
		double	   *encoded = palloc0(sizeof(double) * model->encoder->p);

		model->algorithm->importance(model->fit, encoded);
		sum_by_source(model->encoder, encoded, weight);
	}
	else if (schema->ncolumns > 0)
	{
		need_explain(model);
		measured_weights(ml_site_whole_model(site, fcinfo), weight);
	}

	for (int i = 0; i < schema->ncolumns; i++)
	{
		shares[i].name = schema->columns[i].name;
		shares[i].weight = weight[i];
		shares[i].position = i;
		total += weight[i];
	}
	qsort(shares, schema->ncolumns, sizeof(Share), compare_shares);
	for (int i = 0; i < schema->ncolumns; i++)
	{
		Datum		values[2] = {CStringGetTextDatum(shares[i].name),
			Float8GetDatum(total > 0 ? shares[i].weight / total : 0.0)};
		bool		nulls[2] = {false, false};

		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	PG_RETURN_NULL();
}
