/*
 * preprocess.c - the table of preprocessing parameters, valid for every algorithm.
 */
#include "core/preprocess.h"

static const char *const impute_names[] = {"median", "mean", "zero", "error", "drop", NULL};
static const char *const scale_names[] = {"auto", "none", "standardize", "minmax", "robust", NULL};
static const char *const category_names[] = {"one_hot", "ordinal", "frequency", "target", NULL};
static const char *const level_names[] = {"auto", "all", "reference", NULL};
static const char *const unseen_names[] = {"zero", "error", NULL};
static const char *const nonfinite_names[] = {"error", "null", "drop", NULL};
static const char *const class_weight_names[] = {"none", "balanced", NULL};

const MlParam ml_core_params[] = {
	{"impute", "what a NULL number becomes; error and drop refuse or leave out the row",
	ML_PARAM_ENUM, offsetof(MlCoreParams, impute), "median", 0, 0, impute_names},
	{"indicator", "adds a 0/1 column that says where a number was NULL",
	ML_PARAM_BOOL, offsetof(MlCoreParams, indicator), "false", 0, 0, NULL},
	{"scale", "units in which penalties count numbers (auto, standardize: standard deviations); minmax and robust rescale the values",
	ML_PARAM_ENUM, offsetof(MlCoreParams, scale), "auto", 0, 0, scale_names},
	{"categories", "how a category becomes numbers; target uses out-of-fold means",
	ML_PARAM_ENUM, offsetof(MlCoreParams, categories), "one_hot", 0, 0, category_names},
	{"levels", "one-hot: all levels, or without the first (auto: all when penalized)",
	ML_PARAM_ENUM, offsetof(MlCoreParams, levels), "auto", 0, 0, level_names},
	{"max_categories", "one-hot: levels kept, the most frequent; others become (other)",
	ML_PARAM_INT, offsetof(MlCoreParams, max_categories), "256", 1, 100000, NULL},
	{"unseen", "a category not seen in training: counts as none, or is an error",
	ML_PARAM_ENUM, offsetof(MlCoreParams, unseen), "zero", 0, 0, unseen_names},
	{"nonfinite", "NaN and infinity in a feature: an error, NULL, or the row is left out",
	ML_PARAM_ENUM, offsetof(MlCoreParams, nonfinite), "error", 0, 0, nonfinite_names},
	{"class_weight", "balanced: each class weighs the same in training",
	ML_PARAM_ENUM, offsetof(MlCoreParams, class_weight), "none", 0, 0, class_weight_names},
	{NULL}
};
const size_t ml_core_params_size = sizeof(MlCoreParams);
