/*
 * evaluate.c - ml_evaluate: a model's metrics on rows of a source, beside those
 * of a dummy that knows only the training target's distribution.
 */
#include "train/train.h"

#include <math.h>

#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "core/cache.h"
#include "core/catalog.h"
#include "core/progress.h"
#include "core/state.h"
#include "eval/metrics.h"
#include "train/args.h"

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
	double	   *dummy;
	MlMetrics  *metrics;
	MlMetrics  *baseline;
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
	double		y;

	if ((++s->rows & 0xfff) == 0)
		ml_progress_rows(s->rows);
	if (row->isnull[n])
	{
		s->skipped++;
		return;
	}
	ml_convert(&s->actual, row->values[n], false, &y);
	if (model->classes > 0 && y == ML_UNSEEN)
		unknown_class(s, row->values[n]);
	if (!isfinite(y))
		ml_reject_value(model->target, y);
	for (int i = 0; i < n; i++)
	{
		const MlColumn *col = &model->encoder->schema->columns[i];

		ml_convert(&s->converters[i], row->values[i], row->isnull[i], s->cells + col->first_cell);
	}
	if (!ml_encode(model->encoder, s->cells, model->encoder->schema->ncells, 1, s->x))
		ml_encode_error(model->encoder, s->cells);
	model->algorithm->predict(model->fit, s->x, s->out);
	ml_metrics_add(s->metrics, y, s->out, 1);
	if (s->dummy)
		ml_metrics_add(s->baseline, y, s->dummy, 1);
}

/* The dummy's prediction: mean, share of class 1, or all shares; NULL when the model does not know it. */
static double *
model_prior(const MlModel *model)
{
	int			n = model->classes > 2 ? model->classes : 1;
	double	   *prior = palloc0(n * sizeof(double));
	JsonbValue *array = getKeyJsonValueFromContainer(&model->info->root, "prior", 5, NULL);

	/* A value from outside may have anything there. */
	if (array == NULL || array->type != jbvBinary || !JsonContainerIsArray(array->val.binary.data))
		return NULL;
	for (int k = 0; k < n; k++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array->val.binary.data, k);

		if (value && value->type == jbvNumeric)
			prior[k] = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
	}
	return prior;
}

static void
open_scorer(Scorer *s, const MlSource *source, const int *columns)
{
	const MlSchema *schema = s->model->encoder->schema;
	Oid			type = source->columns[columns[schema->ncolumns]].type;
	Oid			output;
	bool		varlena;

	s->converters = palloc0(Max(schema->ncolumns, 1) * sizeof(MlConverter));
	for (int i = 0; i < schema->ncolumns; i++)
		ml_converter_init(&s->converters[i], &schema->columns[i], source->columns[columns[i]].type, false);
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
	s->cells = palloc(Max(schema->ncells, 1) * sizeof(double));
	s->x = palloc(Max(s->model->encoder->p, 1) * sizeof(double));
	s->out = palloc(Max(s->model->classes, 1) * sizeof(double));
	s->dummy = model_prior(s->model);
	s->metrics = ml_metrics_create(s->model->task, s->model->classes);
	s->baseline = ml_metrics_create(s->model->task, s->model->classes);
}

static void
evaluate(MlResultRows *rows, const MlModel *model, const char *text)
{
	MlSource   *source;
	const MlSchema *schema = model->encoder->schema;
	int		   *columns = palloc((schema->ncolumns + 1) * sizeof(int));
	Scorer		s = {0};
	MlMetricValue *a;
	MlMetricValue *b;
	int			n;

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
	source = ml_source_open(text);
	ml_progress_relation(source->relid);
	for (int i = 0; i < schema->ncolumns; i++)
		columns[i] = ml_source_column(source, schema->columns[i].name);
	columns[schema->ncolumns] = ml_source_column(source, model->target);
	s.model = model;
	open_scorer(&s, source, columns);
	ml_progress_phase(ML_PHASE_SCORE);
	ml_stream(source, columns, schema->ncolumns + 1, score_row, &s);
	if (s.skipped > 0)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("%lld of %lld rows have no value of \"%s\" and were left out",
						(long long) s.skipped, (long long) s.rows, model->target)));
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
		values[5] = Int64GetDatum(s.rows - s.skipped);
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
