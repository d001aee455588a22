/*
 * curves.h - what a chart of a model's quality shows, summed up from rows in
 * bounded memory and written as a JSON object of bounded size.
 */
#ifndef ML_EVAL_CURVES_H
#define ML_EVAL_CURVES_H

#include "core/compat.h"
#include "lib/stringinfo.h"

typedef struct MlCurves MlCurves;

#define ML_CURVES_RANKED 10		/* classes beyond have no ROC curve */
#define ML_CURVES_CLASSES 20	/* rows of a confusion matrix; the least frequent classes are put together */
#define ML_CURVES_BINS 20		/* of histograms and residuals */

/* In the current memory context, for a task with a target or for predictions alone. */
extern MlCurves *ml_curves_create(uint32 task, int classes);

/*
 * One row: the value or class number, NaN when it is not known; what the model
 * predicts, as ml_metrics_add takes it; and a uniform number that belongs to the
 * row, so that what is drawn does not depend on the order of rows.
 */
extern void ml_curves_add(MlCurves *curves, double actual, const double *predicted, double weight, double uniform);

/* The object.  With `detail` 200 points a curve instead of 50, and single rows of a regression. */
extern void ml_curves_json(MlCurves *curves, bool detail, StringInfo out);
extern void ml_curves_free(MlCurves *curves);	/* closes files */

#endif
