/*
 * dense.c - the few dense kernels of the house, over Fortran BLAS and LAPACK.
 *
 * No function allocates: work arrays of bounded size lie on the stack, so that
 * the kernels run in a backend, a worker thread and a test alike.
 */
#include "num/dense.h"

#include <string.h>

extern void dgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
				   const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
				   const double *beta, double *c, const int *ldc);
extern void dsyrk_(const char *uplo, const char *trans, const int *n, const int *k, const double *alpha,
				   const double *a, const int *lda, const double *beta, double *c, const int *ldc);
extern void dgemv_(const char *trans, const int *m, const int *n, const double *alpha, const double *a,
				   const int *lda, const double *x, const int *incx, const double *beta, double *y,
				   const int *incy);
extern double ddot_(const int *n, const double *x, const int *incx, const double *y, const int *incy);
extern void daxpy_(const int *n, const double *a, const double *x, const int *incx, double *y,
				   const int *incy);
extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
extern void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda,
					double *b, const int *ldb, int *info);
extern void dpotri_(const char *uplo, const int *n, double *a, const int *lda, int *info);
extern void dtpqrt_(const int *m, const int *n, const int *l, const int *nb, double *a, const int *lda,
					double *b, const int *ldb, double *t, const int *ldt, double *work, int *info);

/*
 * Up to this width dgemm on 256 rows beats dsyrk (10.5 against 23 ns a row at 20
 * columns, 71 against 88 at 50, 377 against 245 at 100): OpenBLAS has a kernel
 * for small general products and none for small symmetric ones.
 */
#define GEMM_MAX_COLUMNS 64

#define MIRROR_BLOCK 32			/* two blocks of 8 kB in the L1 cache */

/* Copies one triangle onto the other, by blocks: a plain transposition misses the cache at every element. */
static void
mirror(int k, double *c, bool from_upper)
{
	for (int jb = 0; jb < k; jb += MIRROR_BLOCK)
		for (int ib = 0; ib <= jb; ib += MIRROR_BLOCK)
		{
			int			jend = jb + MIRROR_BLOCK < k ? jb + MIRROR_BLOCK : k;

			for (int j = jb; j < jend; j++)
			{
				int			iend = ib + MIRROR_BLOCK < j ? ib + MIRROR_BLOCK : j;

				for (int i = ib; i < iend; i++)
				{
					if (from_upper)
						c[j + (size_t) i * k] = c[i + (size_t) j * k];
					else
						c[i + (size_t) j * k] = c[j + (size_t) i * k];
				}
			}
		}
}

void
ml_gram_add(int n, int k, const double *x, double *c)
{
	const double one = 1.0;

	if (n == 0 || k == 0)
		return;
	/* row-major n x k is column-major k x n */
	if (k <= GEMM_MAX_COLUMNS)
		dgemm_("N", "T", &k, &k, &n, &one, x, &k, x, &k, &one, c, &k);
	else
	{
		dsyrk_("U", "N", &k, &n, &one, x, &k, &one, c, &k);
		mirror(k, c, true);
	}
}

#define QR_BLOCK_DOUBLES 24576	/* 192 kB: 1,024 rows of 24 columns, the best block measured */
#define QR_PANEL 8				/* columns a reflector block; the best of 1..32 at 20 and 100 columns */

void
ml_qr_add(int n, int k, double *rows, double *r)
{
	double		block[QR_BLOCK_DOUBLES];
	double		t[ML_QR_MAX_COLUMNS];
	double		work[ML_QR_MAX_COLUMNS];
	const int	zero = 0;
	int			room = QR_BLOCK_DOUBLES / k;
	int			panel = ML_QR_MAX_COLUMNS / k < QR_PANEL ? ML_QR_MAX_COLUMNS / k : QR_PANEL;

	if (panel > k)
		panel = k;
	for (int at = 0; at < n; at += room)
	{
		int			m = n - at < room ? n - at : room;
		int			info;

		for (int i = 0; i < m; i++)
			for (int j = 0; j < k; j++)
				block[i + (size_t) j * m] = rows[(size_t) (at + i) * k + j];
		dtpqrt_(&m, &k, &zero, &panel, r, &k, block, &m, t, &panel, work, &info);
	}
}

bool
ml_cholesky(int n, double *a)
{
	int			info = 0;

	if (n > 0)
		dpotrf_("L", &n, a, &n, &info);
	return info == 0;
}

void
ml_cholesky_solve(int n, int nrhs, const double *l, double *b)
{
	int			info;

	if (n > 0 && nrhs > 0)
		dpotrs_("L", &n, &nrhs, l, &n, b, &n, &info);
}

void
ml_cholesky_inverse(int n, double *l)
{
	int			info;

	if (n == 0)
		return;
	dpotri_("L", &n, l, &n, &info);
	mirror(n, l, false);
}

#define INVERT_AT_ONCE 400		/* columns that dpotri inverts in a few milliseconds */
#define INVERT_BLOCK 32

void
ml_cholesky_invert(int n, const double *l, double *inverse, void (*check) (void))
{
	if (n <= INVERT_AT_ONCE)
	{
		memcpy(inverse, l, sizeof(double) * n * n);
		ml_cholesky_inverse(n, inverse);
		return;
	}
	memset(inverse, 0, sizeof(double) * n * n);
	for (int from = 0; from < n; from += INVERT_BLOCK)
	{
		int			width = n - from < INVERT_BLOCK ? n - from : INVERT_BLOCK;
		double	   *block = inverse + (size_t) from * n;

		for (int j = 0; j < width; j++)
			block[from + j + (size_t) j * n] = 1.0;
		ml_cholesky_solve(n, width, l, block);
		check();
	}
}

double
ml_dot(int n, const double *x, const double *y)
{
	const int	one = 1;

	return ddot_(&n, x, &one, y, &one);
}

void
ml_axpy(int n, double a, const double *x, double *y)
{
	const int	one = 1;

	daxpy_(&n, &a, x, &one, y, &one);
}

void
ml_gemv(int m, int n, const double *a, const double *x, double *y)
{
	const int	inc = 1;
	const double one = 1.0;
	const double zero = 0.0;

	if (m > 0)
	{
		if (n > 0)
			dgemv_("T", &n, &m, &one, a, &n, x, &inc, &zero, y, &inc);
		else
			for (int i = 0; i < m; i++)
				y[i] = 0.0;
	}
}
