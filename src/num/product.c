/*
 * product.c - products of row-major matrices, over BLAS.
 *
 * BLAS sees the transposes of row-major matrices: C' = B' A'.
 */
#include "num/product.h"

extern void dgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
				   const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
				   const double *beta, double *c, const int *ldc);

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
