/*
 * verify.c - ml_verify: everything that must hold between the rows of schema ml,
 * whoever wrote them and whatever crashed meanwhile.
 *
 * A check is a query, run as the owner of the catalog, that returns one text for
 * each thing that is wrong.  A new table brings its checks along, here.
 */
#include "core/acl.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "core/registry.h"
#include "core/roles.h"

static const char *const checks[] = {
	/* models and versions */
	"SELECT format('model \"%s\" has no version %s, its current one', m.name, m.current_version) FROM ml.model m"
	" WHERE NOT EXISTS (SELECT FROM ml.version v WHERE v.model_id = m.model_id AND v.version = m.current_version)",
	"SELECT format('version %s of model \"%s\" is current, but archived', v.version, m.name) FROM ml.model m JOIN ml.version v"
	" ON v.model_id = m.model_id AND v.version = m.current_version WHERE v.archived_at IS NOT NULL",
	"SELECT format('version %s of model \"%s\" is above the highest number given, %s', v.version, m.name, m.last_version)"
	" FROM ml.model m JOIN ml.version v USING (model_id) WHERE v.version > m.last_version",
	"SELECT format('history of model \"%s\" names version %s, which %s', m.name, h.version,"
	" CASE WHEN v.version IS NULL THEN 'does not exist' WHEN v.archived_at IS NOT NULL THEN 'is archived' ELSE 'is current' END)"
	" FROM ml.model m CROSS JOIN unnest(m.history) h (version) LEFT JOIN ml.version v ON v.model_id = m.model_id"
	" AND v.version = h.version WHERE v.version IS NULL OR v.archived_at IS NOT NULL OR h.version = m.current_version",
	"SELECT format('history of model \"%s\" names version %s more than once', m.name, h.version)"
	" FROM ml.model m CROSS JOIN unnest(m.history) h (version) GROUP BY m.model_id, m.name, h.version HAVING count(*) > 1",
	"SELECT format('version number %s belongs to model number %s, which does not exist', v.version_id, v.model_id)"
	" FROM ml.version v WHERE NOT EXISTS (SELECT FROM ml.model m WHERE m.model_id = v.model_id)",
	/* aliases */
	"SELECT format('alias \"%s\" of model number %s names version %s, which does not exist', a.alias, a.model_id, a.version)"
	" FROM ml.alias a WHERE NOT EXISTS"
	" (SELECT FROM ml.model m JOIN ml.version v USING (model_id) WHERE v.model_id = a.model_id AND v.version = a.version)",
	"SELECT format('alias \"%s\" of model \"%s\" names version %s, which is archived', a.alias, m.name, a.version)"
	" FROM ml.alias a JOIN ml.model m USING (model_id) JOIN ml.version v USING (model_id, version)"
	" WHERE v.archived_at IS NOT NULL",
	"SELECT format('version %s of model \"%s\" is current and challenger', a.version, m.name)"
	" FROM ml.alias a JOIN ml.model m USING (model_id) WHERE a.alias = 'challenger' AND a.version = m.current_version",
	/* roles */
	"SELECT format('model \"%s\" belongs to role number %s, which does not exist', m.name, m.owner::oid) FROM ml.model m"
	" WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = m.owner)",
	"SELECT format('promotion of model \"%s\" is reserved to role number %s, which does not exist', m.name, m.promoter::oid)"
	" FROM ml.model m WHERE m.promoter IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = m.promoter)",
	"SELECT format('privilege \"%s\" on model number %s is granted to role number %s, which does not exist',"
	" p.privilege, p.model_id, p.grantee::oid) FROM ml.privilege p"
	" WHERE p.grantee <> 0 AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = p.grantee)",
	"SELECT format('privilege \"%s\" is granted on model number %s, which does not exist', p.privilege, p.model_id)"
	" FROM ml.privilege p WHERE NOT EXISTS (SELECT FROM ml.model m WHERE m.model_id = p.model_id)",
	/* numbers to come */
	"SELECT 'sequence \"ml.model_id_seq\" will give a number that is taken' FROM ml.model_id_seq s"
	" WHERE s.last_value < (SELECT max(model_id) FROM ml.model)",
	"SELECT 'sequence \"ml.version_id_seq\" will give a number that is taken' FROM ml.version_id_seq s"
	" WHERE s.last_value < (SELECT max(version_id) FROM ml.version)",
	"SELECT 'sequence \"ml.audit_log_audit_id_seq\" will give a number that is taken' FROM ml.audit_log_audit_id_seq s"
	" WHERE s.last_value < (SELECT max(audit_id) FROM ml.audit_log)",
	/* audit */
	"SELECT format('audit row %s is about version %s of model \"%s\", which was never given', a.audit_id, a.version, m.name)"
	" FROM ml.audit_log a JOIN ml.model m USING (model_id) WHERE a.version > m.last_version",
	"SELECT format('version %s of model \"%s\" is not in the audit', v.version, m.name)"
	" FROM ml.version v JOIN ml.model m USING (model_id) WHERE NOT EXISTS (SELECT FROM ml.audit_log a"
	" WHERE a.model_id = v.model_id AND a.version = v.version)"
	" AND v.trained_at > (SELECT min(at) FROM ml.audit_log)",	/* older rows may have been cleared away */
	/* what protects all this */
	"SELECT format('trigger \"%s\" of table \"ml.%s\" is missing or switched off', t.trigger, t.relation)"
	" FROM (VALUES ('model', 'catalog_changed'), ('model', 'catalog_truncated'), ('version', 'catalog_changed'),"
	" ('version', 'catalog_truncated'), ('privilege', 'catalog_changed'), ('privilege', 'catalog_truncated'),"
	" ('alias', 'catalog_changed'), ('alias', 'catalog_truncated'), ('audit_log', 'guard'), ('audit_log', 'guard_all'))"
	" t (relation, trigger) WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid"
	" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'ml' AND c.relname = t.relation"
	" AND g.tgname = t.trigger AND g.tgenabled = 'A')",
	"SELECT format('row security of table \"ml.%s\" is switched off', c.relname) FROM pg_class c"
	" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'ml'"
	" AND c.relname IN ('model', 'version', 'privilege', 'alias') AND NOT c.relrowsecurity"
};

static void
add_problem(MlResultRows *rows, const char *problem)
{
	Datum		value = CStringGetTextDatum(problem);
	bool		isnull = false;

	ml_result_add(rows, &value, &isnull);
}

static void
run_check(MlResultRows *rows, const char *sql)
{
	uint64		n = ml_owner_run(sql, 0, NULL, NULL, NULL);

	for (uint64 i = 0; i < n; i++)
		add_problem(rows, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
}

/* Roles that DROP ROLE would not spare. */
static void
check_roles(MlResultRows *rows)
{
	uint64		n = ml_owner_run("SELECT owner::oid FROM ml.model UNION SELECT promoter::oid FROM ml.model"
								 " WHERE promoter IS NOT NULL UNION SELECT grantee::oid FROM ml.privilege WHERE grantee <> 0",
								 0, NULL, NULL, NULL);

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			role = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)) && !ml_role_known(role))
			add_problem(rows, psprintf("role \"%s\" can be dropped although models need it: call ml_reassign('%s', '%s')",
									   GetUserNameFromId(role, false), GetUserNameFromId(role, false),
									   GetUserNameFromId(role, false)));
	}
}

/* What a version's row says of its payload, or what is wrong with either; NULL: nothing. */
static char *
payload_problem(struct varlena *value, const char *algorithm, const char *task, const char *target)
{
	MemoryContext cxt = CurrentMemoryContext;
	char	   *volatile problem = NULL;

	PG_TRY();
	{
		const MlModel *model = ml_model_unpack_whole(value);

		if (strcmp(model->algorithm->name, algorithm) != 0)
			problem = psprintf("holds a model of algorithm \"%s\", not \"%s\"", model->algorithm->name, algorithm);
		else if (strcmp(ml_task_name(model->task), task) != 0)
			problem = psprintf("holds a model of task \"%s\", not \"%s\"", ml_task_name(model->task), task);
		else if ((model->target == NULL) != (target == NULL) || (target && strcmp(model->target, target) != 0))
			problem = psprintf("holds a model of target \"%s\", not \"%s\"",
							   model->target ? model->target : "", target ? target : "");
		else if ((model->task == ML_CLASSIFICATION) != (model->classes > 1))
			problem = psprintf("holds a model of %d classes", model->classes);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		/* A cancel, or no memory, says nothing about the model. */
		if (error->sqlerrcode != ERRCODE_DATA_CORRUPTED && error->sqlerrcode != ERRCODE_FEATURE_NOT_SUPPORTED &&
			error->sqlerrcode != ERRCODE_UNDEFINED_OBJECT)
			PG_RE_THROW();
		FlushErrorState();
		problem = psprintf("cannot be read: %s", error->message);
	}
	PG_END_TRY();
	return problem;
}

static void
check_payloads(MlResultRows *rows)
{
	uint64		n = ml_owner_run("SELECT v.version_id, v.algorithm, v.task, v.target, format('version %s of model \"%s\"', v.version, m.name)"
								 " FROM ml.version v JOIN ml.model m USING (model_id) ORDER BY m.name, v.version",
								 0, NULL, NULL, NULL);
	SPITupleTable *table = SPI_tuptable;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext verify", ALLOCSET_DEFAULT_SIZES);

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = table->vals[i];
		TupleDesc	desc = table->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(cxt);
		bool		isnull;
		int64		version_id = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		char	   *problem;

		CHECK_FOR_INTERRUPTS();
		problem = payload_problem(ml_catalog_payload(version_id), SPI_getvalue(row, desc, 2), SPI_getvalue(row, desc, 3),
								  SPI_getvalue(row, desc, 4));
		if (problem)
			add_problem(rows, psprintf("%s %s", SPI_getvalue(row, desc, 5), problem));
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
	}
}

/* ml_verify(payloads) */
ML_FUNCTION(ml_sql_verify)
{
	MlResultRows rows;
	MlOwnerWork work;

	if (!has_privs_of_role(GetUserId(), ml_catalog_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to verify schema \"ml\""),
				 errdetail("Only the owner of the extension and superusers may do so.")));
	ml_result_begin(fcinfo, &rows);
	ml_owner_begin(&work);
	for (int i = 0; i < lengthof(checks); i++)
		run_check(&rows, checks[i]);
	check_roles(&rows);
	if (PG_GETARG_BOOL(0))
		check_payloads(&rows);
	ml_owner_end(&work);
	PG_RETURN_VOID();
}
