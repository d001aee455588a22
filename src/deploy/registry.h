/*
 * registry.h - how the SQL functions that keep models read their arguments and
 * lock what they change; registry.c and lifecycle.c.
 */
#ifndef ML_REGISTRY_SQL_H
#define ML_REGISTRY_SQL_H

#include "core/acl.h"

/* A model whose row is locked, and the work as the catalog's owner under way. */
typedef struct MlLocked
{
	MlCatalogModel model;
	Oid			promoter;		/* promotion is reserved to it; InvalidOid: it is not */
	MlOwnerWork work;
	MemoryContext cxt;			/* the caller's: SPI has its own, which ends with the work */
} MlLocked;

extern char *ml_keep_text(FunctionCallInfo fcinfo, int n, const char *name);	/* 22004 for NULL */
extern char *ml_keep_model(FunctionCallInfo fcinfo);	/* the first argument, where only a whole model makes sense */

/*
 * The first argument, where a version may stand behind the name or in the second
 * argument.  False when it stands in neither.
 */
typedef struct MlKeepVersion
{
	char		name[NAMEDATALEN];
	char		alias[NAMEDATALEN];
	int			version;		/* or ML_CURRENT, ML_CHALLENGER, ML_ALIAS */
} MlKeepVersion;

extern bool ml_keep_version(FunctionCallInfo fcinfo, MlKeepVersion *wanted);
extern void ml_keep_version_required(FunctionCallInfo fcinfo, MlKeepVersion *wanted);

/* Locks the row until the transaction ends, for a caller with that privilege. */
extern void ml_keep_lock(const char *name, MlPrivilege need, MlLocked *locked);

/* Where promotion is reserved, only to those to whom it is; otherwise to those who may manage. */
extern void ml_keep_lock_promote(const char *name, MlLocked *locked);

/* What decides which version a name means is reserved, too; others need not call it.  42501. */
extern void ml_keep_require_promoter(const MlLocked *locked);
extern void ml_keep_require_other_author(const MlLocked *locked, int version);

/* The number of the version, which exists: 42704; and may be used by more than its number: 55000. */
extern int	ml_keep_number(const MlLocked *locked, const MlKeepVersion *wanted);
extern void ml_keep_not_archived(const MlLocked *locked, int version);

/* Makes another version the current one, whose right to it was checked. */
extern void ml_keep_make_current(const MlLocked *locked, int version);

/* Statements with the model as $1 and a version as $2. */
extern uint64 ml_keep_run(const MlLocked *locked, const char *sql);
extern uint64 ml_keep_run_version(const MlLocked *locked, const char *sql, int version);

/* Ends the work and writes the audit; the detail may come from SPI's memory. */
extern void ml_keep_done(MlLocked *locked, const char *action, int version, const char *detail);

#endif
