/*
 * lbfgs.c - limited memory BFGS (Nocedal and Wright, algorithm 7.5) whose
 * gradients come from passes over rows; with l1 penalties OWL-QN (Andrew and
 * Gao 2007): pseudo-gradient, and points kept in the orthant of the step.
 *
 * Carry: ML_CARRY_HEAD numbers, then q each of point, base, direction, gradient
 * and pseudo-gradient at base, then MEMORY differences s and MEMORY differences y.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "ml.h"
#include "num/dense.h"
#include "num/newton.h"

#define MEMORY 10
#define ARMIJO 1e-4
#define VALUE_NOISE 1e-12
#define SHORTEST 1e-10

enum
{
	HEAD_VALUE = ML_CARRY_USER, /* F at base */
	HEAD_LENGTH,				/* step length of the point under trial */
	HEAD_PAIRS,					/* pairs (s, y) kept, at most MEMORY */
	HEAD_NEXT,					/* slot of the next pair */
	HEAD_STARTED
};

typedef struct Memory
{
	double	   *point,
			   *base,
			   *direction,
			   *gradient,
			   *pseudo,
			   *s,
			   *y;
} Memory;

size_t
ml_lbfgs_carry_size(int q)
{
	return ML_CARRY_HEAD + (5 + 2 * MEMORY) * (size_t) q;
}

static Memory
memory_of(double *carry, int q)
{
	Memory		v;

	v.point = ml_carry_point(carry);
	v.base = v.point + q;
	v.direction = v.base + q;
	v.gradient = v.direction + q;
	v.pseudo = v.gradient + q;
	v.s = v.pseudo + q;
	v.y = v.s + MEMORY * (size_t) q;
	return v;
}

/* Adds the penalties' part to the gradient g; returns their value. */
static double
add_penalty(const MlDescent *m, const double *x, double *g)
{
	double		sum = 0;

	for (int j = 0; j < m->q; j++)
	{
		if (m->fixed && m->fixed[j])
			g[j] = 0;
		if (m->l2)
		{
			sum += m->l2[j] * x[j] * x[j] / 2;
			g[j] += m->l2[j] * x[j];
		}
		if (m->l1)
			sum += m->l1[j] * fabs(x[j]);
	}
	return sum;
}

/* The subgradient of least norm, and its largest entry. */
static void
pseudo_gradient(MlDescent *m, const double *x, const double *g, double *out)
{
	m->gradient_max = 0;
	for (int j = 0; j < m->q; j++)
	{
		out[j] = g[j];
		if (m->l1 && x[j] != 0)
			out[j] += copysign(m->l1[j], x[j]);
		else if (m->l1)
			out[j] = fabs(g[j]) <= m->l1[j] ? 0 : g[j] - copysign(m->l1[j], g[j]);
		m->gradient_max = fmax(m->gradient_max, fabs(out[j]));
	}
}

/* direction = - H pseudo by the two-loop recursion */
static void
two_loop(const MlDescent *m, const double *carry, Memory *v)
{
	int			q = m->q;
	int			pairs = (int) carry[HEAD_PAIRS];
	int			next = (int) carry[HEAD_NEXT];
	double		alpha[MEMORY];
	double		scale = 1 / fmax(sqrt(ml_dot(q, v->pseudo, v->pseudo)), DBL_MIN);

	for (int j = 0; j < q; j++)
		v->direction[j] = -v->pseudo[j];
	for (int i = 1; i <= pairs; i++)
	{
		int			at = (next - i + MEMORY) % MEMORY;
		const double *s = v->s + at * (size_t) q;
		const double *y = v->y + at * (size_t) q;
		double		sy = ml_dot(q, s, y);

		if (i == 1)
			scale = sy / ml_dot(q, y, y);
		alpha[at] = ml_dot(q, s, v->direction) / sy;
		ml_axpy(q, -alpha[at], y, v->direction);
	}
	for (int j = 0; j < q; j++)
		v->direction[j] *= scale;
	for (int i = pairs; i >= 1; i--)
	{
		int			at = (next - i + MEMORY) % MEMORY;
		const double *s = v->s + at * (size_t) q;
		const double *y = v->y + at * (size_t) q;

		ml_axpy(q, alpha[at] - ml_dot(q, y, v->direction) / ml_dot(q, s, y), s, v->direction);
	}
	/* A direction that disagrees in sign with steepest descent would leave the orthant. */
	if (m->l1)
		for (int j = 0; j < q; j++)
			if (v->direction[j] * v->pseudo[j] >= 0)
				v->direction[j] = 0;
}

static void
set_point(const MlDescent *m, const double *carry, Memory *v)
{
	for (int j = 0; j < m->q; j++)
	{
		double		x = v->base[j] + carry[HEAD_LENGTH] * v->direction[j];

		if (m->l1 && m->l1[j] > 0)
		{
			double		orthant = v->base[j] != 0 ? v->base[j] : -v->pseudo[j];

			if (x * orthant <= 0)
				x = 0;
		}
		v->point[j] = x;
	}
}

static void
remember_pair(const MlDescent *m, double *carry, Memory *v, const double *g)
{
	int			q = m->q;
	int			next = (int) carry[HEAD_NEXT];
	double	   *s = v->s + next * (size_t) q;
	double	   *y = v->y + next * (size_t) q;

	for (int j = 0; j < q; j++)
	{
		s[j] = v->point[j] - v->base[j];
		y[j] = g[j] - v->gradient[j];
	}
	if (!(ml_dot(q, s, y) > 1e-14 * ml_dot(q, y, y)) || !(ml_dot(q, s, s) > 0))
		return;
	carry[HEAD_NEXT] = (next + 1) % MEMORY;
	carry[HEAD_PAIRS] = fmin(carry[HEAD_PAIRS] + 1, MEMORY);
}

MlVerdict
ml_lbfgs_advance(MlDescent *m, const double *old, double *carry)
{
	int			q = m->q;
	Memory		v = memory_of(carry, q);
	double	   *g = ml_alloc(q, sizeof(double));
	double		value;

	if (old && old != carry)
		memcpy(carry, old, sizeof(double) * ml_lbfgs_carry_size(q));
	if (m->pass == 0)
		carry[HEAD_STARTED] = carry[HEAD_PAIRS] = carry[HEAD_NEXT] = 0;
	memcpy(g, m->gradient, sizeof(double) * q);
	value = m->value + add_penalty(m, v.point, g);
	m->objective = value;
	m->step = NAN;
	m->worst = -1;

	if (carry[HEAD_STARTED] != 0)
	{
		double		predicted = 0;

		for (int j = 0; j < q; j++)
			predicted += v.pseudo[j] * (v.point[j] - v.base[j]);
		m->objective = carry[HEAD_VALUE];
		if (!(value <= carry[HEAD_VALUE] + ARMIJO * predicted + VALUE_NOISE * fabs(carry[HEAD_VALUE])))
		{
			carry[HEAD_LENGTH] /= 2;
			if (carry[HEAD_LENGTH] < SHORTEST || m->pass + 1 >= m->max_iter)
			{
				pseudo_gradient(m, v.base, v.gradient, g);
				memcpy(v.point, v.base, sizeof(double) * q);
				return carry[HEAD_LENGTH] < SHORTEST ? ML_VERDICT_STALLED : ML_VERDICT_LIMIT;
			}
			set_point(m, carry, &v);
			return ML_VERDICT_AGAIN;
		}
		remember_pair(m, carry, &v, g);
	}
	if (!isfinite(value))
		return ML_VERDICT_STALLED;
	memcpy(v.base, v.point, sizeof(double) * q);
	memcpy(v.gradient, g, sizeof(double) * q);
	carry[HEAD_VALUE] = m->objective = value;
	carry[HEAD_STARTED] = 1;
	carry[HEAD_LENGTH] = 1;
	pseudo_gradient(m, v.base, v.gradient, v.pseudo);
	if (m->gradient_max <= m->gradient_tol)
		return ML_VERDICT_CONVERGED;
	if (m->pass + 1 >= m->max_iter)
		return ML_VERDICT_LIMIT;
	two_loop(m, carry, &v);
	set_point(m, carry, &v);
	return ML_VERDICT_AGAIN;
}
