/*
 * matrix.c - the training rows as bin numbers.
 *
 * Pass 1 finds the cuts (cuts.c) and the mean of the target; pass 2 puts each tile's
 * bins, targets, weights and keys into the block at hand.
 *
 * The bin of a number is the count of cuts that are not above it: a binary search for
 * eight rows at a time, which takes the same time for any distribution (255
 * cuts: 5 ns a value).
 *
 * A block is one piece of memory: first the arrays that stay as they are, then order,
 * gradient and score, so that one write keeps what changed.  When spilled, the first
 * blocks stay in memory and the others pass through a window; in sequence that is as
 * good as any cache can be.
 *
 * Memory: all from ml_alloc, until ml_matrix_free.
 */
#include "matrix.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "cuts.h"
#include "num/exact.h"
#include "num/threads.h"

#define ALIGNMENT 64			/* of arrays: a cache line */
#define LANES 8					/* values searched for side by side */
#define HISTOGRAMS 64			/* that a matrix in memory leaves room for */
#define HISTOGRAM_BIN 16		/* bytes: two 64-bit sums */
#define BATCH_BYTES 1048576		/* of tiles that threads share: about 1 ms of work */
#define WEIGHT_MIN 1e-30		/* a float has it with all its digits, and sums of its square */
#define WEIGHT_MAX 1e30

/* Where the arrays of a block begin. */
typedef struct Layout
{
	size_t		bins;
	size_t		y;
	size_t		w;
	size_t		key;
	size_t		group;
	size_t		order;			/* from here on they change */
	size_t		gradient;
	size_t		score;
	size_t		end;
} Layout;

typedef struct Held
{
	MlBlock		block;
	char	   *base;			/* aligned */
	void	   *memory;
	bool		changed;
} Held;

/* The cuts of a number, filled up with infinity. */
typedef struct Search
{
	const double *cut;			/* 2^steps */
	int			steps;
} Search;

typedef struct MlMatrixStore
{
	Layout		full;			/* of a block of ML_BLOCK_ROWS */
	bool		targeted;
	bool		gradient;
	int			resident;		/* blocks in memory */
	Held	   *held;			/* those, and the window */
	MlFile	   *file;
} MlMatrixStore;

/* What lives while a matrix is built. */
typedef struct Builder
{
	const MlProblem *problem;
	const MlMatrixOptions *options;
	MlData	   *data;
	MlMatrix   *matrix;
	uint64_t   *factor;			/* p + 1: for the keys of rows */
	double		least_y;
	double		most_y;
	Search	   *search;			/* p */
	double	   *search_cuts;

	/* tiles that threads work on together */
	int			most_tiles;		/* 1: the one that the data gave */
	int			ntiles;
	MlTile		tile[ML_CUT_TILES];
	double	   *numbers;		/* most_tiles x tile_numbers: their copies */
	size_t		tile_numbers;
	uint32_t   *key;			/* most_tiles x ML_TILE_ROWS */
	MlBlock    *block;			/* where they are put ... */
	int			at[ML_CUT_TILES];	/* ... from this row on */
} Builder;

/* ---- blocks ---- */

static size_t
place(size_t *at, size_t count, size_t size)
{
	size_t		here = *at;

	*at += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	return here;
}

static Layout
layout_block(const MlMatrix *m, bool targeted, bool gradient, size_t n)
{
	Layout		l;
	size_t		at = 0;

	l.bins = place(&at, n * m->p, m->wide ? sizeof(uint16_t) : sizeof(uint8_t));
	l.y = place(&at, targeted ? n : 0, sizeof(float));
	l.w = place(&at, m->weighted ? n : 0, sizeof(float));
	l.key = place(&at, n, sizeof(uint32_t));
	l.group = place(&at, m->grouped ? n : 0, sizeof(double));
	l.order = place(&at, n, sizeof(uint16_t));
	l.gradient = place(&at, gradient ? n : 0, sizeof(MlGradient));
	l.score = place(&at, n * m->outputs, sizeof(double));
	l.end = at;
	return l;
}

/* Rows of block i. */
static int
block_rows(const MlMatrix *m, int i)
{
	uint64_t	left = m->rows - (uint64_t) i * ML_BLOCK_ROWS;

	return left < ML_BLOCK_ROWS ? (int) left : ML_BLOCK_ROWS;
}

/* Memory of blocks that all lie in memory. */
static size_t
blocks_bytes(const MlMatrix *m, bool targeted, bool gradient)
{
	uint64_t	full = m->rows / ML_BLOCK_ROWS;
	size_t		rest = (size_t) (m->rows % ML_BLOCK_ROWS);
	size_t		bytes = (size_t) full * (layout_block(m, targeted, gradient, ML_BLOCK_ROWS).end + ALIGNMENT + sizeof(Held));

	if (rest > 0)
		bytes += layout_block(m, targeted, gradient, rest).end + ALIGNMENT + sizeof(Held);
	return bytes;
}

size_t
ml_matrix_bytes(const MlProblem *problem, uint64_t rows, const MlMatrixOptions *options)
{
	MlMatrix	m = {.p = problem->p, .rows = rows, .outputs = options->outputs};

	m.wide = options->max_bin > UINT8_MAX + 1;
	for (int j = 0; problem->levels && j < problem->p; j++)
		m.wide |= problem->levels[j] > UINT8_MAX + 1;
	return blocks_bytes(&m, problem->task != ML_ANOMALY, options->keep_gradient);
}

/* Points a block's arrays into memory for n rows. */
static void
point_block(const MlMatrix *m, Held *held, int n, int number)
{
	const MlMatrixStore *s = m->store;
	Layout		l = layout_block(m, s->targeted, s->gradient, n);
	MlBlock    *b = &held->block;
	char	   *base = held->base;

	b->n = n;
	b->number = number;
	b->bin8 = m->wide ? NULL : (uint8_t *) (base + l.bins);
	b->bin16 = m->wide ? (uint16_t *) (base + l.bins) : NULL;
	b->y = s->targeted ? (float *) (base + l.y) : NULL;
	b->w = m->weighted ? (float *) (base + l.w) : NULL;
	b->key = (uint32_t *) (base + l.key);
	b->group = m->grouped ? (double *) (base + l.group) : NULL;
	b->order = (uint16_t *) (base + l.order);
	b->gradient = s->gradient ? (MlGradient *) (base + l.gradient) : NULL;
	b->score = m->outputs > 0 ? (double *) (base + l.score) : NULL;
}

/* Allocates memory for n rows. */
static void
hold(MlMatrix *m, Held *held, int n)
{
	size_t		size = layout_block(m, m->store->targeted, m->store->gradient, n).end + ALIGNMENT;

	held->memory = ml_alloc(size, 1);
	held->base = (char *) (((uintptr_t) held->memory + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
	m->bytes += size;
}

/* Decides between memory and file, and allocates the blocks. */
static void
make_blocks(MlMatrix *m)
{
	MlMatrixStore *s = m->store;
	size_t		left = ml_memory_left();
	size_t		reserve = (size_t) m->total_bins * HISTOGRAM_BIN * HISTOGRAMS;
	size_t		bytes = blocks_bytes(m, s->targeted, s->gradient);
	int			held = m->nblocks;

	s->full = layout_block(m, s->targeted, s->gradient, ML_BLOCK_ROWS);
	if (reserve > left / 4)
		reserve = left / 4;
	if (m->nblocks > 1 && bytes > left - reserve)
	{
		size_t		each = s->full.end + ALIGNMENT + sizeof(Held);

		m->spilled = true;
		held = (int) (left / 2 / each);
		held = held < 1 ? 1 : held >= m->nblocks ? m->nblocks - 1 : held;
		s->file = ml_file_create();
	}
	s->resident = m->spilled ? held - 1 : held;
	s->held = ml_alloc(held, sizeof(Held));
	m->bytes = held * sizeof(Held);
	for (int i = 0; i < held; i++)
	{
		ml_check_interrupts();	/* the first touch of a block takes a millisecond */
		hold(m, &s->held[i], m->spilled ? ML_BLOCK_ROWS : block_rows(m, i));
	}
	for (int i = 0; i < s->resident; i++)
		point_block(m, &s->held[i], block_rows(m, i), i);
	if (m->spilled)
		s->held[s->resident].block.number = -1;
}

static uint64_t
file_place(const MlMatrix *m, int number)
{
	return (uint64_t) (number - m->store->resident) * m->store->full.end;
}

/* Writes what changed in the window, or all of it. */
static void
write_window(MlMatrix *m, bool all)
{
	MlMatrixStore *s = m->store;
	Held	   *w = &s->held[s->resident];
	Layout		l = layout_block(m, s->targeted, s->gradient, w->block.n);
	size_t		from = all ? 0 : l.order;

	ml_file_write(s->file, file_place(m, w->block.number) + from, w->base + from, l.end - from);
	w->changed = false;
}

MlBlock *
ml_matrix_block(MlMatrix *m, int i, bool change)
{
	MlMatrixStore *s = m->store;
	Held	   *w = &s->held[s->resident];

	ml_check_interrupts();
	if (i < s->resident)
		return &s->held[i].block;
	if (w->block.number != i)
	{
		if (w->changed)
			write_window(m, false);
		point_block(m, w, block_rows(m, i), i);
		ml_file_read(s->file, file_place(m, i), w->base, layout_block(m, s->targeted, s->gradient, w->block.n).end);
	}
	w->changed |= change;
	return &w->block;
}

void
ml_matrix_free(MlMatrix *m)
{
	MlMatrixStore *s = m->store;
	int			held = s->resident + m->spilled;

	for (int i = 0; i < held; i++)
		ml_free(s->held[i].memory);
	if (s->file)
		ml_file_close(s->file);
	for (int j = 0; j < m->p; j++)
	{
		if (m->bins[j].cut)
			ml_free(m->bins[j].cut);
		if (m->bins[j].least)
			ml_free(m->bins[j].least);
		if (m->bins[j].most)
			ml_free(m->bins[j].most);
	}
	ml_free(s->held);
	ml_free(s);
	ml_free(m->bins);
	ml_free(m);
}

/* ---- pass 1 ---- */

static inline uint64_t
mix(uint64_t x)
{
	/* SplitMix64 (Steele, Lea and Flood 2014) */
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline uint64_t
double_bits(double value)
{
	uint64_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits ^ bits >> 32;
}

/*
 * Gives each row a number that is the same in any order of rows.  u alone is not enough:
 * with a split by groups all rows of a group have the same.
 */
static void
find_keys(const Builder *b, const MlTile *tile, uint32_t *key)
{
	int			p = b->problem->p;

	for (int i = 0; i < tile->n; i++)
	{
		const double *x = tile->x + (size_t) i * p;
		uint64_t	sum = mix(double_bits(tile->u[i]) ^ b->factor[p]);

		for (int j = 0; j < p; j++)
			sum += double_bits(x[j]) * b->factor[j];
		if (tile->y)
			sum += double_bits(tile->y[i]) * b->factor[p];
		key[i] = (uint32_t) (mix(sum) >> 32);
	}
}

/* Room for as many tiles as are worth a job of several threads. */
static void
create_batch(Builder *b)
{
	size_t		bytes;

	b->tile_numbers = ((size_t) b->problem->p + 4) * ML_TILE_ROWS;
	bytes = b->tile_numbers * sizeof(double);
	b->most_tiles = BATCH_BYTES / bytes < ML_CUT_TILES ? (int) (BATCH_BYTES / bytes) : ML_CUT_TILES;
	if (ml_threads == 1 || b->most_tiles < 2 * ml_threads || b->most_tiles * bytes > ml_memory_left() / 8)
		b->most_tiles = 1;
	else
		b->numbers = ml_alloc(b->most_tiles, bytes);
	b->key = ml_alloc((size_t) b->most_tiles * ML_TILE_ROWS, sizeof(uint32_t));
}

static void
free_batch(Builder *b)
{
	ml_free(b->key);
	if (b->numbers)
		ml_free(b->numbers);
}

static const double *
copy_numbers(double **to, const double *from, size_t n)
{
	double	   *copy = *to;

	if (from == NULL)
		return NULL;
	memcpy(copy, from, sizeof(double) * n);
	*to += n;
	return copy;
}

/* Adds rows of a tile to the batch; they stay where they are only if it takes but one. */
static void
add_to_batch(Builder *b, const MlTile *tile, int first, int n)
{
	MlTile	   *part = &b->tile[b->ntiles];
	double	   *to = b->numbers ? b->numbers + b->tile_numbers * b->ntiles : NULL;
	int			p = b->problem->p;

	b->ntiles++;
	*part = *tile;
	part->n = n;
	part->x += (size_t) first * p;
	part->y += tile->y ? first : 0;
	part->w += tile->w ? first : 0;
	part->u += first;
	part->group += tile->group ? first : 0;
	if (to == NULL)
		return;
	part->x = copy_numbers(&to, part->x, (size_t) n * p);
	part->y = copy_numbers(&to, part->y, n);
	part->w = copy_numbers(&to, part->w, n);
	part->u = copy_numbers(&to, part->u, n);
	part->group = copy_numbers(&to, part->group, n);
}

static void
find_tile_keys(void *arg, int t)
{
	Builder    *b = arg;

	find_keys(b, &b->tile[t], b->key + t * ML_TILE_ROWS);
}

/* Sums up targets and weights of a tile. */
static void
add_targets(Builder *b, const MlTile *tile, MlExactSum *weights, MlExactSum *targets)
{
	for (int i = 0; tile->w && i < tile->n; i++)
	{
		if (!(tile->w[i] >= WEIGHT_MIN && tile->w[i] <= WEIGHT_MAX))
			ml_fail_data("weight %g is out of the range of trees, %g to %g", tile->w[i], WEIGHT_MIN, WEIGHT_MAX);
		ml_exact_add(weights, tile->w[i], 1);
	}
	for (int i = 0; tile->y && i < tile->n; i++)
	{
		b->least_y = tile->y[i] < b->least_y ? tile->y[i] : b->least_y;
		b->most_y = tile->y[i] > b->most_y ? tile->y[i] : b->most_y;
		if (b->options->shift_target && b->problem->classes == 0)
			ml_exact_add(targets, tile->w ? tile->w[i] : 1, tile->y[i]);
	}
}

/* Complains about targets that floats, as distances from the shift, would not tell apart. */
static void
check_targets(const Builder *b)
{
	double		spread = b->most_y / 2 - b->least_y / 2;
	double		most = fmax(fabs(b->most_y / 2 - b->matrix->shift / 2), fabs(b->least_y / 2 - b->matrix->shift / 2));

	if (!b->matrix->store->targeted || b->problem->classes > 0)
		return;
	if (most > FLT_MAX / 4)
		ml_fail_data("the target goes from %g to %g, which is too far for trees: divide it by a power of ten first",
					 b->least_y, b->most_y);
	if (spread > 0 && most < FLT_MIN / FLT_EPSILON)
		ml_fail_data("the target goes from %g to %g, which is too near for trees: multiply it by a power of ten first",
					 b->least_y, b->most_y);
}

static void
find_batch_cuts(Builder *b, MlCutFinder *finder)
{
	ml_threads_run(b->ntiles, find_tile_keys, b);
	ml_cuts_add(finder, b->tile, b->ntiles, b->key);
	b->ntiles = 0;
}

/* Finds the cuts, in as many passes as the memory needs, and in the first the sums. */
static void
find_cuts(Builder *b)
{
	MlMatrix   *m = b->matrix;
	MlCutFinder *finder = NULL;
	MlExactSum	weights = {{0}};
	MlExactSum	targets = {{0}};
	MlTile		tile;
	bool		first = true;

	do
	{
		ml_data_rewind(b->data);
		while (ml_data_next(b->data, &tile))
		{
			if (finder == NULL)
			{
				m->weighted = tile.w != NULL;
				m->grouped = tile.group != NULL;
				m->store->targeted = tile.y != NULL;
				finder = ml_cuts_create(b->problem, b->options, ml_data_rows(b->data), m->weighted);
			}
			if (first)
			{
				add_targets(b, &tile, &weights, &targets);
				m->rows += tile.n;
			}
			add_to_batch(b, &tile, 0, tile.n);
			if (b->ntiles == b->most_tiles)
				find_batch_cuts(b, finder);
		}
		if (finder == NULL)
			ml_fail_data("no rows to learn from");
		find_batch_cuts(b, finder);
		first = false;
	} while (!ml_cuts_finish_pass(finder, m->bins));
	ml_cuts_free(finder);

	if (!m->weighted)
		ml_exact_add(&weights, (double) m->rows, 1);
	m->total_weight = ml_exact_value(&weights);
	if (b->options->shift_target && m->store->targeted && b->problem->classes == 0)
		m->shift = fmin(fmax(ml_exact_ratio(&targets, &weights), b->least_y), b->most_y);
	check_targets(b);
}

/* ---- pass 2 ---- */

/*
 * Counts the cuts that are not above each x[n]: 2^steps - 1 of them, ascending.  Eight
 * searches go side by side, without a branch on the data; n is a multiple of 8.
 */
static void
count_cuts(const double *cut, int steps, const double *x, int n, int64_t *count)
{
	for (int i = 0; i < n; i += LANES)
	{
		int64_t		c[LANES] = {0};

		for (int half = 1 << steps >> 1; half > 0; half /= 2)
			for (int l = 0; l < LANES; l++)
				c[l] += x[i + l] >= cut[c[l] + half - 1] ? half : 0;
		memcpy(count + i, c, sizeof(c));
	}
}

static void
prepare_search(Builder *b)
{
	int			p = b->problem->p;
	size_t		total = 0;

	b->search = ml_alloc(p, sizeof(Search));
	for (int j = 0; j < p; j++)
	{
		const MlBins *bins = &b->matrix->bins[j];

		while (bins->levels == 0 && bins->n > 1 << b->search[j].steps)
			b->search[j].steps++;
		total += (size_t) 1 << b->search[j].steps;
	}
	b->search_cuts = ml_alloc(total, sizeof(double));
	total = 0;
	for (int j = 0; j < p; j++)
	{
		const MlBins *bins = &b->matrix->bins[j];
		Search	   *s = &b->search[j];

		s->cut = b->search_cuts + total;
		for (int k = 0; k < 1 << s->steps; k++)
			b->search_cuts[total++] = bins->levels == 0 && k < bins->n - 1 ? bins->cut[k] : INFINITY;
	}
}

/* The bins of a tile's column. */
static void
find_bins(const Builder *b, const MlTile *tile, int j, int64_t *bin)
{
	const MlBins *bins = &b->matrix->bins[j];
	double		x[ML_TILE_ROWS] __attribute__((aligned(ALIGNMENT)));
	int			n = tile->n;
	int			padded = (n + LANES - 1) / LANES * LANES;

	for (int i = 0; i < n; i++)
		x[i] = tile->x[(size_t) i * b->problem->p + j];
	for (int i = n; i < padded; i++)
		x[i] = 0;
	if (bins->levels > 0)
		for (int i = 0; i < n; i++)
			bin[i] = x[i] >= 0 && x[i] < bins->levels ? (int64_t) x[i] : bins->n;
	else
		count_cuts(b->search[j].cut, b->search[j].steps, x, padded, bin);
	if (bins->levels == 0 && bins->missing)
		for (int i = 0; i < n; i++)
			bin[i] = x[i] == x[i] ? bin[i] : bins->n;
}

/* A kernel: puts tile t into its rows of the block. */
static void
put_tile(void *arg, int t)
{
	const Builder *b = arg;
	const MlTile *tile = &b->tile[t];
	const MlMatrix *m = b->matrix;
	MlBlock    *block = b->block;
	int			at = b->at[t];
	size_t		first = (size_t) at * m->p;
	int64_t		bin[ML_TILE_ROWS] __attribute__((aligned(ALIGNMENT)));

	for (int j = 0; j < m->p; j++)
	{
		uint8_t    *bin8 = m->wide ? NULL : (uint8_t *) block->bin8 + first + j;
		uint16_t   *bin16 = m->wide ? (uint16_t *) block->bin16 + first + j : NULL;

		find_bins(b, tile, j, bin);
		if (m->wide)
			for (int i = 0; i < tile->n; i++)
				bin16[(size_t) i * m->p] = (uint16_t) bin[i];
		else
			for (int i = 0; i < tile->n; i++)
				bin8[(size_t) i * m->p] = (uint8_t) bin[i];
	}
	find_keys(b, tile, (uint32_t *) block->key + at);
	for (int i = 0; i < tile->n; i++)
	{
		block->order[at + i] = (uint16_t) (at + i);
		if (block->y)
			((float *) block->y)[at + i] = (float) (tile->y[i] - m->shift);
		if (block->w)
			((float *) block->w)[at + i] = (float) (tile->w ? tile->w[i] : 1);
		if (block->group)
			((double *) block->group)[at + i] = tile->group[i];
	}
}

static void
put_batch(Builder *b)
{
	ml_threads_run(b->ntiles, put_tile, b);
	b->ntiles = 0;
}

/* The block to fill next. */
static MlBlock *
next_block(MlMatrix *m, int i)
{
	MlMatrixStore *s = m->store;
	Held	   *w = &s->held[s->resident];

	if (i < s->resident)
		return &s->held[i].block;
	if (w->block.number >= 0)
		write_window(m, true);
	point_block(m, w, block_rows(m, i), i);
	memset(w->base, 0, s->full.end);
	return &w->block;
}

static void
fill_blocks(Builder *b)
{
	MlMatrix   *m = b->matrix;
	int			nblocks = 0;
	int			at = 0;
	MlTile		tile;

	ml_data_rewind(b->data);
	while (ml_data_next(b->data, &tile))
		for (int done = 0, n; done < tile.n; done += n)
		{
			if (b->block == NULL || at == b->block->n)
			{
				put_batch(b);
				b->block = next_block(m, nblocks++);
				at = 0;
			}
			n = tile.n - done < b->block->n - at ? tile.n - done : b->block->n - at;
			b->at[b->ntiles] = at;
			add_to_batch(b, &tile, done, n);
			at += n;
			if (b->ntiles == b->most_tiles)
				put_batch(b);
		}
	put_batch(b);
	if (m->spilled)
		write_window(m, true);
}

/* Random odd numbers for the keys of rows. */
static void
choose_factors(Builder *b)
{
	b->factor = ml_alloc((size_t) b->problem->p + 1, sizeof(uint64_t));
	for (int j = 0; j <= b->problem->p; j++)
		b->factor[j] = mix(mix(b->problem->seed + UINT64_C(0x9e3779b97f4a7c15)) + j) | 1;
}

MlMatrix *
ml_matrix_build(const MlProblem *problem, MlData *data, const MlMatrixOptions *options)
{
	MlMatrix   *m = ml_alloc(1, sizeof(MlMatrix));
	Builder		b = {problem, options, data, m, .least_y = INFINITY, .most_y = -INFINITY};

	m->store = ml_alloc(1, sizeof(MlMatrixStore));
	m->store->gradient = options->keep_gradient;
	m->p = problem->p;
	m->outputs = options->outputs;
	m->bins = ml_alloc(m->p, sizeof(MlBins));
	choose_factors(&b);
	create_batch(&b);
	find_cuts(&b);

	m->nblocks = (int) ((m->rows + ML_BLOCK_ROWS - 1) / ML_BLOCK_ROWS);
	for (int j = 0; j < m->p; j++)
	{
		m->bins[j].first = m->total_bins;
		m->total_bins += m->bins[j].n + m->bins[j].missing;
		m->wide |= m->bins[j].n + m->bins[j].missing > UINT8_MAX + 1;
	}
	prepare_search(&b);
	make_blocks(m);
	fill_blocks(&b);
	free_batch(&b);
	ml_free(b.search_cuts);
	ml_free(b.search);
	ml_free(b.factor);
	return m;
}
