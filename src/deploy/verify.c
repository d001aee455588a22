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
#include "train/train.h"
#include "train/trained.h"

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
	"SELECT format('model \"%s\" is there %s times', name, count(*)) FROM ml.model GROUP BY name HAVING count(*) > 1",
	"SELECT format('model number %s is there %s times', model_id, count(*)) FROM ml.model GROUP BY model_id HAVING count(*) > 1",
	"SELECT format('version %s of model number %s is there %s times', version, model_id, count(*)) FROM ml.version"
	" GROUP BY model_id, version HAVING count(*) > 1",
	"SELECT format('version number %s is there %s times', version_id, count(*)) FROM ml.version"
	" GROUP BY version_id HAVING count(*) > 1",
	"SELECT format('model number %s has a name that no model can have, \"%s\"', model_id, name) FROM ml.model"
	" WHERE name = '' OR strpos(name::text, '@') > 0",
	"SELECT format('version number %s has version %s: they count from 1', version_id, version) FROM ml.version WHERE version < 1",
	"SELECT format('version %s of model number %s has %s rows read, %s used and %s dropped', version, model_id, rows_read,"
	" rows_used, rows_dropped) FROM ml.version WHERE rows_used < 0 OR rows_dropped < 0 OR rows_read <> rows_used + rows_dropped",
	"SELECT format('fingerprint of version %s of model number %s has %s bytes, not 16', version, model_id,"
	" octet_length(fingerprint)) FROM ml.version WHERE octet_length(fingerprint) <> 16",
	"SELECT format('version %s of model number %s has no object as %s', v.version, v.model_id, j.name) FROM ml.version v,"
	" LATERAL (VALUES ('params', v.params), ('info', v.info), ('lineage', v.lineage)) j (name, value)"
	" WHERE jsonb_typeof(j.value) <> 'object'",
	"SELECT format('lineage of version %s of model number %s names parent %s', version, model_id, lineage -> 'parent')"
	" FROM ml.version WHERE jsonb_typeof(lineage) = 'object' AND CASE jsonb_typeof(lineage -> 'parent')"
	" WHEN 'number' THEN (lineage -> 'parent')::numeric NOT BETWEEN 1 AND version - 1 WHEN 'null' THEN false ELSE"
	" lineage ? 'parent' END",
	"SELECT format('a training state is kept for version number %s, which does not exist', s.version_id) FROM ml.training_state s"
	" WHERE NOT EXISTS (SELECT FROM ml.version v WHERE v.version_id = s.version_id)",
	"SELECT format('training state of version number %s is there %s times', version_id, count(*)) FROM ml.training_state"
	" GROUP BY version_id HAVING count(*) > 1",
	/* aliases */
	"SELECT format('alias \"%s\" of model number %s names version %s, which does not exist', a.alias, a.model_id, a.version)"
	" FROM ml.alias a WHERE NOT EXISTS"
	" (SELECT FROM ml.model m JOIN ml.version v USING (model_id) WHERE v.model_id = a.model_id AND v.version = a.version)",
	"SELECT format('alias \"%s\" of model \"%s\" names version %s, which is archived', a.alias, m.name, a.version)"
	" FROM ml.alias a JOIN ml.model m USING (model_id) JOIN ml.version v USING (model_id, version)"
	" WHERE v.archived_at IS NOT NULL",
	"SELECT format('version %s of model \"%s\" is current and challenger', a.version, m.name)"
	" FROM ml.alias a JOIN ml.model m USING (model_id) WHERE a.alias = 'challenger' AND a.version = m.current_version",
	"SELECT format('alias \"%s\" of model number %s is there %s times', alias, model_id, count(*)) FROM ml.alias"
	" GROUP BY model_id, alias HAVING count(*) > 1",
	"SELECT format('model number %s has an alias that none can have, \"%s\"', model_id, alias) FROM ml.alias"
	" WHERE alias IN ('', 'champion') OR strpos(alias::text, '@') > 0 OR alias::text ~ '^[0-9]'",
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
	"SELECT format('privilege \"%s\" on model number %s is none that there is', privilege, model_id) FROM ml.privilege"
	" WHERE privilege NOT IN ('predict', 'view', 'manage')",
	"SELECT format('privilege \"%s\" on model number %s is granted to role \"%s\" %s times', privilege, model_id,"
	" grantee, count(*)) FROM ml.privilege GROUP BY model_id, grantee, privilege HAVING count(*) > 1",
	/* monitoring and the log of predictions */
	"SELECT format('monitoring run %s is of model number %s, which does not exist', r.run_id, r.model_id) FROM ml.monitoring_row r"
	" WHERE NOT EXISTS (SELECT FROM ml.model m WHERE m.model_id = r.model_id) GROUP BY r.run_id, r.model_id",
	"SELECT format('monitoring run %s is of version %s of model \"%s\", which was never given', r.run_id, r.version, m.name)"
	" FROM ml.monitoring_row r JOIN ml.model m USING (model_id) WHERE r.version NOT BETWEEN 1 AND m.last_version"
	" GROUP BY r.run_id, r.version, m.name",
	"SELECT format('monitoring run %s is not of one version, source and role', run_id) FROM ml.monitoring_row"
	" GROUP BY run_id HAVING count(DISTINCT (model_id, version, source, role)) > 1",
	"SELECT format('line %s of monitoring run %s is there %s times', line, run_id, count(*)) FROM ml.monitoring_row"
	" GROUP BY run_id, line HAVING count(*) > 1",
	"SELECT format('line %s of monitoring run %s %s', line, run_id, CASE"
	" WHEN subject NOT IN ('batch', 'feature', 'prediction', 'performance') THEN format('is about \"%s\"', subject)"
	" WHEN verdict NOT IN ('ok', 'warn', 'alert') THEN format('has the verdict \"%s\"', verdict)"
	" WHEN n < 0 THEN format('counts %s rows', n) WHEN ci_low > ci_high THEN 'has an interval that ends before it begins'"
	" ELSE 'names no feature, or one where there is none' END) FROM ml.monitoring_row"
	" WHERE subject NOT IN ('batch', 'feature', 'prediction', 'performance') OR verdict NOT IN ('ok', 'warn', 'alert')"
	" OR n < 0 OR ci_low > ci_high OR (subject = 'feature') <> (feature IS NOT NULL)",
	"SELECT format('predictions of model number %s, which does not exist, are to be logged', s.model_id)"
	" FROM ml.prediction_log_setting s WHERE NOT EXISTS (SELECT FROM ml.model m WHERE m.model_id = s.model_id)",
	"SELECT format('log of predictions of model number %s: a share of %s is to be kept for %s', model_id, share, keep)"
	" FROM ml.prediction_log_setting WHERE NOT (share > 0 AND share <= 1) OR keep < interval '0'",
	"SELECT format('log of predictions of model number %s is set %s times', model_id, count(*)) FROM ml.prediction_log_setting"
	" GROUP BY model_id HAVING count(*) > 1",
	"SELECT format('logged prediction %s is of model number %s, which does not exist', r.log_id, r.model_id)"
	" FROM ml.prediction_log_row r WHERE NOT EXISTS (SELECT FROM ml.model m WHERE m.model_id = r.model_id)",
	"SELECT format('logged prediction %s is of version %s of model \"%s\", which was never given', r.log_id, r.version, m.name)"
	" FROM ml.prediction_log_row r JOIN ml.model m USING (model_id) WHERE r.version NOT BETWEEN 1 AND m.last_version",
	"SELECT format('logged prediction %s %s', log_id, CASE WHEN jsonb_typeof(features) <> 'object' THEN 'has no object as features'"
	" WHEN label IS NOT NULL THEN format('gives a label the probability %s', prediction) ELSE format('is %s', prediction) END)"
	" FROM ml.prediction_log_row WHERE jsonb_typeof(features) <> 'object'"
	" OR NOT prediction BETWEEN '-1.7976931348623157e308' AND '1.7976931348623157e308'"
	" OR (label IS NOT NULL AND NOT prediction BETWEEN 0 AND 1)",
	/* numbers to come */
	"SELECT 'sequence \"ml.model_id_seq\" will give a number that is taken' FROM ml.model_id_seq s"
	" WHERE s.last_value < (SELECT max(model_id) FROM ml.model)",
	"SELECT 'sequence \"ml.version_id_seq\" will give a number that is taken' FROM ml.version_id_seq s"
	" WHERE s.last_value < (SELECT max(version_id) FROM ml.version)",
	"SELECT 'sequence \"ml.audit_log_audit_id_seq\" will give a number that is taken' FROM ml.audit_log_audit_id_seq s"
	" WHERE s.last_value < (SELECT max(audit_id) FROM ml.audit_log)",
	"SELECT 'sequence \"ml.monitoring_run_seq\" will give a number that is taken' FROM ml.monitoring_run_seq s"
	" WHERE s.last_value < (SELECT max(run_id) FROM ml.monitoring_row)",
	"SELECT 'sequence \"ml.prediction_log_row_log_id_seq\" will give a number that is taken' FROM ml.prediction_log_row_log_id_seq s"
	" WHERE s.last_value < (SELECT max(log_id) FROM ml.prediction_log_row)",
	/* audit */
	"SELECT format('audit row %s is about version %s of model \"%s\": they count from 1', audit_id, version, model)"
	" FROM ml.audit_log WHERE version < 1",
	"SELECT format('audit row %s says \"%s\", which nobody can do', audit_id, action) FROM ml.audit_log WHERE NOT restored"
	" AND action NOT IN ('train', 'retrain', 'update', 'forget', 'import', 'promote', 'rollback', 'alias', 'archive',"
	" 'unarchive', 'drop', 'rename', 'comment', 'reserve', 'reassign', 'grant', 'revoke', 'export', 'schedule',"
	" 'unschedule', 'log_on', 'log_off', 'stale')",
	"SELECT format('audit row %s has no object as detail', audit_id) FROM ml.audit_log WHERE jsonb_typeof(detail) <> 'object'",
	"SELECT format('audit row %s is about a model number that was never given, %s', a.audit_id, a.model_id) FROM ml.audit_log a"
	" WHERE NOT a.restored AND a.model_id NOT BETWEEN 1 AND (SELECT s.last_value FROM ml.model_id_seq s)",
	"SELECT format('audit row %s is about version %s of model \"%s\", which was never given', a.audit_id, a.version, m.name)"
	" FROM ml.audit_log a JOIN ml.model m USING (model_id) WHERE a.version > m.last_version",
	"SELECT format('version %s of model \"%s\" is not in the audit', v.version, m.name)"
	" FROM ml.version v JOIN ml.model m USING (model_id) WHERE NOT EXISTS (SELECT FROM ml.audit_log a"
	" WHERE a.model_id = v.model_id AND a.version = v.version)"
	" AND v.trained_at > (SELECT min(at) FROM ml.audit_log)",	/* older rows may have been cleared away */
	/* what protects all this */
	"SELECT format('trigger \"%s\" of table \"ml.%s\" is missing or switched off', t.trigger, t.relation)"
	" FROM (SELECT r.relation, g.trigger FROM unnest('{model,version,privilege,alias,prediction_log_setting}'::text[]) r (relation),"
	" unnest('{catalog_changed,catalog_truncated}'::text[]) g (trigger) UNION ALL"
	" VALUES ('audit_log', 'guard'), ('audit_log', 'guard_all'))"
	" t (relation, trigger) WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid"
	" WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml') AND c.relname = t.relation"
	" AND g.tgname = t.trigger AND g.tgenabled = 'A')",
	"SELECT format('%s of table \"ml.%s\" is switched off', t.what, t.relation) FROM (VALUES ('model', 'view'), ('version', 'view'),"
	" ('privilege', 'view'), ('alias', 'view'), ('training_state', NULL), ('monitoring_row', 'view'),"
	" ('prediction_log_setting', 'view'), ('prediction_log_row', 'manage')) p (relation, policy)"
	" JOIN pg_class c ON c.relname = p.relation AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml'),"
	" LATERAL (SELECT p.relation, 'row security' AS what WHERE NOT c.relrowsecurity UNION ALL"
	" SELECT p.relation, format('policy \"%s\"', p.policy) WHERE p.policy IS NOT NULL AND NOT EXISTS"
	" (SELECT FROM pg_policy l WHERE l.polrelid = c.oid AND l.polname = p.policy AND l.polcmd = 'r')) t",
	"SELECT format('table \"ml.%s\" has a policy \"%s\" that the extension did not make', c.relname, l.polname) FROM pg_policy l"
	" JOIN pg_class c ON c.oid = l.polrelid WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml')"
	" AND NOT (l.polname IN ('view', 'manage') AND l.polcmd = 'r')",
	"SELECT format('view \"ml.%s\" is no barrier for functions of those who ask', v.name)"
	" FROM unnest('{models,versions,privileges,roles,audit,monitoring,prediction_log}'::text[]) v (name)"
	" WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.relname = v.name AND c.relkind = 'v'"
	" AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml') AND 'security_barrier=true' = ANY (c.reloptions))",
	"SELECT format('constraint \"%s\" of table \"ml.%s\" is missing', k.name, substring(k.name, '^(model|version|training_state|alias|'"
	" || 'privilege|audit_log|monitoring_row|prediction_log_setting|prediction_log_row)_'))"
	" FROM unnest('{model_pkey,model_name_key,model_check,model_name_check,version_pkey,version_model_id_version_key,"
	"version_model_id_fkey,version_version_check,version_fingerprint_check,version_rows_read_check,version_rows_used_check,"
	"version_rows_dropped_check,training_state_pkey,training_state_version_id_fkey,alias_pkey,alias_model_id_fkey,"
	"alias_model_id_version_fkey,alias_alias_check,privilege_pkey,privilege_model_id_fkey,privilege_privilege_check,"
	"audit_log_pkey,monitoring_row_pkey,monitoring_row_model_id_fkey,monitoring_row_n_check,monitoring_row_subject_check,"
	"monitoring_row_verdict_check,prediction_log_setting_pkey,prediction_log_setting_model_id_fkey,"
	"prediction_log_setting_share_check,prediction_log_row_pkey,prediction_log_row_model_id_fkey}'::text[]) k (name)"
	" WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = k.name AND c.convalidated"
	" AND c.connamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml'))",
	"SELECT format('index \"ml.%s\" is not valid', c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
	" WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml') AND NOT (i.indisvalid AND i.indisready)",
	"SELECT format('\"ml.%s\" belongs to role \"%s\", not to the owner of table \"ml.model\"', c.relname, pg_get_userbyid(c.relowner))"
	" FROM pg_class c JOIN pg_class m ON m.relname = 'model' AND m.relnamespace = c.relnamespace"
	" WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml') AND c.relowner <> m.relowner AND c.relname"
	" IN ('version', 'training_state', 'alias', 'privilege', 'monitoring_row', 'prediction_log_setting', 'prediction_log_row',"
	" 'models', 'versions', 'privileges', 'roles', 'audit', 'monitoring', 'prediction_log', 'schedules')",
	"SELECT format('table \"ml.audit_log\" belongs to role \"%s\", who is no superuser', r.rolname) FROM pg_class c"
	" JOIN pg_roles r ON r.oid = c.relowner WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml')"
	" AND c.relname = 'audit_log' AND NOT r.rolsuper",
	"SELECT format('\"ml.%s\" is open to everybody', c.relname) FROM pg_class c, aclexplode(c.relacl) a"
	" WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml') AND a.grantee = 0"
	" AND (c.relkind IN ('r', 'S') OR a.privilege_type <> 'SELECT') GROUP BY c.relname",
	"SELECT format('function \"%s\" runs with the rights of its owner', p.oid::regprocedure) FROM pg_depend d"
	" JOIN pg_proc p ON p.oid = d.objid WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass"
	" AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ml_ext') AND p.prosecdef",
	"SELECT format('\"ml.%s\" is left out by pg_dump', c.relname) FROM pg_class c"
	" WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'ml') AND c.relkind IN ('r', 'S')"
	" AND EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
	" AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'ml_ext' AND c.oid = ANY (e.extconfig))"
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

/* What is wrong with a kept training state; NULL: nothing. */
static char *
state_problem(bytea *state, const MlModel *model)
{
	MlReader	reader;
	uint64		n;

	ml_reader_init(&reader, VARDATA_ANY(state), VARSIZE_ANY_EXHDR(state));
	if (!ml_algorithm_additive(model->algorithm))
		return psprintf("no model of algorithm \"%s\" has", model->algorithm->name);
	if (ml_read_u32(&reader, ML_STATE_FORMAT) != ML_STATE_FORMAT)
		ml_corrupt("format of a kept state");
	ml_read_u32(&reader, 1);
	if (ml_read_u32(&reader, INT_MAX) != model->encoder->p)
		return "has another number of columns than its model";
	n = ml_read_u64(&reader);
	ml_read_f64s(&reader, n);
	return ml_read_left(&reader) > 0 ? "is longer than it says" : NULL;
}

/* What a version's row says of its payload, or what is wrong with either; NULL: nothing. */
static char *
payload_problem(struct varlena *value, const char *algorithm, const char *task, const char *target, bytea *state)
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
		else if (state != NULL && (problem = state_problem(state, model)) != NULL)
			problem = psprintf("has a training state that %s", problem);
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
	uint64		n = ml_owner_run("SELECT v.version_id, v.algorithm, v.task, v.target, format('version %s of model \"%s\"', v.version, m.name),"
								 " s.state FROM ml.version v JOIN ml.model m USING (model_id) LEFT JOIN ml.training_state s USING (version_id)"
								 " ORDER BY m.name, v.version",
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
		Datum		state = SPI_getbinval(row, desc, 6, &isnull);
		char	   *problem;

		CHECK_FOR_INTERRUPTS();
		problem = payload_problem(ml_catalog_payload(version_id), SPI_getvalue(row, desc, 2), SPI_getvalue(row, desc, 3),
								  SPI_getvalue(row, desc, 4), isnull ? NULL : DatumGetByteaP(state));
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
