/*
 * baseline.c - the mean of the target, or the share of each class: what every
 * model has to beat.
 *
 * States: regression, (rows, weight, mean, sum of squares about it), merged as
 * Chan, Golub and LeVeque 1979; classification, rows and the weight of each class.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "ml.h"
#include "num/special.h"

typedef struct BaselineParams
{
	char		unused;			/* there are none, but no struct is empty in C */
} BaselineParams;

static const MlParam baseline_params[] = {
	{NULL}
};

typedef struct Baseline
{
	int			classes;		/* 0: regression */
	double		rows;
	double		weight;
	double		sd;				/* regression: of the target; NaN with one row */
	double	   *value;			/* the mean, or `classes` shares */
} Baseline;

enum { AT_ROWS, AT_WEIGHT, AT_MEAN, AT_SQUARES, REGRESSION_SIZE };

#define AT_CLASS 1				/* classification: first class weight, after the rows */

static size_t
baseline_state_size(const MlProblem *problem)
{
	return problem->classes > 0 ? AT_CLASS + (size_t) problem->classes : REGRESSION_SIZE;
}

/* Merges (or with sign -1 takes out) a part with the given moments. */
static void
merge(double *state, double rows, double weight, double mean, double squares, double sign)
{
	double		total = state[AT_WEIGHT] + sign * weight;
	double		delta = mean - state[AT_MEAN];

	if (weight == 0.0)
		return;
	state[AT_ROWS] += sign * rows;
	if (!(total > 0.0))
	{
		state[AT_WEIGHT] = state[AT_MEAN] = state[AT_SQUARES] = 0.0;
		return;
	}
	state[AT_SQUARES] += sign * (squares + delta * delta * weight * (state[AT_WEIGHT] / total));
	if (state[AT_SQUARES] < 0.0)
		state[AT_SQUARES] = 0.0;
	state[AT_MEAN] += sign * delta * (weight / total);
	state[AT_WEIGHT] = total;
}

static void
baseline_accumulate(const MlProblem *problem, double *state, const MlTile *tile)
{
	double		weight = 0.0;
	double		mean = 0.0;
	double		squares = 0.0;

	if (problem->classes > 0)
	{
		for (int i = 0; i < tile->n; i++)
		{
			int			class = (int) tile->y[i];

			if (class >= 0 && class < problem->classes)
				state[AT_CLASS + class] += tile->w ? tile->w[i] : 1.0;
		}
		state[AT_ROWS] += tile->n;
		return;
	}
	for (int i = 0; i < tile->n; i++)
		weight += tile->w ? tile->w[i] : 1.0;
	/* about the first value, so that a large offset costs no digits; halves never overflow */
	for (int i = 0; i < tile->n; i++)
		mean += (tile->y[i] - tile->y[0]) * ((tile->w ? tile->w[i] : 1.0) / weight);
	mean += tile->y[0];
	for (int i = 0; i < tile->n; i++)
		squares += (tile->w ? tile->w[i] : 1.0) * (tile->y[i] - mean) * (tile->y[i] - mean);
	merge(state, tile->n, weight, mean, squares, 1.0);
}

static void
baseline_combine(const MlProblem *problem, double *state, const double *other, double sign)
{
	if (problem->classes > 0)
		for (int i = 0; i < AT_CLASS + problem->classes; i++)
			state[i] += sign * other[i];
	else
		merge(state, other[AT_ROWS], other[AT_WEIGHT], other[AT_MEAN], other[AT_SQUARES], sign);
}

static Baseline *
create_model(int classes)
{
	Baseline   *m = ml_alloc(1, sizeof(Baseline));

	m->classes = classes;
	m->value = ml_alloc(classes > 0 ? classes : 1, sizeof(double));
	m->sd = NAN;
	return m;
}

static MlStep
baseline_finish(const MlProblem *problem, double *state, MlResult *result)
{
	Baseline   *m = create_model(problem->classes);

	m->rows = state[AT_ROWS];
	if (problem->classes > 0)
	{
		for (int i = 0; i < problem->classes; i++)
			m->weight += state[AT_CLASS + i];
	}
	else
		m->weight = state[AT_WEIGHT];
	if (!(m->weight > 0.0) || !(m->rows > 0.0))
		ml_fail_data("no rows to learn from");
	if (problem->classes > 0)
		for (int i = 0; i < problem->classes; i++)
			m->value[i] = state[AT_CLASS + i] / m->weight;
	else
	{
		m->value[0] = state[AT_MEAN];
		if (!isfinite(m->value[0]) || !isfinite(state[AT_SQUARES]))
			ml_fail_data("the squares of the target overflow: divide it by a power of ten first");
		if (m->rows > 1.0)
			m->sd = sqrt(state[AT_SQUARES] / (m->rows - 1.0));
	}
	result->model = m;
	result->objective = problem->classes > 0 ? NAN : state[AT_SQUARES];
	result->converged = true;
	result->stop = "closed form";
	return ML_DONE;
}

static double
baseline_squared_error(const MlProblem *problem, const double *state, const void *model)
{
	const Baseline *m = model;
	double		off = state[AT_MEAN] - m->value[0];

	return state[AT_SQUARES] + state[AT_WEIGHT] * off * off;
}

static void
baseline_predict(const void *model, const double *x, double *out)
{
	const Baseline *m = model;

	if (m->classes == 0)
		out[0] = m->value[0];
	else if (m->classes == 2)
		out[0] = m->value[1];
	else
		for (int i = 0; i < m->classes; i++)
			out[i] = m->value[i];
}

static void
baseline_save(const void *model, MlWriter *writer)
{
	const Baseline *m = model;

	ml_write_f64(writer, m->rows);
	ml_write_f64(writer, m->weight);
	ml_write_f64(writer, m->sd);
	ml_write_f64s(writer, m->value, m->classes > 0 ? m->classes : 1);
}

static void *
baseline_load(MlReader *reader, int format, int p, int classes)
{
	Baseline   *m = ml_alloc(1, sizeof(Baseline));

	m->classes = classes;
	m->rows = ml_read_finite(reader);
	m->weight = ml_read_finite(reader);
	m->sd = ml_read_f64(reader);
	m->value = ml_read_f64s(reader, classes > 0 ? classes : 1);
	if (m->rows < 0.0 || !(m->weight > 0.0) || m->sd < 0.0 || isinf(m->sd))
		ml_corrupt("baseline has %g rows of weight %g and standard deviation %g", m->rows, m->weight, m->sd);
	for (int i = 0; i < classes; i++)
		if (m->value[i] < 0.0 || m->value[i] > 1.0)
			ml_corrupt("share %g of class %d is outside 0 to 1", m->value[i], i);
	return m;
}

static void
baseline_describe(const void *model, MlRows *rows)
{
	const Baseline *m = model;

	ml_row_number(rows, "rows", m->rows);
	ml_row_number(rows, "weight", m->weight);
	if (m->classes == 0)
	{
		ml_row_number(rows, "mean", m->value[0]);
		if (!isnan(m->sd))
			ml_row_number(rows, "sd", m->sd);
	}
	else
		for (int i = 0; i < m->classes; i++)
		{
			char		item[32];

			snprintf(item, sizeof(item), "share of class %d", i);
			ml_row_number(rows, item, m->value[i]);
		}
}

/* The mean with its standard error, as an intercept; shares have no coefficient. */
static int
baseline_coefficients(const void *model, MlCoefficient *out)
{
	const Baseline *m = model;
	double		df = m->rows - 1.0;

	if (m->classes > 0)
		return 0;
	if (out)
	{
		out->column = -1;
		out->output = 0;
		out->estimate = m->value[0];
		out->std_error = m->sd / sqrt(m->weight);
		out->statistic = out->p_value = out->ci_low = out->ci_high = NAN;
		if (m->sd > 0.0)
		{
			double		half = ml_t_quantile(0.975, df) * out->std_error;

			out->statistic = out->estimate / out->std_error;
			out->p_value = ml_t_two_sided(out->statistic, df);
			out->ci_low = out->estimate - half;
			out->ci_high = out->estimate + half;
		}
	}
	return 1;
}

/* Every column contributes nothing.  A class that was never seen has the log-odds of the smallest double. */
static void
baseline_explain(const void *model, const double *x, int output, double *base, double *contrib)
{
	const Baseline *m = model;
	int			class = m->classes == 2 ? 1 : output;

	if (m->classes == 0)
		*base = m->value[0];
	else
		*base = log(fmax(m->value[class], DBL_MIN)) - log(fmax(1.0 - m->value[class], DBL_MIN));
}

static void
baseline_formula(const void *model, MlFormula *out)
{
	const Baseline *m = model;
	int			first = m->classes == 2 ? 1 : out->output < 0 ? 0 : out->output;
	int			last = m->classes > 2 && out->output < 0 ? m->classes - 1 : first;

	for (int k = first; k <= last; k++)
		out->begin(out, m->value[k], 1);
	out->link(out, ML_FORMULA_IDENTITY);
}

static bool
baseline_interval(const void *model, const double *x, double level, double *low, double *high)
{
	const Baseline *m = model;
	double		half;

	if (m->classes > 0 || !(m->rows > 1.0))
		return false;
	half = ml_t_quantile(0.5 + level / 2.0, m->rows - 1.0) * m->sd * sqrt(1.0 + 1.0 / m->weight);
	*low = m->value[0] - half;
	*high = m->value[0] + half;
	return true;
}

const MlAlgorithm ml_algo_baseline = {
	.name = "baseline",
	.summary = "the mean of the target or the shares of its classes: what a model has to beat",
	.tasks = ML_REGRESSION | ML_CLASSIFICATION,
	.flags = ML_SINGLE_PASS | ML_SUBTRACTS | ML_NO_FEATURES,
	.format = 1,
	.params = baseline_params,
	.params_size = sizeof(BaselineParams),
	.state_size = baseline_state_size,
	.accumulate = baseline_accumulate,
	.combine = baseline_combine,
	.finish = baseline_finish,
	.squared_error = baseline_squared_error,
	.predict = baseline_predict,
	.save = baseline_save,
	.load = baseline_load,
	.describe = baseline_describe,
	.coefficients = baseline_coefficients,
	.explain = baseline_explain,
	.formula = baseline_formula,
	.interval = baseline_interval,
};
