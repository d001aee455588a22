/*
 * logistic.c - logistic regression for two or more classes.
 *
 * Minimises sum w logloss + l1 sum |b| + l2/2 sum b^2, the intercept free.
 * Two classes, and more while (p + 1) classes <= NEWTON_LIMIT (SMOOTH_LIMIT with
 * l2 alone): Newton over passes (num/newton.c); beyond that limited memory BFGS
 * (num/lbfgs.c).  Without a penalty and from APPROACH_FROM unknowns on BFGS comes near
 * the maximum, since a Newton pass costs hundreds of its passes, and Newton ends it.
 *
 * Unknowns are class-major, d = p + 1 a class, intercept first, in standardized
 * coordinates; two classes have one block.  Without penalty class 0 is the
 * reference (its block is fixed at zero), with one all classes are penalised.
 *
 * State: HEAD sums, class weights, then what the method needs, then scratch
 * space that combine ignores (see layout_of).  The carry is the minimiser's,
 * with one flag an unknown behind it: fixed at zero.  Its size tells which minimiser's
 * it is.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "num/dense.h"
#include "num/linear_model.h"
#include "num/newton.h"
#include "num/product.h"
#include "num/vector.h"

typedef struct LogisticParams
{
	bool		intercept;
	double		l1;
	double		l2;
	int			max_iter;
	double		tol;
} LogisticParams;

#define NEWTON_LIMIT 1500		/* unknowns: a Hessian of 18 MB, factored in about 0.1 s */
#define SMOOTH_LIMIT 200		/* the same with a quadratic penalty: a Newton pass costs as many of BFGS's */
#define APPROACH_FROM 200		/* unknowns */
#define APPROACH_TOL 1e-6		/* gradient per unit of weight that Newton's method takes over at */
#define APPROACH_PASSES 300		/* they cost no more than one or two of Newton's */
#define BFGS_ERROR 1e-9			/* of a coefficient, relative to max(1, largest one): what Newton's last step leaves */
#define NOISE 1e-14				/* of the gradient, per unit of weight: less is rounding */
#define FIRST_ORDER_PASSES 10	/* BFGS passes that count as one iteration of max_iter */
#define CHECK_ROWS 128			/* of a matrix, between two looks at interrupts */
#define ALIAS_TOL 1e-11			/* 1 - R^2 of a column on earlier ones; rounding leaves 1e-14 */
#define STEP_TOL 1e-5			/* the last Newton step squares this error */
#define SEPARATED_LOSS 1e-6		/* mean loss at which a separated fit is good enough to stop */

#define ABSENT_ETA (-40.0)		/* predictor of a class without rows: probability 4e-18 */

enum
{
	SUM_WEIGHT,
	SUM_ROWS,
	SUM_LOSS,
	SUM_WRONG,					/* weight of rows not strictly on their class's side */
	HEAD = 8
};

/* In a carry of Newton's method: passes of BFGS before its first. */
#define APPROACHED 0

/* Offsets into the state. */
typedef struct Layout
{
	int			d;				/* p + 1 */
	int			blocks;			/* 1 for two classes, else the number of classes */
	int			q;				/* d * blocks */
	bool		newton;
	bool		approach;		/* BFGS for now, Newton's method later */
	size_t		weights;		/* classes */
	size_t		gram;			/* two classes: (d + 1)^2 with the residual as last column */
	size_t		gradient;		/* more: q */
	size_t		pairs;			/* more, Newton: one d x d block for each pair of classes; approach: one of all */
	size_t		scratch;		/* a tile's work space; in finish the q x q Hessian */
	size_t		size;
} Layout;

/* A quadratic penalty alone: curvature everywhere, and no standard errors to compute. */
static bool
is_smooth(const LogisticParams *params)
{
	return params->l2 > 0 && !(params->l1 > 0);
}

static Layout
layout_of(const MlProblem *problem)
{
	const LogisticParams *params = problem->params;
	Layout		l = {0};
	size_t		k = problem->classes;
	size_t		tile;

	l.d = problem->p + 1;
	l.blocks = k > 2 ? k : 1;
	/* q is an int: past 2^31 unknowns no state could be allocated either */
	if ((double) l.d * l.blocks > 1e8)
		ml_fail_data("%d columns times %d classes are too many coefficients", problem->p, problem->classes);
	l.q = l.d * l.blocks;
	l.newton = k <= 2 || l.q <= (is_smooth(params) ? SMOOTH_LIMIT : NEWTON_LIMIT);
	l.approach = l.newton && k > 2 && l.q >= APPROACH_FROM && !(params->l1 > 0 || params->l2 > 0) &&
		!(problem->carry && problem->ncarry == ml_newton_carry_size(l.q) + l.q);
	l.newton = l.newton && !l.approach;
	l.weights = HEAD;
	l.gram = l.gradient = HEAD + k;
	if (k <= 2)
	{
		l.scratch = l.gram + (size_t) (l.d + 1) * (l.d + 1);
		tile = (size_t) ML_TILE_ROWS * (l.d + 1);
	}
	else
	{
		l.pairs = l.gradient + l.q;
		l.scratch = l.pairs + (l.newton ? k * (k - 1) / 2 : l.approach) * l.d * l.d;
		tile = (size_t) ML_TILE_ROWS * (k + 2 * (size_t) l.d);
	}
	l.size = l.scratch + tile;
	if (l.newton && (size_t) l.q * l.q > tile)
		l.size = l.scratch + (size_t) l.q * l.q;
	return l;
}

static size_t
logistic_state_size(const MlProblem *problem)
{
	return layout_of(problem).size;
}

/* The coefficients of this pass, or NULL: all zero. */
static const double *
point_of(const MlProblem *problem, const Layout *l)
{
	size_t		need = (l->newton ? ml_newton_carry_size(l->q) : ml_lbfgs_carry_size(l->q)) + l->q;

	return problem->carry && problem->ncarry == need ? ml_carry_point(problem->carry) : NULL;
}

/* What a column's z lacks to x / scale: only a model without intercept sees it. */
static double
shift_of(const MlProblem *problem, int j)
{
	const LogisticParams *params = problem->params;

	if (params->intercept || !problem->center)
		return 0;
	return problem->center[j] / (problem->scale ? problem->scale[j] : 1);
}

/* ---- rows: two classes ---- */

/*
 * exp for -700 <= x <= 0, within 1 ulp or so, in operations that vectorise:
 * x = n log 2 + r, |r| <= log(2)/2, Taylor's polynomial of degree 13 in r
 * (remainder 4e-18), and n added to the exponent bits.
 */
static inline double
fast_exp(double x)
{
	const double shifter = 6755399441055744.0;	/* 1.5 * 2^52: adding it rounds to an integer */
	double		n = x * 1.4426950408889634074 + shifter;
	double		r;
	double		s;
	int64_t		bits;

	memcpy(&bits, &n, sizeof(bits));
	n -= shifter;
	r = x - n * 6.93147180369123816490e-01;
	r -= n * 1.90821492927058770002e-10;
	s = 1.0 / 6227020800.0;
	s = s * r + 1.0 / 479001600.0;
	s = s * r + 1.0 / 39916800.0;
	s = s * r + 1.0 / 3628800.0;
	s = s * r + 1.0 / 362880.0;
	s = s * r + 1.0 / 40320.0;
	s = s * r + 1.0 / 5040.0;
	s = s * r + 1.0 / 720.0;
	s = s * r + 1.0 / 120.0;
	s = s * r + 1.0 / 24.0;
	s = s * r + 1.0 / 6.0;
	s = s * r + 0.5;
	s = s * r * r + r + 1.0;
	bits = (int64_t) ((uint64_t) bits << 52);
	{
		int64_t		sbits;

		memcpy(&sbits, &s, sizeof(sbits));
		sbits += bits;
		memcpy(&s, &sbits, sizeof(s));
	}
	return s;
}

/*
 * From margins: root[i] is the square root of the Hessian weight, rest[i] the
 * residual divided by it, one_e[i] = 1 + exp(-|margin|).  With h = exp(-|m|/2)
 * the weight is (h / (1 + h^2))^2, and no quotient cancels or overflows.
 */
ML_VECTOR static void
binary_weights(int n, const double *margin, const double *y, double *root, double *rest, double *one_e,
			   double *loss, double *wrong)
{
	double		linear = 0;
	double		bad = 0;

	for (int i = 0; i < n; i++)
	{
		double		sign = 2 * y[i] - 1;
		double		sm = sign * margin[i];
		double		size = fabs(margin[i]);
		double		h = fast_exp(-0.5 * (size < 600 ? size : 600));
		double		e = h * h;

		one_e[i] = 1 + e;
		root[i] = h / (1 + e);
		rest[i] = sign * (sm >= 0 ? h : 1 / h);
	}
	for (int i = 0; i < n; i++)
	{
		double		sm = (2 * y[i] - 1) * margin[i];

		linear += sm < 0 ? -sm : 0;
		bad += sm <= 1e-9 ? 1 : 0;
	}
	*loss = linear;
	*wrong = bad;
}

ML_VECTOR static void
scaled_rows(int n, int p, const double *x, const double *root, const double *rest, double *out)
{
	for (int i = 0; i < n; i++)
	{
		double		r = root[i];
		const double *from = x + (size_t) i * p;
		double	   *row = out + (size_t) i * (p + 2);

		row[0] = r;
		for (int j = 0; j < p; j++)
			row[j + 1] = r * from[j];
		row[p + 1] = rest[i];
	}
}

/* log of the product of n factors in [1, 2]; one logarithm serves 256 of them */
static double
log_product(int n, const double *factor)
{
	double		lane[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	int			i = 0;

	for (; i + 8 <= n; i += 8)
		for (int k = 0; k < 8; k++)
			lane[k] *= factor[i + k];
	for (; i < n; i++)
		lane[0] *= factor[i];
	return log(((lane[0] * lane[1]) * (lane[2] * lane[3])) * ((lane[4] * lane[5]) * (lane[6] * lane[7])));
}

static void
binary_accumulate(const MlProblem *problem, const Layout *l, double *state, const MlTile *tile)
{
	const LogisticParams *params = problem->params;
	const double *theta = point_of(problem, l);
	double	   *rows = state + l->scratch;
	double		margin[ML_TILE_ROWS];
	double		root[ML_TILE_ROWS];
	double		rest[ML_TILE_ROWS];
	double		one_e[ML_TILE_ROWS];
	double		loss;
	double		wrong;
	double		alpha = 0;
	double		positive = 0;
	double		weight = 0;
	int			n = tile->n;
	int			p = problem->p;

	if (theta)
	{
		ml_gemv(n, p, tile->x, theta + 1, margin);
		alpha = theta[0];
		if (!params->intercept)
			for (int j = 0; j < p; j++)
				alpha += theta[j + 1] * shift_of(problem, j);
	}
	for (int i = 0; i < n; i++)
		margin[i] = (theta ? margin[i] : 0) + alpha + (tile->offset ? tile->offset[i] : 0);

	binary_weights(n, margin, tile->y, root, rest, one_e, &loss, &wrong);
	if (tile->w)
	{
		loss = wrong = 0;
		for (int i = 0; i < n; i++)
		{
			double		w = tile->w[i];
			double		sm = (2 * tile->y[i] - 1) * margin[i];

			root[i] *= sqrt(w);
			rest[i] *= sqrt(w);
			loss += w * (fmax(-sm, 0) + log(one_e[i]));
			wrong += sm <= 1e-9 ? w : 0;
			weight += w;
			positive += w * tile->y[i];
		}
	}
	else
	{
		loss += log_product(n, one_e);
		weight = n;
		for (int i = 0; i < n; i++)
			positive += tile->y[i];
	}
	scaled_rows(n, p, tile->x, root, rest, rows);
	if (!params->intercept)
		for (int i = 0; i < n; i++)
			for (int j = 0; j < p; j++)
				rows[(size_t) i * (p + 2) + j + 1] += root[i] * shift_of(problem, j);
	ml_gram_add(n, l->d + 1, rows, state + l->gram);
	state[SUM_WEIGHT] += weight;
	state[SUM_ROWS] += n;
	state[SUM_LOSS] += loss;
	state[SUM_WRONG] += wrong;
	state[l->weights] += weight - positive;
	state[l->weights + 1] += positive;
}

/* ---- rows: more classes ---- */

/* eta[i] = exp(eta[i] - top[i]), added up in sum[i] */
ML_VECTOR static void
exp_below(int n, double *eta, const double *top, double *sum)
{
	for (int i = 0; i < n; i++)
	{
		double		x = eta[i] - top[i];

		eta[i] = fast_exp(x > -700 ? x : -700);
		sum[i] += eta[i];
	}
}

/* Turns predictors eta (classes x 256) into probabilities; adds up loss, errors and weights. */
static void
softmax_rows(const MlProblem *problem, const Layout *l, double *state, const MlTile *tile, double *eta)
{
	double		mine[ML_TILE_ROWS];
	double		other[ML_TILE_ROWS];
	double		top[ML_TILE_ROWS];
	double		sum[ML_TILE_ROWS] = {0};
	int			n = tile->n;

	for (int i = 0; i < n; i++)
	{
		double	   *own = &eta[(int) tile->y[i] * ML_TILE_ROWS + i];

		mine[i] = *own;
		other[i] = *own = -INFINITY;	/* out of the way of the largest of the others */
	}
	for (int k = 0; k < problem->classes; k++)
		for (int i = 0; i < n; i++)
			other[i] = eta[k * ML_TILE_ROWS + i] > other[i] ? eta[k * ML_TILE_ROWS + i] : other[i];
	for (int i = 0; i < n; i++)
	{
		eta[(int) tile->y[i] * ML_TILE_ROWS + i] = mine[i];
		top[i] = fmax(mine[i], other[i]);
	}
	for (int k = 0; k < problem->classes; k++)
		exp_below(n, eta + k * ML_TILE_ROWS, top, sum);
	for (int i = 0; i < n; i++)
	{
		double		w = tile->w ? tile->w[i] : 1;

		state[SUM_LOSS] += w * (top[i] - mine[i] + log(sum[i]));
		state[SUM_WRONG] += mine[i] - other[i] <= 1e-9 ? w : 0;
		state[SUM_WEIGHT] += w;
		state[l->weights + (int) tile->y[i]] += w;
		sum[i] = 1 / sum[i];
	}
	for (int k = 0; k < problem->classes; k++)
		for (int i = 0; i < n; i++)
			eta[k * ML_TILE_ROWS + i] *= sum[i];
	state[SUM_ROWS] += n;
}

/*
 * Adds the blocks sum w p_k p_l x x', k < l.  They are all the Hessian needs:
 * off the diagonal it is their negative, and since 1 - p_k is the sum of the
 * other probabilities, block (k, k) is the sum of row k's.
 */
static void
softmax_pairs(const Layout *l, double *state, const MlTile *tile, const double *prob, const double *x, double *rows)
{
	size_t		at = l->pairs;

	for (int a = 0; a < l->blocks; a++)
		for (int b = a + 1; b < l->blocks; b++)
		{
			for (int i = 0; i < tile->n; i++)
			{
				double		h = sqrt((tile->w ? tile->w[i] : 1) *
									 prob[a * ML_TILE_ROWS + i] * prob[b * ML_TILE_ROWS + i]);

				for (int j = 0; j < l->d; j++)
					rows[(size_t) i * l->d + j] = h * x[(size_t) j * ML_TILE_ROWS + i];
			}
			ml_gram_add(tile->n, l->d, rows, state + at);
			at += (size_t) l->d * l->d;
		}
}

/* Adds the block sum w x x': what pass 0 of Newton's method would tell about dependent columns. */
static void
softmax_gram(const Layout *l, double *state, const MlTile *tile, const double *x, double *rows)
{
	for (int i = 0; i < tile->n; i++)
	{
		double		root = tile->w ? sqrt(tile->w[i]) : 1;

		for (int j = 0; j < l->d; j++)
			rows[(size_t) i * l->d + j] = root * x[(size_t) j * ML_TILE_ROWS + i];
	}
	ml_gram_add(tile->n, l->d, rows, state + l->pairs);
}

static void
softmax_accumulate(const MlProblem *problem, const Layout *l, double *state, const MlTile *tile)
{
	const double *theta = point_of(problem, l);
	double	   *eta = state + l->scratch;	/* classes x 256 */
	double	   *x = eta + (size_t) l->blocks * ML_TILE_ROWS;	/* d x 256: the tile, column by column */
	double	   *rows = x + (size_t) l->d * ML_TILE_ROWS;
	int			n = tile->n;
	int			p = problem->p;

	for (int j = 0; j < p; j++)
	{
		double		shift = shift_of(problem, j);

		for (int i = 0; i < n; i++)
			x[(size_t) (j + 1) * ML_TILE_ROWS + i] = tile->x[(size_t) i * p + j] + shift;
	}
	for (int i = 0; i < n; i++)
		x[i] = 1;
	if (theta)
		ml_product(l->blocks, n, l->d, theta, l->d, x, ML_TILE_ROWS, eta, ML_TILE_ROWS);
	else
		memset(eta, 0, sizeof(double) * l->blocks * ML_TILE_ROWS);
	softmax_rows(problem, l, state, tile, eta);
	if (l->newton)
		softmax_pairs(l, state, tile, eta, x, rows);
	else if (l->approach && problem->pass == 0)
		softmax_gram(l, state, tile, x, rows);
	/* Probabilities become residuals. */
	for (int i = 0; i < n; i++)
		eta[(int) tile->y[i] * ML_TILE_ROWS + i] -= 1;
	for (int k = 0; tile->w && k < l->blocks; k++)
		for (int i = 0; i < n; i++)
			eta[k * ML_TILE_ROWS + i] *= tile->w[i];
	ml_product_add_t(l->blocks, l->d, n, eta, ML_TILE_ROWS, x, ML_TILE_ROWS, state + l->gradient, l->d);
}

static void
logistic_accumulate(const MlProblem *problem, double *state, const MlTile *tile)
{
	Layout		l = layout_of(problem);

	if (problem->classes > 2)
		softmax_accumulate(problem, &l, state, tile);
	else
		binary_accumulate(problem, &l, state, tile);
}

static void
logistic_combine(const MlProblem *problem, double *state, const double *other, double sign)
{
	size_t		n = layout_of(problem).scratch;

	for (size_t i = 0; i < n; i++)
		state[i] += sign * other[i];
}

/* ---- finish ---- */

typedef struct Fit
{
	const MlProblem *problem;
	const LogisticParams *params;
	Layout		l;
	double	   *state;
	double	   *carry;			/* the next one */
	bool	   *fixed;			/* q */
	bool		penalized;
	MlDescent	descent;
} Fit;

/* Writes the gradient and, with Newton, the Hessian of the loss into the state's scratch space. */
static const double *
assemble(Fit *fit, double *gradient)
{
	const Layout *l = &fit->l;
	double	   *h = fit->state + l->scratch;
	size_t		d = l->d;
	size_t		q = l->q;
	const double *pair = fit->state + l->pairs;

	if (l->blocks == 1)
	{
		const double *gram = fit->state + l->gram;

		for (size_t i = 0; i < d; i++)
		{
			gradient[i] = -gram[i * (d + 1) + d];
			memcpy(h + i * d, gram + i * (d + 1), sizeof(double) * d);
		}
		return h;
	}
	memcpy(gradient, fit->state + l->gradient, sizeof(double) * q);
	if (!l->newton)
		return NULL;
	memset(h, 0, sizeof(double) * q * q);
	for (size_t a = 0; a < (size_t) l->blocks; a++)
		for (size_t b = a + 1; b < (size_t) l->blocks; b++, pair += d * d)
			for (size_t i = 0; i < d; i++)
			{
				if (i % CHECK_ROWS == CHECK_ROWS - 1)
					ml_check_interrupts();
				for (size_t j = 0; j < d; j++)
				{
					double		v = pair[i * d + j];

					h[(a * d + i) * q + a * d + j] += v;
					h[(b * d + i) * q + b * d + j] += v;
					h[(a * d + i) * q + b * d + j] -= v;
					h[(b * d + i) * q + a * d + j] -= v;
				}
			}
	/* The common part of all intercepts does not matter: hold it where it is. */
	if (fit->penalized)
	{
		double		c = 0;

		for (size_t a = 0; a < (size_t) l->blocks; a++)
			c = fmax(c, h[a * d * q + a * d]);
		for (size_t a = 0; a < (size_t) l->blocks; a++)
			for (size_t b = 0; b < (size_t) l->blocks; b++)
				h[a * d * q + b * d] += c;
	}
	return h;
}

/* Which unknowns stay at zero: found in pass 0 and kept in the carry. */
static void
find_fixed(Fit *fit)
{
	const Layout *l = &fit->l;
	size_t		d = l->d;
	double	   *gram;
	bool	   *aliased;
	int			reference = 0;

	if (fit->problem->pass > 0)
	{
		const double *flag = fit->problem->carry + fit->problem->ncarry - l->q;

		for (int j = 0; j < l->q; j++)
			fit->fixed[j] = flag[j] != 0;
		return;
	}
	aliased = ml_alloc(d, sizeof(bool));
	if (!fit->penalized && (l->newton || l->approach))
	{
		gram = ml_alloc(d * d, sizeof(double));
		if (l->blocks == 1)
			for (size_t i = 0; i < d; i++)
				memcpy(gram + i * d, fit->state + l->gram + i * (d + 1), sizeof(double) * d);
		else
			for (int pair = 0; pair < (l->approach ? 1 : l->blocks * (l->blocks - 1) / 2); pair++)
				ml_axpy(d * d, 1, fit->state + l->pairs + pair * d * d, gram);
		if (!fit->params->intercept)
			for (size_t j = 0; j < d; j++)
				gram[j] = gram[j * d] = 0;
		ml_newton_alias(d, gram, ALIAS_TOL, aliased);
	}
	aliased[0] = !fit->params->intercept;
	while (l->blocks > 1 && !fit->penalized && fit->state[l->weights + reference] == 0)
		reference++;
	for (int j = 0; j < l->q; j++)
	{
		int			k = j / d;

		fit->fixed[j] = aliased[j % d] ||
			(l->blocks > 1 && ((!fit->penalized && k == reference) || fit->state[l->weights + k] == 0));
	}
}

/*
 * Classes without rows (a fold may miss one) get a constant predictor far
 * below the others.  Done once, before the first step; true when it was.
 */
static bool
set_absent(Fit *fit, const double *old)
{
	const Layout *l = &fit->l;
	double	   *point = ml_carry_point(fit->carry);
	bool		changed = false;

	if (fit->problem->pass > 0 || l->blocks == 1)
		return false;
	if (old)
		memcpy(point, ml_carry_point(old), sizeof(double) * l->q);
	for (int k = 0; k < l->blocks; k++)
	{
		double	   *own = point + (size_t) k * l->d;

		if (fit->state[l->weights + k] > 0 || own[0] == ABSENT_ETA)
			continue;
		memset(own, 0, sizeof(double) * l->d);
		own[0] = ABSENT_ETA;
		changed = true;
	}
	return changed;
}

/* Penalties and units of the unknowns: `unit` turns a standardized coefficient into the one that is penalised. */
static void
set_penalties(Fit *fit)
{
	const MlProblem *problem = fit->problem;
	const Layout *l = &fit->l;
	double	   *l1 = ml_alloc(l->q, sizeof(double));
	double	   *l2 = ml_alloc(l->q, sizeof(double));
	double	   *unit = ml_alloc(l->q, sizeof(double));

	for (int i = 0; i < l->q; i++)
	{
		int			j = i % l->d - 1;

		unit[i] = 1;
		if (j < 0)
			continue;
		if (!(problem->scaled && problem->scaled[j]) && problem->scale)
			unit[i] = 1 / problem->scale[j];
		l1[i] = fit->params->l1 * unit[i];
		l2[i] = fit->params->l2 * unit[i] * unit[i];
	}
	fit->descent.l1 = fit->params->l1 > 0 ? l1 : NULL;
	fit->descent.l2 = fit->params->l2 > 0 ? l2 : NULL;
	fit->descent.unit = unit;
}

static void
warn_separated(const Fit *fit, int worst)
{
	const char *help = "set \"l2\" to a positive number";

	if (worst >= 0)
		ml_warn("the classes are separated by column \"%s\": the maximum of the likelihood does not exist; %s",
				fit->problem->names[worst], help);
	else
		ml_warn("the classes are separated: the maximum of the likelihood does not exist; %s", help);
}

/* The column with the largest entry of v, in units of the predictor, the first of about equal ones; -1 without columns. */
static int
largest_column(const Fit *fit, const double *v)
{
	double		top = 0;

	for (int i = 0; i < fit->l.q; i++)
		if (i % fit->l.d > 0)
			top = fmax(top, fabs(v[i]) * fit->descent.unit[i]);
	for (int i = 0; i < fit->l.q && top > 0; i++)
		if (i % fit->l.d > 0 && fabs(v[i]) * fit->descent.unit[i] >= ML_SAME_STEP * top)
			return i % fit->l.d - 1;
	return -1;
}

/* Covariance of the estimates into the model; rows of diverging unknowns are left out. */
static void
set_covariance(Fit *fit, MlLinear *m, const double *direction)
{
	const Layout *l = &fit->l;
	size_t		q = l->q;
	double	   *h = fit->state + l->scratch;
	bool	   *lost = ml_alloc(q, sizeof(bool));
	double		top = 0;

	assemble(fit, ml_alloc(q, sizeof(double)));
	if (!ml_newton_covariance(q, h, fit->fixed))
		return;
	for (size_t i = 0; direction && i < q; i++)
		top = fmax(top, fabs(direction[i]) * fit->descent.unit[i]);
	for (size_t i = 0; direction && i < q; i++)
		lost[i] = fabs(direction[i]) * fit->descent.unit[i] >= 0.1 * top;
	for (size_t i = 0; i < q; i++)
		for (size_t j = 0; j < q; j++)
			if (lost[i] || lost[j])
				h[i * q + j] = 0;
	if (l->blocks == 1)
	{
		m->vcov = ml_alloc(q * q, sizeof(double));
		memcpy(m->vcov, h, sizeof(double) * q * q);
		return;
	}
	m->std_error = ml_alloc(q, sizeof(double));
	for (size_t i = 0; i < q; i++)
	{
		size_t		j = i % l->d;
		size_t		first = i - j;
		double		variance = h[i * q + i];
		bool		whole = variance > 0;

		if (j > 0)
			variance /= fit->problem->scale ? fit->problem->scale[j - 1] * fit->problem->scale[j - 1] : 1;
		for (int a = 1; j == 0 && fit->params->intercept && fit->problem->center && a < l->d; a++)
		{
			double		ca = fit->problem->center[a - 1] / (fit->problem->scale ? fit->problem->scale[a - 1] : 1);

			whole = whole && (fit->fixed[i + a] || ca == 0 || h[(i + a) * q + i + a] > 0);
			variance -= 2 * ca * h[i * q + i + a];
			for (int b = 1; b < l->d; b++)
				variance += ca * h[(i + a) * q + first + b] * fit->problem->center[b - 1] /
					(fit->problem->scale ? fit->problem->scale[b - 1] : 1);
		}
		m->std_error[i] = whole && variance > 0 ? sqrt(variance) : NAN;
	}
}

static void
set_measures(Fit *fit, MlLinear *m)
{
	const Layout *l = &fit->l;
	const double *state = fit->state;
	const double *weight = state + l->weights;
	double		penalty = 0;
	int			free_unknowns = 0;

	m->n = state[SUM_ROWS];
	m->df = INFINITY;
	m->mean_interval = true;
	m->iterations = fit->problem->pass + 1;
	for (int i = 0; i < l->q; i++)
	{
		double		x = ml_carry_point(fit->carry)[i];

		penalty += fit->descent.l1 ? fit->descent.l1[i] * fabs(x) : 0;
		penalty += fit->descent.l2 ? fit->descent.l2[i] * x * x / 2 : 0;
	}
	m->log_likelihood = fmin(penalty - fit->descent.objective, 0);
	m->deviance = -2 * m->log_likelihood;
	m->null_deviance = 0;
	for (int k = 0; k < fit->problem->classes; k++)
		if (!fit->params->intercept)
			m->null_deviance += 2 * weight[k] * log(fit->problem->classes);
		else if (weight[k] > 0)
			m->null_deviance -= 2 * weight[k] * log(weight[k] / state[SUM_WEIGHT]);
	for (int i = 0; i < l->q; i++)
		free_unknowns += !fit->fixed[i];
	for (int j = 0; j < fit->problem->p; j++)
		m->rank += !(m->aliased && m->aliased[j]);
	if (!fit->penalized)
		m->aic = m->deviance + 2 * free_unknowns;
	else
	{
		m->lambda = fit->params->l1 + fit->params->l2;
		m->l1_ratio = fit->params->l1 / m->lambda;
	}
}

/* A class that is neither the reference nor without rows: its fixed columns are the aliased ones. */
static int
free_block(const Fit *fit)
{
	for (int k = fit->l.blocks - 1; k > 0; k--)
		if (fit->state[fit->l.weights + k] > 0)
			return k;
	return 0;
}

static MlLinear *
make_model(Fit *fit, bool inference, const double *direction)
{
	const MlProblem *problem = fit->problem;
	const Layout *l = &fit->l;
	const double *theta = ml_carry_point(fit->carry);
	MlLinear   *m = ml_linear_create(l->blocks > 1 ? ML_LINK_SOFTMAX : ML_LINK_LOGIT, problem->p, l->blocks);

	m->intercept = fit->params->intercept;
	for (int k = 0; k < l->blocks; k++)
	{
		m->alpha[k] = theta[(size_t) k * l->d];
		memcpy(m->beta + (size_t) k * problem->p, theta + (size_t) k * l->d + 1, sizeof(double) * problem->p);
	}
	if (!fit->penalized)
	{
		const bool *fixed = fit->fixed + (size_t) free_block(fit) * l->d + 1;

		ml_linear_set_aliased(m, problem, fixed);
		if (l->newton && inference)
			set_covariance(fit, m, direction);
	}
	set_measures(fit, m);
	ml_linear_unscale(m, fit->params->intercept ? problem->center : NULL, problem->scale);
	return m;
}

static MlStep
conclude(Fit *fit, MlVerdict verdict, bool separated, MlResult *result)
{
	const MlDescent *descent = &fit->descent;
	const double *direction = NULL;

	result->converged = true;
	if (separated)
	{
		warn_separated(fit, largest_column(fit, ml_carry_point(fit->carry)));
		result->stop = "classes are separated";
	}
	else if (verdict == ML_VERDICT_DIVERGING)
	{
		direction = ml_newton_direction(fit->carry, fit->l.q);
		warn_separated(fit, largest_column(fit, direction));
		result->stop = "classes are separated";
	}
	else if (verdict == ML_VERDICT_CONVERGED)
		result->stop = "gradient below tol";
	else
	{
		result->converged = false;
		result->stop = verdict == ML_VERDICT_LIMIT ? "max_iter reached" : "no step lowers the objective";
		ml_warn("logistic regression did not converge in %d iterations (%s): largest gradient %.3g, wanted %.3g; "
				"a larger \"max_iter\", a larger \"tol\" or a penalty \"l2\" helps",
				fit->problem->pass + 1, result->stop, descent->gradient_max, descent->gradient_tol);
	}
	/* After a rejected step the sums belong to another point than the estimates. */
	result->model = make_model(fit, !separated && (result->converged || direction), direction);
	if (separated || direction)
		result->converged = false;
	/* A separated sample is no place to start from. */
	if (!result->converged)
	{
		result->carry = NULL;
		result->ncarry = 0;
	}
	return ML_DONE;
}

/*
 * A pass of BFGS.  With a quadratic penalty the error of a coefficient is at most
 * the length of the gradient over the penalty: where Newton's method could be had
 * that is what it goes on for, and the answer is as good.
 */
static MlVerdict
first_order(Fit *fit, const double *old)
{
	MlDescent  *descent = &fit->descent;
	double		enough = descent->gradient_tol;
	MlVerdict	verdict;

	if (is_smooth(fit->params) && !fit->problem->draft && fit->l.q <= NEWTON_LIMIT)
	{
		double		least = INFINITY;

		for (int i = 0; i < fit->l.q; i++)
			if (descent->l2[i] > 0)
				least = fmin(least, descent->l2[i]);
		descent->gradient_tol = fmin(enough, fmax(BFGS_ERROR * least, NOISE * fit->state[SUM_WEIGHT]));
	}
	else if (fit->l.approach)
	{
		descent->gradient_tol = fmax(enough, APPROACH_TOL * fit->state[SUM_WEIGHT]);
		descent->max_iter = APPROACH_PASSES;
	}
	verdict = ml_lbfgs_advance(descent, old, fit->carry);
	descent->gradient_tol = enough;
	if ((verdict == ML_VERDICT_STALLED || verdict == ML_VERDICT_LIMIT) && descent->gradient_max <= enough)
		return ML_VERDICT_CONVERGED;
	return verdict;
}

/* Goes on with Newton's method from where BFGS came to. */
static MlStep
take_over(Fit *fit, MlResult *result)
{
	size_t		q = fit->l.q;

	result->ncarry = ml_newton_carry_size(fit->l.q) + q;
	result->carry = ml_alloc(result->ncarry, sizeof(double));
	result->carry[APPROACHED] = fit->problem->pass + 1;
	memcpy(ml_carry_point(result->carry), ml_carry_point(fit->carry), sizeof(double) * q);
	for (size_t j = 0; j < q; j++)
		result->carry[result->ncarry - q + j] = fit->fixed[j];
	return ML_AGAIN;
}

static MlStep
logistic_finish(const MlProblem *problem, double *state, MlResult *result)
{
	Fit			fit = {.problem = problem, .params = problem->params, .state = state};
	const LogisticParams *params = problem->params;
	const Layout *l = &fit.l;
	const double *old;
	double	   *gradient;
	bool		separated;
	MlVerdict	verdict;

	fit.l = layout_of(problem);
	fit.penalized = params->l1 > 0 || params->l2 > 0;
	for (int k = 0; k < problem->classes; k++)
		if (!(state[l->weights + k] < state[SUM_WEIGHT]))
			ml_fail_data("all %.0f training rows belong to one class", state[SUM_ROWS]);
	result->ncarry = (l->newton ? ml_newton_carry_size(l->q) : ml_lbfgs_carry_size(l->q)) + l->q;
	old = point_of(problem, l) ? problem->carry : NULL;
	/* The history of BFGS is large: after pass 0 it is ours, and kept in place. */
	fit.carry = !l->newton && old && problem->pass > 0 ? (double *) old : ml_alloc(result->ncarry, sizeof(double));
	fit.fixed = ml_alloc(l->q, sizeof(bool));
	gradient = ml_alloc(l->q, sizeof(double));
	find_fixed(&fit);
	set_penalties(&fit);

	for (int j = 0; j < l->q; j++)
		fit.carry[result->ncarry - l->q + j] = fit.fixed[j];
	result->carry = fit.carry;
	result->objective = NAN;
	if (set_absent(&fit, old))
		return ML_AGAIN;

	fit.descent.q = l->q;
	fit.descent.value = state[SUM_LOSS];
	fit.descent.hessian = (double *) assemble(&fit, gradient);
	fit.descent.gradient = gradient;
	fit.descent.fixed = fit.fixed;
	fit.descent.gradient_tol = ml_newton_tol(problem, params->tol) * state[SUM_WEIGHT];
	fit.descent.step_tol = problem->draft ? HUGE_VAL : STEP_TOL;
	fit.descent.size = 1;
	fit.descent.pass = problem->pass > 0 && l->newton && old ? problem->pass - (int) old[APPROACHED] : problem->pass;
	fit.descent.confirm = !problem->draft && !fit.penalized && state[SUM_ROWS] <= ML_CONFIRM_ROWS;
	fit.descent.max_iter = l->newton ? params->max_iter : params->max_iter * FIRST_ORDER_PASSES;
	if (l->newton)
	{
		verdict = ml_newton_advance(&fit.descent, old, fit.carry);
		if (problem->pass == 0)
			fit.carry[APPROACHED] = 0;	/* that of the sample it was started from */
	}
	else
		verdict = first_order(&fit, old);
	result->objective = fit.descent.objective;
	/* Every row strictly on its side of a hyperplane proves that there is no maximum. */
	separated = !fit.penalized && state[SUM_WRONG] <= 0;
	if (separated && old)
	{
		if (verdict == ML_VERDICT_AGAIN && state[SUM_LOSS] > SEPARATED_LOSS * state[SUM_WEIGHT])
			return ML_AGAIN;
		memcpy(ml_carry_point(fit.carry), ml_carry_point(old), sizeof(double) * l->q);
		fit.descent.objective = result->objective = state[SUM_LOSS];
	}
	else if (verdict == ML_VERDICT_AGAIN)
		return ML_AGAIN;
	else if (l->approach)
		return take_over(&fit, result);
	return conclude(&fit, verdict, separated, result);
}

/* ---- the table ---- */

static const MlParam logistic_params[] = {
	{"intercept", "fit an intercept", ML_PARAM_BOOL, offsetof(LogisticParams, intercept), "true"},
	{"l1", "penalty on the sum of absolute coefficients", ML_PARAM_PENALTY, offsetof(LogisticParams, l1), "0", 0, 1e12},
	{"l2", "penalty on half the sum of squared coefficients", ML_PARAM_PENALTY, offsetof(LogisticParams, l2), "0", 0, 1e12},
	{"max_iter", "largest number of Newton iterations", ML_PARAM_INT, offsetof(LogisticParams, max_iter), "100", 1, 100000},
	{"tol", "largest entry of the gradient, per unit of weight, at which to stop", ML_PARAM_REAL,
	offsetof(LogisticParams, tol), "1e-8", 1e-15, 1},
	{NULL}
};

const MlAlgorithm ml_algo_logistic = {
	.name = "logistic",
	.summary = "logistic regression for two or more classes, with l1 and l2 penalties",
	.tasks = ML_CLASSIFICATION,
	.flags = ML_STANDARDIZED | ML_WARM_START | ML_REFERENCE_LEVEL,
	.format = 1,
	.params = logistic_params,
	.params_size = sizeof(LogisticParams),
	.state_size = logistic_state_size,
	.accumulate = logistic_accumulate,
	.combine = logistic_combine,
	.finish = logistic_finish,
	.predict = ml_linear_predict,
	.save = ml_linear_save,
	.load = ml_linear_load,
	.describe = ml_linear_describe,
	.coefficients = ml_linear_coefficients,
	.explain = ml_linear_explain,
	.formula = ml_linear_formula,
	.interval = ml_linear_interval,
};
