/*
 * glm.c - generalized linear models (Nelder and Wedderburn 1972; McCullagh and
 * Nelder 1989): gaussian, binomial, poisson and gamma targets.
 *
 * Minimises half the deviance plus l2/2 sum b^2 by Newton's method over passes
 * (num/newton.c).  With the canonical link observed and expected information are
 * one; with another the observed one makes the steps, because the expected one
 * (Fisher scoring) converges at a linear rate, and where the observed one has no
 * minimum near, the expected one does.  Unknowns: intercept, then p coefficients
 * in standardized coordinates.
 *
 * Pass 0 of a fresh fit evaluates nothing: as R's glm does it solves one
 * weighted least squares problem in starting means made from the target.  The
 * intercept-only model (null deviance) is fitted in the same passes.
 *
 * State: HEAD sums, the Gram matrix of the rows scaled by the square root of
 * their working weight with the working residual as last column (expected
 * information), the observed information unless the link is canonical, scratch
 * space.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "num/dense.h"
#include "num/linear_model.h"
#include "num/newton.h"
#include "num/special.h"
#include "family.h"

typedef struct GlmParams
{
	int			family;
	int			link;			/* 0: the family's usual one, else as in link_names */
	char	   *offset;
	double		l2;
	bool		intercept;
	int			max_iter;
	double		tol;
} GlmParams;

static const char *const family_names[] = {"gaussian", "binomial", "poisson", "gamma", NULL};
/* In the order of MlLink, whose softmax is none of these: in its place stands the one behind it. */
static const char *const link_names[] = {
	"auto", "identity", "log", "logit", "probit", "cloglog", "inverse", "sqrt", "cauchit", NULL
};

#define CHOSEN_CAUCHIT ML_LINK_SOFTMAX

#define BIT(link) (1u << (link))

/* The first is what auto means; the rest are those of R. */
static const struct
{
	MlLink		usual;
	unsigned	links;
	bool		dispersed;		/* the dispersion is estimated */
}			families[] = {
	{ML_LINK_IDENTITY, BIT(ML_LINK_IDENTITY) | BIT(ML_LINK_LOG) | BIT(ML_LINK_INVERSE), true},
	{ML_LINK_LOGIT, BIT(ML_LINK_LOGIT) | BIT(ML_LINK_PROBIT) | BIT(ML_LINK_CLOGLOG) | BIT(ML_LINK_LOG) |
	BIT(ML_LINK_CAUCHIT), false},
	{ML_LINK_LOG, BIT(ML_LINK_LOG) | BIT(ML_LINK_IDENTITY) | BIT(ML_LINK_SQRT), false},
	{ML_LINK_INVERSE, BIT(ML_LINK_INVERSE) | BIT(ML_LINK_IDENTITY) | BIT(ML_LINK_LOG), true}
};

#define ALIAS_TOL 1e-11			/* 1 - R^2 of a column on earlier ones; rounding leaves 1e-14 */
#define PERFECT 1e-10			/* share of the null deviance below which a fit counts as one without error */
#define NEWTON_STEP_TOL 1e-5	/* the last Newton step squares this error ... */
#define SCORING_STEP_TOL 1e-10	/* ... a scoring step only shrinks it */
#define LEAST_CURVATURE 0.01	/* of the observed information, in units of the expected one, to be used */
#define NULL_TOL 1e-10
#define OUTSIDE_PASSES 5		/* so many steps to impossible means, and an end without convergence: blame the edge */

enum							/* sums */
{
	SUM_WEIGHT,
	SUM_ROWS,
	SUM_Y,
	SUM_VALUE,					/* half the deviance */
	SUM_INVALID,				/* rows whose mean the family does not allow */
	SUM_SATURATED,				/* pass 0: log-likelihood of a perfect fit, or what stands for it */
	SUM_NULL_VALUE,
	SUM_NULL_GRADIENT,
	SUM_NULL_HESSIAN,
	SUM_NULL_INVALID,
	SUM_EDGE,					/* rows whose mean is as good as at the edge of what the family allows */
	HEAD = 12
};

enum							/* in the carry */
{
	NULL_POINT,					/* intercept of the null model to evaluate */
	NULL_BASE,					/* the best so far */
	NULL_VALUE,					/* its half deviance */
	NULL_STATUS,				/* 0: to be evaluated first, 1: iterating, 2: done */
	SATURATED,
	STARTED,					/* a valid point has been evaluated */
	OUTSIDE,					/* passes since then whose point was not valid */
	MEAN						/* of the target */
};

static MlLink
link_of(const GlmParams *params)
{
	if (params->link == CHOSEN_CAUCHIT)
		return ML_LINK_CAUCHIT;
	return params->link ? (MlLink) params->link : families[params->family].usual;
}

static bool
has_null(const MlProblem *problem)
{
	return problem->pass > 0 && problem->carry && problem->carry[NULL_STATUS] < 2;
}

static void
glm_check(const void *p, uint32_t task)
{
	const GlmParams *params = p;

	if (!(families[params->family].links & BIT(link_of(params))))
		ml_fail_param("link \"%s\" cannot be used with family \"%s\"",
					  link_names[params->link], family_names[params->family]);
}

/* Observed and expected information are one. */
static bool
is_canonical(const GlmParams *params)
{
	return link_of(params) == families[params->family].usual;
}

/* Where the observed information begins. */
static size_t
observed_at(const MlProblem *problem)
{
	size_t		k = (size_t) problem->p + 2;

	return HEAD + k * k;
}

static size_t
sums_size(const MlProblem *problem)
{
	size_t		d = (size_t) problem->p + 1;

	return observed_at(problem) + (is_canonical(problem->params) ? 0 : d * d);
}

static size_t
glm_state_size(const MlProblem *problem)
{
	size_t		d = (size_t) problem->p + 1;
	size_t		tile = ML_TILE_ROWS * (d + 1);

	return sums_size(problem) + (d * d > tile ? d * d : tile);
}

static size_t
carry_size(const MlProblem *problem)
{
	return ml_newton_carry_size(problem->p + 1) + problem->p + 1;
}

static const double *
usable_carry(const MlProblem *problem)
{
	return problem->carry && problem->ncarry == carry_size(problem) ? problem->carry : NULL;
}

/* What a column's z lacks to x / scale: only a model without intercept sees it. */
static double
shift_of(const MlProblem *problem, int j)
{
	const GlmParams *params = problem->params;

	if (params->intercept || !problem->center)
		return 0;
	return problem->center[j] / (problem->scale ? problem->scale[j] : 1);
}

/* ---- accumulate ---- */

static void
null_model(const MlProblem *problem, double *state, const MlTile *tile)
{
	const GlmParams *params = problem->params;
	MlLink		link = link_of(params);
	Mean		m = ml_glm_mean(params->family, link, problem->carry[NULL_POINT]);

	for (int i = 0; i < tile->n; i++)
	{
		double		w = tile->w ? tile->w[i] : 1;
		double		s;

		if (tile->offset)
			m = ml_glm_mean(params->family, link, problem->carry[NULL_POINT] + tile->offset[i]);
		if (!m.valid)
		{
			state[SUM_NULL_INVALID] += 1;
			continue;
		}
		s = m.slope / m.sd;
		state[SUM_NULL_VALUE] += w * ml_glm_half_deviance(params->family, tile->y[i], &m);
		state[SUM_NULL_GRADIENT] += w * s * ((tile->y[i] - m.mu) / m.sd);
		state[SUM_NULL_HESSIAN] += w * s * s;
	}
}

static void
linear_predictors(const MlProblem *problem, const MlTile *tile, double *eta)
{
	const double *theta = ml_carry_point(problem->carry);
	double		alpha = theta[0];

	ml_gemv(tile->n, problem->p, tile->x, theta + 1, eta);
	for (int j = 0; j < problem->p; j++)
		alpha += theta[j + 1] * shift_of(problem, j);
	for (int i = 0; i < tile->n; i++)
		eta[i] += alpha + (tile->offset ? tile->offset[i] : 0);
}

/* Adds the observed information: of rows of positive weight, less that of the others. */
static void
observe(const MlProblem *problem, double *state, const MlTile *tile, const double *weight)
{
	const GlmParams *params = problem->params;
	int			p = problem->p;
	size_t		d = (size_t) p + 1;
	double	   *sum = state + observed_at(problem);
	double	   *rows = state + sums_size(problem);

	for (int sign = 1; sign >= -1; sign -= 2)
	{
		int			n = 0;

		for (int i = 0; i < tile->n; i++)
		{
			double	   *row = rows + n * d;
			double		root;

			if (!(sign * weight[i] > 0))
				continue;
			root = sqrt(fabs(weight[i]));
			row[0] = root;
			for (int j = 0; j < p; j++)
				row[j + 1] = root * (tile->x[(size_t) i * p + j] + (params->intercept ? 0 : shift_of(problem, j)));
			n++;
		}
		if (n == 0)
			continue;
		for (size_t i = 0; sign < 0 && i < d * d; i++)
			sum[i] = -sum[i];
		ml_gram_add(n, (int) d, rows, sum);
		for (size_t i = 0; sign < 0 && i < d * d; i++)
			sum[i] = -sum[i];
	}
}

static void
glm_accumulate(const MlProblem *problem, double *state, const MlTile *tile)
{
	const GlmParams *params = problem->params;
	Family		family = params->family;
	MlLink		link = link_of(params);
	bool		fresh = usable_carry(problem) == NULL;
	int			p = problem->p;
	double	   *rows = state + sums_size(problem);
	double		eta[ML_TILE_ROWS];
	double		observed[ML_TILE_ROWS];
	bool		observes = !fresh && !is_canonical(params);

	if (!fresh)
		linear_predictors(problem, tile, eta);
	for (int i = 0; i < tile->n; i++)
	{
		double		w = tile->w ? tile->w[i] : 1;
		double		y = tile->y[i];
		double	   *row = rows + (size_t) i * (p + 2);
		double		root;
		double		residual;
		Mean		m;

		state[SUM_WEIGHT] += w;
		state[SUM_Y] += w * y;
		if (problem->pass == 0)
		{
			ml_glm_check_target(family, y);
			state[SUM_SATURATED] += ml_glm_saturated(family, y, w);
		}
		m = ml_glm_mean(family, link, fresh ? ml_glm_starting_eta(family, link, y, w) : eta[i]);
		if (!m.valid)
		{
			state[SUM_INVALID] += 1;
			memset(row, 0, sizeof(double) * (p + 2));
			observed[i] = 0;
			continue;
		}
		root = sqrt(w) * (m.slope / m.sd);
		residual = sqrt(w) * ((y - m.mu) / m.sd);
		if (fresh)				/* regress the working response itself */
			residual += root * (ml_link_eta(link, m.mu) - (tile->offset ? tile->offset[i] : 0));
		else
		{
			state[SUM_VALUE] += w * ml_glm_half_deviance(family, y, &m);
			state[SUM_EDGE] += ml_glm_at_edge(family, link, y, &m, problem->carry[MEAN]);
		}
		if (observes)
			observed[i] = root * root + w * ml_glm_curvature(family, link, eta[i], y, &m);
		row[0] = root;
		for (int j = 0; j < p; j++)
			row[j + 1] = root * tile->x[(size_t) i * p + j];
		if (!params->intercept)
			for (int j = 0; j < p; j++)
				row[j + 1] += root * shift_of(problem, j);
		row[p + 1] = residual;
	}
	state[SUM_ROWS] += tile->n;
	ml_gram_add(tile->n, p + 2, rows, state + HEAD);
	if (observes)
		observe(problem, state, tile, observed);
	if (has_null(problem))
		null_model(problem, state, tile);
}

static void
glm_combine(const MlProblem *problem, double *state, const double *other, double sign)
{
	size_t		n = sums_size(problem);

	for (size_t i = 0; i < n; i++)
		state[i] += sign * other[i];
}

/* ---- finish ---- */

typedef struct Fit
{
	const MlProblem *problem;
	const GlmParams *params;
	MlLink		link;
	int			d;
	int			given;			/* column of the offset, known to predictions by its coefficient 1; or -1 */
	double	   *state;
	double	   *carry;
	bool	   *fixed;
	double	   *l2;
	double	   *unit;
	MlDescent	descent;
} Fit;

/* Copies the Gram matrix to the scratch space and the residual column to `b`. */
static double *
assemble(const Fit *fit, double *b, double sign)
{
	const double *gram = fit->state + HEAD;
	double	   *h = fit->state + sums_size(fit->problem);
	size_t		d = fit->d;

	for (size_t i = 0; i < d; i++)
	{
		b[i] = sign * gram[i * (d + 1) + d];
		memcpy(h + i * d, gram + i * (d + 1), sizeof(double) * d);
	}
	return h;
}

/*
 * The Hessian to step by: the observed information if it is well above zero,
 * measured by the expected one, which is taken otherwise.  Sets the step to stop at.
 */
static double *
choose_hessian(Fit *fit, double *gradient)
{
	const double *observed = fit->state + observed_at(fit->problem);
	double	   *h = assemble(fit, gradient, -1);
	size_t		d = fit->d;
	bool		newton = is_canonical(fit->params);

	if (!newton)
	{
		for (size_t i = 0; i < d * d; i++)
			h[i] = observed[i] - LEAST_CURVATURE * h[i];
		for (size_t j = 0; j < d; j++)
			h[j * d + j] += fit->l2[j];
		newton = ml_newton_definite(fit->d, h, fit->fixed);
		if (newton)
			memcpy(h, observed, sizeof(double) * d * d);
		else
			assemble(fit, gradient, -1);
	}
	fit->descent.step_tol = fit->problem->draft ? HUGE_VAL : newton ? NEWTON_STEP_TOL : SCORING_STEP_TOL;
	return h;
}

static void
find_fixed(Fit *fit, const double *old)
{
	double	   *h;

	if (fit->problem->pass > 0)
	{
		for (int j = 0; j < fit->d; j++)
			fit->fixed[j] = old[ml_newton_carry_size(fit->d) + j] != 0;
		return;
	}
	if (fit->params->l2 == 0)
	{
		h = assemble(fit, ml_alloc(fit->d, sizeof(double)), 1);
		/* What is in the offset may be in a column too. */
		for (int j = 0; j < fit->d && fit->given >= 0; j++)
			h[(size_t) (fit->given + 1) * fit->d + j] = h[(size_t) j * fit->d + fit->given + 1] = 0;
		if (!fit->params->intercept)
			for (int j = 0; j < fit->d; j++)
				h[j] = h[(size_t) j * fit->d] = 0;
		ml_newton_alias(fit->d, h, ALIAS_TOL, fit->fixed);
	}
	fit->fixed[0] = !fit->params->intercept;
	if (fit->given >= 0)
		fit->fixed[fit->given + 1] = true;
}

static int
offset_column(const MlProblem *problem)
{
	const GlmParams *params = problem->params;

	for (int j = 0; j < problem->p && params->offset; j++)
		if (strcmp(problem->names[j], params->offset) == 0)
			return j;
	return -1;
}

static void
set_penalties(Fit *fit)
{
	const MlProblem *problem = fit->problem;

	fit->l2 = ml_alloc(fit->d, sizeof(double));
	fit->unit = ml_alloc(fit->d, sizeof(double));
	fit->unit[0] = 1;
	for (int j = 0; j < problem->p; j++)
	{
		double		u = (problem->scaled && problem->scaled[j]) || !problem->scale ? 1 : 1 / problem->scale[j];

		fit->unit[j + 1] = u;
		fit->l2[j + 1] = fit->params->l2 * u * u;
	}
}

/* For messages: auto by its real name. */
static const char *
link_name(const Fit *fit)
{
	return link_names[fit->link == ML_LINK_CAUCHIT ? (int) CHOSEN_CAUCHIT : (int) fit->link];
}

/* The mean of the target under the link: where the null model starts. */
static double
mean_predictor(const Fit *fit)
{
	double		mean = fit->state[SUM_Y] / fit->state[SUM_WEIGHT];

	if (fit->params->family == BINOMIAL && (mean <= 0 || mean >= 1))
		ml_fail_data("all values of the target are %g: family \"binomial\" needs both outcomes", mean <= 0 ? 0.0 : 1.0);
	if (fit->params->family == POISSON && mean <= 0)
		ml_fail_data("all values of the target are 0: family \"poisson\" needs a positive mean");
	if ((fit->link == ML_LINK_LOG && mean <= 0) || (fit->link == ML_LINK_INVERSE && mean == 0))
		ml_fail_data("link \"%s\" needs a target with a positive mean, not %g", link_name(fit), mean);
	return ml_link_eta(fit->link, mean);
}

/* One scoring step of the null model; its own little carry. */
static void
advance_null(Fit *fit)
{
	const double *state = fit->state;
	double	   *c = fit->carry;
	double		step;

	if (fit->problem->pass == 0)
	{
		c[NULL_POINT] = c[NULL_BASE] = fit->params->intercept ? mean_predictor(fit) : 0;
		c[NULL_VALUE] = NAN;
		c[NULL_STATUS] = 0;
		return;
	}
	if (c[NULL_STATUS] == 2)
		return;
	if (state[SUM_NULL_INVALID] > 0 ||
		(c[NULL_STATUS] == 1 && !(state[SUM_NULL_VALUE] <= c[NULL_VALUE] * (1 + 1e-12))))
	{
		/* Halve the step; the first point has none, and then there is no null model. */
		step = c[NULL_POINT] - c[NULL_BASE];
		c[NULL_POINT] = c[NULL_BASE] + step / 2;
		if (c[NULL_STATUS] == 0 || fabs(step) < NULL_TOL * (1 + fabs(c[NULL_BASE])))
			c[NULL_STATUS] = 2;
		return;
	}
	c[NULL_STATUS] = 1;
	c[NULL_BASE] = c[NULL_POINT];
	c[NULL_VALUE] = state[SUM_NULL_VALUE];
	step = fit->params->intercept ? state[SUM_NULL_GRADIENT] / state[SUM_NULL_HESSIAN] : 0;
	c[NULL_POINT] += step;
	/* The error in the deviance is the square of the step left out. */
	if (!fit->params->offset || !(fabs(step) > 1e-8 * (fabs(c[NULL_BASE]) + 1e-8)))
		c[NULL_STATUS] = 2;
}

/* Pass 0 of a fresh fit: one weighted least squares fit of the working response. */
static void
start(Fit *fit)
{
	double	   *b = ml_alloc(fit->d, sizeof(double));
	double	   *h = assemble(fit, b, 1);
	double	   *point = ml_carry_point(fit->carry);

	for (int j = 0; j < fit->d; j++)
		h[(size_t) j * fit->d + j] += fit->l2[j];
	if (!ml_newton_solve(fit->d, h, fit->fixed, b, point))
		ml_fail_data("no starting values were found for family \"%s\" with link \"%s\"",
					 family_names[fit->params->family], link_name(fit));
}

/*
 * The start gave impossible means: go halfway to the model of the intercept alone, which has none
 * unless an offset takes it there; then the intercept goes further and further inside.
 */
static void
retreat(Fit *fit, const double *old)
{
	double	   *point = ml_carry_point(fit->carry);
	double		inside;

	memcpy(fit->carry, old, sizeof(double) * carry_size(fit->problem));
	advance_null(fit);
	if (!fit->params->intercept || fit->problem->pass > 40)
		ml_fail_data("no starting values were found for family \"%s\" with link \"%s\"",
					 family_names[fit->params->family], link_name(fit));
	inside = fit->carry[NULL_BASE];
	if (fit->params->offset && fit->problem->pass > 8)
		inside += (fit->link == ML_LINK_LOG ? -1 : 1) * fmax(fabs(inside), 0.1) * ldexp(1, fit->problem->pass - 9);
	for (int j = 0; j < fit->d; j++)
		point[j] = ((j == 0 ? inside : 0) + point[j]) / 2;
}

static void
set_likelihood(const Fit *fit, MlLinear *m, int unknowns)
{
	double		n = fit->state[SUM_ROWS];
	double		weight = fit->state[SUM_WEIGHT];
	double		constant = fit->carry[SATURATED];
	double		k;

	switch (fit->params->family)
	{
		case BINOMIAL:
		case POISSON:			/* constant: log-likelihood of a perfect fit */
			m->log_likelihood = constant - m->deviance / 2;
			break;
		case GAMMA:				/* constant: sum w log y; shape as R takes it, sum w / deviance */
			k = weight / m->deviance;
			m->log_likelihood = -constant - k * m->deviance / 2 - k * weight + weight * (k * log(k) - lgamma(k));
			unknowns++;
			break;
		case GAUSSIAN:			/* constant: sum log w */
			m->log_likelihood = -(n * (log(2 * M_PI * m->deviance / n) + 1) - constant) / 2;
			unknowns++;
			break;
	}
	m->aic = 2 * unknowns - 2 * m->log_likelihood;
	if (!isfinite(m->log_likelihood))
		m->log_likelihood = m->aic = NAN;
}

/* Dispersion and covariance; unknowns that run away (direction) have no standard error. */
static void
set_inference(const Fit *fit, MlLinear *m, int unknowns, const double *direction)
{
	size_t		d = fit->d;
	double		df = fit->state[SUM_ROWS] - unknowns;
	double		pearson = fit->state[HEAD + (d + 1) * (d + 1) - 1];
	double	   *h;
	double		top = 0;

	m->dispersion = 1;
	m->df = INFINITY;
	if (families[fit->params->family].dispersed)
	{
		m->dispersion = df > 0 ? pearson / df : NAN;
		m->df = df > 0 ? df : NAN;
	}
	h = assemble(fit, ml_alloc(d, sizeof(double)), 1);
	if (isnan(m->dispersion) || !ml_newton_covariance(fit->d, h, fit->fixed))
		return;
	for (size_t j = 0; direction && j < d; j++)
		top = fmax(top, fabs(direction[j]) * fit->unit[j]);
	m->vcov = ml_alloc(d * d, sizeof(double));
	for (size_t i = 0; i < d; i++)
		for (size_t j = 0; j < d; j++)
		{
			bool		lost = direction && (fabs(direction[i]) * fit->unit[i] >= 0.1 * top ||
											 fabs(direction[j]) * fit->unit[j] >= 0.1 * top);

			m->vcov[i * d + j] = lost ? 0 : m->dispersion * h[i * d + j];
		}
}

static MlLinear *
make_model(Fit *fit, bool inference, const double *direction)
{
	const MlProblem *problem = fit->problem;
	const double *theta = ml_carry_point(fit->carry);
	MlLinear   *m = ml_linear_create(fit->link, problem->p, 1);
	double		penalty = 0;
	int			unknowns = 0;

	m->intercept = fit->params->intercept;
	m->alpha[0] = theta[0];
	memcpy(m->beta, theta + 1, sizeof(double) * problem->p);
	m->n = fit->state[SUM_ROWS];
	m->mean_interval = true;
	m->iterations = problem->pass + 1;
	for (int j = 0; j < fit->d; j++)
		penalty += fit->l2[j] * theta[j] * theta[j] / 2;
	m->deviance = fmax(2 * (fit->descent.objective - penalty), 0);
	m->null_deviance = 2 * fit->carry[NULL_VALUE];
	for (int j = 0; j < fit->d; j++)
		unknowns += !fit->fixed[j];
	m->rank = unknowns - fit->params->intercept;
	if (fit->params->l2 > 0)
		m->lambda = fit->params->l2;
	else
	{
		bool	   *aliased = ml_alloc(problem->p + 1, sizeof(bool));

		memcpy(aliased, fit->fixed + 1, problem->p * sizeof(bool));
		if (fit->given >= 0)
			aliased[fit->given] = false;	/* fixed by the user, not by the data */
		ml_linear_set_aliased(m, problem, aliased);
		set_likelihood(fit, m, unknowns);
		if (inference)
			set_inference(fit, m, unknowns, direction);
	}
	ml_linear_unscale(m, fit->params->intercept ? problem->center : NULL, problem->scale);
	m->given = fit->given;
	if (fit->given >= 0)
	{
		m->beta[fit->given] = 1;
		m->alpha[0] += m->center[fit->given];
	}
	return m;
}

static void
warn_diverging(const Fit *fit)
{
	const char *name = fit->descent.worst > 0 ? fit->problem->names[fit->descent.worst - 1] : "(intercept)";

	if (fit->params->family == BINOMIAL)
		ml_warn("the classes are separated by column \"%s\": the maximum of the likelihood does not exist; "
				"set \"l2\" to a positive number", name);
	else
		ml_warn("the coefficient of column \"%s\" grows without bound: the maximum of the likelihood does not exist; "
				"set \"l2\" to a positive number", name);
}

static MlStep
conclude(Fit *fit, MlVerdict verdict, MlResult *result)
{
	const MlDescent *descent = &fit->descent;
	const double *direction = NULL;
	bool		edge = fit->state[SUM_EDGE] > 0 || fit->state[SUM_INVALID] > 0 ||
		(verdict != ML_VERDICT_CONVERGED && fit->carry[OUTSIDE] >= OUTSIDE_PASSES);

	if (verdict != ML_VERDICT_DIVERGING && edge)
	{
		/* The last step is taken without looking, and might lead outside. */
		for (int j = 0; j < fit->d && verdict == ML_VERDICT_CONVERGED; j++)
			ml_carry_point(fit->carry)[j] -= ml_newton_direction(fit->carry, fit->d)[j];
		result->stop = "means at the edge";
		ml_warn("glm: some fitted means reach the edge of what family \"%s\" allows with link \"%s\": "
				"the likelihood may have no maximum inside, and standard errors do not hold; another link helps",
				family_names[fit->params->family], link_name(fit));
	}
	else if (verdict == ML_VERDICT_CONVERGED)
		result->stop = "gradient below tol";
	else if (verdict == ML_VERDICT_DIVERGING)
	{
		int			d = fit->d;

		direction = ml_newton_direction(fit->carry, d);
		/* Name a column rather than the intercept that follows it. */
		for (int j = 1; j < d && descent->worst == 0; j++)
			if (fabs(direction[j]) * fit->unit[j] >= 0.1 * fabs(direction[0]))
				fit->descent.worst = j;
		warn_diverging(fit);
		result->stop = "estimate without bound";
	}
	else
	{
		result->stop = verdict == ML_VERDICT_LIMIT ? "max_iter reached" : "no step lowers the deviance";
		ml_warn("glm did not converge in %d iterations (%s): last step %.3g, largest gradient %.3g, wanted %.3g; "
				"a larger \"max_iter\", another link or a penalty \"l2\" helps",
				fit->problem->pass + 1, result->stop, descent->step, descent->gradient_max, descent->gradient_tol);
	}
	/* After a rejected step the sums belong to another point than the estimates. */
	result->converged = verdict == ML_VERDICT_CONVERGED && !edge;
	result->model = make_model(fit, result->converged || direction, direction);
	if (!result->converged)
	{
		result->carry = NULL;
		result->ncarry = 0;
	}
	return ML_DONE;
}

/*
 * What a gradient is measured against: Cauchy and Schwarz' bound for the longest
 * column, with deviance for Pearson residuals, which one misfit can blow up.
 */
static double
gradient_scale(const Fit *fit)
{
	size_t		d = fit->d;
	const double *gram = fit->state + HEAD;
	double		top = 0;

	for (size_t j = 0; j < d; j++)
		if (!fit->fixed[j])
			top = fmax(top, gram[j * (d + 1) + j]);
	/* A fit without error takes the deviance to zero: there what it was of the null model holds. */
	top = sqrt(top) * sqrt(2 * fmax(fmax(fit->state[SUM_VALUE], 0), PERFECT * fit->carry[NULL_VALUE]));
	/* Separated classes take the deviance to zero: there the sum of weights holds, as in logistic. */
	return fit->params->family == BINOMIAL ? fmax(top, fit->state[SUM_WEIGHT]) : top;
}

static MlStep
glm_finish(const MlProblem *problem, double *state, MlResult *result)
{
	const double *old = usable_carry(problem);
	double	   *gradient = ml_alloc(problem->p + 1, sizeof(double));
	Fit			fit = {.problem = problem, .params = problem->params, .state = state, .d = problem->p + 1};
	MlVerdict	verdict;

	fit.link = link_of(fit.params);
	fit.given = offset_column(problem);
	fit.fixed = ml_alloc(fit.d, sizeof(bool));
	find_fixed(&fit, old);
	set_penalties(&fit);
	result->ncarry = carry_size(problem);
	result->carry = fit.carry = ml_alloc(result->ncarry, sizeof(double));
	result->objective = NAN;
	if (old)
		memcpy(fit.carry, old, sizeof(double) * result->ncarry);
	if (problem->pass == 0)
	{
		fit.carry[STARTED] = fit.carry[OUTSIDE] = 0;
		fit.carry[SATURATED] = state[SUM_SATURATED];
		fit.carry[MEAN] = state[SUM_Y] / state[SUM_WEIGHT];
		for (int j = 0; j < fit.d; j++)
			fit.carry[ml_newton_carry_size(fit.d) + j] = fit.fixed[j];
	}
	if (!old || (fit.carry[STARTED] == 0 && state[SUM_INVALID] > 0))
	{
		if (old && problem->pass > 0)
			retreat(&fit, old);
		else
		{
			advance_null(&fit);
			/* A warm start that is impossible on all rows: begin with the mean. */
			if (!old)
				start(&fit);
			else
				for (int j = 0; j < fit.d; j++)
					ml_carry_point(fit.carry)[j] = j == 0 ? fit.carry[NULL_BASE] : 0;
		}
		return ML_AGAIN;
	}

	fit.descent.q = fit.d;
	fit.descent.value = state[SUM_INVALID] > 0 ? INFINITY : state[SUM_VALUE];
	fit.descent.hessian = choose_hessian(&fit, gradient);
	fit.descent.gradient = gradient;
	fit.descent.l2 = fit.params->l2 > 0 ? fit.l2 : NULL;
	fit.descent.unit = fit.unit;
	fit.descent.fixed = fit.fixed;
	fit.descent.value_noise = fit.params->family == GAUSSIAN ? 0
		: 16 * DBL_EPSILON * (fit.params->family == POISSON ? state[SUM_Y] : state[SUM_WEIGHT]);
	fit.descent.gradient_tol = ml_newton_tol(problem, fit.params->tol) * gradient_scale(&fit);
	fit.descent.size = fit.link == ML_LINK_IDENTITY || fit.link == ML_LINK_INVERSE || fit.link == ML_LINK_SQRT ? 0 : 1;
	fit.descent.pass = problem->pass;
	fit.descent.confirm = !problem->draft && fit.params->l2 == 0 && state[SUM_ROWS] <= ML_CONFIRM_ROWS;
	fit.descent.max_iter = fit.params->max_iter;
	verdict = ml_newton_advance(&fit.descent, fit.carry, fit.carry);
	fit.carry[STARTED] = 1;
	fit.carry[OUTSIDE] += state[SUM_INVALID] > 0;
	advance_null(&fit);
	result->objective = fit.descent.objective;
	if (verdict == ML_VERDICT_AGAIN ||
		(verdict == ML_VERDICT_CONVERGED && fit.carry[NULL_STATUS] < 2 && problem->pass + 1 < fit.params->max_iter))
		return ML_AGAIN;
	return conclude(&fit, verdict, result);
}

/* ---- the table ---- */

static const MlParam glm_params[] = {
	{"family", "distribution of the target", ML_PARAM_ENUM, offsetof(GlmParams, family), "gaussian", .choices = family_names},
	{"link", "function of the mean that is linear; auto: identity, logit, log or inverse by family", ML_PARAM_ENUM,
	offsetof(GlmParams, link), "auto", .choices = link_names},
	{"offset", "column that is added to the linear predictor as it is", ML_PARAM_COLUMN, offsetof(GlmParams, offset), NULL},
	{"l2", "penalty on half the sum of squared coefficients", ML_PARAM_PENALTY, offsetof(GlmParams, l2), "0", 0, 1e12},
	{"intercept", "fit an intercept", ML_PARAM_BOOL, offsetof(GlmParams, intercept), "true"},
	{"max_iter", "largest number of scoring iterations", ML_PARAM_INT, offsetof(GlmParams, max_iter), "50", 2, 100000},
	{"tol", "largest entry of the gradient, relative to its bound, at which to stop", ML_PARAM_REAL,
	offsetof(GlmParams, tol), "1e-8", 1e-15, 1},
	{NULL}
};

const MlAlgorithm ml_algo_glm = {
	.name = "glm",
	.summary = "generalized linear models: gaussian, binomial, poisson and gamma targets",
	.tasks = ML_REGRESSION,
	.flags = ML_STANDARDIZED | ML_WARM_START | ML_REFERENCE_LEVEL,
	.format = 1,
	.params = glm_params,
	.params_size = sizeof(GlmParams),
	.check = glm_check,
	.state_size = glm_state_size,
	.accumulate = glm_accumulate,
	.combine = glm_combine,
	.finish = glm_finish,
	.predict = ml_linear_predict,
	.save = ml_linear_save,
	.load = ml_linear_load,
	.describe = ml_linear_describe,
	.coefficients = ml_linear_coefficients,
	.explain = ml_linear_explain,
	.formula = ml_linear_formula,
	.interval = ml_linear_interval,
};
