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
#include "storage/shmem.h"		/* mul_size, until a minor release of each version moved it to palloc.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 140000
#error "ml_ext needs PostgreSQL 14 or later"
#endif

/*
 * A Var says from 16 on which outer joins may null it, and from 18 on whether
 * it is of the old or new row in RETURNING, which may not be there; expandRTE
 * asks for the latter.  Macros: most files need no parser headers.
 */
#if PG_VERSION_NUM >= 180000
#define ml_var_nulled(var) \
	((var)->varnullingrels != NULL || (var)->varreturningtype != VAR_RETURNING_DEFAULT)
#define ml_expand_rte(rte, var, dropped, names, vars) \
	expandRTE(rte, (var)->varno, (var)->varlevelsup, VAR_RETURNING_DEFAULT, -1, dropped, names, vars)
#else
#if PG_VERSION_NUM >= 160000
#define ml_var_nulled(var) ((var)->varnullingrels != NULL)
#else
#define ml_var_nulled(var) ((void) (var), false)
#endif
#define ml_expand_rte(rte, var, dropped, names, vars) \
	expandRTE(rte, (var)->varno, (var)->varlevelsup, -1, dropped, names, vars)
#endif

#if PG_VERSION_NUM >= 160000
#define ml_function_aclcheck(function, role) \
	object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE)
#define ml_schema_aclcheck(schema, role) \
	object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE)
#else
#define ml_function_aclcheck(function, role) pg_proc_aclcheck(function, role, ACL_EXECUTE)
#define ml_schema_aclcheck(schema, role) pg_namespace_aclcheck(schema, role, ACL_USAGE)
#endif

/* The i-th (from 1) entry of the local copy of the backends' states. */
#if PG_VERSION_NUM >= 160000
#define ml_local_beentry(i) pgstat_get_local_beentry_by_index(i)
#else
#define ml_local_beentry(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* Intervals can be infinite from 17 on. */
#if PG_VERSION_NUM < 170000
#define INTERVAL_IS_NOBEGIN(i) ((void) (i), false)
#define INTERVAL_IS_NOEND(i) ((void) (i), false)
#endif

/* The last argument says where errors go from 16 on, and before whether there are none. */
#if PG_VERSION_NUM >= 160000
#define ml_parse_type(text, type, typmod) ((void) parseTypeString(text, type, typmod, NULL))
#else
#define ml_parse_type(text, type, typmod) parseTypeString(text, type, typmod, false)
#endif

/* Views that read their tables with the rights of who asks. */
#define ML_HAS_SECURITY_INVOKER (PG_VERSION_NUM >= 150000)

/* The functions of the install script; the library exports nothing else. */
#define ML_FUNCTION(name) \
	PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name); \
	Datum name(PG_FUNCTION_ARGS)

#endif
