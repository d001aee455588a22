/*
 * dense.c - the few dense kernels of the house, over Fortran BLAS and LAPACK.
 *
 * No function allocates: work arrays of bounded size lie on the stack.
 *
 * A cancel must not wait for LAPACK: what takes longer than some milliseconds is
 * cut into blocks of columns, with a look at interrupts between them.  Up to
 * WHOLE_COLUMNS a matrix is left to one call.
 */
#include "num/dense.h"

#include <string.h>

#include "ml.h"
#include "num/blas.h"

/*
 * Up to this width a Gram matrix is made by a kernel of our own: a process that only
 * adds up rows, such as a parallel worker, need not load OpenBLAS then.  Measured on
 * 256 rows, ns a row against the better of dgemm and dsyrk: with AVX-512 at 22 columns
 * 20 : 20, at 50 119 : 89, at 64 144 : 200; with AVX2 29 : 45, 138 : 136, 181 : 181.
 */
#define SMALL_COLUMNS 64

#define WHOLE_COLUMNS 512		/* Cholesky takes 5 ms, a tile's Gram matrix 7 */
#define BLOCK 64				/* columns a step: 15 ms of 2,000 rows inverted */

#define MIRROR_BLOCK 32			/* two blocks of 8 kB in the L1 cache */

/* Copies one triangle onto the other, by blocks: a plain transposition misses the cache at every element. */
static void
mirror(int k, double *c, bool from_upper)
{
	for (int jb = 0; jb < k; jb += MIRROR_BLOCK)
	{
		if (jb >= WHOLE_COLUMNS)
			ml_check_interrupts();
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
}

/*
 * Defines name(n, k, x, c): C += X X' in blocks of TALL by VECTORS * LANES, whose sums
 * stay in registers.  Reads up to GRAM_OVERREAD doubles behind the last row; what
 * they are does not matter.
 */
#define GRAM_OVERREAD 7
#define GRAM_KERNEL(name, LANES, TALL, VECTORS) \
static void \
name(int n, int k, const double *restrict x, double *restrict c) \
{ \
	typedef double Lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double)), may_alias)); \
	enum {WIDE = LANES * VECTORS}; \
\
	for (int j = 0; j < k; j += WIDE) \
		for (int i = 0; i < k && i < j + WIDE; i += TALL) \
		{ \
			Lanes		sum[TALL][VECTORS] = {{{0}}}; \
			const double *row = x; \
\
			for (int r = 0; r < n; r++, row += k) \
				for (int v = 0; v < VECTORS; v++) \
				{ \
					Lanes		right = *(const Lanes *) (row + j + v * LANES); \
\
					for (int a = 0; a < TALL; a++) \
						sum[a][v] += row[i + a] * right; \
				} \
			for (int a = 0; a < TALL && i + a < k; a++) \
				for (int b = i + a > j ? i + a - j : 0; b < WIDE && j + b < k; b++) \
				{ \
					c[i + a + (size_t) (j + b) * k] += sum[a][b / LANES][b % LANES]; \
					c[j + b + (size_t) (i + a) * k] = c[i + a + (size_t) (j + b) * k]; \
				} \
		} \
}

GRAM_KERNEL(gram_any, 2, 4, 2)

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GRAM_FOR_X86
__attribute__((target("avx2,fma"))) GRAM_KERNEL(gram_avx2, 4, 4, 2)
__attribute__((target("avx512f"))) GRAM_KERNEL(gram_avx512, 8, 8, 1)
#endif

static void
gram_rows(int n, int k, const double *x, double *c)
{
#ifdef GRAM_FOR_X86
	if (__builtin_cpu_supports("avx512f"))
		gram_avx512(n, k, x, c);
	else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		gram_avx2(n, k, x, c);
	else
#endif
		gram_any(n, k, x, c);
}

/* C += X X' for few columns. */
static void
small_gram(int n, int k, const double *x, double *c)
{
	/* rows at the end, as many as it takes to have GRAM_OVERREAD doubles behind all others, apart */
	int			apart = (GRAM_OVERREAD + k - 1) / k;
	double		last[2 * GRAM_OVERREAD + SMALL_COLUMNS] = {0};

	if (apart > n)
		apart = n;
	memcpy(last, x + (size_t) (n - apart) * k, sizeof(double) * apart * k);
	gram_rows(n - apart, k, x, c);
	gram_rows(apart, k, last, c);
}

/* The upper triangle of C += X X' (X column-major k x n), BLOCK columns at a time. */
static void
gram_by_blocks(int n, int k, const double *x, double *c)
{
	const double one = 1.0;

	for (int at = 0; at < k; at += BLOCK)
	{
		int			width = k - at < BLOCK ? k - at : BLOCK;
		double	   *block = c + (size_t) at * k;

		if (at > 0)
			dgemm_("N", "T", &at, &width, &n, &one, x, &k, x + at, &k, &one, block, &k);
		dsyrk_("U", "N", &width, &n, &one, x + at, &k, &one, block + at, &k);
		ml_check_interrupts();
	}
}

void
ml_gram_add(int n, int k, const double *x, double *c)
{
	const double one = 1.0;

	if (n == 0 || k == 0)
		return;
	/* row-major n x k is column-major k x n */
	if (k <= SMALL_COLUMNS)
		small_gram(n, k, x, c);
	else
	{
		if (k <= WHOLE_COLUMNS)
			dsyrk_("U", "N", &k, &n, &one, x, &k, &one, c, &k);
		else
			gram_by_blocks(n, k, x, c);
		mirror(k, c, true);
	}
}

#define QR_BLOCK_DOUBLES 24576	/* 192 kB: 1,024 rows of 24 columns, the best block measured */
#define QR_PANEL 8				/* columns a reflector block; the best of 1..32 at 20 and 100 columns */

/* dtpqrt of R stacked on m rows (column-major, m x k), which are overwritten. */
static void
qr_block(int m, int k, int panel, double *r, double *block, double *t, double *work)
{
	const int	zero = 0;
	int			info;

	for (int at = 0; at < k; at += panel)
	{
		int			width = k - at < panel ? k - at : panel;
		int			rest = k - at - width;
		double	   *corner = r + at + (size_t) at * k;
		double	   *column = block + (size_t) at * m;

		dtpqrt2_(&m, &width, &zero, corner, &k, column, &m, t, &panel, &info);
		if (rest > 0)
			dtprfb_("L", "T", "F", "C", &m, &rest, &width, &zero, column, &m, t, &panel,
					corner + (size_t) width * k, &k, column + (size_t) width * m, &m, work, &width);
		if (at % BLOCK == 0 && k > WHOLE_COLUMNS)
			ml_check_interrupts();
	}
}

void
ml_qr_add(int n, int k, double *rows, double *r)
{
	double		block[QR_BLOCK_DOUBLES];
	double		t[ML_QR_MAX_COLUMNS];
	double		work[ML_QR_MAX_COLUMNS];
	int			room = QR_BLOCK_DOUBLES / k;
	int			panel = ML_QR_MAX_COLUMNS / k < QR_PANEL ? ML_QR_MAX_COLUMNS / k : QR_PANEL;

	if (panel > k)
		panel = k;
	for (int at = 0; at < n; at += room)
	{
		int			m = n - at < room ? n - at : room;

		for (int i = 0; i < m; i++)
			for (int j = 0; j < k; j++)
				block[i + (size_t) j * m] = rows[(size_t) (at + i) * k + j];
		qr_block(m, k, panel, r, block, t, work);
	}
}

/* Right-looking: the panel is factored, then what is right of it is updated, BLOCK columns at a time. */
static bool
cholesky_by_blocks(int n, double *a)
{
	const double one = 1.0;
	const double minus = -1.0;
	int			info = 0;

	for (int at = 0; at < n; at += BLOCK)
	{
		int			width = n - at < BLOCK ? n - at : BLOCK;
		int			below = n - at - width;
		double	   *corner = a + at + (size_t) at * n;

		dpotrf_("L", &width, corner, &n, &info);
		if (info != 0)
			return false;
		if (below > 0)
			dtrsm_("R", "L", "T", "N", &below, &width, &one, corner, &n, corner + width, &n);
		for (int to = at + width; to < n; to += BLOCK)
		{
			int			columns = n - to < BLOCK ? n - to : BLOCK;
			int			rest = n - to - columns;
			const double *factor = a + to + (size_t) at * n;
			double	   *target = a + to + (size_t) to * n;

			dsyrk_("L", "N", &columns, &width, &minus, factor, &n, &one, target, &n);
			if (rest > 0)
				dgemm_("N", "T", &rest, &columns, &width, &minus, factor + columns, &n, factor, &n, &one,
					   target + columns, &n);
		}
		ml_check_interrupts();
	}
	return true;
}

bool
ml_cholesky(int n, double *a)
{
	int			info = 0;

	if (n > WHOLE_COLUMNS)
		return cholesky_by_blocks(n, a);
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

/* L^-1 in place, from the last columns to the first (dtrtri). */
static void
invert_factor(int n, double *l)
{
	const double one = 1.0;
	const double minus = -1.0;
	int			info;

	for (int at = (n - 1) / BLOCK * BLOCK; at >= 0; at -= BLOCK)
	{
		int			width = n - at < BLOCK ? n - at : BLOCK;
		int			below = n - at - width;
		double	   *corner = l + at + (size_t) at * n;

		if (below > 0)
		{
			dtrmm_("L", "L", "N", "N", &below, &width, &one, corner + width + (size_t) width * n, &n,
				   corner + width, &n);
			dtrsm_("R", "L", "N", "N", &below, &width, &minus, corner, &n, corner + width, &n);
		}
		dtrtri_("L", "N", &width, corner, &n, &info);
		ml_check_interrupts();
	}
}

/* The lower triangle of L' L in place of L, row blocks downwards (dlauum). */
static void
square_factor(int n, double *l)
{
	const double one = 1.0;
	int			info;

	for (int at = 0; at < n; at += BLOCK)
	{
		int			width = n - at < BLOCK ? n - at : BLOCK;
		int			below = n - at - width;
		double	   *corner = l + at + (size_t) at * n;

		if (at > 0)
			dtrmm_("L", "L", "T", "N", &width, &at, &one, corner, &n, l + at, &n);
		dlauum_("L", &width, corner, &n, &info);
		if (below > 0)
		{
			if (at > 0)
				dgemm_("T", "N", &width, &at, &below, &one, corner + width, &n, l + at + width, &n, &one,
					   l + at, &n);
			dsyrk_("L", "T", &width, &below, &one, corner + width, &n, &one, corner, &n);
		}
		ml_check_interrupts();
	}
}

void
ml_cholesky_inverse(int n, double *l)
{
	int			info;

	if (n == 0)
		return;
	if (n <= WHOLE_COLUMNS)
		dpotri_("L", &n, l, &n, &info);
	else
	{
		invert_factor(n, l);
		square_factor(n, l);
	}
	mirror(n, l, false);
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
