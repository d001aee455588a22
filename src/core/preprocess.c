/*
 * preprocess.c - the table of preprocessing parameters, valid for every algorithm.
 */
#include "core/preprocess.h"

#include "core/host.h"

static const char *const impute_names[] = {"median", "mean", "zero", "error", "drop", "native", "auto", NULL};
static const char *const scale_names[] = {"auto", "none", "standardize", "minmax", "robust", NULL};
static const char *const category_names[] = {"one_hot", "ordinal", "frequency", "target", "native", "auto", NULL};
static const char *const level_names[] = {"auto", "all", "reference", NULL};
static const char *const unseen_names[] = {"zero", "error", NULL};
static const char *const nonfinite_names[] = {"error", "null", "drop", NULL};
static const char *const refit_names[] = {"auto", "always", "never", NULL};
static const char *const class_weight_names[] = {"none", "balanced", NULL};

const MlParam ml_core_params[] = {
	{"impute", "what a NULL number becomes; error and drop refuse or leave out the row (auto: native where the algorithm takes NULL as it is, else median)",
	ML_PARAM_ENUM, offsetof(MlCoreParams, impute), "auto", 0, 0, impute_names},
	{"indicator", "adds a 0/1 column that says where a number was NULL",
	ML_PARAM_BOOL, offsetof(MlCoreParams, indicator), "false", 0, 0, NULL},
	{"scale", "units in which penalties count numbers (auto, standardize: standard deviations); minmax and robust rescale the values",
	ML_PARAM_ENUM, offsetof(MlCoreParams, scale), "auto", 0, 0, scale_names},
	{"categories", "how a category becomes numbers; target uses out-of-fold means (auto: native where the algorithm takes categories as they are, else one_hot)",
	ML_PARAM_ENUM, offsetof(MlCoreParams, categories), "auto", 0, 0, category_names},
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
	{"refit", "whether the stored model is fitted on the holdout's rows too, once that is scored (auto: yes, unless the algorithm keeps the rows and they are more than 50000)",
	ML_PARAM_ENUM, offsetof(MlCoreParams, refit), "auto", 0, 0, refit_names},
	{"keep_state", "keeps the sums that the model was solved from, so that ml_update can add rows and ml_forget take some away",
	ML_PARAM_BOOL, offsetof(MlCoreParams, keep_state), "false", 0, 0, NULL},
	{NULL}
};
const size_t ml_core_params_size = sizeof(MlCoreParams);

void
ml_core_params_settle(MlCoreParams *core, const MlAlgorithm *algorithm)
{
	bool		native = (algorithm->flags & ML_NATIVE) != 0;

	if (!native && (core->impute == ML_IMPUTE_NATIVE || core->categories == ML_CATEGORIES_NATIVE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("algorithm \"%s\" cannot take %s as they are", algorithm->name,
						core->impute == ML_IMPUTE_NATIVE ? "missing values" : "categories"),
				 errhint("Choose another way than \"native\" for parameter \"%s\".",
						 core->impute == ML_IMPUTE_NATIVE ? "impute" : "categories")));
	if (core->impute == ML_IMPUTE_AUTO)
		core->impute = native ? ML_IMPUTE_NATIVE : ML_IMPUTE_MEDIAN;
	if (core->categories == ML_CATEGORIES_AUTO)
		core->categories = native ? ML_CATEGORIES_NATIVE : ML_ONE_HOT;
}
