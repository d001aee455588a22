/*
 * newton.c - Newton's method whose function values come from passes over rows.
 *
 * Minimises F(x) = f(x) + sum l1_j |x_j| + 1/2 sum l2_j x_j^2.  The step d
 * minimises the quadratic model g'd + d'Hd/2 plus the penalty at x + d: by
 * Cholesky, or with l1 by coordinate descent (proximal Newton: Lee, Sun and
 * Saunders 2014).  A pass evaluates F(x + t d); t is halved until the decrease
 * is at least 1e-4 of the predicted one (Armijo).
 *
 * Carry: ML_CARRY_HEAD numbers, then point, base (the last accepted point) and
 * direction, q numbers each.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "ml.h"
#include "num/dense.h"
#include "num/newton.h"

enum
{
	HEAD_VALUE = ML_CARRY_USER, /* F at base */
	HEAD_LENGTH,				/* t */
	HEAD_SLOPE,					/* predicted change of F for t = 1 */
	HEAD_STALL,					/* passes with a small gradient and a large step, in a row */
	HEAD_STARTED,				/* base and direction are set */
	HEAD_CONFIRM				/* converged: this pass is for the Hessian */
};

#define CHECK_ROWS 256			/* of a matrix, between two looks at interrupts */
#define ARMIJO 1e-4
#define VALUE_NOISE 1e-11		/* relative rounding error allowed in F: sums over millions of rows */
#define SHORTEST 1e-9			/* step length below which the search gives up */
#define NO_STEP 1e-12			/* relative step that rounding alone makes */
#define DIVERGING_STEP 0.01		/* separated data move the predictor by about one a step */

size_t
ml_newton_carry_size(int q)
{
	return ML_CARRY_HEAD + 3 * (size_t) q;
}

const double *
ml_newton_direction(const double *carry, int q)
{
	return carry + ML_CARRY_HEAD + 2 * (size_t) q;
}

/* ---- linear algebra on the columns that are not fixed, in place ---- */

/* Scales h to a unit diagonal; fixed rows and columns become those of the identity. */
static void
equilibrate(int q, double *h, const bool *fixed, double *s)
{
	for (int i = 0; i < q; i++)
	{
		double		diagonal = h[(size_t) i * q + i];

		s[i] = fixed && fixed[i] ? 0 : diagonal > 0 ? 1 / sqrt(diagonal) : 1;
	}
	for (int i = 0; i < q; i++)
	{
		if (i % CHECK_ROWS == CHECK_ROWS - 1)
			ml_check_interrupts();
		for (int j = 0; j < q; j++)
			h[(size_t) i * q + j] *= s[i] * s[j];
		if (fixed && fixed[i])
			h[(size_t) i * q + i] = 1;
	}
}

bool
ml_newton_solve(int q, double *h, const bool *fixed, const double *b, double *x)
{
	double	   *s = ml_alloc(q, sizeof(double));
	double	   *diagonal = ml_alloc(q, sizeof(double));

	equilibrate(q, h, fixed, s);
	for (int i = 0; i < q; i++)
		diagonal[i] = h[(size_t) i * q + i];
	/* The ridge starts below rounding of the unit diagonal and grows only for a singular matrix. */
	for (double ridge = 1e-14;; ridge *= 100)
	{
		for (int i = 0; i < q; i++)
			h[(size_t) i * q + i] = diagonal[i] + ridge;
		ml_check_interrupts();
		if (ml_cholesky(q, h))
			break;
		if (!(ridge < 1e6))
			return false;
		/* Cholesky wrote on one triangle: the other one still has the matrix. */
		for (int i = 0; i < q; i++)
		{
			if (i % CHECK_ROWS == CHECK_ROWS - 1)
				ml_check_interrupts();
			for (int j = 0; j < i; j++)
				h[(size_t) j * q + i] = h[(size_t) i * q + j];
		}
	}
	for (int i = 0; i < q; i++)
		x[i] = b[i] * s[i];
	ml_cholesky_solve(q, 1, h, x);
	for (int i = 0; i < q; i++)
		x[i] *= s[i];
	return true;
}

bool
ml_newton_definite(int q, double *h, const bool *fixed)
{
	double	   *s = ml_alloc(q, sizeof(double));
	bool		definite;

	equilibrate(q, h, fixed, s);
	ml_check_interrupts();
	definite = ml_cholesky(q, h);
	ml_free(s);
	return definite;
}

bool
ml_newton_covariance(int q, double *h, const bool *fixed)
{
	double	   *s = ml_alloc(q, sizeof(double));

	equilibrate(q, h, fixed, s);
	if (!ml_cholesky(q, h))
		return false;
	ml_cholesky_inverse(q, h);
	ml_check_interrupts();
	for (int i = 0; i < q; i++)
		for (int j = 0; j < q; j++)
			h[(size_t) i * q + j] *= s[i] * s[j];
	return true;
}

void
ml_newton_alias(int d, const double *h, double tol, bool *aliased)
{
	double	   *l = ml_alloc((size_t) d * d + 1, sizeof(double));

	/* Row by row Cholesky that leaves dependent columns out, as R's pivoting does. */
	for (int j = 0; j < d; j++)
	{
		double	   *row = l + (size_t) j * d;
		double		left = h[(size_t) j * d + j];

		if ((j & 63) == 0)
			ml_check_interrupts();
		for (int k = 0; k < j; k++)
		{
			if (aliased[k])
				continue;
			row[k] = (h[(size_t) j * d + k] - ml_dot(k, row, l + (size_t) k * d)) / l[(size_t) k * d + k];
			left -= row[k] * row[k];
		}
		aliased[j] = !(left > tol * h[(size_t) j * d + j]);
		row[j] = aliased[j] ? 0 : sqrt(left);
		if (aliased[j])
			memset(row, 0, sizeof(double) * d);
	}
}

/* ---- the penalised model ---- */

static double
penalty_of(const MlDescent *m, const double *x)
{
	double		sum = 0;

	for (int j = 0; j < m->q; j++)
	{
		if (m->l1)
			sum += m->l1[j] * fabs(x[j]);
		if (m->l2)
			sum += m->l2[j] * x[j] * x[j] / 2;
	}
	return sum;
}

/*
 * Minimises g'd + d'Hd/2 + sum l1 |x + d| over d by cyclic coordinate descent;
 * r = g + H d is kept up to date.  Stops when no coordinate moves F's model by
 * more than 1e-14 of its diagonal scale.
 */
static void
proximal_step(const MlDescent *m, const double *h, const double *g, const double *x, double *d)
{
	int			q = m->q;
	double	   *r = ml_alloc(q, sizeof(double));

	memcpy(r, g, sizeof(double) * q);
	memset(d, 0, sizeof(double) * q);
	for (int sweep = 0; sweep < 10000; sweep++)
	{
		double		moved = 0;
		double		size = m->size;

		if ((size_t) q * q > 100000 || (sweep & 15) == 0)
			ml_check_interrupts();
		for (int j = 0; j < q; j++)
		{
			double		hjj = h[(size_t) j * q + j];
			double		old = x[j] + d[j];
			double		u;
			double		new;

			if ((m->fixed && m->fixed[j]) || !(hjj > 0))
				continue;
			u = old - r[j] / hjj;
			new = fabs(u) > m->l1[j] / hjj ? u - copysign(m->l1[j] / hjj, u) : 0;
			size = fmax(size, fabs(new) * m->unit[j]);
			if (new == old)
				continue;
			moved = fmax(moved, fabs(new - old) * m->unit[j]);
			ml_axpy(q, new - old, h + (size_t) j * q, r);
			d[j] = new - x[j];
		}
		if (moved <= 1e-13 * size)
			break;
	}
}

/* The direction d, its predicted change of F, and the size of the (sub)gradient. */
static bool
newton_step(MlDescent *m, const double *x, double *d, double *predicted)
{
	int			q = m->q;
	double	   *g = ml_alloc(q, sizeof(double));
	double	   *b = ml_alloc(q, sizeof(double));
	double	   *h = m->hessian;
	double		slope = 0;

	m->gradient_max = 0;
	for (int j = 0; j < q; j++)
	{
		double		s;

		g[j] = m->gradient[j];
		if (m->l2)
		{
			g[j] += m->l2[j] * x[j];
			h[(size_t) j * q + j] += m->l2[j];
		}
		s = g[j];
		if (m->l1)
			s = x[j] != 0 ? g[j] + copysign(m->l1[j], x[j]) : fmax(fabs(g[j]) - m->l1[j], 0);
		if (!m->fixed || !m->fixed[j])
			m->gradient_max = fmax(m->gradient_max, fabs(s));
		b[j] = -g[j];
	}
	if (m->l1)
		proximal_step(m, h, g, x, d);
	else if (!ml_newton_solve(q, h, m->fixed, b, d))
		return false;
	for (int j = 0; j < q; j++)
	{
		slope += g[j] * d[j];
		if (m->l1)
			slope += m->l1[j] * (fabs(x[j] + d[j]) - fabs(x[j]));
	}
	*predicted = slope;
	return true;
}

/* Largest step in units of the predictor, relative to the point. */
static double
relative_step(MlDescent *m, const double *x, const double *d)
{
	double		size = m->size;
	double		step = 0;

	for (int j = 0; j < m->q; j++)
	{
		size = fmax(size, fabs(x[j]) * m->unit[j]);
		step = fmax(step, fabs(d[j]) * m->unit[j]);
	}
	for (int j = m->q - 1; j >= 0 && step > 0; j--)
		if (fabs(d[j]) * m->unit[j] >= ML_SAME_STEP * step)
			m->worst = j;
	return step > 0 ? step / fmax(size, DBL_MIN) : 0;
}

MlVerdict
ml_newton_advance(MlDescent *m, const double *old, double *carry)
{
	int			q = m->q;
	double	   *point = ml_carry_point(carry);
	double	   *base = point + q;
	double	   *direction = base + q;
	double		value;

	if (old && old != carry)
		memcpy(carry, old, sizeof(double) * ml_newton_carry_size(q));
	value = m->value + penalty_of(m, point);
	if (m->pass == 0)
		carry[HEAD_STARTED] = carry[HEAD_STALL] = carry[HEAD_CONFIRM] = 0;
	m->objective = value;

	/* The last step led out of where F is defined. */
	if (carry[HEAD_CONFIRM] != 0 && !isfinite(value))
	{
		memcpy(point, base, sizeof(double) * q);
		m->objective = carry[HEAD_VALUE];
		m->step = relative_step(m, base, direction);
		return ML_VERDICT_STALLED;
	}
	/* After convergence the value may rise by rounding alone. */
	if (carry[HEAD_STARTED] != 0 && carry[HEAD_CONFIRM] == 0 &&
		!(value <= carry[HEAD_VALUE] + ARMIJO * carry[HEAD_LENGTH] * carry[HEAD_SLOPE] +
		  fmax(VALUE_NOISE * fabs(carry[HEAD_VALUE]), m->value_noise)))
	{
		carry[HEAD_LENGTH] /= 2;
		m->objective = carry[HEAD_VALUE];
		m->step = relative_step(m, base, direction);
		if (carry[HEAD_LENGTH] < SHORTEST || m->pass + 1 >= m->max_iter)
		{
			memcpy(point, base, sizeof(double) * q);
			return carry[HEAD_LENGTH] < SHORTEST ? ML_VERDICT_STALLED : ML_VERDICT_LIMIT;
		}
		for (int j = 0; j < q; j++)
			point[j] = base[j] + carry[HEAD_LENGTH] * direction[j];
		return ML_VERDICT_AGAIN;
	}
	memcpy(base, point, sizeof(double) * q);
	carry[HEAD_VALUE] = value;
	carry[HEAD_LENGTH] = 1;
	carry[HEAD_STARTED] = 1;
	if (!isfinite(value) || !newton_step(m, base, direction, &carry[HEAD_SLOPE]))
		return ML_VERDICT_STALLED;
	m->step = relative_step(m, base, direction);
	for (int j = 0; j < q; j++)
		point[j] = base[j] + direction[j];

	/* The last step is taken without looking: its error is of second order. */
	if (carry[HEAD_CONFIRM] != 0 || (m->gradient_max <= m->gradient_tol && m->step <= m->step_tol) ||
		m->step <= NO_STEP)
	{
		if (m->confirm && carry[HEAD_CONFIRM] == 0 && m->step > NO_STEP && m->pass + 1 < m->max_iter)
		{
			carry[HEAD_CONFIRM] = 1;
			return ML_VERDICT_AGAIN;
		}
		m->objective += carry[HEAD_SLOPE] / 2;
		return ML_VERDICT_CONVERGED;
	}
	carry[HEAD_STALL] = m->gradient_max <= m->gradient_tol ? carry[HEAD_STALL] + 1 : 0;
	if (carry[HEAD_STALL] >= 3 && m->step > m->step_tol)
	{
		double		moved = fabs(direction[m->worst]) * m->unit[m->worst];

		memcpy(point, base, sizeof(double) * q);
		if (m->size > 0 && moved > DIVERGING_STEP * m->size)
			return ML_VERDICT_DIVERGING;
		if (carry[HEAD_STALL] >= 10)
			return ML_VERDICT_CONVERGED;	/* a flat valley: the gradient is all that can be had */
		for (int j = 0; j < q; j++)
			point[j] = base[j] + direction[j];
	}
	if (m->pass + 1 >= m->max_iter)
	{
		memcpy(point, base, sizeof(double) * q);
		return ML_VERDICT_LIMIT;
	}
	return ML_VERDICT_AGAIN;
}
