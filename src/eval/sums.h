/*
 * sums.h - sums that do not lose digits however long they are: each is a pair
 * of doubles, the second holding what the first could not (Kahan-Babuska;
 * Neumaier 1974).  Pairs merge by addition, so partial sums of parallel
 * workers give the same digits.
 *
 * Squares enter with the rounding error of the product (Dekker 1971), hence a
 * variance taken as a difference of sums is right to 1e-12 even where the mean
 * is 1e9 times the standard deviation, and no second pass or shift is needed.
 */
#ifndef ML_SUMS_H
#define ML_SUMS_H

#include <math.h>

typedef struct MlSum
{
	double		hi;
	double		lo;
} MlSum;

static inline double
ml_sum_value(const MlSum *s)
{
	return isfinite(s->lo) ? s->hi + s->lo : s->hi;
}

static inline void
ml_sum_add(MlSum *s, double x)
{
	double		t = s->hi + x;
	double		z = t - s->hi;

	s->lo += (s->hi - (t - z)) + (x - z);
	s->hi = t;
}

static inline void
ml_sum_merge(MlSum *s, const MlSum *other)
{
	ml_sum_add(s, other->hi);
	s->lo += other->lo;
}

/* The product of a and b; what rounding took from it goes to *rest. */
static inline double
ml_two_product(double a, double b, double *rest)
{
	double		p = a * b;
#ifdef FP_FAST_FMA
	*rest = fma(a, b, -p);
#else
	/* Veltkamp's split at 27 bits */
	double		ca = 134217729.0 * a;
	double		cb = 134217729.0 * b;
	double		ah = ca - (ca - a);
	double		bh = cb - (cb - b);
	double		al = a - ah;
	double		bl = b - bh;

	*rest = ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
	return p;
}

/* s += w * x * x */
static inline void
ml_sum_add_square(MlSum *s, double x, double w)
{
	double		rest;
	double		p = ml_two_product(x, x, &rest);

	if (w != 1.0)
	{
		double		lost;

		p = ml_two_product(w, p, &lost);
		rest = lost + w * rest;
	}
	ml_sum_add(s, p);
	s->lo += rest;
}

/* s += a * b */
static inline void
ml_sum_add_product(MlSum *s, double a, double b)
{
	double		rest;
	double		p = ml_two_product(a, b, &rest);

	ml_sum_add(s, p);
	s->lo += rest;
}

/* The sum of w (x - mean)^2 from the sums of w x^2, w x and w; never below zero. */
static inline double
ml_sum_centered(const MlSum *square, const MlSum *x, const MlSum *w)
{
	double		xh = x->hi + x->lo;
	double		xl = x->lo - (xh - x->hi);
	double		wh = w->hi + w->lo;
	double		wl = w->lo - (wh - w->hi);
	double		mean = xh / wh;
	double		rest;
	double		p;
	double		mean_lo;
	MlSum		d = *square;

	/* mean + mean_lo = x / w to twice the digits; then square - x * mean */
	p = ml_two_product(mean, wh, &rest);
	mean_lo = (((xh - p) - rest) + xl - mean * wl) / wh;
	p = ml_two_product(xh, mean, &rest);
	ml_sum_add(&d, -p);
	d.lo -= rest + xl * mean + xh * mean_lo;
	return fmax(ml_sum_value(&d), 0.0);
}

/*
 * For the variance of a weighted mean: sums of w^2, w^2 x and w^2 x^2.  Plain
 * ones: an interval needs no more than a few digits.
 */
typedef struct MlSpread
{
	double		w;
	double		x;
	double		xx;
} MlSpread;

static inline void
ml_spread_add(MlSpread *s, double x, double w2)
{
	s->w += w2;
	s->x += w2 * x;
	s->xx += w2 * x * x;
}

/* total: the sum of w; n > 1 rows.  Without weights the usual s^2 / n. */
static inline double
ml_spread_variance(const MlSpread *s, double mean, double total, double n)
{
	double		sum = s->xx - 2 * mean * s->x + mean * mean * s->w;

	return fmax(sum, 0.0) / (total * total) * (n / (n - 1.0));
}

#endif
