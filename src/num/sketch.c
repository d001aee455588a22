/*
 * sketch.c - mergeable summaries of a column of numbers.
 *
 * Rows are scanned in stripes of LANES adjacent columns, one vector lane each, so
 * that a column's running values stay in registers and rows need no transposing.
 * All that is rare is left to the code behind the scan: hashes below a column's
 * threshold, blocks with values that are not finite.
 *
 * Moments: sums of the deviations from the mean known so far, which the column's
 * first value stands in for, and of their squares (Chan, Golub, LeVeque 1983);
 * summaries are merged by the pairwise update of the same authors (1979).
 *
 * Distinct values: the ML_KMV_SIZE smallest 64-bit hashes (Bar-Yossef et al.
 * 2002), ascending.  The hash is one to one, so that few values are counted
 * exactly.  New ones wait until there are some to be merged at once.
 *
 * Quantiles: KLL (Karnin, Lang, Liberty 2016).  Level h holds items of weight
 * 2^h.  When the sketch is full, the lowest level above its capacity is sorted
 * and every second item, from a random start, moves one level up.  Levels lie one
 * behind the other, the highest first, so a promoted item only has to stay at the
 * front of its old level.  Past SAMPLE_AFTER values one of 2^L enters, at level L:
 * its place within each run of 2^L values is a hash of the run's number, so
 * nothing has to be remembered between calls.  Sampling adds a rank error of
 * standard deviation of up to sqrt(3 / (16 SAMPLE_AFTER)) = 0.48 % (a third on the way to
 * the next level; 0.45 % on reaching it), the levels about 0.2 %.
 *
 * A caller who knows about how many values will come, over all summaries that are
 * to be merged, may sample at a level near the last from the start: each of several
 * processes would else go through all the levels before.  m runs of one level have a
 * standard deviation of 1 / (2 sqrt(m)), as a share in m draws: 0.39 % when m is
 * ENOUGH_RUNS.  If they all fall to one process, which goes on to higher levels, it is
 * 0.49 % at worst.  The level is chosen for 1.5 times as many runs or
 * more, so that there are enough of them when the estimate was too high by half.
 */
#include "num/sketch.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "ml.h"
#include "num/sort.h"
#include "num/vector.h"

#define LANES 8
#define SCAN_ROWS 64			/* as many as a word has bits */
#define SAMPLE_AFTER 8192.0
#define MAX_SAMPLE_LEVEL 30
#define ENOUGH_RUNS (2 * SAMPLE_AFTER)
#define FINITE_BITS UINT64_C(0x7ff0000000000000)	/* of infinity: all that is less is a finite double's */

/*
 * Items a level may hold, by its distance from the highest; 480 (2/3)^d, not
 * below 2.  Their sum over all levels stays below ML_KLL_ITEMS: a full sketch has
 * a level above its capacity.
 */
static const uint32_t capacity[] = {480, 320, 213, 142, 95, 63, 42, 28, 19, 12, 8, 6, 4, 2};

#define LAST_CAPACITY (sizeof(capacity) / sizeof(capacity[0]) - 1)

/* The KLL part of a summary, or of two together while they are merged. */
typedef struct Levels
{
	double	   *items;
	uint32_t   *size;
	uint32_t	n;				/* levels in use */
	uint32_t	total;
	uint64_t   *seed;
} Levels;

static inline uint64_t
mix(uint64_t x)
{
	/* splitmix64 without its last shift, which leaves the high bits alone */
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x;
}

void
ml_summary_init(MlSummary *s, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->min = INFINITY;
	s->max = -INFINITY;
	s->kmv_max = UINT64_MAX;
	s->kll_levels = 1;

	/* the low half counts coins, the high half keeps columns apart */
	s->seed = mix(seed + UINT64_C(0x9e3779b97f4a7c15)) & ~(uint64_t) UINT32_MAX;
}

/* ---- KLL ---- */

int
ml_summary_level(double expected)
{
	double		share = expected / (1.5 * ENOUGH_RUNS);

	if (!(share >= 2))
		return 0;
	return share < ldexp(1, MAX_SAMPLE_LEVEL) ? ilogb(share) : MAX_SAMPLE_LEVEL;
}

bool
ml_level_suffices(int level, double n)
{
	return level == 0 || ldexp(n, -level) >= ENOUGH_RUNS;
}

/* The level at which a value enters after n others, `lowest` or above. */
static int
entry_level(double n, int lowest)
{
	int			level = n < SAMPLE_AFTER ? 0 : ilogb(n / SAMPLE_AFTER) + 1;

	if (level < lowest)
		level = lowest;
	return level < MAX_SAMPLE_LEVEL ? level : MAX_SAMPLE_LEVEL;
}

/* Halves the lowest level that is above its capacity. */
static void
compact(Levels *l)
{
	uint32_t	end = l->total;
	uint32_t	h;
	uint32_t	start;
	uint32_t	pairs;
	uint32_t	parity;
	double		spare[2 * ML_KLL_ITEMS];

	/* the highest level is above its capacity when no other is */
	for (h = 0; h + 1 < l->n; h++)
	{
		uint32_t	depth = l->n - 1 - h;

		if (l->size[h] >= capacity[depth < LAST_CAPACITY ? depth : LAST_CAPACITY])
			break;
		end -= l->size[h];
	}
	start = end - l->size[h];
	pairs = l->size[h] / 2;

	/* an odd item, the last, stays */
	ml_sort_doubles(l->items + start, 2 * pairs, spare);
	parity = mix((*l->seed)++) >> 63;
	for (uint32_t i = 0; i < pairs; i++)
		l->items[start + i] = l->items[start + 2 * i + parity];
	memmove(l->items + start + pairs, l->items + start + 2 * pairs,
			(l->total - start - 2 * pairs) * sizeof(double));
	l->total -= pairs;
	l->size[h] -= 2 * pairs;
	if (h + 1 < ML_KLL_LEVELS)
		l->size[h + 1] += pairs;
	else
		l->size[h] += pairs;	/* no higher weight exists: past 2^47 values the oldest count half */
	if (h + 1 == l->n && l->n < ML_KLL_LEVELS)
		l->n++;
}

/* Adds an item at level h, in front of the lower levels. */
static void
put_item(MlSummary *s, Levels *l, int h, double item)
{
	uint32_t	at;

	if (l->total == ML_KLL_ITEMS)
		compact(l);
	at = l->total;
	for (int lower = 0; lower < h; lower++)
		at -= l->size[lower];
	if (at < l->total)
		memmove(s->kll + at + 1, s->kll + at, (l->total - at) * sizeof(double));
	s->kll[at] = item;
	l->size[h]++;
	l->total++;
	if ((uint32_t) h >= l->n)
		l->n = h + 1;
}

/* Takes in n values `stride` doubles apart; goes by the number of values before. */
static void
kll_add(MlSummary *s, const double *x, int n, int stride, int lowest)
{
	Levels		l = {s->kll, s->kll_size, s->kll_levels, 0, &s->seed};
	int			level = entry_level(s->n, lowest);
	uint64_t	position = s->n < 0x1p53 ? (uint64_t) s->n : 0;
	uint64_t	end = position + n;
	uint64_t	identity = s->seed >> 32 << 32;

	for (uint32_t h = 0; h < l.n; h++)
		l.total += l.size[h];
	if (level == 0)
	{
		for (int i = 0; i < n; i++)
			put_item(s, &l, 0, x[(ptrdiff_t) i * stride]);
	}
	for (uint64_t run = position >> level; level > 0 && run << level < end; run++)
	{
		uint64_t	chosen = (run << level) + (mix(identity ^ run) >> (64 - level));

		if (chosen >= position && chosen < end)
			put_item(s, &l, level, x[(ptrdiff_t) (chosen - position) * stride]);
	}
	s->kll_levels = l.n;
}

static void
kll_merge(MlSummary *s, const MlSummary *other)
{
	double		items[2 * ML_KLL_ITEMS];
	uint32_t	size[ML_KLL_LEVELS] = {0};
	Levels		l = {items, size, 1, 0, &s->seed};
	const double *a = s->kll;
	const double *b = other->kll;

	if (l.n < s->kll_levels)
		l.n = s->kll_levels;
	if (l.n < other->kll_levels)
		l.n = other->kll_levels;
	for (int h = (int) l.n - 1; h >= 0; h--)
	{
		size[h] = s->kll_size[h] + other->kll_size[h];
		memcpy(items + l.total, a, s->kll_size[h] * sizeof(double));
		a += s->kll_size[h];
		l.total += s->kll_size[h];
		memcpy(items + l.total, b, other->kll_size[h] * sizeof(double));
		b += other->kll_size[h];
		l.total += other->kll_size[h];
	}
	while (l.total > ML_KLL_ITEMS)
		compact(&l);
	memcpy(s->kll, items, l.total * sizeof(double));
	memcpy(s->kll_size, size, sizeof(size));
	s->kll_levels = l.n;
}

/* ---- distinct values ---- */

/* Takes in n ascending hashes: the smallest of all stay. */
static void
kmv_merge(MlSummary *s, const uint64_t *more, uint32_t n)
{
	uint64_t	merged[ML_KMV_SIZE];
	uint32_t	at = 0;
	uint32_t	i = 0;
	uint32_t	j = 0;

	while (at < ML_KMV_SIZE && (i < s->kmv_n || j < n))
	{
		bool		old = j == n || (i < s->kmv_n && s->kmv[i] <= more[j]);
		uint64_t	h = old ? s->kmv[i] : more[j];

		i += old;
		j += !old;
		merged[at] = h;
		at += at == 0 || merged[at - 1] != h;
	}
	memcpy(s->kmv, merged, at * sizeof(uint64_t));
	for (uint32_t k = 0; k < at; k++)
		s->kmv_guess[merged[k] % ML_KMV_SIZE] = k;
	s->kmv_n = at;
	if (at == ML_KMV_SIZE)
		s->kmv_max = merged[ML_KMV_SIZE - 1];
}

static void
sort_hashes(uint64_t *h, uint32_t n, uint64_t below)
{
	double		x[ML_KMV_WAITING];
	double		spare[ML_KMV_WAITING];

	if (below <= FINITE_BITS)
	{
		/* Their bits are those of doubles in the same order. */
		memcpy(x, h, n * sizeof(double));
		ml_sort_doubles(x, n, spare);
		memcpy(h, x, n * sizeof(double));
		return;
	}
	for (uint32_t i = 1; i < n; i++)
	{
		uint64_t	item = h[i];
		uint32_t	at = i;

		for (; at > 0 && h[at - 1] > item; at--)
			h[at] = h[at - 1];
		h[at] = item;
	}
}

static __attribute__((noinline)) void
kmv_settle(MlSummary *s)
{
	sort_hashes(s->kmv_more, s->kmv_waiting, s->kmv_max);
	kmv_merge(s, s->kmv_more, s->kmv_waiting);
	s->kmv_waiting = 0;
}

static inline void
kmv_put(MlSummary *s, uint64_t h)
{
	s->kmv_more[s->kmv_waiting++] = h;
	if (s->kmv_waiting == ML_KMV_WAITING)
		kmv_settle(s);
}

void
ml_summaries_settle(MlSummary *s, int ncols)
{
	for (int c = 0; c < ncols; c++)
		if (s[c].kmv_waiting > 0)
			kmv_settle(&s[c]);
}

/* ---- scanning ---- */

/* What the scan of a stripe keeps of its columns. */
typedef struct Stripe
{
	double		shift[LANES];	/* the mean so far, or the first value */
	double		min[LANES];
	double		max[LANES];
	double		sum[LANES];		/* of deviations from shift; not finite once a value is not */
	double		squares[LANES];
	int64_t		fractions[LANES];	/* number of values with a fraction */
	uint64_t	threshold[LANES];	/* kmv_max */
	uint64_t	candidates[LANES];	/* a bit for each row whose hash is below */
	uint64_t	hash[SCAN_ROWS][LANES];
} Stripe;

/*
 * Scans up to SCAN_ROWS rows of LANES cells.  The compiler makes vectors of the
 * inner loop and keeps the local arrays in registers.
 */
ML_VECTOR static void
scan(Stripe *restrict stripe, const double *restrict rows, int n, ptrdiff_t stride)
{
	double		min[LANES];
	double		max[LANES];
	double		sum[LANES];
	double		squares[LANES];
	int64_t		fractions[LANES];
	uint64_t	candidates[LANES] = {0};
	uint64_t	bit = 1;

	memcpy(min, stripe->min, sizeof(min));
	memcpy(max, stripe->max, sizeof(max));
	memcpy(sum, stripe->sum, sizeof(sum));
	memcpy(squares, stripe->squares, sizeof(squares));
	memcpy(fractions, stripe->fractions, sizeof(fractions));
	for (int i = 0; i < n; i++, rows += stride, bit <<= 1)
	{
		for (int j = 0; j < LANES; j++)
		{
			double		v = rows[j];
			double		d = v - stripe->shift[j];
			double		a = fabs(v);
			double		zero = v + 0.0;	/* -0 is 0 */
			uint64_t	h;

			sum[j] += d;
			squares[j] += d * d;
			min[j] = v < min[j] ? v : min[j];
			max[j] = v > max[j] ? v : max[j];

			/* adding 2^52 rounds to an integer */
			fractions[j] += ((a + 0x1p52) - 0x1p52 != a) & (a < 0x1p52);

			memcpy(&h, &zero, sizeof(h));
			h = mix(h);
			stripe->hash[i][j] = h;
			candidates[j] |= bit & -(uint64_t) (h < stripe->threshold[j]);
		}
	}
	memcpy(stripe->min, min, sizeof(min));
	memcpy(stripe->max, max, sizeof(max));
	memcpy(stripe->sum, sum, sizeof(sum));
	memcpy(stripe->squares, squares, sizeof(squares));
	memcpy(stripe->fractions, fractions, sizeof(fractions));
	memcpy(stripe->candidates, candidates, sizeof(candidates));
}

/* Makes lane j ready for n > 0 values of the summary, `first` the first of them. */
static void
stripe_start(Stripe *stripe, int j, const MlSummary *s, double first)
{
	stripe->shift[j] = s->n > 0 ? s->mean : first;
	stripe->min[j] = s->min;
	stripe->max[j] = s->max;
	stripe->sum[j] = 0;
	stripe->squares[j] = 0;
	stripe->fractions[j] = 0;
	stripe->threshold[j] = s->kmv_max;
}

/* Passes lane j's candidates among the first n rows on. */
static inline void
stripe_candidates(Stripe *stripe, int j, int n, MlSummary *s)
{
	uint64_t	rows = n > 0 ? stripe->candidates[j] & (UINT64_MAX >> (SCAN_ROWS - n)) : 0;

	if (rows == 0)
		return;
	for (; rows != 0; rows &= rows - 1)
	{
		uint64_t	h = stripe->hash[__builtin_ctzll(rows)][j];
		uint32_t	at = s->kmv_guess[h % ML_KMV_SIZE] % ML_KMV_SIZE;

		/* a column of few values repeats them */
		if ((s->kmv[at] != h || at >= s->kmv_n) && h < s->kmv_max)
			kmv_put(s, h);
	}
	stripe->threshold[j] = s->kmv_max;
}

/* Takes in the moments of n > 0 finite values, whose range s has already. */
static void
moments_add(MlSummary *s, double n, double shift, double sum, double squares)
{
	double		total = s->n + n;
	double		mean = shift + sum / total;
	double		m2 = squares - sum * (sum / total);

	s->n = total;
	s->m2 += m2 > 0 ? m2 : 0;
	if (isnan(m2) || isnan(s->m2))
		s->m2 = INFINITY;

	/* rounding must not lead out of the range */
	s->mean = mean < s->min ? s->min : mean > s->max ? s->max : mean;
}

static bool
has_fraction(double x)
{
	return x != rint(x);
}

/* Adds up to ML_TILE_ROWS cells of one column, of which some may not be finite. */
static void
add_column(MlSummary *s, const double *cells, int n, int stride, int level)
{
	Stripe		stripe;
	double		x[ML_TILE_ROWS + LANES];
	int			finite = 0;
	int			nulls = 0;
	int			above = 0;
	int			padded;
	double		sum = 0;
	double		squares = 0;
	double		shift;

	for (int i = 0; i < n; i++)
	{
		double		value = cells[(ptrdiff_t) i * stride];

		x[finite] = value;
		finite += fabs(value) < INFINITY;
		nulls += value != value;
		above += value == INFINITY;
	}
	s->nulls += nulls;
	s->pos_inf += above;
	s->neg_inf += n - finite - nulls - above;
	if (finite == 0)
		return;
	kll_add(s, x, finite, 1, level);
	shift = s->n > 0 ? s->mean : x[0];
	s->integers += finite;

	/* the lanes take every eighth value each, and the shift where there is none left */
	for (padded = finite; padded % LANES != 0; padded++)
	{
		x[padded] = shift;
		s->integers += has_fraction(shift);
	}
	for (int j = 0; j < LANES; j++)
		stripe_start(&stripe, j, s, x[0]);
	scan(&stripe, x, padded / LANES, LANES);
	for (int j = 0; j < LANES; j++)
	{
		stripe_candidates(&stripe, j, (finite - j + LANES - 1) / LANES, s);
		sum += stripe.sum[j];
		squares += stripe.squares[j];
		s->integers -= stripe.fractions[j];
		s->min = stripe.min[j] < s->min ? stripe.min[j] : s->min;
		s->max = stripe.max[j] > s->max ? stripe.max[j] : s->max;
	}
	if (isfinite(sum))
		moments_add(s, finite, shift, sum, squares);
	else
	{
		/* beyond double, and so are the squares */
		double		mean = s->mean * (s->n / (s->n + finite));

		for (int i = 0; i < finite; i++)
			mean += x[i] / (s->n + finite);
		s->mean = mean < s->min ? s->min : mean > s->max ? s->max : mean;
		s->m2 = INFINITY;
		s->n += finite;
	}
}

/* Adds up to ML_TILE_ROWS rows to the columns of a stripe but its first `skip`; s[0] is of the one behind. */
static void
add_stripe(MlSummary *s, int skip, const double *rows, int n, ptrdiff_t stride, int level)
{
	Stripe		stripe;

	for (int j = 0; j < LANES; j++)
		stripe_start(&stripe, j, &s[j < skip ? 0 : j - skip], rows[j]);
	for (int from = 0; from < n; from += SCAN_ROWS)
	{
		int			count = n - from < SCAN_ROWS ? n - from : SCAN_ROWS;

		scan(&stripe, rows + from * stride, count, stride);
		for (int j = skip; j < LANES; j++)
			if (isfinite(stripe.sum[j]))
				stripe_candidates(&stripe, j, count, &s[j - skip]);
	}
	for (int j = skip; j < LANES; j++)
	{
		MlSummary  *column = &s[j - skip];

		if (!isfinite(stripe.sum[j]))
		{
			add_column(column, rows + j, n, stride, level);
			continue;
		}
		kll_add(column, rows + j, n, stride, level);
		column->min = stripe.min[j];
		column->max = stripe.max[j];
		column->integers += n - stripe.fractions[j];
		moments_add(column, n, stripe.shift[j], stripe.sum[j], stripe.squares[j]);
	}
}

/* Fewer columns than a stripe has, with zeros before them. */
static void
add_narrow(MlSummary *s, int ncols, const double *rows, int n, ptrdiff_t stride, int level)
{
	double		x[ML_TILE_ROWS][LANES] = {{0}};

	for (int i = 0; i < n; i++, rows += stride)
		for (int j = 0; j < ncols; j++)
			x[i][LANES - ncols + j] = rows[j];
	add_stripe(s, LANES - ncols, x[0], n, LANES, level);
}

void
ml_summaries_add(MlSummary *s, int ncols, const double *rows, int n, int stride, int level)
{
	for (; n > 0; n -= ML_TILE_ROWS, rows += (ptrdiff_t) ML_TILE_ROWS * stride)
	{
		int			count = n < ML_TILE_ROWS ? n : ML_TILE_ROWS;
		int			c = 0;

		for (; c + LANES <= ncols; c += LANES)
		{
			if (c % (16 * LANES) == 0)
				ml_check_interrupts();	/* a thousand columns take 20 ms */
			add_stripe(s + c, 0, rows + c, count, stride, level);
		}
		if (c == ncols)
			continue;
		if (c > 0)
			add_stripe(s + c, c + LANES - ncols, rows + ncols - LANES, count, stride, level);
		else
			add_narrow(s, ncols, rows, count, stride, level);
	}
}

/* Takes in the moments of n > 0 more values, whose range s has already. */
static void
moments_merge(MlSummary *s, double n, double mean, double m2)
{
	double		total = s->n + n;
	double		d = mean - s->mean;

	if (s->n > 0)
	{
		m2 += s->m2 + d * (d * (s->n / total) * n);
		mean = s->mean + d * (n / total);
	}
	s->n = total;
	s->mean = mean < s->min ? s->min : mean > s->max ? s->max : mean;
	s->m2 = isnan(m2) ? INFINITY : m2;
}

void
ml_summary_merge(MlSummary *s, const MlSummary *other)
{
	s->nulls += other->nulls;
	s->nan += other->nan;
	s->pos_inf += other->pos_inf;
	s->neg_inf += other->neg_inf;
	s->integers += other->integers;
	if (other->n == 0)
		return;
	s->min = other->min < s->min ? other->min : s->min;
	s->max = other->max > s->max ? other->max : s->max;
	kll_merge(s, other);
	for (uint32_t i = 0; i < other->kmv_waiting; i++)
		kmv_put(s, other->kmv_more[i]);
	kmv_merge(s, other->kmv, other->kmv_n);
	ml_summaries_settle(s, 1);
	moments_merge(s, other->n, other->mean, other->m2);
}

/* ---- quantiles ---- */

void
ml_quantiles_init(MlQuantiles *quantiles, const MlSummary *s)
{
	double	   *value = quantiles->value;
	double	   *weight = quantiles->before;
	double		level[ML_KLL_ITEMS];
	double		spare[ML_KLL_ITEMS];
	double		total = 0;
	const double *from = s->kll;
	int			n = 0;

	quantiles->n = s->n;
	quantiles->min = s->min;
	quantiles->max = s->max;
	for (int h = (int) s->kll_levels - 1; h >= 0; h--)
	{
		int			added = (int) s->kll_size[h];
		int			old = n - 1;

		memcpy(level, from, added * sizeof(double));
		from += added;
		ml_sort_doubles(level, added, spare);

		/* merged from the end, so that nothing has to move twice */
		n += added;
		for (int to = n - 1; added > 0; to--)
		{
			bool		first = old >= 0 && value[old] > level[added - 1];

			value[to] = first ? value[old] : level[added - 1];
			weight[to] = first ? weight[old] : ldexp(1.0, h);
			old -= first;
			added -= !first;
		}
	}
	for (int i = 0; i < n; i++)
	{
		double		w = weight[i];

		weight[i] = total;
		total += w;
	}
	weight[n] = total;
	quantiles->items = n;
}

double
ml_quantile(const MlQuantiles *quantiles, double q)
{
	const double *before = quantiles->before;
	const double *value = quantiles->value;
	double		position = q * (before[quantiles->items] - 1);
	int			low = 0;
	int			high = quantiles->items - 1;

	if (quantiles->n == 0 || quantiles->items == 0 || isnan(q))
		return NAN;
	if (q <= 0)
		return quantiles->min;
	if (q >= 1)
		return quantiles->max;

	/* an item of weight w stands for w equal values in the sorted column */
	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (before[mid + 1] <= floor(position))
			low = mid + 1;
		else
			high = mid;
	}
	/* of two equal neighbours none is rounded */
	if (low < quantiles->items - 1 && before[low + 1] < floor(position) + 2 && value[low] != value[low + 1])
	{
		double		share = position - floor(position);

		return value[low] * (1 - share) + value[low + 1] * share;
	}
	return value[low];
}

double
ml_quantiles_cdf(const MlQuantiles *quantiles, double value)
{
	int			low = 0;
	int			high = quantiles->items;

	if (quantiles->n == 0 || quantiles->items == 0 || isnan(value))
		return NAN;
	if (value < quantiles->min)
		return 0;
	if (value >= quantiles->max)
		return 1;
	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (quantiles->value[mid] <= value)
			low = mid + 1;
		else
			high = mid;
	}
	return quantiles->before[low] / quantiles->before[quantiles->items];
}

double
ml_summary_quantile(const MlSummary *s, double q)
{
	MlQuantiles quantiles;

	ml_quantiles_init(&quantiles, s);
	return ml_quantile(&quantiles, q);
}

double
ml_summary_distinct(const MlSummary *s)
{
	if (s->kmv_n < ML_KMV_SIZE)
		return s->kmv_n;
	return (ML_KMV_SIZE - 1) / ldexp((double) s->kmv_max, -64);
}

double
ml_summary_variance(const MlSummary *s, bool population)
{
	double		df = population ? s->n : s->n - 1;

	return df > 0 ? s->m2 / df : NAN;
}

static bool
valid_count(double count)
{
	return count >= 0 && count <= 0x1p53 && count == floor(count);
}

bool
ml_summary_valid(const MlSummary *s)
{
	uint32_t	items = 0;

	if (!valid_count(s->n) || !valid_count(s->nulls) || !valid_count(s->nan) ||
		!valid_count(s->pos_inf) || !valid_count(s->neg_inf) || !valid_count(s->integers) ||
		s->integers > s->n)
		return false;
	if (s->kmv_n > ML_KMV_SIZE || s->kmv_waiting > 0 || s->kll_levels < 1 || s->kll_levels > ML_KLL_LEVELS)
		return false;
	for (uint32_t i = 1; i < s->kmv_n; i++)
	{
		if (s->kmv[i - 1] >= s->kmv[i])
			return false;
	}
	if (s->kmv_max != (s->kmv_n == ML_KMV_SIZE ? s->kmv[ML_KMV_SIZE - 1] : UINT64_MAX))
		return false;
	for (uint32_t h = 0; h < ML_KLL_LEVELS; h++)
	{
		if (s->kll_size[h] > ML_KLL_ITEMS - items || (h >= s->kll_levels && s->kll_size[h] > 0))
			return false;
		items += s->kll_size[h];
	}
	if (s->n == 0)
		return items == 0 && s->kmv_n == 0 && s->min == INFINITY && s->max == -INFINITY;
	if (!isfinite(s->min) || !isfinite(s->max) || !(s->mean >= s->min && s->mean <= s->max) ||
		!(s->m2 >= 0) || items == 0 || items > s->n)
		return false;
	for (uint32_t i = 0; i < items; i++)
	{
		if (!(s->kll[i] >= s->min && s->kll[i] <= s->max))
			return false;
	}
	return true;
}
