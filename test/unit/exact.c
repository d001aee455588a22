/*
 * exact.c - sums without rounding: any order gives the same bits, nothing overflows
 * or is lost.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "num/exact.h"

#define N 1000

static uint64_t seed = 1;

static double
uniform(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double) (seed >> 11) * 0x1p-53;
}

static double
sum_of(const double *a, int n)
{
	MlExactSum	sum;

	memset(&sum, 0, sizeof(sum));
	for (int i = 0; i < n; i++)
		ml_exact_add(&sum, a[i], 1);
	return ml_exact_value(&sum);
}

/* Numbers of all magnitudes: whole numbers times powers of two, each with its opposite but one. */
static void
test_cancellation(void)
{
	double		a[2 * N + 1];
	bool		same = true;

	for (int i = 0; i < N; i++)
	{
		a[2 * i] = ldexp(uniform() - 0.5, (int) (uniform() * 2090) - 1068);
		a[2 * i + 1] = -a[2 * i];
	}
	a[2 * N] = 4.9406564584124654e-324;
	for (int round = 0; round < 20; round++)
	{
		same &= sum_of(a, 2 * N + 1) == 4.9406564584124654e-324;
		for (int i = 2 * N; i > 0; i--)
		{
			int			k = (int) (uniform() * (i + 1));
			double		swap = a[i];

			a[i] = a[k];
			a[k] = swap;
		}
	}
	ml_test_ok(same, "opposite numbers from 1e-322 to 1e308 cancel to the last bit in any order");
}

static void
test_range(void)
{
	MlExactSum	sum;
	MlExactSum	weights;

	memset(&sum, 0, sizeof(sum));
	memset(&weights, 0, sizeof(weights));
	ml_test_ok(ml_exact_value(&sum) == 0, "an empty sum is 0");
	for (int i = 0; i < 100; i++)
	{
		ml_exact_add(&sum, 1.5e308, 1e300);
		ml_exact_add(&weights, 1e300, 1);
	}
	ml_test_ok(ml_exact_value(&sum) == INFINITY, "a sum beyond a double is infinite");
	ml_test_ok(fabs(ml_exact_ratio(&sum, &weights) / 1.5e308 - 1) < 1e-15, "but not its mean: %g",
			   ml_exact_ratio(&sum, &weights));
	memset(&sum, 0, sizeof(sum));
	for (int i = 0; i < 3; i++)
		ml_exact_add(&sum, -0.1, 1);
	ml_test_ok(fabs(ml_exact_value(&sum) + 0.3) < 1e-16, "a negative sum: %.17g", ml_exact_value(&sum));
	memset(&sum, 0, sizeof(sum));
	ml_exact_add(&sum, -1e-320, 1e-320);
	ml_exact_add(&sum, 5e-324, 3);
	ml_test_ok(ml_exact_value(&sum) == 1.5e-323, "denormals: %g", ml_exact_value(&sum));
}

/* A long double has 64 bits: enough for a sum of few summands of like size. */
static void
test_against_long_double(void)
{
	double		worst = 0;

	for (int round = 0; round < 100; round++)
	{
		MlExactSum	sum;
		long double witness = 0;

		memset(&sum, 0, sizeof(sum));
		for (int i = 0; i < N; i++)
		{
			float		a = (float) (uniform() - 0.3);
			float		b = (float) uniform();

			ml_exact_add(&sum, a, b);	/* exact: 48 bits */
			witness += (long double) a * b;
		}
		worst = fmax(worst, fabs(ml_exact_value(&sum) / (double) witness - 1));
	}
	ml_test_ok(worst < 3e-16, "sums of products agree with long double to %g", worst);
}

int
main(void)
{
	test_cancellation();
	test_range();
	test_against_long_double();
	return ml_test_done();
}
