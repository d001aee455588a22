/*
 * audit.c - writes ml.audit_log, and keeps everybody from changing what it says.
 *
 * The table belongs to the superuser as whom the extension was made, also where
 * the owner of the database made it: its owner could switch the guard off.  The
 * owner of the extension may read it and add rows, which pg_dump and its restore
 * need; a row that does not come from ml_audit is marked `restored`.
 */
#include "core/audit.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/acl.h"

static bool writing = false;	/* the row that is being inserted comes from ml_audit */

/* The owner of the log; 42P01 when it is no longer ours. */
static Oid
log_owner(void)
{
	Oid			relid = get_relname_relid("audit_log", get_namespace_oid("ml", true));
	HeapTuple	tuple;
	Oid			owner;

	if (!OidIsValid(relid) ||
		getExtensionOfObject(RelationRelationId, relid) != get_extension_oid("ml_ext", false))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"ml.audit_log\" does not belong to extension \"ml_ext\"")));
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* As its owner, which is a superuser: one statement, whose text and types are fixed. */
static void
insert_row(Datum *values, const char *nulls)
{
	Oid			types[] = {NAMEOID, OIDOID, NAMEOID, TEXTOID, INT8OID, NAMEOID, INT4OID, JSONBOID};
	MlOwnerWork work;

	ml_owner_begin_as(&work, log_owner());
	PG_TRY();
	{
		writing = true;
		ml_owner_run("INSERT INTO ml.audit_log (role, role_id, session_role, action, model_id, model, version, detail)"
					 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", lengthof(types), types, values, nulls);
	}
	PG_FINALLY();
	{
		writing = false;
	}
	PG_END_TRY();
	ml_owner_end(&work);
}

void
ml_audit(const char *action, int64 model_id, const char *name, int version, const char *detail)
{
	NameData	role;
	NameData	session;
	NameData	model;
	Datum		values[8];
	char		nulls[] = "        ";

	namestrcpy(&role, GetUserNameFromId(GetUserId(), false));
	namestrcpy(&session, GetUserNameFromId(GetSessionUserId(), false));
	namestrcpy(&model, name);
	if (RecoveryInProgress())
	{
		ereport(LOG,
				(errmsg("audit: role \"%s\" did \"%s\" with model \"%s\" on a standby", NameStr(role), action, name)));
		return;
	}
	values[0] = NameGetDatum(&role);
	values[1] = ObjectIdGetDatum(GetUserId());
	values[2] = NameGetDatum(&session);
	values[3] = CStringGetTextDatum(action);
	values[4] = Int64GetDatum(model_id);
	values[5] = NameGetDatum(&model);
	values[6] = Int32GetDatum(version);
	nulls[6] = version > 0 ? ' ' : 'n';
	values[7] = detail ? DirectFunctionCall1(jsonb_in, CStringGetDatum(detail)) : (Datum) 0;
	nulls[7] = detail ? ' ' : 'n';
	insert_row(values, nulls);
}

/* Trigger of the log: rows come, and none changes or goes. */
ML_FUNCTION(ml_sql_audit_guard)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	int			column;
	Datum		value = BoolGetDatum(true);
	bool		isnull = false;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"audit_guard\" can only be called as a trigger")));
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event) && TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
	{
		if (writing)
			return PointerGetDatum(trigger->tg_trigtuple);
		column = SPI_fnumber(RelationGetDescr(trigger->tg_relation), "restored");
		if (column <= 0)
			elog(ERROR, "table \"%s\" has no column \"restored\"", RelationGetRelationName(trigger->tg_relation));
		return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation),
														 1, &column, &value, &isnull));
	}
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("rows of \"%s\" cannot be changed or deleted", RelationGetRelationName(trigger->tg_relation)),
				 errdetail("Only a superuser may do so.")));
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		return PointerGetDatum(NULL);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple);
}
