/*
 * decision_tree.c - one tree from all rows and columns, to be read.
 *
 * Breiman, Friedman, Olshen, Stone: Classification and Regression Trees (1984).
 */
#include "forest.h"

static const MlParam tree_params[] = {
	ML_TREE_PARAMS(NULL, "; \"auto\": all of them with few rows, otherwise 1024"),
	{NULL}
};

static void
tree_fit(const MlProblem *problem, MlData *data, MlResult *result)
{
	MlForestParams params = *(const MlForestParams *) problem->params;

	params.n_estimators = 1;
	params.max_features = 1;
	params.subsample = 1;
	ml_forest_fit(problem, data, &params, result);
}

const MlAlgorithm ml_algo_decision_tree = {
	.name = "decision_tree",
	.summary = "one classification or regression tree, with pruning",
	ML_FOREST_ALGORITHM,
	.params = tree_params,
	.fit = tree_fit,
};
