/*
 * progress.h - what view ml.progress shows of a running training, kept in the
 * backend's slot of PostgreSQL's progress array; reset by the server on abort.
 */
#ifndef ML_PROGRESS_H
#define ML_PROGRESS_H

#include "core/compat.h"

typedef enum MlPhase
{
	ML_PHASE_ANALYZE = 1,		/* resolving source and parameters */
	ML_PHASE_READ,				/* reading rows: profile, dataset, single-pass state */
	ML_PHASE_FIT,				/* passes of the algorithm */
	ML_PHASE_CV,				/* cross-validation */
	ML_PHASE_SCORE,				/* metrics on the holdout */
	ML_PHASE_STORE				/* writing the model */
} MlPhase;

extern void ml_progress_start(const char *command, Oid relation);	/* command: train, fit, cv, evaluate, compare, monitor, retrain, update, forget */
extern void ml_progress_relation(Oid relation);	/* when it is known only later */
extern void ml_progress_phase(MlPhase phase);
extern void ml_progress_rows(int64 rows);	/* cheap; called once a tile */
extern void ml_progress_iteration(int64 iteration, double objective);
extern void ml_progress_end(void);

#endif
