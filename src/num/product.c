/*
 * product.c - products of row-major matrices, over BLAS.
 *
 * BLAS sees the transposes of row-major matrices: C' = B' A'.
 */
#include "num/product.h"

#include "num/blas.h"

void
ml_product(int m, int n, int k, const double *a, int lda, const double *b, int ldb, double *c, int ldc)
{
	const double one = 1;
	const double zero = 0;

	dgemm_("N", "N", &n, &m, &k, &one, b, &ldb, a, &lda, &zero, c, &ldc);
}

void
ml_product_add_t(int m, int n, int k, const double *a, int lda, const double *b, int ldb, double *c, int ldc)
{
	const double one = 1;

	dgemm_("T", "N", &n, &m, &k, &one, b, &ldb, a, &lda, &one, c, &ldc);
}
