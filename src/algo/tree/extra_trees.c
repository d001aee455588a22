/*
 * extra_trees.c - the mean of trees that cut at random thresholds.
 *
 * Geurts, Ernst, Wehenkel: Extremely Randomized Trees (2006).
 */
#include "forest.h"

static const MlParam extra_params[] = {
	ML_FOREST_PARAMS("false"),
	{NULL}
};

static void
extra_fit(const MlProblem *problem, MlData *data, MlResult *result)
{
	MlForestParams params = *(const MlForestParams *) problem->params;

	params.random_cut = true;
	ml_forest_fit(problem, data, &params, result);
}

const MlAlgorithm ml_algo_extra_trees = {
	.name = "extra_trees",
	.summary = "mean of many trees with random thresholds",
	ML_FOREST_ALGORITHM,
	.params = extra_params,
	.fit = extra_fit,
};
