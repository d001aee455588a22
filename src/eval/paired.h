/*
 * paired.h - how sure one can be of the difference between two models that were
 * measured on the same rows.
 */
#ifndef ML_PAIRED_H
#define ML_PAIRED_H

#include "core/compat.h"
#include "eval/metrics.h"

/* ---- losses of a row: less is better ---- */

typedef enum MlLoss
{
	ML_LOSS_RMSE,				/* the square; its mean has a root */
	ML_LOSS_MAE,
	ML_LOSS_LOG,
	ML_LOSS_BRIER
} MlLoss;

/* classes: 0 for a value y; else k is the model's class of what happened, -1: it knows none such. */
extern double ml_loss_of(MlLoss loss, int classes, double y, int k, const double *out);

/* ---- sums over independent observations, rows or clusters of rows ---- */

#define ML_PAIRED_MAX 11

typedef struct MlPaired
{
	int			m;				/* quantities; the first is the weight, the others are multiplied by it */
	double		n;				/* observations */
	double		sum[ML_PAIRED_MAX];
	double		cross[ML_PAIRED_MAX][ML_PAIRED_MAX];	/* sums of products, lower triangle */
} MlPaired;

extern void ml_paired_add(MlPaired *p, const double *quantity);

/* Variance of a function of the means sum[i] / sum[0] with these derivatives by them; slope[0] is not looked at. */
extern double ml_paired_variance(const MlPaired *p, const double *slope);

/* Root of the mean b + d less that of the mean b, and its derivatives. */
extern double ml_paired_root(double b, double d, double *by_b, double *by_d);

/* ---- all metrics of a kind ---- */

typedef struct MlDifference MlDifference;

/* In the current memory context. */
extern MlDifference *ml_difference_create(uint32 task, int classes);
extern void ml_difference_add(MlDifference *d, double actual, const double *a, const double *b);

/*
 * Variance of a metric of a less that of b, both as MlMetrics has them; NaN: no
 * honest one is known (median_absolute_error, max_error, AUC of many classes),
 * or it comes from the scores (auc, pr_auc).  Sets what an interval lies around,
 * where that is another value than the difference itself.
 */
extern double ml_difference_variance(const MlDifference *d, const char *metric, double *center);

#endif
