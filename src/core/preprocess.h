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
} MlCoreParams;

typedef enum MlNonfinite { ML_NONFINITE_ERROR, ML_NONFINITE_NULL, ML_NONFINITE_DROP } MlNonfinite;
typedef enum MlClassWeight { ML_CLASS_WEIGHT_NONE, ML_CLASS_WEIGHT_BALANCED } MlClassWeight;

extern const MlParam ml_core_params[];
extern const size_t ml_core_params_size;

#endif
