/*
 * extra_trees.c - the mean of trees that cut at random thresholds.
 *
 * Geurts, Ernst, Wehenkel: Extremely Randomized Trees (2006).
 */
#include "forest.h"

static const MlParam extra_params[] = {
	{"n_estimators", "number of trees", ML_PARAM_INT, offsetof(MlForestParams, n_estimators), "100", 1, 100000, NULL},
	{"max_features", "share of the columns that a node tries; \"auto\": the square root of their number for classes, all for a number",
	ML_PARAM_REAL, offsetof(MlForestParams, max_features), NULL, 0, 1, NULL},
	{"bootstrap", "each tree sees a sample of the rows drawn with replacement", ML_PARAM_BOOL,
	offsetof(MlForestParams, bootstrap), "false", 0, 0, NULL},
	{"subsample", "rows in a tree's sample, as a share of all", ML_PARAM_REAL,
	offsetof(MlForestParams, subsample), "1", 0.001, 1, NULL},
	ML_FOREST_PARAMS("256"),
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
	.tasks = ML_REGRESSION | ML_CLASSIFICATION,
	.flags = ML_NATIVE,
	.format = 1,
	.params = extra_params,
	.params_size = sizeof(MlForestParams),
	.check = ml_forest_check,
	.fit = extra_fit,
	.predict = ml_trees_predict,
	.save = ml_forest_save,
	.load = ml_forest_load,
	.describe = ml_forest_describe,
	.explain = ml_trees_explain,
	.formula = ml_trees_formula,
	.importance = ml_trees_importance,
	.importance_by = ml_trees_importance_by,
};
