/*
 * objectives.h - what gradient boosting minimises: loss, gradient and curvature
 * of a row, in formulas; leaf values where a Newton step is none, and the
 * gradient of a ranking.
 */
#ifndef ML_TREE_OBJECTIVES_H
#define ML_TREE_OBJECTIVES_H

#include "grow.h"

typedef enum MlObjectiveKind
{
	ML_OBJECTIVE_SQUARED,
	ML_OBJECTIVE_ABSOLUTE,
	ML_OBJECTIVE_HUBER,
	ML_OBJECTIVE_QUANTILE,
	ML_OBJECTIVE_POISSON,
	ML_OBJECTIVE_GAMMA,
	ML_OBJECTIVE_TWEEDIE,
	ML_OBJECTIVE_LOGISTIC,
	ML_OBJECTIVE_SOFTMAX,
	ML_OBJECTIVE_LAMBDARANK
} MlObjectiveKind;

typedef struct MlObjective
{
	MlObjectiveKind kind;
	double		quantile;		/* QUANTILE; ABSOLUTE: 0.5 */
	double		delta;			/* HUBER: where the loss becomes linear */
	double		power;			/* TWEEDIE: variance is mean ^ power, 1 < power < 2 */
	double		max_step;		/* POISSON: curvature counts times exp(max_step) */
	int			classes;		/* SOFTMAX */
} MlObjective;

/* Rows that the functions below take at a time: their arrays stay in the first cache. */
#define ML_CHUNK 256

/*
 * Gradient, curvature and loss of n <= ML_CHUNK rows at the scores f, weights
 * not counted.  Not for SOFTMAX and LAMBDARANK.
 */
extern void ml_objective_rows(const MlObjective *objective, int n, const float *y, const double *f,
							  double *g, double *h, double *loss);

/*
 * SOFTMAX: a row's scores are `classes` numbers and one more, which normalize sets to the
 * logarithm of the sum of their exponentials; rows gives g and h of class k
 * relative to it, so that it stays right while other classes' trees are added.
 */
extern void ml_softmax_normalize(int classes, int n, const float *y, double *score, double *loss);
extern void ml_softmax_rows(int classes, int k, int n, const float *y, const double *score, double *g, double *h);

/* exp for arrays, to 3e-13 relative; arguments beyond -708 and 709 count as these. */
extern void ml_exps(int n, const double *x, double *out);

/* A well mixed number from two: for seeds and choices by row key. */
static inline uint32_t
ml_mix32(uint32_t x)
{
	x = (x ^ (x >> 16)) * 0x7feb352dU;
	x = (x ^ (x >> 15)) * 0x846ca68bU;
	return x ^ (x >> 16);
}

static inline uint64_t
ml_mix64(uint64_t seed, uint64_t n)
{
	uint64_t	z = seed + (n + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* ---- renewal.c: leaves whose best value is not a Newton step ---- */

/* Sets a cell number (-1: not counted) and a value for each row of a block. */
typedef void (*MlCells) (void *arg, const MlBlock *block, int *cell, float *value);

/*
 * The weighted quantile of the rows' values in each of `cells` cells: the middle of all minimisers of the
 * quantile loss, exact to the last bit of float, by four passes over the bytes of the values
 * (weights are counted in units of the greatest / 2^20).  out: NaN for an empty cell.
 */
extern void ml_quantiles(MlMatrix *matrix, int cells, double quantile, float max_weight, MlCells fill, void *arg,
						 double *out);

/* value: the best constant of each leaf, for absolute, quantile and huber loss; before the scores are changed. */
extern void ml_renew_leaves(const MlObjective *objective, MlMatrix *matrix, MlGrower *grower, const MlTree *tree,
							const signed char *monotone, float max_weight, double *value);

/* ---- ranking.c ---- */

typedef struct MlRanking MlRanking;

/* The rows of a matrix by group; fails when a target is not a grade. */
extern MlRanking *ml_ranking_create(MlMatrix *matrix, int ndcg_at, const MlProblem *problem, bool validate);

/* True when a row's group is in the tenth that stops early. */
extern bool ml_ranking_held_out(const MlRanking *ranking, int block, int row);

/* From the scores given row by row: gradients and the mean of 1 - NDCG, of the training groups and the others. */
extern void ml_ranking_score(MlRanking *ranking, int block, const MlBlock *rows);
extern void ml_ranking_compute(MlRanking *ranking, double *loss, double *held_out_loss);
extern void ml_ranking_rows(const MlRanking *ranking, int block, int first, int n, double *g, double *h);

#endif
