/*
 * predict.h - a call site: one place in one running query that applies a model
 * to rows, with everything looked up that does not change from row to row.
 */
#ifndef ML_PREDICT_H
#define ML_PREDICT_H

#include "core/catalog.h"
#include "core/model.h"
#include "core/schema.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"

/* How the model is named: by the declared type of the first argument. */
typedef enum MlModelForm
{
	ML_BY_NAME = 1,				/* text */
	ML_BY_VERSION,				/* bigint, text: what the planner writes for a name */
	ML_BY_VALUE					/* ml_model */
} MlModelForm;

/* How the row arrives: by the declared type of the row argument. */
typedef enum MlRowForm
{
	ML_NO_ROW = 1,
	ML_ROW_RECORD,
	ML_ROW_JSONB,
	ML_ROW_NUMBERS,				/* float8[], in the order of the model's columns */
	ML_ROW_COLUMNS				/* VARIADIC "any": likewise, what the planner writes */
} MlRowForm;

/* Where one column of the model comes from. */
typedef struct MlInput
{
	MlConverter converter;
	int			position;		/* index into the row's values, or the arguments */
	int			cell;			/* first cell */
	Oid			direct;			/* FLOAT8OID, FLOAT4OID, INT8OID, INT4OID, INT2OID: converted in place */
} MlInput;

typedef struct MlSite
{
	/* Fixed for the life of the site. */
	MemoryContext model_cxt;	/* holds what depends on the model, and pins it */
	MemoryContext row_cxt;		/* holds what depends on the row type too */
	MlModelForm model_form;
	MlRowForm	row_form;
	int			row_arg;		/* argument: the row, or its first column */
	int			class_arg;		/* argument with the class, or -1 */
	int			names_arg;		/* ML_ROW_COLUMNS: argument with the columns' names, or -1: they are those of the model, in its order */
	bool		in_order;		/* ML_ROW_COLUMNS: they are, whether there are names or not */
	MlPrivilege need;
	bool		brief;			/* a version is read for predictions alone (model.h) */
	bool		model_const;	/* the model argument is a constant of the query */

	/* The model; NULL: none yet. */
	const MlModel *model;
	Oid			role;			/* whose privilege was checked */
	uint64		generation;		/* of the catalog when the name was resolved */
	int64		model_id;		/* of a name: whose privileges count */
	TimestampTz statement;		/* that looked last whether the catalog has changed */
	MlSnapshotTag snapshot;		/* and the snapshot of that moment */
	bytea	   *key;			/* ML_BY_VALUE: toast pointer or id; else the name */
	int64		planned;		/* ML_BY_VERSION: the number given */
	int64		version_id;		/* unless ML_BY_VALUE */
	int			outputs;		/* numbers that algorithm->predict writes */
	double	   *cells;
	double	   *x;
	double	   *out;

	/* The row type, for ML_ROW_RECORD and ML_ROW_COLUMNS. */
	bool		row_ready;
	uint64		row_type;		/* as assign_record_type_identifier numbers them */
	Datum	   *values;
	bool	   *nulls;
	MlInput    *inputs;			/* one per schema column */
	bool		all_float8;		/* ML_ROW_COLUMNS: argument i is cell i as it stands */

	/* ml_probability: the class asked for last. */
	bytea	   *class_key;
	int			class_number;

	TupleDesc	result;			/* of a function that returns a row */
} MlSite;

/*
 * The site of this call with the model of this call in it: found in fn_extra,
 * or made.  The privilege is checked when the model is looked up, which is
 * once a query.  NULL: the model argument is NULL.
 */
extern MlSite *ml_site(FunctionCallInfo fcinfo, MlPrivilege need);

/* For more than predictions: the model is never brief. */
extern MlSite *ml_site_detailed(FunctionCallInfo fcinfo, MlPrivilege need);

/* The model of this call again, with its summaries, in the current context. */
extern MlModel *ml_site_whole_model(const MlSite *site, FunctionCallInfo fcinfo);

/* Reads, converts and encodes the row of this call into site->x. */
extern void ml_site_encode(MlSite *site, FunctionCallInfo fcinfo);

/* ml_site_encode, then the model: site->out. */
extern void ml_site_predict(MlSite *site, FunctionCallInfo fcinfo);
extern void ml_check_prediction(double value);	/* 22003 unless it is finite */

/* After ml_site_encode: the value of a schema column as text, NULL for NULL. */
extern char *ml_site_value(MlSite *site, FunctionCallInfo fcinfo, int column);

/* The most likely class after ml_site_predict; the first of equals. */
extern int	ml_site_class(const MlSite *site);

/*
 * Answers with a set of rows: the tuplestore that the function fills before it
 * returns a NULL datum.
 */
struct Tuplestorestate;
extern struct Tuplestorestate *ml_look_begin(FunctionCallInfo fcinfo, TupleDesc *tupdesc);

#endif
