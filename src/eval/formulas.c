/*
 * formulas.c - each metric from the sums that it needs.  No memory, no state.
 */
#include "eval/metrics.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* What scikit-learn 1.2 clips probabilities with: the spacing of doubles at 1. */
#define MAX_WEIGHT 1e100		/* sums of squares of many stay finite */
#define PROBABILITY_MIN DBL_EPSILON

const char *
ml_metric_name(MlMetric metric)
{
	static const char *const names[] = {
		"rmse", "mse", "mae", "r2", "mape", "smape", "wape", "median_absolute_error", "max_error",
		"explained_variance", "auc", "pr_auc", "log_loss", "brier", "accuracy", "balanced_accuracy",
		"precision", "recall", "f1", "mcc", "kappa"
	};

	return names[metric];
}

/* ---- checks ---- */

void
ml_check_finite(double value, const char *what)
{
	if (unlikely(!isfinite(value)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s value \"%s\" cannot be measured", what,
						isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"),
				 errdetail("Actual and predicted values must be finite numbers; rows with NULL are skipped.")));
}

void
ml_check_probability(double value)
{
	ml_check_finite(value, "predicted");
	if (unlikely(value < 0 || value > 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %g is out of range for a probability", value),
				 errdetail("A probability lies between 0 and 1."),
				 errhint("ml_auc, ml_pr_auc and ml_roc accept scores of any range.")));
}

void
ml_check_weight(double value)
{
	if (unlikely(!(value >= 0 && value <= MAX_WEIGHT)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %g is out of range for a weight", value),
				 errdetail("A weight is a number from 0 to 1e100.")));
}

/* NaN with the reason, unless the value is a number. */
static double
checked(double value, const char **undefined)
{
	if (!isfinite(value))
	{
		*undefined = "the numbers are too large to be summed";
		return NAN;
	}
	return value;
}

static double
not_defined(const char *reason, const char **undefined)
{
	*undefined = reason;
	return NAN;
}

/* ---- regression ---- */

/* The caller has checked the numbers; a weight of zero adds nothing. */
void
ml_regression_add(MlSum *sums, double *extremes, double actual, double predicted, double weight)
{
	double		e = actual - predicted;
	double		abs_e = fabs(e);
	double		scale = fabs(actual) + fabs(predicted);

	double		y;

	if (weight == 0)
		return;
	if (sums[ML_REG_N].hi == 0)
		sums[ML_REG_ORIGIN].hi = actual;
	/* Values whose spread shows are close enough to each other for an exact difference (Sterbenz 1974). */
	y = actual - sums[ML_REG_ORIGIN].hi;
	ml_sum_add(&sums[ML_REG_N], 1);
	ml_sum_add(&sums[ML_REG_W], weight);
	ml_sum_add_product(&sums[ML_REG_Y], y, weight);
	ml_sum_add_square(&sums[ML_REG_YY], y, weight);
	ml_sum_add_product(&sums[ML_REG_E], e, weight);
	ml_sum_add_square(&sums[ML_REG_EE], e, weight);
	ml_sum_add(&sums[ML_REG_ABS_E], weight * abs_e);
	ml_sum_add(&sums[ML_REG_ABS_Y], weight * fabs(actual));
	if (actual != 0)
		ml_sum_add(&sums[ML_REG_MAPE], weight * (abs_e / fmax(fabs(actual), DBL_EPSILON)));
	else
		ml_sum_add(&sums[ML_REG_ZEROS], 1);
	if (scale > 0)
		ml_sum_add(&sums[ML_REG_SMAPE], weight * (2 * abs_e / scale));
	extremes[ML_REG_MAX_ABS_E] = Max(extremes[ML_REG_MAX_ABS_E], abs_e);
	extremes[ML_REG_MAX_Y] = Max(extremes[ML_REG_MAX_Y], actual);
	extremes[ML_REG_MINUS_MIN_Y] = Max(extremes[ML_REG_MINUS_MIN_Y], -actual);
}

/* s += a * (the sum b) */
static void
add_multiple(MlSum *s, double a, const MlSum *b)
{
	ml_sum_add_product(s, a, b->hi);
	s->lo += a * b->lo;
}

/* Those of the other are moved to this origin: y - a = (y - b) + d. */
void
ml_regression_merge(MlSum *sums, const MlSum *other)
{
	double		d = other[ML_REG_ORIGIN].hi - sums[ML_REG_ORIGIN].hi;
	MlSum		moved;

	if (other[ML_REG_N].hi == 0)
		return;
	if (sums[ML_REG_N].hi == 0)
	{
		memcpy(sums, other, sizeof(MlSum) * ML_REG_SUMS);
		return;
	}
	for (int i = 0; i < ML_REG_SUMS; i++)
		if (i != ML_REG_ORIGIN)
			ml_sum_merge(&sums[i], &other[i]);
	if (d == 0)
		return;
	/* sum w (2 d (y - b) + d^2) = d (2 sum w (y - b) + d sum w) */
	moved.hi = 2 * other[ML_REG_Y].hi;
	moved.lo = 2 * other[ML_REG_Y].lo;
	add_multiple(&moved, d, &other[ML_REG_W]);
	add_multiple(&sums[ML_REG_YY], d, &moved);
	add_multiple(&sums[ML_REG_Y], d, &other[ML_REG_W]);
}

double
ml_regression_metric(const MlSum *sums, const double *extremes, MlMetric metric, const char **undefined)
{
	double		w = ml_sum_value(&sums[ML_REG_W]);
	double		mse = ml_sum_value(&sums[ML_REG_EE]) / w;

	*undefined = NULL;
	if (w == 0)
		return not_defined("the weights add up to zero", undefined);
	if (metric == ML_METRIC_R2 || metric == ML_METRIC_EXPLAINED_VARIANCE)
	{
		double		total = ml_sum_centered(&sums[ML_REG_YY], &sums[ML_REG_Y], &sums[ML_REG_W]);
		double		rest = metric == ML_METRIC_R2 ? ml_sum_value(&sums[ML_REG_EE]) :
			ml_sum_centered(&sums[ML_REG_EE], &sums[ML_REG_E], &sums[ML_REG_W]);

		if (ml_sum_value(&sums[ML_REG_N]) < 2)
			return not_defined("there are fewer than two rows", undefined);
		if (extremes[ML_REG_MAX_Y] == -extremes[ML_REG_MINUS_MIN_Y])
			return not_defined("the actual values are all equal", undefined);
		return checked(1 - rest / total, undefined);
	}
	switch (metric)
	{
		case ML_METRIC_RMSE:
			return checked(sqrt(mse), undefined);
		case ML_METRIC_MSE:
			return checked(mse, undefined);
		case ML_METRIC_MAE:
			return checked(ml_sum_value(&sums[ML_REG_ABS_E]) / w, undefined);
		case ML_METRIC_MAPE:
			if (ml_sum_value(&sums[ML_REG_ZEROS]) > 0)
				return not_defined("an actual value is zero", undefined);
			return checked(ml_sum_value(&sums[ML_REG_MAPE]) / w, undefined);
		case ML_METRIC_SMAPE:
			return checked(ml_sum_value(&sums[ML_REG_SMAPE]) / w, undefined);
		case ML_METRIC_WAPE:
			if (ml_sum_value(&sums[ML_REG_ABS_Y]) == 0)
				return not_defined("the actual values are all zero", undefined);
			return checked(ml_sum_value(&sums[ML_REG_ABS_E]) / ml_sum_value(&sums[ML_REG_ABS_Y]), undefined);
		case ML_METRIC_MAX_ERROR:
			return checked(extremes[ML_REG_MAX_ABS_E], undefined);
		default:
			elog(ERROR, "metric %s is no function of the regression sums", ml_metric_name(metric));
	}
	return NAN;
}

/* ---- probabilities ---- */

/* -ln of the probability that was given to what happened. */
double
ml_log_loss_of(double probability)
{
	return -log(fmin(fmax(probability, PROBABILITY_MIN), 1 - PROBABILITY_MIN));
}

double
ml_probability_add(MlSum *sums, bool actual, double probability, double weight)
{
	double		p = fmin(fmax(probability, PROBABILITY_MIN), 1 - PROBABILITY_MIN);
	double		loss = -log(actual ? p : 1 - p);

	if (weight == 0)
		return loss;
	ml_sum_add(&sums[ML_PROB_N], 1);
	ml_sum_add(&sums[ML_PROB_W], weight);
	ml_sum_add(&sums[ML_PROB_LOG], weight * loss);
	ml_sum_add_square(&sums[ML_PROB_BRIER], (actual ? 1.0 : 0.0) - probability, weight);
	return loss;
}

double
ml_probability_metric(const MlSum *sums, MlMetric metric, const char **undefined)
{
	double		w = ml_sum_value(&sums[ML_PROB_W]);

	*undefined = NULL;
	if (w == 0)
		return not_defined("the weights add up to zero", undefined);
	return checked(ml_sum_value(&sums[metric == ML_METRIC_LOG_LOSS ? ML_PROB_LOG : ML_PROB_BRIER]) / w, undefined);
}

/* ---- confusion matrix ---- */

/* Row sums: actual; column sums: predicted. */
static void
margins(const double *cells, int k, double *actual, double *predicted, double *total, double *hits)
{
	memset(actual, 0, sizeof(double) * k);
	memset(predicted, 0, sizeof(double) * k);
	*total = *hits = 0;
	for (int i = 0; i < k; i++)
		for (int j = 0; j < k; j++)
		{
			actual[i] += cells[i * k + j];
			predicted[j] += cells[i * k + j];
		}
	for (int i = 0; i < k; i++)
	{
		*total += actual[i];
		*hits += cells[i * k + i];
	}
}

static double
ratio(double a, double b)
{
	return b == 0 ? 0 : a / b;
}

/* Precision, recall or f1 of one class, from its hits, actual and predicted weight. */
static double
class_metric(MlMetric metric, double hits, double actual, double predicted)
{
	if (metric == ML_METRIC_PRECISION)
		return ratio(hits, predicted);
	if (metric == ML_METRIC_RECALL)
		return ratio(hits, actual);
	return ratio(2 * hits, actual + predicted);
}

static double
averaged(const double *cells, int k, const double *actual, const double *predicted,
		 MlMetric metric, bool weighted)
{
	double		sum = 0;
	double		over = 0;

	for (int i = 0; i < k; i++)
	{
		/* a class that was neither seen nor predicted is none of the labels */
		double		share = weighted ? actual[i] : actual[i] + predicted[i] > 0;

		sum += share * class_metric(metric, cells[i * k + i], actual[i], predicted[i]);
		over += share;
	}
	return sum / over;
}

static double
binary_metric(const double *cells, MlMetric metric, const char **undefined)
{
	double		hits = cells[3];
	double		actual = cells[2] + cells[3];
	double		predicted = cells[1] + cells[3];

	if (metric == ML_METRIC_PRECISION && predicted == 0)
		return not_defined("nothing was predicted positive", undefined);
	if (metric == ML_METRIC_RECALL && actual == 0)
		return not_defined("no actual value is positive", undefined);
	if (metric == ML_METRIC_F1 && actual + predicted == 0)
		return not_defined("no value is positive, neither actual nor predicted", undefined);
	return class_metric(metric, hits, actual, predicted);
}

/* Sum of a[i] b[i]. */
static double
inner(const double *a, const double *b, int k)
{
	MlSum		s = {0, 0};

	for (int i = 0; i < k; i++)
		ml_sum_add_product(&s, a[i], b[i]);
	return ml_sum_value(&s);
}

/* total^2 - sum of a[i] b[i], without cancellation: exactly 0 when all is one class. */
static double
unlike_pairs(const double *a, const double *b, int k, double total)
{
	MlSum		s = {0, 0};

	for (int i = 0; i < k; i++)
		ml_sum_add_product(&s, a[i], total - b[i]);
	return ml_sum_value(&s);
}

static double
agreement_metric(MlMetric metric, const double *actual, const double *predicted, int k,
				 double total, double hits, const char **undefined)
{
	double		chance = inner(actual, predicted, k);
	double		spread_actual = unlike_pairs(actual, actual, k, total);
	double		spread_predicted = unlike_pairs(predicted, predicted, k, total);

	if (metric == ML_METRIC_KAPPA)
	{
		double		unlike = unlike_pairs(actual, predicted, k, total);

		if (unlike <= 0)
			return not_defined("actual and predicted are one and the same class throughout", undefined);
		return 1 - (total - hits) * total / unlike;
	}
	if (spread_actual <= 0)
		return not_defined("the actual values are all of one class", undefined);
	if (spread_predicted <= 0)
		return not_defined("the predicted values are all of one class", undefined);
	return (hits * total - chance) / sqrt(spread_actual) / sqrt(spread_predicted);
}

double
ml_confusion_metric(const double *cells, int k, MlMetric metric, MlAverage average, const char **undefined)
{
	double	   *actual = palloc(sizeof(double) * k * 2);
	double	   *predicted = actual + k;
	double		total;
	double		hits;
	double		value = NAN;

	*undefined = NULL;
	margins(cells, k, actual, predicted, &total, &hits);
	if (total == 0)
		value = not_defined("the weights add up to zero", undefined);
	else if (metric == ML_METRIC_ACCURACY)
		value = hits / total;
	else if (metric == ML_METRIC_BALANCED_ACCURACY)
	{
		double		sum = 0;
		int			classes = 0;

		for (int i = 0; i < k; i++)
			if (actual[i] > 0)
			{
				sum += cells[i * k + i] / actual[i];
				classes++;
			}
		value = sum / classes;
	}
	else if (metric == ML_METRIC_MCC || metric == ML_METRIC_KAPPA)
		value = agreement_metric(metric, actual, predicted, k, total, hits, undefined);
	else if (average == ML_AVERAGE_BINARY)
		value = binary_metric(cells, metric, undefined);
	else if (average == ML_AVERAGE_MICRO)
		value = hits / total;
	else
		value = averaged(cells, k, actual, predicted, metric, average == ML_AVERAGE_WEIGHTED);
	pfree(actual);
	return value;
}

void
ml_confusion_slopes(const double *cells, int k, MlMetric metric, MlAverage average, double value,
					double *by_hits, double *by_actual, double *by_predicted)
{
	double	   *actual = palloc(sizeof(double) * k * 2);
	double	   *predicted = actual + k;
	double		total;
	double		hits;
	double		chance;
	double		spread_a;
	double		spread_p;
	double		classes = 0;

	margins(cells, k, actual, predicted, &total, &hits);
	chance = inner(actual, predicted, k);
	spread_a = unlike_pairs(actual, actual, k, total);
	spread_p = unlike_pairs(predicted, predicted, k, total);
	for (int i = 0; i < k; i++)
		classes += metric == ML_METRIC_BALANCED_ACCURACY ? actual[i] > 0 : actual[i] + predicted[i] > 0;
	for (int i = 0; i < k; i++)
	{
		double		h = cells[i * k + i];
		double		a = actual[i];
		double		p = predicted[i];
		double		share = average == ML_AVERAGE_BINARY && metric != ML_METRIC_BALANCED_ACCURACY ? i == 1 : 1 / classes;

		by_hits[i] = by_actual[i] = by_predicted[i] = 0;
		if (metric == ML_METRIC_ACCURACY)
		{
			by_hits[i] = 1 / total;
			by_actual[i] = -hits / (total * total);
		}
		else if (metric == ML_METRIC_MCC)
		{
			double		root = sqrt(spread_a) * sqrt(spread_p);

			by_hits[i] = total / root;
			by_actual[i] = (hits - p) / root - value * (total / spread_p + (total - a) / spread_a);
			by_predicted[i] = -a / root + value * p / spread_p;
		}
		else if (metric == ML_METRIC_KAPPA)
		{
			double		rest = total * total - chance;

			by_hits[i] = total / rest;
			by_actual[i] = (hits - p - value * (2 * total - p)) / rest;
			by_predicted[i] = (-a + value * a) / rest;
		}
		else if (metric == ML_METRIC_PRECISION && p > 0)
		{
			by_hits[i] = share / p;
			by_predicted[i] = -share * h / (p * p);
		}
		else if ((metric == ML_METRIC_RECALL || metric == ML_METRIC_BALANCED_ACCURACY) && a > 0)
		{
			by_hits[i] = share / a;
			by_actual[i] = -share * h / (a * a);
		}
		else if (metric == ML_METRIC_F1 && a + p > 0)
		{
			by_hits[i] = 2 * share / (a + p);
			by_actual[i] = by_predicted[i] = -2 * share * h / ((a + p) * (a + p));
		}
	}
	pfree(actual);
}

double
ml_confusion_variance(const double *cells, const double *squares, int k,
					  MlMetric metric, MlAverage average, double value)
{
	double	   *by_hits = palloc(sizeof(double) * k * 3);
	double	   *by_actual = by_hits + k;
	double	   *by_predicted = by_actual + k;
	double		variance = 0;

	ml_confusion_slopes(cells, k, metric, average, value, by_hits, by_actual, by_predicted);
	for (int i = 0; i < k; i++)
		for (int j = 0; j < k; j++)
		{
			double		slope = by_actual[i] + by_predicted[j] + (i == j ? by_hits[i] : 0);

			variance += squares[i * k + j] * slope * slope;
		}
	pfree(by_hits);
	return variance;
}
