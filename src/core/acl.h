/*
 * acl.h - rows of the catalog as the current user may see them; shared by
 * catalog.c, acl.c, store.c, cache.c and the SQL functions that keep models.
 */
#ifndef ML_ACL_H
#define ML_ACL_H

#include "core/catalog.h"
#include "datatype/timestamp.h"
#include "storage/itemptr.h"

#define ML_NO_PRIVILEGE ((MlPrivilege) 0)

/* A model, by value; `level` is what the role that was asked about may do. */
typedef struct MlCatalogModel
{
	int64		model_id;
	char		name[NAMEDATALEN];
	Oid			owner;
	int			current;		/* version */
	MlPrivilege level;
} MlCatalogModel;

/* A version without its bytes; tid and xmin say whether it is still the same row. */
typedef struct MlCatalogVersion
{
	int64		version_id;
	int64		model_id;
	int			version;
	ItemPointerData tid;
	TransactionId xmin;
} MlCatalogVersion;

/* What stands after the '@' of a model's name; versions are > 0. */
#define ML_CURRENT 0			/* nothing, or "champion" */
#define ML_CHALLENGER (-1)		/* that alias, or else the newest version that is neither current nor archived */
#define ML_ALIAS (-2)			/* a name of its own */

/*
 * Splits 'name@version'; false when nothing stands after the name.  42602 for what
 * can be no version.  `alias` has room for a name, and gets one with ML_ALIAS.
 */
extern bool ml_catalog_split(const char *text, char *name, int *version, char *alias);
extern bool ml_catalog_alias_fits(const char *alias);	/* can it stand behind "@"? */

/* The version that an alias names, 0 when there is none. */
extern int	ml_catalog_alias(int64 model_id, const char *alias);

/* False when there is no such row.  No privilege is required: look at `level`. */
extern bool ml_catalog_find(const char *name, Oid role, MlCatalogModel *model);
extern bool ml_catalog_find_id(int64 model_id, Oid role, MlCatalogModel *model);
extern bool ml_catalog_find_version(int64 version_id, MlCatalogVersion *version);

/* A name and what stands behind it, as ml_catalog_split takes them apart; no stray bytes. */
typedef struct MlMeantKey
{
	NameData	name;
	NameData	alias;
	int			wanted;
} MlMeantKey;

/* What it means to the statement with that snapshot. */
typedef struct MlMeantRow
{
	MlMeantKey	key;
	MlSnapshotTag tag;
	int64		model_id;
	int64		version_id;
	int			version;
	int			uses;			/* calls that asked for it to predict */
	Oid			role;			/* the last of them: its role, what it needed, and the client's statement */
	MlPrivilege need;
	TimestampTz statement;
} MlMeantRow;

/*
 * The entry for the current statement, made when there is none; model_id is 0 then.
 * NULL: there is nothing to remember it by, or no need: the processes of a parallel
 * query read under one snapshot.  Valid until anything else is looked up.
 */
extern MlMeantRow *ml_meant_find(const char *name, int wanted, const char *alias);

/*
 * Forgets what names have meant: changes of this transaction were rolled back to a
 * savepoint.  The numbers of a snapshot may be the same as before.
 */
extern void ml_meant_undone(void);

/*
 * What the name has meant to another call of this statement stays when the model is
 * dropped or renamed meanwhile.  False: nothing, or the role may not use it any more.
 */
extern bool ml_meant_keep(const char *name, int wanted, const char *alias, MlPrivilege need, MlModelRef *ref);

/* Grows with every change of a model, a version or a privilege that reaches this backend. */
extern uint64 ml_catalog_generation(void);
extern void ml_catalog_invalidate(Datum arg, Oid relid);	/* relcache callback */
extern Oid	ml_catalog_owner(void);	/* of the tables */

/* 42704 without any privilege (as for a missing model), 42501 with too little of it. */
extern void ml_acl_require(const MlCatalogModel *model, MlPrivilege need);
extern void ml_acl_missing(const char *name) ML_NORETURN;
extern MlPrivilege ml_acl_parse(const char *privilege);	/* 22023 */
extern const char *ml_acl_name(MlPrivilege privilege);

/* Work as the owner of the catalog, by SPI; undone by abort when an error ends it. */
typedef struct MlOwnerWork
{
	Oid			role;
	int			context;
	int			nest;
} MlOwnerWork;

extern void ml_owner_begin(MlOwnerWork *work);
extern uint64 ml_owner_run(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);
extern int64 ml_owner_int(int column);	/* int4 or int8 of the first row that came back; 0 for NULL */
extern void ml_owner_end(MlOwnerWork *work);

#endif
