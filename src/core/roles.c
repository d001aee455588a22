/*
 * roles.c - keeps DROP ROLE from leaving models without an owner, and grants
 * without a grantee, whose number another role could get one day.
 *
 * Rows are no objects to the server.  So each role that owns a model, holds a grant
 * or has promotion reserved to it gets an entry in pg_shdepend, as if it had been
 * granted something on the view ml.roles: DROP ROLE then refuses in any database and
 * names the view, which says what is in the way.  REASSIGN OWNED and DROP OWNED leave
 * the entry alone; ml_reassign, ml_revoke and ml_drop take it away with its reason.
 *
 * An entry is made and looked for under a lock on the role that conflicts with the
 * one under which it is taken away.  The latter is not waited for: an entry that
 * stays too long only keeps a role, until ml_role_sync is called again.
 */
#include "core/roles.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/acl.h"

#define LOCK_TRIES 200			/* a millisecond apart */
#define MAX_ROLES 4				/* owner and promoter, before and after */

/* The view that stands for all rows about roles. */
static Oid
roles_view(void)
{
	Oid			relid = get_relname_relid("roles", get_namespace_oid("ml", true));

	if (!OidIsValid(relid) ||
		getExtensionOfObject(RelationRelationId, relid) != get_extension_oid("ml_ext", false))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"ml.%s\" does not belong to extension \"ml_ext\"", "roles")));
	return relid;
}

/* Finds the entries of a role, and deletes them if told so. */
static bool
find_entries(Oid role, bool delete)
{
	Oid			view = roles_view();
	Relation	rel = table_open(SharedDependRelationId, delete ? RowExclusiveLock : AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(AuthIdRelationId));
	ScanKeyInit(&keys[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
	scan = systable_beginscan(rel, SharedDependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_shdepend entry = (Form_pg_shdepend) GETSTRUCT(tuple);

		if (entry->dbid != MyDatabaseId || entry->classid != RelationRelationId || entry->objid != view ||
			entry->deptype != SHARED_DEPENDENCY_ACL)
			continue;
		found = true;
		if (delete)
			CatalogTupleDelete(rel, &tuple->t_self);
	}
	systable_endscan(scan);
	table_close(rel, delete ? RowExclusiveLock : AccessShareLock);
	return found;
}

bool
ml_role_known(Oid role)
{
	return role < FirstNormalObjectId || find_entries(role, false);
}

static void
add_entry(Oid role)
{
	ObjectAddress view = {RelationRelationId, roles_view(), 0};
	ObjectAddress referenced = {AuthIdRelationId, role, 0};

	LockSharedObject(AuthIdRelationId, role, 0, RowShareLock);
	if (find_entries(role, false))
		return;
	recordSharedDependencyOn(&view, &referenced, SHARED_DEPENDENCY_ACL);	/* fails when the role was dropped */
	CommandCounterIncrement();
}

/* Whether any row of schema ml needs the role. */
static bool
needed(Oid role)
{
	Oid			types[] = {REGROLEOID};
	Datum		values[] = {ObjectIdGetDatum(role)};
	MlOwnerWork work;
	bool		found;

	ml_owner_begin(&work);
	found = ml_owner_run("SELECT 1 WHERE EXISTS (SELECT FROM ml.model WHERE owner = $1)"
						 " OR EXISTS (SELECT FROM ml.model WHERE promoter = $1)"
						 " OR EXISTS (SELECT FROM ml.privilege WHERE grantee = $1)", 1, types, values, NULL) > 0;
	ml_owner_end(&work);
	return found;
}

static void
remove_entry(Oid role)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, AuthIdRelationId, role, 0);
	/* who waited for a transaction goes on while that one still has its last locks */
	for (int i = 0; LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL; i++)
	{
		if (i == LOCK_TRIES)
			return;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(1000);
	}
	if (needed(role))
		return;
	find_entries(role, true);
	CommandCounterIncrement();
}

void
ml_role_sync(Oid role)
{
	if (role < FirstNormalObjectId || !OidIsValid(role))
		return;
	if (needed(role))
		add_entry(role);
	else if (find_entries(role, false))
		remove_entry(role);
}

/* Adds the roles that a row names, each once. */
static int
roles_of(const TriggerData *trigger, HeapTuple tuple, Oid *roles, int n)
{
	static const char *const columns[] = {"owner", "promoter", "grantee"};
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	for (int c = 0; tuple != NULL && c < lengthof(columns); c++)
	{
		int			column = SPI_fnumber(desc, columns[c]);
		bool		isnull;
		Oid			role;
		int			i = 0;

		if (column <= 0 || TupleDescAttr(desc, column - 1)->atttypid != REGROLEOID)
			continue;
		role = DatumGetObjectId(heap_getattr(tuple, column, desc, &isnull));
		while (!isnull && i < n && roles[i] != role)
			i++;
		if (!isnull && i == n && n < MAX_ROLES)
			roles[n++] = role;
	}
	return n;
}

/*
 * Roles in a new row are needed, whatever else there is; the others have to be
 * looked for.  A row that changed otherwise costs nothing.
 */
void
ml_roles_changed(const TriggerData *trigger)
{
	Oid			roles[MAX_ROLES];
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	bool		delete = TRIGGER_FIRED_BY_DELETE(trigger->tg_event);
	int			now = delete ? 0 : roles_of(trigger, update ? trigger->tg_newtuple : trigger->tg_trigtuple, roles, 0);
	int			all = update || delete ? roles_of(trigger, trigger->tg_trigtuple, roles, now) : now;

	for (int i = 0; i < now; i++)
		if (OidIsValid(roles[i]) && roles[i] >= FirstNormalObjectId)
			add_entry(roles[i]);
	for (int i = now; i < all; i++)
		ml_role_sync(roles[i]);
}
