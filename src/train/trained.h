/*
 * trained.h - a training that becomes a version of a named model: ml_train, ml_retrain.
 */
#ifndef ML_TRAIN_TRAINED_H
#define ML_TRAIN_TRAINED_H

#include "core/catalog.h"
#include "train/train.h"
#include "utils/timestamp.h"

typedef struct MlTrained
{
	MlTraining *training;		/* ml_training_end frees it, and all that is here */
	MlModel    *model;
	MlFit	   *fit;			/* its model goes when the value is made: with trees both are large */
	MlVersionRow row;			/* may be changed before it is stored */
	TimestampTz start;
	const char *metric;			/* the main one; NULL: nothing was measured */
} MlTrained;

/* Trains and measures; the rival, if there is one, on the same holdout.  Leaves the training's context current. */
extern void ml_train_run(MlTrained *d, const char *command, const MlRequest *request, const char *notes, MlRival *rival);

/* The bytes of ml.training_state, see ml_kept_state. */
#define ML_STATE_FORMAT 1
extern bytea *ml_kept_state(const MlFit *fit, bool was_imputed);

/* Returns the version's number. */
extern int	ml_train_store(MlTrained *d, const char *name);

#endif
