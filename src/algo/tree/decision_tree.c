/*
 * decision_tree.c - one tree from all rows and columns, to be read.
 *
 * Breiman, Friedman, Olshen, Stone: Classification and Regression Trees (1984).
 */
#include "forest.h"

static const MlParam tree_params[] = {
	ML_FOREST_PARAMS("1024"),
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
	.tasks = ML_REGRESSION | ML_CLASSIFICATION,
	.flags = ML_NATIVE,
	.format = 1,
	.params = tree_params,
	.params_size = sizeof(MlForestParams),
	.check = ml_forest_check,
	.fit = tree_fit,
	.predict = ml_trees_predict,
	.save = ml_forest_save,
	.load = ml_forest_load,
	.describe = ml_forest_describe,
	.explain = ml_trees_explain,
	.formula = ml_trees_formula,
	.importance = ml_trees_importance,
	.importance_by = ml_trees_importance_by,
};
