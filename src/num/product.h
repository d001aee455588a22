/*
 * product.h - products of row-major matrices, over BLAS.
 */
#ifndef ML_PRODUCT_H
#define ML_PRODUCT_H

/* C (m x n) = A (m x k) B (k x n); ld: doubles from one row to the next. */
extern void ml_product(int m, int n, int k, const double *a, int lda, const double *b, int ldb, double *c, int ldc);

/* C (m x n) += A (m x k) B', B n x k */
extern void ml_product_add_t(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
							 double *c, int ldc);

#endif
