/*
 * objectives.c - loss, gradient and curvature of a row for each objective, and
 * the exponential they need, in loops that compilers turn into vector code.
 *
 * The vector versions use multiplication and addition only (no fused ones), so
 * that a machine with AVX2 and one without get the same bits.
 */
#include "objectives.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "num/vector.h"

#if defined(__GNUC__) && !defined(__clang__)
/* no floating point flag is ever looked at: lets both sides of a choice be computed */
#pragma GCC optimize("no-trapping-math", "fp-contract=off")
#endif

/* ---- exponential and logarithm ---- */

/* Adding this rounds to a whole number and leaves it in the low bits. */
#define ROUNDER 6755399441055744.0	/* 1.5 x 2^52 */
#define LN2_HIGH 0.693147180369123816490
#define LN2_LOW 1.90821492927058770002e-10

/*
 * exp(x) = 2^k exp(r), |r| <= ln 2 / 2, by Taylor's polynomial of degree 10,
 * whose first term left out is 2.2e-13.  Gradients are kept with 24 bits, 6e-8: this is far more
 * than they need, and being relative it holds for the smallest probabilities.
 */
static inline double
exp_one(double x)
{
	double		t = x < -708.0 ? -708.0 : x > 709.0 ? 709.0 : x;
	double		k = t * 1.44269504088896340736 + ROUNDER;
	double		n = k - ROUNDER;
	double		r = t - n * LN2_HIGH - n * LN2_LOW;
	double		r2 = r * r;
	double		r4 = r2 * r2;
	double		low = (1 + r) + r2 * (1.0 / 2 + r * (1.0 / 6));
	double		middle = (1.0 / 24 + r * (1.0 / 120)) + r2 * (1.0 / 720 + r * (1.0 / 5040));
	double		high = (1.0 / 40320 + r * (1.0 / 362880)) + r2 * (1.0 / 3628800);
	double		p = low + r4 * (middle + r4 * high);
	union
	{
		double		d;
		uint64_t	u;
	}			bits, scale;

	bits.d = k;
	scale.u = (bits.u + 1023) << 52;
	return p * scale.d;
}

/*
 * log(x) for 1 <= x, to 1e-15 absolute: x = 2^k m, m in [sqrt(1/2), sqrt(2)), and
 * log m = 2 artanh((m - 1) / (m + 1)).
 */
static inline double
log_one(double x)
{
	union
	{
		double		d;
		uint64_t	u;
	}			bits, m, k;
	uint64_t	e;
	double		s;
	double		s2;
	double		p;

	bits.d = x;
	/* adding the distance from sqrt(1/2) to 1 carries into the exponent when m >= sqrt(2) */
	e = (bits.u + (0x3ff0000000000000ULL - 0x3fe6a09e667f3bcdULL)) >> 52;
	m.u = bits.u - (e << 52) + 0x3ff0000000000000ULL;
	k.u = e | 0x4330000000000000ULL;	/* 2^52 + e */
	s = (m.d - 1) / (m.d + 1);
	s2 = s * s;
	p = 1.0 / 11 + s2 * (1.0 / 13 + s2 * (1.0 / 15 + s2 * (1.0 / 17)));
	p = 2 + 2 * s2 * (1.0 / 3 + s2 * (1.0 / 5 + s2 * (1.0 / 7 + s2 * (1.0 / 9 + s2 * p))));
	return (k.d - (4503599627370496.0 + 1023)) * 0.693147180559945309417 + s * p;
}

ML_VECTOR_256 void
ml_exps(int n, const double *x, double *out)
{
	for (int i = 0; i < n; i++)
		out[i] = exp_one(x[i]);
}

/* ---- losses ---- */

static void
squared_rows(int n, const float *y, const double *f, double *g, double *h, double *loss)
{
	for (int i = 0; i < n; i++)
	{
		double		d = f[i] - y[i];

		g[i] = d;
		h[i] = 1;
		loss[i] = d * d / 2;
	}
}

/* Absolute loss is the quantile loss at 1/2, times 2. */
static void
quantile_rows(double up, double down, int n, const float *y, const double *f, double *g, double *h, double *loss)
{
	for (int i = 0; i < n; i++)
	{
		double		d = f[i] - y[i];

		g[i] = d > 0 ? down : d < 0 ? -up : 0;
		h[i] = 1;
		loss[i] = d * g[i];
	}
}

static void
huber_rows(double delta, int n, const float *y, const double *f, double *g, double *h, double *loss)
{
	for (int i = 0; i < n; i++)
	{
		double		d = f[i] - y[i];
		double		clipped = d > delta ? delta : d < -delta ? -delta : d;

		g[i] = clipped;
		h[i] = 1;
		loss[i] = clipped * (d - clipped / 2);
	}
}

ML_VECTOR_256 static void
poisson_rows(double factor, int n, const float *y, const double *f, double *g, double *h, double *loss)
{
	for (int i = 0; i < n; i++)
	{
		double		mean = exp_one(f[i]);

		g[i] = mean - y[i];
		h[i] = mean * factor;
		loss[i] = mean - y[i] * f[i];
	}
}

ML_VECTOR_256 static void
gamma_rows(int n, const float *y, const double *f, double *g, double *h, double *loss)
{
	for (int i = 0; i < n; i++)
	{
		double		ratio = y[i] * exp_one(-f[i]);

		g[i] = 1 - ratio;
		h[i] = ratio;
		loss[i] = ratio + f[i];
	}
}

ML_VECTOR_256 static void
tweedie_rows(double power, int n, const float *y, const double *f, double *g, double *h, double *loss)
{
	for (int i = 0; i < n; i++)
	{
		double		a = y[i] * exp_one((1 - power) * f[i]);
		double		b = exp_one((2 - power) * f[i]);

		g[i] = b - a;
		h[i] = (2 - power) * b - (1 - power) * a;
		loss[i] = b / (2 - power) - a / (1 - power);
	}
}

/*
 * Of the margin m of a row's own class: q = 1 / (1 + e^m) is the probability of
 * the other one, small and with all its digits when the row is far on its side.
 */
ML_VECTOR_256 static void
logistic_rows(int n, const float *y, const double *f, double *g, double *h, double *odds)
{
	for (int i = 0; i < n; i++)
	{
		double		sign = 1 - 2 * (double) y[i];
		double		e = exp_one(sign * f[i]);
		double		q = e / (1 + e);

		g[i] = sign * q;
		h[i] = q * (1 - q);
		odds[i] = 1 + e;
	}
}

/* A loop of its own: both then take less time than one with two divisions. */
ML_VECTOR_256 static void
logs(int n, double *x)
{
	for (int i = 0; i < n; i++)
		x[i] = log_one(x[i]);
}

void
ml_objective_rows(const MlObjective *objective, int n, const float *y, const double *f,
				  double *g, double *h, double *loss)
{
	switch (objective->kind)
	{
		case ML_OBJECTIVE_SQUARED:
			squared_rows(n, y, f, g, h, loss);
			break;
		case ML_OBJECTIVE_ABSOLUTE:
			quantile_rows(1, 1, n, y, f, g, h, loss);
			break;
		case ML_OBJECTIVE_HUBER:
			huber_rows(objective->delta, n, y, f, g, h, loss);
			break;
		case ML_OBJECTIVE_QUANTILE:
			quantile_rows(objective->quantile, 1 - objective->quantile, n, y, f, g, h, loss);
			break;
		case ML_OBJECTIVE_POISSON:
			poisson_rows(exp(objective->max_step), n, y, f, g, h, loss);
			break;
		case ML_OBJECTIVE_GAMMA:
			gamma_rows(n, y, f, g, h, loss);
			break;
		case ML_OBJECTIVE_TWEEDIE:
			tweedie_rows(objective->power, n, y, f, g, h, loss);
			break;
		case ML_OBJECTIVE_LOGISTIC:
			logistic_rows(n, y, f, g, h, loss);
			logs(n, loss);
			break;
		case ML_OBJECTIVE_SOFTMAX:
		case ML_OBJECTIVE_LAMBDARANK:
			break;
	}
}

ML_VECTOR_256 void
ml_softmax_normalize(int classes, int n, const float *y, double *score, double *loss)
{
	for (int i = 0; i < n; i++)
	{
		double	   *s = score + (size_t) i * (classes + 1);
		double		best = s[0];
		double		sum = 0;

		for (int k = 1; k < classes; k++)
			best = s[k] > best ? s[k] : best;
		for (int k = 0; k < classes; k++)
			sum += exp_one(s[k] - best);
		s[classes] = best + log_one(sum);
		loss[i] = s[classes] - s[(int) y[i]];
	}
}

ML_VECTOR_256 void
ml_softmax_rows(int classes, int k, int n, const float *y, const double *score, double *g, double *h)
{
	for (int i = 0; i < n; i++)
	{
		const double *s = score + (size_t) i * (classes + 1);
		double		p = exp_one(s[k] - s[classes]);

		g[i] = p - ((int) y[i] == k);
		h[i] = 2 * p * (1 - p);
		h[i] = h[i] < 0 ? 0 : h[i];	/* p may be 1 and a rounding */
	}
}
