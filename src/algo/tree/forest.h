/*
 * forest.h - what the forests and the single tree share: seeded numbers that
 * belong to a row or a node, the parameters, and the training.
 */
#ifndef ML_TREE_FOREST_H
#define ML_TREE_FOREST_H

#include <string.h>

#include "foreign.h"
#include "grow.h"
#include "trees.h"

typedef enum MlForestCriterion
{
	ML_CRITERION_AUTO,			/* gini for classes, else squared */
	ML_CRITERION_GINI,
	ML_CRITERION_ENTROPY,
	ML_CRITERION_SQUARED
} MlForestCriterion;

/* Of a forest; a single tree is one of one tree, all rows and all columns. */
typedef struct MlForestParams
{
	int			n_estimators;
	int			max_depth;		/* 0: no limit, also of leaves */
	int			max_leaves;
	double		max_features;	/* share of the columns (see columns_of_share); NaN: the square root of their number for classes, else all */
	int			min_samples_leaf;
	int			min_samples_split;
	bool		bootstrap;
	double		subsample;
	int			criterion;
	double		ccp_alpha;
	int			max_bin;		/* 0: of one tree, what bins_of says */
	bool		random_cut;
} MlForestParams;

extern const char *const ml_forest_criteria[];

/* What is the same in all of the tables of parameters. */
#define ML_TREE_PARAMS(bins, bins_help) \
	{"max_depth", "greatest depth; 0: no limit", ML_PARAM_INT, \
	offsetof(MlForestParams, max_depth), "0", 0, ML_TREE_MAX_DEPTH, NULL}, \
	{"max_leaves", "greatest number of leaves, the most useful split first; 0: no limit", ML_PARAM_INT, \
	offsetof(MlForestParams, max_leaves), "0", 0, 1e9, NULL}, \
	{"min_samples_leaf", "least rows in a leaf", ML_PARAM_INT, \
	offsetof(MlForestParams, min_samples_leaf), "1", 1, 1e9, NULL}, \
	{"min_samples_split", "least rows in a node that is split", ML_PARAM_INT, \
	offsetof(MlForestParams, min_samples_split), "2", 2, 1e9, NULL}, \
	{"criterion", "what a split lowers; auto: gini for classes, squared for numbers", ML_PARAM_ENUM, \
	offsetof(MlForestParams, criterion), "auto", 0, 0, ml_forest_criteria}, \
	{"ccp_alpha", "cost-complexity pruning: the loss, as a mean over rows, that a further leaf must save", ML_PARAM_REAL, \
	offsetof(MlForestParams, ccp_alpha), "0", 0, 1e300, NULL}, \
	{"max_bin", "values of a column that are told apart" bins_help, ML_PARAM_INT, \
	offsetof(MlForestParams, max_bin), bins, 2, ML_MAX_BIN, NULL}

/* And in those of forests. */
#define ML_FOREST_PARAMS(with_bootstrap) \
	{"n_estimators", "number of trees", ML_PARAM_INT, offsetof(MlForestParams, n_estimators), "100", 1, 100000, NULL}, \
	{"max_features", "share of the columns that a node tries, more with categories; \"auto\": the square root of their number for classes, all for a number", \
	ML_PARAM_REAL, offsetof(MlForestParams, max_features), NULL, 0, 1, NULL}, \
	{"bootstrap", "each tree sees a sample of the rows drawn with replacement", ML_PARAM_BOOL, \
	offsetof(MlForestParams, bootstrap), with_bootstrap, 0, 0, NULL}, \
	{"subsample", "rows in a tree's sample, as a share of all", ML_PARAM_REAL, \
	offsetof(MlForestParams, subsample), "1", 0.001, 1, NULL}, \
	ML_TREE_PARAMS("1024", "")

/* What is the same in all of the algorithms; format 2: leaves of many classes keep those they have. */
#define ML_FOREST_ALGORITHM \
	.tasks = ML_REGRESSION | ML_CLASSIFICATION, \
	.flags = ML_NATIVE, \
	.format = ML_TREES_FORMAT, \
	.params_size = sizeof(MlForestParams), \
	.check = ml_forest_check, \
	.predict = ml_forest_predict, \
	.predict_rows = ml_forest_predict_rows, \
	.save = ml_forest_save, \
	.load = ml_forest_load, \
	.describe = ml_forest_describe, \
	.explain = ml_trees_explain, \
	.formula = ml_trees_formula, \
	.importance = ml_trees_importance, \
	.importance_by = ml_trees_importance_by, \
	.writes = ml_tree_formats

/* The model: what predicts, first, and what is known about it. */
typedef struct MlForest
{
	MlTrees		trees;
	double		oob;			/* out-of-bag accuracy or R squared; NaN: not measured */
} MlForest;

extern void ml_forest_check(const void *params, uint32_t task);
extern void ml_forest_fit(const MlProblem *problem, MlData *data, const MlForestParams *params, MlResult *result);
extern void ml_forest_predict(const void *model, const double *x, double *out);
extern void ml_forest_predict_rows(const void *model, const double *x, size_t n, double *out);
extern void ml_forest_save(const void *model, MlWriter *writer);
extern void *ml_forest_load(MlReader *reader, int format, int p, int classes);
extern void ml_forest_describe(const void *model, MlRows *rows);

/*
 * Cost-complexity pruning (pruning.c): the smallest subtree that minimizes risk +
 * alpha x leaves, with the risk of a leaf in units of weight over total_weight.
 */
typedef double (*MlRisk) (const MlGrown *node, int classes);
extern void ml_tree_prune(MlTree *tree, MlRisk risk, int classes, double total_weight, double alpha);
extern double ml_risk_squared(const MlGrown *node, int classes);
extern double ml_risk_gini(const MlGrown *node, int classes);
extern double ml_risk_entropy(const MlGrown *node, int classes);

/* splitmix64 (Steele, Lea, Flood 2014) of a pair. */
static inline uint64_t
ml_forest_hash(uint64_t seed, uint64_t key)
{
	uint64_t	h = key * UINT64_C(0x9e3779b97f4a7c15) + seed + UINT64_C(0xd1b54a32d192ed03);

	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

static inline uint64_t
ml_forest_bits(double x)
{
	uint64_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* In [0, 1). */
static inline double
ml_forest_uniform(uint64_t seed, uint64_t key)
{
	return (double) (ml_forest_hash(seed, key) >> 11) * 0x1p-53;
}

/* In (0, 1]. */
static inline double
ml_forest_open(uint64_t seed, uint64_t key)
{
	return (double) ((ml_forest_hash(seed, key) >> 11) + 1) * 0x1p-53;
}

#endif
