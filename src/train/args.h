/*
 * args.h - SQL arguments of ml_train, ml_fit, ml_cv and ml_evaluate.
 */
#ifndef ML_TRAIN_ARGS_H
#define ML_TRAIN_ARGS_H

#include "train/train.h"

extern char *ml_arg_text(FunctionCallInfo fcinfo, int n);	/* NULL when SQL NULL */
extern char **ml_arg_names(FunctionCallInfo fcinfo, int n, const char *what, int *count);	/* count -1: NULL */
extern void ml_arg_required(FunctionCallInfo fcinfo, int n, const char *name);

/* A training in a context of its own; what it allocated goes with ml_training_end. */
extern MlTraining *ml_training_begin(const char *command, const MlRequest *request);
extern void ml_training_end(MlTraining *t);

/* Text arrays and doubles for result rows. */
extern Datum ml_text_array(List *strings);

#endif
