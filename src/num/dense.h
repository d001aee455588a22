/*
 * dense.h - dense linear algebra over BLAS and LAPACK (Fortran interface, so that
 * OpenBLAS alone is needed).  Matrices are column-major unless said otherwise.
 * Large matrices are worked on in blocks with interrupts let through between them:
 * a cancel leaves them half done.
 */
#ifndef ML_DENSE_H
#define ML_DENSE_H

#include <stdbool.h>
#include <stddef.h>

/* C (k x k, ld k) += sum over n rows of x x', x row-major n x k.  Both triangles are filled. */
extern void ml_gram_add(int n, int k, const double *x, double *c);

/*
 * Folds n rows (row-major, n x k, overwritten) into the upper triangular R
 * (k x k, ld k): QR of R stacked on them, Householder (dtpqrt), work n-independent.
 * k is at most ML_QR_MAX_COLUMNS: all work arrays lie on the stack.
 */
#define ML_QR_MAX_COLUMNS 8192
extern void ml_qr_add(int n, int k, double *rows, double *r);

/* Cholesky A = L L' in place (lower); false when not positive definite. */
extern bool ml_cholesky(int n, double *a);
extern void ml_cholesky_solve(int n, int nrhs, const double *l, double *b);
extern void ml_cholesky_inverse(int n, double *l);	/* in place, both triangles filled */

extern double ml_dot(int n, const double *x, const double *y);
extern void ml_axpy(int n, double a, const double *x, double *y);
/* y = A x for row-major A (m x n) */
extern void ml_gemv(int m, int n, const double *a, const double *x, double *y);

#endif
