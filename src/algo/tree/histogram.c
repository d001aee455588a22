/*
 * histogram.c - sums over the rows of a node, for every bin of every column.
 *
 * Rows lie row-major, so that the bins of a row come with one or two cache lines, and
 * columns are worked on in groups whose cells fit the L1 cache.  Small gradients
 * are summed as one 64-bit word, (g << 32) + h: as long as |g|, h < 2^16 and no more
 * than ML_BLOCK_ROWS rows were added, h does not reach into g, and g keeps its sign.
 * Then the words are emptied into the cells.  Every sum is exact.
 *
 * Pure kernels, but for creation.
 */
#include <string.h>

#include "growing.h"

#define NARROW_BINS 256
#define GROUP 24				/* columns: 24 x 256 words are 48 kB */
#define AHEAD 12				/* rows to prefetch ahead of use: a trip to the L3 cache takes as long as these */

size_t
ml_adder_cells(const MlMatrix *matrix, size_t cells, const MlPlan *plan)
{
	return matrix->wide ? cells : (size_t) NARROW_BINS * plan->n;
}

void
ml_adder_create(MlAdder *adder, const MlMatrix *matrix, size_t cells, const MlPlan *plan)
{
	adder->pending = 0;
	adder->packed = plan->packed ? ml_alloc(ml_adder_cells(matrix, cells, plan), sizeof(uint64_t)) : NULL;
}

void
ml_adder_free(MlAdder *adder)
{
	if (adder->packed != NULL)
		ml_free(adder->packed);
	adder->packed = NULL;
}

/* Both ends of a row of bins: rows of up to 64 bytes often lie in two cache lines. */
static inline void
prefetch_row(const void *row, size_t size, const MlGradient *gradient)
{
	PREFETCH(row);
	PREFETCH((const char *) row + size - 1);
	PREFETCH(gradient);
}

static inline uint64_t
word_of(const MlGradient *gradient)
{
	return ((uint64_t) (uint32_t) gradient->g << 32) + (uint32_t) gradient->h;
}

/*
 * The packed kernel for bytes: columns column[0..ncolumns-1] of a row, or the first ones
 * when column is NULL.  Cells of a column: NARROW_BINS words.
 */
static inline void
add_packed8(const uint8_t *bin, int p, const int *column, int ncolumns, const MlGradient *gradient,
			const uint16_t *rows, int n, uint64_t *packed)
{
	for (int i = 0; i < n; i++)
	{
		int			row = rows ? rows[i] : i;
		uint64_t	word = word_of(gradient + row);
		const uint8_t *b = bin + (size_t) row * p;
		uint64_t   *cell = packed;
		int			j = 0;

		if (rows != NULL && i + AHEAD < n)
			prefetch_row(bin + (size_t) rows[i + AHEAD] * p, p * sizeof(*bin), gradient + rows[i + AHEAD]);
		if (column != NULL)
		{
			for (; j < ncolumns; j++, cell += NARROW_BINS)
				cell[b[column[j]]] += word;
			continue;
		}
		for (; j + 4 <= ncolumns; j += 4, cell += 4 * NARROW_BINS)
		{
			cell[b[j]] += word;
			cell[NARROW_BINS + b[j + 1]] += word;
			cell[2 * NARROW_BINS + b[j + 2]] += word;
			cell[3 * NARROW_BINS + b[j + 3]] += word;
		}
		for (; j < ncolumns; j++, cell += NARROW_BINS)
			cell[b[j]] += word;
	}
}

static inline void
add_packed16(const uint16_t *bin, int p, const int *column, const size_t *first, int ncolumns,
			 const MlGradient *gradient, const uint16_t *rows, int n, uint64_t *packed)
{
	for (int i = 0; i < n; i++)
	{
		int			row = rows ? rows[i] : i;
		uint64_t	word = word_of(gradient + row);
		const uint16_t *b = bin + (size_t) row * p;

		if (rows != NULL && i + AHEAD < n)
			prefetch_row(bin + (size_t) rows[i + AHEAD] * p, p * sizeof(*bin), gradient + rows[i + AHEAD]);
		for (int j = 0; j < ncolumns; j++)
			packed[first[j] + b[column[j]]] += word;
	}
}

/* The bin of a column in a row of bytes or of 16-bit numbers, by a constant `wide`. */
static inline unsigned
bin_at(const void *row, int j, bool wide)
{
	return wide ? ((const uint16_t *) row)[j] : ((const uint8_t *) row)[j];
}

/* Pairs of 64-bit sums, with the count of rows when `counted`. */
static inline void
add_wide(const char *bin, size_t stride, bool wide, bool counted, const int *column, const size_t *first,
		 int ncolumns, const MlGradient *gradient, const uint16_t *rows, int n, int64_t *cells)
{
	int			width = counted ? 3 : 2;

	for (int i = 0; i < n; i++)
	{
		int			row = rows ? rows[i] : i;
		int64_t		g = gradient[row].g;
		int64_t		h = gradient[row].h;
		const char *b = bin + row * stride;

		if (rows != NULL && i + AHEAD < n)
			prefetch_row(bin + rows[i + AHEAD] * stride, stride, gradient + rows[i + AHEAD]);
		for (int j = 0; j < ncolumns; j++)
		{
			int64_t    *cell = cells + width * (first[j] + bin_at(b, column[j], wide));

			cell[0] += g;
			cell[1] += h;
			if (counted)
				cell[2]++;
		}
	}
}

/* Weights by class. */
static inline void
add_classes(const char *bin, size_t stride, bool wide, bool counted, int width, const int *column,
			const size_t *first, int ncolumns, const MlGradient *gradient, const uint16_t *rows, int n,
			int64_t *cells)
{
	for (int i = 0; i < n; i++)
	{
		int			row = rows ? rows[i] : i;
		int32_t		class = gradient[row].g;
		int64_t		h = gradient[row].h;
		const char *b = bin + row * stride;

		if (rows != NULL && i + AHEAD < n)
			prefetch_row(bin + rows[i + AHEAD] * stride, stride, gradient + rows[i + AHEAD]);
		for (int j = 0; j < ncolumns; j++)
		{
			int64_t    *cell = cells + width * (first[j] + bin_at(b, column[j], wide));

			cell[class] += h;
			if (counted)
				cell[width - 1]++;
		}
	}
}

/* Columns [from, from + ncolumns) of the plan. */
static void
add_group(const MlMatrix *matrix, const MlPlan *plan, MlAdder *adder, const MlBlock *block,
		  const uint16_t *rows, int n, int64_t *cells, int from, int ncolumns)
{
	const int  *column = plan->column + from;
	const size_t *first = plan->first + from;
	int			p = matrix->p;
	const char *bin = matrix->wide ? (const char *) block->bin16 : (const char *) block->bin8;
	size_t		stride = (size_t) p * (matrix->wide ? 2 : 1);

	if (plan->packed && matrix->wide)
		add_packed16(block->bin16, p, column, first, ncolumns, block->gradient, rows, n, adder->packed);
	else if (plan->packed && plan->all)
		add_packed8(block->bin8 + from, p, NULL, ncolumns, block->gradient, rows, n,
					adder->packed + (size_t) NARROW_BINS * from);
	else if (plan->packed)
		add_packed8(block->bin8, p, column, ncolumns, block->gradient, rows, n,
					adder->packed + (size_t) NARROW_BINS * from);
	else if (plan->classes > 0)
	{
		if (matrix->wide)
			add_classes(bin, stride, true, plan->counted, plan->width, column, first, ncolumns,
						block->gradient, rows, n, cells);
		else
			add_classes(bin, stride, false, plan->counted, plan->width, column, first, ncolumns,
						block->gradient, rows, n, cells);
	}
	else if (matrix->wide)
		add_wide(bin, stride, true, plan->counted, column, first, ncolumns, block->gradient, rows, n, cells);
	else if (plan->counted)
		add_wide(bin, stride, false, true, column, first, ncolumns, block->gradient, rows, n, cells);
	else
		add_wide(bin, stride, false, false, column, first, ncolumns, block->gradient, rows, n, cells);
}

void
ml_histogram_add(const MlMatrix *matrix, const MlPlan *plan, MlAdder *adder, const MlBlock *block,
				 const uint16_t *rows, int n, int64_t *cells)
{
	if (plan->packed)
	{
		if (adder->pending + n > ML_BLOCK_ROWS)
			ml_histogram_flush(matrix, plan, adder, cells);
		adder->pending += n;
	}
	for (int from = 0; from < plan->n; from += GROUP)
		add_group(matrix, plan, adder, block, rows, n, cells, from,
				  plan->n - from < GROUP ? plan->n - from : GROUP);
}

void
ml_histogram_flush(const MlMatrix *matrix, const MlPlan *plan, MlAdder *adder, int64_t *cells)
{
	if (!plan->packed || adder->pending == 0)
		return;
	adder->pending = 0;
	for (int j = 0; j < plan->n; j++)
	{
		uint64_t   *word = adder->packed + (matrix->wide ? plan->first[j] : (size_t) NARROW_BINS * j);
		int64_t    *cell = cells + 2 * plan->first[j];
		int			n = (int) (plan->first[j + 1] - plan->first[j]);

		for (int b = 0; b < n; b++)
		{
			cell[2 * b] += (int32_t) (word[b] >> 32);
			cell[2 * b + 1] += (uint32_t) word[b];
		}
		memset(word, 0, sizeof(uint64_t) * n);
	}
}
