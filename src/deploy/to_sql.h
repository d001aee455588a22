/*
 * to_sql.h - a model as one SQL expression: to_sql.c writes columns, to_sql_formula.c
 * what the algorithm makes of them.
 */
#ifndef ML_TO_SQL_H
#define ML_TO_SQL_H

#include "core/model.h"
#include "lib/stringinfo.h"

/*
 * To parse and plan the expression takes about 20 us a piece, for every query with it: a
 * second at most.
 */
#define ML_SQL_MAX_PIECES 50000	/* numbers and texts */
#define ML_SQL_MAX_DEPTH 500	/* conditions in each other: some hundred bytes of stack each, in every phase of a query */

typedef struct MlSqlColumns
{
	const MlEncoder *encoder;
	const char *alias;			/* of the row; NULL: columns without one */
	int64		pieces;			/* written so far */
} MlSqlColumns;

extern void ml_sql_number(StringInfo s, double value);
extern void ml_sql_piece(MlSqlColumns *c, int64 n);	/* counts; 54000 beyond the limit */

/* The number in encoded column j; NULL where it is missing. */
extern void ml_sql_encoded(StringInfo s, MlSqlColumns *c, int j);

/* Can encoded column j as well be written wherever it is used? */
extern bool ml_sql_is_short(const MlSqlColumns *c, int j);

/* A condition: whether the category in column j is one of those with a bit. */
extern void ml_sql_level_in(StringInfo s, MlSqlColumns *c, int j, const uint32 *bits, int nwords, bool inside);

/* Terms of sum weight (x - center), as palloc'd text. */
extern List *ml_sql_linear(MlSqlColumns *c, const double *weight, const double *center);

/* A condition: whether ml_predict would refuse the row; nothing when it never does. */
extern void ml_sql_refused(StringInfo s, MlSqlColumns *c);

/* What algorithm->predict computes.  class: number, or -1 for the text of the most likely one. */
extern char *ml_sql_formula(MlSqlColumns *c, const MlModel *model, int class);

#endif
