/*
 * blas.h - the functions of BLAS and LAPACK that we call, by their Fortran names;
 * OpenBLAS is loaded when the first of them is called.  See blas.c.
 */
#ifndef ML_BLAS_H
#define ML_BLAS_H

typedef struct MlBlas
{
	void		(*dgemm) (const char *transa, const char *transb, const int *m, const int *n, const int *k,
						  const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
						  const double *beta, double *c, const int *ldc);
	void		(*dsyrk) (const char *uplo, const char *trans, const int *n, const int *k, const double *alpha,
						  const double *a, const int *lda, const double *beta, double *c, const int *ldc);
	void		(*dgemv) (const char *trans, const int *m, const int *n, const double *alpha, const double *a,
						  const int *lda, const double *x, const int *incx, const double *beta, double *y,
						  const int *incy);
	double		(*ddot) (const int *n, const double *x, const int *incx, const double *y, const int *incy);
	void		(*daxpy) (const int *n, const double *a, const double *x, const int *incx, double *y,
						  const int *incy);
	void		(*dpotrf) (const char *uplo, const int *n, double *a, const int *lda, int *info);
	void		(*dpotrs) (const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda,
						   double *b, const int *ldb, int *info);
	void		(*dpotri) (const char *uplo, const int *n, double *a, const int *lda, int *info);
	void		(*dtrtri) (const char *uplo, const char *diag, const int *n, double *a, const int *lda, int *info);
	void		(*dlauum) (const char *uplo, const int *n, double *a, const int *lda, int *info);
	void		(*dtrsm) (const char *side, const char *uplo, const char *transa, const char *diag, const int *m,
						  const int *n, const double *alpha, const double *a, const int *lda, double *b,
						  const int *ldb);
	void		(*dtrmm) (const char *side, const char *uplo, const char *transa, const char *diag, const int *m,
						  const int *n, const double *alpha, const double *a, const int *lda, double *b,
						  const int *ldb);
	void		(*dtpqrt2) (const int *m, const int *n, const int *l, double *a, const int *lda, double *b,
							const int *ldb, double *t, const int *ldt, int *info);
	void		(*dtprfb) (const char *side, const char *trans, const char *direct, const char *storev, const int *m,
						   const int *n, const int *k, const int *l, const double *v, const int *ldv, const double *t,
						   const int *ldt, double *a, const int *lda, double *b, const int *ldb, double *work,
						   const int *ldwork);
} MlBlas;

extern const MlBlas *ml_blas_loaded;	/* NULL before */
extern const MlBlas *ml_blas_load(void);

static inline const MlBlas *
ml_blas(void)
{
	return ml_blas_loaded ? ml_blas_loaded : ml_blas_load();
}

#define dgemm_ ml_blas()->dgemm
#define dsyrk_ ml_blas()->dsyrk
#define dgemv_ ml_blas()->dgemv
#define ddot_ ml_blas()->ddot
#define daxpy_ ml_blas()->daxpy
#define dpotrf_ ml_blas()->dpotrf
#define dpotrs_ ml_blas()->dpotrs
#define dpotri_ ml_blas()->dpotri
#define dtrtri_ ml_blas()->dtrtri
#define dlauum_ ml_blas()->dlauum
#define dtrsm_ ml_blas()->dtrsm
#define dtrmm_ ml_blas()->dtrmm
#define dtpqrt2_ ml_blas()->dtpqrt2
#define dtprfb_ ml_blas()->dtprfb

#endif
