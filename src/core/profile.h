/*
 * profile.h - what a model remembers of the rows it was trained on, beyond their
 * summaries: what the monitoring compares new rows with.
 */
#ifndef ML_PROFILE_H
#define ML_PROFILE_H

#include "core/compat.h"
#include "core/host.h"
#include "core/schema.h"
#include "num/grid.h"

/* A metric on the holdout, with its 95 % interval; NaN where not known. */
typedef struct MlProfileMetric
{
	char	   *name;
	double		value;
	double		low;
	double		high;
	bool		higher_is_better;
} MlProfileMetric;

typedef struct MlProfile
{
	int			ncells;
	MlGrid	  **grids;			/* per cell; NULL for a category */
	double	  **levels;			/* per cell: rows of each code of the dictionary; NULL for a number */
	int		   *nlevels;		/* per cell */
	bool	   *levels_exact;	/* per cell: counted, not estimated from a sketch */
	double	   *nulls;			/* per cell */
	double		rows;

	/* Predictions of rows that the predicting model had not seen; rows 0: none are known. */
	double		predicted;		/* rows */
	MlGrid	   *prediction;		/* value, probability of class 1, or with more classes that of the likeliest; or NULL */
	int			classes;		/* more than 2, or 0 */
	double	   *class_rows;		/* rows predicted to be in each, or NULL */
	int			nrates;			/* 0, or the grid's bins: */
	double	   *rate;			/* how often a prediction in this bin came true, isotonic */
	int			nmetrics;
	MlProfileMetric *metrics;
} MlProfile;

/* What the summaries alone tell, in the current context: counts are estimates past ML_KLL_EXACT rows. */
extern MlProfile *ml_profile_of_summaries(const MlSchema *schema, const MlSummary *summaries, int n);

extern void ml_profile_save(const MlProfile *profile, MlWriter *writer);

/* In the current context; XX001 when it does not go with the schema and the classes. */
extern MlProfile *ml_profile_load(MlReader *reader, const MlSchema *schema, int classes);

#endif
