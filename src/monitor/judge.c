/*
 * judge.c - from counts to findings: distances, thresholds, noise floors, verdicts.
 *
 * A finding is "warn" or "alert" when its value is beyond that threshold and
 * beyond what chance alone would do to it (num/grid.c).  The noise floors of a run
 * share its probability of a false alarm equally (Bonferroni), so the findings
 * are made twice: once to count those that are judged, once to judge them.
 */
#include "monitor/monitor.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/numeric.h"

#include "num/special.h"

#define Z95 1.959963984540054

/* ---- options ---- */

static const struct
{
	const char *name;
	double		warn;
	double		alert;
} defaults[ML_MEASURES] =
{
	[ML_MEASURE_PSI] = {"psi", 0.1, 0.25},	/* Siddiqi 2006 */
	[ML_MEASURE_KS] = {"ks", 0.1, 0.2},
	[ML_MEASURE_JENSEN_SHANNON] = {"jensen_shannon", 0.018, 0.045},	/* a small PSI is 8 ln 2 times as large */
	[ML_MEASURE_WASSERSTEIN] = {"wasserstein", 0.2, 0.5},	/* Cohen 1988: small and medium effects */
	[ML_MEASURE_CHI_SQUARE] = {"chi_square", 0.1, 0.3},	/* likewise */
	[ML_MEASURE_NULL_SHARE] = {"null_share", 0.02, 0.1},
	[ML_MEASURE_NEW_CATEGORIES] = {"new_categories", 0.01, 0.05},
	[ML_MEASURE_OUT_OF_RANGE] = {"out_of_range", 0.01, 0.05},
	[ML_MEASURE_NOT_PREDICTED] = {"not_predicted", 0, 0.01},
	[ML_MEASURE_SCORE] = {"score", 0.02, 0.05},
	[ML_MEASURE_ERROR] = {"error", 0.1, 0.25}
};

static void
bad_option(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for \"%s\" in thresholds", name),
			 errdetail("%s", detail)));
}

static double
option_number(const char *name, const JsonbValue *v, double min, double max, const char *detail)
{
	double		number;

	if (v == NULL || v->type != jbvNumeric)
		bad_option(name, detail);
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(v->val.numeric)));
	if (!(number >= min && number <= max))
		bad_option(name, detail);
	return number;
}

/* Thresholds of a measure: [warn, alert]. */
static void
option_pair(MlMonitorOptions *options, int measure, const JsonbValue *v)
{
	const char *detail = "It takes two numbers from 0 on: from where to warn and from where to alert.";
	JsonbContainer *array;

	if (v->type != jbvBinary || !JsonContainerIsArray(v->val.binary.data) ||
		JsonContainerSize(v->val.binary.data) != 2)
		bad_option(defaults[measure].name, detail);
	array = v->val.binary.data;
	options->warn[measure] = option_number(defaults[measure].name, getIthJsonbValueFromContainer(array, 0), 0, 1e300, detail);
	options->alert[measure] = option_number(defaults[measure].name, getIthJsonbValueFromContainer(array, 1), 0, 1e300, detail);
	if (options->alert[measure] < options->warn[measure])
		bad_option(defaults[measure].name, "The second number must not be below the first.");
}

static void
option_set(MlMonitorOptions *options, const char *name, const JsonbValue *v)
{
	for (int i = 0; i < ML_MEASURES; i++)
		if (strcmp(name, defaults[i].name) == 0)
		{
			option_pair(options, i, v);
			return;
		}
	if (strcmp(name, "false_alarms") == 0)
		options->false_alarms = option_number(name, v, 1e-9, 0.5, "It takes a probability from 1e-9 to 0.5.");
	else if (strcmp(name, "min_rows") == 0)
		options->min_rows = (int) option_number(name, v, 1, 1e9, "It takes a number of rows from 1 on.");
	else if (strcmp(name, "max_segments") == 0)
		options->max_segments = (int) option_number(name, v, 1, 100000, "It takes a number from 1 to 100000.");
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("thresholds have no \"%s\"", name),
				 errhint("There are psi, ks, jensen_shannon, wasserstein, chi_square, null_share, new_categories, out_of_range, not_predicted, score, error, false_alarms, min_rows and max_segments.")));
}

void
ml_monitor_options(MlMonitorOptions *options, Jsonb *given)
{
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;
	JsonbIteratorToken token;

	for (int i = 0; i < ML_MEASURES; i++)
	{
		options->warn[i] = defaults[i].warn;
		options->alert[i] = defaults[i].alert;
	}
	options->false_alarms = 0.005;
	options->min_rows = 100;
	options->max_segments = 100;
	if (given == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(given))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a JSON object", "thresholds")));
	it = JsonbIteratorInit(&given->root);
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
		if (token == WJB_KEY)
		{
			(void) JsonbIteratorNext(&it, &value, true);
			option_set(options, pnstrdup(key.val.string.val, key.val.string.len), &value);
		}
}

/* ---- findings ---- */

typedef struct Judge
{
	MlMonitor  *m;
	const MlBatch *batch;
	bool		counting;		/* only how many are judged */
	int			judged;
	double		alpha;			/* of each */
} Judge;

static MlFinding *
add_finding(Judge *j, const char *subject, const char *feature, const char *measure, double reference, double value,
			double n)
{
	MlFinding  *f = palloc0(sizeof(MlFinding));

	f->segment = j->batch->segment;
	f->subject = subject;
	f->feature = feature;
	f->measure = measure;
	f->reference = reference;
	f->value = value;
	f->n = n;
	f->low = f->high = f->warn = f->alert = f->noise = get_float8_nan();
	if (!j->counting)
		j->m->findings = lappend(j->m->findings, f);
	return f;
}

/* Judges a finding by its thresholds and noise; sign -1: less is worse. */
static void
judge(MlFinding *f, double warn, double alert, double noise, int sign)
{
	f->warn = warn;
	f->alert = alert;
	f->noise = noise;
	if (isnan(f->value) || isnan(noise) || isnan(warn))
		return;
	if (sign * (f->value - noise) <= 0 || sign * (f->value - warn) <= 0)
		f->verdict = "ok";
	else
		f->verdict = sign * (f->value - alert) > 0 ? "alert" : "warn";
}

/* A part of n rows, from 0 up; k of them, k0 of n0 in training. */
static void
share_finding(Judge *j, const char *subject, const char *feature, MlMeasure measure, double k, double n, double k0,
			  double n0)
{
	const MlMonitorOptions *o = &j->m->options;
	double		before = n0 > 0 ? k0 / n0 : 0;
	MlFinding  *f;

	if (n == 0)
		return;
	j->judged++;
	f = add_finding(j, subject, feature, defaults[measure].name, before, k / n, n);
	if (!j->counting)
		judge(f, before + o->warn[measure], before + o->alert[measure],
			  (ml_noise_count(n, k0, Max(n0, 1), j->alpha) - 1) / n, 1);
}

/* A sum over bins; scale: what one unit of the thresholds is worth. */
static void
bins_finding(Judge *j, const char *subject, const char *feature, MlMeasure measure, MlBinTerm term,
			 const double *count, const double *train, int bins, bool judged)
{
	const MlMonitorOptions *o = &j->m->options;
	MlFinding  *f;
	double		n = 0;
	double		n0 = 0;
	double		warn = o->warn[measure];
	double		alert = o->alert[measure];

	j->judged += judged;
	if (j->counting)
		return;
	CHECK_FOR_INTERRUPTS();
	for (int b = 0; b < bins; b++)
	{
		n += count[b];
		n0 += train[b];
	}
	if (measure == ML_MEASURE_CHI_SQUARE)
	{
		warn = warn * warn * n * n0 / (n + n0);
		alert = alert * alert * n * n0 / (n + n0);
	}
	f = add_finding(j, subject, feature, defaults[measure].name, get_float8_nan(),
					ml_bins_distance(term, count, train, bins), n);
	if (judged)
		judge(f, warn, alert, ml_noise_bins(term, count, train, bins, j->alpha), 1);
}

/* ---- columns ---- */

/* How far numbers have moved; `judged` is false where they move by their nature. */
static void
grid_findings(Judge *j, const char *subject, const char *feature, const MlGrid *grid, const uint64 *counted,
			  double beyond, bool judged)
{
	const MlMonitorOptions *o = &j->m->options;
	double		weight = grid->ncuts > 0 ? ml_grid_weight(grid) : 0;
	double		count[ML_GRID_BINS];
	double		binned[ML_DECILES + 1];
	double		train[ML_DECILES + 1];
	double		n = 0;
	double		error;
	double		outside;
	MlFinding  *f;
	int			bins;

	for (int b = 0; b <= grid->ncuts; b++)
		n += count[b] = counted[b];
	if (grid->ncuts == 0 || n == 0)
		return;
	bins = ml_grid_deciles(grid, count, binned);
	(void) ml_grid_deciles(grid, grid->count, train);
	for (int b = 0; b < bins; b++)
		train[b] *= weight / grid->n;	/* rows that the counts are worth */
	bins_finding(j, subject, feature, ML_MEASURE_PSI, ml_psi_term, binned, train, bins, judged);
	bins_finding(j, subject, feature, ML_MEASURE_JENSEN_SHANNON, ml_jensen_shannon_term, binned, train, bins, judged);
	j->judged += judged ? 1 + (feature != NULL) + (grid->sd > 0) : 0;
	if (j->counting)
		return;
	f = add_finding(j, subject, feature, defaults[ML_MEASURE_KS].name, get_float8_nan(),
					ml_grid_ks(grid, count, &error), n);
	f->low = f->value;			/* between cuts the functions may lie farther apart */
	f->high = f->value + error;
	if (judged)
		judge(f, o->warn[ML_MEASURE_KS], o->alert[ML_MEASURE_KS], ml_noise_ks(n, weight, j->alpha), 1);
	f = add_finding(j, subject, feature, defaults[ML_MEASURE_WASSERSTEIN].name, get_float8_nan(),
					ml_grid_wasserstein(grid, count, beyond, &error), n);
	f->low = Max(f->value - error, 0);
	f->high = f->value + error;
	if (judged && grid->sd > 0)
		judge(f, o->warn[ML_MEASURE_WASSERSTEIN] * grid->sd, o->alert[ML_MEASURE_WASSERSTEIN] * grid->sd,
			  ml_noise_wasserstein(grid, n, weight, j->alpha), 1);
	outside = count[0] + count[grid->ncuts];
	f = add_finding(j, subject, feature, defaults[ML_MEASURE_OUT_OF_RANGE].name, 0, outside / n, n);
	if (judged && feature)		/* the range of predictions is one of another fit, unless refit is "never" */
		judge(f, o->warn[ML_MEASURE_OUT_OF_RANGE], o->alert[ML_MEASURE_OUT_OF_RANGE],
			  (ml_noise_beyond(n, grid->n, j->alpha) - 1) / n, 1);
}

/* Categories: the last of count is that of new ones. */
static void
level_findings(Judge *j, const char *subject, const char *feature, const double *count, const double *rows, int nlevels,
			   bool exact)
{
	double	   *train = palloc_extended((nlevels + 1) * sizeof(double), MCXT_ALLOC_HUGE);
	double		n = 0;
	double		n0 = 0;
	double		once = 0;
	double		weight;

	for (int k = 0; k <= nlevels; k++)
		n += count[k];
	for (int k = 0; k < nlevels; k++)
	{
		n0 += rows[k];
		once += rows[k] == 1;
	}
	if (n > 0 && n0 > 0)
	{
		weight = exact ? 1 : 1 / (1 / n0 + 1 / 7400.0) / n0;
		for (int k = 0; k < nlevels; k++)
			train[k] = rows[k] * weight;
		train[nlevels] = 0;
		bins_finding(j, subject, feature, ML_MEASURE_PSI, ml_psi_term, count, train, nlevels + 1, true);
		bins_finding(j, subject, feature, ML_MEASURE_JENSEN_SHANNON, ml_jensen_shannon_term, count, train, nlevels + 1, true);
		bins_finding(j, subject, feature, ML_MEASURE_CHI_SQUARE, ml_chi2_term, count, train, nlevels + 1, true);
		if (strcmp(subject, "feature") == 0)
		{
			/* Unseen ones are as frequent as those seen once (Good 1953), and no change. */
			share_finding(j, subject, feature, ML_MEASURE_NEW_CATEGORIES, count[nlevels], n, once, n0);
		}
	}
	pfree(train);
}

static void
column_findings(Judge *j, const MlColumn *column)
{
	const MlProfile *profile = j->m->profile;
	bool		still = column->kind != ML_DATE && column->kind != ML_TIMESTAMP && column->kind != ML_TIMESTAMPTZ;

	for (int c = column->first_cell; c < column->first_cell + column->cells; c++)
	{
		const char *name = column->kind == ML_ARRAY ? psprintf("%s[%d]", column->name, c - column->first_cell + 1)
			: column->name;
		double		nulls = profile->grids[c] ? j->batch->count[c][profile->grids[c]->ncuts + 1] : j->batch->nulls[c];

		CHECK_FOR_INTERRUPTS();
		if (profile->grids[c])
			grid_findings(j, "feature", name, profile->grids[c], j->batch->count[c], j->batch->beyond[c], still);
		else
			level_findings(j, "feature", name, j->batch->levels[c], profile->levels[c], profile->nlevels[c],
						   profile->levels_exact[c]);
		share_finding(j, "feature", name, ML_MEASURE_NULL_SHARE, nulls, j->batch->rows, profile->nulls[c], profile->rows);
	}
}

static void
prediction_findings(Judge *j)
{
	const MlProfile *profile = j->m->profile;
	const MlBatch *batch = j->batch;

	share_finding(j, "prediction", NULL, ML_MEASURE_NOT_PREDICTED, batch->failed, batch->rows, 0, profile->rows);
	if (profile->prediction == NULL)
		return;
	grid_findings(j, "prediction", NULL, profile->prediction, batch->prediction, batch->prediction_beyond, true);
	if (profile->class_rows)
	{
		double	   *count = palloc0((profile->classes + 1) * sizeof(double));

		memcpy(count, batch->class_rows, profile->classes * sizeof(double));
		level_findings(j, "prediction", "class", count, profile->class_rows, profile->classes, true);
		pfree(count);
	}
}

/* ---- performance ---- */

static const MlProfileMetric *
holdout_metric(const MlProfile *profile, const char *name)
{
	for (int i = 0; i < profile->nmetrics; i++)
		if (strcmp(profile->metrics[i].name, name) == 0)
			return &profile->metrics[i];
	return NULL;
}

/*
 * A metric against that of the holdout.  Without an interval of the batch's, or
 * with fewer rows than a segment needs, there is no verdict.  The standard error is
 * the larger one of what the batch shows and of what the holdout's interval makes
 * of so many rows: few rows may look more alike than they are.
 */
static void
metric_finding(Judge *j, const char *measure, const char *name, double value, double low, double high, bool higher, double n)
{
	const MlMonitorOptions *o = &j->m->options;
	const MlProfileMetric *held = holdout_metric(j->m->profile, name);
	MlFinding  *f = add_finding(j, "performance", NULL, measure, held ? held->value : get_float8_nan(), value, n);
	int			sign = higher ? -1 : 1;
	double		se = (high - low) / (2 * Z95);
	double		held_se;
	double		held_rows = j->m->profile->predicted;

	f->low = low;
	f->high = high;
	if (held == NULL || isnan(held->value) || isnan(value) || isnan(se) || n < j->m->options.min_rows)
		return;
	held_se = (held->high - held->low) / (2 * Z95);
	if (isnan(held_se))
		held_se = held_rows > 0 ? se * sqrt(n / held_rows) : se;
	else if (held_rows > 0)
		se = Max(se, held_se * sqrt(held_rows / n));
	j->judged++;
	if (!j->counting)
		judge(f, higher ? held->value - o->warn[ML_MEASURE_SCORE] : held->value * (1 + o->warn[ML_MEASURE_ERROR]),
			  higher ? held->value - o->alert[ML_MEASURE_SCORE] : held->value * (1 + o->alert[ML_MEASURE_ERROR]),
			  held->value - sign * ml_normal_quantile(j->alpha) * sqrt(se * se + held_se * held_se), sign);
}

static void
actual_findings(Judge *j)
{
	MlMetricValue *values;
	int			n = ml_metrics_values(j->batch->metrics, &values);
	double		rows = ml_metrics_rows(j->batch->metrics);

	if (j->m->model->classes > 0)
		share_finding(j, "performance", NULL, ML_MEASURE_NEW_CATEGORIES, j->batch->unknown, rows + j->batch->unknown, 0,
					  j->m->profile->rows);
	for (int i = 0; rows > 0 && i < n; i++)
		metric_finding(j, values[i].name, values[i].name, values[i].value, values[i].ci_low, values[i].ci_high,
					   values[i].higher_is_better, rows);
}

/* Area under the curve that the expected rows of both classes make, bins being ties. */
static double
expected_auc(const MlBatch *batch, int bins)
{
	double		below = 0;
	double		pairs = 0;
	double		positive = 0;

	for (int b = 0; b < bins; b++)
	{
		pairs += batch->expected[1][b] * (below + batch->expected[0][b] / 2);
		below += batch->expected[0][b];
		positive += batch->expected[1][b];
	}
	return positive > 0 && below > 0 ? pairs / (positive * below) : get_float8_nan();
}

/* What the probabilities promise: CBPE, with the rates of the holdout where they are known. */
static void
estimated_findings(Judge *j)
{
	const MlBatch *b = j->batch;
	const MlProfile *profile = j->m->profile;
	double		n = b->predicted;
	double		nan = get_float8_nan();
	double		accuracy = (b->hits[0] + b->hits[1]) / n;
	double		half = Z95 * sqrt(b->hit_variance) / n;

	if (n == 0)
		return;
	metric_finding(j, "estimated_accuracy", "accuracy", accuracy, Max(accuracy - half, 0), Min(accuracy + half, 1), true, n);
	if (j->m->model->classes > 2)
		return;
	if (profile->prediction)
		metric_finding(j, "estimated_auc", "auc", expected_auc(b, profile->prediction->ncuts + 1), nan, nan, true, n);
	metric_finding(j, "estimated_log_loss", "log_loss", b->log_loss / n, nan, nan, false, n);
	metric_finding(j, "estimated_brier", "brier", b->brier / n, nan, nan, false, n);
	metric_finding(j, "estimated_f1", "f1", 2 * b->hits[1] / (2 * b->hits[1] + b->misses[1] + b->misses[0]), nan, nan,
				   true, n);
}

/* ---- all ---- */

static void
batch_findings(Judge *j, const MlBatch *batch)
{
	const MlSchema *schema = j->m->model->encoder->schema;
	double		rows = batch == j->m->whole ? j->m->rows : batch->rows;
	MlFinding  *f;

	j->batch = batch;
	f = add_finding(j, "batch", NULL, "rows", j->m->profile->rows, rows, rows);
	if (batch->segment && rows < j->m->options.min_rows)
	{
		f->warn = j->m->options.min_rows;	/* too few for a verdict */
		return;
	}
	f->verdict = rows > 0 ? "ok" : "alert";
	if (rows == 0)
		return;
	for (int i = 0; i < schema->ncolumns; i++)
		column_findings(j, &schema->columns[i]);
	prediction_findings(j);
	if (batch->metrics)
		actual_findings(j);
	else if (j->m->model->classes > 0)
		estimated_findings(j);
}

static void
all_findings(Judge *j)
{
	ListCell   *cell;

	j->judged = 0;
	batch_findings(j, j->m->whole);
	foreach(cell, j->m->segments)
		batch_findings(j, lfirst(cell));
}

void
ml_monitor_judge(MlMonitor *m)
{
	Judge		j = {m, NULL, true, 0, 0};

	all_findings(&j);
	j.alpha = m->options.false_alarms / Max(j.judged, 1);
	j.counting = false;
	all_findings(&j);
	if (m->actual)
	{
		ListCell   *cell;

		ml_metrics_free(m->whole->metrics);
		foreach(cell, m->segments)
			ml_metrics_free(((MlBatch *) lfirst(cell))->metrics);
	}
}
