/*
 * catalog.h - named, versioned models in schema ml, and who may do what.
 *
 * A model on which the current user has no privilege looks exactly like a
 * missing one: 42704, model "x" does not exist.  With some privilege but too
 * little of it, it is 42501, permission denied for model "x".
 */
#ifndef ML_CATALOG_H
#define ML_CATALOG_H

#include "core/compat.h"
#include "core/fingerprint.h"
#include "core/model.h"

/* manage includes view, view includes predict; owner and superuser have all. */
typedef enum MlPrivilege
{
	ML_PREDICT = 1,
	ML_VIEW,
	ML_MANAGE
} MlPrivilege;

typedef struct MlModelRef
{
	int64		model_id;
	int64		version_id;		/* immutable: the key of caches */
	int			version;
	char		name[NAMEDATALEN];
} MlModelRef;

/* 'churn', 'churn@3', 'churn@champion', 'churn@challenger'.  False only when missing_ok. */
extern bool ml_catalog_resolve(const char *text, MlPrivilege need, bool missing_ok, MlModelRef *ref);

/*
 * The same for a prediction in a query: a name means one version in all of a
 * statement, that of its snapshot, whatever is committed meanwhile, and in all
 * processes of a parallel one.  The plan is made earlier, with what the name means then.
 */
extern bool ml_catalog_resolve_plan(const char *text, MlPrivilege need, MlModelRef *ref);
extern void ml_catalog_resolve_query(const char *text, MlPrivilege need, MlModelRef *ref);

/*
 * When the version that it gave cannot be read any more: a snapshot can show a change
 * whose message to forget what is remembered comes later.
 */
extern void ml_catalog_resolve_again(const char *text, MlPrivilege need, MlModelRef *ref);

/* From now on this version, in the current statement; 40001 if another call has used the other one. */
extern void ml_catalog_stay(const char *text, int64 version_id);
extern void ml_catalog_changed_columns(const char *name) ML_NORETURN;

/* Tells snapshots apart. */
typedef struct MlSnapshotTag
{
	bool		set;			/* false: there is no snapshot */
	TransactionId xmin;
	TransactionId xmax;
	uint32		xcnt;
	int32		subxcnt;
	CommandId	curcid;
} MlSnapshotTag;

extern void ml_snapshot_tag(MlSnapshotTag *tag);	/* of the active snapshot */
extern bool ml_snapshot_same(const MlSnapshotTag *a, const MlSnapshotTag *b);

/* For what has worked with a version since it was resolved. */
extern void ml_catalog_check(int64 version_id, MlPrivilege need);

/* The stored value, detoasted, in the current context.  No privilege check; 42704 when gone. */
extern struct varlena *ml_catalog_payload(int64 version_id);
extern void ml_catalog_version_missing(int64 version_id) ML_NORETURN;

/* The same, or its head (ml_model_head), and its model; NULL when gone, or of another model than the wanted one, unless that is 0. */
extern struct varlena *ml_catalog_value_if_any(int64 version_id, int64 wanted, bool head, int64 *model_id);

/* What a version's row says beyond the model itself. */
typedef struct MlVersionRow
{
	const char *source;			/* as given */
	int64		rows_read;
	int64		rows_used;
	int64		rows_dropped;
	int64		seed;
	const char *metric;			/* main metric on the holdout; NULL when there is none */
	double		value;			/* NaN: NULL */
	double		baseline;		/* NaN: NULL */
	List	   *warnings;		/* of char * */
	double		elapsed;		/* seconds */
	const char *notes;			/* NULL: none */
	const char *action;			/* for the audit; NULL: train */
	const char *detail;			/* more members of the audit's JSON object, each after ", "; NULL: none */
	bool		challenger;		/* does not become the current version, unless it is the first */
	int			parent;			/* version that this one was made from; 0: the current one, if there is one */
	bytea	   *state;			/* for ml.training_state; NULL: not kept */
	const MlFingerprint *fingerprint;	/* of the rows; NULL: not known */
	const char *lineage;		/* a JSON object, see train/lineage.c; "parent" is added; NULL: nothing is known */
} MlVersionRow;

/*
 * Adds a version under the name (a new model owned by the current user, or the
 * next version of one that the user may manage) and makes it the current one,
 * unless promotion is reserved (docs/security.md) or the row says otherwise;
 * writes the audit.
 * Waits for a concurrent training of the same name to commit or roll back.
 * 42501-free: a name taken by a model that the user may not manage is
 * 42710 "model "x" already exists" only if the user may at least see it, and
 * otherwise the same message, since the name itself is taken.
 * Returns the version number.
 */
extern int	ml_catalog_store(const char *name, struct varlena *value, const MlModel *model,
							 const MlVersionRow *row);

/* What ml_catalog_store would refuse, to be asked before rows are read. */
extern void ml_catalog_check_store(const char *name);

/* A name that can be used: 42602 for empty, over-long, or with '@'. */
extern void ml_catalog_check_name(const char *name);


/* The relation whose relcache invalidation means "some model changed". */
extern Oid	ml_catalog_relation(void);

#endif
