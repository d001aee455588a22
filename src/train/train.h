/*
 * train.h - how a training is described and carried out; shared by ml_train,
 * ml_fit and ml_cv.
 */
#ifndef ML_TRAIN_TRAIN_H
#define ML_TRAIN_TRAIN_H

#include "core/dataset.h"
#include "core/encode.h"
#include "core/fingerprint.h"
#include "core/host.h"
#include "core/model.h"
#include "core/params.h"
#include "core/preprocess.h"
#include "core/source.h"
#include "num/moments.h"
#include "train/rival.h"

/* The arguments of ml_train and its kin, NULL where not given. */
typedef struct MlRequest
{
	const char *source;
	const char *target;
	const char *algorithm;
	Jsonb	   *params;
	char	  **features;		/* nfeatures < 0: all columns */
	int			nfeatures;
	char	  **exclude;
	int			nexclude;
	const char *task;
	const char *weight;
	double		holdout;		/* share */
	const char *split_by;
	const char *order_by;
	int64		seed;
} MlRequest;

/*
 * A training: what was asked, what the source has, the rows once collected.
 * Everything lives in `cxt`, which the caller deletes.
 */
typedef struct MlTraining
{
	MlRequest	request;
	MemoryContext cxt;
	MlSource   *source;
	const MlAlgorithm *algorithm;
	bool		compares;		/* without an algorithm named, several are tried; set before ml_training_open */
	bool		algorithm_open; /* they are still to be tried */
	bool		stores;			/* a model comes of it; otherwise it is only measured */
	Jsonb	   *params_json;	/* all, with defaults */
	void	   *params;
	MlCoreParams core;
	uint32		task;			/* 0 until the target is known */
	MlWarnings	warnings;

	/* Parameter "continue", or NULL: the model that the training goes on from, with its schema and encoder. */
	MlModel    *start;
	char	   *start_name;
	int			start_version;

	/* Columns read: features, then target, weight, offset, split_by, order_by, group when there. */
	MlSchema   *schema;			/* of the features */
	int		   *feature_column; /* source column of each */
	int			target_column;	/* source columns, or -1; no target: y is 0 */
	int			weight_column;
	int			offset_column;
	int			split_column;
	int			order_column;
	int			group_column;	/* of a parameter "group" */

	bool	   *named;			/* per feature column: asked for by name, not found by "all columns" */
	MlConverter *converters;	/* per feature column, then the target's */

	/* Collected rows as stored: cells, y, u, then w, offset, order, group, key, the rival's outputs when there. */
	MlDataset  *rows;
	int			stored_width;
	int		   *stored;			/* stored position of each double of a row as handed out */
	MlDataset  *sample;			/* some of the rows, in memory; or NULL */
	double		sample_share;
	MlDataset  *reading;		/* rows or sample: what ml_rows_next reads */
	double	   *pending;		/* a tile on its way to the dataset */
	int			npending;

	/* Rows as handed out by ml_rows_next: only the cells of columns still in the schema. */
	int			width;
	int			at_y;
	int			at_u;			/* uniform in [0, 1), from position or group and seed */
	int			at_w;			/* -1: none */
	int			at_offset;		/* -1: none */
	int			at_order;		/* -1: none; minus the order_by value, so that the latest come first */
	int			at_group;		/* -1: none; a number of the group */
	int			at_key;			/* a number like u, but the row's own where u is that of its group */

	MlSummary  *summaries;		/* ncells, of all rows */
	MlSummary  *y_summary;		/* number targets */
	MlDict	   *target_dict;	/* classes in order of appearance, or NULL: y is a number */
	double	   *label_value;	/* classes of a number target, sorted; or NULL */
	double	   *code_rows;		/* rows per dictionary code */
	int			ncodes;
	int		   *class_of;		/* dictionary code -> class */
	int			classes;
	char	  **labels;
	double	   *class_rows;		/* rows per class */
	double	   *class_weight;	/* or NULL; of the rows that the last fit learned from */

	bool		fingerprinted;	/* wanted: `fingerprint` */
	MlFingerprint fingerprint;	/* of the rows that are used */

	struct MlScored *scored;	/* where ml_score_rows is to put predictions, or NULL */
	MlRival    *rival;			/* a model to be measured on the holdout as well; NULL: none */
	bool		duel;			/* rows scored now go to it, too */
	int			at_rival;		/* its outputs in a row; -1: none */
	struct MlCurves *curves;	/* of the rows that ml_score_rows sees, too; or NULL */

	bool		keep_measured;	/* what is fitted on a part of the rows is the model to be stored */
	int			repeat;			/* reshuffles u for repeated splits; 0: as collected */
	int64		rows_read;
	int64		rows_used;
	int64		rows_no_target;
	int64		rows_missing;	/* dropped by impute = drop */
	int64		rows_nonfinite;	/* dropped by nonfinite = drop */
} MlTraining;

/* resume.c: of a training with `start`; the first one sets it, if it is asked for. */
extern void ml_resume_open(MlTraining *t);
extern void ml_resume_features(MlTraining *t);
extern void ml_resume_classes(MlTraining *t);

/* Shared by train.c, collect.c, settle.c and texts.c. */
extern bool ml_name_in(const char *name, char *const *names, int n);
#define ML_MAX_CLASSES 1000
#define ML_MAX_LEVELS 100000	/* of a category column; found by "all columns" it is an identifier beyond */
extern void ml_settle_algorithm(MlTraining *t);	/* when the task is known */
extern void ml_training_settle(MlTraining *t);
extern void ml_nothing_to_learn(const MlTraining *t, const char *why) ML_NORETURN;
extern bool ml_number_target(const MlTraining *t);
extern bool ml_too_many_levels(const MlDict *dict);
extern void ml_warn_row_number(const MlTraining *t, const MlColumn *col, const MlSummary *s);
extern const char *ml_texts_look_like(const MlDict *dict, int *share, int *of);
extern void ml_warn_texts(const char *what, const char *name, const MlDict *dict);
extern void ml_too_many_classes(const MlTraining *t) ML_NORETURN;

/* Disjoint parts of the rows, by class and split number u. */
typedef struct MlSplit
{
	int			nparts;
	double	   *bound;			/* classes (at least 1) x nparts: part i has u below bound i */
} MlSplit;

/* Rows a fit or a score may see: those whose part is (not) the given one. */
typedef struct MlMask
{
	const MlSplit *split;		/* NULL: all rows */
	int			part;
	bool		inside;			/* the rows of `part`; otherwise all others */
	bool		before;			/* only parts behind `part` (earlier in time) */
	int			folds;			/* with > 0: and only rows inside or outside inner fold `fold` */
	int			fold;
	bool		fold_inside;
} MlMask;

/* One whose states of pass 0 are moments: rows can be added and taken away. */
#define ml_algorithm_additive(a) \
	(((a)->flags & (ML_SUBTRACTS | ML_NO_FEATURES)) == ML_SUBTRACTS && (a)->squared_error == ml_moments_model_error)

extern void ml_balance_classes(MlTraining *t, const MlMask *mask);

extern void ml_training_open(MlTraining *t, const MlRequest *request);
extern void ml_training_params(MlTraining *t, Jsonb *given);	/* of t->algorithm */

/* choose.c: the algorithm when none is named; on `mask`, the one that does best there. */
extern void ml_choose_first(MlTraining *t, bool compare);
extern void ml_choose_algorithm(MlTraining *t, const MlMask *mask);

extern void ml_training_collect(MlTraining *t);
extern MlSplit *ml_training_split(MlTraining *t, int nparts, const double *shares);

/* Up to ML_TILE_ROWS rows, valid until the next are asked for. */
typedef struct MlRowView
{
	const double *row[ML_TILE_ROWS];
	double	   *remapped;		/* rows that are not handed out as they are stored */
} MlRowView;
extern void ml_rows_start(MlTraining *t);

/* The next rows that pass the mask; returns how many, 0 at the end. */
extern int	ml_rows_next(MlTraining *t, const MlMask *mask, MlRowView *view);
extern int	ml_row_fold(double u, int folds);	/* inner fold of a row */

/* Pieces of a row. */
extern double ml_row_target(const MlTraining *t, const double *row);	/* value or class number */
extern double ml_row_weight(const MlTraining *t, const double *row);

/* learn.c */
#define ML_TARGET_FOLDS 5

typedef struct MlOutOfFold
{
	double	  **values;			/* per schema column: folds x (levels + 1 for NULL); or NULL */
} MlOutOfFold;

extern bool ml_any_target_encoding(const MlTraining *t);
extern MlOutOfFold *ml_learn_out_of_fold(MlTraining *t, const MlMask *mask, const MlEncoder *enc);
extern void ml_out_of_fold_free(const MlTraining *t, MlOutOfFold *oof);
extern void ml_out_of_fold_row(const MlTraining *t, const MlEncoder *enc, const MlOutOfFold *oof,
							   const double *row, double *x);
extern MlEncoder *ml_learn_encoder(MlTraining *t, const MlMask *mask);
extern double ml_exact_quantile(MlTraining *t, const MlMask *mask, int cell, double q);

/* fit.c: a fitted model and what is needed to use and store it. */
typedef struct MlFit
{
	MlEncoder  *encoder;
	MlProblem	problem;
	void	   *model;
	double	   *carry;			/* warm start */
	size_t		ncarry;
	double	   *prior;			/* mean of the target, P(class 1), or class shares */
	double		prior_weight;
	int			passes;
	const char *stop;
	bool		converged;
	MlLearning *learning;		/* NULL: of no interest */
	double	   *state;			/* with keep_state: of pass 0 over all rows */
	size_t		nstate;
	MemoryContext cxt;			/* with algorithm->fit: where the model lives; NULL: where the rest does */
	bool		outside;		/* the model is not in memory: predictions go by ml_ahead_begin */
} MlFit;
extern MlFit *ml_fit_rows(MlTraining *t, const MlMask *mask, const void *params, const MlFit *start);
extern void ml_fit_free(MlFit *fit);	/* the model; prior and carry stay */

/*
 * Predictions by a fit's model, row by row in the order in which `next` hands out tiles; begin starts the
 * rows anew, for it may have to read all of them first.
 */
typedef struct MlAhead MlAhead;
extern MlAhead *ml_ahead_begin(MlTraining *t, const MlFit *fit, bool (*next) (void *reader, MlTile *tile), void *reader);
extern const double *ml_ahead_row(MlAhead *ahead, const double *x);	/* valid until the next one */
extern void ml_ahead_end(MlAhead *ahead);

/* Sum of the weighted losses of the rows of `test` after a fit to those of `train`, and the first `room` of them. */
extern double ml_row_losses(MlTraining *t, const MlMask *train, const MlMask *test, const void *params,
							double *loss, int room, int *n);
extern const void *ml_choose_params(MlTraining *t, const MlMask *mask);	/* "cv" replaced by numbers */

/* lineage.c: of collected rows; and of the whole training, as JSON */
extern bool ml_plain_fingerprint(const MlTraining *t);
extern void ml_training_fingerprint(MlTraining *t);
extern char *ml_training_lineage(const MlTraining *t, const MlRequest *given, const char *notes, int64 holdout_rows);

/* constraints.c: parameters of types signs and sets */
extern void ml_constraints_check(const MlTraining *t);	/* their columns are features */
extern void ml_constraints_set(const MlTraining *t, const MlEncoder *enc, const void *params, MlProblem *problem);

/* profile.c: predictions of rows that the predicting model has not seen, some of them when there are many. */
#define ML_SCORED_ROOM 65536
typedef struct MlScored
{
	int			classes;
	int64		n;				/* rows */
	int			kept;			/* of them */
	double	   *value;			/* ML_SCORED_ROOM: value, probability of class 1, or of the likeliest class */
	double	   *hit;			/* ML_SCORED_ROOM: 1 when class 1, or the likeliest one, came true; else 0 */
	double	   *class_rows;		/* with more than 2 classes */
} MlScored;
extern MlScored *ml_scored_create(int classes);
extern void ml_scored_add(MlScored *scored, double y, const double *out);

/* Predictions of some rows of a table that streamed by; NULL when the source is no table. */
extern MlScored *ml_scored_sample(MlTraining *t, const MlFit *fit);

/* What the model is to remember of the rows; `scored` may be NULL, `collected`: t->rows are there. */
extern MlProfile *ml_training_profile(MlTraining *t, const MlScored *scored, bool collected);

struct MlMetrics;
extern void ml_score_rows(MlTraining *t, const MlMask *mask, const MlFit *fit, const double *dummy,
						  struct MlMetrics *model, struct MlMetrics *baseline);

#endif
