/*
 * dense.c - the dense kernels at sizes below and above the width from which they work in blocks, against
 * plain loops over doubles.
 */
#include "host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "num/dense.h"

/* Uniform numbers (Numerical Recipes' ranqd1), the same everywhere. */
static double
uniform(void)
{
	static uint32_t seed = 1;

	seed = seed * 1664525u + 1013904223u;
	return seed / 4294967296.0 - 0.5;
}

/* Largest deviation of two matrices' lower (and, if wanted, upper) triangles. */
static double
deviation(int n, const double *a, const double *b, bool both)
{
	double		max = 0;

	for (int j = 0; j < n; j++)
		for (int i = both ? 0 : j; i < n; i++)
			max = fmax(max, fabs(a[i + (size_t) j * n] - b[i + (size_t) j * n]));
	return max;
}

static void
test_width(int k)
{
	int			n = 2 * k;
	size_t		cells = (size_t) k * k;
	double	   *x = ml_alloc((size_t) n * k, sizeof(double));
	double	   *copy = ml_alloc((size_t) n * k, sizeof(double));
	double	   *gram = ml_alloc(cells, sizeof(double));
	double	   *want = ml_alloc(cells, sizeof(double));
	double	   *l = ml_alloc(cells, sizeof(double));
	double	   *r = ml_alloc(cells, sizeof(double));
	double	   *other = ml_alloc(cells, sizeof(double));
	bool		kept = true;

	for (size_t i = 0; i < (size_t) n * k; i++)
		copy[i] = x[i] = uniform();
	for (int row = 0; row < n; row++)
		for (int j = 0; j < k; j++)
			for (int i = 0; i < k; i++)
				want[i + (size_t) j * k] += x[(size_t) row * k + i] * x[(size_t) row * k + j];
	ml_gram_add(n / 2, k, x, gram);
	ml_gram_add(n - n / 2, k, x + (size_t) (n / 2) * k, gram);
	ml_test_ok(deviation(k, gram, want, true) < 1e-12 * n, "%d columns: Gram matrix", k);

	memcpy(l, gram, sizeof(double) * cells);
	ml_test_ok(ml_cholesky(k, l), "%d columns: positive definite", k);
	for (int j = 0; j < k; j++)
		for (int i = 0; i < j; i++)
			kept = kept && l[i + (size_t) j * k] == gram[i + (size_t) j * k];
	ml_test_ok(kept, "%d columns: Cholesky leaves the upper triangle", k);
	memset(other, 0, sizeof(double) * cells);
	for (int c = 0; c < k; c++)
		for (int j = c; j < k; j++)
			ml_axpy(k - j, l[j + (size_t) c * k], l + j + (size_t) c * k, other + j + (size_t) j * k);
	ml_test_ok(deviation(k, other, gram, false) < 1e-12 * n, "%d columns: L L' is the matrix", k);

	ml_cholesky_inverse(k, l);
	memset(other, 0, sizeof(double) * cells);
	for (int j = 0; j < k; j++)
	{
		for (int i = 0; i < k; i++)
			other[i + (size_t) j * k] = ml_dot(k, l + (size_t) i * k, gram + (size_t) j * k);
		other[j + (size_t) j * k] -= 1;
	}
	memset(want, 0, sizeof(double) * cells);
	ml_test_ok(deviation(k, other, want, true) < 1e-11, "%d columns: inverse times matrix is the identity", k);

	ml_qr_add(n, k, copy, r);
	memset(other, 0, sizeof(double) * cells);
	for (int j = 0; j < k; j++)
		for (int i = j; i < k; i++)
			other[i + (size_t) j * k] = ml_dot(j + 1, r + (size_t) i * k, r + (size_t) j * k);
	ml_test_ok(deviation(k, other, gram, false) < 1e-12 * n, "%d columns: R'R of the QR is the Gram matrix", k);

	memcpy(l, gram, sizeof(double) * cells);
	l[cells - 1] = -1;
	ml_test_ok(!ml_cholesky(k, l), "%d columns: an indefinite matrix is told", k);
}

int
main(void)
{
	test_width(5);
	test_width(100);
	test_width(512);
	test_width(513);
	test_width(700);
	return ml_test_done();
}
