/*
 * cuts.c - where the values of each column are cut into bins.
 *
 * Every number column starts with a small hash set of its distinct values.  While they
 * are no more than max_bin, each gets a bin of its own.  Another column is cut at
 * quantiles of a sample of its values that are not missing.
 *
 * The sample depends on the set of rows alone, neither on their order nor on the
 * memory: a value is in it when a hash of its row's key is below a limit, and the limit
 * is lowered by a quarter whenever the sample is full (adaptive sampling, Flajolet
 * 1990).  A column with no more values than that is taken whole.  Otherwise it has m
 * rows with 3/4 of room <= m <= room, room = 131,072 for up to 20 columns and down to
 * 65,536 for 40 and more: by the Dvoretzky-Kiefer-Wolfowitz inequality (Massart
 * 1990) the share of rows below any cut differs from that in the sample by at most
 * sqrt(ln(2 / 0.01) / 2m) with a probability of 99 %: 0.52 % for m = 98,304, 0.73 % for 49,152.
 *
 * When the samples of all such columns do not fit in the memory together, the rows are
 * read again for those that were left out.  Hence which columns have a sample is decided
 * after a few thousand rows: by then a column with many values has shown them.  One that
 * does so later waits for another pass.
 *
 * Quantiles: a value that weighs more than a bin should gets one for itself, and the others
 * share the rest in equal parts (as LightGBM does: Ke et al. 2017), so that a column
 * of mostly zeros still has fine bins for what is not zero.  Weights are whole numbers
 * here, in units of 2^-40 of the greatest, since sums of those do not depend on order.
 *
 * Threads: ranges are found tile by tile, samples are filled and sorted column by column.
 *
 * Memory: all from ml_alloc; sets and samples go as soon as they are of no use.
 */
#include "cuts.h"

#include <math.h>
#include <string.h>

#include "num/threads.h"

#define DECIDE_ROWS 4096
#define SET_ROOM 64				/* slots of a new set */
#define LIMIT_ALL (UINT64_C(1) << 32)
#define WEIGHT_UNITS 0x1p40
#define DIGIT_BITS 11			/* of a sort: fastest of 8, 11 and 13 */
#define DIGIT_MASK ((1 << DIGIT_BITS) - 1)
#define DIGITS ((64 + DIGIT_BITS - 1) / DIGIT_BITS)

typedef enum Stage
{
	WATCHED,					/* first pass: set, and sample until it is decided on */
	COUNTED,					/* first pass: set only */
	SAMPLED,					/* in this pass */
	WAITING,					/* for a pass with room for its sample */
	READY
} Stage;

typedef struct Column
{
	Stage		stage;
	double	   *set;			/* distinct values; NaN: a free slot */
	int			set_size;
	int			set_room;		/* a power of two */
	uint64_t   *key;			/* the sample: values as to_ordered gives them */
	float	   *weight;			/* NULL: all one */
	uint32_t   *hash;
	size_t		n;
	size_t		room;
	uint64_t	limit;			/* hashes below it are in the sample */
} Column;

struct MlCutFinder
{
	const MlProblem *problem;
	int			max_bin;
	bool		keep_values;
	bool		weighted;
	bool		first_pass;
	uint64_t	rows;			/* expected */
	uint64_t	seen;			/* in this pass */
	uint64_t	decide;			/* rows before samples are decided on */
	size_t		room;			/* of a sample */
	float		max_weight;
	int			lanes;
	double	   *low;			/* lanes x p */
	double	   *high;
	double	   *missing;		/* lanes x p: NaN when any value was */
	Column	   *column;			/* p */
	uint64_t  **scratch;		/* lanes: for sorting a sample */

	/* tiles that are being added */
	const MlTile *tile;
	int			ntiles;
	const uint32_t *key;
	uint64_t	limit;			/* the highest of all columns */
	int		   *nrows;			/* by tile: rows with hashes below it ... */
	int		   *rows_below;		/* ... and which: ML_TILE_ROWS a tile */
	uint32_t   *hash;			/* ML_TILE_ROWS a tile */
	int			first;			/* column of item 0, while samples are sorted */
};

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

/* Numbers in the order of the doubles. */
static inline uint64_t
to_ordered(double value)
{
	uint64_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static inline double
from_ordered(uint64_t bits)
{
	double		value;

	bits = bits >> 63 ? bits ^ UINT64_C(1) << 63 : ~bits;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

double
ml_cut_between(double a, double b)
{
	double		cut = (a < 0) != (b < 0) ? (a + b) / 2 : a + (b - a) / 2;

	return cut > a ? cut + 0.0 : b;
}

/* ---- distinct values ---- */

static void
set_clear(Column *c, int room)
{
	c->set = ml_alloc(room, sizeof(double));
	c->set_room = room;
	c->set_size = 0;
	for (int i = 0; i < room; i++)
		c->set[i] = NAN;
}

static void
set_free(Column *c)
{
	if (c->set)
		ml_free(c->set);
	c->set = NULL;
}

/* The slot of a value, or the free one where it belongs. */
static inline double *
set_slot(const Column *c, double value)
{
	uint64_t	bits;
	unsigned	mask = c->set_room - 1;
	unsigned	at;

	memcpy(&bits, &value, sizeof(bits));
	at = (unsigned) (mix(bits) >> 32) & mask;
	while (c->set[at] == c->set[at] && c->set[at] != value)
		at = (at + 1) & mask;
	return c->set + at;
}

static void
set_grow(Column *c)
{
	double	   *old = c->set;
	int			room = c->set_room;

	set_clear(c, 2 * room);
	for (int i = 0; i < room; i++)
		if (old[i] == old[i])
		{
			*set_slot(c, old[i]) = old[i];
			c->set_size++;
		}
	ml_free(old);
}

/* Adds the values of a tile's column; false: there are more than max_bin. */
static bool
set_add(Column *c, const double *x, int n, int stride, int max_bin)
{
	for (int i = 0; i < n; i++)
	{
		double		value = x[(size_t) i * stride] + 0.0;	/* no -0 */
		double	   *slot;

		if (value != value)
			continue;
		slot = set_slot(c, value);
		if (*slot == value)
			continue;
		if (c->set_size == max_bin)
			return false;
		*slot = value;
		if (2 * ++c->set_size > c->set_room)
			set_grow(c);
	}
	return true;
}

/* ---- samples ---- */

static size_t
entry_size(const MlCutFinder *f)
{
	return sizeof(uint64_t) + sizeof(uint32_t) + (f->weighted ? sizeof(float) : 0);
}

static void
sample_free(Column *c)
{
	if (c->key)
		ml_free(c->key);
	if (c->hash)
		ml_free(c->hash);
	if (c->weight)
		ml_free(c->weight);
	c->key = NULL;
	c->hash = NULL;
	c->weight = NULL;
}

/* Gives a column an empty sample, or a larger one. */
static void
sample_room(const MlCutFinder *f, Column *c, size_t room)
{
	Column		old = *c;

	c->key = ml_alloc(room, sizeof(uint64_t));
	c->hash = ml_alloc(room, sizeof(uint32_t));
	c->weight = f->weighted ? ml_alloc(room, sizeof(float)) : NULL;
	c->room = room;
	if (old.key == NULL)
	{
		c->n = 0;
		c->limit = LIMIT_ALL;
		return;
	}
	memcpy(c->key, old.key, c->n * sizeof(uint64_t));
	memcpy(c->hash, old.hash, c->n * sizeof(uint32_t));
	if (f->weighted)
		memcpy(c->weight, old.weight, c->n * sizeof(float));
	sample_free(&old);
}

/* Lowers the limit until there is room. */
static void
sample_thin(Column *c)
{
	uint64_t   *key = c->key;
	uint32_t   *hash = c->hash;
	float	   *weight = c->weight;

	while (c->n == c->room)
	{
		uint64_t	limit = c->limit - c->limit / 4 - (c->limit < 4 && c->limit > 0);
		size_t		n = c->n;
		size_t		kept = 0;

		for (size_t i = 0; i < n; i++)	/* without a branch that would be guessed wrong */
		{
			bool		keep = hash[i] < limit;

			key[kept] = key[i];
			hash[kept] = hash[i];
			if (weight)
				weight[kept] = weight[i];
			kept += keep;
		}
		c->n = kept;
		c->limit = limit;
	}
}

/* Adds the values of rows[n], whose hashes are below the highest limit. */
static void
sample_add(Column *c, const MlTile *tile, int j, int stride, const int *rows, int n, const uint32_t *hash)
{
	for (int k = 0; k < n; k++)
	{
		int			i = rows[k];
		double		value = tile->x[(size_t) i * stride + j] + 0.0;

		if (c->n == c->room && hash[i] < c->limit && value == value)
			sample_thin(c);
		if (hash[i] >= c->limit || value != value)
			continue;
		c->key[c->n] = to_ordered(value);
		c->hash[c->n] = hash[i];
		if (c->weight)
			c->weight[c->n] = (float) (tile->w ? tile->w[i] : 1);
		c->n++;
	}
}

/* ---- a pass ---- */

MlCutFinder *
ml_cuts_create(const MlProblem *problem, const MlMatrixOptions *options, uint64_t rows, bool weighted)
{
	MlCutFinder *f = ml_alloc(1, sizeof(MlCutFinder));
	int			p = problem->p;
	int			max_bin = options->max_bin;
	size_t		room = ML_SAMPLE_TOTAL / (p > 0 ? p : 1);
	size_t		early;

	room = room < ML_SAMPLE_LEAST ? ML_SAMPLE_LEAST : room > ML_SAMPLE_MOST ? ML_SAMPLE_MOST : room;
	if (room < (size_t) max_bin * 4)
		room = (size_t) max_bin * 4;	/* a sample with as many values as bins would be no sample */
	f->problem = problem;
	f->max_bin = max_bin;
	f->keep_values = options->keep_values;
	f->weighted = weighted;
	f->first_pass = true;
	f->rows = rows;
	f->room = rows < room ? (rows ? rows : 1) : room;
	f->lanes = ml_threads;
	f->low = ml_alloc((size_t) f->lanes * p, sizeof(double));
	f->high = ml_alloc((size_t) f->lanes * p, sizeof(double));
	f->missing = ml_alloc((size_t) f->lanes * p, sizeof(double));
	f->scratch = ml_alloc(f->lanes, sizeof(uint64_t *));
	f->nrows = ml_alloc(ML_CUT_TILES, sizeof(int));
	f->rows_below = ml_alloc(ML_CUT_TILES * ML_TILE_ROWS, sizeof(int));
	f->hash = ml_alloc(ML_CUT_TILES * ML_TILE_ROWS, sizeof(uint32_t));
	f->column = ml_alloc(p, sizeof(Column));
	for (size_t i = 0; i < (size_t) f->lanes * p; i++)
	{
		f->low[i] = INFINITY;
		f->high[i] = -INFINITY;
	}

	/* what is kept of the first rows of all columns may take a quarter of the memory */
	early = ml_memory_left() / 4 / entry_size(f) / (p > 0 ? p : 1) / ML_TILE_ROWS * ML_TILE_ROWS;
	f->decide = max_bin > DECIDE_ROWS / 4 ? (uint64_t) max_bin * 4 : DECIDE_ROWS;
	if (f->decide > early)
		f->decide = early < ML_TILE_ROWS ? ML_TILE_ROWS : early;
	for (int j = 0; j < p; j++)
	{
		if (problem->levels && problem->levels[j] > 0)
		{
			f->column[j].stage = READY;
			continue;
		}
		f->column[j].stage = WATCHED;
		set_clear(&f->column[j], SET_ROOM);
		sample_room(f, &f->column[j], f->room < f->decide ? f->room : f->decide);
	}
	return f;
}

/* Smallest and largest values of all columns, and which have missing ones. */
static void
add_ranges(MlCutFinder *f, const MlTile *tile)
{
	int			p = f->problem->p;
	size_t		lane = (size_t) ml_thread_number() * p;
	double	   *restrict low = f->low + lane;
	double	   *restrict high = f->high + lane;
	double	   *restrict missing = f->missing + lane;

	for (int i = 0; i < tile->n; i++)
	{
		const double *x = tile->x + (size_t) i * p;

		for (int j = 0; j < p; j++)
		{
			low[j] = x[j] < low[j] ? x[j] : low[j];
			high[j] = x[j] > high[j] ? x[j] : high[j];
			missing[j] += x[j] * 0;
		}
	}
	for (int j = 0; j < p; j++)
		if (f->problem->levels && f->problem->levels[j] > 0)
			for (int i = 0; i < tile->n; i++)
			{
				double		x = tile->x[(size_t) i * p + j];

				if (!(x >= 0 && x < f->problem->levels[j]))
					missing[j] = NAN;
			}
}

/* Bytes that more samples may take: a quarter stays free, and what sorting needs. */
static size_t
sample_memory(const MlCutFinder *f)
{
	size_t		left = ml_memory_left();
	size_t		kept = left / 4 + f->lanes * f->room * sizeof(uint64_t);

	return left > kept ? left - kept : 0;
}

/* Which columns are sampled in this pass: those with many values, as far as the memory goes. */
static void
decide(MlCutFinder *f)
{
	bool		any = false;

	for (int j = 0; j < f->problem->p; j++)
	{
		Column	   *c = &f->column[j];

		if (c->stage != WATCHED)
			continue;
		if (c->set)
		{
			c->stage = COUNTED;
			sample_free(c);
		}
		else if (any && sample_memory(f) < f->room * entry_size(f))
		{
			c->stage = WAITING;
			sample_free(c);
		}
		else
		{
			c->stage = SAMPLED;
			any = true;
			if (c->room < f->room)
				sample_room(f, c, f->room);
		}
	}
}

/* A kernel: ranges of a tile, and which of its rows may be in a sample. */
static void
add_tile(void *arg, int t)
{
	MlCutFinder *f = arg;
	const MlTile *tile = f->tile + t;
	const uint32_t *key = f->key + t * ML_TILE_ROWS;
	uint32_t   *hash = f->hash + t * ML_TILE_ROWS;
	int		   *rows = f->rows_below + t * ML_TILE_ROWS;
	uint64_t	limit = f->limit;
	int			n = 0;

	if (f->first_pass)
		add_ranges(f, tile);
	for (int i = 0; i < tile->n; i++)
	{
		hash[i] = (uint32_t) (mix(key[i] + UINT64_C(0x9e3779b97f4a7c15)) >> 32);
		rows[n] = i;
		n += hash[i] < limit;
	}
	f->nrows[t] = n;
}

/* A kernel: a column's values of the tiles go into its sample. */
static void
add_column(void *arg, int j)
{
	MlCutFinder *f = arg;
	Column	   *c = &f->column[j];

	for (int t = 0; c->key && t < f->ntiles; t++)
		sample_add(c, f->tile + t, j, f->problem->p, f->rows_below + t * ML_TILE_ROWS, f->nrows[t],
				   f->hash + t * ML_TILE_ROWS);
}

/* Adds the tiles' values to the sets of distinct ones. */
static void
add_to_sets(MlCutFinder *f)
{
	int			p = f->problem->p;

	for (int j = 0; j < p; j++)
	{
		Column	   *c = &f->column[j];

		for (int t = 0; c->set && t < f->ntiles; t++)
			if (!set_add(c, f->tile[t].x + j, f->tile[t].n, p, f->max_bin))
			{
				set_free(c);
				if (c->stage == COUNTED)
					c->stage = WAITING;
			}
	}
}

static void
add_tiles(MlCutFinder *f)
{
	f->limit = 0;
	for (int j = 0; j < f->problem->p; j++)
		if (f->column[j].key && f->column[j].limit > f->limit)
			f->limit = f->column[j].limit;
	for (int t = 0; t < f->ntiles; t++)
	{
		const MlTile *tile = f->tile + t;

		f->seen += tile->n;
		for (int i = 0; tile->w && i < tile->n; i++)
			f->max_weight = (float) tile->w[i] > f->max_weight ? (float) tile->w[i] : f->max_weight;
	}
	ml_threads_run(f->ntiles, add_tile, f);
	add_to_sets(f);
	ml_threads_run(f->problem->p, add_column, f);
}

void
ml_cuts_add(MlCutFinder *f, const MlTile *tile, int n, const uint32_t *key)
{
	for (int at = 0; at < n; at += f->ntiles)
	{
		if (f->first_pass && f->decide > 0 && f->seen + tile[at].n > f->decide)
		{
			decide(f);
			f->decide = 0;
		}
		f->tile = tile + at;
		f->key = key + at * ML_TILE_ROWS;
		f->ntiles = f->first_pass && f->decide > 0 ? 1 : n - at;
		add_tiles(f);
	}
}

/* ---- from values to cuts ---- */

/*
 * Sorts key[n] and their weights (or NULL) by digits, lowest first; those that are
 * the same everywhere cost nothing.  The result is in key and weight.
 */
static void
sort_keys(uint64_t *key, float *weight, size_t n, uint64_t *other_key, float *other_weight)
{
	uint64_t   *from = key;
	uint64_t   *to = other_key;
	float	   *from_weight = weight;
	float	   *to_weight = other_weight;
	uint32_t	count[DIGITS][DIGIT_MASK + 1] = {{0}};

	for (size_t i = 0; i < n; i++)
		for (int b = 0; b < DIGITS; b++)
			count[b][key[i] >> DIGIT_BITS * b & DIGIT_MASK]++;
	for (int b = 0; b < DIGITS; b++)
	{
		uint32_t	at = 0;
		uint64_t   *swap = from;
		float	   *swap_weight = from_weight;

		if (n == 0 || count[b][from[0] >> DIGIT_BITS * b & DIGIT_MASK] == n)
			continue;
		for (int d = 0; d <= DIGIT_MASK; d++)
		{
			uint32_t	here = count[b][d];

			count[b][d] = at;
			at += here;
		}
		for (size_t i = 0; i < n; i++)
		{
			uint32_t	place = count[b][from[i] >> DIGIT_BITS * b & DIGIT_MASK]++;

			to[place] = from[i];
			if (weight)
				to_weight[place] = from_weight[i];
		}
		from = to;
		to = swap;
		from_weight = to_weight;
		to_weight = swap_weight;
	}
	if (from == key)
		return;
	memcpy(key, from, n * sizeof(uint64_t));
	if (weight)
		memcpy(weight, from_weight, n * sizeof(float));
}

/* Room for the smallest and largest value of each of n bins. */
static void
keep_values(MlBins *bins, size_t n)
{
	bins->least = ml_alloc(n, sizeof(double));
	bins->most = ml_alloc(n, sizeof(double));
}

/* Makes a bin for each of the ascending values. */
static void
cut_each(MlBins *bins, const uint64_t *key, size_t n, bool keep)
{
	if (n < 2)
		return;
	bins->n = (int) n;
	bins->cut = ml_alloc(n - 1, sizeof(double));
	for (size_t i = 0; i + 1 < n; i++)
		bins->cut[i] = ml_cut_between(from_ordered(key[i]), from_ordered(key[i + 1]));
	if (!keep)
		return;
	keep_values(bins, n);
	for (size_t i = 0; i < n; i++)
		bins->least[i] = bins->most[i] = from_ordered(key[i]);
}

/*
 * Returns the weight from which on a value gets a bin of its own: not less than what
 * each of the other bins then has to hold.  Sets the weight and the bins of the others.
 */
static double
heavy_weight(const uint64_t *weight, size_t n, int max_bin, uint64_t *rest, int *rest_bins)
{
	double		limit = INFINITY;

	for (;;)
	{
		uint64_t	sum = 0;
		int			heavy = 0;
		double		part;

		for (size_t i = 0; i < n; i++)
			if (weight[i] >= limit)
				heavy++;
			else
				sum += weight[i];
		part = (double) sum / (max_bin - heavy);
		*rest = sum;
		*rest_bins = max_bin - heavy;
		if (part >= limit || *rest_bins <= 1)
			return limit;
		limit = part;
		ml_check_interrupts();
	}
}

/*
 * Cuts n ascending distinct values, more than max_bin, with weights.  A bin of others
 * ends where their weight up to there is nearest to `end`, so that errors do not add up, or
 * before a heavy value when it is half full: it would only blur that one's bin.
 */
static void
cut_quantiles(MlBins *bins, const uint64_t *key, const uint64_t *weight, size_t n, int max_bin, bool keep)
{
	uint64_t	total;
	int			left;			/* bins for values that are not heavy */
	double		limit = heavy_weight(weight, n, max_bin, &total, &left);
	double		part = (double) total / left;
	double		end = part;
	double		start = 0;		/* of the bin, in the weight of the others */
	uint64_t	used = 0;

	bins->cut = ml_alloc(max_bin - 1, sizeof(double));
	bins->n = 1;
	if (keep)
	{
		keep_values(bins, max_bin);
		bins->least[0] = from_ordered(key[0]);
	}
	for (size_t i = 0; i + 1 < n && bins->n < max_bin; i++)
	{
		bool		heavy = weight[i] >= limit;
		bool		heavy_next = weight[i + 1] >= limit;
		bool		full;

		used += heavy ? 0 : weight[i];
		full = !heavy && used + (heavy_next ? 0 : weight[i + 1] / 2.0) >= end;
		if (!heavy && !full && !(heavy_next && used - start >= part / 2 && left > 1))
			continue;
		if (bins->least)
		{
			bins->most[bins->n - 1] = from_ordered(key[i]);
			bins->least[bins->n] = from_ordered(key[i + 1]);
		}
		bins->cut[bins->n++ - 1] = ml_cut_between(from_ordered(key[i]), from_ordered(key[i + 1]));
		start = used;
		left -= !heavy;
		if (full)
			end += part;
		else
		{
			part = left > 0 ? (double) (total - used) / left : INFINITY;
			end = used + part;
		}
	}
	if (keep)
		bins->most[bins->n - 1] = from_ordered(key[n - 1]);
}

/* Weighs a value of the sample in whole units. */
static uint64_t
units(const MlCutFinder *f, float weight)
{
	uint64_t	whole = (uint64_t) (weight / (double) f->max_weight * WEIGHT_UNITS);

	return whole > 0 ? whole : 1;
}

/* A kernel: sorts the sample of a column. */
static void
sort_sample(void *arg, int j)
{
	MlCutFinder *f = arg;
	Column	   *c = &f->column[f->first + j];

	if (c->stage == SAMPLED)
		sort_keys(c->key, c->weight, c->n, f->scratch[ml_thread_number()], (float *) c->hash);
}

static void
sort_samples(MlCutFinder *f)
{
	size_t		most = 0;

	for (int j = 0; j < f->problem->p; j++)
		if (f->column[j].stage == SAMPLED && f->column[j].n > most)
			most = f->column[j].n;
	for (int t = 0; t < f->lanes; t++)
	{
		if (f->scratch[t])
			ml_free(f->scratch[t]);
		f->scratch[t] = ml_alloc(most, sizeof(uint64_t));
	}
	for (f->first = 0; f->first < f->problem->p; f->first += f->lanes)
	{
		int			left = f->problem->p - f->first;

		ml_check_interrupts();
		ml_threads_run(left < f->lanes ? left : f->lanes, sort_sample, f);
	}
}

/* The bins of a sampled column. */
static void
cut_sample(MlCutFinder *f, Column *c, MlBins *bins)
{
	uint64_t   *weight = f->scratch[0];
	bool		keep = f->keep_values && c->limit == LIMIT_ALL;	/* the sample has all rows */
	size_t		n = 0;

	/* each value once */
	for (size_t i = 0; i < c->n; i++)
	{
		uint64_t	more = c->weight ? units(f, c->weight[i]) : 1;

		if (n > 0 && c->key[n - 1] == c->key[i])
			weight[n - 1] += more;
		else
		{
			c->key[n] = c->key[i];
			weight[n++] = more;
		}
	}
	if (n <= (size_t) f->max_bin)
		cut_each(bins, c->key, n, keep);
	else if (f->max_bin > 1)
		cut_quantiles(bins, c->key, weight, n, f->max_bin, keep);
}

/* The bins of a column with few values. */
static void
cut_set(Column *c, MlBins *bins, bool keep)
{
	uint64_t   *key = ml_alloc(2 * (size_t) c->set_size, sizeof(uint64_t));
	size_t		n = 0;

	for (int i = 0; i < c->set_room; i++)
		if (c->set[i] == c->set[i])
			key[n++] = to_ordered(c->set[i]);
	sort_keys(key, NULL, n, key + n, NULL);
	cut_each(bins, key, n, keep);
	ml_free(key);
}

/* After the first pass everything is known of a column but its cuts. */
static void
describe_columns(MlCutFinder *f, MlBins *bins)
{
	int			p = f->problem->p;

	for (size_t i = p; i < (size_t) f->lanes * p; i++)
	{
		f->low[i % p] = fmin(f->low[i % p], f->low[i]);
		f->high[i % p] = fmax(f->high[i % p], f->high[i]);
		f->missing[i % p] += f->missing[i];
	}
	for (int j = 0; j < p; j++)
	{
		bins[j].levels = f->problem->levels ? f->problem->levels[j] : 0;
		bins[j].missing = isnan(f->missing[j]);
		bins[j].n = bins[j].levels > 0 ? bins[j].levels : 1;
		bins[j].low = f->low[j] <= f->high[j] ? f->low[j] : NAN;
		bins[j].high = f->low[j] <= f->high[j] ? f->high[j] : NAN;
	}
}

bool
ml_cuts_finish_pass(MlCutFinder *f, MlBins *bins)
{
	bool		waiting = false;

	if (f->first_pass)
	{
		if (f->decide > 0)
			decide(f);
		describe_columns(f, bins);
	}
	f->first_pass = false;
	f->seen = 0;
	sort_samples(f);
	for (int j = 0; j < f->problem->p; j++)
	{
		Column	   *c = &f->column[j];

		ml_check_interrupts();
		if (c->stage == COUNTED && c->set_size > 0)
			cut_set(c, &bins[j], f->keep_values);
		if (c->stage == SAMPLED)
			cut_sample(f, c, &bins[j]);
		if (c->stage != WAITING)
			c->stage = READY;
		set_free(c);
		sample_free(c);
	}
	for (int j = 0; j < f->problem->p; j++)
	{
		Column	   *c = &f->column[j];

		if (c->stage != WAITING)
			continue;
		if (waiting && sample_memory(f) < f->room * entry_size(f))
			break;
		sample_room(f, c, f->room);
		c->stage = SAMPLED;
		waiting = true;
	}
	return !waiting;
}

void
ml_cuts_free(MlCutFinder *f)
{
	for (int j = 0; j < f->problem->p; j++)
	{
		set_free(&f->column[j]);
		sample_free(&f->column[j]);
	}
	for (int t = 0; t < f->lanes; t++)
		if (f->scratch[t])
			ml_free(f->scratch[t]);
	ml_free(f->scratch);
	ml_free(f->nrows);
	ml_free(f->rows_below);
	ml_free(f->hash);
	ml_free(f->low);
	ml_free(f->high);
	ml_free(f->missing);
	ml_free(f->column);
	ml_free(f);
}
