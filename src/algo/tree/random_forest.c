/*
 * random_forest.c - the mean of trees that see different rows and, in each node,
 * different columns.
 *
 * Breiman: Random Forests (2001).
 */
#include "forest.h"

static const MlParam forest_params[] = {
	ML_FOREST_PARAMS("true"),
	{NULL}
};

static void
forest_fit(const MlProblem *problem, MlData *data, MlResult *result)
{
	ml_forest_fit(problem, data, problem->params, result);
}

const MlAlgorithm ml_algo_random_forest = {
	.name = "random_forest",
	.summary = "mean of many trees of sampled rows and columns",
	ML_FOREST_ALGORITHM,
	.params = forest_params,
	.fit = forest_fit,
};
