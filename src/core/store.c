/*
 * store.c - writes the tables of schema ml, as their owner.
 *
 * The caller's privileges have been checked by then; the switch of user is what
 * makes row security and the missing grants on the tables irrelevant, and keeps
 * a trigger or index expression that the owner might have added from running
 * with the rights of the caller.
 *
 * Every change locks the row of ml.model first and for update, so that trainings,
 * promotions and drops of one model come one after the other and never deadlock.
 */
#include "core/acl.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/audit.h"
#include "core/registry.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/jsonb.h"

void
ml_owner_begin(MlOwnerWork *work)
{
	Oid			owner = ml_catalog_owner();

	GetUserIdAndSecContext(&work->role, &work->context);
	SetUserIdAndSecContext(owner, work->context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	work->nest = NewGUCNestLevel();
	set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* Runs one statement and returns how many rows it found, changed or returned. */
uint64
ml_owner_run(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			code = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);

	if (code < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(code));
	return SPI_processed;
}

int64
ml_owner_int(int column)
{
	bool		isnull;
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], desc, column, &isnull);

	if (isnull)
		return 0;
	return SPI_gettypeid(desc, column) == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
}

void
ml_owner_end(MlOwnerWork *work)
{
	SPI_finish();
	AtEOXact_GUC(false, work->nest);
	SetUserIdAndSecContext(work->role, work->context);
}

static void
already_exists(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("model \"%s\" already exists", name)));
}

void
ml_catalog_check_store(const char *name)
{
	MlCatalogModel model;

	ml_catalog_check_name(name);
	if (ml_catalog_find(name, GetUserId(), &model) && model.level < ML_MANAGE)
		already_exists(name);
}

/* A model whose row is locked, and what its next version is to be. */
typedef struct MlSlot
{
	int64		model_id;
	int			version;
	int			current;		/* 0: the version will be the first */
	bool		reserved;		/* it may not become current by itself */
} MlSlot;

/*
 * Finds the model of that name and locks its row, or makes one.  Waits for
 * whoever makes or holds it.
 */
static void
lock_or_create(Name name, Oid caller, MlSlot *slot)
{
	Oid			types[] = {NAMEOID, REGROLEOID};
	Datum		values[] = {NameGetDatum(name), ObjectIdGetDatum(caller)};
	MlCatalogModel model;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (ml_owner_run("SELECT model_id, last_version + 1, current_version, (promoter IS NOT NULL)::int"
						 " FROM ml.model WHERE name = $1 FOR UPDATE",
						 1, types, values, NULL) > 0)
			break;
		if (ml_owner_run("INSERT INTO ml.model (name, owner, current_version, last_version)"
						 " VALUES ($1, $2, 1, 1) ON CONFLICT DO NOTHING RETURNING model_id, 1, 0, 0",
						 2, types, values, NULL) > 0)
			break;
	}
	slot->model_id = ml_owner_int(1);
	slot->version = (int) ml_owner_int(2);
	slot->current = (int) ml_owner_int(3);
	slot->reserved = ml_owner_int(4) != 0;

	/* Owner and grants may have changed while we waited. */
	AcceptInvalidationMessages();
	if (!ml_catalog_find_id(slot->model_id, caller, &model) || model.level < ML_MANAGE)
		already_exists(NameStr(*name));
}

static Datum
text_array(List *strings)
{
	Datum	   *elements = palloc(sizeof(Datum) * (list_length(strings) + 1));
	ListCell   *cell;
	int			n = 0;

	foreach(cell, strings)
		elements[n++] = CStringGetTextDatum((char *) lfirst(cell));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Collects the arguments of a statement. */
typedef struct Arguments
{
	int			n;
	Oid			types[32];
	Datum		values[32];
	char		nulls[32];
} Arguments;

static void
add_argument(Arguments *args, Oid type, Datum value, bool isnull)
{
	Assert(args->n < (int) lengthof(args->types));
	args->types[args->n] = type;
	args->values[args->n] = value;
	args->nulls[args->n++] = isnull ? 'n' : ' ';
}

static void
add_text(Arguments *args, const char *value)
{
	add_argument(args, TEXTOID, value != NULL ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

static void
add_jsonb(Arguments *args, Jsonb *value)
{
	add_argument(args, JSONBOID, value != NULL ? JsonbPGetDatum(value) : (Datum) 0, value == NULL);
}

static void
add_number(Arguments *args, double value)
{
	add_argument(args, FLOAT8OID, Float8GetDatum(value), isnan(value));
}

static void
add_fingerprint(Arguments *args, const MlFingerprint *fingerprint)
{
	bytea	   *bytes = NULL;

	if (fingerprint)
	{
		bytes = palloc(VARHDRSZ + ML_FINGERPRINT_SIZE);
		SET_VARSIZE(bytes, VARHDRSZ + ML_FINGERPRINT_SIZE);
		ml_fingerprint_bytes(fingerprint, (uint8 *) VARDATA(bytes));
	}
	add_argument(args, BYTEAOID, PointerGetDatum(bytes), bytes == NULL);
}

static void
insert_version(const MlSlot *slot, Oid caller, struct varlena *value, const MlModel *model, const MlVersionRow *row)
{
	Arguments	args = {0};
	int			parent = row->parent > 0 ? row->parent : slot->current;

	add_argument(&args, INT8OID, Int64GetDatum(slot->model_id), false);
	add_argument(&args, INT4OID, Int32GetDatum(slot->version), false);
	add_argument(&args, ml_model_type(), PointerGetDatum(value), false);
	add_text(&args, model->algorithm->name);
	add_text(&args, ml_task_name(model->task));
	add_text(&args, model->target);
	add_jsonb(&args, model->params);
	add_jsonb(&args, model->info);
	add_text(&args, row->source);
	add_argument(&args, INT8OID, Int64GetDatum(row->rows_read), false);
	add_argument(&args, INT8OID, Int64GetDatum(row->rows_used), false);
	add_argument(&args, INT8OID, Int64GetDatum(row->rows_dropped), false);
	add_argument(&args, INT8OID, Int64GetDatum(row->seed), false);
	add_text(&args, row->metric);
	add_number(&args, row->value);
	add_number(&args, row->baseline);
	add_argument(&args, TEXTARRAYOID, text_array(row->warnings), false);
	add_number(&args, row->elapsed);
	add_text(&args, row->notes);
	add_argument(&args, REGROLEOID, ObjectIdGetDatum(caller), false);
	add_argument(&args, REGROLEOID, ObjectIdGetDatum(GetSessionUserId()), false);
	add_fingerprint(&args, row->fingerprint);
	add_text(&args, row->lineage ? row->lineage : "{}");
	add_argument(&args, INT4OID, Int32GetDatum(parent), parent == 0);
	ml_owner_run("INSERT INTO ml.version (model_id, version, model, algorithm, task, target, params, info,"
				 " source, rows_read, rows_used, rows_dropped, seed, metric, value, baseline, warnings,"
				 " elapsed, notes, trained_by, session_role, fingerprint, lineage, extension_version)"
				 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,"
				 " make_interval(secs => $18), $19, $20, $21, $22,"
				 " $23::jsonb || jsonb_build_object('parent', $24),"
				 " (SELECT extversion FROM pg_extension WHERE extname = 'ml_ext'))",
				 args.n, args.types, args.values, args.nulls);
	if (row->state)
	{
		Oid			types[] = {INT8OID, INT4OID, BYTEAOID};
		Datum		values[] = {Int64GetDatum(slot->model_id), Int32GetDatum(slot->version), PointerGetDatum(row->state)};

		ml_owner_run("INSERT INTO ml.training_state (version_id, state)"
					 " SELECT version_id, $3 FROM ml.version WHERE model_id = $1 AND version = $2", 3, types, values, NULL);
	}
}

static void
audit_version(const char *name, const MlSlot *slot, bool promoted, const MlModel *model, const MlVersionRow *row)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "{\"algorithm\": \"%s\", \"rows_used\": %lld, \"promoted\": %s",
					 model->algorithm->name, (long long) row->rows_used, promoted ? "true" : "false");
	if (slot->current > 0)
		appendStringInfo(&s, ", \"champion\": %d", promoted ? slot->version : slot->current);
	if (row->metric && isfinite(row->value))
		appendStringInfo(&s, ", \"metric\": \"%s\", \"value\": %s", row->metric,
						 DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(row->value))));
	if (row->source)
	{
		appendStringInfoString(&s, ", \"source\": ");
		escape_json(&s, row->source);
	}
	if (row->detail)
		appendStringInfoString(&s, row->detail);
	appendStringInfoChar(&s, '}');
	ml_audit(row->action ? row->action : "train", slot->model_id, name, slot->version, s.data);
}

int
ml_catalog_store(const char *name, struct varlena *value, const MlModel *model,
				 const MlVersionRow *row)
{
	Oid			caller = GetUserId();
	NameData	key;
	MlOwnerWork work;
	MlSlot		slot;
	bool		promoted;

	ml_catalog_check_store(name);
	namestrcpy(&key, name);

	ml_owner_begin(&work);
	lock_or_create(&key, caller, &slot);
	insert_version(&slot, caller, value, model, row);
	promoted = slot.current == 0 || !(row->challenger || slot.reserved);
	if (slot.current > 0)
	{
		Oid			types[] = {INT8OID, INT4OID};
		Datum		values[] = {Int64GetDatum(slot.model_id), Int32GetDatum(slot.version)};

		ml_owner_run(promoted ?
					 "UPDATE ml.model SET current_version = $2, last_version = $2,"
					 " history = array_append(array_remove(history, current_version), current_version)"
					 " WHERE model_id = $1" :
					 "UPDATE ml.model SET last_version = $2 WHERE model_id = $1", 2, types, values, NULL);
	}
	ml_owner_end(&work);
	audit_version(name, &slot, promoted, model, row);
	return slot.version;
}
