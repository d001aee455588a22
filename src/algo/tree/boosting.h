/*
 * boosting.h - private to gradient boosting: its parameters, and the rounds (rounds.c) over
 * the rows of a training.
 */
#ifndef ML_TREE_BOOSTING_H
#define ML_TREE_BOOSTING_H

#include "num/exact.h"
#include "objectives.h"
#include "trees.h"

/* From so many rows on gradients have 16 bits, and histograms are half as large. */
#define ML_PACKED_ROWS (4 * 65536)

typedef struct MlBoostingParams
{
	int			objective;		/* 0: auto; else MlObjectiveKind + 1 */
	int			n_estimators;
	double		learning_rate;
	int			growth;			/* 0: depth_wise, 1: leaf_wise */
	int			max_depth;
	int			max_leaves;
	int			max_bin;
	int			one_hot_levels;
	double		min_child_weight;
	double		l1;
	double		l2;
	double		gamma;
	double		max_delta_step; /* NaN: the objective's */
	double		subsample;
	double		colsample;
	double		colsample_level;
	double		colsample_node;
	double		scale_pos_weight;
	double		base_score;		/* NaN: the optimum */
	double		quantile;
	double		huber_delta;	/* NaN: the 0.9 quantile of the residuals, each round */
	double		tweedie_power;
	int			ndcg_at;
	int			early_stopping;
	char	   *monotone;
	char	   *interactions;
	char	   *group;
	char	   *start;
} MlBoostingParams;

/* What the rows of a block add up to in a pass; order-independent, but for the losses of a progress report. */
typedef struct MlBlockSums
{
	uint32_t	max_g;			/* bits of the greatest |g| and h */
	uint32_t	max_h;
	double		loss;			/* weighted, of the training rows */
	double		weight;
	int64_t		sum_g;			/* of the whole numbers' sizes */
	int64_t		sum_h;
	int			in_tree;		/* rows in the next tree */
} MlBlockSums;

typedef struct MlBoosting
{
	const MlProblem *problem;
	const MlBoostingParams *params;
	MlObjective objective;
	MlMatrix   *matrix;
	MlGrowth	growth;
	MlGrower   *grower;
	MlRanking  *ranking;
	MlTrees    *trees;
	int			outputs;
	int			stride;			/* of a row's scores */
	float		max_weight;		/* greatest weight of a row */
	float		pos_weight;		/* of class 1 */
	bool		validate;		/* a tenth of the rows is held out to stop early */
	uint32_t	held_seed;

	MlBlock   **block;			/* in memory all of them; spilled, the current one at its place */
	MlBlockSums *sums;			/* of each block */

	/* the tree that was grown last, until its leaves are added to the scores */
	MlTree	   *tree;
	double	   *value;			/* of its nodes, times learning_rate */
	int			tree_output;

	/* the tree to come */
	int			output;
	uint32_t	sample_seed;
	uint32_t	sample_below;	/* rows whose number is below are in the tree */
	uint32_t	round_seed;
	bool	   *wide;			/* of each output: gradients differ too much in size for 16 bits */
	uint64_t	rows;			/* in the tree */

	double		loss;			/* mean of the training rows, before the tree to come */
	MlExactSum	held_loss;		/* of the rows held out */
	double		held_weight;
} MlBoosting;

/* Runs up to `rounds` rounds; returns how many are to be kept, the last trees cut off, and why it stopped. */
extern int	ml_boosting_run(MlBoosting *boosting, int rounds, const char **stop);

/* True when a row is in the tenth that is held out (not for rankings). */
static inline bool
ml_held_out(const MlBoosting *boosting, uint32_t key)
{
	return ml_mix32(key ^ boosting->held_seed) < UINT32_MAX / 10;
}

/* Calls kernel(boosting, i) for each block, which lies in boosting->block[i]: in threads when in memory. */
extern void ml_boosting_blocks(MlBoosting *boosting, void (*kernel) (void *arg, int i));

#endif
