/*
 * monitor.c - ml_monitor: a batch compared with what the model remembers of its
 * training rows; the findings are returned and kept in ml.monitoring_row.
 *
 * The batch is read with the caller's rights.  The findings are written as the
 * owner of the catalog, after it is checked that the caller may view the model.
 * Everything lies in one memory context that goes at the end.
 */
#include "monitor/monitor.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/acl.h"
#include "core/catalog.h"
#include "core/progress.h"
#include "train/args.h"

/* Of on_alert => 'error': a class of our own, so that it cannot be taken for another error. */
#define ERRCODE_ML_ALERT MAKE_SQLSTATE('M', 'L', '0', '0', '1')

#define TEXTS 5
#define NUMBERS 8

static void
finding_texts(const MlFinding *f, const char **text)
{
	text[0] = f->segment;
	text[1] = f->subject;
	text[2] = f->feature;
	text[3] = f->measure;
	text[4] = f->verdict;
}

static void
finding_numbers(const MlFinding *f, double *number)
{
	number[0] = f->reference;
	number[1] = f->value;
	number[2] = f->low;
	number[3] = f->high;
	number[4] = f->warn;
	number[5] = f->alert;
	number[6] = f->noise;
	number[7] = f->n;
}

static Datum
make_array(Datum *values, bool *nulls, int n, Oid type)
{
	int			dims[1] = {n};
	int			lower[1] = {1};

	return type == TEXTOID
		? PointerGetDatum(construct_md_array(values, nulls, 1, dims, lower, TEXTOID, -1, false, TYPALIGN_INT))
		: PointerGetDatum(construct_md_array(values, nulls, 1, dims, lower, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* All findings in one statement; returns the number of the run. */
static int64
record_findings(const MlMonitor *m, const MlModelRef *ref)
{
	int			n = list_length(m->findings);
	Datum	   *values = palloc(n * sizeof(Datum));
	bool	   *nulls = palloc(n * sizeof(bool));
	Oid			types[4 + TEXTS + NUMBERS] = {NAMEOID, TEXTOID, INT8OID, INT4OID};
	Datum		args[4 + TEXTS + NUMBERS];
	NameData	role;
	MlOwnerWork work;
	int64		run;

	namestrcpy(&role, GetUserNameFromId(GetUserId(), false));
	args[0] = NameGetDatum(&role);
	args[1] = CStringGetTextDatum(m->source->text);
	args[2] = Int64GetDatum(ref->model_id);
	args[3] = Int32GetDatum(ref->version);
	for (int a = 0; a < TEXTS + NUMBERS; a++)
	{
		Oid			type = a < TEXTS ? TEXTOID : FLOAT8OID;

		for (int i = 0; i < n; i++)
		{
			const char *text[TEXTS];
			double		number[NUMBERS];

			finding_texts(list_nth(m->findings, i), text);
			finding_numbers(list_nth(m->findings, i), number);
			nulls[i] = a < TEXTS ? text[a] == NULL : isnan(number[a - TEXTS]);
			values[i] = nulls[i] ? (Datum) 0 : a < TEXTS ? CStringGetTextDatum(text[a]) : Float8GetDatum(number[a - TEXTS]);
		}
		args[4 + a] = make_array(values, nulls, n, type);
		types[4 + a] = type == TEXTOID ? TEXTARRAYOID : FLOAT8ARRAYOID;
	}
	ml_owner_begin(&work);
	ml_owner_run("WITH run AS MATERIALIZED (SELECT pg_catalog.nextval('ml.monitoring_run_seq') AS id),"
				 " rows AS (INSERT INTO ml.monitoring_row (run_id, line, role, source, model_id, version, segment, subject,"
				 " feature, measure, verdict, reference, value, ci_low, ci_high, warn_threshold, threshold, noise_floor, n)"
				 " SELECT run.id, u.line, $1, $2, $3, $4, u.segment, u.subject, u.feature, u.measure, u.verdict,"
				 " u.reference, u.value, u.low, u.high, u.warn, u.alert, u.noise, u.n"
				 " FROM run, ROWS FROM (unnest($5), unnest($6), unnest($7), unnest($8), unnest($9), unnest($10), unnest($11),"
				 " unnest($12), unnest($13), unnest($14), unnest($15), unnest($16), unnest($17)) WITH ORDINALITY"
				 " AS u (segment, subject, feature, measure, verdict, reference, value, low, high, warn, alert, noise, n, line))"
				 " SELECT id FROM run", lengthof(args), types, args, NULL);
	run = ml_owner_int(1);
	ml_owner_end(&work);
	return run;
}

static void
return_findings(MlResultRows *rows, const MlMonitor *m, int64 run)
{
	ListCell   *cell;

	foreach(cell, m->findings)
	{
		const char *text[TEXTS];
		double		number[NUMBERS];
		Datum		values[14];
		bool		nulls[14] = {false};

		finding_texts(lfirst(cell), text);
		finding_numbers(lfirst(cell), number);
		values[0] = Int64GetDatum(run);
		nulls[0] = run == 0;
		for (int i = 0; i < 4; i++)
		{
			values[1 + i] = text[i] ? CStringGetTextDatum(text[i]) : (Datum) 0;
			nulls[1 + i] = text[i] == NULL;
		}
		for (int i = 0; i < 7; i++)
		{
			values[5 + i] = Float8GetDatum(number[i]);
			nulls[5 + i] = isnan(number[i]);
		}
		values[12] = text[4] ? CStringGetTextDatum(text[4]) : (Datum) 0;
		nulls[12] = text[4] == NULL;
		values[13] = Int64GetDatum((int64) number[7]);
		ml_result_add(rows, values, nulls);
	}
}

/* Ends the transaction when there is an alert. */
static void
raise_alert(const MlMonitor *m, const MlModelRef *ref)
{
	StringInfoData detail;
	ListCell   *cell;
	int			alerts = 0;

	initStringInfo(&detail);
	foreach(cell, m->findings)
	{
		const MlFinding *f = lfirst(cell);

		if (f->verdict == NULL || strcmp(f->verdict, "alert") != 0)
			continue;
		if (alerts++ >= 5)
			continue;
		appendStringInfo(&detail, "%s%s", alerts > 1 ? "; " : "", f->subject);
		if (f->feature)
			appendStringInfo(&detail, " \"%s\"", f->feature);
		if (f->segment)
			appendStringInfo(&detail, " of segment \"%s\"", f->segment);
		appendStringInfo(&detail, ": %s is %.4g, threshold %.4g", f->measure, f->value, f->alert);
	}
	if (alerts > 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_ALERT),
				 errmsg("monitoring of model \"%s\" found %d alerts in %.0f rows", ref->name, alerts, m->rows),
				 errdetail("%s%s.", detail.data, alerts > 5 ? "; and more" : "")));
}

/* What the caller must know to read the findings. */
static void
give_notices(const MlMonitor *m)
{
	if (m->profile->prediction == NULL)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("the model keeps no predictions of its own, so those of the batch are compared with nothing")));
	else if (m->model->classes > 0 && m->actual == NULL && m->profile->nrates == 0)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("estimated performance takes the probabilities as they are: nothing is known of their calibration")));
	if (m->no_segment > 0)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("%.0f of %.0f rows have no value of \"%s\" and belong to no segment", m->no_segment, m->rows,
						m->segment)));
}

static void
open_model(MlMonitor *m, const MlModelRef *ref)
{
	m->model = ml_model_unpack_whole(ml_catalog_payload(ref->version_id));
	m->profile = m->model->profile;
	if (m->profile == NULL && m->model->summaries)
		m->profile = ml_profile_of_summaries(m->model->encoder->schema, m->model->summaries, m->model->nsummaries);
	if (m->profile == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" keeps nothing of the rows it was trained on", ref->name),
				 errdetail("A model that was imported from another library cannot be monitored.")));
	if (m->actual && m->model->task == ML_ANOMALY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm \"%s\" learns without a target, so there is nothing to measure it by",
						m->model->algorithm->name)));
}

/* ml_monitor(model, source, actual, segment, on_alert, thresholds, record) */
ML_FUNCTION(ml_sql_monitor)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt;
	MlResultRows rows;
	MlModelRef	ref;
	MlMonitor	m = {0};
	char	   *on_alert;
	bool		record;
	int64		run = 0;

	ml_arg_required(fcinfo, 0, "model");
	ml_arg_required(fcinfo, 1, "source");
	ml_arg_required(fcinfo, 4, "on_alert");
	ml_arg_required(fcinfo, 6, "record");
	record = PG_GETARG_BOOL(6);
	if (record)
		PreventCommandIfReadOnly("ml_monitor()");
	ml_result_begin(fcinfo, &rows);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext monitor", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	on_alert = ml_arg_text(fcinfo, 4);
	if (strcmp(on_alert, "none") != 0 && strcmp(on_alert, "error") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized value \"%s\" for argument \"on_alert\"", on_alert),
				 errhint("Valid values are \"none\" and \"error\".")));
	ml_monitor_options(&m.options, PG_ARGISNULL(5) ? NULL : PG_GETARG_JSONB_P(5));
	m.actual = ml_arg_text(fcinfo, 2);
	m.segment = ml_arg_text(fcinfo, 3);
	ml_progress_start("monitor", InvalidOid);
	ml_catalog_resolve(ml_arg_text(fcinfo, 0), ML_VIEW, false, &ref);
	open_model(&m, &ref);
	m.source = ml_source_open(ml_arg_text(fcinfo, 1));
	ml_progress_relation(m.source->relid);
	ml_progress_phase(ML_PHASE_SCORE);
	ml_monitor_scan(&m);
	ml_monitor_judge(&m);
	if (strcmp(on_alert, "error") == 0)
		raise_alert(&m, &ref);
	give_notices(&m);
	if (record)
	{
		/* A query of the source may have taken the privilege away. */
		ml_catalog_check(ref.version_id, ML_VIEW);
		run = record_findings(&m, &ref);
	}
	return_findings(&rows, &m, run);
	ml_progress_end();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
	PG_RETURN_VOID();
}
