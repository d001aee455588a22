/*
 * registry.c - the SQL functions that keep named models: drop, rename, promote,
 * roll back, grant, revoke.
 *
 * Each checks the caller's privilege, locks the model's row as the owner of the
 * catalog, checks again (it may have waited), changes and returns.
 */
#include "core/acl.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"

static char *
text_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* The first argument, where only a whole model makes sense. */
static void
model_argument(FunctionCallInfo fcinfo, char *name)
{
	char	   *text = text_argument(fcinfo, 0, "model");
	int			version;

	if (ml_catalog_split(text, name, &version))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" names a version, not a model", text)));
}

/*
 * The first argument, where a version may stand behind the name or in the
 * second argument.  False when it stands in neither.
 */
static bool
version_argument(FunctionCallInfo fcinfo, char *name, int *version)
{
	bool		given = ml_catalog_split(text_argument(fcinfo, 0, "model"), name, version);

	if (PG_ARGISNULL(1))
		return given;
	if (given)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version is given twice"),
				 errhint("Write it after \"@\" or as an argument of its own.")));
	*version = PG_GETARG_INT32(1);
	if (*version <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d is out of range for parameter \"version\"", *version),
				 errdetail("Versions count from 1.")));
	return true;
}

static void
version_missing(const char *name, int version)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no version %d", name, version)));
}

/* Starts work on a model that the caller may manage: its row is locked until the transaction ends. */
static void
lock_model(const char *name, MlCatalogModel *model, MlOwnerWork *work)
{
	Oid			caller = GetUserId();
	NameData	key;
	Oid			types[] = {INT8OID, NAMEOID};
	Datum		values[2];

	if (!ml_catalog_find(name, caller, model))
		ml_acl_missing(name);
	ml_acl_require(model, ML_MANAGE);

	namestrcpy(&key, name);
	values[0] = Int64GetDatum(model->model_id);
	values[1] = NameGetDatum(&key);
	ml_owner_begin(work);
	if (ml_owner_run("SELECT 1 FROM ml.model WHERE model_id = $1 AND name = $2 FOR UPDATE",
					 2, types, values, NULL) == 0)
		ml_acl_missing(name);
	AcceptInvalidationMessages();
	if (!ml_catalog_find_id(model->model_id, caller, model))
		ml_acl_missing(name);
	ml_acl_require(model, ML_MANAGE);
}

/* Runs a statement whose arguments are the model and one of its versions. */
static uint64
run_for_version(const char *sql, int64 model_id, int version)
{
	Oid			types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(model_id), Int32GetDatum(version)};

	return ml_owner_run(sql, 2, types, values, NULL);
}

static uint64
run_for_model(const char *sql, int64 model_id)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(model_id)};

	return ml_owner_run(sql, 1, types, values, NULL);
}

/* The version number meant by "champion" or "challenger"; others are returned as they are. */
static int
number_of(const MlCatalogModel *model, int version)
{
	if (version == ML_CURRENT)
		return model->current;
	if (version != ML_CHALLENGER)
		return version;
	run_for_version("SELECT max(version) FROM ml.version WHERE model_id = $1 AND version <> $2",
					model->model_id, model->current);
	version = (int) ml_owner_int(1);
	if (version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no challenger", model->name),
				 errdetail("Its current version, %d, is the only one.", model->current)));
	return version;
}

static void
drop_version(const MlCatalogModel *model, int version)
{
	if (version == model->current)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop version %d of model \"%s\" because it is the current one",
						version, model->name),
				 errhint("Make another version current with ml_promote, or drop the whole model.")));
	if (run_for_version("DELETE FROM ml.version WHERE model_id = $1 AND version = $2",
						model->model_id, version) == 0)
		version_missing(model->name, version);
	run_for_version("UPDATE ml.model SET history = array_remove(history, $2) WHERE model_id = $1",
					model->model_id, version);
}

ML_FUNCTION(ml_sql_drop)
{
	char		name[NAMEDATALEN];
	int			version;
	bool		one = version_argument(fcinfo, name, &version);
	MlCatalogModel model;
	MlOwnerWork work;
	int			dropped = 1;

	lock_model(name, &model, &work);
	if (one)
		drop_version(&model, number_of(&model, version));
	else
	{
		dropped = run_for_model("DELETE FROM ml.version WHERE model_id = $1", model.model_id);
		run_for_model("DELETE FROM ml.model WHERE model_id = $1", model.model_id);
	}
	ml_owner_end(&work);
	PG_RETURN_INT32(dropped);
}

/* Says 42710 where the unique index would say 23505, also when it had to wait to know. */
static void
rename_locked(const MlCatalogModel *model, const char *name)
{
	NameData	key;
	Oid			types[] = {INT8OID, NAMEOID};
	Datum		values[] = {Int64GetDatum(model->model_id), NameGetDatum(&key)};
	MemoryContext cxt = CurrentMemoryContext;

	namestrcpy(&key, name);
	PG_TRY();
	{
		ml_owner_run("UPDATE ml.model SET name = $2 WHERE model_id = $1", 2, types, values, NULL);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("model \"%s\" already exists", name)));
	}
	PG_END_TRY();
}

ML_FUNCTION(ml_sql_rename)
{
	char		name[NAMEDATALEN];
	char	   *new_name;
	MlCatalogModel model;
	MlOwnerWork work;

	model_argument(fcinfo, name);
	new_name = text_argument(fcinfo, 1, "new_name");
	ml_catalog_check_name(new_name);
	lock_model(name, &model, &work);
	rename_locked(&model, new_name);
	ml_owner_end(&work);
	PG_RETURN_VOID();
}

ML_FUNCTION(ml_sql_promote)
{
	char		name[NAMEDATALEN];
	int			version;
	MlCatalogModel model;
	MlOwnerWork work;

	if (!version_argument(fcinfo, name, &version))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"version\" must not be null"),
				 errhint("Say which version is to be the current one, for example ml_promote('%s', 2).", name)));
	lock_model(name, &model, &work);
	version = number_of(&model, version);
	if (run_for_version("SELECT 1 FROM ml.version WHERE model_id = $1 AND version = $2",
						model.model_id, version) == 0)
		version_missing(name, version);
	if (version != model.current)
		run_for_version("UPDATE ml.model SET current_version = $2, history ="
						" array_append(array_remove(array_remove(history, current_version), $2), current_version)"
						" WHERE model_id = $1", model.model_id, version);
	ml_owner_end(&work);
	PG_RETURN_INT32(version);
}

/* Undoes the last change of the current version that is not undone yet. */
ML_FUNCTION(ml_sql_rollback)
{
	char		name[NAMEDATALEN];
	MlCatalogModel model;
	MlOwnerWork work;
	int			version;

	model_argument(fcinfo, name);
	lock_model(name, &model, &work);
	if (run_for_model("UPDATE ml.model SET current_version = history[cardinality(history)],"
					  " history = trim_array(history, 1)"
					  " WHERE model_id = $1 AND cardinality(history) > 0 RETURNING current_version",
					  model.model_id) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no earlier version to go back to", name)));
	version = (int) ml_owner_int(1);
	ml_owner_end(&work);
	PG_RETURN_INT32(version);
}

/* Reads the arguments of grant and revoke, and locks the model. */
static void
begin_privilege(FunctionCallInfo fcinfo, Oid *role, MlPrivilege *privilege,
				MlCatalogModel *model, MlOwnerWork *work)
{
	char		name[NAMEDATALEN];

	model_argument(fcinfo, name);
	*privilege = ml_acl_parse(text_argument(fcinfo, 2, "privilege"));
	*role = get_role_oid_or_public(text_argument(fcinfo, 1, "role"));
	lock_model(name, model, work);
}

ML_FUNCTION(ml_sql_grant)
{
	Oid			caller = GetUserId();
	Oid			role;
	MlPrivilege privilege;
	MlCatalogModel model;
	MlOwnerWork work;
	Oid			types[] = {INT8OID, REGROLEOID, TEXTOID, REGROLEOID};
	Datum		values[4];

	begin_privilege(fcinfo, &role, &privilege, &model, &work);
	values[0] = Int64GetDatum(model.model_id);
	values[1] = ObjectIdGetDatum(role);
	values[2] = CStringGetTextDatum(ml_acl_name(privilege));
	values[3] = ObjectIdGetDatum(caller);
	ml_owner_run("INSERT INTO ml.privilege (model_id, grantee, privilege, grantor)"
				 " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", 4, types, values, NULL);
	ml_owner_end(&work);
	PG_RETURN_VOID();
}

/* Takes the privilege away and those that include it: afterwards the grant is gone in fact. */
ML_FUNCTION(ml_sql_revoke)
{
	Oid			role;
	MlPrivilege privilege;
	MlCatalogModel model;
	MlOwnerWork work;
	Oid			types[] = {INT8OID, REGROLEOID, TEXTOID};
	Datum		values[3];
	bool		any = false;

	begin_privilege(fcinfo, &role, &privilege, &model, &work);
	values[0] = Int64GetDatum(model.model_id);
	values[1] = ObjectIdGetDatum(role);
	for (int p = privilege; p <= ML_MANAGE; p++)
	{
		values[2] = CStringGetTextDatum(ml_acl_name(p));
		any |= ml_owner_run("DELETE FROM ml.privilege WHERE model_id = $1 AND grantee = $2 AND privilege = $3",
							3, types, values, NULL) > 0;
	}
	ml_owner_end(&work);
	PG_RETURN_BOOL(any);
}
