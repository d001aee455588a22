/*
 * additive.h - a version whose training state was kept, and more rows for it.
 */
#ifndef ML_DEPLOY_ADDITIVE_H
#define ML_DEPLOY_ADDITIVE_H

#include "core/model.h"
#include "core/preprocess.h"
#include "deploy/recipe.h"
#include "eval/metrics.h"
#include "train/trained.h"

/* Everything lives in the context that was current when it was opened. */
typedef struct MlAdditive
{
	MlRecipe	recipe;
	MlModel    *model;			/* whole, of our own */
	MlCoreParams core;
	void	   *params;
	MlProblem	problem;
	MlFit		fit;			/* its state: of all rows learned from */
	bool		cv;				/* a penalty was chosen by cross-validation */
	bool		imputed;		/* some NULL was filled with a statistic of the rows */

	/* The rows of a source, encoded as the model does. */
	MlSource   *source;
	int		   *columns;
	int			ncolumns;
	MlConverter *converters;
	MlConverter target;
	MlConverter weight;
	int			weight_at;		/* among the columns read; -1: none */
	double	   *cells;			/* of the rows of a tile */
	double	   *x;
	double	   *y;
	double	   *w;
	int			pending;
	double	   *out;
	double	   *state;			/* of the rows read */
	bool		adds;			/* they go into summaries and metrics, too */
	bool		strict;			/* every value must be one that the model knows */
	double		prior;			/* mean of the target so far */
	MlMetrics  *metrics;		/* the model on the rows read; of a model that knows the mean alone */
	MlMetrics  *baseline;
	int64		rows_read;
	int64		rows_used;
	int64		unseen;			/* values that the model does not know */
	bool		hashed;			/* the fingerprint can be told */
	MlFingerprint fingerprint;
} MlAdditive;

/* NULL when it can be used, else why not: nothing was kept, say. */
extern char *ml_additive_open(MlAdditive *a, const char *name);
extern void ml_additive_read(MlAdditive *a, const char *source);

/* A model from a->fit.state; false: the data is too nearly dependent for one reading. */
extern bool ml_additive_finish(MlAdditive *a);

/* Stores the model; `what` is update or forget, with a JSON object of what was done. */
extern int	ml_additive_store(MlAdditive *a, const char *what, const char *object, MlVersionRow *row);

#endif
