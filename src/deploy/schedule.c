/*
 * schedule.c - ml_schedule, ml_unschedule and view ml.schedules: retraining by pg_cron.
 *
 * pg_cron keeps the jobs and runs each as the role that made it.  A job is named
 * after the number of the model and calls ml.retrain_job with it, so that it
 * survives a new name of the model.  The arguments stand in the job's command as
 * literals: they belong to whoever made the job, and nobody else can change them.
 *
 * Schema cron is believed only when it belongs to extension pg_cron.
 */
#include "deploy/recipe.h"

#include <math.h>

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "core/audit.h"
#include "deploy/registry.h"
#include "train/args.h"

#define JOB_PREFIX "ml_retrain "

static bool
have_cron(void)
{
	Oid			extension = get_extension_oid("pg_cron", true);
	Oid			schema = get_namespace_oid("cron", true);

	return OidIsValid(extension) && OidIsValid(schema) &&
		getExtensionOfObject(NamespaceRelationId, schema) == extension;
}

static void
require_cron(void)
{
	if (!have_cron())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pg_cron\" is not installed in this database"),
				 errhint("Add pg_cron to shared_preload_libraries, set cron.database_name to this database and run CREATE EXTENSION pg_cron; or call ml_retrain from a scheduler of your own.")));
	if (ml_schema_aclcheck(get_namespace_oid("cron", false), GetUserId()) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to schedule jobs"),
				 errhint("A superuser can allow it: GRANT USAGE ON SCHEMA cron TO %s.",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/* As the caller, with nothing in the search_path that could stand in for what is meant. */
static int
begin(void)
{
	int			nest = NewGUCNestLevel();

	set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	return nest;
}

static void
end(int nest)
{
	SPI_finish();
	AtEOXact_GUC(false, nest);
}

static void
run(const char *sql, int nargs, Oid *types, Datum *values)
{
	int			code = SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0);

	if (code < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(code));
}

static char *
job_name(int64 model_id)
{
	return psprintf(JOB_PREFIX "%lld", (long long) model_id);
}

/* Ends the current user's job for the model; false: there is none. */
static bool
end_job(int64 model_id)
{
	Oid			types[] = {TEXTOID, NAMEOID};
	NameData	role;
	Datum		values[] = {CStringGetTextDatum(job_name(model_id)), NameGetDatum(&role)};
	int			nest = begin();
	bool		found;

	namestrcpy(&role, GetUserNameFromId(GetUserId(), false));
	run("SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname::text = $1 AND username = $2::text", 2, types, values);
	found = SPI_processed > 0;
	end(nest);
	return found;
}

/* ---- schedule ---- */

static void
add_literal(StringInfo s, const char *value)
{
	appendStringInfo(s, ", %s", value ? quote_literal_cstr(value) : "NULL");
}

static char *
job_command(FunctionCallInfo fcinfo, int64 model_id, const char *source)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "SELECT ml.retrain_job(%lld", (long long) model_id);
	add_literal(&s, source);
	add_literal(&s, ml_arg_text(fcinfo, 3));
	if (PG_ARGISNULL(4))
		add_literal(&s, NULL);
	else
		appendStringInfo(&s, ", %s", DatumGetCString(DirectFunctionCall1(float8out, PG_GETARG_DATUM(4))));
	for (int i = 5; i < 8; i++)
		add_literal(&s, ml_arg_text(fcinfo, i));
	appendStringInfoChar(&s, ')');
	return s.data;
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	char	   *promote;

	ml_arg_required(fcinfo, 1, "cron");
	ml_arg_required(fcinfo, 3, "promote");
	promote = ml_arg_text(fcinfo, 3);
	if (strcmp(promote, "if_better") != 0 && strcmp(promote, "always") != 0 && strcmp(promote, "never") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value \"%s\" is not valid for argument \"promote\"", promote),
				 errhint("Valid ones are \"if_better\", \"always\" and \"never\".")));
	if (!PG_ARGISNULL(4) && !(PG_GETARG_FLOAT8(4) >= 0 && PG_GETARG_FLOAT8(4) <= 0.9))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %g is out of range for parameter \"holdout\"", PG_GETARG_FLOAT8(4)),
				 errdetail("Valid range is 0 to 0.9: the share of rows kept for measuring.")));
}

/* ml_schedule(model, cron, source, promote, holdout, metric, compare_on, notes) */
ML_FUNCTION(ml_sql_schedule)
{
	char	   *name = ml_keep_model(fcinfo);
	char	   *cron;
	MlRecipe	recipe;
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	StringInfoData detail;
	int64		job;
	int			nest;

	check_arguments(fcinfo);
	cron = ml_arg_text(fcinfo, 1);
	ml_recipe_read(name, &recipe);
	ml_recipe_source(&recipe, ml_arg_text(fcinfo, 2));	/* now rather than at three in the morning */
	require_cron();
	values[0] = CStringGetTextDatum(job_name(recipe.ref.model_id));
	values[1] = CStringGetTextDatum(cron);
	values[2] = CStringGetTextDatum(job_command(fcinfo, recipe.ref.model_id, ml_arg_text(fcinfo, 2)));
	nest = begin();
	run("SELECT cron.schedule($1, $2, $3)::int8", 3, types, values);
	job = SPI_processed == 1 ? ml_owner_int(1) : 0;
	end(nest);
	initStringInfo(&detail);
	appendStringInfo(&detail, "{\"job\": %lld, \"cron\": ", (long long) job);
	escape_json(&detail, cron);
	appendStringInfoString(&detail, ", \"command\": ");
	escape_json(&detail, TextDatumGetCString(values[2]));
	appendStringInfoChar(&detail, '}');
	ml_audit("schedule", recipe.ref.model_id, name, 0, detail.data);
	PG_RETURN_INT64(job);
}

/* Whoever made a job may end it, even when he may not manage the model any more. */
ML_FUNCTION(ml_sql_unschedule)
{
	char	   *name = ml_keep_model(fcinfo);
	MlCatalogModel model;
	bool		found;

	if (!ml_catalog_find(name, GetUserId(), &model))
		ml_acl_missing(name);
	ml_acl_require(&model, ML_PREDICT);
	require_cron();
	found = end_job(model.model_id);
	if (found)
		ml_audit("unschedule", model.model_id, name, 0, NULL);
	PG_RETURN_BOOL(found);
}

/* ---- what a job does ---- */

ML_FUNCTION(ml_sql_retrain_job)
{
	MlCatalogModel model;
	Oid			types[7] = {TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[7];
	char		nulls[7];
	char	   *sql;

	ml_arg_required(fcinfo, 0, "model_id");
	if (!ml_catalog_find_id(PG_GETARG_INT64(0), GetUserId(), &model))
	{
		if (have_cron() && end_job(PG_GETARG_INT64(0)))
			ereport(NOTICE,
					(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
					 errmsg("the model is gone, and its schedule with it")));
		PG_RETURN_VOID();
	}
	if (model.level == ML_NO_PRIVILEGE)	/* its name is none of his business */
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model with number %lld does not exist", (long long) PG_GETARG_INT64(0))));
	values[0] = CStringGetTextDatum(model.name);
	nulls[0] = ' ';
	for (int i = 1; i < lengthof(values); i++)
	{
		values[i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	sql = psprintf("SELECT decision FROM %s.ml_retrain($1, $2, $3, $4, $5, $6, $7)",
				   quote_identifier(get_namespace_name(ml_extension_schema())));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql, 7, types, values, nulls, false, 0) < 0)
		elog(ERROR, "could not retrain");
	SPI_finish();
	PG_RETURN_VOID();
}

/* ---- the view ---- */

/* model_id, name, and what pg_cron says of the job; pg_cron itself hides the jobs of others. */
static void
add_jobs(MlResultRows *rows)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MlCatalogModel model;
		Datum		values[10];
		bool		nulls[10] = {false};
		NameData	name;

		for (int k = 0; k < lengthof(values); k++)
			values[k] = SPI_getbinval(SPI_tuptable->vals[i], desc, k + 1, &nulls[k]);
		if (!ml_catalog_find_id(DatumGetInt64(values[0]), GetUserId(), &model) || model.level < ML_VIEW)
			continue;
		namestrcpy(&name, model.name);
		values[1] = NameGetDatum(&name);
		nulls[1] = false;
		ml_result_add(rows, values, nulls);
	}
}

ML_FUNCTION(ml_sql_scheduled)
{
	MlResultRows rows;
	int			nest;

	ml_result_begin(fcinfo, &rows);
	if (!have_cron() ||
		ml_schema_aclcheck(get_namespace_oid("cron", false), GetUserId()) != ACLCHECK_OK)
		PG_RETURN_VOID();
	nest = begin();
	run("SELECT substr(j.jobname::text, length('" JOB_PREFIX "') + 1)::int8, NULL::name, j.jobid, j.username::name, j.schedule,"
		" j.command, j.active, r.start_time, r.status, r.return_message"
		" FROM cron.job j LEFT JOIN LATERAL (SELECT * FROM cron.job_run_details d WHERE d.jobid = j.jobid"
		" ORDER BY d.runid DESC LIMIT 1) r ON true"
		" WHERE j.database = current_database() AND j.jobname::text ~ '^" JOB_PREFIX "[0-9]{1,18}$'", 0, NULL, NULL);
	add_jobs(&rows);
	end(nest);
	PG_RETURN_VOID();
}
