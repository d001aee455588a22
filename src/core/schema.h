/*
 * schema.h - the columns a model is trained on, and how their SQL values become
 * "cells": raw doubles, before encoding.
 *
 * A column has one cell, an array column one per element.  NULL is NaN.  A
 * category's cell is its code in the column's dictionary, or ML_UNSEEN.
 */
#ifndef ML_SCHEMA_H
#define ML_SCHEMA_H

#include "core/compat.h"
#include "core/host.h"

#define ML_UNSEEN (-1.0)

typedef enum MlKind
{
	ML_NUMBER = 1,				/* int2/4/8, float4/8, numeric, money is not one */
	ML_BOOLEAN,					/* 0 or 1 */
	ML_CATEGORY,				/* text, varchar, char, name, enum, uuid; numbers when asked */
	ML_DATE,					/* seconds since 2000-01-01, like the two below */
	ML_TIMESTAMP,
	ML_TIMESTAMPTZ,				/* parts are taken in UTC */
	ML_INTERVAL,				/* seconds, a month being 30 days */
	ML_TIME,					/* seconds since midnight */
	ML_ARRAY					/* of numbers, fixed length; also pgvector's vector */
} MlKind;

/* Values of a category column, byte for byte, numbered in order of appearance. */
typedef struct MlDict MlDict;
extern MlDict *ml_dict_create(MemoryContext cxt);
extern int	ml_dict_find(const MlDict *dict, const char *bytes, int len);	/* code or -1 */
extern int	ml_dict_intern(MlDict *dict, const char *bytes, int len);	/* code; counts its memory */
extern int	ml_dict_size(const MlDict *dict);
extern const char *ml_dict_get(const MlDict *dict, int code, int *len);	/* also NUL-terminated */
extern Size ml_dict_bytes(const MlDict *dict);	/* memory held */

typedef struct MlColumn
{
	char	   *name;
	char	   *type;			/* as format_type prints it: for people */
	MlKind		kind;
	int			cells;
	int			first_cell;		/* position of the first in a row's cells */
	MlDict	   *dict;			/* ML_CATEGORY only */
} MlColumn;

typedef struct MlSchema
{
	int			ncolumns;
	int			ncells;
	MlColumn   *columns;
} MlSchema;

/* How a value of one SQL type becomes cells; looked up once per query. */
typedef struct MlConverter
{
	const MlColumn *column;
	Oid			type;			/* base type: domains are looked through */
	int			how;			/* a switch in ml_convert */
	FmgrInfo	out;			/* text output, for categories that need it */
	bool		intern;			/* training: new categories get a code */
} MlConverter;

/* The kind that a type has by default, or 0 when it cannot be a feature. */
extern MlKind ml_kind_of_type(Oid type);

/* 42804 unless values of `type` can be given for `column` (an int for a numeric, say). */
extern void ml_converter_init(MlConverter *converter, const MlColumn *column, Oid type, bool intern);

/* Writes column->cells doubles.  NaN and infinities of the input are passed on as given. */
extern void ml_convert(MlConverter *converter, Datum value, bool isnull, double *cells);

/* Elements of an array (or vector) value; the column's cells need not be known yet. */
extern int	ml_array_length(MlConverter *converter, Datum value);

/* The same from jsonb: number, string, boolean, null; 42804 names column and JSON type. */
struct JsonbValue;
extern void ml_convert_json(const MlColumn *column, const struct JsonbValue *value, double *cells);

/* The one text of a number, boolean, date or time, which is its category; palloc'd. */
extern char *ml_label_text(Oid type, Datum value);

extern int	ml_schema_find(const MlSchema *schema, const char *name);	/* or -1 */

#endif
