/*
 * sort.c - merge sort without branches on the data: runs of eight by a network,
 * eight runs side by side, then merges from both ends.
 */
#include "num/sort.h"

#include <math.h>
#include <string.h>

#include "ml.h"
#include "num/vector.h"

#define LANES 8
#define RUN 8
#define BLOCK (RUN * LANES)
#define CHECK_ITEMS 65536		/* between looks at interrupts: below 1 ms */

#define EXCHANGE(a, b) \
	do { \
		double		low_ = (b) < (a) ? (b) : (a); \
		double		high_ = (b) < (a) ? (a) : (b); \
		(a) = low_; \
		(b) = high_; \
	} while (0)

/* Sorts BLOCK items into LANES runs of RUN. */
ML_VECTOR static void
sort_runs(double *items)
{
	double		row[RUN][LANES];

	memcpy(row, items, sizeof(row));
	/* Batcher's network for eight items, in each lane */
	for (int j = 0; j < LANES; j++)
	{
		double		x0 = row[0][j], x1 = row[1][j], x2 = row[2][j], x3 = row[3][j];
		double		x4 = row[4][j], x5 = row[5][j], x6 = row[6][j], x7 = row[7][j];

		EXCHANGE(x0, x1); EXCHANGE(x2, x3); EXCHANGE(x4, x5); EXCHANGE(x6, x7);
		EXCHANGE(x0, x2); EXCHANGE(x1, x3); EXCHANGE(x4, x6); EXCHANGE(x5, x7);
		EXCHANGE(x1, x2); EXCHANGE(x5, x6);
		EXCHANGE(x0, x4); EXCHANGE(x1, x5); EXCHANGE(x2, x6); EXCHANGE(x3, x7);
		EXCHANGE(x2, x4); EXCHANGE(x3, x5);
		EXCHANGE(x1, x2); EXCHANGE(x3, x4); EXCHANGE(x5, x6);
		row[0][j] = x0; row[1][j] = x1; row[2][j] = x2; row[3][j] = x3;
		row[4][j] = x4; row[5][j] = x5; row[6][j] = x6; row[7][j] = x7;
	}
	for (int lane = 0; lane < LANES; lane++)
		for (int i = 0; i < RUN; i++)
			items[lane * RUN + i] = row[i][lane];
}

/* Merges sorted a[na] and b[nb] into out. */
static void
merge_runs(const double *a, size_t na, const double *b, size_t nb, double *out)
{
	const double *a_end = a + na;
	const double *b_end = b + nb;

	while (a < a_end && b < b_end)
	{
		bool		second = *b < *a;

		*out++ = *(second ? b : a);
		b += second;
		a += !second;
	}
	memcpy(out, a, (a_end - a) * sizeof(double));
	out += a_end - a;
	memcpy(out, b, (b_end - b) * sizeof(double));
}

/* Merges two sorted runs of `width` into out, from both ends at once. */
static void
merge_equal(const double *a, const double *b, size_t width, double *out)
{
	const double *a_last = a + width - 1;
	const double *b_last = b + width - 1;
	double	   *last = out + 2 * width - 1;

	for (size_t i = 0; i < width; i++)
	{
		double		x = *a;
		double		y = *b;
		double		p = *a_last;
		double		q = *b_last;
		ptrdiff_t	second = y < x;
		ptrdiff_t	first = q < p;

		*out++ = y < x ? y : x;
		b += second;
		a += 1 - second;
		*last-- = q < p ? p : q;
		a_last -= first;
		b_last -= 1 - first;
	}
}

/* The runs of `width` in from[n], two by two, into `to`. */
static void
merge_pass(const double *from, size_t n, size_t width, double *to)
{
	size_t		since = 0;

	for (size_t start = 0; start < n; start += 2 * width)
	{
		size_t		left = n - start;

		if (left >= 2 * width)
			merge_equal(from + start, from + start + width, width, to + start);
		else if (left > width)
			merge_runs(from + start, width, from + start + width, left - width, to + start);
		else
			memcpy(to + start, from + start, left * sizeof(double));
		if ((since += 2 * width) >= CHECK_ITEMS)
		{
			ml_check_interrupts();
			since = 0;
		}
	}
}

/* Sorts fewer than BLOCK items. */
static void
sort_rest(double *x, size_t n)
{
	double		block[BLOCK];
	double		other[BLOCK];

	memcpy(block, x, n * sizeof(double));
	for (size_t i = n; i < BLOCK; i++)
		block[i] = INFINITY;
	sort_runs(block);
	merge_pass(block, BLOCK, RUN, other);
	merge_pass(other, BLOCK, 2 * RUN, block);
	merge_pass(block, BLOCK, 4 * RUN, other);
	memcpy(x, other, n * sizeof(double));
}

void
ml_sort_doubles(double *x, size_t n, double *spare)
{
	size_t		whole = n / BLOCK * BLOCK;
	double	   *from = x;
	double	   *to = spare;

	for (size_t start = 0; start < whole; start += BLOCK)
	{
		if (start % CHECK_ITEMS == 0)
			ml_check_interrupts();
		sort_runs(x + start);
	}
	if (whole < n)
		sort_rest(x + whole, n - whole);	/* one run, then, for all widths */
	if (whole == 0)
		return;
	for (size_t width = RUN; width < n; width *= 2)
	{
		double	   *swap = from;

		merge_pass(from, width < BLOCK ? whole : n, width, to);
		if (width < BLOCK)
			memcpy(to + whole, from + whole, (n - whole) * sizeof(double));
		from = to;
		to = swap;
	}
	if (from != x)
		memcpy(x, from, n * sizeof(double));
}
