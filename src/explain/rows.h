/*
 * rows.h - rows of a source as a model sees them, held in memory to be changed
 * and predicted again: what permutation importance and partial dependence need.
 */
#ifndef ML_EXPLAIN_ROWS_H
#define ML_EXPLAIN_ROWS_H

#include "core/catalog.h"
#include "core/model.h"
#include "core/source.h"

typedef struct MlSampleRows
{
	const MlModel *model;
	int			n;
	int64		read;			/* rows that the source gave, without those that have no target */
	double	   *cells;			/* n x ncells, in the order they were read */
	double	   *y;				/* n: target value or class number; NULL when not asked for */
	int64	   *number;			/* n: of the row among those read, from 1 */
	double	   *x;				/* p: scratch */
	double	   *out;			/* outputs: scratch */
} MlSampleRows;

/* The model of argument 0, a name or a value, and whether the caller may do that with it; lives in the current context. */
extern const MlModel *ml_rows_model(FunctionCallInfo fcinfo, MlPrivilege need);

/* Arguments: 22004 when NULL, 22023 beyond the range. */
extern int	ml_rows_int(FunctionCallInfo fcinfo, int n, const char *name, int min, int max);
extern char *ml_rows_text(FunctionCallInfo fcinfo, int n, const char *name);

/*
 * All rows of the source, or a seeded sample of `most` of them, which does not
 * depend on their order where the source is a table; a NOTICE says so.  Runs as the caller.
 */
extern MlSampleRows *ml_rows_read(const MlModel *model, const char *source, bool target, int most, int64 seed);

/* Encodes cells (22004, 22023 when the model refuses them) and predicts them into rows->out. */
extern void ml_rows_predict(MlSampleRows *rows, const double *cells);

#endif
