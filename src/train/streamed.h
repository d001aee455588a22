/*
 * streamed.h - training in one scan, see streamed.c.
 */
#ifndef ML_TRAIN_STREAMED_H
#define ML_TRAIN_STREAMED_H

#include "core/state.h"
#include "train/train.h"

#define ML_STREAM_FOLDS 10
#define ML_STREAM_METRICS 3

typedef struct MlStreamed
{
	MlSpec	   *spec;
	MlState    *state;
	MlFit		fit;			/* on all rows */
	const void *params;			/* penalties chosen */
	bool		refitted;		/* the fit has learned from the holdout, too */
	double	   *prior;

	/* On the holdout, of a model that has not seen it. */
	int			nmetrics;
	const char *names[ML_STREAM_METRICS];
	double		values[ML_STREAM_METRICS];
	double		baselines[ML_STREAM_METRICS];
} MlStreamed;

extern bool ml_training_streams(const MlTraining *t);
extern bool ml_stream_scan(MlTraining *t, MlStreamed *s, int folds, double holdout);
extern void ml_stream_fit(MlTraining *t, MlStreamed *s);

#endif
