/*
 * monitor.h - a batch of rows counted against a model's training profile, and
 * what the counts say; shared by monitor.c, batch.c and judge.c.
 */
#ifndef ML_MONITOR_MONITOR_H
#define ML_MONITOR_MONITOR_H

#include "core/model.h"
#include "core/source.h"
#include "eval/metrics.h"
#include "nodes/pg_list.h"

/* What has thresholds of its own; names in judge.c. */
typedef enum MlMeasure
{
	ML_MEASURE_PSI,
	ML_MEASURE_KS,
	ML_MEASURE_JENSEN_SHANNON,
	ML_MEASURE_WASSERSTEIN,		/* in standard deviations of the training rows */
	ML_MEASURE_CHI_SQUARE,		/* as Cohen's w */
	ML_MEASURE_NULL_SHARE,		/* more than in training */
	ML_MEASURE_NEW_CATEGORIES,
	ML_MEASURE_OUT_OF_RANGE,
	ML_MEASURE_NOT_PREDICTED,
	ML_MEASURE_SCORE,			/* how far a metric of which more is better has fallen */
	ML_MEASURE_ERROR,			/* by what share of itself one of which less is better has grown */
	ML_MEASURES
} MlMeasure;

typedef struct MlMonitorOptions
{
	double		warn[ML_MEASURES];
	double		alert[ML_MEASURES];
	double		false_alarms;	/* probability of any false alarm in a run */
	int			min_rows;		/* of a segment that is judged */
	int			max_segments;
} MlMonitorOptions;

/* Defaults, changed by what `given` (an object, or NULL) says; 22023. */
extern void ml_monitor_options(MlMonitorOptions *options, Jsonb *given);

/* The rows of a segment, or all, counted. */
typedef struct MlBatch
{
	const char *segment;		/* NULL: all rows */
	double		rows;
	uint64	  **count;			/* per cell: bins, then NaN; NULL for a category */
	double	   *beyond;			/* per cell: sum of distances from the training range */
	double	  **levels;			/* per cell: rows of each category, then those of new ones; NULL for a number */
	double	   *nulls;			/* per cell of a category */

	double		predicted;
	double		failed;			/* rows the model cannot predict */
	uint64	   *prediction;		/* bins, then NaN */
	double		prediction_beyond;
	double	   *class_rows;
	MlMetrics  *metrics;		/* with actual values, else NULL */
	double		unknown;		/* rows of a class that the model does not know */

	/* Without actual values, what the probabilities make of them. */
	double		hits[2];		/* expected, of rows predicted to be class 0 and 1; with more classes: all in [1] */
	double		misses[2];
	double		hit_variance;
	double		brier;
	double		log_loss;
	double	   *expected[2];	/* two classes: expected rows of class 0 and 1 by bin of the prediction */

	/* Rows not yet counted. */
	int			n;
	double	   *cells;
	double	   *y;
} MlBatch;

typedef struct MlMonitor
{
	const MlModel *model;
	const MlProfile *profile;
	const MlSource *source;
	const char *actual;			/* column, or NULL */
	const char *segment;		/* column, or NULL */
	MlMonitorOptions options;
	MlBatch    *whole;
	List	   *segments;		/* of MlBatch */
	double		rows;
	double		no_segment;		/* rows whose segment is NULL: counted in whole alone */
	List	   *findings;		/* of MlFinding */
} MlMonitor;

/* Reads the source; sets whole and segments.  54000 for more segments than options allow. */
extern void ml_monitor_scan(MlMonitor *m);

/* A line of the result; NaN is NULL. */
typedef struct MlFinding
{
	const char *segment;
	const char *subject;		/* batch, feature, prediction, performance */
	const char *feature;
	const char *measure;
	double		reference;		/* in training, or on the holdout */
	double		value;
	double		low;			/* 95 % */
	double		high;
	double		warn;
	double		alert;
	double		noise;
	const char *verdict;		/* NULL: not judged */
	double		n;
} MlFinding;

extern void ml_monitor_judge(MlMonitor *m);

#endif
