/*
 * audit.c - writes ml.audit_log, and keeps everybody from changing what it says.
 *
 * The table belongs to the superuser as whom the extension was made, also where
 * the owner of the database made it: its owner could switch the guard off.  The
 * owner of the extension may read it and add rows, which pg_dump and its restore
 * need; the guard marks them as `restored`.
 *
 * Our own rows go straight into the table and its indexes, as the server writes its
 * catalogs: no statement, trigger or default runs, and nobody's rights are needed.
 */
#include "core/audit.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#define COLUMNS 11

static const struct
{
	const char *name;
	Oid			type;
}			columns[COLUMNS] = {
	{"audit_id", INT8OID}, {"at", TIMESTAMPTZOID}, {"role", NAMEOID}, {"role_id", OIDOID},
	{"session_role", NAMEOID}, {"action", TEXTOID}, {"model_id", INT8OID}, {"model", NAMEOID},
	{"version", INT4OID}, {"detail", JSONBOID}, {"restored", BOOLOID}
};

static Oid
own_relation(const char *name)
{
	Oid			relid = get_relname_relid(name, get_namespace_oid("ml", true));

	if (!OidIsValid(relid) ||
		getExtensionOfObject(RelationRelationId, relid) != get_extension_oid("ml_ext", false))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"ml.%s\" does not belong to extension \"ml_ext\"", name)));
	return relid;
}

/* Opens the log, whose columns and indexes must be those that we made. */
static Relation
open_log(void)
{
	Relation	rel = table_open(own_relation("audit_log"), RowExclusiveLock);
	bool		good = rel->rd_rel->relkind == RELKIND_RELATION && RelationGetDescr(rel)->natts == COLUMNS;
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;

	for (int i = 0; good && i < COLUMNS; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		good = strcmp(NameStr(att->attname), columns[i].name) == 0 && att->atttypid == columns[i].type;
	}
	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		/* Expressions would be the code of whoever made the index. */
		good &= heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL) &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL) && !index->rd_index->indisexclusion;
		index_close(index, AccessShareLock);
	}
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"ml.%s\" is not as extension \"ml_ext\" made it", "audit_log")));
	return rel;
}

void
ml_audit(const char *action, int64 model_id, const char *name, int version, const char *detail)
{
	NameData	role;
	NameData	session;
	NameData	model;
	Relation	rel;
	HeapTuple	tuple;
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {false};

	namestrcpy(&role, GetUserNameFromId(GetUserId(), false));
	namestrcpy(&session, GetUserNameFromId(GetSessionUserId(), false));
	namestrcpy(&model, name);
	if (RecoveryInProgress())
	{
		ereport(LOG,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("audit: role \"%s\" did \"%s\" with model \"%s\" on a standby", NameStr(role), action, name)));
		return;
	}
	PreventCommandIfReadOnly(action);
	rel = open_log();
	values[0] = Int64GetDatum(nextval_internal(own_relation("audit_log_audit_id_seq"), false));
	values[1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[2] = NameGetDatum(&role);
	values[3] = ObjectIdGetDatum(GetUserId());
	values[4] = NameGetDatum(&session);
	values[5] = CStringGetTextDatum(action);
	values[6] = Int64GetDatum(model_id);
	values[7] = NameGetDatum(&model);
	values[8] = Int32GetDatum(version);
	nulls[8] = version <= 0;
	values[9] = detail ? DirectFunctionCall1(jsonb_in, CStringGetDatum(detail)) : (Datum) 0;
	nulls[9] = detail == NULL;
	values[10] = BoolGetDatum(false);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
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
