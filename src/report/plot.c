/*
 * plot.c - ml_plot: where the numbers of a chart come from, and who may see them.
 *
 * What is drawn from rows of a source needs what ml_evaluate needs, predict and the
 * right to read them; what the model keeps, and its history, needs view.
 */
#include "report/chart.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/cache.h"
#include "core/progress.h"
#include "core/state.h"
#include "eval/curves.h"
#include "eval/metrics.h"
#include "report/report.h"
#include "train/args.h"
#include "train/score.h"

/* ---- queries ---- */

MlAnswer *
ml_report_ask(const char *sql, int nargs, Oid *types, Datum *values)
{
	MemoryContext caller = CurrentMemoryContext;
	const char *schema = quote_identifier(get_namespace_name(ml_extension_schema()));
	const char *at = strstr(sql, "%s");
	char	   *text = at ? psprintf("%.*s%s%s", (int) (at - sql), sql, schema, at + 2) : pstrdup(sql);
	MlAnswer   *answer = palloc(sizeof(MlAnswer));
	int			nest = NewGUCNestLevel();

	/* What reads a source of the caller's has no name to look up, and needs his path. */
	if (at == NULL)
		(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(text, nargs, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "query of a report failed: %s", text);
	answer->rows = (int) SPI_processed;
	answer->columns = SPI_tuptable->tupdesc->natts;
	answer->values = MemoryContextAllocZero(caller, sizeof(char *) * Max(answer->rows * answer->columns, 1));
	for (int i = 0; i < answer->rows; i++)
		for (int j = 0; j < answer->columns; j++)
		{
			char	   *value = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, j + 1);

			if (value)
				answer->values[i * answer->columns + j] = MemoryContextStrdup(caller, value);
		}
	SPI_finish();
	AtEOXact_GUC(true, nest);
	return answer;
}

const char *
ml_answer_get(const MlAnswer *answer, int row, int column)
{
	return row < answer->rows ? answer->values[row * answer->columns + column] : NULL;
}

MlAnswer *
ml_report_importance(const MlChart *chart)
{
	Oid			types[] = {chart->name ? TEXTOID : ml_model_type(), TEXTOID};
	Datum		values[2] = {chart->name ? CStringGetTextDatum(chart->name) : chart->value};

	if (chart->source == NULL)
		return ml_report_ask("SELECT feature, importance::pg_catalog.float8 FROM %s.ml_importance($1)", 1, types, values);
	values[1] = CStringGetTextDatum(chart->source);
	/* without a target there is no metric to get worse */
	return ml_report_ask(chart->model->target ?
						 "SELECT feature, importance::pg_catalog.float8 FROM %s.ml_importance($1, 'permutation', $2)" :
						 "SELECT feature, importance::pg_catalog.float8 FROM %s.ml_importance($1, 'shap', $2)",
						 2, types, values);
}

bool
ml_report_monitored(void)
{
	return ml_answer_get(ml_report_ask("SELECT pg_catalog.to_regclass('ml.monitoring')", 0, NULL, NULL), 0, 0) != NULL;
}

/* The eight features that moved most, over the last hundred batches. */
MlAnswer *
ml_report_drift(int64 model_id)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(model_id)};

	return ml_report_ask(
						 "WITH r AS (SELECT run_id, line, at, CASE subject WHEN 'prediction' THEN '(prediction)' ELSE feature END AS feature, "
						 "value, warn_threshold, threshold, verdict FROM ml.monitoring "
						 "WHERE model_id = $1 AND segment IS NULL AND measure = 'psi' AND value IS NOT NULL "
						 "AND subject IN ('feature', 'prediction')), "
						 "runs AS (SELECT DISTINCT run_id FROM r ORDER BY run_id DESC LIMIT 100), "
						 "kept AS (SELECT r.* FROM r JOIN runs USING (run_id)), "
						 "most AS (SELECT feature FROM kept GROUP BY feature ORDER BY pg_catalog.max(value) DESC, feature LIMIT 8) "
						 "SELECT pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), run_id, feature, "
						 "value, threshold, verdict "
						 "FROM kept JOIN most USING (feature) ORDER BY run_id, line", 1, types, values);
}

/* ---- numbers ---- */

typedef struct Scores
{
	MlCurves   *curves;
	MlMetrics  *model;			/* or NULL */
	MlMetrics  *baseline;
	double	   *dummy;
} Scores;

static void
add_row(void *arg, double actual, const double *predicted, uint64 position)
{
	Scores	   *s = arg;

	ml_curves_add(s->curves, actual, predicted, 1, ml_split_uniform(position, 0));
	if (s->model)
		ml_metrics_add(s->model, actual, predicted, 1);
	if (s->model && s->dummy)
		ml_metrics_add(s->baseline, actual, s->dummy, 1);
}

static JsonbContainer *
parse(const char *text)
{
	return &DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)))->root;
}

bool
ml_chart_score(MlChart *chart, bool target, MlMetrics *model, MlMetrics *baseline)
{
	Scores		s = {NULL, model, baseline, model ? ml_model_prior(chart->model) : NULL};
	StringInfoData text;

	if (chart->source == NULL)
	{
		JsonbContainer *info = chart->model->info ? &chart->model->info->root : NULL;

		chart->curves = ml_json_member(info, "curves");
		return chart->curves != NULL;
	}
	s.curves = ml_curves_create(chart->model->task, chart->model->classes);
	ml_score_source(chart->model, chart->source, target, add_row, &s);
	initStringInfo(&text);
	ml_curves_json(s.curves, true, &text);
	ml_curves_free(s.curves);
	chart->curves = parse(text.data);
	return true;
}

static void
refuse(const MlChartKind *kind, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("the model has no plot of kind \"%s\"", kind->name),
			 errdetail_internal("%s%s.", psprintf("%c", pg_toupper((unsigned char) why[0])), why + 1)));
}

/* Finds what the kind shows, or says why it cannot. */
static void
fill(MlChart *chart, const MlChartKind *kind)
{
	const char *why = kind->missing(chart);

	if (why)
		refuse(kind, why);
	if (!kind->scores)
	{
		if (chart->source && strcmp(kind->name, "importance") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a plot of kind \"%s\" reads no source", kind->name)));
		return;
	}
	if (kind->actual && chart->source)
		ml_score_needs_target(chart->model);
	if (!ml_chart_score(chart, kind->actual, NULL, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the model keeps nothing to plot \"%s\" from", kind->name),
				 errdetail("It was trained without a holdout, from sums, or by an earlier version."),
				 errhint("Name rows to measure it on with source => '...'.")));
	if (kind->actual && !(ml_json_number(chart->curves, "rows") > 0))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no row has a value of \"%s\" to compare with", chart->model->target)));
	/* what only the numbers tell */
	why = kind->missing(chart);
	if (why)
		refuse(kind, why);
}

/* ---- SQL ---- */

void
ml_chart_open(MlChart *chart, FunctionCallInfo fcinfo, MlPrivilege need)
{
	MlModelRef	ref;

	ml_arg_required(fcinfo, 0, "model");
	if (get_fn_expr_argtype(fcinfo->flinfo, 0) == TEXTOID)
	{
		ml_catalog_resolve(ml_arg_text(fcinfo, 0), need, false, &ref);
		chart->model = ml_cache_version(ref.version_id, CurrentMemoryContext);
		chart->model_id = ref.model_id;
		chart->name = psprintf("%s@%d", ref.name, ref.version);
		return;
	}
	chart->value = PointerGetDatum(PG_DETOAST_DATUM(PG_GETARG_DATUM(0)));
	chart->model = ml_model_unpack((struct varlena *) DatumGetPointer(chart->value));
}

/* ml_plot(model, kind, source) */
ML_FUNCTION(ml_sql_plot)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(caller, "ml_ext plot", ALLOCSET_DEFAULT_SIZES);
	MlChart		chart = {0};
	const MlChartKind *kind;
	StringInfoData spec;
	Datum		result;

	MemoryContextSwitchTo(cxt);
	ml_arg_required(fcinfo, 1, "kind");
	chart.source = ml_arg_text(fcinfo, 2);
	kind = ml_chart_kind(ml_arg_text(fcinfo, 1));
	ml_chart_open(&chart, fcinfo, kind->scores && chart.source ? ML_PREDICT : ML_VIEW);
	ml_progress_start("evaluate", InvalidOid);
	fill(&chart, kind);
	initStringInfo(&spec);
	ml_chart_write(&chart, kind, &spec);
	ml_progress_end();
	MemoryContextSwitchTo(caller);
	result = DirectFunctionCall1(jsonb_in, CStringGetDatum(spec.data));
	MemoryContextDelete(cxt);
	return result;
}
