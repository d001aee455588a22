/*
 * registry.c - the SQL functions that keep named models: drop, rename, promote,
 * roll back, grant, revoke.
 *
 * Each checks the caller's privilege, locks the model's row as the owner of the
 * catalog, checks again (it may have waited), changes, and writes the audit.
 */
#include "deploy/registry.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/json.h"

#include "core/audit.h"

char *
ml_keep_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

char *
ml_keep_model(FunctionCallInfo fcinfo)
{
	char	   *text = ml_keep_text(fcinfo, 0, "model");
	char	   *name = palloc(NAMEDATALEN);
	char		alias[NAMEDATALEN];
	int			version;

	if (ml_catalog_split(text, name, &version, alias))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" names a version, not a model", text)));
	return name;
}

bool
ml_keep_version(FunctionCallInfo fcinfo, MlKeepVersion *wanted)
{
	bool		given = ml_catalog_split(ml_keep_text(fcinfo, 0, "model"), wanted->name, &wanted->version,
										 wanted->alias);

	if (PG_ARGISNULL(1))
		return given;
	if (given)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version is given twice"),
				 errhint("Write it after \"@\" or as an argument of its own.")));
	wanted->version = PG_GETARG_INT32(1);
	if (wanted->version <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d is out of range for parameter \"version\"", wanted->version),
				 errdetail("Versions count from 1.")));
	return true;
}

void
ml_keep_version_required(FunctionCallInfo fcinfo, MlKeepVersion *wanted)
{
	if (!ml_keep_version(fcinfo, wanted))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"version\" must not be null"),
				 errhint("Say which version is meant: \"%s@2\", or 2 as an argument of its own.", wanted->name)));
}

/* ---- locking ---- */

/* Checks, locks, checks again. */
void
ml_keep_lock(const char *name, MlPrivilege need, MlLocked *locked)
{
	Oid			caller = GetUserId();
	MlCatalogModel *model = &locked->model;
	NameData	key;
	Oid			types[] = {INT8OID, NAMEOID};
	Datum		values[2];

	AcceptInvalidationMessages();
	if (!ml_catalog_find(name, caller, model))
		ml_acl_missing(name);
	ml_acl_require(model, need);

	namestrcpy(&key, name);
	values[0] = Int64GetDatum(model->model_id);
	values[1] = NameGetDatum(&key);
	locked->cxt = CurrentMemoryContext;
	ml_owner_begin(&locked->work);
	if (ml_owner_run("SELECT COALESCE(promoter::oid::int8, 0) FROM ml.model WHERE model_id = $1 AND name = $2 FOR UPDATE",
					 2, types, values, NULL) == 0)
		ml_acl_missing(name);
	locked->promoter = (Oid) ml_owner_int(1);
	AcceptInvalidationMessages();
	if (!ml_catalog_find_id(model->model_id, caller, model))
		ml_acl_missing(name);
	ml_acl_require(model, need);
}

/* Which privilege is needed is known only then. */
void
ml_keep_lock_promote(const char *name, MlLocked *locked)
{
	ml_keep_lock(name, ML_PREDICT, locked);
	ml_acl_require(&locked->model, OidIsValid(locked->promoter) ? ML_VIEW : ML_MANAGE);
	ml_keep_require_promoter(locked);
}

void
ml_keep_require_promoter(const MlLocked *locked)
{
	char	   *promoter;

	if (!OidIsValid(locked->promoter) || has_privs_of_role(locked->work.role, locked->promoter))
		return;
	promoter = GetUserNameFromId(locked->promoter, true);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("promotion of model \"%s\" is reserved", locked->model.name),
			 promoter ? errdetail("Only members of role \"%s\" may decide what the name stands for.", promoter)
			 : errdetail("The role to which it was reserved no longer exists.")));
}

/* As whom he acts and as whom he logged in: SET ROLE makes nobody another person. */
void
ml_keep_require_other_author(const MlLocked *locked, int version)
{
	Oid			types[] = {INT8OID, INT4OID, REGROLEOID, REGROLEOID};
	Datum		values[] = {Int64GetDatum(locked->model.model_id), Int32GetDatum(version),
		ObjectIdGetDatum(locked->work.role), ObjectIdGetDatum(GetSessionUserId())};

	if (!OidIsValid(locked->promoter) || superuser_arg(locked->work.role))
		return;
	if (ml_owner_run("SELECT 1 FROM ml.version WHERE model_id = $1 AND version = $2"
					 " AND (trained_by = $3 OR session_role = $4)", 4, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("promotion of model \"%s\" is reserved", locked->model.name),
				 errdetail("Version %d was trained by the same role or in the same user's session: somebody else has to promote it.",
						   version)));
}

uint64
ml_keep_run_version(const MlLocked *locked, const char *sql, int version)
{
	Oid			types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(locked->model.model_id), Int32GetDatum(version)};

	return ml_owner_run(sql, 2, types, values, NULL);
}

uint64
ml_keep_run(const MlLocked *locked, const char *sql)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(locked->model.model_id)};

	return ml_owner_run(sql, 1, types, values, NULL);
}

void
ml_keep_done(MlLocked *locked, const char *action, int version, const char *detail)
{
	if (detail)
		detail = MemoryContextStrdup(locked->cxt, detail);
	ml_owner_end(&locked->work);
	ml_audit(action, locked->model.model_id, locked->model.name, version, detail);
}

int
ml_keep_number(const MlLocked *locked, const MlKeepVersion *wanted)
{
	const MlCatalogModel *model = &locked->model;
	int			version = wanted->version;

	if (version == ML_CURRENT)
		return model->current;
	if (version == ML_ALIAS || version == ML_CHALLENGER)
	{
		version = ml_catalog_alias(model->model_id, version == ML_ALIAS ? wanted->alias : "challenger");
		if (version == 0 && wanted->version == ML_ALIAS)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("model \"%s\" has no alias \"%s\"", model->name, wanted->alias)));
		if (version == 0)
		{
			ml_keep_run_version(locked, "SELECT max(version) FROM ml.version"
								" WHERE model_id = $1 AND version <> $2 AND archived_at IS NULL", model->current);
			version = (int) ml_owner_int(1);
		}
		if (version == 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("model \"%s\" has no challenger", model->name),
					 errdetail("No version but the current one, %d, is left that is not archived.", model->current)));
	}
	if (ml_keep_run_version(locked, "SELECT 1 FROM ml.version WHERE model_id = $1 AND version = $2", version) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no version %d", model->name, version)));
	return version;
}

void
ml_keep_not_archived(const MlLocked *locked, int version)
{
	if (ml_keep_run_version(locked, "SELECT 1 FROM ml.version WHERE model_id = $1 AND version = $2"
							" AND archived_at IS NOT NULL", version) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of model \"%s\" is archived", version, locked->model.name),
				 errhint("Take it back first: SELECT ml_unarchive(%s, %d).",
						 quote_literal_cstr(locked->model.name), version)));
}

/* ---- drop and rename ---- */

static void
drop_version(const MlLocked *locked, int version)
{
	const MlCatalogModel *model = &locked->model;

	if (version == model->current)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop version %d of model \"%s\" because it is the current one",
						version, model->name),
				 errhint("Make another version current with ml_promote, or drop the whole model.")));
	if (ml_keep_run_version(locked, "SELECT 1 FROM ml.alias WHERE model_id = $1 AND version = $2", version) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop version %d of model \"%s\" because an alias names it", version, model->name),
				 errhint("Give the alias to another version with ml_set_alias, or take it away with NULL.")));
	ml_keep_run_version(locked, "DELETE FROM ml.version WHERE model_id = $1 AND version = $2", version);
	ml_keep_run_version(locked, "UPDATE ml.model SET history = array_remove(history, $2) WHERE model_id = $1", version);
}

ML_FUNCTION(ml_sql_drop)
{
	MlKeepVersion wanted;
	bool		one = ml_keep_version(fcinfo, &wanted);
	MlLocked	locked;
	int			version = 0;
	int			dropped = 1;

	ml_keep_lock(wanted.name, ML_MANAGE, &locked);
	if (one)
		drop_version(&locked, version = ml_keep_number(&locked, &wanted));
	else
	{
		ml_keep_require_promoter(&locked);
		ml_keep_run(&locked, "DELETE FROM ml.alias WHERE model_id = $1");
		dropped = ml_keep_run(&locked, "DELETE FROM ml.version WHERE model_id = $1");
		ml_keep_run(&locked, "DELETE FROM ml.model WHERE model_id = $1");
	}
	ml_keep_done(&locked, "drop", version, one ? NULL : psprintf("{\"versions\": %d}", dropped));
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
	char	   *name = ml_keep_model(fcinfo);
	char	   *new_name = ml_keep_text(fcinfo, 1, "new_name");
	MlLocked	locked;
	StringInfoData detail;

	ml_catalog_check_name(new_name);
	ml_keep_lock(name, ML_MANAGE, &locked);
	ml_keep_require_promoter(&locked);
	rename_locked(&locked.model, new_name);
	initStringInfo(&detail);
	appendStringInfoString(&detail, "{\"new_name\": ");
	escape_json(&detail, new_name);
	appendStringInfoChar(&detail, '}');
	ml_keep_done(&locked, "rename", 0, detail.data);
	PG_RETURN_VOID();
}

/* ---- promote and roll back ---- */

void
ml_keep_make_current(const MlLocked *locked, int version)
{
	ml_keep_run_version(locked, "UPDATE ml.model SET current_version = $2, history ="
						" array_append(array_remove(array_remove(history, current_version), $2), current_version)"
						" WHERE model_id = $1", version);
	ml_keep_run_version(locked, "DELETE FROM ml.alias WHERE model_id = $1 AND version = $2 AND alias = 'challenger'",
						version);
}

ML_FUNCTION(ml_sql_promote)
{
	MlKeepVersion wanted;
	MlLocked	locked;
	int			version;

	ml_keep_version_required(fcinfo, &wanted);
	ml_keep_lock_promote(wanted.name, &locked);
	version = ml_keep_number(&locked, &wanted);
	if (version == locked.model.current)
	{
		ml_owner_end(&locked.work);
		PG_RETURN_INT32(version);
	}
	ml_keep_require_other_author(&locked, version);
	ml_keep_not_archived(&locked, version);
	ml_keep_make_current(&locked, version);
	ml_keep_done(&locked, "promote", version, psprintf("{\"from\": %d}", locked.model.current));
	PG_RETURN_INT32(version);
}

/* Undoes the last change of the current version that is not undone yet. */
ML_FUNCTION(ml_sql_rollback)
{
	char	   *name = ml_keep_model(fcinfo);
	MlLocked	locked;
	int			version;

	ml_keep_lock_promote(name, &locked);
	if (ml_keep_run(&locked, "UPDATE ml.model SET current_version = history[cardinality(history)],"
					" history = trim_array(history, 1)"
					" WHERE model_id = $1 AND cardinality(history) > 0 RETURNING current_version") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no earlier version to go back to", name)));
	version = (int) ml_owner_int(1);
	ml_keep_run_version(&locked, "DELETE FROM ml.alias WHERE model_id = $1 AND version = $2 AND alias = 'challenger'",
						version);
	ml_keep_done(&locked, "rollback", version, psprintf("{\"from\": %d}", locked.model.current));
	PG_RETURN_INT32(version);
}

/* ---- privileges ---- */

/* Reads the arguments of grant and revoke, and locks the model. */
static char *
begin_privilege(FunctionCallInfo fcinfo, Oid *role, MlPrivilege *privilege, MlLocked *locked)
{
	char	   *name = ml_keep_model(fcinfo);
	char	   *role_name;

	*privilege = ml_acl_parse(ml_keep_text(fcinfo, 2, "privilege"));
	role_name = ml_keep_text(fcinfo, 1, "role");
	*role = get_role_oid_or_public(role_name);
	ml_keep_lock(name, ML_MANAGE, locked);
	return role_name;
}

static char *
privilege_detail(const char *role, MlPrivilege privilege)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "{\"role\": ");
	escape_json(&s, role);
	appendStringInfo(&s, ", \"privilege\": \"%s\"}", ml_acl_name(privilege));
	return s.data;
}

ML_FUNCTION(ml_sql_grant)
{
	Oid			role;
	MlPrivilege privilege;
	MlLocked	locked;
	char	   *role_name = begin_privilege(fcinfo, &role, &privilege, &locked);
	Oid			types[] = {INT8OID, REGROLEOID, TEXTOID, REGROLEOID};
	Datum		values[4];
	bool		any;

	values[0] = Int64GetDatum(locked.model.model_id);
	values[1] = ObjectIdGetDatum(role);
	values[2] = CStringGetTextDatum(ml_acl_name(privilege));
	values[3] = ObjectIdGetDatum(locked.work.role);
	any = ml_owner_run("INSERT INTO ml.privilege (model_id, grantee, privilege, grantor)"
					   " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", 4, types, values, NULL) > 0;
	if (any)
		ml_keep_done(&locked, "grant", 0, privilege_detail(role_name, privilege));
	else
		ml_owner_end(&locked.work);
	PG_RETURN_VOID();
}

/* Takes the privilege away and those that include it: afterwards the grant is gone in fact. */
ML_FUNCTION(ml_sql_revoke)
{
	Oid			role;
	MlPrivilege privilege;
	MlLocked	locked;
	char	   *role_name = begin_privilege(fcinfo, &role, &privilege, &locked);
	Oid			types[] = {INT8OID, REGROLEOID, TEXTOID};
	Datum		values[3];
	bool		any = false;

	values[0] = Int64GetDatum(locked.model.model_id);
	values[1] = ObjectIdGetDatum(role);
	for (int p = privilege; p <= ML_MANAGE; p++)
	{
		values[2] = CStringGetTextDatum(ml_acl_name(p));
		any |= ml_owner_run("DELETE FROM ml.privilege WHERE model_id = $1 AND grantee = $2 AND privilege = $3",
							3, types, values, NULL) > 0;
	}
	if (any)
		ml_keep_done(&locked, "revoke", 0, privilege_detail(role_name, privilege));
	else
		ml_owner_end(&locked.work);
	PG_RETURN_BOOL(any);
}
