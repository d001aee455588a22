/*
 * server.h - see server.c.
 */
#ifndef ML_FUZZ_SERVER_H
#define ML_FUZZ_SERVER_H

#include "core/compat.h"

extern int	fuzz_sqlstate;		/* of the last error */
extern char fuzz_message[];
extern void fuzz_reset(void);	/* frees all memory */

#endif
