/*
 * source.h - where training rows come from: a relation or one SELECT, run as the
 * caller, and the pump that pushes every row of a query into C.
 */
#ifndef ML_SOURCE_H
#define ML_SOURCE_H

#include "core/compat.h"
#include "lib/stringinfo.h"
#include "storage/itemptr.h"

typedef struct MlSourceColumn
{
	char	   *name;
	Oid			type;
	int32		typmod;
	Oid			collation;
} MlSourceColumn;

typedef struct MlSource
{
	const char *text;			/* as given */
	Oid			relid;			/* of a relation; InvalidOid for a SELECT */
	bool		position;		/* ctid identifies a row from scan to scan */
	bool		parted;			/* ... together with tableoid */
	char	   *from;			/* FROM item with alias s (c1, c2, ...) */
	int			ncolumns;
	MlSourceColumn *columns;
	double		rows_estimate;	/* the planner's */
} MlSource;

/* Analyses the text once; 42P01, 42601, 0A000 as the server words them. */
extern MlSource *ml_source_open(const char *text);

/* Column number, or -1; 42702 when two columns have this name. */
extern int	ml_source_find(const MlSource *source, const char *name);

/* As above, but 42703 with the nearest name as hint. */
extern int	ml_source_column(const MlSource *source, const char *name);

/* Appends "s.c<i + 1>" for each listed column, separated by commas. */
extern void ml_source_targets(StringInfo sql, const int *columns, int n);

/* A row of a pass: the columns asked for, in that order. */
typedef struct MlRow
{
	const Datum *values;
	const bool *isnull;
	uint64		position;		/* of the row in its table where the source has such; else its number, from 1 */
} MlRow;

/*
 * Reads the columns of all rows, to completion, in this process, and calls `row`
 * for each in a memory context that is reset afterwards.
 */
typedef void (*MlRowFunction) (void *arg, const MlRow *row);
extern void ml_stream(const MlSource *source, const int *columns, int n, MlRowFunction row, void *arg);

/* One number for ctid and, where a source has several tables, tableoid (otherwise 0). */
static inline uint64
ml_row_position(ItemPointer tid, Oid table)
{
	return (((uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16) |
			ItemPointerGetOffsetNumberNoCheck(tid)) ^ ((uint64) table << 48);
}

/* Whether any of n flags is set, eight at a time. */
static inline bool
ml_any_null(const bool *isnull, int n)
{
	uint64		any = 0;
	int			i = 0;

	for (; i + 8 <= n; i += 8)
	{
		uint64		eight;

		memcpy(&eight, isnull + i, 8);
		any |= eight;
	}
	for (; i < n; i++)
		any |= isnull[i];
	return any != 0;
}

/*
 * The single value of an aggregate query with one parameter, if the planner
 * chooses a parallel plan for it; otherwise nothing is run and false returned.
 * The value is copied into the current context.
 */
extern bool ml_stream_parallel(const char *sql, Oid argtype, Datum arg, Datum *result, bool *isnull);

#endif
