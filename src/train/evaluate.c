/*
 * evaluate.c - ml_evaluate: a model's metrics on rows of a source, beside those
 * of a dummy that knows only the training target's distribution; and the scan
 * that predicts all rows of a source, which charts use as well.
 */
#include "train/train.h"

#include <math.h>

#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/cache.h"
#include "core/catalog.h"
#include "core/json.h"
#include "core/progress.h"
#include "core/state.h"
#include "eval/metrics.h"
#include "train/args.h"
#include "train/score.h"

typedef struct Scorer
{
	const MlModel *model;
	MlConverter *converters;	/* per column of the model */
	MlConverter actual;
	MlColumn	target;
	FmgrInfo	output;
	double	   *cells;
	double	   *x;
	double	   *out;
	MlScoredRow	scored;
	void	   *arg;
	bool		with_target;
	int64		rows;
	int64		skipped;		/* no actual value */
} Scorer;

/* A class that the model does not know is an error that shows it. */
static void
unknown_class(Scorer *s, Datum value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the model does not know class \"%s\" of column \"%s\"",
					OutputFunctionCall(&s->output, value), s->model->target),
			 errhint("Leave such rows out of the source.")));
}

static void
score_row(void *arg, const MlRow *row)
{
	Scorer	   *s = arg;
	const MlModel *model = s->model;
	int			n = model->encoder->schema->ncolumns;
	double		y = NAN;

	if ((++s->rows & 0xfff) == 0)
		ml_progress_rows(s->rows);
	if (s->with_target && row->isnull[n])
	{
		s->skipped++;
		return;
	}
	if (s->with_target)
		ml_convert(&s->actual, row->values[n], false, &y);
	if (s->with_target && model->classes > 0 && y == ML_UNSEEN)
		unknown_class(s, row->values[n]);
	if (s->with_target && !isfinite(y))
		ml_reject_value(model->target, y);
	for (int i = 0; i < n; i++)
	{
		const MlColumn *col = &model->encoder->schema->columns[i];

		ml_convert(&s->converters[i], row->values[i], row->isnull[i], s->cells + col->first_cell);
	}
	if (!ml_encode(model->encoder, s->cells, model->encoder->schema->ncells, 1, s->x))
		ml_encode_error(model->encoder, s->cells);
	model->algorithm->predict(model->fit, s->x, s->out);
	s->scored(s->arg, y, s->out, row->position);
}

/* The dummy's prediction: mean, share of class 1, or all shares; NULL when the model does not know it. */
double *
ml_model_prior(const MlModel *model)
{
	int			n = model->classes > 2 ? model->classes : 1;
	double	   *prior = palloc0(n * sizeof(double));
	JsonbContainer *known = ml_json_member(&model->info->root, "prior");

	for (int k = 0; k < n; k++)
	{
		prior[k] = ml_json_at(known, k);
		if (!isfinite(prior[k]))
			return NULL;
	}
	return prior;
}

static void
open_target(Scorer *s, Oid type)
{
	Oid			output;
	bool		varlena;

	s->target.name = s->model->target;
	s->target.type = s->model->target_type;
	s->target.cells = 1;
	if (s->model->classes > 0)
	{
		s->target.kind = ML_CATEGORY;
		s->target.dict = ml_dict_create(CurrentMemoryContext);
		for (int k = 0; k < s->model->classes; k++)
			ml_dict_intern(s->target.dict, s->model->labels[k], strlen(s->model->labels[k]));
		getTypeOutputInfo(type, &output, &varlena);
		fmgr_info(output, &s->output);
	}
	else
		s->target.kind = ML_NUMBER;
	ml_converter_init(&s->actual, &s->target, type, false);
}

static void
open_scorer(Scorer *s, const MlSource *source, const int *columns)
{
	const MlSchema *schema = s->model->encoder->schema;

	s->converters = palloc0(Max(schema->ncolumns, 1) * sizeof(MlConverter));
	for (int i = 0; i < schema->ncolumns; i++)
		ml_converter_init(&s->converters[i], &schema->columns[i], source->columns[columns[i]].type, false);
	if (s->with_target)
		open_target(s, source->columns[columns[schema->ncolumns]].type);
	s->cells = palloc(Max(schema->ncells, 1) * sizeof(double));
	s->x = palloc(Max(s->model->encoder->p, 1) * sizeof(double));
	s->out = palloc(Max(s->model->classes, 1) * sizeof(double));
}

int64
ml_score_source(const MlModel *model, const char *text, bool target, MlScoredRow scored, void *arg)
{
	const MlSchema *schema = model->encoder->schema;
	int		   *columns = palloc((schema->ncolumns + 1) * sizeof(int));
	MlSource   *source = ml_source_open(text);
	Scorer		s = {.model = model, .scored = scored, .arg = arg};

	ml_progress_relation(source->relid);
	for (int i = 0; i < schema->ncolumns; i++)
		columns[i] = ml_source_column(source, schema->columns[i].name);
	s.with_target = target || (model->target && ml_source_find(source, model->target) >= 0);
	if (s.with_target)
		columns[schema->ncolumns] = ml_source_column(source, model->target);
	open_scorer(&s, source, columns);
	ml_progress_phase(ML_PHASE_SCORE);
	ml_stream(source, columns, schema->ncolumns + s.with_target, score_row, &s);
	if (s.skipped > 0)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("%lld of %lld rows have no value of \"%s\" and were left out",
						(long long) s.skipped, (long long) s.rows, model->target)));
	return s.rows - s.skipped;
}

void
ml_score_needs_target(const MlModel *model)
{
	if (model->target == NULL && model->task != ML_ANOMALY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the model does not know the name of its target"),
				 errhint("Import it again with target => '...'.")));
	if (model->target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm \"%s\" learns without a target, so there is nothing to measure it by",
						model->algorithm->name),
				 errhint("Compare the scores of ml_predict with labels of your own, as by ml_auc.")));
}

/* ---- ml_evaluate ---- */

typedef struct Measured
{
	double	   *dummy;
	MlMetrics  *metrics;
	MlMetrics  *baseline;
} Measured;

static void
add_measured(void *arg, double actual, const double *predicted, uint64 position)
{
	Measured   *m = arg;

	ml_metrics_add(m->metrics, actual, predicted, 1);
	if (m->dummy)
		ml_metrics_add(m->baseline, actual, m->dummy, 1);
}

static void
evaluate(MlResultRows *rows, const MlModel *model, const char *text)
{
	Measured	s;
	MlMetricValue *a;
	MlMetricValue *b;
	int64		used;
	int			n;

	ml_score_needs_target(model);
	s.dummy = ml_model_prior(model);
	s.metrics = ml_metrics_create(model->task, model->classes);
	s.baseline = ml_metrics_create(model->task, model->classes);
	used = ml_score_source(model, text, true, add_measured, &s);
	n = ml_metrics_values(s.metrics, &a);
	ml_metrics_values(s.baseline, &b);
	for (int i = 0; i < n; i++)
	{
		Datum		values[6];
		bool		nulls[6] = {false};

		values[0] = CStringGetTextDatum(a[i].name);
		values[1] = Float8GetDatum(a[i].value);
		values[2] = Float8GetDatum(a[i].ci_low);
		values[3] = Float8GetDatum(a[i].ci_high);
		values[4] = Float8GetDatum(b[i].value);
		values[5] = Int64GetDatum(used);
		nulls[1] = isnan(a[i].value);
		nulls[2] = isnan(a[i].ci_low);
		nulls[3] = isnan(a[i].ci_high);
		nulls[4] = s.dummy == NULL || isnan(b[i].value);
		ml_result_add(rows, values, nulls);
	}
	ml_metrics_free(s.metrics);
	ml_metrics_free(s.baseline);
}

/* ml_evaluate(model text, source) */
ML_FUNCTION(ml_sql_evaluate)
{
	MlModelRef	ref;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt;
	MlResultRows rows;

	ml_arg_required(fcinfo, 0, "model");
	ml_arg_required(fcinfo, 1, "source");
	ml_result_begin(fcinfo, &rows);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext evaluate", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	ml_progress_start("evaluate", InvalidOid);
	ml_catalog_resolve(ml_arg_text(fcinfo, 0), ML_PREDICT, false, &ref);
	evaluate(&rows, ml_cache_version(ref.version_id, cxt), ml_arg_text(fcinfo, 1));
	ml_progress_end();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
	PG_RETURN_VOID();
}

/* ml_evaluate(model ml_model, source) */
ML_FUNCTION(ml_sql_evaluate_value)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt;
	MlResultRows rows;

	ml_arg_required(fcinfo, 0, "model");
	ml_arg_required(fcinfo, 1, "source");
	ml_result_begin(fcinfo, &rows);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext evaluate", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	ml_progress_start("evaluate", InvalidOid);
	evaluate(&rows, ml_model_unpack((struct varlena *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0))),
			 ml_arg_text(fcinfo, 1));
	ml_progress_end();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
	PG_RETURN_VOID();
}
