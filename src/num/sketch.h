/*
 * sketch.h - mergeable summaries of a column of numbers, flat and of fixed size,
 * so that they can lie inside an ml_state: no pointers, memcpy moves them.
 */
#ifndef ML_SKETCH_H
#define ML_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Everything the profile keeps of one numeric cell.  Quantiles: KLL (Karnin,
 * Lang, Liberty 2016), rank error of a quantile below 1.5 % with probability
 * 99 %, exact up to ML_KLL_EXACT values; distinct count: the k smallest hashes
 * (Bar-Yossef et al. 2002), exact up to ML_KMV_SIZE, standard error
 * 1/sqrt(k - 2) beyond.
 */
#define ML_KMV_SIZE 512
#define ML_KMV_WAITING 256
#define ML_KLL_ITEMS 1536		/* stored items, all levels together */
#define ML_KLL_EXACT ML_KLL_ITEMS
#define ML_KLL_LEVELS 40

typedef struct MlSummary
{
	double		n;				/* finite values */
	double		nulls;			/* NaN in the raw cell */
	double		nan;			/* counted apart when the caller tells them apart from NULL */
	double		pos_inf;
	double		neg_inf;
	double		integers;		/* values without a fraction */
	double		min;			/* +infinity while n = 0 */
	double		max;			/* -infinity while n = 0 */
	double		mean;
	double		m2;				/* sum of squared deviations from the mean; infinite when beyond double */
	uint32_t	kmv_n;
	uint32_t	kmv_waiting;
	uint32_t	kll_levels;
	uint64_t	kmv_max;		/* threshold: only smaller hashes enter */
	uint64_t	seed;			/* of the coin in KLL; advances deterministically */
	uint64_t	kmv[ML_KMV_SIZE];
	uint64_t	kmv_more[ML_KMV_WAITING];	/* below kmv_max when they came, until ml_summaries_settle */
	uint16_t	kmv_guess[ML_KMV_SIZE];	/* by low bits of a hash: where it stood last; any value is right */
	uint32_t	kll_size[ML_KLL_LEVELS];	/* items at level h, each of weight 2^h */
	double		kll[ML_KLL_ITEMS];	/* levels lie one behind the other, 0 last */
} MlSummary;

extern void ml_summary_init(MlSummary *s, uint64_t seed);

/*
 * The level for summaries that together will get about `expected` values: of 2^level
 * values one enters the quantiles, from the first on.  0: all, until there are so
 * many that sampling cannot hurt.  Quantiles keep their promises whatever the level
 * when ml_level_suffices for the n values that came in the end; a level that was
 * too low costs time only.
 */
extern int	ml_summary_level(double expected);
extern bool ml_level_suffices(int level, double n);

/*
 * Adds n rows to the summaries of their ncols columns.  The cells of a row lie
 * together, its first one `stride` doubles behind that of the row before; NaN
 * counts as NULL.
 */
extern void ml_summaries_add(MlSummary *s, int ncols, const double *rows, int n, int stride, int level);

/* Behind the last rows, before the summaries are asked, compared or written. */
extern void ml_summaries_settle(MlSummary *s, int ncols);
extern void ml_summary_merge(MlSummary *s, const MlSummary *other);	/* `other` settled or not; s is, then */

/* Interpolated between neighbours, as R's type 7 and percentile_cont; NaN when n = 0. */
extern double ml_summary_quantile(const MlSummary *s, double q);
extern double ml_summary_distinct(const MlSummary *s);
extern double ml_summary_variance(const MlSummary *s, bool population);
extern bool ml_summary_valid(const MlSummary *s);	/* for bytes from outside: sizes and order */

/* The values that a summary keeps, sorted once for many questions. */
typedef struct MlQuantiles
{
	double		n;				/* finite values of the summary */
	double		min;
	double		max;
	int			items;
	double		value[ML_KLL_ITEMS];	/* ascending */
	double		before[ML_KLL_ITEMS + 1];	/* weight of the items before; the last: of all */
} MlQuantiles;

extern void ml_quantiles_init(MlQuantiles *quantiles, const MlSummary *s);
extern double ml_quantile(const MlQuantiles *quantiles, double q);	/* as ml_summary_quantile */
extern double ml_quantiles_cdf(const MlQuantiles *quantiles, double value);	/* share of values <= value */

#endif
