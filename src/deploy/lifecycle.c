/*
 * lifecycle.c - the SQL functions for a model's later life: aliases, archive,
 * comments, retention, promotion reserved to a role, and roles that leave.
 */
#include "deploy/registry.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/syscache.h"

#include "core/audit.h"
#include "core/roles.h"

/* {"key": "value"}, null for NULL */
static char *
one_text(const char *key, const char *value)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "{\"%s\": ", key);
	if (value)
		escape_json(&s, value);
	else
		appendStringInfoString(&s, "null");
	appendStringInfoChar(&s, '}');
	return s.data;
}

/* ---- aliases ---- */

static void
check_alias(const char *alias)
{
	const char *detail = NULL;

	if (strcmp(alias, "champion") == 0)
		detail = "\"champion\" is the current version: use ml_promote.";
	else if (!ml_catalog_alias_fits(alias))
		detail = "An alias has at most 63 bytes, begins with a letter or \"_\" and has no \"@\".";
	if (detail)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid alias \"%s\"", alias),
				 errdetail_internal("%s", detail)));
}

/* Runs a statement with model, alias and version. */
static uint64
run_alias(const MlLocked *locked, const char *sql, const char *alias, int version)
{
	NameData	name;
	Oid			types[] = {INT8OID, NAMEOID, INT4OID};
	Datum		values[] = {Int64GetDatum(locked->model.model_id), NameGetDatum(&name), Int32GetDatum(version)};

	namestrcpy(&name, alias);
	return ml_owner_run(sql, 3, types, values, NULL);
}

/* ml_set_alias(model, alias, version): the challenger is no promise to anybody, other aliases are. */
ML_FUNCTION(ml_sql_set_alias)
{
	char	   *name = ml_keep_model(fcinfo);
	char	   *alias = ml_keep_text(fcinfo, 1, "alias");
	MlKeepVersion wanted = {.version = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2)};
	bool		challenger = strcmp(alias, "challenger") == 0;
	MlLocked	locked;

	check_alias(alias);
	if (!PG_ARGISNULL(2) && wanted.version <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d is out of range for parameter \"version\"", wanted.version),
				 errdetail("Versions count from 1.")));
	if (challenger)
		ml_keep_lock(name, ML_MANAGE, &locked);
	else
		ml_keep_lock_promote(name, &locked);
	if (PG_ARGISNULL(2))
	{
		if (run_alias(&locked, "DELETE FROM ml.alias WHERE model_id = $1 AND alias = $2 AND $3 = 0", alias, 0) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("model \"%s\" has no alias \"%s\"", name, alias)));
		ml_keep_done(&locked, "alias", 0, one_text("alias", alias));
		PG_RETURN_VOID();
	}
	ml_keep_number(&locked, &wanted);
	ml_keep_not_archived(&locked, wanted.version);
	if (!challenger)
		ml_keep_require_other_author(&locked, wanted.version);
	else if (wanted.version == locked.model.current)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of model \"%s\" cannot be the challenger because it is the current one",
						wanted.version, name)));
	run_alias(&locked, "INSERT INTO ml.alias (model_id, alias, version) VALUES ($1, $2, $3)"
			  " ON CONFLICT (model_id, alias) DO UPDATE SET version = EXCLUDED.version", alias, wanted.version);
	ml_keep_done(&locked, "alias", wanted.version, one_text("alias", alias));
	PG_RETURN_VOID();
}

/* ---- archive ---- */

ML_FUNCTION(ml_sql_archive)
{
	MlKeepVersion wanted;
	MlLocked	locked;
	int			version;

	ml_keep_version_required(fcinfo, &wanted);
	ml_keep_lock(wanted.name, ML_MANAGE, &locked);
	version = ml_keep_number(&locked, &wanted);
	if (version == locked.model.current ||
		ml_keep_run_version(&locked, "SELECT 1 FROM ml.alias WHERE model_id = $1 AND version = $2", version) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot archive version %d of model \"%s\" because %s", version, wanted.name,
						version == locked.model.current ? "it is the current one" : "an alias names it")));
	if (ml_keep_run_version(&locked, "UPDATE ml.version SET archived_at = clock_timestamp()"
							" WHERE model_id = $1 AND version = $2 AND archived_at IS NULL", version) == 0)
	{
		ml_owner_end(&locked.work);
		PG_RETURN_INT32(version);
	}
	ml_keep_run_version(&locked, "UPDATE ml.model SET history = array_remove(history, $2) WHERE model_id = $1", version);
	ml_keep_done(&locked, "archive", version, NULL);
	PG_RETURN_INT32(version);
}

ML_FUNCTION(ml_sql_unarchive)
{
	MlKeepVersion wanted;
	MlLocked	locked;
	int			version;

	ml_keep_version_required(fcinfo, &wanted);
	ml_keep_lock(wanted.name, ML_MANAGE, &locked);
	version = ml_keep_number(&locked, &wanted);
	if (ml_keep_run_version(&locked, "UPDATE ml.version SET archived_at = NULL"
							" WHERE model_id = $1 AND version = $2 AND archived_at IS NOT NULL", version) == 0)
		ml_owner_end(&locked.work);
	else
		ml_keep_done(&locked, "unarchive", version, NULL);
	PG_RETURN_INT32(version);
}

/* ---- comments ---- */

ML_FUNCTION(ml_sql_comment)
{
	MlKeepVersion wanted;
	char	   *comment = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		one = ml_catalog_split(ml_keep_text(fcinfo, 0, "model"), wanted.name, &wanted.version, wanted.alias);
	MlLocked	locked;
	int			version = 0;
	Oid			types[] = {INT8OID, INT4OID, TEXTOID};
	Datum		values[3];
	char		nulls[] = {' ', ' ', comment ? ' ' : 'n'};

	ml_keep_lock(wanted.name, ML_MANAGE, &locked);
	if (one)
		version = ml_keep_number(&locked, &wanted);
	values[0] = Int64GetDatum(locked.model.model_id);
	values[1] = Int32GetDatum(version);
	values[2] = comment ? CStringGetTextDatum(comment) : (Datum) 0;
	ml_owner_run(one ? "UPDATE ml.version SET comment = $3 WHERE model_id = $1 AND version = $2"
				 : "UPDATE ml.model SET comment = $3 WHERE model_id = $1 AND $2 = 0", 3, types, values, nulls);
	ml_keep_done(&locked, "comment", version, one_text("comment", comment));
	PG_RETURN_VOID();
}

/* ---- retention ---- */

ML_FUNCTION(ml_sql_retain)
{
	char	   *name = ml_keep_model(fcinfo);
	bool		by_count = !PG_ARGISNULL(1);
	bool		by_age = !PG_ARGISNULL(2);
	MlLocked	locked;
	Oid			types[] = {INT8OID, INT4OID, INTERVALOID};
	Datum		values[3];
	char		nulls[] = {' ', by_count ? ' ' : 'n', by_age ? ' ' : 'n'};
	int			dropped;

	if (!by_count && !by_age)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("arguments \"keep\" and \"older_than\" must not both be null"),
				 errhint("Say how many versions to keep, or how old those are that may go.")));
	if (by_count && PG_GETARG_INT32(1) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d is out of range for parameter \"keep\"", PG_GETARG_INT32(1)),
				 errdetail("It is a number of versions.")));
	ml_keep_lock(name, ML_MANAGE, &locked);
	values[0] = Int64GetDatum(locked.model.model_id);
	values[1] = by_count ? PG_GETARG_DATUM(1) : (Datum) 0;
	values[2] = by_age ? PG_GETARG_DATUM(2) : (Datum) 0;
	dropped = (int) ml_owner_run("DELETE FROM ml.version v USING ml.model m WHERE v.model_id = $1 AND m.model_id = $1"
								 " AND v.version <> m.current_version"
								 " AND NOT EXISTS (SELECT FROM ml.alias a WHERE a.model_id = $1 AND a.version = v.version)"
								 " AND ($2 IS NULL OR (SELECT count(*) FROM ml.version o"
								 "  WHERE o.model_id = $1 AND o.version > v.version) >= $2)"
								 " AND ($3 IS NULL OR v.trained_at < clock_timestamp() - $3)", 3, types, values, nulls);
	if (dropped == 0)
		ml_owner_end(&locked.work);
	else
	{
		ml_keep_run(&locked, "UPDATE ml.model m SET history = ARRAY(SELECT h.version FROM unnest(m.history) WITH ORDINALITY h (version, place)"
					" WHERE EXISTS (SELECT FROM ml.version v WHERE v.model_id = $1 AND v.version = h.version) ORDER BY h.place)"
					" WHERE model_id = $1");
		ml_keep_done(&locked, "drop", 0, psprintf("{\"versions\": %d, \"retention\": true}", dropped));
	}
	PG_RETURN_INT32(dropped);
}

/* ---- promotion reserved to a role ---- */

/* Who owns a model gives the right away; only who has it can give it back. */
ML_FUNCTION(ml_sql_reserve_promotion)
{
	char	   *name = ml_keep_model(fcinfo);
	char	   *role_name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid			role = role_name ? get_role_oid(role_name, false) : InvalidOid;
	MlLocked	locked;
	Oid			types[] = {INT8OID, REGROLEOID, REGROLEOID};
	Datum		values[3];
	char		nulls[] = {' ', role_name ? ' ' : 'n', ' '};

	ml_keep_lock(name, ML_VIEW, &locked);
	ml_keep_require_promoter(&locked);
	if (!OidIsValid(locked.promoter) && !has_privs_of_role(locked.work.role, locked.model.owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of model \"%s\"", name)));
	values[0] = Int64GetDatum(locked.model.model_id);
	values[1] = ObjectIdGetDatum(role);
	values[2] = ObjectIdGetDatum(locked.work.role);
	ml_owner_run("UPDATE ml.model SET promoter = $2 WHERE model_id = $1", 2, types, values, nulls);
	if (role_name)				/* who decides must be able to look */
		ml_owner_run("INSERT INTO ml.privilege (model_id, grantee, privilege, grantor)"
					 " SELECT $1, $2, 'view', $3 FROM ml.model WHERE model_id = $1 AND owner <> $2"
					 " ON CONFLICT DO NOTHING", 3, types, values, NULL);
	ml_keep_done(&locked, "reserve", 0, one_text("role", role_name));
	PG_RETURN_VOID();
}

/* ---- roles that leave ---- */

/* The role of that name; or, of one that is gone, the number that the views show in its place. */
static Oid
role_or_number(const char *text)
{
	Oid			role = get_role_oid(text, true);

	if (!OidIsValid(role) && text[0] != '\0' && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 10)
	{
		role = (Oid) strtoul(text, NULL, 10);
		if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
			role = InvalidOid;
		else if (!has_privs_of_role(GetUserId(), ml_catalog_owner()))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to reassign models of a role that does not exist")));
	}
	if (!OidIsValid(role))
		role = get_role_oid(text, false);
	return role;
}

/* The models a role has something of, in order, locked. */
static int64 *
lock_models_of(Oid role, MemoryContext cxt, int *n)
{
	Oid			types[] = {REGROLEOID};
	Datum		values[] = {ObjectIdGetDatum(role)};
	int64	   *ids;

	*n = (int) ml_owner_run("SELECT model_id FROM ml.model m WHERE owner = $1 OR promoter = $1"
							" OR EXISTS (SELECT FROM ml.privilege p WHERE p.model_id = m.model_id AND p.grantee = $1)"
							" ORDER BY model_id FOR UPDATE", 1, types, values, NULL);
	ids = MemoryContextAlloc(cxt, Max(*n, 1) * sizeof(int64));
	for (int i = 0; i < *n; i++)
	{
		bool		isnull;

		ids[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	}
	return ids;
}

/* Writes the audit of a model that changed hands; the caller may have lost his rights on it. */
static void
audit_reassigned(int64 model_id, const char *from, const char *to)
{
	MlCatalogModel model;
	StringInfoData s;

	if (!ml_catalog_find_id(model_id, GetUserId(), &model))
		return;
	initStringInfo(&s);
	appendStringInfoString(&s, "{\"from\": ");
	escape_json(&s, from);
	appendStringInfoString(&s, ", \"to\": ");
	escape_json(&s, to);
	appendStringInfoChar(&s, '}');
	ml_audit("reassign", model_id, model.name, 0, s.data);
}

/* ml_reassign(old_role, new_role): models and reservations go to the new role, grants go away. */
ML_FUNCTION(ml_sql_reassign)
{
	Oid			caller = GetUserId();
	char	   *from = ml_keep_text(fcinfo, 0, "old_role");
	char	   *to = ml_keep_text(fcinfo, 1, "new_role");
	Oid			old_role = role_or_number(from);
	Oid			new_role = get_role_oid(to, false);
	Oid			types[] = {REGROLEOID, REGROLEOID};
	Datum		values[] = {ObjectIdGetDatum(old_role), ObjectIdGetDatum(new_role)};
	MemoryContext cxt = CurrentMemoryContext;
	MlOwnerWork work;
	int64	   *ids;
	int			n;

	if (!has_privs_of_role(caller, new_role) ||
		(SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(old_role)) && !has_privs_of_role(caller, old_role)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to reassign models"),
				 errdetail("Only roles with privileges of both \"%s\" and \"%s\" may do so.", from, to)));
	ml_owner_begin(&work);
	ids = lock_models_of(old_role, cxt, &n);
	if (old_role != new_role)
	{
		ml_owner_run("DELETE FROM ml.privilege WHERE grantee = $1 AND $2 IS NOT NULL", 2, types, values, NULL);
		ml_owner_run("UPDATE ml.model SET owner = $2 WHERE owner = $1", 2, types, values, NULL);
		ml_owner_run("UPDATE ml.model SET promoter = $2 WHERE promoter = $1", 2, types, values, NULL);
	}
	ml_owner_end(&work);
	ml_role_sync(old_role);
	ml_role_sync(new_role);
	for (int i = 0; i < n && old_role != new_role; i++)
		audit_reassigned(ids[i], from, to);
	PG_RETURN_INT32(n);
}
