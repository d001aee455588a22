/*
 * paired.c - differences of metrics on the same rows.
 *
 * A metric is a smooth function of means over rows, so its error is, to first
 * order, the mean of the rows' influence (delta method; for weights and clusters
 * of rows Cochran, Sampling Techniques, 1977, 6.3), and that of a difference is the
 * mean of the rows' difference of influences: what is hard about a row for both
 * models drops out.  Metrics of values come from means of what a row loses by model
 * b, d = loss of a less that of b, and of the target; metrics of classes from counts of
 * (actual class, class by a, class by b).  Of two classes two more rows are thought to be
 * there, spread evenly over the eight counts, and the interval lies around the difference
 * that is had then (Agresti, Min, Statistics in Medicine 2005, for matched shares):
 * where a class is rare, few rows would look more alike than they are.  How well the
 * intervals cover is measured in test/witness/paired.py.
 */
#include "eval/paired.h"

#include <math.h>

#include "utils/float.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "core/host.h"

#define MORE_ROWS 2.0			/* of two classes */

/* ---- losses ---- */

double
ml_loss_of(MlLoss loss, int classes, double y, int k, const double *out)
{
	double		sum = 0;

	switch (loss)
	{
		case ML_LOSS_RMSE:
			return (y - out[0]) * (y - out[0]);
		case ML_LOSS_MAE:
			return fabs(y - out[0]);
		case ML_LOSS_LOG:
			if (classes == 2)
				return ml_log_loss_of(k < 0 ? 0 : k == 1 ? out[0] : 1 - out[0]);
			return ml_log_loss_of(k < 0 ? 0 : out[k]);
		case ML_LOSS_BRIER:
			if (classes == 2)
			{
				if (k < 0)		/* of all three classes, halved as the binary one is */
					return (1 + out[0] * out[0] + (1 - out[0]) * (1 - out[0])) / 2;
				return (k - out[0]) * (k - out[0]);
			}
			for (int j = 0; j < classes; j++)
				sum += ((j == k) - out[j]) * ((j == k) - out[j]);
			return sum + (k < 0);
	}
	elog(ERROR, "unknown loss %d", (int) loss);
}

/* ---- sums ---- */

void
ml_paired_add(MlPaired *p, const double *quantity)
{
	p->n++;
	for (int i = 0; i < p->m; i++)
	{
		p->sum[i] += quantity[i];
		for (int j = 0; j <= i; j++)
			p->cross[i][j] += quantity[i] * quantity[j];
	}
}

double
ml_paired_variance(const MlPaired *p, const double *slope)
{
	double		g[ML_PAIRED_MAX] = {0};
	double		sum = 0;

	for (int i = 1; i < p->m; i++)
	{
		g[i] = slope[i];
		g[0] -= slope[i] * p->sum[i] / p->sum[0];
	}
	for (int i = 0; i < p->m; i++)
		for (int j = 0; j <= i; j++)
			sum += (i == j ? 1 : 2) * g[i] * g[j] * p->cross[i][j];
	return fmax(sum, 0) * p->n / (p->n - 1) / (p->sum[0] * p->sum[0]);
}

double
ml_paired_root(double b, double d, double *by_b, double *by_d)
{
	double		root_a = sqrt(fmax(b + d, 0));
	double		root_b = sqrt(b);

	*by_d = 1 / (2 * root_a);
	*by_b = *by_d - 1 / (2 * root_b);
	return root_a - root_b;
}

/* ---- values ---- */

/* What a row adds for metrics of values; e = actual - predicted, d = that of a less that of b. */
enum
{
	ONE,
	SQUARE_B, SQUARE_D,			/* e^2 */
	SIZE_D,						/* |e| */
	SHARE_D,					/* |e| / |y| */
	SYMMETRIC_D,				/* 2 |e| / (|y| + |predicted|) */
	SIZE_Y,
	Y, YY,						/* of y less the first one */
	ERROR_B, ERROR_D,			/* e */
	VALUES
};

enum
{
	LOG_D = 1, BRIER_D, PROBABILITIES
};

/* How many rows had these classes. */
typedef struct Cell
{
	int32		actual;
	int32		a;
	int32		b;
	int32		padding;		/* of the key */
	double		n;
} Cell;

struct MlDifference
{
	int			classes;
	double		origin;
	MlPaired	means;
	HTAB	   *cells;
};

MlDifference *
ml_difference_create(uint32 task, int classes)
{
	MlDifference *d = palloc0(sizeof(MlDifference));
	HASHCTL		ctl = {.keysize = offsetof(Cell, n), .entrysize = sizeof(Cell), .hcxt = CurrentMemoryContext};

	d->classes = classes;
	d->means.m = task == ML_REGRESSION ? VALUES : PROBABILITIES;
	if (task != ML_REGRESSION)
		d->cells = hash_create("ml_ext cells", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; classes == 2 && i < 8; i++)
		((Cell *) hash_search(d->cells, &(Cell) {i / 4, i / 2 % 2, i % 2}, HASH_ENTER, NULL))->n = MORE_ROWS / 8;
	return d;
}

static double
symmetric(double y, double predicted)
{
	double		scale = fabs(y) + fabs(predicted);

	return scale > 0 ? 2 * fabs(y - predicted) / scale : 0;
}

static void
add_values(MlDifference *d, double y, double a, double b)
{
	double		e_a = y - a;
	double		e_b = y - b;
	double		q[VALUES];

	if (d->means.n == 0)
		d->origin = y;
	q[ONE] = 1;
	q[SQUARE_B] = e_b * e_b;
	q[SQUARE_D] = e_a * e_a - e_b * e_b;
	q[SIZE_D] = fabs(e_a) - fabs(e_b);
	q[SHARE_D] = y == 0 ? 0 : q[SIZE_D] / fabs(y);
	q[SYMMETRIC_D] = symmetric(y, a) - symmetric(y, b);
	q[SIZE_Y] = fabs(y);
	q[Y] = y - d->origin;
	q[YY] = q[Y] * q[Y];
	q[ERROR_B] = e_b;
	q[ERROR_D] = e_a - e_b;
	ml_paired_add(&d->means, q);
}

static int
class_of(int classes, const double *out)
{
	int			best = 0;

	if (classes == 2)
		return out[0] > 0.5;
	for (int k = 1; k < classes; k++)
		if (out[k] > out[best])
			best = k;
	return best;
}

void
ml_difference_add(MlDifference *d, double actual, const double *a, const double *b)
{
	int			k = (int) actual;
	Cell		key = {k};
	Cell	   *cell;
	double		q[PROBABILITIES] = {1};
	bool		found;

	if (d->cells == NULL)
	{
		add_values(d, actual, a[0], b[0]);
		return;
	}
	q[LOG_D] = ml_loss_of(ML_LOSS_LOG, d->classes, actual, k, a) - ml_loss_of(ML_LOSS_LOG, d->classes, actual, k, b);
	if (d->classes == 2)
		q[BRIER_D] = ml_loss_of(ML_LOSS_BRIER, 2, actual, k, a) - ml_loss_of(ML_LOSS_BRIER, 2, actual, k, b);
	ml_paired_add(&d->means, q);
	key.a = class_of(d->classes, a);
	key.b = class_of(d->classes, b);
	cell = hash_search(d->cells, &key, HASH_ENTER, &found);
	if (!found)
		cell->n = 0;
	cell->n++;
	if (!found && hash_get_num_entries(d->cells) % 4096 == 0)
		ml_budget_check((Size) hash_get_num_entries(d->cells) * 2 * sizeof(Cell), "counts of classes");
}

static double
value_variance(const MlPaired *p, MlMetric metric)
{
	double		slope[VALUES] = {0};
	double		mean[VALUES];
	double		spread;			/* of the target */

	for (int i = 0; i < VALUES; i++)
		mean[i] = p->sum[i] / p->n;
	spread = mean[YY] - mean[Y] * mean[Y];
	switch (metric)
	{
		case ML_METRIC_MSE:
			slope[SQUARE_D] = 1;
			break;
		case ML_METRIC_RMSE:
			ml_paired_root(mean[SQUARE_B], mean[SQUARE_D], &slope[SQUARE_B], &slope[SQUARE_D]);
			break;
		case ML_METRIC_MAE:
			slope[SIZE_D] = 1;
			break;
		case ML_METRIC_MAPE:
			slope[SHARE_D] = 1;
			break;
		case ML_METRIC_SMAPE:
			slope[SYMMETRIC_D] = 1;
			break;
		case ML_METRIC_WAPE:
			slope[SIZE_D] = 1 / mean[SIZE_Y];
			slope[SIZE_Y] = -mean[SIZE_D] / (mean[SIZE_Y] * mean[SIZE_Y]);
			break;
		case ML_METRIC_R2:
		case ML_METRIC_EXPLAINED_VARIANCE:
			{
				/* -rest / spread, where the rest is a difference of mean squares, or of variances */
				double		rest = mean[SQUARE_D];

				slope[SQUARE_D] = -1 / spread;
				if (metric == ML_METRIC_EXPLAINED_VARIANCE)
				{
					rest -= mean[ERROR_D] * (2 * mean[ERROR_B] + mean[ERROR_D]);
					slope[ERROR_B] = 2 * mean[ERROR_D] / spread;
					slope[ERROR_D] = 2 * (mean[ERROR_B] + mean[ERROR_D]) / spread;
				}
				slope[YY] = rest / (spread * spread);
				slope[Y] = -2 * mean[Y] * slope[YY];
				break;
			}
		default:
			return get_float8_nan();
	}
	return ml_paired_variance(p, slope);
}

/* ---- classes ---- */

/* One model's cells, and what a row more in one does to the metric. */
typedef struct Side
{
	double	   *cells;
	double		value;
	double	   *by_hits;
	double	   *by_actual;
	double	   *by_predicted;
} Side;

static void
set_slopes(Side *s, int k, MlMetric metric)
{
	MlAverage	average = k == 2 ? ML_AVERAGE_BINARY : ML_AVERAGE_MACRO;
	const char *undefined;

	s->value = ml_confusion_metric(s->cells, k, metric, average, &undefined);
	s->by_hits = palloc(sizeof(double) * k * 3);
	s->by_actual = s->by_hits + k;
	s->by_predicted = s->by_actual + k;
	ml_confusion_slopes(s->cells, k, metric, average, s->value, s->by_hits, s->by_actual, s->by_predicted);
}

static double
slope_at(const Side *s, int actual, int predicted)
{
	return s->by_actual[actual] + s->by_predicted[predicted] + (actual == predicted ? s->by_hits[actual] : 0);
}

static double
class_variance(const MlDifference *d, MlMetric metric, double *center)
{
	int			k = d->classes;
	double		n = d->means.n + (k == 2 ? MORE_ROWS : 0);
	double		variance = 0;
	Side		a = {palloc_extended(mul_size(mul_size(k, k), sizeof(double)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO)};
	Side		b = {palloc_extended(mul_size(mul_size(k, k), sizeof(double)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO)};
	HASH_SEQ_STATUS scan;
	Cell	   *cell;

	hash_seq_init(&scan, d->cells);
	while ((cell = hash_seq_search(&scan)) != NULL)
	{
		a.cells[cell->actual * k + cell->a] += cell->n;
		b.cells[cell->actual * k + cell->b] += cell->n;
	}
	set_slopes(&a, k, metric);
	set_slopes(&b, k, metric);
	hash_seq_init(&scan, d->cells);
	while ((cell = hash_seq_search(&scan)) != NULL)
	{
		double		slope = slope_at(&a, cell->actual, cell->a) - slope_at(&b, cell->actual, cell->b);

		variance += cell->n * slope * slope;
	}
	if (k == 2)
		*center = a.value - b.value;
	pfree(a.by_hits);
	pfree(b.by_hits);
	pfree(a.cells);
	pfree(b.cells);
	return variance * n / (n - 1);
}

double
ml_difference_variance(const MlDifference *d, const char *name, double *center)
{
	MlMetric	metric = ML_METRIC_RMSE;
	double		slope[PROBABILITIES] = {0};

	while (metric < ML_METRIC_KAPPA && strcmp(ml_metric_name(metric), name) != 0)
		metric++;
	if (d->means.n < 2 || metric == ML_METRIC_AUC || metric == ML_METRIC_PR_AUC)
		return get_float8_nan();
	if (d->cells == NULL)
		return value_variance(&d->means, metric);
	if (metric != ML_METRIC_LOG_LOSS && metric != ML_METRIC_BRIER)
		return class_variance(d, metric, center);
	slope[metric == ML_METRIC_LOG_LOSS ? LOG_D : BRIER_D] = 1;
	return ml_paired_variance(&d->means, slope);
}
