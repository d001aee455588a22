/*
 * preprocess.h - the parameters of the core itself: how columns become numbers.
 */
#ifndef ML_PREPROCESS_H
#define ML_PREPROCESS_H

#include "core/encode.h"
#include "ml.h"

/* Preprocessing, given among the parameters. */
typedef struct MlCoreParams
{
	int			impute;			/* MlImpute */
	bool		indicator;		/* a column that says "was missing" */
	int			scale;			/* MlScale */
	int			categories;		/* MlCategories */
	int			levels;			/* MlLevels */
	int			max_categories;
	int			unseen;			/* MlUnseen */
	int			nonfinite;		/* MlNonfinite */
	int			class_weight;	/* MlClassWeight */
	int			refit;			/* MlRefit */
	bool		keep_state;		/* the sums it was solved from are stored beside the model */
} MlCoreParams;

typedef enum MlNonfinite { ML_NONFINITE_ERROR, ML_NONFINITE_NULL, ML_NONFINITE_DROP } MlNonfinite;
typedef enum MlClassWeight { ML_CLASS_WEIGHT_NONE, ML_CLASS_WEIGHT_BALANCED } MlClassWeight;
typedef enum MlRefit { ML_REFIT_AUTO, ML_REFIT_ALWAYS, ML_REFIT_NEVER } MlRefit;

#define ML_NATIVE_LEVELS 254	/* categories of a column that an algorithm takes as they are; beyond, statistics of the target */

/* Replaces "auto" by what it means for the algorithm; 22023 for "native" where it is not possible. */
extern void ml_core_params_settle(MlCoreParams *core, const MlAlgorithm *algorithm);

extern const MlParam ml_core_params[];
extern const size_t ml_core_params_size;

#endif
