/*
 * linear.c - least squares with the inference of R's lm.
 *
 *   minimize  sum w (y - alpha - beta (x - center))^2
 *
 * Pass 0 takes moments.  The centered Gram matrix, scaled to correlations, is
 * solved by Cholesky where that loses no more than four digits.  Otherwise pass
 * 1 reduces the rows themselves by Householder QR (dtpqrt), centered and scaled
 * with the moments, and looks for dependent columns in column order, as R's
 * dqrdc2 does (limited pivoting): the ones before stay, the one after goes.
 *
 * Everything is allocated by ml_alloc and belongs to the training.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ml.h"
#include "num/dense.h"
#include "num/linear_model.h"
#include "num/moments.h"
#include "num/special.h"

typedef struct LinearParams
{
	bool		intercept;
} LinearParams;

static const MlParam linear_params[] = {
	{"intercept", "fit an intercept", ML_PARAM_BOOL, offsetof(LinearParams, intercept), "true"},
	{NULL}
};

/*
 * Beyond a variance inflation of 1e4 Cholesky on moments may lose more than
 * four of its 16 digits beside those the data lose in any method; below a
 * residual share of 1e-6 the residual sum of squares does.
 */
#define MAX_INFLATION 1e4
#define MIN_RESIDUAL_SHARE 1e-6
#define MIN_SPREAD 1e-10		/* of a column beside its size: below, QR decides whether it is constant */

/*
 * A column is dependent when what it adds to the earlier ones is within this
 * many roundings of the numbers that went in.  Exactly collinear float8 columns
 * leave 0.1 to 5 roundings, NIST's Filip 3e7 of them.
 */
#define DEPENDENT_ROUNDINGS 64.0
#define WARN_ROUNDINGS 1e5		/* a kept column with less has fewer than about 5 good digits */
#define MOMENTS_INDEPENDENT 1e-9	/* share of a square that moments can tell from rounding */
#define MAX_NAMED 20			/* warnings with a name; the others are counted */

/* ---- carry of pass 1: header, then center, scale and magnitude of each column and of y ---- */

enum { CARRY_ROWS, CARRY_WEIGHT, CARRY_LOG_WEIGHT, CARRY_COLUMNS };

typedef struct Frame
{
	const double *center;
	const double *scale;
	const double *magnitude;
} Frame;

static Frame
frame_of(const double *carry, int p)
{
	Frame		f;

	f.center = carry + CARRY_COLUMNS;
	f.scale = f.center + p + 1;
	f.magnitude = f.scale + p + 1;
	return f;
}

static bool
has_intercept(const MlProblem *problem)
{
	return ((const LinearParams *) problem->params)->intercept;
}

/* The power of two nearest to sd: dividing by it rounds nothing. */
static double
binary_scale(double sd)
{
	int			exponent;

	if (!(sd > 0.0) || !isfinite(sd))
		return 1.0;
	(void) frexp(sd, &exponent);
	return ldexp(1.0, exponent);
}

static void
make_carry(const MlProblem *problem, const double *state, const MlCross *c, MlResult *result)
{
	int			p = problem->p;
	size_t		n = CARRY_COLUMNS + 3 * ((size_t) p + 1);
	double	   *carry = ml_alloc(n, sizeof(double));
	MlMoments	m = ml_moments_view(problem, state);
	double	   *center = carry + CARRY_COLUMNS;
	double	   *scale = center + p + 1;
	double	   *magnitude = scale + p + 1;

	carry[CARRY_ROWS] = m.rows;
	carry[CARRY_WEIGHT] = m.weight;
	carry[CARRY_LOG_WEIGHT] = m.log_weight;
	for (int j = 0; j <= p; j++)
	{
		double		sd = j < p ? c->sd[j] : c->y_sd;

		center[j] = j < p ? c->center[j] : c->y_center;
		magnitude[j] = c->magnitude[j];
		scale[j] = binary_scale(sd > 0.0 ? sd : magnitude[j]);
	}
	result->carry = carry;
	result->ncarry = n;
}

/* ---- states ---- */

static int
qr_columns(const MlProblem *problem)
{
	return problem->p + 1 + (has_intercept(problem) ? 1 : 0);
}

static size_t
linear_state_size(const MlProblem *problem)
{
	size_t		k = qr_columns(problem);

	return problem->pass == 0 ? ml_moments_size(problem) : k * k;
}

#define BLOCK_DOUBLES 16384		/* 128 kB on the stack */

static void
qr_accumulate(const MlProblem *problem, double *state, const MlTile *tile)
{
	double		block[BLOCK_DOUBLES];
	int			p = problem->p;
	int			k = qr_columns(problem);
	int			first = k - p - 1;
	int			room = BLOCK_DOUBLES / k;
	Frame		f = frame_of(problem->carry, p);

	for (int from = 0; from < tile->n; from += room)
	{
		int			to = from + room < tile->n ? from + room : tile->n;

		for (int i = from; i < to; i++)
		{
			const double *x = tile->x + (size_t) i * p;
			double	   *row = block + (size_t) (i - from) * k;
			double		root = tile->w ? sqrt(tile->w[i]) : 1.0;

			if (first)
				row[0] = root;
			for (int j = 0; j < p; j++)
				row[first + j] = (x[j] - f.center[j]) / f.scale[j] * root;
			row[first + p] = (tile->y[i] - f.center[p]) / f.scale[p] * root;
		}
		ml_qr_add(to - from, k, block, state);
		ml_check_interrupts();	/* a block of 1,600 columns takes 20 ms */
	}
}

static void
linear_accumulate(const MlProblem *problem, double *state, const MlTile *tile)
{
	if (problem->pass == 0)
		ml_moments_accumulate(problem, state, tile);
	else
		qr_accumulate(problem, state, tile);
}

/* Stacks the other triangle's rows under this one. */
static void
qr_combine(const MlProblem *problem, double *state, const double *other)
{
	double		block[BLOCK_DOUBLES];
	int			k = qr_columns(problem);
	int			room = BLOCK_DOUBLES / k;

	for (int from = 0; from < k; from += room)
	{
		int			to = from + room < k ? from + room : k;

		for (int i = from; i < to; i++)
			for (int j = 0; j < k; j++)
				block[(size_t) (i - from) * k + j] = j < i ? 0.0 : other[i + (size_t) j * k];
		ml_qr_add(to - from, k, block, state);
		ml_check_interrupts();
	}
}

static void
linear_combine(const MlProblem *problem, double *state, const double *other, double sign)
{
	if (problem->pass == 0)
		ml_moments_combine(problem, state, other, sign);
	else
		qr_combine(problem, state, other);
}

/* ---- inference ---- */

typedef struct Fit
{
	double		rows;
	double		weight;
	double		log_weight;
	double		rss;
	double		mss;			/* explained */
	double		tss;			/* 0: the target is constant */
	int			rank;			/* without the intercept */
} Fit;

/*
 * Everything summary.lm and AIC say, given the inverse of X'WX in m->vcov (units
 * of y^2 in rss).  Without a degree of freedom left, or when it overflows, there is no vcov.
 */
static void
summarize(MlLinear *m, const Fit *fit)
{
	int			one = m->intercept ? 1 : 0;
	double		df = fit->rows - fit->rank - one;
	size_t		cells = ((size_t) m->p + 1) * (m->p + 1);
	bool		finite = true;

	m->n = fit->rows;
	m->rank = fit->rank;
	m->iterations = 1;
	m->df = df;
	m->deviance = fit->rss;
	m->null_deviance = fit->tss;
	if (fit->tss > 0.0)
	{
		m->r_squared = fit->mss / (fit->mss + fit->rss);
		if (df > 0.0)
			m->adj_r_squared = 1.0 - fit->rss / (fit->mss + fit->rss) * (fit->rows - one) / df;
		if (df > 0.0 && fit->rank > 0 && fit->rss > 0.0)
		{
			m->f_statistic = fit->mss / fit->rank / (fit->rss / df);
			m->f_p_value = ml_f_tail(m->f_statistic, fit->rank, df);
		}
	}
	if (df > 0.0 && fit->rss > 0.0)
	{
		m->log_likelihood = 0.5 * (fit->log_weight
								   - fit->rows * (log(2.0 * M_PI) + 1.0 - log(fit->rows) + log(fit->rss)));
		m->aic = -2.0 * m->log_likelihood + 2.0 * (fit->rank + one + 1);
	}
	if (df > 0.0)
	{
		m->dispersion = fit->rss / df;
		m->sigma = sqrt(m->dispersion);
		for (size_t i = 0; i < cells; i++)
		{
			m->vcov[i] *= m->dispersion;
			finite = finite && isfinite(m->vcov[i]);
		}
	}
	if (df <= 0.0 || !finite)
		m->vcov = NULL;
}

static MlLinear *
create_model(const MlProblem *problem)
{
	size_t		side = (size_t) problem->p + 1;
	MlLinear   *m = ml_linear_create(ML_LINK_IDENTITY, problem->p, 1);

	m->intercept = has_intercept(problem);
	m->vcov = ml_alloc(side * side, sizeof(double));
	m->aliased = ml_alloc(side, sizeof(bool));
	return m;
}

static void
check_model(const MlLinear *m)
{
	bool		finite = isfinite(m->alpha[0]);

	for (int j = 0; j < m->p; j++)
		finite = finite && isfinite(m->beta[j]);
	if (!finite)
		ml_fail_data("a coefficient overflows: columns or target are too large or too small, rescale them first");
}

/* ---- pass 0: Cholesky ---- */

static void
warn_dropped(const MlProblem *problem, int column, bool constant, int nth)
{
	if (nth > MAX_NAMED)
		return;
	if (constant)
		ml_warn("column \"%s\" is constant and was left out", problem->names[column]);
	else
		ml_warn("column \"%s\" is a linear combination of the columns before it and was left out",
				problem->names[column]);
}

static void
warn_more_dropped(int dropped)
{
	if (dropped > MAX_NAMED)
		ml_warn("%d more columns are linear combinations of the columns before them and were left out",
				dropped - MAX_NAMED);
}

/*
 * Solves from the moments of the kept columns; NULL when they are singular.
 * *safe becomes false when the answer is not as good as QR's would be.
 */
static MlLinear *
solve_moments(const MlProblem *problem, const double *state, const MlCross *c, const int *kept, int n, bool *safe)
{
	int			p = problem->p;
	size_t		side = (size_t) p + 1;
	double	   *factor = ml_alloc((size_t) n * n + 1, sizeof(double));
	double	   *inverse = ml_alloc((size_t) n * n + 1, sizeof(double));
	double	   *b = ml_alloc((size_t) n + 1, sizeof(double));
	double	   *beta = ml_alloc((size_t) n + 1, sizeof(double));
	MlMoments	moments = ml_moments_view(problem, state);
	MlLinear   *m = create_model(problem);
	Fit			fit = {moments.rows, moments.weight, moments.log_weight};

	for (int j = 0; j < n; j++)
	{
		for (int i = 0; i < n; i++)
			factor[i + (size_t) j * n] = c->a[kept[i] + (size_t) kept[j] * p];
		b[j] = beta[j] = c->b[kept[j]];
	}
	if (!ml_cholesky(n, factor))
		return NULL;
	ml_check_interrupts();
	ml_cholesky_solve(n, 1, factor, beta);
	memcpy(inverse, factor, sizeof(double) * n * n);
	ml_cholesky_inverse(n, inverse);

	for (int j = 0; j < n; j++)
	{
		if (j % 256 == 255)
			ml_check_interrupts();
		if (!(inverse[j + (size_t) j * n] * c->a[kept[j] + (size_t) kept[j] * p] < MAX_INFLATION))
			*safe = false;
		for (int i = 0; i < n; i++)
			m->vcov[(kept[j] + 1) * side + kept[i] + 1] = inverse[i + (size_t) j * n];
		m->beta[kept[j]] = beta[j];
	}
	m->vcov[0] = m->intercept ? 1.0 / c->weight : 0.0;
	m->alpha[0] = ml_cross_alpha(c, m->intercept, m->beta);
	fit.rank = n;
	fit.tss = c->yy;
	fit.mss = fmin(ml_dot(n, beta, b), fit.tss);
	fit.rss = fit.tss - fit.mss;
	if (fit.tss > 0.0 && !(fit.rss > MIN_RESIDUAL_SHARE * fit.tss))
		*safe = false;
	summarize(m, &fit);
	ml_linear_unscale(m, c->center, c->scale);
	return m;
}

/*
 * Names the columns that are independent as far as moments can tell: Cholesky
 * in column order that skips a column when nothing of its square is left.
 */
static int
keep_independent(const MlProblem *problem, const MlCross *c, int *kept, bool *aliased)
{
	int			p = problem->p;
	int			n = 0;
	int			dropped = 0;
	double	   *rows = ml_alloc((size_t) p * p + 1, sizeof(double));	/* row i: L[i, 0..n) */

	for (int j = 0; j < p; j++)
	{
		double	   *row = rows + (size_t) j * p;
		double		whole = c->a[j + (size_t) j * p];
		double		left = whole;

		ml_check_interrupts();
		for (int l = 0; l < n; l++)
		{
			const double *earlier = rows + (size_t) kept[l] * p;

			row[l] = (c->a[j + (size_t) kept[l] * p] - ml_dot(l, row, earlier)) / earlier[l];
			left -= row[l] * row[l];
		}
		if (left > MOMENTS_INDEPENDENT * whole && n + (has_intercept(problem) ? 1 : 0) < c->rows)
		{
			row[n] = sqrt(left);
			kept[n++] = j;
			continue;
		}
		aliased[j] = true;
		warn_dropped(problem, j, whole == 0.0, ++dropped);
	}
	warn_more_dropped(dropped);
	return n;
}

/* Ends with what moments give, because the rows cannot be read again. */
static MlLinear *
settle_for_moments(const MlProblem *problem, const double *state, const MlCross *c)
{
	int		   *kept = ml_alloc((size_t) problem->p + 1, sizeof(int));
	bool	   *aliased = ml_alloc((size_t) problem->p + 1, sizeof(bool));
	int			n = keep_independent(problem, c, kept, aliased);
	bool		safe = !c->cancelled;
	MlLinear   *m = solve_moments(problem, state, c, kept, n, &safe);

	if (m == NULL)
		ml_fail_data("columns are too nearly dependent to be told apart without reading the rows again: "
					 "use ml_train, or algorithm \"ridge\"");
	if (!safe)
		ml_warn("coefficients come from one reading of nearly dependent or exactly fitting data "
				"and may have few correct digits: ml_train reads such data twice");
	m->aliased = aliased;
	return m;
}

static MlStep
finish_moments(const MlProblem *problem, double *state, MlResult *result)
{
	MlCross    *c = ml_cross_create(problem, state, has_intercept(problem), NULL);
	bool		safe = !c->cancelled && c->rows > problem->p + 1;
	MlLinear   *m = NULL;
	int		   *all = ml_alloc((size_t) problem->p + 1, sizeof(int));

	for (int j = 0; j < problem->p; j++)
	{
		all[j] = j;
		if (!(c->sd[j] > MIN_SPREAD * c->magnitude[j]))
			safe = false;
	}
	if (safe)
		m = solve_moments(problem, state, c, all, problem->p, &safe);
	if (m == NULL || !safe)
	{
		if (!problem->last)
		{
			if (qr_columns(problem) > ML_QR_MAX_COLUMNS)
				ml_fail_data("%d columns are linearly dependent or nearly so: use algorithm \"ridge\"", problem->p);
			make_carry(problem, state, c, result);
			result->objective = m ? m->deviance : NAN;
			return ML_AGAIN;
		}
		m = settle_for_moments(problem, state, c);
	}
	check_model(m);
	result->model = m;
	result->objective = m->deviance;
	result->converged = true;
	result->stop = "solved by Cholesky decomposition of the moments";
	return ML_DONE;
}

/* ---- pass 1: QR ---- */

/* A triangular system brought to full rank: kept columns in order, R and Q'y. */
typedef struct Reduced
{
	int			k;
	int			rank;			/* kept columns, intercept included */
	int		   *kept;			/* k: column of the triangle */
	double	   *a;				/* k x k: column kept[l] holds R's column l in rows 0..l; last column: Q'y */
} Reduced;

/* Solves R b = rows 0..rank-1 of column j. */
static void
back_solve(const Reduced *r, int j, double *b)
{
	memcpy(b, r->a + (size_t) j * r->k, sizeof(double) * r->rank);
	for (int l = r->rank - 1; l >= 0; l--)
	{
		const double *col = r->a + (size_t) r->kept[l] * r->k;

		b[l] /= col[l];
		ml_axpy(l, -b[l], col, b);
	}
}

/* Reflects rows from..to so that column j is zero below `from`; later columns follow. */
static void
reflect(Reduced *r, int j, int from, int to)
{
	int			n = to - from + 1;
	double	   *v = r->a + (size_t) j * r->k + from;
	double		norm = sqrt(ml_dot(n, v, v));
	double		lead = v[0] > 0.0 ? -norm : norm;
	double		scale;

	if (n == 1)
		return;
	v[0] -= lead;
	scale = 2.0 / ml_dot(n, v, v);
	for (int l = j + 1; l < r->k; l++)
	{
		double	   *col = r->a + (size_t) l * r->k + from;

		ml_axpy(n, -scale * ml_dot(n, v, col), v, col);
	}
	memset(v, 0, sizeof(double) * n);
	v[0] = lead;
}

/*
 * Goes through the columns in order and keeps those that add something to the
 * kept ones.  What rounding of the given numbers can feign is, a row, about
 * epsilon (|x_j| + sum |b_l| |x_l|), b being column j on the kept ones.
 */
static void
reduce(const MlProblem *problem, Reduced *r, bool *aliased)
{
	Frame		f = frame_of(problem->carry, problem->p);
	int			first = r->k - problem->p - 1;
	double		root = sqrt(problem->carry[CARRY_WEIGHT]);
	double	   *b = ml_alloc(r->k, sizeof(double));
	double	   *size = ml_alloc(r->k, sizeof(double));
	int			dropped = 0;

	for (int j = 0; j < r->k - 1; j++)
	{
		int			column = j - first;
		const double *col = r->a + (size_t) j * r->k;
		int			from = r->rank;
		double		left = sqrt(ml_dot(j - from + 1, col + from, col + from)) / root;
		double		spread = sqrt(ml_dot(j - first + 1, col + first, col + first)) / root;
		double		noise;

		ml_check_interrupts();
		size[j] = column < 0 ? 1.0 : f.magnitude[column] / f.scale[column];
		noise = size[j];
		back_solve(r, j, b);
		for (int l = 0; l < r->rank; l++)
			noise += fabs(b[l]) * size[r->kept[l]];
		noise *= DBL_EPSILON;
		if (column >= 0 && (from >= problem->carry[CARRY_ROWS] || !(left > DEPENDENT_ROUNDINGS * noise)))
		{
			aliased[column] = true;
			warn_dropped(problem, column, !(spread > DEPENDENT_ROUNDINGS * DBL_EPSILON * 2.0 * size[j]), ++dropped);
			continue;
		}
		if (column >= 0 && left < WARN_ROUNDINGS * noise)
			ml_warn("column \"%s\" is nearly a linear combination of the columns before it: "
					"its coefficient has about %d correct digits",
					problem->names[column], (int) log10(left / noise));
		reflect(r, j, from, j);
		r->kept[r->rank++] = j;
	}
	warn_more_dropped(dropped);
}

/* Copies (R'R)^-1 of the kept columns to its places in the matrix of all. */
static void
fill_vcov(const Reduced *r, int first, MlLinear *m)
{
	int			n = r->rank;
	double	   *l = ml_alloc((size_t) n * n + 1, sizeof(double));
	double	   *inverse = ml_alloc((size_t) n * n + 1, sizeof(double));
	size_t		side = (size_t) m->p + 1;

	for (int j = 0; j < n; j++)
		for (int i = j; i < n; i++)
			l[i + (size_t) j * n] = r->a[j + (size_t) r->kept[i] * r->k];
	/* a factor need not have a positive diagonal for its inverse to be right */
	memcpy(inverse, l, sizeof(double) * n * n);
	ml_cholesky_inverse(n, inverse);
	for (int j = 0; j < n; j++)
		for (int i = 0; i < n; i++)
			m->vcov[(r->kept[i] + 1 - first) * side + r->kept[j] + 1 - first] = inverse[i + (size_t) j * n];
}

static MlStep
finish_qr(const MlProblem *problem, const double *state, MlResult *result)
{
	const double *carry = problem->carry;
	int			p = problem->p;
	Frame		f = frame_of(carry, p);
	int			k = qr_columns(problem);
	int			first = k - p - 1;
	MlLinear   *m = create_model(problem);
	Reduced		r = {k, 0, ml_alloc(k, sizeof(int)), ml_alloc((size_t) k * k, sizeof(double))};
	Fit			fit = {carry[CARRY_ROWS], carry[CARRY_WEIGHT], carry[CARRY_LOG_WEIGHT]};
	double	   *b = ml_alloc(k, sizeof(double));
	const double *y = r.a + (size_t) (k - 1) * k;
	double		unit = f.scale[p] * f.scale[p];

	for (int j = 0; j < k; j++)
		memcpy(r.a + (size_t) j * k, state + (size_t) j * k, sizeof(double) * (j + 1));
	reduce(problem, &r, m->aliased);
	back_solve(&r, k - 1, b);

	for (int l = 0; l < r.rank; l++)
	{
		if (r.kept[l] < first)
			m->alpha[0] = b[l] * f.scale[p];
		else
			m->beta[r.kept[l] - first] = b[l] * f.scale[p];
	}
	m->alpha[0] += f.center[p];
	fit.rank = r.rank - first;
	fit.mss = ml_dot(r.rank - first, y + first, y + first) * unit;
	fit.rss = ml_dot(k - r.rank, y + r.rank, y + r.rank) * unit;
	fit.tss = fit.mss + fit.rss;
	if (sqrt(fit.tss / fit.weight) <= DEPENDENT_ROUNDINGS * DBL_EPSILON * f.magnitude[p])
		fit.tss = 0.0;
	fill_vcov(&r, first, m);
	summarize(m, &fit);
	ml_linear_unscale(m, f.center, f.scale);
	check_model(m);
	result->model = m;
	result->objective = fit.rss;
	result->converged = true;
	result->stop = "solved by QR decomposition";
	return ML_DONE;
}

static MlStep
linear_finish(const MlProblem *problem, double *state, MlResult *result)
{
	return problem->pass == 0 ? finish_moments(problem, state, result) : finish_qr(problem, state, result);
}

const MlAlgorithm ml_algo_linear = {
	.name = "linear",
	.summary = "least squares with standard errors, as accurate as R's lm",
	.tasks = ML_REGRESSION,
	.flags = ML_SINGLE_PASS | ML_SUBTRACTS | ML_REFERENCE_LEVEL,
	.format = 1,
	.params = linear_params,
	.params_size = sizeof(LinearParams),
	.state_size = linear_state_size,
	.accumulate = linear_accumulate,
	.combine = linear_combine,
	.finish = linear_finish,
	.squared_error = ml_moments_model_error,
	.predict = ml_linear_predict,
	.save = ml_linear_save,
	.load = ml_linear_load,
	.describe = ml_linear_describe,
	.coefficients = ml_linear_coefficients,
	.explain = ml_linear_explain,
	.formula = ml_linear_formula,
	.interval = ml_linear_interval,
};
