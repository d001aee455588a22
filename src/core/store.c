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
#include "core/registry.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
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

/*
 * Returns the model of that name with its row locked, made when there is none,
 * and the number of the next version.  Waits for whoever makes or holds it.
 */
static int64
lock_or_create(Name name, Oid caller, int *version)
{
	Oid			types[] = {NAMEOID, REGROLEOID};
	Datum		values[] = {NameGetDatum(name), ObjectIdGetDatum(caller)};
	MlCatalogModel model;
	int64		model_id;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (ml_owner_run("SELECT model_id, last_version + 1 FROM ml.model WHERE name = $1 FOR UPDATE",
						 1, types, values, NULL) > 0)
			break;
		if (ml_owner_run("INSERT INTO ml.model (name, owner, current_version, last_version)"
						 " VALUES ($1, $2, 1, 1) ON CONFLICT DO NOTHING RETURNING model_id, 1",
						 2, types, values, NULL) > 0)
			break;
	}
	model_id = ml_owner_int(1);
	*version = (int) ml_owner_int(2);

	/* Owner and grants may have changed while we waited. */
	AcceptInvalidationMessages();
	if (!ml_catalog_find_id(model_id, caller, &model) || model.level < ML_MANAGE)
		already_exists(NameStr(*name));
	return model_id;
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
	Oid			types[24];
	Datum		values[24];
	char		nulls[24];
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
insert_version(int64 model_id, int version, Oid caller, struct varlena *value,
			   const MlModel *model, const MlVersionRow *row)
{
	Arguments	args = {0};

	add_argument(&args, INT8OID, Int64GetDatum(model_id), false);
	add_argument(&args, INT4OID, Int32GetDatum(version), false);
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
	ml_owner_run("INSERT INTO ml.version (model_id, version, model, algorithm, task, target, params, info,"
				 " source, rows_read, rows_used, rows_dropped, seed, metric, value, baseline, warnings,"
				 " elapsed, notes, trained_by, extension_version)"
				 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,"
				 " make_interval(secs => $18), $19, $20,"
				 " (SELECT extversion FROM pg_extension WHERE extname = 'ml_ext'))",
				 args.n, args.types, args.values, args.nulls);
}

int
ml_catalog_store(const char *name, struct varlena *value, const MlModel *model,
				 const MlVersionRow *row)
{
	Oid			caller = GetUserId();
	NameData	key;
	MlOwnerWork work;
	int64		model_id;
	int			version;

	ml_catalog_check_store(name);
	namestrcpy(&key, name);

	ml_owner_begin(&work);
	model_id = lock_or_create(&key, caller, &version);
	insert_version(model_id, version, caller, value, model, row);
	if (version > 1)
	{
		Oid			types[] = {INT8OID, INT4OID};
		Datum		values[] = {Int64GetDatum(model_id), Int32GetDatum(version)};

		ml_owner_run("UPDATE ml.model SET current_version = $2, last_version = $2,"
					 " history = array_append(array_remove(history, current_version), current_version)"
					 " WHERE model_id = $1", 2, types, values, NULL);
	}
	ml_owner_end(&work);
	return version;
}
