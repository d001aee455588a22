/*
 * rival.h - another model's predictions for the rows of a training, and what they
 * lose beside those of the model just fitted, row by row.
 */
#ifndef ML_TRAIN_RIVAL_H
#define ML_TRAIN_RIVAL_H

#include "core/model.h"
#include "core/source.h"
#include "eval/paired.h"
#include "utils/hsearch.h"

struct MlTraining;

extern MlLoss ml_loss_parse(const char *name, bool classes);	/* NULL: rmse, log_loss; 22023 */
extern const char *ml_loss_name(MlLoss loss);

typedef struct MlDuelResult
{
	MlLoss		loss;
	int64		rows;			/* that both were measured on */
	int64		unscored;		/* that the rival could not predict: left out for both */
	double		rival;			/* its loss */
	double		value;			/* that of the model just fitted */
	double		difference;		/* value - rival */
	double		low;			/* 90 %: high < 0 is a one-sided test at 5 %; NaN when it cannot be told */
	double		high;
} MlDuelResult;

typedef struct MlRival
{
	const MlModel *model;		/* lives longer than the training */
	const char *asked;			/* name of the loss; NULL: the task's own */
	const char *missing;		/* a column that the source does not have: no comparison */
	bool		differs;		/* another target, task or kind of classes: no comparison */
	int			outputs;		/* doubles a stored row keeps of it */
	int		   *column;			/* source column, for each column of the model */
	MlConverter *converters;
	double	   *cells;
	double	   *x;
	int		   *class_of;		/* class of the training -> the rival's, or -1 */
	HTAB	   *clusters;		/* of rows that belong together (split_by); NULL: each stands for itself */
	MlPaired	sums;			/* over them: weight, loss of the rival, difference */
	MlDuelResult result;
	bool		measured;
} MlRival;

/* When the source is known; sets `missing` when it lacks a column. */
extern void ml_rival_open(MlRival *rival, const struct MlTraining *t);

/* Its outputs for a row whose values stand in its order of columns; NaN where its policy forbids the row. */
extern void ml_rival_predict(MlRival *rival, const MlRow *row, int first, double *out);

/* A row of the holdout: class number or value, the new model's output, the rival's; cluster: equal where rows belong together. */
extern void ml_rival_begin(MlRival *rival, const struct MlTraining *t);
extern void ml_rival_add(MlRival *rival, const struct MlTraining *t, double y, const double *out,
						 const double *rival_out, double w, double cluster);
extern void ml_rival_end(MlRival *rival);

#endif
