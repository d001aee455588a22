/*
 * score.h - a model applied to all rows of a source; in evaluate.c.
 */
#ifndef ML_TRAIN_SCORE_H
#define ML_TRAIN_SCORE_H

#include "core/model.h"

/* A row: its value or class number, NaN when the source has none, and what ml_metrics_add takes. */
typedef void (*MlScoredRow) (void *arg, double actual, const double *predicted, uint64 position);

/*
 * Predicts all rows that have a target, as the caller; a NOTICE tells how many have
 * not.  A source without the column is 42703, unless `target` is false: then all
 * rows are predicted and none has an actual value.  Returns the rows predicted.
 */
extern int64 ml_score_source(const MlModel *model, const char *source, bool target, MlScoredRow scored, void *arg);

extern void ml_score_needs_target(const MlModel *model);	/* 0A000 without one */

/* The dummy's prediction: mean, share of class 1, or all shares; NULL when the model does not know it. */
extern double *ml_model_prior(const MlModel *model);

#endif
