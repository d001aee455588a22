/*
 * host.h - the backend side of what ml.h offers to algorithms: memory against
 * the budget, warnings, errors, interrupts, and the bytes of a payload.
 */
#ifndef ML_HOST_H
#define ML_HOST_H

#include "core/compat.h"
#include "access/tupdesc.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"
#include "ml.h"

struct MlWriter
{
	StringInfoData buf;
	int			rest;			/* where ml_write_rest was called; -1: it was not */
};

struct MlReader
{
	const char *data;
	size_t		size;
	size_t		at;
	size_t		rest;			/* where ml_read_rest must be called; SIZE_MAX: it has been, or may be anywhere */
	bool		brief;			/* what follows `rest` is not there */
};

/* The rows of a fit, from whoever has them; the first field of his own struct. */
struct MlData
{
	uint64		rows;
	void		(*rewind) (MlData *data);
	bool		(*next) (MlData *data, MlTile *tile);
};

extern Size ml_budget_bytes(void);	/* maintenance_work_mem */

/*
 * 53200 with the need and the setting to raise, unless `bytes` more, beside what
 * ml_alloc has given out in the current context, fit the budget.
 */
extern void ml_budget_check(Size bytes, const char *what);

/*
 * Large pieces of memory, which may take longer than a cancel should wait: with
 * interrupts let through on the way.  Not counted against the budget.
 */
extern void *ml_alloc_zeroed(Size bytes);
extern void *ml_alloc_copy(const void *from, Size bytes);

/*
 * While set, ml_warn appends a copy of each distinct message here (allocated in
 * `cxt`) and sends it as WARNING (01000) the first time; `quiet` keeps the
 * list only.  Without any sink there are WARNINGs only.  pop makes the one
 * before `sink` current again; an abort of the (sub)transaction does so too.
 */
typedef struct MlWarnings
{
	MemoryContext cxt;
	List	   *messages;		/* of char * */
	bool		quiet;
} MlWarnings;
extern void ml_warnings_push(MlWarnings *sink);
extern void ml_warnings_pop(const MlWarnings *sink);

/*
 * The learning curve of a fit: its last point, and of the others those whose number is a
 * multiple of `every`, which doubles when there is no room.
 */
#define ML_LEARNING_ROOM 128
typedef struct MlLearning
{
	int			n;
	int			every;
	int			best;			/* iterations after which the objective on rows kept apart was least */
	double		least;			/* infinite: none were */
	struct
	{
		int			iterations;
		double		objective;	/* NaN: not known */
		double		held_out;
	}			point[ML_LEARNING_ROOM];
} MlLearning;
extern MlLearning *ml_learning_create(void);
extern void ml_learning_add(MlLearning *learning, int iterations, double objective, double held_out);

/* Where ml_report_learning puts its points from now on, NULL: nowhere; returns what it was. */
extern MlLearning *ml_learning_start(MlLearning *learning);

/* {"best": n or null, "points": [[iterations, objective, held out], ...]}; NULL when there are fewer than two. */
extern char *ml_learning_json(const MlLearning *learning);

/* Lines of ml_describe: pairs of text, number as float8out would print it. */
struct MlRows
{
	List	   *items;			/* of char * */
	List	   *values;			/* of char *, in step */
	const struct MlModel *model;	/* that is described: for names */
};

/* Rows of a set-returning function that is declared with OUT columns or RETURNS TABLE. */
typedef struct MlResultRows
{
	Tuplestorestate *store;
	TupleDesc	desc;
} MlResultRows;
extern void ml_result_begin(FunctionCallInfo fcinfo, MlResultRows *result);
extern void ml_result_add(MlResultRows *result, const Datum *values, const bool *nulls);

extern void ml_writer_init(MlWriter *writer);
extern void ml_reader_init(MlReader *reader, const char *data, size_t size);

#endif
