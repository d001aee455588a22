/*
 * compat.h - the one place where PostgreSQL versions differ.  14 to 18.
 */
#ifndef ML_COMPAT_H
#define ML_COMPAT_H

#include "postgres.h"
#if PG_VERSION_NUM < 160000
/* As in later versions: what the server looks up stays visible under -fvisibility=hidden. */
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif
#include "fmgr.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 140000
#error "ml_ext needs PostgreSQL 14 or later"
#endif

/* The functions of the install script; the library exports nothing else. */
#define ML_FUNCTION(name) \
	PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name); \
	Datum name(PG_FUNCTION_ARGS)

#endif
