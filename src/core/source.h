/*
 * source.h - where training rows come from: a relation or one SELECT, run as the
 * caller, and the pump that pushes every row of a query into C.
 */
#ifndef ML_SOURCE_H
#define ML_SOURCE_H

#include "core/compat.h"
#include "executor/tuptable.h"
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
	char	   *item;			/* FROM item: the relation's full name, or the SELECT in parentheses */
	char	   *from;			/* the same with alias s (c1, c2, ...) */
	int			ncolumns;
	MlSourceColumn *columns;
	double		rows_estimate;	/* the planner's */
	bool		row_security;	/* policies decide which rows there are, now and for this role */
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

/* `n` columns from `from` on in a stored row are wanted from `to` on. */
typedef struct MlRun
{
	int			from;
	int			to;
	int			n;
} MlRun;

/* Wanted columns as runs of stored ones: side by side they need no copying. */
typedef struct MlStoredColumns
{
	int			natts;			/* to be taken out of a stored row */
	int			nruns;
	MlRun	   *runs;
	Datum	   *values;			/* with several runs: collected here */
	bool	   *isnull;
} MlStoredColumns;

/* In the current memory context; columns count from 0. */
extern void ml_stored_columns(MlStoredColumns *stored, const int *columns, int n);

/* The wanted columns of a row as it lies in its table; the slot knows its ctid. */
static inline void
ml_stored_row(MlStoredColumns *stored, TupleTableSlot *slot, MlRow *row)
{
	HeapTuple	tuple = TTS_IS_BUFFERTUPLE(slot) ? ((BufferHeapTupleTableSlot *) slot)->base.tuple : NULL;

	if (tuple == NULL)
		elog(ERROR, "scan of a whole table gives a slot without a tuple");
	slot_getsomeattrs(slot, stored->natts);
	/* An aggregate hands out a copy of its first row, which has no tid in the slot. */
	row->position = ml_row_position(&tuple->t_self, 0);
	if (stored->nruns == 1)
	{
		row->values = slot->tts_values + stored->runs[0].from;
		row->isnull = slot->tts_isnull + stored->runs[0].from;
		return;
	}
	for (int i = 0; i < stored->nruns; i++)
	{
		MlRun		run = stored->runs[i];

		memcpy(stored->values + run.to, slot->tts_values + run.from, run.n * sizeof(Datum));
		memcpy(stored->isnull + run.to, slot->tts_isnull + run.from, run.n * sizeof(bool));
	}
	row->values = stored->values;
	row->isnull = stored->isnull;
}

/*
 * The single value of an aggregate query, if the planner chooses a parallel plan
 * for it; otherwise nothing is run and false returned.  $1 is the argument and
 * $2 false.  With `stored` the rows must come from the source's table as they
 * are stored, or nothing is run.  The value is copied into the current context.
 */
extern bool ml_stream_parallel(const MlSource *source, const char *sql, bool stored, Oid argtype, Datum arg,
							   Datum *result, bool *isnull);

#endif
