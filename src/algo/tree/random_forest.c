/*
 * random_forest.c - the mean of trees that see different rows and, in each node,
 * different columns.
 *
 * Breiman: Random Forests (2001).
 */
#include "forest.h"

static const MlParam forest_params[] = {
	{"n_estimators", "number of trees", ML_PARAM_INT, offsetof(MlForestParams, n_estimators), "100", 1, 100000, NULL},
	{"max_features", "share of the columns that a node tries; \"auto\": the square root of their number for classes, all for a number",
	ML_PARAM_REAL, offsetof(MlForestParams, max_features), NULL, 0, 1, NULL},
	{"bootstrap", "each tree sees a sample of the rows drawn with replacement", ML_PARAM_BOOL,
	offsetof(MlForestParams, bootstrap), "true", 0, 0, NULL},
	{"subsample", "rows in a tree's sample, as a share of all", ML_PARAM_REAL,
	offsetof(MlForestParams, subsample), "1", 0.001, 1, NULL},
	ML_FOREST_PARAMS("256"),
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
	.tasks = ML_REGRESSION | ML_CLASSIFICATION,
	.flags = ML_NATIVE,
	.format = 1,
	.params = forest_params,
	.params_size = sizeof(MlForestParams),
	.check = ml_forest_check,
	.fit = forest_fit,
	.predict = ml_trees_predict,
	.save = ml_forest_save,
	.load = ml_forest_load,
	.describe = ml_forest_describe,
	.explain = ml_trees_explain,
	.formula = ml_trees_formula,
	.importance = ml_trees_importance,
	.importance_by = ml_trees_importance_by,
};
