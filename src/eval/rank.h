/*
 * rank.h - weighted scores of two labels, kept exactly and read back in order:
 * what AUC, average precision, ROC curves and medians need.
 */
#ifndef ML_RANK_H
#define ML_RANK_H

#include "core/compat.h"
#include "lib/stringinfo.h"
#include "storage/buffile.h"

typedef struct MlRank MlRank;

/*
 * Lives in the current memory context.  With `spill` sorted runs go to a
 * temporary file when `budget` bytes are full, which ml_rank_close closes;
 * without, more rows than fit are 53200.
 */
extern MlRank *ml_rank_create(Size budget, bool spill);
extern void ml_rank_set_budget(MlRank *rank, Size budget);
extern void ml_rank_add(MlRank *rank, double score, bool label, double weight);
extern void ml_rank_merge(MlRank *rank, MlRank *other);
extern void ml_rank_close(MlRank *rank);
extern bool ml_rank_spilled(const MlRank *rank);
extern int64 ml_rank_rows(const MlRank *rank);

/* For parallel workers. */
extern void ml_rank_pack(MlRank *rank, StringInfo buf);
extern void ml_rank_unpack(MlRank *rank, StringInfo buf);	/* adds to rank */

/* All scores, falling; rows of equal score come as one step. */
typedef struct MlRankStep
{
	double		score;
	double		w[2];			/* weight of label false and true */
	double		w2[2];			/* sums of squared weights */
} MlRankStep;
typedef struct MlRankStream MlRankStream;
extern MlRankStream *ml_rank_read(MlRank *rank);
extern bool ml_rank_next(MlRankStream *stream, MlRankStep *step);
extern void ml_rank_end(MlRankStream *stream);

typedef struct MlRankValues
{
	double		auc;			/* NaN: undefined */
	double		auc_variance;	/* DeLong, DeLong, Clarke-Pearson 1988; NaN: fewer than 2 of a label */
	double		pr_auc;			/* average precision */
	const char *auc_undefined;
	const char *pr_auc_undefined;
} MlRankValues;
extern void ml_rank_values(MlRank *rank, MlRankValues *values);
extern double ml_rank_positives(const MlRank *rank);	/* weight of label true */
extern double ml_rank_negatives(const MlRank *rank);
extern int64 ml_rank_count(const MlRank *rank, bool label);
extern bool ml_rank_weighted(const MlRank *rank);

/* The median of scores that were added negated, with the 95 % interval by order statistics. */
extern double ml_rank_median_of_negated(MlRank *rank, double *low, double *high);

#endif
