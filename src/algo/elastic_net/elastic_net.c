/*
 * elastic_net.c - least squares with L1 and L2 penalties over a whole path, as
 * glmnet's gaussian family (Friedman, Hastie and Tibshirani 2010):
 *
 *   minimize  1/(2n) sum w (u - alpha - gamma z)^2
 *             + lambda/s (l1_ratio |gamma|_1 + (1 - l1_ratio)/2 |gamma|_2^2)
 *
 * with n the sum of weights, u = y / s, s the population standard deviation of y,
 * and z = x / sd for a column that the problem calls scaled, else z = x.  Without
 * intercept s is the root mean square of y.  Lambda is thus in units of y.
 *
 * `lasso` is l1_ratio = 1.  States are moments; all folds of a cross-validation
 * come from one scan.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "ml.h"
#include "num/linear_model.h"
#include "num/moments.h"
#include "num/path.h"

/* What choosing by cross-validation leaves for the model: errors along the grid. */
typedef struct Curve
{
	int			n;
	double	   *lambda;
	double	   *mean;
	double	   *se;
} Curve;

typedef struct NetParams
{
	double		lambda;
	double		l1_ratio;		/* elastic_net only */
	int			n_lambda;
	bool		intercept;
	int			max_iter;
	double		tol;
	const Curve *curve;			/* no parameter: set by choose, NULL otherwise */
} NetParams;

#define COMMON_PARAMS \
	{"lambda", "penalty in units of the target, or \"cv\"", \
	ML_PARAM_PENALTY, offsetof(NetParams, lambda), "cv", 0.0, 1e300}, \
	{"n_lambda", "number of penalties on the path", \
	ML_PARAM_INT, offsetof(NetParams, n_lambda), "100", 2, 10000}, \
	{"intercept", "fit an intercept, which is not penalized", \
	ML_PARAM_BOOL, offsetof(NetParams, intercept), "true"}, \
	{"max_iter", "most sweeps over the columns for one penalty", \
	ML_PARAM_INT, offsetof(NetParams, max_iter), "10000", 1, 1e9}, \
	{"tol", "stop when no coefficient moves the prediction by more than this share of the target's standard deviation", \
	ML_PARAM_REAL, offsetof(NetParams, tol), "1e-10", 1e-15, 0.1}

static const MlParam lasso_params[] = {
	COMMON_PARAMS,
	{NULL}
};

static const MlParam elastic_net_params[] = {
	COMMON_PARAMS,
	{"l1_ratio", "share of the absolute penalty: 1 is lasso, 0 is ridge",
	ML_PARAM_REAL, offsetof(NetParams, l1_ratio), "0.5", 0.0, 1.0},
	{NULL}
};

#define PATH_RATIO 1e-4			/* smallest to largest penalty, as glmnet */
#define PATH_RATIO_WIDE 1e-2	/* with fewer rows than columns */

/* A problem in standardized units, and the solver's room.  Reused from fold to fold. */
typedef struct Net
{
	MlCross    *cross;
	MlPath		path;
	double		unit;			/* s */
	double		yy;				/* mean square of u about its center */
	double	   *beta;
	double	   *grad;
} Net;

static void
net_set(Net *net, const MlProblem *problem, const double *state, double l1_ratio)
{
	const NetParams *params = problem->params;
	MlCross    *c;
	size_t		p = problem->p;

	if (net->cross == NULL)
	{
		net->cross = ml_cross_create(problem, state, params->intercept, problem->scaled);
		net->beta = ml_alloc(p + 1, sizeof(double));
		net->grad = ml_alloc(p + 1, sizeof(double));
		net->path.work = ml_alloc(ml_path_work(problem->p), sizeof(double));
	}
	else
		ml_cross_fill(problem, state, params->intercept, problem->scaled, net->cross);
	c = net->cross;
	net->unit = sqrt(fmax(c->yy, 0.0) / c->weight);
	if (!(net->unit > 0.0))
		net->unit = 1.0;
	for (size_t i = 0; i < p * p; i++)
		c->a[i] /= c->weight;
	for (size_t j = 0; j < p; j++)
		c->b[j] /= c->weight * net->unit;
	net->yy = c->yy / (c->weight * net->unit * net->unit);
	memset(net->beta, 0, sizeof(double) * p);
	net->path.p = problem->p;
	net->path.c = c->a;
	net->path.g = c->b;
	net->path.l1_ratio = l1_ratio;
	net->path.tol = params->tol;
	net->path.max_iter = params->max_iter;
	net->path.check = ml_check_interrupts;
}

/* Share of the mean square that the coefficients explain. */
static double
net_explained(const Net *net)
{
	double		explained = 0.0;

	/* yy - rss = g b + grad b */
	for (int j = 0; j < net->path.p; j++)
		if (net->beta[j] != 0.0)
			explained += net->beta[j] * (net->path.g[j] + net->grad[j]);
	return net->yy > 0.0 ? explained / net->yy : NAN;
}

/* Coefficients in the units of x and y; returns eta at x = center. */
static double
net_unscale(const Net *net, bool intercept, double *beta)
{
	const MlCross *c = net->cross;
	double		alpha;

	for (int j = 0; j < c->p; j++)
		beta[j] = net->beta[j] * net->unit;
	alpha = ml_cross_alpha(c, intercept, beta);
	for (int j = 0; j < c->p; j++)
		beta[j] /= c->scale[j];
	return alpha;
}

static double *
net_grid(const Net *net, const MlProblem *problem)
{
	const NetParams *params = problem->params;
	double	   *lambda = ml_alloc(params->n_lambda, sizeof(double));

	ml_path_grid(params->n_lambda, ml_path_lambda_max(&net->path) * net->unit,
				 net->cross->rows < problem->p ? PATH_RATIO_WIDE : PATH_RATIO, lambda);
	return lambda;
}

/* The errors that chose this lambda, if one was chosen. */
static const Curve *
curve_of(const NetParams *params)
{
	return params->curve && params->curve->n == params->n_lambda ? params->curve : NULL;
}

/* ---- training ---- */

typedef struct Progress
{
	int			sweeps;
	int			failed;			/* penalties that did not converge */
} Progress;

static void
net_solve(Net *net, double lambda, Progress *progress)
{
	int			sweeps = ml_path_solve(&net->path, lambda / net->unit, net->beta, net->grad);

	progress->sweeps += sweeps < 0 ? net->path.max_iter : sweeps;
	progress->failed += sweeps < 0;
	ml_check_interrupts();
}

static void
keep_path(Net *net, int at, MlLinear *m, double *beta)
{
	double	   *row = m->path_beta + (size_t) at * (m->p + 1);
	double		alpha = net_unscale(net, m->intercept, beta);

	for (int j = 0; j < m->p; j++)
	{
		row[1 + j] = beta[j];
		alpha -= beta[j] * net->cross->center[j];
		m->path_nonzero[at] += beta[j] != 0.0;
	}
	row[0] = alpha;
	m->path_deviance[at] = net->yy > 0.0 ? net_explained(net) : 0.0;
}

/* The whole path, with the wanted penalty solved on the way from its larger neighbour. */
static void
fit_path(Net *net, const MlProblem *problem, MlLinear *m, Progress *progress, Progress *wanted)
{
	const NetParams *params = problem->params;
	size_t		p = problem->p;
	double	   *beta = ml_alloc(p + 1, sizeof(double));
	double	   *warm = ml_alloc(p + 1, sizeof(double));
	bool		done = false;

	m->npath = params->n_lambda;
	/* the grid of the cross-validation is the same but for rounding; then the chosen one is on it exactly */
	m->path_lambda = curve_of(params) ? curve_of(params)->lambda : net_grid(net, problem);
	m->path_nonzero = ml_alloc(m->npath, sizeof(double));
	m->path_deviance = ml_alloc(m->npath, sizeof(double));
	m->path_beta = ml_alloc((size_t) m->npath * (p + 1), sizeof(double));
	for (int i = 0; i <= m->npath; i++)
	{
		if (!done && (i == m->npath || m->path_lambda[i] <= params->lambda))
		{
			memcpy(warm, net->beta, sizeof(double) * p);
			net_solve(net, params->lambda, wanted);
			m->alpha[0] = net_unscale(net, m->intercept, m->beta);
			m->r_squared = net_explained(net);
			for (size_t j = 0; j < p; j++)
				m->rank += m->beta[j] != 0.0;
			memcpy(net->beta, warm, sizeof(double) * p);
			done = true;
		}
		if (i < m->npath)
		{
			net_solve(net, m->path_lambda[i], progress);
			keep_path(net, i, m, beta);
		}
	}
}

static MlStep
net_finish(const MlProblem *problem, double *state, MlResult *result, double l1_ratio)
{
	const NetParams *params = problem->params;
	Net			net = {0};
	Progress	path = {0};
	Progress	wanted = {0};
	MlLinear   *m;

	if (isnan(params->lambda))
		ml_fail_param("\"lambda\" is \"cv\", which needs the folds of a training: give a number");
	net_set(&net, problem, state, l1_ratio);
	m = ml_linear_create(ML_LINK_IDENTITY, problem->p, 1);
	m->intercept = params->intercept;
	memcpy(m->center, net.cross->center, sizeof(double) * problem->p);
	fit_path(&net, problem, m, &path, &wanted);
	m->n = net.cross->rows;
	m->lambda = params->lambda;
	m->l1_ratio = l1_ratio;
	m->iterations = wanted.sweeps;
	m->null_deviance = net.cross->yy;
	m->deviance = net.cross->yy > 0.0 ? fmax(1.0 - m->r_squared, 0.0) * net.cross->yy : 0.0;
	if (curve_of(params))
	{
		m->path_cv_mean = curve_of(params)->mean;
		m->path_cv_se = curve_of(params)->se;
	}
	for (int j = 0; j < problem->p; j++)
		if (!isfinite(m->beta[j]))
			ml_fail_data("the coefficient of \"%s\" overflows: rescale the column first", problem->names[j]);
	if (wanted.failed)
		ml_warn("coordinate descent did not converge in %d sweeps: raise \"max_iter\" or \"tol\"", params->max_iter);
	else if (path.failed)
		ml_warn("%d of %d penalties on the path did not converge in %d sweeps: raise \"max_iter\" or \"tol\"",
				path.failed, m->npath, params->max_iter);
	result->model = m;
	result->objective = m->deviance;
	result->converged = !wanted.failed;
	result->stop = wanted.failed ? "max_iter reached" : "no coefficient changed by more than tol";
	return ML_DONE;
}

/* ---- choosing lambda ---- */

/* mean and se over folds of the mean squared errors (nfolds x n), weighted as cv.glmnet does. */
static Curve *
make_curve(int n, double *lambda, int nfolds, const double *mse, const double *weight)
{
	Curve	   *c = ml_alloc(1, sizeof(Curve));
	double		total = 0.0;

	c->n = n;
	c->lambda = lambda;
	c->mean = ml_alloc(n, sizeof(double));
	c->se = ml_alloc(n, sizeof(double));
	for (int f = 0; f < nfolds; f++)
		total += weight[f];
	for (int i = 0; i < n; i++)
	{
		double		var = 0.0;

		for (int f = 0; f < nfolds; f++)
			c->mean[i] += weight[f] / total * mse[(size_t) f * n + i];
		for (int f = 0; f < nfolds; f++)
		{
			double		d = mse[(size_t) f * n + i] - c->mean[i];

			var += weight[f] / total * d * d;
		}
		c->se[i] = sqrt(var / (nfolds - 1));
	}
	return c;
}

/* Runs down the grid on the training part of one fold and scores each penalty on the fold. */
static void
score_fold(Net *net, const MlProblem *problem, const double *train, const double *test, double l1_ratio,
		   int n, const double *lambda, double *beta, double *work, double *mse)
{
	const NetParams *params = problem->params;
	double		weight = ml_moments_view(problem, test).weight;
	Progress	progress = {0};

	net_set(net, problem, train, l1_ratio);
	for (int i = 0; i < n; i++)
	{
		double		alpha;

		net_solve(net, lambda[i], &progress);
		alpha = net_unscale(net, params->intercept, beta);
		mse[i] = ml_moments_squared_error(problem, test, alpha, beta, net->cross->center, work) / weight;
	}
}

static void *
net_choose(const MlProblem *problem, double *const *folds, int nfolds, double l1_ratio)
{
	const NetParams *params = problem->params;
	NetParams  *chosen = ml_alloc(1, sizeof(NetParams));
	size_t		size = ml_moments_size(problem);
	size_t		p = problem->p;
	int			n = params->n_lambda;
	double	   *total = ml_alloc(size, sizeof(double));
	double	   *train = ml_alloc(size, sizeof(double));
	double	   *beta = ml_alloc(p + 1, sizeof(double));
	double	   *work = ml_alloc(2 * (p + 2), sizeof(double));
	double	   *mse = ml_alloc((size_t) nfolds * n, sizeof(double));
	double	   *weight = ml_alloc(nfolds, sizeof(double));
	double	   *lambda;
	Net			net = {0};
	Curve	   *curve;
	int			used = 0;
	int			best = 0;

	*chosen = *params;
	if (!isnan(params->lambda))
		return chosen;
	for (int f = 0; f < nfolds; f++)
		ml_moments_combine(problem, total, folds[f], 1.0);
	net_set(&net, problem, total, l1_ratio);
	lambda = net_grid(&net, problem);
	for (int f = 0; f < nfolds; f++)
	{
		weight[used] = ml_moments_view(problem, folds[f]).weight;
		/* a fold that is empty, or has every row, says nothing */
		if (!(weight[used] > 0.0) ||
			!(ml_moments_view(problem, total).rows > ml_moments_view(problem, folds[f]).rows))
			continue;
		memcpy(train, total, sizeof(double) * size);
		ml_moments_combine(problem, train, folds[f], -1.0);
		score_fold(&net, problem, train, folds[f], l1_ratio, n, lambda, beta, work, mse + (size_t) used * n);
		used++;
	}
	if (used < 2)
		ml_fail_data("too few rows to choose \"lambda\" by cross-validation: give a number");
	curve = make_curve(n, lambda, used, mse, weight);
	for (int i = 1; i < n; i++)
		if (curve->mean[i] < curve->mean[best])
			best = i;
	chosen->lambda = lambda[best];
	chosen->curve = curve;
	return chosen;
}

/*
 * The rule of one standard error: the largest penalty whose CV error is within
 * one standard error of the smallest (Breiman et al. 1984).
 */
static void
net_describe(const void *model, MlRows *rows)
{
	const MlLinear *m = model;
	int			best = 0;
	int			simple = 0;

	if (m->path_cv_mean && m->path_cv_se && m->npath > 0)
	{
		for (int i = 1; i < m->npath; i++)
			if (m->path_cv_mean[i] < m->path_cv_mean[best])
				best = i;
		while (m->path_cv_mean[simple] > m->path_cv_mean[best] + m->path_cv_se[best])
			simple++;
		ml_row_number(rows, "lambda within one se", m->path_lambda[simple]);
	}
	ml_linear_describe(model, rows);
}

/* ---- the two algorithms ---- */

static MlStep
lasso_finish(const MlProblem *problem, double *state, MlResult *result)
{
	return net_finish(problem, state, result, 1.0);
}

static void *
lasso_choose(const MlProblem *problem, double *const *folds, int nfolds)
{
	return net_choose(problem, folds, nfolds, 1.0);
}

static MlStep
elastic_net_finish(const MlProblem *problem, double *state, MlResult *result)
{
	return net_finish(problem, state, result, ((const NetParams *) problem->params)->l1_ratio);
}

static void *
elastic_net_choose(const MlProblem *problem, double *const *folds, int nfolds)
{
	return net_choose(problem, folds, nfolds, ((const NetParams *) problem->params)->l1_ratio);
}

const MlAlgorithm ml_algo_lasso = {
	.name = "lasso",
	.summary = "least squares with an absolute penalty (L1): selects columns; whole path",
	.tasks = ML_REGRESSION,
	.flags = ML_SINGLE_PASS | ML_SUBTRACTS | ML_REFERENCE_LEVEL,
	.format = 1,
	.params = lasso_params,
	.params_size = sizeof(NetParams),
	.state_size = ml_moments_size,
	.accumulate = ml_moments_accumulate,
	.combine = ml_moments_combine,
	.finish = lasso_finish,
	.choose = lasso_choose,
	.squared_error = ml_moments_model_error,
	.predict = ml_linear_predict,
	.save = ml_linear_save,
	.load = ml_linear_load,
	.describe = net_describe,
	.coefficients = ml_linear_coefficients,
	.explain = ml_linear_explain,
	.formula = ml_linear_formula,
	.interval = ml_linear_interval,
};

const MlAlgorithm ml_algo_elastic_net = {
	.name = "elastic_net",
	.summary = "least squares with absolute and quadratic penalties; whole path",
	.tasks = ML_REGRESSION,
	.flags = ML_SINGLE_PASS | ML_SUBTRACTS | ML_REFERENCE_LEVEL,
	.format = 1,
	.params = elastic_net_params,
	.params_size = sizeof(NetParams),
	.state_size = ml_moments_size,
	.accumulate = ml_moments_accumulate,
	.combine = ml_moments_combine,
	.finish = elastic_net_finish,
	.choose = elastic_net_choose,
	.squared_error = ml_moments_model_error,
	.predict = ml_linear_predict,
	.save = ml_linear_save,
	.load = ml_linear_load,
	.describe = net_describe,
	.coefficients = ml_linear_coefficients,
	.explain = ml_linear_explain,
	.formula = ml_linear_formula,
	.interval = ml_linear_interval,
};
