/*
 * metrics.c - the accumulator of all metrics of a kind, and their 95 % intervals.
 *
 * Intervals, with z = 1.96 and effective counts (sum w)^2 / sum w^2 under weights:
 *   mse, mae, mape, smape, log_loss, brier   normal, from the variance of the row values;
 *   rmse, wape, r2, explained_variance       delta method from the rows' influence;
 *   median_absolute_error                    order statistics (no weights);
 *   auc                                      DeLong, two classes;
 *   pr_auc                                   logit (Boyd, Eng, Page, ECML 2013; no weights);
 *   accuracy; precision and recall of two classes   Wilson 1927;
 *   balanced_accuracy, f1, mcc, kappa, averages     multinomial delta method.
 * None for max_error and for AUC of many classes: no honest one is known to us.
 *
 * Memory: everything lives in the context of creation; see rank.c for the file.
 */
#include "eval/metrics.h"

#include <float.h>
#include <math.h>

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define Z95 1.959963984540054	/* normal quantile of 0.975 */

/* What intervals of regression metrics need, squared weights w2 throughout. */
typedef struct Influence
{
	double		origin;			/* first actual value: d = actual - origin keeps powers small */
	MlSpread	mse;
	MlSpread	mae;
	MlSpread	mape;
	MlSpread	smape;
	double		abs_ey;			/* w2 |e| |y| */
	double		yy;				/* w2 y^2 */
	double		moment[5][5];	/* w2 e^a d^b, of a + b <= 4 those that are used */
} Influence;

struct MlMetrics
{
	MemoryContext cxt;
	uint32		task;
	int			classes;
	bool		binary;			/* one score a row, for class 1 */
	bool		spill;
	bool		intervals;
	MlSum		regression[ML_REG_SUMS];
	double		extremes[ML_REG_EXTREMES];
	Influence  *influence;		/* regression with intervals */
	MlSum		probability[ML_PROB_SUMS];
	MlSpread	log_loss;
	MlSpread	brier;
	MlSum	   *cells;			/* classes x classes, actual by predicted */
	double	   *squares;		/* the same of squared weights, with intervals */
	int			nranks;			/* regression: errors negated; binary: scores; else one a class */
	MlRank	  **ranks;
};

static const MlMetric regression_metrics[] = {
	ML_METRIC_RMSE, ML_METRIC_MSE, ML_METRIC_MAE, ML_METRIC_R2, ML_METRIC_MAPE, ML_METRIC_SMAPE, ML_METRIC_WAPE,
	ML_METRIC_MEDIAN_ABSOLUTE_ERROR, ML_METRIC_MAX_ERROR, ML_METRIC_EXPLAINED_VARIANCE
};

static const MlMetric binary_metrics[] = {
	ML_METRIC_AUC, ML_METRIC_PR_AUC, ML_METRIC_LOG_LOSS, ML_METRIC_BRIER, ML_METRIC_ACCURACY,
	ML_METRIC_BALANCED_ACCURACY, ML_METRIC_PRECISION, ML_METRIC_RECALL, ML_METRIC_F1, ML_METRIC_MCC, ML_METRIC_KAPPA
};

static const MlMetric class_metrics[] = {
	ML_METRIC_LOG_LOSS, ML_METRIC_AUC, ML_METRIC_ACCURACY, ML_METRIC_BALANCED_ACCURACY, ML_METRIC_PRECISION,
	ML_METRIC_RECALL, ML_METRIC_F1, ML_METRIC_MCC, ML_METRIC_KAPPA
};

static void
share_budget(MlMetrics *m)
{
	for (int i = 0; i < m->nranks; i++)
		ml_rank_set_budget(m->ranks[i], (Size) work_mem * 1024 / m->nranks);
}

MlMetrics *
ml_metrics_create_plain(uint32 task, int classes, bool binary, bool spill)
{
	MlMetrics  *m = palloc0(sizeof(MlMetrics));

	m->cxt = CurrentMemoryContext;
	m->task = task;
	m->binary = binary;
	m->spill = spill;
	for (int i = 0; i < ML_REG_EXTREMES; i++)
		m->extremes[i] = -INFINITY;
	if (task == ML_REGRESSION || binary)
	{
		m->nranks = 1;
		m->ranks = palloc(sizeof(MlRank *));
		m->ranks[0] = ml_rank_create((Size) work_mem * 1024, spill);
	}
	if (task == ML_CLASSIFICATION)
		ml_metrics_grow(m, classes);
	return m;
}

MlMetrics *
ml_metrics_create(uint32 task, int classes)
{
	MlMetrics  *m = ml_metrics_create_plain(task, classes, task == ML_CLASSIFICATION && classes == 2, true);

	m->intervals = true;
	if (task == ML_REGRESSION)
		m->influence = palloc0(sizeof(Influence));
	else
		m->squares = palloc0(mul_size(mul_size(classes, classes), sizeof(double)));
	return m;
}

/* Raises the number of classes; to rows seen so far the new ones had probability 0. */
void
ml_metrics_grow(MlMetrics *m, int classes)
{
	MemoryContext old = MemoryContextSwitchTo(m->cxt);
	MlSum	   *cells = palloc_extended(mul_size(mul_size(classes, classes), sizeof(MlSum)),
										MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (int i = 0; i < m->classes; i++)
		memcpy(cells + i * classes, m->cells + i * m->classes, sizeof(MlSum) * m->classes);
	if (m->cells != NULL)
		pfree(m->cells);
	m->cells = cells;
	m->classes = classes;
	if (!m->binary)
	{
		m->ranks = m->ranks == NULL ? palloc(sizeof(MlRank *) * classes) : repalloc(m->ranks, sizeof(MlRank *) * classes);
		while (m->nranks < classes)
		{
			MlRank	   *rank = ml_rank_create((Size) work_mem * 1024, m->spill);

			ml_rank_add(rank, 0, false, ml_sum_value(&m->probability[ML_PROB_W]));
			m->ranks[m->nranks++] = rank;
		}
		share_budget(m);
	}
	MemoryContextSwitchTo(old);
}

static void
add_influence(Influence *s, double y, double predicted, double w2, bool first)
{
	double		e = y - predicted;
	double		abs_e = fabs(e);
	double		scale = fabs(y) + fabs(predicted);
	double		d;
	double		e2 = e * e;
	double		d2;

	if (first)
		s->origin = y;
	d = y - s->origin;
	d2 = d * d;
	ml_spread_add(&s->mse, e2, w2);
	ml_spread_add(&s->mae, abs_e, w2);
	ml_spread_add(&s->mape, y == 0 ? 0 : abs_e / fabs(y), w2);
	ml_spread_add(&s->smape, scale > 0 ? 2 * abs_e / scale : 0, w2);
	s->abs_ey += w2 * abs_e * fabs(y);
	s->yy += w2 * y * y;
	s->moment[0][0] += w2;
	s->moment[0][1] += w2 * d;
	s->moment[0][2] += w2 * d2;
	s->moment[0][3] += w2 * d2 * d;
	s->moment[0][4] += w2 * d2 * d2;
	s->moment[1][0] += w2 * e;
	s->moment[1][1] += w2 * e * d;
	s->moment[1][2] += w2 * e * d2;
	s->moment[2][0] += w2 * e2;
	s->moment[2][1] += w2 * e2 * d;
	s->moment[2][2] += w2 * e2 * d2;
	s->moment[3][0] += w2 * e2 * e;
	s->moment[4][0] += w2 * e2 * e2;
}

static void
add_cell(MlMetrics *m, int actual, int predicted, double weight)
{
	ml_sum_add(&m->cells[actual * m->classes + predicted], weight);
	if (m->squares != NULL)
		m->squares[actual * m->classes + predicted] += weight * weight;
}

static void
add_regression(MlMetrics *m, double actual, double predicted, double weight)
{
	ml_check_finite(actual, "actual");
	ml_check_finite(predicted, "predicted");
	if (m->influence != NULL)
		add_influence(m->influence, actual, predicted, weight * weight, m->regression[ML_REG_N].hi == 0);
	ml_regression_add(m->regression, m->extremes, actual, predicted, weight);
	ml_check_finite(actual - predicted, "actual minus predicted");
	ml_rank_add(m->ranks[0], -fabs(actual - predicted), false, weight);
}

static void
add_binary(MlMetrics *m, bool actual, double p, double weight)
{
	double		loss;

	ml_check_probability(p);
	loss = ml_probability_add(m->probability, actual, p, weight);
	if (m->intervals)
	{
		ml_spread_add(&m->log_loss, loss, weight * weight);
		ml_spread_add(&m->brier, (actual - p) * (actual - p), weight * weight);
	}
	ml_rank_add(m->ranks[0], p, actual, weight);
	add_cell(m, actual, p > 0.5, weight);
}

/* Many classes: the log loss as scikit-learn has it, clipped first and then made to add up to 1. */
void
ml_metrics_add_class(MlMetrics *m, int actual, int predicted_class, const double *probabilities, double weight)
{
	double		sum = 0;
	double		loss;

	if (weight == 0)
		return;
	for (int i = 0; i < m->classes; i++)
	{
		sum += fmin(fmax(probabilities[i], DBL_EPSILON), 1 - DBL_EPSILON);
		ml_rank_add(m->ranks[i], probabilities[i], i == actual, weight);
	}
	loss = ml_log_loss_of(probabilities[actual]) + log(sum);
	ml_sum_add(&m->probability[ML_PROB_N], 1);
	ml_sum_add(&m->probability[ML_PROB_W], weight);
	ml_sum_add(&m->probability[ML_PROB_LOG], weight * loss);
	if (m->intervals)
		ml_spread_add(&m->log_loss, loss, weight * weight);
	add_cell(m, actual, predicted_class, weight);
}

void
ml_metrics_add(MlMetrics *m, double actual, const double *predicted, double weight)
{
	ml_check_weight(weight);
	if (weight == 0)
		return;
	if (m->task == ML_REGRESSION)
		add_regression(m, actual, predicted[0], weight);
	else if (m->binary)
		add_binary(m, actual != 0, predicted[0], weight);
	else
	{
		int			best = 0;

		for (int i = 0; i < m->classes; i++)
		{
			ml_check_probability(predicted[i]);
			if (predicted[i] > predicted[best])
				best = i;
		}
		ml_metrics_add_class(m, (int) actual, best, predicted, weight);
	}
}

const char *
ml_metrics_main(uint32 task, int classes)
{
	if (task == ML_REGRESSION)
		return "rmse";
	return classes == 2 ? "auc" : "log_loss";
}

uint32
ml_metrics_task(const MlMetrics *m)
{
	return m->task;
}

int
ml_metrics_classes(const MlMetrics *m)
{
	return m->classes;
}

double
ml_metrics_rows(const MlMetrics *m)
{
	return ml_sum_value(m->task == ML_REGRESSION ? &m->regression[ML_REG_N] : &m->probability[ML_PROB_N]);
}

bool
ml_metrics_spilled(const MlMetrics *m)
{
	for (int i = 0; i < m->nranks; i++)
		if (ml_rank_spilled(m->ranks[i]))
			return true;
	return false;
}

void
ml_metrics_free(MlMetrics *m)
{
	for (int i = 0; i < m->nranks; i++)
		ml_rank_close(m->ranks[i]);
}

/* ---- values and intervals ---- */

static void
set_interval(MlMetricValue *v, double variance, double low, double high)
{
	double		half = Z95 * sqrt(variance);

	v->ci_low = fmax(v->value - half, low);
	v->ci_high = fmin(v->value + half, high);
	if (isnan(half) || isinf(half))
		v->ci_low = v->ci_high = NAN;
}

/* Wilson's interval of a share among an effective number of rows. */
static void
set_wilson(MlMetricValue *v, double weight, double square)
{
	double		n = weight * weight / square;
	double		z2 = Z95 * Z95;
	double		center = (v->value + z2 / (2 * n)) / (1 + z2 / n);
	double		half = Z95 / (1 + z2 / n) * sqrt(v->value * (1 - v->value) / n + z2 / (4 * n * n));

	v->ci_low = fmax(center - half, 0);
	v->ci_high = fmin(center + half, 1);
}

/*
 * Variance of r = 1 - A / B, where a row adds w e^2 to A and w (y - mean)^2 to
 * B (explained variance: e less its mean): by the rows' influence, which is
 * -(e^2 - (1 - r) (y - mean)^2) w / B.
 */
static double
r2_variance(const MlMetrics *m, double value, bool about_mean)
{
	const Influence *s = m->influence;
	double		w = ml_sum_value(&m->regression[ML_REG_W]);
	double		n = ml_sum_value(&m->regression[ML_REG_N]);
	double		b = ml_sum_centered(&m->regression[ML_REG_YY], &m->regression[ML_REG_Y], &m->regression[ML_REG_W]);
	double		c = ml_sum_value(&m->regression[ML_REG_Y]) / w + (m->regression[ML_REG_ORIGIN].hi - s->origin);
	double		f = about_mean ? ml_sum_value(&m->regression[ML_REG_E]) / w : 0;
	double		r = 1 - value;
	const double (*v)[5] = s->moment;
	double		e4;
	double		e2d2;
	double		d4;

	e4 = v[4][0] - 4 * f * v[3][0] + 6 * f * f * v[2][0] - 4 * f * f * f * v[1][0] + f * f * f * f * v[0][0];
	d4 = v[0][4] - 4 * c * v[0][3] + 6 * c * c * v[0][2] - 4 * c * c * c * v[0][1] + c * c * c * c * v[0][0];
	e2d2 = (v[2][2] - 2 * c * v[2][1] + c * c * v[2][0]) -
		2 * f * (v[1][2] - 2 * c * v[1][1] + c * c * v[1][0]) +
		f * f * (v[0][2] - 2 * c * v[0][1] + c * c * v[0][0]);
	return fmax(e4 - 2 * r * e2d2 + r * r * d4, 0) / (b * b) * n / (n - 1);
}

static void
regression_value(MlMetrics *m, MlMetric metric, MlMetricValue *v)
{
	const Influence *s = m->influence;
	double		w = ml_sum_value(&m->regression[ML_REG_W]);
	double		n = ml_sum_value(&m->regression[ML_REG_N]);

	if (metric == ML_METRIC_MEDIAN_ABSOLUTE_ERROR)
	{
		v->value = ml_rank_median_of_negated(m->ranks[0], &v->ci_low, &v->ci_high);
		return;
	}
	v->value = ml_regression_metric(m->regression, m->extremes, metric, &v->undefined);
	if (v->undefined || s == NULL || n < 2)
		return;
	if (metric == ML_METRIC_MSE)
		set_interval(v, ml_spread_variance(&s->mse, v->value, w, n), 0, INFINITY);
	else if (metric == ML_METRIC_RMSE && v->value > 0)
		set_interval(v, ml_spread_variance(&s->mse, v->value * v->value, w, n) / (4 * v->value * v->value), 0, INFINITY);
	else if (metric == ML_METRIC_MAE)
		set_interval(v, ml_spread_variance(&s->mae, v->value, w, n), 0, INFINITY);
	else if (metric == ML_METRIC_MAPE)
		set_interval(v, ml_spread_variance(&s->mape, v->value, w, n), 0, INFINITY);
	else if (metric == ML_METRIC_SMAPE)
		set_interval(v, ml_spread_variance(&s->smape, v->value, w, n), 0, 2);
	else if (metric == ML_METRIC_WAPE)
	{
		double		over = ml_sum_value(&m->regression[ML_REG_ABS_Y]);
		double		sum = s->mae.xx - 2 * v->value * s->abs_ey + v->value * v->value * s->yy;

		set_interval(v, fmax(sum, 0) / (over * over) * n / (n - 1), 0, INFINITY);
	}
	else if (metric == ML_METRIC_R2 || metric == ML_METRIC_EXPLAINED_VARIANCE)
		set_interval(v, r2_variance(m, v->value, metric == ML_METRIC_EXPLAINED_VARIANCE), -INFINITY, 1);
}

double
ml_metrics_auc(MlMetrics *m, const char **undefined)
{
	double		sum = 0;

	*undefined = NULL;
	for (int i = 0; i < m->nranks; i++)
	{
		MlRankValues values;

		ml_rank_values(m->ranks[i], &values);
		sum += values.auc;
		if (values.auc_undefined)
			*undefined = ml_rank_positives(m->ranks[i]) == 0 ? "a class has no actual rows" : values.auc_undefined;
	}
	return sum / m->nranks;
}

/* AUC and average precision, which come from one reading of the scores. */
static void
score_value(MlMetric metric, const MlRank *rank, const MlRankValues *scores, bool intervals, MlMetricValue *v)
{
	double		p = ml_rank_positives(rank);

	v->value = metric == ML_METRIC_AUC ? scores->auc : scores->pr_auc;
	v->undefined = metric == ML_METRIC_AUC ? scores->auc_undefined : scores->pr_auc_undefined;
	if (!intervals || v->undefined)
		return;
	if (metric == ML_METRIC_AUC)
		set_interval(v, scores->auc_variance, 0, 1);
	else if (!ml_rank_weighted(rank) && v->value > 0 && v->value < 1)
	{
		double		logit = log(v->value / (1 - v->value));
		double		half = Z95 / sqrt(p * v->value * (1 - v->value));

		v->ci_low = 1 / (1 + exp(half - logit));
		v->ci_high = 1 / (1 + exp(-half - logit));
	}
}

static void
probability_value(MlMetrics *m, MlMetric metric, MlMetricValue *v)
{
	double		n = ml_sum_value(&m->probability[ML_PROB_N]);

	v->value = ml_probability_metric(m->probability, metric, &v->undefined);
	if (!v->undefined && m->intervals && n > 1)
		set_interval(v, ml_spread_variance(metric == ML_METRIC_LOG_LOSS ? &m->log_loss : &m->brier, v->value,
										   ml_sum_value(&m->probability[ML_PROB_W]), n),
					 0, metric == ML_METRIC_LOG_LOSS ? INFINITY : 1);
}

static void
confusion_value(MlMetrics *m, const double *cells, MlMetric metric, MlMetricValue *v)
{
	MlAverage	average = m->binary ? ML_AVERAGE_BINARY : ML_AVERAGE_MACRO;
	int			k = m->classes;
	double		weight = 0;
	double		square = 0;

	v->value = ml_confusion_metric(cells, k, metric, average, &v->undefined);
	if (v->undefined || !m->intervals)
		return;
	if (metric != ML_METRIC_ACCURACY &&
		!(m->binary && (metric == ML_METRIC_PRECISION || metric == ML_METRIC_RECALL)))
	{
		set_interval(v, ml_confusion_variance(cells, m->squares, k, metric, average, v->value),
					 metric == ML_METRIC_MCC || metric == ML_METRIC_KAPPA ? -1 : 0, 1);
		return;
	}
	for (int i = 0; i < k; i++)
		for (int j = 0; j < k; j++)
			if (metric == ML_METRIC_ACCURACY || (metric == ML_METRIC_PRECISION ? j : i) == 1)
			{
				weight += cells[i * k + j];
				square += m->squares[i * k + j];
			}
	set_wilson(v, weight, square);
}

int
ml_metrics_values(MlMetrics *m, MlMetricValue **out)
{
	bool		regression = m->task == ML_REGRESSION;
	const MlMetric *metrics = regression ? regression_metrics : m->binary ? binary_metrics : class_metrics;
	int			n = regression ? lengthof(regression_metrics) :
		m->binary ? lengthof(binary_metrics) : lengthof(class_metrics);
	MlMetricValue *values = palloc0(sizeof(MlMetricValue) * n);
	double	   *cells = palloc(sizeof(double) * (m->classes * m->classes + 1));
	MlRankValues scores;

	for (int i = 0; i < m->classes * m->classes; i++)
		cells[i] = ml_sum_value(&m->cells[i]);
	if (m->binary)
		ml_rank_values(m->ranks[0], &scores);
	for (int i = 0; i < n; i++)
	{
		MlMetric	metric = metrics[i];
		MlMetricValue *v = &values[i];

		v->name = ml_metric_name(metric);
		v->value = v->ci_low = v->ci_high = NAN;
		v->higher_is_better = metric == ML_METRIC_R2 || metric == ML_METRIC_EXPLAINED_VARIANCE ||
			metric == ML_METRIC_AUC || metric == ML_METRIC_PR_AUC || metric >= ML_METRIC_ACCURACY;
		if (ml_metrics_rows(m) == 0)
			v->undefined = "there are no rows";
		else if (regression)
			regression_value(m, metric, v);
		else if (metric == ML_METRIC_AUC && !m->binary)
			v->value = ml_metrics_auc(m, &v->undefined);
		else if (metric == ML_METRIC_AUC || metric == ML_METRIC_PR_AUC)
			score_value(metric, m->ranks[0], &scores, m->intervals, v);
		else if (metric == ML_METRIC_LOG_LOSS || metric == ML_METRIC_BRIER)
			probability_value(m, metric, v);
		else
			confusion_value(m, cells, metric, v);
	}
	pfree(cells);
	*out = values;
	return n;
}

/* ---- merging, for the aggregates ---- */

void
ml_metrics_merge(MlMetrics *m, MlMetrics *other, const int *map)
{
	double		w = ml_sum_value(&other->probability[ML_PROB_W]);

	for (int i = 0; i < m->nranks; i++)
	{
		bool		found = map == NULL;

		for (int j = 0; map != NULL && j < other->classes; j++)
			found |= map[j] == i;
		if (!found)				/* a class that the other side never saw */
			ml_rank_add(m->ranks[i], 0, false, w);
	}
	for (int j = 0; j < other->nranks; j++)
		ml_rank_merge(m->ranks[map ? map[j] : j], other->ranks[j]);
	ml_regression_merge(m->regression, other->regression);
	for (int i = 0; i < ML_REG_EXTREMES; i++)
		m->extremes[i] = Max(m->extremes[i], other->extremes[i]);
	for (int i = 0; i < ML_PROB_SUMS; i++)
		ml_sum_merge(&m->probability[i], &other->probability[i]);
	for (int i = 0; i < other->classes; i++)
		for (int j = 0; j < other->classes; j++)
			ml_sum_merge(&m->cells[(map ? map[i] : i) * m->classes + (map ? map[j] : j)],
						 &other->cells[i * other->classes + j]);
}

/* Between processes of one server: the sums as they are. */
void
ml_metrics_pack(MlMetrics *m, StringInfo buf)
{
	pq_sendint32(buf, m->task);
	pq_sendint32(buf, m->classes);
	pq_sendbyte(buf, m->binary);
	appendBinaryStringInfo(buf, (const char *) m->regression, sizeof(m->regression));
	appendBinaryStringInfo(buf, (const char *) m->extremes, sizeof(m->extremes));
	appendBinaryStringInfo(buf, (const char *) m->probability, sizeof(m->probability));
	if (m->classes > 0)
		appendBinaryStringInfo(buf, (const char *) m->cells, sizeof(MlSum) * m->classes * m->classes);
	for (int i = 0; i < m->nranks; i++)
		ml_rank_pack(m->ranks[i], buf);
}

MlMetrics *
ml_metrics_unpack(StringInfo buf, bool spill)
{
	uint32		task = pq_getmsgint(buf, 4);
	int			classes = pq_getmsgint(buf, 4);
	bool		binary = pq_getmsgbyte(buf);
	MlMetrics  *m = ml_metrics_create_plain(task, classes, binary, spill);

	pq_copymsgbytes(buf, (char *) m->regression, sizeof(m->regression));
	pq_copymsgbytes(buf, (char *) m->extremes, sizeof(m->extremes));
	pq_copymsgbytes(buf, (char *) m->probability, sizeof(m->probability));
	if (classes > 0)
		pq_copymsgbytes(buf, (char *) m->cells, sizeof(MlSum) * classes * classes);
	for (int i = 0; i < m->nranks; i++)
		ml_rank_unpack(m->ranks[i], buf);
	return m;
}
