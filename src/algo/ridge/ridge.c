/*
 * ridge.c - least squares with a quadratic penalty, from moments.
 *
 *   minimize  sum w (y - alpha - beta x)^2 + l2 |gamma|^2
 *
 * where gamma_j = beta_j sd_j for a column that the problem calls scaled (sd:
 * population standard deviation of the training rows) and beta_j for the others.
 * Hoerl and Kennard 1970.  In those units the answer is (A + l2 I)^-1 b.
 */
#include <math.h>
#include <string.h>

#include "ml.h"
#include "num/dense.h"
#include "num/linear_model.h"
#include "num/moments.h"

typedef struct RidgeParams
{
	double		l2;
	bool		intercept;
} RidgeParams;

static const MlParam ridge_params[] = {
	{"l2", "penalty on the squared coefficients, in units of the sum of squares, or \"cv\"",
	ML_PARAM_PENALTY, offsetof(RidgeParams, l2), "1", 0.0, 1e300},
	{"intercept", "fit an intercept, which is not penalized",
	ML_PARAM_BOOL, offsetof(RidgeParams, intercept), "true"},
	{NULL}
};

/*
 * The grid of "cv": a standardized column has the square norm n (the sum of
 * weights), so l2 = n halves a lone coefficient.  From no shrinkage to all of it.
 */
#define GRID_SIZE 100
#define GRID_FROM 1e-6			/* times n */
#define GRID_TO 1e3

static double
grid_value(int i, double weight)
{
	return weight * GRID_TO * pow(GRID_FROM / GRID_TO, (double) i / (GRID_SIZE - 1));
}

/* factor = Cholesky of A + l2 I and gamma = the solution; false when singular. */
static bool
solve(const MlCross *c, double l2, double *factor, double *gamma)
{
	int			p = c->p;

	memcpy(factor, c->a, sizeof(double) * p * p);
	memcpy(gamma, c->b, sizeof(double) * p);
	for (int j = 0; j < p; j++)
		factor[j + (size_t) j * p] += l2;
	if (!ml_cholesky(p, factor))
		return false;
	for (int j = 0; j < p; j++)
	{
		double		pivot = factor[j + (size_t) j * p];

		/* what is left of the diagonal is rounding */
		if (pivot * pivot < 1e-13 * (c->a[j + (size_t) j * p] + l2))
			return false;
	}
	ml_cholesky_solve(p, 1, factor, gamma);
	return true;
}

/*
 * Variance s^2 (A + L)^-1 A (A + L)^-1 and effective degrees of freedom
 * tr A (A + L)^-1, from H = (A + L)^-1: A H = I - l2 H, so no product is needed
 * for the trace and one for the variance: H - l2 H H.
 */
static void
infer(const MlCross *c, double l2, double rss, const double *factor, MlLinear *m)
{
	int			p = c->p;
	size_t		side = (size_t) p + 1;
	double		used = m->intercept ? 1.0 : 0.0;
	double	   *h = ml_alloc((size_t) p * p + 1, sizeof(double));
	double	   *hh = ml_alloc((size_t) p * p + 1, sizeof(double));

	ml_check_interrupts();
	memcpy(h, factor, sizeof(double) * p * p);
	ml_cholesky_inverse(p, h);
	/* H is symmetric: the sum over its rows of h h' is H H */
	for (int from = 0; from < p; from += 64)
	{
		ml_gram_add(p - from < 64 ? p - from : 64, p, h + (size_t) from * p, hh);
		ml_check_interrupts();
	}
	for (int j = 0; j < p; j++)
		used += 1.0 - l2 * h[j + (size_t) j * p];
	m->df = c->rows - used;
	if (!(m->df > 0.0))
		return;
	m->dispersion = rss / m->df;
	m->sigma = sqrt(m->dispersion);
	m->vcov = ml_alloc(side * side, sizeof(double));
	m->vcov[0] = m->intercept ? m->dispersion / c->weight : 0.0;
	for (int j = 0; j < p; j++)
		for (int i = 0; i < p; i++)
			m->vcov[(j + 1) * side + i + 1] =
				m->dispersion * (h[i + (size_t) j * p] - l2 * hh[i + (size_t) j * p]);
	/* under a penalty that leaves no variance, the difference may fall below zero by rounding */
	for (size_t j = 0; j < side; j++)
		m->vcov[j * side + j] = fmax(m->vcov[j * side + j], 0.0);
}

static MlStep
ridge_finish(const MlProblem *problem, double *state, MlResult *result)
{
	const RidgeParams *params = problem->params;
	MlCross    *c;
	int			p = problem->p;
	MlLinear   *m;
	double	   *factor;
	double	   *gamma;
	double		square = 0.0;

	if (isnan(params->l2))
		ml_fail_param("\"l2\" is \"cv\", which needs the folds of a training: give a number");
	c = ml_cross_create(problem, state, params->intercept, problem->scaled);
	factor = ml_alloc((size_t) p * p + 1, sizeof(double));
	gamma = ml_alloc((size_t) p + 1, sizeof(double));
	if (!solve(c, params->l2, factor, gamma))
		ml_fail_data("columns are linearly dependent and \"l2\" is too small to tell them apart: "
					 "raise it, or use algorithm \"linear\"");

	m = ml_linear_create(ML_LINK_IDENTITY, p, 1);
	m->intercept = params->intercept;
	memcpy(m->beta, gamma, sizeof(double) * p);
	m->alpha[0] = ml_cross_alpha(c, params->intercept, gamma);
	/* rss = yy - 2 b g + g A g = yy - b g - l2 g g */
	square = ml_dot(p, gamma, gamma);
	m->deviance = fmax(c->yy - ml_dot(p, c->b, gamma) - params->l2 * square, 0.0);
	m->null_deviance = c->yy;
	m->n = c->rows;
	m->rank = p;
	m->iterations = 1;
	m->lambda = params->l2;
	if (c->yy > 0.0)
		m->r_squared = 1.0 - m->deviance / c->yy;
	infer(c, params->l2, m->deviance, factor, m);
	ml_linear_unscale(m, c->center, c->scale);
	for (int j = 0; j < p; j++)
		if (!isfinite(m->beta[j]))
			ml_fail_data("the coefficient of \"%s\" overflows: rescale the column first", problem->names[j]);
	result->model = m;
	result->objective = m->deviance + params->l2 * square;
	result->converged = true;
	result->stop = "solved by Cholesky decomposition";
	return ML_DONE;
}

/*
 * Sums the squared errors of each fold, left out in turn, for every penalty of
 * the grid; the smallest sum wins, the stronger penalty on a tie.
 */
static void *
ridge_choose(const MlProblem *problem, double *const *folds, int nfolds)
{
	const RidgeParams *params = problem->params;
	RidgeParams *chosen = ml_alloc(1, sizeof(RidgeParams));
	size_t		size = ml_moments_size(problem);
	int			p = problem->p;
	double	   *train = ml_alloc(size, sizeof(double));
	double	   *factor = ml_alloc((size_t) p * p + 1, sizeof(double));
	double	   *gamma = ml_alloc((size_t) p + 1, sizeof(double));
	double	   *work = ml_alloc(2 * ((size_t) p + 2), sizeof(double));
	double		error[GRID_SIZE] = {0};
	double		weight = 0.0;
	MlCross    *c = NULL;
	int			best = -1;

	*chosen = *params;
	if (!isnan(params->l2))
		return chosen;
	for (int f = 0; f < nfolds; f++)
		weight += ml_moments_view(problem, folds[f]).weight;
	for (int f = 0; f < nfolds; f++)
	{
		memset(train, 0, sizeof(double) * size);
		for (int g = 0; g < nfolds; g++)
			if (g != f)
				ml_moments_combine(problem, train, folds[g], 1.0);
		if (c == NULL)
			c = ml_cross_create(problem, train, params->intercept, problem->scaled);
		else
			ml_cross_fill(problem, train, params->intercept, problem->scaled, c);
		for (int i = 0; i < GRID_SIZE; i++)
		{
			ml_check_interrupts();
			if (!solve(c, grid_value(i, weight), factor, gamma))
			{
				error[i] = INFINITY;
				continue;
			}
			for (int j = 0; j < p; j++)
				gamma[j] /= c->scale[j];
			error[i] += ml_moments_squared_error(problem, folds[f],
												 c->y_center * (params->intercept ? 1.0 : 0.0),
												 gamma, c->center, work);
		}
	}
	for (int i = 0; i < GRID_SIZE; i++)
		if (isfinite(error[i]) && (best < 0 || error[i] < error[best]))
			best = i;
	if (best < 0)
		ml_fail_data("cross-validation found no penalty with a finite error");
	chosen->l2 = grid_value(best, weight);
	return chosen;
}

/* A penalized estimate is biased: a standard error beside it would be read as that of an unbiased one. */
static int
ridge_coefficients(const void *model, MlCoefficient *out)
{
	int			n = ml_linear_coefficients(model, out);

	for (int i = 0; out && i < n; i++)
		out[i].std_error = out[i].statistic = out[i].p_value = out[i].ci_low = out[i].ci_high = NAN;
	return n;
}

const MlAlgorithm ml_algo_ridge = {
	.name = "ridge",
	.summary = "least squares with a quadratic penalty (l2)",
	.tasks = ML_REGRESSION,
	.flags = ML_SINGLE_PASS | ML_SUBTRACTS | ML_REFERENCE_LEVEL,
	.format = 1,
	.params = ridge_params,
	.params_size = sizeof(RidgeParams),
	.state_size = ml_moments_size,
	.accumulate = ml_moments_accumulate,
	.combine = ml_moments_combine,
	.finish = ridge_finish,
	.choose = ridge_choose,
	.squared_error = ml_moments_model_error,
	.predict = ml_linear_predict,
	.save = ml_linear_save,
	.load = ml_linear_load,
	.describe = ml_linear_describe,
	.coefficients = ridge_coefficients,
	.explain = ml_linear_explain,
	.formula = ml_linear_formula,
	.interval = ml_linear_interval,
};
