/*
 * host.h - what unit test programs have beside ml.h: TAP output, errors that can
 * be caught, and readers and writers over plain memory.
 */
#ifndef ML_TEST_HOST_H
#define ML_TEST_HOST_H

#include <setjmp.h>
#include <stdio.h>

#include "ml.h"

struct MlWriter
{
	char	   *data;			/* all zero at first; the program frees data */
	size_t		size;
	size_t		room;
	size_t		rest;			/* where ml_write_rest was called */
};

struct MlReader
{
	const char *data;
	size_t		size;
	size_t		at;
	bool		brief;			/* nothing follows ml_read_rest */
};

struct MlRows
{
	FILE	   *out;
};

/* One test line; returns `good`. */
extern bool ml_test_ok(bool good, const char *format,...) ML_PRINTF(2, 3);

/* Prints the plan, frees what ml_alloc gave; the program's exit status. */
extern int	ml_test_done(void);

/* The next error jumps to the returned buffer, see host.c. */
extern jmp_buf *ml_test_catch(void);
extern void ml_test_uncatch(void);
extern void ml_test_fail(const char *sqlstate, const char *format,...) ML_PRINTF(2, 3) ML_NORETURN;
extern void ml_test_free_all(void);

/* Bytes that ml_alloc may have given out and not got back; at first without end. */
extern size_t ml_test_budget;

/* Rows for a fit; the arrays are the caller's, w, offset, u and group may be NULL (u: from the row's number). */
extern MlData *ml_test_data(uint64_t rows, int p, const double *x, const double *y, const double *w,
							const double *offset, const double *u, const double *group);

extern char ml_test_message[];	/* of the last error */
extern const char *ml_test_sqlstate;	/* of the last error */
extern char ml_test_warning[];	/* the last one */
extern int	ml_test_warnings;	/* how many */

#endif
