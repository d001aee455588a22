/*
 * special.c - distribution functions behind p-values and confidence limits.
 *
 * Tails are computed as tails, never as one minus the other side.  Incomplete
 * gamma and beta functions are a prefactor times a series or continued fraction
 * (Gautschi 1979; DiDonato and Morris 1992); the prefactors follow Loader,
 * "Fast and accurate computation of binomial probabilities" (2000), since
 * differences of lgamma lose all digits for large arguments.
 */
#include <float.h>
#include <math.h>

#include "num/special.h"

#define LN_SQRT_2PI 0.918938533204672741780329736406
#define TWO_PI 6.283185307179586476925286766559
#define TWO_OVER_SQRT_PI 1.12837916709551257389615890312
#define EULER_GAMMA 0.577215664901532860606512090082

#define MAX_TERMS 2000000		/* the fractions need about sqrt(parameter) terms */
#define TINY 1e-300				/* Lentz: stands in for a zero denominator */

/* ---- normal ---- */

double
ml_normal_tail(double x)
{
	const double hi = 0.70710678118654757;	/* 1 / sqrt(2) */
	const double lo = -4.8336466567264567e-17;
	double		t = x * hi;
	double		e = erfc(t);

	/*
	 * erfc turns a relative error of its argument into one 2 t^2 times as
	 * large; the part of x / sqrt(2) lost to rounding is put back to first order.
	 */
	if (t > 0.5 && e > 0)
		e -= TWO_OVER_SQRT_PI * exp(-t * t) * (fma(x, hi, -t) + x * lo);
	return 0.5 * e;
}

double
ml_normal_cdf(double x)
{
	return ml_normal_tail(-x);
}

static double
horner(const double *c, int n, double x)
{
	double		s = c[n - 1];

	for (int i = n - 2; i >= 0; i--)
		s = s * x + c[i];
	return s;
}

/* Wichura, algorithm AS 241 (PPND16), Applied Statistics 37 (1988). */
double
ml_normal_quantile(double p)
{
	static const double a[] = {
		3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
		4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3
	};
	static const double b[] = {
		1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
		2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3
	};
	static const double c[] = {
		1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
		1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4
	};
	static const double d[] = {
		1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
		1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9
	};
	static const double e[] = {
		6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
		2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7
	};
	static const double f[] = {
		1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
		7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15
	};
	double		q = p - 0.5;
	double		r;

	if (!(p >= 0 && p <= 1))
		return NAN;
	if (p == 0 || p == 1)
		return p == 0 ? -INFINITY : INFINITY;
	if (fabs(q) <= 0.425)
	{
		r = 0.180625 - q * q;
		return q * horner(a, 8, r) / horner(b, 8, r);
	}
	r = sqrt(-log(q < 0 ? p : 1 - p));
	if (r <= 5)
		r = horner(c, 8, r - 1.6) / horner(d, 8, r - 1.6);
	else
		r = horner(e, 8, r - 5) / horner(f, 8, r - 5);
	return q < 0 ? -r : r;
}

/* ---- prefactors ---- */

/* log Gamma(z + 1) minus Stirling's (z + 1/2) log z - z + log sqrt(2 pi). */
static double
stirling_error(double z)
{
	double		r = 1 / z;
	double		s = r * r;

	if (z < 16)
		return lgamma(z + 1) - (z + 0.5) * log(z) + z - LN_SQRT_2PI;
	return r * (1.0 / 12 - s * (1.0 / 360 - s * (1.0 / 1260 - s * (1.0 / 1680 - s * (1.0 / 1188 - s * (691.0 / 360360))))));
}

/* x log(x / m) + m - x without cancellation near x = m. */
static double
deviance_part(double x, double m)
{
	if (fabs(x - m) < 0.1 * (x + m))
	{
		double		v = (x - m) / (x + m);
		double		s = (x - m) * v;
		double		e = 2 * x * v;

		for (int j = 1; j < 1000; j++)
		{
			double		next;

			e *= v * v;
			next = s + e / (2 * j + 1);
			if (next == s)
				break;
			s = next;
		}
		return s;
	}
	return x * log(x / m) + m - x;
}

/* x^a e^-x / Gamma(a + 1), a > 0, x > 0 */
static double
poisson_term(double a, double x)
{
	if (a < 100)
	{
		double		power = pow(x, a);
		double		decay = exp(-x);

		if (power > 1e-250 && power < 1e250 && decay > 1e-250)
			return power * decay / tgamma(a + 1);
	}
	/* Far from its peak the log is rather computed in small pieces. */
	if (a < 16)
		return exp(a * log(x) - x - lgamma(a + 1));
	return exp(-stirling_error(a) - deviance_part(a, x)) / sqrt(TWO_PI * a);
}

/* x^a y^b / Beta(a, b), y = 1 - x */
static double
beta_term(double x, double y, double a, double b)
{
	double		n = a + b;

	if (n < 150)
	{
		double		power = pow(x, a);
		double		rest = pow(y, b);

		if (power > 1e-250 && rest > 1e-250)
			return tgamma(n) / tgamma(a) / tgamma(b) * power * rest;
	}
	if (n < 16)
		return exp(a * log(x) + b * log(y) + lgamma(n) - lgamma(a) - lgamma(b));
	return sqrt(a * (b / n) / TWO_PI) *
		exp(stirling_error(n) - stirling_error(a) - stirling_error(b)
			- deviance_part(a, n * x) - deviance_part(b, n * y));
}

/* ---- incomplete gamma ---- */

static double
gamma_series(double a, double x)
{
	double		term = 1;
	double		sum = 1;

	for (int n = 1; n < MAX_TERMS; n++)
	{
		term *= x / (a + n);
		sum += term;
		if (term < sum * (DBL_EPSILON / 8))
			break;
	}
	return sum * poisson_term(a, x);
}

/* Legendre's continued fraction of Gamma(a, x), by Lentz' method. */
static double
gamma_fraction(double a, double x)
{
	double		b = x + 1 - a;
	double		c = 1 / TINY;
	double		d = 1 / b;
	double		h = d;

	for (int i = 1; i < MAX_TERMS; i++)
	{
		double		an = -i * (i - a);
		double		delta;

		b += 2;
		d = an * d + b;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = b + an / c;
		c = fabs(c) < TINY ? TINY : c;
		delta = c * d;
		h *= delta;
		if (fabs(delta - 1) < DBL_EPSILON)
			break;
	}
	return h * a * poisson_term(a, x);
}

/* log Gamma(1 + a) for 0 <= a <= 1/2, to full relative precision. */
static double
lgamma1p(double a)
{
	static const double zeta_minus_1[] = {	/* k = 2, 3, ... */
		0.644934066848226436, 0.202056903159594285, 0.0823232337111381915, 0.0369277551433699263,
		0.0173430619844491397, 0.00834927738192282684, 0.00407735619794433938, 0.00200839282608221442,
		0.000994575127818085337, 0.000494188604119464559, 0.000246086553308048299, 0.000122713347578489147,
		0.0000612481350587048293, 0.0000305882363070204936, 0.0000152822594086518717, 7.63719763789976227e-6,
		3.81729326499983986e-6, 1.90821271655393893e-6, 9.53962033872796113e-7, 4.76932986787806463e-7,
		2.3845050272773299e-7, 1.19219925965311073e-7, 5.96081890512594796e-8, 2.98035035146522802e-8
	};
	double		sum = 0;
	double		power = a;

	for (int k = 0; k < (int) (sizeof(zeta_minus_1) / sizeof(double)); k++)
	{
		power *= -a;
		sum -= zeta_minus_1[k] * power / (k + 2);
	}
	return sum - log1p(a) + a * (1 - EULER_GAMMA);
}

/* Q(a, x) for small a and x, where one minus P would cancel. */
static double
gamma_q_small(double a, double x)
{
	double		u = a * log(x) - lgamma1p(a);
	double		sum = 0;
	double		term = 1;

	for (int n = 1; n < 200; n++)
	{
		term *= -x / n;
		sum += term / (a + n);
		if (fabs(term) < DBL_EPSILON * fabs(sum) / 8)
			break;
	}
	return -expm1(u) - exp(u) * a * sum;
}

double
ml_gamma_p(double a, double x)
{
	if (!(a > 0) || !(x >= 0))
		return NAN;
	if (x == 0 || isinf(x))
		return x == 0 ? 0 : 1;
	return x < a + 1 ? gamma_series(a, x) : 1 - gamma_fraction(a, x);
}

double
ml_gamma_q(double a, double x)
{
	if (!(a > 0) || !(x >= 0))
		return NAN;
	if (x == 0 || isinf(x))
		return x == 0 ? 1 : 0;
	if (a <= 0.5 && x < 1.5)
		return gamma_q_small(a, x);
	return x < a + 1 ? 1 - gamma_series(a, x) : gamma_fraction(a, x);
}

/* ---- incomplete beta ---- */

/* I_x(a, b) over its prefactor, by the continued fraction of Didonato and Morris (1992), eq. 9. */
static double
beta_fraction(double x, double y, double a, double b)
{
	double		lambda = a > b ? (a + b) * y - b : a - (a + b) * x;
	double		c = 1 + lambda;
	double		c0 = b / a;
	double		c1 = 1 + 1 / a;
	double		yp1 = y + 1;
	double		p = 1;
	double		s = a + 1;
	double		an = 0,
				bn = 1,
				anp1 = 1,
				bnp1 = c / c1;
	double		r = c1 / c;

	for (int i = 1; i < MAX_TERMS; i++)
	{
		double		t = i / a;
		double		w = i * (b - i) * x;
		double		e = a / s;
		double		alpha = p * (p + c0) * e * e * (w * x);
		double		beta;
		double		next;
		double		r0 = r;

		e = (1 + t) / (c1 + t + t);
		beta = i + w / s + e * (c + i * yp1);
		p = 1 + t;
		s += 2;
		next = alpha * an + beta * anp1;
		an = anp1;
		anp1 = next;
		next = alpha * bn + beta * bnp1;
		bn = bnp1;
		bnp1 = next;
		r = anp1 / bnp1;
		if (fabs(r - r0) <= DBL_EPSILON / 2 * r)
			break;
		an /= bnp1;
		bn /= bnp1;
		anp1 = r;
		bnp1 = 1;
	}
	return r;
}

/* The power series, for small x b: converges at once and needs no a, b > 1. */
static double
beta_series(double x, double y, double a, double b)
{
	double		term = 1;
	double		sum = 1 / a;

	for (int n = 1; n < MAX_TERMS; n++)
	{
		double		add;

		term *= (n - b) / n * x;
		add = term / (a + n);
		sum += add;
		if (fabs(add) < DBL_EPSILON / 8 * fabs(sum))
			break;
	}
	/* x^a / B(a, b): the prefactor without y^b */
	if (y < 0.5)
		return beta_term(x, y, a, b) / pow(y, b) * sum;
	return beta_term(x, y, a, b) * exp(-b * log1p(-x)) * sum;
}

/* I_x(a, b) for the lower tail; both x and y = 1 - x given, so that neither rounds. */
static double
beta_lower(double x, double y, double a, double b)
{
	if (x * b <= 0.7 && x <= 0.9)
		return beta_series(x, y, a, b);
	return beta_term(x, y, a, b) * beta_fraction(x, y, a, b);
}

static double
beta_both(double x, double y, double a, double b)
{
	double		upper;

	if (x <= 0 || y <= 0)
		return x <= 0 ? 0 : 1;
	if (x <= (a + 1) / (a + b + 2))
		return beta_lower(x, y, a, b);
	upper = beta_lower(y, x, b, a);
	return upper < 0.75 ? 1 - upper : beta_lower(x, y, a, b);
}

double
ml_beta_inc(double x, double a, double b)
{
	if (!(a > 0) || !(b > 0) || !(x >= 0 && x <= 1))
		return NAN;
	return beta_both(x, 1 - x, a, b);
}

/* ---- t, F, chi-squared ---- */

/* x = df / (df + t^2) and 1 - x, without overflow */
static void
t_split(double t, double df, double *x, double *y)
{
	double		r = t / sqrt(df);

	if (fabs(r) > 1)
	{
		r = 1 / r;
		*x = r * r / (1 + r * r);
		*y = 1 / (1 + r * r);
	}
	else
	{
		*x = 1 / (1 + r * r);
		*y = r * r / (1 + r * r);
	}
}

double
ml_t_two_sided(double t, double df)
{
	double		x;
	double		y;

	if (isnan(t) || !(df > 0))
		return NAN;
	if (isinf(t))
		return 0;
	if (df > 1e17)				/* the next term is below the precision */
		return 2 * ml_normal_tail(fabs(t));
	t_split(t, df, &x, &y);
	return beta_both(x, y, df / 2, 0.5);
}

double
ml_f_tail(double f, double df1, double df2)
{
	double		r;

	if (isnan(f) || !(df1 > 0) || !(df2 > 0))
		return NAN;
	if (f <= 0)
		return 1;
	if (isinf(f))
		return 0;
	if (df2 > 1e17)
		return ml_chi2_tail(f * df1, df1);
	r = f * (df1 / df2);
	if (r > 1)
		return beta_both((1 / r) / (1 + 1 / r), 1 / (1 + 1 / r), df2 / 2, df1 / 2);
	return beta_both(1 / (1 + r), r / (1 + r), df2 / 2, df1 / 2);
}

double
ml_chi2_tail(double x, double df)
{
	if (isnan(x) || !(df > 0))
		return NAN;
	return x <= 0 ? 1 : ml_gamma_q(df / 2, x / 2);
}

/*
 * Both quantiles: Newton on a tail's logarithm as a function of log x.  That
 * function is concave (t and gamma have increasing x f / Q), so that after at
 * most one step the iteration is monotone from one side.
 */
double
ml_t_quantile(double p, double df)
{
	double		tail = p < 0.5 ? p : 1 - p;
	double		term;
	double		t;

	if (!(p >= 0 && p <= 1) || !(df > 0))
		return NAN;
	if (tail == 0)
		return p == 0 ? -INFINITY : INFINITY;
	if (p == 0.5)
		return 0;
	if (df > 1e17)
		return ml_normal_quantile(p);
	if (tail > 0.25)
	{
		double		want = 2 * fabs(p - 0.5);	/* exact; the centre's probability, concave in t */
		double		step;

		t = 0;
		for (int i = 0; i < 60; i++)
		{
			double		x;
			double		y;

			t_split(t, df, &x, &y);
			/* 2 f(t) = t^-1 times x^(df/2) y^(1/2) / B(df/2, 1/2), times two; at 0 its limit */
			term = t > 0 ? 2 * beta_term(x, y, df / 2, 0.5) / t :
				2 * exp(stirling_error((df + 1) / 2) - stirling_error(df / 2) + (df / 2) * log1p(1 / df) - 0.5) *
				sqrt(1 / TWO_PI) * sqrt(df / (df + 1));
			step = (want - beta_both(y, x, 0.5, df / 2)) / term;
			t += step;
			if (fabs(step) <= 1e-15 * t)
				break;
		}
	}
	else
	{
		t = -ml_normal_quantile(tail);
		for (int i = 0; i < 200; i++)
		{
			double		x;
			double		y;
			double		q;
			double		step;

			t_split(t, df, &x, &y);
			q = beta_both(x, y, df / 2, 0.5);
			step = q > 0 ? q / (2 * beta_term(x, y, df / 2, 0.5)) * log(q / (2 * tail)) : -0.5;
			step = fmin(step, 40);
			t *= exp(step);
			if (fabs(step) <= 4e-16)
				break;
		}
	}
	return p < 0.5 ? -t : t;
}

double
ml_chi2_quantile(double p, double df)
{
	double		a = df / 2;
	double		z;
	double		x;

	if (!(p >= 0 && p <= 1) || !(df > 0))
		return NAN;
	if (p == 0 || p == 1)
		return p == 0 ? 0 : INFINITY;
	/* Wilson and Hilferty (1931), or the first term of the series in the far lower tail */
	z = 1 - 1 / (9 * a) + ml_normal_quantile(p) / (3 * sqrt(a));
	x = z > 0.1 ? a * z * z * z : exp((log(p) + lgamma(a + 1)) / a);
	x = fmax(x, DBL_MIN);
	for (int i = 0; i < 200; i++)
	{
		double		density = a * poisson_term(a, x);	/* x f(x) */
		double		tail = p < 0.5 ? ml_gamma_p(a, x) : ml_gamma_q(a, x);
		double		step;

		if (!(tail > 0) || !(density > 0))
			step = p < 0.5 ? 1 : -0.1;
		else
			step = p < 0.5 ? tail / density * log(p / tail) : tail / density * log(tail / (1 - p));
		step = fmax(-40, fmin(step, 40));
		x = fmax(x * exp(step), DBL_MIN);
		if (fabs(step) <= 4e-16)
			break;
	}
	return 2 * x;
}

/* ---- digamma and its derivative: recurrence up to 16, then the asymptotic series ---- */

double
ml_digamma(double x)
{
	double		sum = 0;
	double		r;

	if (x <= 0)
	{
		if (x == floor(x))
			return NAN;
		return ml_digamma(1 - x) - M_PI / tan(M_PI * (x - floor(x)));
	}
	for (; x < 16; x += 1)
		sum -= 1 / x;
	r = 1 / (x * x);
	return sum + log(x) - 0.5 / x -
		r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132 - r * (691.0 / 32760))))));
}

double
ml_trigamma(double x)
{
	double		sum = 0;
	double		r;

	if (x <= 0)
	{
		double		s = sin(M_PI * (x - floor(x)));

		return x == floor(x) ? INFINITY : (M_PI / s) * (M_PI / s) - ml_trigamma(1 - x);
	}
	for (; x < 16; x += 1)
		sum += 1 / (x * x);
	r = 1 / (x * x);
	return sum + 1 / x + r / 2 +
		r / x * (1.0 / 6 - r * (1.0 / 30 - r * (1.0 / 42 - r * (1.0 / 30 - r * (5.0 / 66 - r * (691.0 / 2730 - r * (7.0 / 6)))))));
}
