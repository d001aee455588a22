/*
 * crossval.c - ml_cv: how well a recipe does on rows it has not seen.
 *
 * Additive algorithms over numbers take one scan: the folds are parts of one
 * state, and the training rows of a fold are the total minus the fold.  All
 * others collect the rows once and fit each fold from them.  Either way the
 * encoder, the scaling and any penalty chosen by "cv" are learned without the
 * fold they are measured on.
 */
#include "train/train.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/progress.h"
#include "eval/metrics.h"
#include "train/args.h"
#include "train/streamed.h"

#define MAX_METRICS 32
#define MAX_FOLDS 100

typedef struct FoldScores
{
	int			nmetrics;
	int			n;				/* folds x repeats so far */
	int			empty;			/* of them without a row to measure on */
	const char *names[MAX_METRICS];
	double	   *values[MAX_METRICS];
	double	   *baselines[MAX_METRICS];
} FoldScores;

static void
put_score(FoldScores *s, int metric, const char *name, double value, double baseline)
{
	s->names[metric] = name;
	s->values[metric][s->n] = value;
	s->baselines[metric][s->n] = baseline;
}

/* Fits outside the fold and scores inside it, in a context that goes at once. */
static void
collected_fold(MlTraining *t, const MlSplit *split, int fold, FoldScores *scores)
{
	MemoryContext cxt = AllocSetContextCreate(t->cxt, "ml_ext fold", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlMask		train = {0};
	MlMask		test = {0};
	MlFit	   *fit;
	MlMetrics  *model = ml_metrics_create(t->task, t->classes);
	MlMetrics  *baseline = ml_metrics_create(t->task, t->classes);
	MlMetricValue *a;
	MlMetricValue *b;

	train.split = test.split = split;
	train.part = test.part = fold;
	test.inside = true;
	train.before = t->at_order >= 0;
	fit = ml_fit_rows(t, &train, ml_choose_params(t, &train), NULL);
	ml_score_rows(t, &test, fit, fit->prior, model, baseline);
	scores->nmetrics = ml_metrics_values(model, &a);
	ml_metrics_values(baseline, &b);
	scores->empty += ml_metrics_rows(model) == 0;
	for (int i = 0; i < scores->nmetrics; i++)
		put_score(scores, i, pstrdup(a[i].name), a[i].value, b[i].value);
	ml_metrics_free(model);
	ml_metrics_free(baseline);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < scores->nmetrics; i++)
		scores->names[i] = pstrdup(scores->names[i]);
	scores->n++;
	MemoryContextDelete(cxt);
}

static void
collected_repeat(MlTraining *t, int folds, FoldScores *scores)
{
	int			parts = folds + (t->at_order >= 0 ? 1 : 0);	/* the earliest part is only learned from */
	double	   *shares = palloc(parts * sizeof(double));
	MlSplit    *split;

	for (int i = 0; i < parts; i++)
		shares[i] = 1.0 / parts;
	split = ml_training_split(t, parts, shares);
	for (int fold = 0; fold < folds; fold++)
	{
		ml_progress_phase(ML_PHASE_CV);
		collected_fold(t, split, fold, scores);
	}
}

/* One fold of a streamed state: total minus fold is learned from. */
static void
streamed_fold(MlTraining *t, MlStreamed *s, int fold, FoldScores *scores)
{
	const MlAlgorithm *algorithm = t->algorithm;
	MlProblem	problem = s->spec->problem;
	size_t		size = algorithm->state_size(&problem);
	double	   *train = ml_alloc(size, sizeof(double));
	MlPart	   *test = ml_state_part(s->state, fold);
	MlResult	result = {0};
	double		w = 0;
	double		mean = 0;
	double		d;
	double		sse;

	for (int i = 1, first = 1; i < s->state->nparts; i++)
	{
		MlPart	   *part = ml_state_part(s->state, i);

		if (i == fold)
			continue;
		if (first)
			memcpy(train, part->state, size * sizeof(double));
		else
			algorithm->combine(&problem, train, part->state, 1.0);
		first = 0;
		w += part->w;
		mean += w > 0 ? (part->y_mean - mean) * part->w / w : 0;
	}
	if (ml_params_wants_cv(algorithm->params, t->params))
	{
		double	  **others = palloc(s->state->nparts * sizeof(double *));
		int			n = 0;

		for (int i = 1; i < s->state->nparts; i++)
			if (i != fold)
				others[n++] = ml_state_part(s->state, i)->state;
		problem.params = algorithm->choose(&problem, others, n);
	}
	problem.last = true;
	algorithm->finish(&problem, train, &result);
	sse = algorithm->squared_error(&problem, test->state, result.model);
	d = test->y_mean - mean;
	scores->nmetrics = ML_STREAM_METRICS;
	put_score(scores, 0, "rmse", sqrt(sse / test->w), sqrt(test->y_m2 / test->w + d * d));
	put_score(scores, 1, "mse", sse / test->w, test->y_m2 / test->w + d * d);
	put_score(scores, 2, "r2", test->y_m2 > 0 ? 1 - sse / test->y_m2 : NAN,
			  test->y_m2 > 0 ? -d * d * test->w / test->y_m2 : NAN);
	scores->n++;
}

static bool
streamed_repeats(MlTraining *t, int folds, int repeats, FoldScores *scores)
{
	int64		seed = t->request.seed;

	if (!ml_training_streams(t))
		return false;
	for (int r = 0; r < repeats; r++)
	{
		MlStreamed *s = palloc0(sizeof(MlStreamed));

		t->request.seed = seed + r;
		if (!ml_stream_scan(t, s, folds, 0))
			return false;
		ml_progress_phase(ML_PHASE_CV);
		for (int fold = 1; fold <= folds; fold++)
		{
			MemoryContext cxt = AllocSetContextCreate(t->cxt, "ml_ext fold", ALLOCSET_DEFAULT_SIZES);
			MemoryContext old = MemoryContextSwitchTo(cxt);

			streamed_fold(t, s, fold, scores);
			MemoryContextSwitchTo(old);
			MemoryContextDelete(cxt);
		}
		pfree(s->state);
	}
	return true;
}

static void
put_rows(MlResultRows *rows, const FoldScores *scores)
{
	for (int m = 0; m < scores->nmetrics; m++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};
		Datum	   *each = palloc(scores->n * sizeof(Datum));
		bool	   *null = palloc(scores->n * sizeof(bool));
		int			dims = scores->n;
		int			bound = 1;
		double		n = 0;
		double		mean = 0;
		double		m2 = 0;
		double		baseline = 0;

		for (int i = 0; i < scores->n; i++)
		{
			double		v = scores->values[m][i];

			each[i] = Float8GetDatum(v);
			null[i] = isnan(v);
			if (null[i])
				continue;
			n += 1;
			m2 += (v - mean) * (v - mean) * (n - 1) / n;
			mean += (v - mean) / n;
			baseline += (scores->baselines[m][i] - baseline) / n;
		}
		values[0] = CStringGetTextDatum(scores->names[m]);
		values[1] = Float8GetDatum(mean);
		values[2] = Float8GetDatum(n > 1 ? sqrt(m2 / (n - 1)) : 0);
		values[3] = PointerGetDatum(construct_md_array(each, null, 1, &dims, &bound, FLOAT8OID, 8,
													   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
		values[4] = Float8GetDatum(baseline);
		nulls[1] = n == 0;
		nulls[2] = n < 2;
		nulls[4] = n == 0 || isnan(baseline);
		ml_result_add(rows, values, nulls);
	}
}

static int
arg_count(FunctionCallInfo fcinfo, int n, const char *name, int min, int max)
{
	int			value;

	ml_arg_required(fcinfo, n, name);
	value = PG_GETARG_INT32(n);
	if (value < min || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d is out of range for parameter \"%s\"", value, name),
				 errdetail("Valid range is %d to %d.", min, max)));
	return value;
}

/* ml_cv(source, target, algorithm, params, folds, repeats, features, exclude, task, weight, split_by, order_by, seed) */
ML_FUNCTION(ml_sql_cv)
{
	MlRequest	r = {0};
	FoldScores	scores = {0};
	MlTraining *t;
	MlResultRows rows;
	int			folds = arg_count(fcinfo, 4, "folds", 2, MAX_FOLDS);
	int			repeats = arg_count(fcinfo, 5, "repeats", 1, 100);
	MemoryContext caller = CurrentMemoryContext;

	ml_arg_required(fcinfo, 0, "source");
	r.source = ml_arg_text(fcinfo, 0);
	r.target = ml_arg_text(fcinfo, 1);
	r.algorithm = ml_arg_text(fcinfo, 2);
	r.params = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	r.features = ml_arg_names(fcinfo, 6, "features", &r.nfeatures);
	r.exclude = ml_arg_names(fcinfo, 7, "exclude", &r.nexclude);
	r.task = ml_arg_text(fcinfo, 8);
	r.weight = ml_arg_text(fcinfo, 9);
	r.split_by = ml_arg_text(fcinfo, 10);
	r.order_by = ml_arg_text(fcinfo, 11);
	ml_arg_required(fcinfo, 12, "seed");
	r.seed = PG_GETARG_INT64(12);
	if (r.order_by && repeats > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d is out of range for parameter \"repeats\"", repeats),
				 errdetail("With order_by the folds are fixed, so that a repetition would give the same again.")));
	ml_result_begin(fcinfo, &rows);
	t = ml_training_begin("cv", &r);
	if (t->task == ML_ANOMALY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm \"%s\" learns without a target, so there is nothing to measure it by",
						t->algorithm->name),
				 errhint("Compare the scores of ml_predict with labels of your own, as by ml_auc.")));
	for (int i = 0; i < MAX_METRICS; i++)
	{
		scores.values[i] = palloc(folds * repeats * sizeof(double));
		scores.baselines[i] = palloc(folds * repeats * sizeof(double));
	}
	if (!streamed_repeats(t, folds, repeats, &scores))
	{
		scores.n = 0;
		t->request.seed = r.seed;
		t->rows_read = t->rows_no_target = 0;
		ml_training_collect(t);
		if (t->rows_used < folds * 2)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("%lld rows are too few for %d folds", (long long) t->rows_used, folds),
					 errdetail("A fold needs two rows.")));
		for (int i = 0; i < repeats; i++)
		{
			t->repeat = i;
			collected_repeat(t, folds, &scores);
		}
	}
	if (scores.empty > 0)
		ml_warn("%d of %d folds have no rows%s", scores.empty, scores.n,
				r.split_by ? ": there are too few groups" : "");
	MemoryContextSwitchTo(caller);
	put_rows(&rows, &scores);
	ml_training_end(t);
	PG_RETURN_VOID();
}
