/*
 * metrics.h - how good predictions are: an accumulator for the core, and the
 * formulas that it shares with the SQL aggregates (one implementation of each).
 *
 * Definitions are scikit-learn 1.2's; docs are the COMMENTs in metrics.sql.
 * A metric that is not defined for the rows seen is NaN with a reason, never a
 * made-up number.  Rows of weight zero count for nothing.
 */
#ifndef ML_METRICS_H
#define ML_METRICS_H

#include "core/compat.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "eval/rank.h"
#include "eval/sums.h"
#include "ml.h"

typedef struct MlMetrics MlMetrics;

typedef struct MlMetricValue
{
	const char *name;
	double		value;			/* NaN: undefined */
	double		ci_low;			/* 95 %; NaN: no honest interval is known */
	double		ci_high;
	const char *undefined;		/* why value is NaN, or NULL */
	bool		higher_is_better;
} MlMetricValue;

/*
 * An accumulator in the current memory context.  Scores beyond work_mem go to
 * a temporary file, so its memory is bounded by about work_mem however many
 * rows come; the file closes with ml_metrics_free, or when the transaction fails.
 */
extern MlMetrics *ml_metrics_create(uint32 task, int classes);

/*
 * One row.  Regression: predicted is one number; two classes: one number, the
 * probability of class 1; more: `classes` probabilities that add up to 1.
 * actual: the value, or the class number.  22023: a number that is not finite,
 * a probability outside 0..1, a negative weight.
 */
extern void ml_metrics_add(MlMetrics *m, double actual, const double *predicted, double weight);

/* All metrics of the kind in a fixed order; returns how many.  May be called again after more rows. */
extern int	ml_metrics_values(MlMetrics *m, MlMetricValue **out);
extern void ml_metrics_free(MlMetrics *m);

/* The one that ml_train shows: rmse; auc with two classes, log_loss with more. */
extern const char *ml_metrics_main(uint32 task, int classes);

/* ---- what the aggregates share with it ---- */

typedef enum MlMetric
{
	ML_METRIC_RMSE,
	ML_METRIC_MSE,
	ML_METRIC_MAE,
	ML_METRIC_R2,
	ML_METRIC_MAPE,
	ML_METRIC_SMAPE,
	ML_METRIC_WAPE,
	ML_METRIC_MEDIAN_ABSOLUTE_ERROR,
	ML_METRIC_MAX_ERROR,
	ML_METRIC_EXPLAINED_VARIANCE,
	ML_METRIC_AUC,
	ML_METRIC_PR_AUC,
	ML_METRIC_LOG_LOSS,
	ML_METRIC_BRIER,
	ML_METRIC_ACCURACY,
	ML_METRIC_BALANCED_ACCURACY,
	ML_METRIC_PRECISION,
	ML_METRIC_RECALL,
	ML_METRIC_F1,
	ML_METRIC_MCC,
	ML_METRIC_KAPPA
} MlMetric;

extern const char *ml_metric_name(MlMetric metric);

/* How precision, recall and f1 of several classes become one number. */
typedef enum MlAverage
{
	ML_AVERAGE_MACRO,			/* plain mean over the classes seen; 0/0 counts as 0 */
	ML_AVERAGE_MICRO,			/* from the totals: with one label a row, the accuracy */
	ML_AVERAGE_WEIGHTED,		/* mean weighted by the actual rows of the class */
	ML_AVERAGE_BINARY			/* class 1 alone; 0/0 is undefined */
} MlAverage;

/* The sums behind the regression metrics, with w = weight, e = actual - predicted. */
enum
{
	ML_REG_N,					/* rows */
	ML_REG_W,
	ML_REG_ORIGIN,				/* the first row's y: not a sum, ml_regression_merge knows */
	ML_REG_Y,					/* w (y - origin) */
	ML_REG_YY,
	ML_REG_E,
	ML_REG_EE,
	ML_REG_ABS_E,
	ML_REG_ABS_Y,
	ML_REG_MAPE,				/* w |e| / max(|y|, 2.2e-16), of y <> 0 */
	ML_REG_SMAPE,				/* w 2 |e| / (|y| + |predicted|), 0 where both are 0 */
	ML_REG_ZEROS,				/* rows with y = 0 */
	ML_REG_SUMS
};

/* Extremes that merge by the maximum; start at -infinity. */
enum
{
	ML_REG_MAX_ABS_E,
	ML_REG_MAX_Y,
	ML_REG_MINUS_MIN_Y,
	ML_REG_EXTREMES
};

/* The sums behind log loss and Brier score. */
enum
{
	ML_PROB_N,
	ML_PROB_W,
	ML_PROB_LOG,				/* w -ln(probability of what happened) */
	ML_PROB_BRIER,				/* w (y - p)^2 */
	ML_PROB_SUMS
};

extern void ml_regression_add(MlSum *sums, double *extremes, double actual, double predicted, double weight);
extern void ml_regression_merge(MlSum *sums, const MlSum *other);
extern double ml_regression_metric(const MlSum *sums, const double *extremes, MlMetric metric, const char **undefined);
extern double ml_log_loss_of(double probability);
/* Returns the row's log loss. */
extern double ml_probability_add(MlSum *sums, bool actual, double probability, double weight);
extern double ml_probability_metric(const MlSum *sums, MlMetric metric, const char **undefined);

/* cells: k x k weights, row-major, actual by predicted. */
extern double ml_confusion_metric(const double *cells, int k, MlMetric metric, MlAverage average,
								  const char **undefined);
/*
 * Derivatives of a metric by the hits, actual and predicted weight of class i,
 * the others held: what a row more in cell (i, j) does to it is by_hits[i] if
 * i = j, plus by_actual[i], plus by_predicted[j].
 */
extern void ml_confusion_slopes(const double *cells, int k, MlMetric metric, MlAverage average, double value,
								double *by_hits, double *by_actual, double *by_predicted);
/* Variance of the metric by the delta method; squares: k x k sums of squared weights. */
extern double ml_confusion_variance(const double *cells, const double *squares, int k,
									MlMetric metric, MlAverage average, double value);

/* 22023 for what cannot be measured. */
extern void ml_check_finite(double value, const char *what);
extern void ml_check_probability(double value);
extern void ml_check_weight(double value);

/*
 * The accumulator as state of an aggregate: no intervals; two classes may be
 * treated as "many" (a probability each, macro averages); classes may be added.
 * actual and predicted_class are class numbers.
 */
extern MlMetrics *ml_metrics_create_plain(uint32 task, int classes, bool binary, bool spill);
extern void ml_metrics_grow(MlMetrics *m, int classes);
extern void ml_metrics_add_class(MlMetrics *m, int actual, int predicted_class, const double *probabilities,
								 double weight);
/* map: classes of `other` as classes of m, or NULL: the same. */
extern void ml_metrics_merge(MlMetrics *m, MlMetrics *other, const int *map);
extern void ml_metrics_pack(MlMetrics *m, StringInfo buf);
extern MlMetrics *ml_metrics_unpack(StringInfo buf, bool spill);
extern uint32 ml_metrics_task(const MlMetrics *m);
extern int	ml_metrics_classes(const MlMetrics *m);
extern double ml_metrics_rows(const MlMetrics *m);
extern double ml_metrics_auc(MlMetrics *m, const char **undefined);
extern bool ml_metrics_spilled(const MlMetrics *m);

/* ---- results in SQL ---- */

/* {"rows": n, name: value or null, "undefined": {name: reason}} */
extern Datum ml_metric_values_to_jsonb(const MlMetricValue *values, int n, double rows);

/*
 * The memory that an aggregate's state lives in (0A000 outside of one), and
 * whether files can be closed at its end: not in a window frame.
 */
extern MemoryContext ml_aggregate_context(FunctionCallInfo fcinfo, bool *spill);

/* The log loss of one row, from an object of probabilities by class. */
extern double ml_class_log_loss(const text *actual, Jsonb *probabilities);

/* The array of composites that the running function returns. */
typedef struct MlPoints MlPoints;
extern MlPoints *ml_points_begin(FunctionCallInfo fcinfo);
extern void ml_points_add(MlPoints *points, Datum *values);	/* no nulls */
extern Datum ml_points_array(MlPoints *points);

/*
 * The flat state of an aggregate in argument 0, to be changed in place: the
 * transition value itself within an aggregate, else a copy.  Other arguments
 * (combine functions, calls by hand): always a plain, aligned copy.
 */
extern void *ml_flat_state(FunctionCallInfo fcinfo, int arg);
extern void ml_flat_state_damaged(void) ML_NORETURN;

#endif
