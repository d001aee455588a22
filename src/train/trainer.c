/*
 * trainer.c - ml_train and ml_fit: collect or stream, measure on a holdout that
 * the measured model has not seen, fit again on all rows, keep the result.
 *
 * Nothing is stored before the last step, and that is one catalog write: a
 * training that fails or is rolled back never happened.
 */
#include "train/train.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/float.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/catalog.h"
#include "core/progress.h"
#include "core/registry.h"
#include "eval/curves.h"
#include "eval/metrics.h"
#include "train/args.h"
#include "train/streamed.h"
#include "train/trained.h"

#define MIN_HOLDOUT_TRAINING 10 /* rows below which a holdout says nothing */
#define MAX_REFIT_ROWS 50000	/* beyond, a fit that is not additive is not done twice unless asked for */

typedef struct Metric
{
	const char *name;
	double		value;
	double		baseline;
	const char *undefined;
	double		low;			/* 95 %; NaN: not known */
	double		high;
	bool		higher_is_better;
} Metric;

typedef struct Outcome
{
	MlFit	   *fit;
	const void *params;
	double	   *prior;
	Metric	   *metrics;
	int			nmetrics;
	int64		holdout_rows;
	const char *curves;			/* of the holdout, as JSON; or NULL */
	const MlLearning *learning; /* of the fit that was measured, or of the only one */
	bool		refitted;		/* the stored model has learned from the holdout, too */
	MlProfile  *profile;
} Outcome;

/* ---- arguments ---- */

char *
ml_arg_text(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

char **
ml_arg_names(FunctionCallInfo fcinfo, int n, const char *what, int *count)
{
	Datum	   *values;
	bool	   *nulls;
	char	  **names;

	*count = -1;
	if (PG_ARGISNULL(n))
		return NULL;
	if (ARR_NDIM(PG_GETARG_ARRAYTYPE_P(n)) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("argument \"%s\" must be a one-dimensional array", what)));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, count);
	names = palloc(Max(*count, 1) * sizeof(char *));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain NULL", what)));
		names[i] = TextDatumGetCString(values[i]);
	}
	return names;
}

void
ml_arg_required(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
}

Datum
ml_text_array(List *strings)
{
	int			n = list_length(strings);
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));
	ListCell   *cell;
	int			i = 0;

	foreach(cell, strings)
		values[i++] = CStringGetTextDatum((char *) lfirst(cell));
	return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT));
}

MlTraining *
ml_training_begin(const char *command, const MlRequest *request)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext training",
											  ALLOCSET_DEFAULT_SIZES);
	MlTraining *t;

	MemoryContextSwitchTo(cxt);
	t = palloc0(sizeof(MlTraining));
	t->cxt = cxt;
	t->warnings.cxt = cxt;
	ml_warnings_push(&t->warnings);
	t->compares = t->stores = strcmp(command, "cv") != 0;
	ml_progress_start(command, InvalidOid);
	ml_progress_phase(ML_PHASE_ANALYZE);
	ml_training_open(t, request);
	return t;
}

void
ml_training_end(MlTraining *t)
{
	ml_warnings_pop(&t->warnings);
	ml_progress_end();
	MemoryContextDelete(t->cxt);
}

/* ---- measuring ---- */

static void
keep_metrics(Outcome *o, MlMetrics *model, MlMetrics *baseline)
{
	MlMetricValue *a;
	MlMetricValue *b;
	int			n = ml_metrics_values(model, &a);

	ml_metrics_values(baseline, &b);
	o->metrics = palloc(n * sizeof(Metric));
	for (int i = 0; i < n; i++)
	{
		o->metrics[i].name = a[i].name;
		o->metrics[i].value = a[i].value;
		o->metrics[i].baseline = b[i].value;
		o->metrics[i].undefined = a[i].undefined;
		o->metrics[i].low = a[i].ci_low;
		o->metrics[i].high = a[i].ci_high;
		o->metrics[i].higher_is_better = a[i].higher_is_better;
	}
	o->nmetrics = n;
}

static const Metric *
main_metric(const MlTraining *t, const Outcome *o)
{
	const char *name = ml_metrics_main(t->task, t->classes);

	for (int i = 0; i < o->nmetrics; i++)
		if (strcmp(o->metrics[i].name, name) == 0)
			return &o->metrics[i];
	return NULL;
}

static double
metric_value(const Outcome *o, const char *name)
{
	for (int i = 0; i < o->nmetrics; i++)
		if (strcmp(o->metrics[i].name, name) == 0)
			return o->metrics[i].value;
	return get_float8_nan();
}

/* A model that never errs on rows it has not seen usually knows the answer. */
static void
warn_perfect(const MlTraining *t, const Outcome *o)
{
	if (o->holdout_rows >= 50 &&
		(metric_value(o, "auc") == 1 || metric_value(o, "r2") > 1 - 1e-9))
		ml_warn("the model makes no error on the holdout: a feature may give the target away; ml_importance shows which counts most");
}

/* Whoever reads the value alone would use a model that knows nothing. */
static void
warn_useless(const MlTraining *t, const Outcome *o)
{
	const Metric *metric = main_metric(t, o);

	if (metric == NULL || o->holdout_rows == 0 || strcmp(t->algorithm->name, "baseline") == 0 ||
		isnan(metric->value) || isnan(metric->baseline))
		return;
	if (metric->higher_is_better ? metric->value <= metric->baseline : metric->value >= metric->baseline)
		ml_warn("the model is no better than the baseline on the %lld rows of the holdout: %s is %.4g, that of the baseline %.4g",
				(long long) o->holdout_rows, metric->name, metric->value, metric->baseline);
}

/* Measures the rows of the mask, and keeps what charts of them need. */
static void
measure(MlTraining *t, Outcome *o, const MlMask *mask, const MlFit *fit)
{
	/* The scores of many classes lie in many small pieces, which would stay where they are freed one by one. */
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext measure", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlMetrics  *model = ml_metrics_create(t->task, t->classes);
	MlMetrics  *baseline = ml_metrics_create(t->task, t->classes);
	StringInfoData curves;

	t->curves = ml_curves_create(t->task, t->classes);
	MemoryContextSwitchTo(old);
	t->scored = ml_scored_create(t->classes);
	if (t->rival)
	{
		ml_rival_begin(t->rival, t);
		t->duel = t->rival->measured;
	}
	ml_score_rows(t, mask, fit, fit->prior, model, baseline);
	if (t->duel)
		ml_rival_end(t->rival);
	t->duel = false;
	keep_metrics(o, model, baseline);
	o->holdout_rows = ml_metrics_rows(model);
	initStringInfo(&curves);
	ml_curves_json(t->curves, false, &curves);
	o->curves = curves.data;
	ml_curves_free(t->curves);
	t->curves = NULL;
	ml_metrics_free(model);
	ml_metrics_free(baseline);
	MemoryContextDelete(cxt);
}

/* ---- the two ways ---- */

/* A fit whose warnings the user need not see: the final one repeats them. */
static MlFit *
quiet_fit(MlTraining *t, const MlMask *mask, const void *params)
{
	MlWarnings	quiet = {CurrentMemoryContext, NIL, true};
	MlFit	   *volatile fit = NULL;

	ml_warnings_push(&quiet);
	PG_TRY();
	{
		fit = ml_fit_rows(t, mask, params, NULL);
	}
	PG_FINALLY();
	{
		ml_warnings_pop(&quiet);
	}
	PG_END_TRY();
	return fit;
}

/* Whether the model that is measured is to be the one that is stored. */
static bool
keeps_measured(const MlTraining *t, double training_share)
{
	if (t->core.refit != ML_REFIT_AUTO)
		return t->core.refit == ML_REFIT_NEVER;
	return t->algorithm->fit != NULL && training_share * t->rows_used > MAX_REFIT_ROWS;
}

static void
train_collected(MlTraining *t, Outcome *o)
{
	double		shares[2];
	MlMask		train = {0};
	MlMask		holdout = {0};
	MlFit	   *measured = NULL;

	ml_training_collect(t);
	if (t->fingerprinted)
		ml_training_fingerprint(t);
	shares[0] = t->task == ML_ANOMALY ? 0 : t->request.holdout;
	shares[1] = 1 - shares[0];
	if (shares[0] > 0 && t->rows_used < MIN_HOLDOUT_TRAINING)
		ml_warn("%lld rows are too few for a holdout: nothing is known of the model's quality",
				(long long) t->rows_used);
	else if (shares[0] > 0)
	{
		holdout.split = train.split = ml_training_split(t, 2, shares);
		holdout.inside = true;
		ml_choose_algorithm(t, &train);
		o->params = ml_choose_params(t, &train);
		ml_progress_phase(ML_PHASE_FIT);
		t->keep_measured = keeps_measured(t, shares[1]);
		measured = t->keep_measured ? ml_fit_rows(t, &train, o->params, NULL) : quiet_fit(t, &train, o->params);
		ml_progress_phase(ML_PHASE_SCORE);
		measure(t, o, &holdout, measured);
		o->learning = measured->learning;
	}
	ml_choose_algorithm(t, NULL);
	if (t->keep_measured)
	{
		o->fit = measured;
		o->prior = measured->prior;
		return;
	}
	o->refitted = measured != NULL;
	if (measured)
		ml_fit_free(measured);
	if (o->params == NULL)
		o->params = ml_choose_params(t, NULL);
	ml_progress_phase(ML_PHASE_FIT);
	o->fit = ml_fit_rows(t, NULL, o->params, measured);
	o->prior = o->fit->prior;
	if (measured == NULL)
		o->learning = o->fit->learning;
}

static bool
train_streamed(MlTraining *t, Outcome *o)
{
	MlStreamed *s = palloc0(sizeof(MlStreamed));
	bool		cv;

	if (!ml_training_streams(t))
		return false;
	cv = ml_params_wants_cv(t->algorithm->params, t->params);
	if (!ml_stream_scan(t, s, cv ? ML_STREAM_FOLDS : 1, t->request.holdout))
		return false;
	ml_stream_fit(t, s);
	o->fit = &s->fit;
	o->params = s->params;
	o->prior = s->prior;
	o->refitted = s->refitted;
	o->metrics = palloc(ML_STREAM_METRICS * sizeof(Metric));
	o->nmetrics = s->nmetrics;
	for (int i = 0; i < s->nmetrics; i++)
	{
		o->metrics[i].name = s->names[i];
		o->metrics[i].value = s->values[i];
		o->metrics[i].baseline = s->baselines[i];
		o->metrics[i].low = o->metrics[i].high = get_float8_nan();
		o->metrics[i].higher_is_better = strcmp(s->names[i], "r2") == 0;
		o->metrics[i].undefined = isnan(s->values[i]) ? "the actual values are constant" : NULL;
	}
	o->holdout_rows = (int64) ml_state_part(s->state, 0)->n;
	return true;
}

/* ---- the model ---- */

static void
json_number(StringInfo out, double value)
{
	if (isfinite(value))
		appendStringInfoString(out, DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(value))));
	else
		appendStringInfoString(out, "null");
}

static Jsonb *
model_info(const MlTraining *t, const Outcome *o)
{
	StringInfoData s;
	ListCell   *cell;
	const char *learning = ml_learning_json(o->learning);

	initStringInfo(&s);
	appendStringInfo(&s, "{\"rows_read\": %lld, \"rows_used\": %lld, \"rows_dropped\": %lld, \"seed\": %lld, \"holdout_rows\": %lld, \"prior\": [",
					 (long long) t->rows_read, (long long) t->rows_used,
					 (long long) (t->rows_read - t->rows_used), (long long) t->request.seed,
					 (long long) o->holdout_rows);
	for (int k = 0; k < (t->task == ML_ANOMALY ? 0 : t->classes > 2 ? t->classes : 1); k++)
	{
		appendStringInfoString(&s, k > 0 ? ", " : "");
		json_number(&s, o->prior[k]);
	}
	appendStringInfoString(&s, "], \"metrics\": {");
	for (int i = 0; i < o->nmetrics; i++)
	{
		appendStringInfo(&s, "%s\"%s\": ", i > 0 ? ", " : "", o->metrics[i].name);
		json_number(&s, o->metrics[i].value);
	}
	appendStringInfoString(&s, "}, \"baseline\": {");
	for (int i = 0; i < o->nmetrics; i++)
	{
		appendStringInfo(&s, "%s\"%s\": ", i > 0 ? ", " : "", o->metrics[i].name);
		json_number(&s, o->metrics[i].baseline);
	}
	appendStringInfo(&s, "}, \"refit\": %s, \"converged\": %s", o->refitted ? "true" : "false",
					 o->fit->converged ? "true" : "false");
	if (o->curves && o->holdout_rows > 0)
		appendStringInfo(&s, ", \"curves\": %s", o->curves);	/* for ml_plot and ml_report */
	if (learning)
		appendStringInfo(&s, ", \"learning\": %s", learning);
	if (o->fit->stop)
	{
		appendStringInfoString(&s, ", \"stop\": ");
		escape_json(&s, o->fit->stop);
	}
	appendStringInfoString(&s, ", \"warnings\": [");
	foreach(cell, t->warnings.messages)
	{
		appendStringInfoString(&s, foreach_current_index(cell) > 0 ? ", " : "");
		escape_json(&s, (char *) lfirst(cell));
	}
	appendStringInfoString(&s, "]}");
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(s.data)));
}

static MlModel *
build_model(const MlTraining *t, const Outcome *o)
{
	MlModel    *model = palloc0(sizeof(MlModel));

	model->algorithm = t->algorithm;
	model->task = t->task;
	model->classes = t->classes;
	model->labels = t->labels;
	if (t->target_column >= 0)
	{
		model->target = t->source->columns[t->target_column].name;
		model->target_type = format_type_be(t->source->columns[t->target_column].type);
	}
	model->params = ml_params_to_jsonb(ml_core_params, &t->core, t->algorithm->params, o->params);
	model->info = model_info(t, o);
	model->encoder = o->fit->encoder;
	model->fit = o->fit->model;
	model->summaries = t->summaries;
	model->nsummaries = t->schema->ncells;
	model->profile = o->profile;
	return model;
}

static void
read_request(FunctionCallInfo fcinfo, int first, MlRequest *r)
{
	ml_arg_required(fcinfo, first, "source");
	r->source = ml_arg_text(fcinfo, first);
	r->target = ml_arg_text(fcinfo, first + 1);
	r->algorithm = ml_arg_text(fcinfo, first + 2);
	r->params = PG_ARGISNULL(first + 3) ? NULL : PG_GETARG_JSONB_P(first + 3);
	r->features = ml_arg_names(fcinfo, first + 4, "features", &r->nfeatures);
	r->exclude = ml_arg_names(fcinfo, first + 5, "exclude", &r->nexclude);
	r->task = ml_arg_text(fcinfo, first + 6);
	r->weight = ml_arg_text(fcinfo, first + 7);
	ml_arg_required(fcinfo, first + 8, "holdout");
	r->holdout = PG_GETARG_FLOAT8(first + 8);
	if (!(r->holdout >= 0 && r->holdout <= 0.9))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %g is out of range for parameter \"holdout\"", r->holdout),
				 errdetail("Valid range is 0 to 0.9: the share of rows kept for measuring.")));
	r->split_by = ml_arg_text(fcinfo, first + 9);
	r->order_by = ml_arg_text(fcinfo, first + 10);
	ml_arg_required(fcinfo, first + 11, "seed");
	r->seed = PG_GETARG_INT64(first + 11);
}

/* What the model is to remember for its monitoring. */
static void
keep_profile(MlTraining *t, Outcome *o, bool collected)
{
	MlScored   *scored = collected ? t->scored : ml_scored_sample(t, o->fit);
	MlProfile  *profile = ml_training_profile(t, scored, collected);

	profile->nmetrics = o->nmetrics;
	profile->metrics = palloc0(Max(o->nmetrics, 1) * sizeof(MlProfileMetric));
	for (int i = 0; i < o->nmetrics; i++)
		profile->metrics[i] = (MlProfileMetric)
		{
			pstrdup(o->metrics[i].name), o->metrics[i].value, o->metrics[i].low, o->metrics[i].high,
				o->metrics[i].higher_is_better
		};
	o->profile = profile;
}

static void
run(MlTraining *t, Outcome *o)
{
	bool		streamed = train_streamed(t, o);

	if (!streamed)
	{
		memset(o, 0, sizeof(*o));
		t->rows_read = t->rows_no_target = 0;
		train_collected(t, o);
	}
	keep_profile(t, o, !streamed);
	if (o->nmetrics > 0 && o->holdout_rows == 0)
		ml_warn("the holdout has no rows: nothing is known of the model's quality");
	warn_perfect(t, o);
	warn_useless(t, o);
}

/* ml_fit(source, target, algorithm, params, features, exclude, task, weight, holdout, split_by, order_by, seed) */
ML_FUNCTION(ml_sql_fit)
{
	MlRequest	request = {0};
	Outcome		o = {0};
	MemoryContext caller = CurrentMemoryContext;
	MlTraining *t;
	struct varlena *value;

	read_request(fcinfo, 0, &request);
	t = ml_training_begin("fit", &request);
	run(t, &o);
	MemoryContextSwitchTo(caller);
	value = ml_model_pack(build_model(t, &o));
	ml_training_end(t);
	PG_RETURN_POINTER(value);
}

/* ---- a version of a named model ---- */

/* Whether a NULL was filled with a statistic of the rows. */
static bool
imputed(const MlTraining *t)
{
	if (t->core.impute != ML_IMPUTE_MEDIAN && t->core.impute != ML_IMPUTE_MEAN)
		return false;
	for (int i = 0; i < t->schema->ncolumns; i++)
		for (int c = 0; c < t->schema->columns[i].cells && t->schema->columns[i].kind != ML_CATEGORY; c++)
			if (t->summaries[t->schema->columns[i].first_cell + c].nulls > 0)
				return true;
	return false;
}

/* What ml.training_state keeps: format, whether values were imputed, columns, then the doubles of the state. */
bytea *
ml_kept_state(const MlFit *fit, bool was_imputed)
{
	MlWriter	writer;
	bytea	   *bytes;

	ml_writer_init(&writer);
	ml_write_u32(&writer, ML_STATE_FORMAT);
	ml_write_u32(&writer, was_imputed);
	ml_write_u32(&writer, fit->problem.p);
	ml_write_u64(&writer, fit->nstate);
	ml_write_f64s(&writer, fit->state, fit->nstate);
	bytes = palloc_extended(VARHDRSZ + writer.buf.len, MCXT_ALLOC_HUGE);
	SET_VARSIZE(bytes, VARHDRSZ + writer.buf.len);
	memcpy(VARDATA(bytes), writer.buf.data, writer.buf.len);
	return bytes;
}

void
ml_train_run(MlTrained *d, const char *command, const MlRequest *request, const char *notes, MlRival *rival)
{
	Outcome		o = {0};
	MlVersionRow *row = &d->row;
	const Metric *metric;
	MlTraining *t;

	memset(d, 0, sizeof(*d));
	d->start = GetCurrentTimestamp();
	t = d->training = ml_training_begin(command, request);
	t->fingerprinted = true;
	if (rival)
	{
		ml_rival_open(rival, t);
		if (rival->missing == NULL && !rival->differs)
			t->rival = rival;
	}
	run(t, &o);
	ml_progress_phase(ML_PHASE_STORE);
	d->model = build_model(t, &o);
	d->fit = o.fit;
	metric = main_metric(t, &o);
	row->source = request->source;
	row->rows_read = t->rows_read;
	row->rows_used = t->rows_used;
	row->rows_dropped = t->rows_read - t->rows_used;
	row->seed = request->seed;
	d->metric = row->metric = metric ? metric->name : NULL;
	row->value = metric ? metric->value : get_float8_nan();
	row->baseline = metric ? metric->baseline : get_float8_nan();
	row->notes = notes;
	row->fingerprint = &t->fingerprint;
	row->lineage = ml_training_lineage(t, request, notes, o.holdout_rows);
	if (o.fit->state)
		row->state = ml_kept_state(o.fit, imputed(t));
}

int
ml_train_store(MlTrained *d, const char *name)
{
	const MlTraining *t = d->training;
	struct varlena *value;

	if (t->start && strcmp(t->start_name, name) == 0)
		d->row.parent = t->start_version;
	d->row.warnings = t->warnings.messages;
	d->row.elapsed = (GetCurrentTimestamp() - d->start) / 1e6;
	value = ml_model_pack(d->model);
	d->model->fit = NULL;
	ml_fit_free(d->fit);
	return ml_catalog_store(name, value, d->model, &d->row);
}

/* ml_train(model, then as ml_fit, notes) */
ML_FUNCTION(ml_sql_train)
{
	MlRequest	request = {0};
	MemoryContext caller = CurrentMemoryContext;
	MlTrained	d;
	MlVersionRow *row = &d.row;
	char	   *name;
	TupleDesc	desc;
	Datum		values[13];
	bool		nulls[13] = {false};
	Interval   *elapsed;
	HeapTuple	tuple;
	int			version;

	PreventCommandIfReadOnly("ml_train()");
	ml_arg_required(fcinfo, 0, "model");
	name = ml_arg_text(fcinfo, 0);
	ml_catalog_check_store(name);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "ml_train must return a row");
	desc = BlessTupleDesc(desc);
	read_request(fcinfo, 1, &request);
	ml_train_run(&d, "train", &request, ml_arg_text(fcinfo, 13), NULL);
	version = ml_train_store(&d, name);

	MemoryContextSwitchTo(caller);
	values[0] = CStringGetTextDatum(name);
	values[1] = Int32GetDatum(version);
	values[2] = CStringGetTextDatum(d.model->algorithm->name);
	values[3] = CStringGetTextDatum(ml_task_name(d.model->task));
	values[4] = Int64GetDatum(row->rows_read);
	values[5] = Int64GetDatum(row->rows_used);
	values[6] = Int64GetDatum(row->rows_dropped);
	values[7] = Int32GetDatum(d.training->schema->ncolumns);
	nulls[8] = nulls[9] = nulls[10] = true;
	if (d.metric)
	{
		values[8] = CStringGetTextDatum(d.metric);
		values[9] = Float8GetDatum(row->value);
		values[10] = Float8GetDatum(row->baseline);
		nulls[8] = false;
		nulls[9] = isnan(row->value);
		nulls[10] = isnan(row->baseline);
	}
	values[11] = ml_text_array(row->warnings);
	elapsed = palloc0(sizeof(Interval));
	elapsed->time = GetCurrentTimestamp() - d.start;
	values[12] = IntervalPGetDatum(elapsed);
	tuple = heap_form_tuple(desc, values, nulls);
	ml_training_end(d.training);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}
