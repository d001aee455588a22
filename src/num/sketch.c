/*
 * sketch.c - mergeable summaries of a column of numbers.
 *
 * Moments: each block of values around its own mean, then the pairwise update of
 * Chan, Golub, LeVeque (1979), for m3 and m4 by Pebay (2008).  Loops run over
 * LANES independent sums, so that the compiler may use vector registers without
 * changing the order of additions.
 *
 * Distinct values: the ML_KMV_SIZE smallest 64-bit hashes (Bar-Yossef et al.
 * 2002), ascending.  The hash is one to one, so that few values are counted
 * exactly.
 *
 * Quantiles: KLL (Karnin, Lang, Liberty 2016).  Level h holds items of weight
 * 2^h.  When the sketch is full, the lowest level above its capacity is sorted
 * and every second item, from a random start, moves one level up.  Levels lie one
 * behind the other, the highest first, so a promoted item only has to stay at the
 * front of its old level.  Past SAMPLE_AFTER values one of 2^L enters, at level L:
 * its place within each run of 2^L values is a hash of the run's number, so
 * nothing has to be remembered between calls.  Sampling adds a rank error of
 * standard deviation 1 / sqrt(6 SAMPLE_AFTER) = 0.37 %, the levels about 0.2 %.
 */
#include "num/sketch.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "ml.h"

#define LANES 4
#define SEEN 128				/* hashes of a tile remembered while it is added */
#define SAMPLE_AFTER 12288.0
#define MAX_SAMPLE_LEVEL 30

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

/* ---- sorting ---- */

/* Merges sorted a[na] and b[nb] into out, without a branch on the data. */
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

#define RUN 8

/* Sorts up to 2 * ML_KLL_ITEMS numbers. */
static void
sort_items(double *items, size_t n)
{
	double		spare[2 * ML_KLL_ITEMS];
	double	   *from = items;
	double	   *to = spare;

	for (size_t start = 0; start < n; start += RUN)
	{
		size_t		end = start + RUN < n ? start + RUN : n;

		for (size_t i = start + 1; i < end; i++)
		{
			double		item = items[i];
			size_t		j = i;

			for (; j > start && item < items[j - 1]; j--)
				items[j] = items[j - 1];
			items[j] = item;
		}
	}
	for (size_t width = RUN; width < n; width *= 2)
	{
		double	   *swap = from;

		for (size_t start = 0; start < n; start += 2 * width)
		{
			size_t		na = start + width < n ? width : n - start;
			size_t		nb = n - start - na < width ? n - start - na : width;

			merge_runs(from + start, na, from + start + na, nb, to + start);
		}
		from = to;
		to = swap;
	}
	if (from != items)
		memcpy(items, from, n * sizeof(double));
}

/* ---- KLL ---- */

/* The level at which a value enters after n others. */
static int
entry_level(double n)
{
	int			level = n < SAMPLE_AFTER ? 0 : ilogb(n / SAMPLE_AFTER) + 1;

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
	sort_items(l->items + start, 2 * pairs);
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

static void
kll_add(MlSummary *s, const double *x, int n)
{
	Levels		l = {s->kll, s->kll_size, s->kll_levels, 0, &s->seed};
	int			level = entry_level(s->n);
	uint64_t	position = s->n < 0x1p53 ? (uint64_t) s->n : 0;
	uint64_t	end = position + n;

	for (uint32_t h = 0; h < l.n; h++)
		l.total += l.size[h];
	if (level == 0)
	{
		for (int i = 0; i < n; i++)
			put_item(s, &l, 0, x[i]);
	}
	else
	{
		uint64_t	identity = s->seed >> 32 << 32;

		for (uint64_t run = position >> level; run << level < end; run++)
		{
			uint64_t	chosen = (run << level) + (mix(identity ^ run) >> (64 - level));

			if (chosen >= position && chosen < end)
				put_item(s, &l, level, x[chosen - position]);
		}
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

/* Where h stands or would stand among the n smallest; no branch on the data. */
static inline uint32_t
kmv_position(const uint64_t *kmv, uint32_t n, uint64_t h)
{
	const uint64_t *base = kmv;

	if (n == 0)
		return 0;
	while (n > 1)
	{
		uint32_t	half = n / 2;

		base += half & -(size_t) (base[half - 1] < h);
		n -= half;
	}
	return (uint32_t) (base - kmv) + (*base < h);
}

static void
kmv_put(MlSummary *s, uint64_t h)
{
	uint32_t	at = kmv_position(s->kmv, s->kmv_n, h);

	if (at < s->kmv_n && s->kmv[at] == h)
		return;
	if (at == ML_KMV_SIZE)
		return;
	if (s->kmv_n < ML_KMV_SIZE)
		s->kmv_n++;
	memmove(s->kmv + at + 1, s->kmv + at, (s->kmv_n - 1 - at) * sizeof(uint64_t));
	s->kmv[at] = h;
	if (s->kmv_n == ML_KMV_SIZE)
		s->kmv_max = s->kmv[ML_KMV_SIZE - 1];
}

/* Adds up to ML_TILE_ROWS values.  Few pass the threshold once the column has many. */
static void
kmv_add(MlSummary *s, const double *x, int n)
{
	uint64_t	candidate[ML_TILE_ROWS];
	uint64_t	seen[SEEN];
	uint64_t	threshold = s->kmv_max;
	int			candidates = 0;

	for (int i = 0; i < n; i++)
	{
		double		value = x[i] + 0.0; /* -0 is 0 */
		uint64_t	h;

		memcpy(&h, &value, sizeof(h));
		h = mix(h);
		candidate[candidates] = h;
		candidates += h < threshold;
	}
	if (candidates == 0)
		return;

	/* a column of few values repeats them */
	memset(seen, 0xff, sizeof(seen));
	for (int i = 0; i < candidates; i++)
	{
		uint64_t	h = candidate[i];

		if (seen[h % SEEN] != h)
		{
			seen[h % SEEN] = h;
			kmv_put(s, h);
		}
	}
}

/* ---- moments ---- */

/* Takes in the moments of n more values; n > 0. */
static void
moments_merge(MlSummary *s, double n, double mean, double m2, double m3, double m4)
{
	double		na = s->n;
	double		d = mean - s->mean;
	double		dn = d / (na + n);
	double		d2 = d * dn * na * n;	/* what the distance of the means adds to m2 */

	s->n = na + n;
	if (na == 0)
	{
		s->mean = mean < s->min ? s->min : mean > s->max ? s->max : mean;
		s->m2 = m2;
		s->m3 = m3;
		s->m4 = m4;
		return;
	}
	s->mean += dn * n;
	s->m4 += m4 + d2 * dn * dn * (na * na - na * n + n * n)
		+ 6 * dn * dn * (na * na * m2 + n * n * s->m2) + 4 * dn * (na * m3 - n * s->m3);
	s->m3 += m3 + d2 * dn * (na - n) + 3 * dn * (na * m2 - n * s->m2);
	s->m2 += m2 + d2;
	if (isnan(s->m2))
		s->m2 = INFINITY;

	/* rounding must not lead out of the range, which s has already */
	s->mean = s->mean < s->min ? s->min : s->mean > s->max ? s->max : s->mean;
}

/* Four doubles, and four comparisons, -1 for true.  The same sums whatever registers there are. */
typedef double Quad __attribute__((vector_size(32)));
typedef int64_t Mask __attribute__((vector_size(32)));

/* One version for AVX2, one for every processor, chosen when the library loads. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define VECTOR_KERNEL __attribute__((target_clones("avx2", "default")))
#else
#define VECTOR_KERNEL
#endif

static inline double
lanes_sum(const double *lane)
{
	return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* Whether x has no fraction, as 0 or 1: adding 2^52 rounds. */
static inline double
is_integer(double x)
{
	double		a = fabs(x);
	double		rounded = (a + 0x1p52) - 0x1p52;

	return (rounded == a || a >= 0x1p52) ? 1.0 : 0.0;
}

/* The mean of the n values, with their range and integers noted in s. */
VECTOR_KERNEL static double
range_add(MlSummary *s, const double *x, int n)
{
	double		sum[LANES] = {0};
	double		ints[LANES] = {0};
	double		min[LANES];
	double		max[LANES];
	double		mean;
	Quad		vsum = {0};
	Mask		vfractions = {0};
	Quad		vmin = {s->min, s->min, s->min, s->min};
	Quad		vmax = {s->max, s->max, s->max, s->max};
	int			i = 0;

	for (; i + LANES <= n; i += LANES)
	{
		Quad		v;
		Quad		a;
		Mask		less;
		Mask		more;

		memcpy(&v, x + i, sizeof(v));
		a = (Quad) ((Mask) v & INT64_MAX);
		less = v < vmin;
		more = v > vmax;
		vsum += v;
		vfractions += (((a + 0x1p52) - 0x1p52) != a) & (a < 0x1p52);
		vmin = (Quad) (((Mask) v & less) | ((Mask) vmin & ~less));
		vmax = (Quad) (((Mask) v & more) | ((Mask) vmax & ~more));
	}
	ints[0] = i + vfractions[0] + vfractions[1] + vfractions[2] + vfractions[3];
	for (int j = 0; j < LANES; j++)
	{
		sum[j] = vsum[j];
		min[j] = vmin[j];
		max[j] = vmax[j];
	}
	for (int j = 0; i < n; i++, j++)
	{
		sum[j] += x[i];
		ints[j] += is_integer(x[i]);
		min[j] = x[i] < min[j] ? x[i] : min[j];
		max[j] = x[i] > max[j] ? x[i] : max[j];
	}
	for (int j = 0; j < LANES; j++)
	{
		s->min = min[j] < s->min ? min[j] : s->min;
		s->max = max[j] > s->max ? max[j] : s->max;
	}
	s->integers += lanes_sum(ints);
	mean = lanes_sum(sum) / n;
	if (isfinite(mean))
		return mean;
	mean = 0;					/* the sum is beyond double */
	for (i = 0; i < n; i++)
		mean += x[i] / n;
	return mean;
}

VECTOR_KERNEL static void
moments_add(MlSummary *s, const double *x, int n)
{
	Quad		s1 = {0};
	Quad		s2 = {0};
	Quad		s3 = {0};
	Quad		s4 = {0};
	double		mean = range_add(s, x, n);
	Quad		center = {mean, mean, mean, mean};
	double		sums[4] = {0};
	double		rest;
	int			i = 0;

	for (; i + 4 <= n; i += 4)
	{
		Quad		d;
		Quad		d2;

		memcpy(&d, x + i, sizeof(d));
		d -= center;
		d2 = d * d;
		s1 += d;
		s2 += d2;
		s3 += d2 * d;
		s4 += d2 * d2;
	}
	for (; i < n; i++)
	{
		double		d = x[i] - mean;
		double		d2 = d * d;

		sums[0] += d;
		sums[1] += d2;
		sums[2] += d2 * d;
		sums[3] += d2 * d2;
	}
	sums[0] += (s1[0] + s1[1]) + (s1[2] + s1[3]);
	sums[1] += (s2[0] + s2[1]) + (s2[2] + s2[3]);
	sums[2] += (s3[0] + s3[1]) + (s3[2] + s3[3]);
	sums[3] += (s4[0] + s4[1]) + (s4[2] + s4[3]);

	/* what rounding left between `mean` and the mean; its square does not count */
	rest = sums[0] / n;
	moments_merge(s, n, mean + rest, sums[1],
				  sums[2] - 3 * rest * sums[1],
				  sums[3] - 4 * rest * sums[2]);
}

/* ---- the summary ---- */

/* Adds up to ML_TILE_ROWS finite values that lie together. */
static void
add_block(MlSummary *s, const double *x, int n)
{
	kmv_add(s, x, n);
	kll_add(s, x, n);			/* before moments: it goes by s->n */
	moments_add(s, x, n);
}

static bool
all_finite(const double *x, int n)
{
	double		odd[LANES] = {0};
	int			i = 0;

	/* x - x is 0, or NaN when x is not finite */
	for (; i + LANES <= n; i += LANES)
	{
		for (int j = 0; j < LANES; j++)
			odd[j] += x[i + j] - x[i + j];
	}
	for (; i < n; i++)
		odd[0] += x[i] - x[i];
	return lanes_sum(odd) == 0;
}

void
ml_summary_add(MlSummary *s, const double *values, int n, int stride)
{
	double		x[ML_TILE_ROWS];

	while (n > 0)
	{
		int			rows = n < ML_TILE_ROWS ? n : ML_TILE_ROWS;
		int			finite = 0;

		for (int i = 0; i < rows; i++)
			x[i] = values[(ptrdiff_t) i * stride];
		if (all_finite(x, rows))
			finite = rows;
		else
		{
			for (int i = 0; i < rows; i++)
			{
				if (isfinite(x[i]))
					x[finite++] = x[i];
				else if (isnan(x[i]))
					s->nulls++;
				else if (x[i] > 0)
					s->pos_inf++;
				else
					s->neg_inf++;
			}
		}
		if (finite > 0)
			add_block(s, x, finite);
		values += (ptrdiff_t) rows * stride;
		n -= rows;
	}
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
	for (uint32_t i = 0; i < other->kmv_n && other->kmv[i] < s->kmv_max; i++)
		kmv_put(s, other->kmv[i]);
	moments_merge(s, other->n, other->mean, other->m2, other->m3, other->m4);
}

typedef struct Weighted
{
	double		value;
	double		weight;
} Weighted;

static void
sift_down(Weighted *w, int root, int n)
{
	Weighted	item = w[root];
	int			child;

	while ((child = 2 * root + 1) < n)
	{
		if (child + 1 < n && w[child + 1].value > w[child].value)
			child++;
		if (w[child].value <= item.value)
			break;
		w[root] = w[child];
		root = child;
	}
	w[root] = item;
}

/* All items with weights, ascending; returns how many. */
static int
weighted_items(const MlSummary *s, Weighted *w, double *total)
{
	int			n = 0;

	*total = 0;
	for (int h = (int) s->kll_levels - 1; h >= 0; h--)
	{
		double		weight = ldexp(1.0, h);

		for (uint32_t i = 0; i < s->kll_size[h]; i++, n++)
			w[n] = (Weighted) {s->kll[n], weight};
		*total += weight * s->kll_size[h];
	}

	/* heapsort: quantiles are asked for seldom, on any data */
	for (int i = n / 2 - 1; i >= 0; i--)
		sift_down(w, i, n);
	for (int end = n - 1; end > 0; end--)
	{
		Weighted	last = w[0];

		w[0] = w[end];
		w[end] = last;
		sift_down(w, 0, end);
	}
	return n;
}

double
ml_summary_quantile(const MlSummary *s, double q)
{
	Weighted	w[ML_KLL_ITEMS];
	double		total;
	double		position;
	double		before = 0;
	int			n;
	int			i = 0;

	if (s->n == 0 || isnan(q))
		return NAN;
	if (q <= 0)
		return s->min;
	if (q >= 1)
		return s->max;

	/* an item of weight w stands for w equal values in the sorted column */
	n = weighted_items(s, w, &total);
	if (n == 0)
		return NAN;
	position = q * (total - 1);
	while (i < n - 1 && before + w[i].weight <= floor(position))
		before += w[i++].weight;
	if (i < n - 1 && before + w[i].weight < floor(position) + 2)
	{
		double		share = position - floor(position);

		return w[i].value * (1 - share) + w[i + 1].value * share;
	}
	return w[i].value;
}

double
ml_summary_cdf(const MlSummary *s, double value)
{
	double		below = 0;
	double		total = 0;
	const double *item = s->kll;

	if (s->n == 0 || isnan(value))
		return NAN;
	if (value < s->min)
		return 0;
	if (value >= s->max)
		return 1;
	for (int h = (int) s->kll_levels - 1; h >= 0; h--)
	{
		uint32_t	count = 0;

		for (uint32_t i = 0; i < s->kll_size[h]; i++)
			count += *item++ <= value;
		below += ldexp(count, h);
		total += ldexp(s->kll_size[h], h);
	}
	return total > 0 ? below / total : NAN;
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
	if (s->kmv_n > ML_KMV_SIZE || s->kll_levels < 1 || s->kll_levels > ML_KLL_LEVELS)
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
