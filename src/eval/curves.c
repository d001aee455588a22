/*
 * curves.c - what a chart of a model's quality shows.
 *
 * Scores of two or a few classes are ranked exactly (eval/rank.h spills).  A curve
 * keeps a point when 2 / `points` of the positives' and negatives' shares together
 * have passed since the last one, so it has at most `points` + 2 of them, and no
 * kept point is moved.  Of a regression, whose residuals would have to be sorted,
 * the SAMPLE rows with the smallest uniform numbers are looked at: all of them, in
 * a small set.  The members of the object:
 *
 *   rows          with an actual value; 0: predictions alone
 *   positives, negatives, roc   a curve for each class ([0]: the positive one of two):
 *                 [threshold, weight of false positives, of true positives], falling
 *   classes, confusion   class numbers (-1: the others) and rows by actual, predicted
 *   calibration   ten bins of equal width: [rows, mean probability, share that came true];
 *                 with more than two classes of the most probable one
 *   sampled       rows of a regression that the rest is made of
 *   residuals     bins of equal count by prediction: [rows, mean prediction, then 5, 25,
 *                 50, 75 and 95 % points of actual - predicted]
 *   histogram     {low, width, predicted: [...], actual: [...]}; of two classes the
 *                 probability of the positive one, by what was: negative, positive
 *   points        with `detail`: [prediction, actual] of at most 500 rows
 */
#include "eval/curves.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "core/host.h"
#include "core/json.h"
#include "eval/rank.h"
#include "ml.h"

#define SAMPLE 10000
#define POINTS 500
#define CALIBRATION_BINS 10
#define MAX_CONFUSION 1000		/* classes; the matrix has 8 MB */

typedef struct Sampled
{
	double		uniform;
	double		actual;
	double		predicted;
} Sampled;

struct MlCurves
{
	uint32		task;
	int			classes;
	double		rows;			/* weight with an actual value */
	int			nranks;
	MlRank	  **ranks;
	double	   *confusion;		/* classes x classes; NULL: too many */
	double		calibration[CALIBRATION_BINS][3];	/* weight, sum of probabilities, weight that came true */
	double		histogram[2][ML_CURVES_BINS];	/* two classes */
	Sampled    *sample;			/* a heap, the largest uniform number first */
	int			nsample;
};

MlCurves *
ml_curves_create(uint32 task, int classes)
{
	MlCurves   *c = palloc0(sizeof(MlCurves));

	c->task = task;
	c->classes = classes;
	if (task != ML_CLASSIFICATION)
	{
		c->sample = palloc(SAMPLE * sizeof(Sampled));
		return c;
	}
	c->nranks = classes == 2 ? 1 : classes <= ML_CURVES_RANKED ? classes : 0;
	c->ranks = palloc(Max(c->nranks, 1) * sizeof(MlRank *));
	for (int i = 0; i < c->nranks; i++)
		c->ranks[i] = ml_rank_create((Size) work_mem * 1024 / c->nranks, true);
	if (classes <= MAX_CONFUSION)
	{
		Size		bytes = sizeof(double) * classes * classes;

		ml_budget_check(bytes, "the confusion matrix");
		c->confusion = palloc0(bytes);
	}
	return c;
}

/* ---- rows ---- */

static bool
before(const Sampled *a, const Sampled *b)
{
	if (a->uniform != b->uniform)
		return a->uniform < b->uniform;
	return a->predicted != b->predicted ? a->predicted < b->predicted : a->actual < b->actual;
}

static void
sift_down(Sampled *heap, int n, int i)
{
	Sampled		moved = heap[i];

	for (int child = 2 * i + 1; child < n; child = 2 * i + 1)
	{
		if (child + 1 < n && before(&heap[child], &heap[child + 1]))
			child++;
		if (!before(&moved, &heap[child]))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moved;
}

static void
add_sample(MlCurves *c, double actual, double predicted, double uniform)
{
	Sampled		row = {uniform, actual, predicted};

	if (c->nsample < SAMPLE)
	{
		c->sample[c->nsample++] = row;
		if (c->nsample == SAMPLE)
			for (int i = SAMPLE / 2; i-- > 0;)
				sift_down(c->sample, SAMPLE, i);
	}
	else if (before(&row, &c->sample[0]))
	{
		c->sample[0] = row;
		sift_down(c->sample, SAMPLE, 0);
	}
}

/* low < p <= high, the first with 0, as ml_calibration has them. */
static int
bin_of(double p, int bins)
{
	int			bin = (int) ceil(p * bins) - 1;

	return Max(0, Min(bins - 1, bin));
}

static void
add_calibration(MlCurves *c, double p, bool came_true, double weight)
{
	double	   *bin = c->calibration[bin_of(p, CALIBRATION_BINS)];

	bin[0] += weight;
	bin[1] += weight * p;
	bin[2] += came_true ? weight : 0;
}

void
ml_curves_add(MlCurves *c, double actual, const double *predicted, double weight, double uniform)
{
	bool		known = !isnan(actual);
	int			best = 0;

	if (weight == 0)
		return;
	c->rows += known ? weight : 0;
	if (c->task != ML_CLASSIFICATION)
	{
		add_sample(c, actual, predicted[0], uniform);
		return;
	}
	if (c->classes == 2)
	{
		best = predicted[0] > 0.5;
		c->histogram[known && actual == 1][bin_of(predicted[0], ML_CURVES_BINS)] += weight;
		if (known)
		{
			ml_rank_add(c->ranks[0], predicted[0], actual == 1, weight);
			add_calibration(c, predicted[0], actual == 1, weight);
		}
	}
	else
	{
		for (int i = 1; i < c->classes; i++)
			if (predicted[i] > predicted[best])
				best = i;
		if (known)
		{
			for (int i = 0; i < c->nranks; i++)
				ml_rank_add(c->ranks[i], predicted[i], actual == i, weight);
			add_calibration(c, predicted[best], actual == best, weight);
		}
	}
	if (c->confusion)
		c->confusion[(known ? (int) actual : 0) * c->classes + best] += weight;
}

/* ---- JSON ---- */

static void
add_numbers(StringInfo out, const double *values, int n)
{
	appendStringInfoChar(out, '[');
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(out, i > 0 ? ", " : "");
		ml_json_put_number(out, values[i]);
	}
	appendStringInfoChar(out, ']');
}

static void
comma(StringInfo out)
{
	if (out->data[out->len - 1] != '[')
		appendStringInfoString(out, ", ");
}

static void
add_curve(StringInfo out, MlRank *rank, int points)
{
	double		positives = ml_rank_positives(rank);
	double		negatives = ml_rank_negatives(rank);
	double		point[3] = {NAN, 0, 0};	/* threshold, false, true positives */
	double		last = 0;
	MlRankStream *stream;
	MlRankStep	step;

	appendStringInfoChar(out, '[');
	if (positives > 0 && negatives > 0)
	{
		stream = ml_rank_read(rank);
		while (ml_rank_next(stream, &step))
		{
			double		passed;

			CHECK_FOR_INTERRUPTS();
			point[0] = step.score;
			point[1] += step.w[0];
			point[2] += step.w[1];
			passed = point[1] / negatives + point[2] / positives;
			if (passed - last < 2.0 / points)
				continue;
			comma(out);
			add_numbers(out, point, 3);
			last = passed;
		}
		ml_rank_end(stream);
		point[1] = negatives;
		point[2] = positives;
		comma(out);
		add_numbers(out, point, 3);
	}
	appendStringInfoChar(out, ']');
}

static void
add_curves(MlCurves *c, int points, StringInfo out)
{
	appendStringInfoString(out, ", \"positives\": [");
	for (int i = 0; i < c->nranks; i++)
	{
		comma(out);
		ml_json_put_number(out, ml_rank_positives(c->ranks[i]));
	}
	appendStringInfoString(out, "], \"negatives\": [");
	for (int i = 0; i < c->nranks; i++)
	{
		comma(out);
		ml_json_put_number(out, ml_rank_negatives(c->ranks[i]));
	}
	appendStringInfoString(out, "], \"roc\": [");
	for (int i = 0; i < c->nranks; i++)
	{
		comma(out);
		add_curve(out, c->ranks[i], points);
	}
	appendStringInfoChar(out, ']');
}

/* The classes with the most rows, actual or predicted, keep lines of their own; the others share the last. */
static void
add_confusion(MlCurves *c, StringInfo out)
{
	int			k = c->classes;
	int			shown = k <= ML_CURVES_CLASSES ? k : ML_CURVES_CLASSES - 1;
	int			lines = Min(k, ML_CURVES_CLASSES);
	double	   *rows = palloc0(k * sizeof(double));
	int		   *line = palloc(k * sizeof(int));
	double	   *cells = palloc0(sizeof(double) * lines * lines);

	for (int i = 0; i < k; i++)
		for (int j = 0; j < k; j++)
		{
			rows[i] += c->confusion[i * k + j];
			rows[j] += c->confusion[i * k + j];
		}
	for (int i = 0; i < k; i++)
	{
		int			larger = 0;

		for (int j = 0; j < k; j++)
			larger += rows[j] > rows[i] || (rows[j] == rows[i] && j < i);
		line[i] = larger < shown ? 0 : lines - 1;
	}
	appendStringInfoString(out, ", \"classes\": [");
	for (int i = 0, next = 0; i < k; i++)
		if (line[i] == 0)
		{
			comma(out);
			appendStringInfo(out, "%d", i);
			line[i] = next++;
		}
	appendStringInfo(out, "%s], \"confusion\": [", shown < k ? ", -1" : "");
	for (int i = 0; i < k; i++)
		for (int j = 0; j < k; j++)
			cells[line[i] * lines + line[j]] += c->confusion[i * k + j];
	for (int i = 0; i < lines; i++)
	{
		comma(out);
		add_numbers(out, cells + i * lines, lines);
	}
	appendStringInfoChar(out, ']');
}

static void
add_calibration_bins(MlCurves *c, StringInfo out)
{
	appendStringInfoString(out, ", \"calibration\": [");
	for (int i = 0; i < CALIBRATION_BINS; i++)
	{
		const double *bin = c->calibration[i];
		double		line[3] = {bin[0], bin[1] / bin[0], bin[2] / bin[0]};

		if (bin[0] > 0)
		{
			comma(out);
			add_numbers(out, line, 3);
		}
	}
	appendStringInfoChar(out, ']');
}

static int
compare_numbers(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

static int
compare_predicted(const void *a, const void *b)
{
	const Sampled *x = a;
	const Sampled *y = b;

	if (x->predicted != y->predicted)
		return x->predicted < y->predicted ? -1 : 1;
	return x->uniform < y->uniform ? -1 : x->uniform > y->uniform;
}

static int
compare_uniform(const void *a, const void *b)
{
	return before(a, b) ? -1 : before(b, a);
}

/* Linear between the neighbours, as R's type 7. */
static double
quantile(const double *sorted, int n, double q)
{
	double		at = q * (n - 1);
	int			low = (int) at;

	return low + 1 < n ? sorted[low] + (at - low) * (sorted[low + 1] - sorted[low]) : sorted[n - 1];
}

static void
add_residuals(MlCurves *c, StringInfo out)
{
	static const double at[] = {0.05, 0.25, 0.5, 0.75, 0.95};
	int			n = c->nsample;
	int			bins = Max(1, Min(ML_CURVES_BINS, n / 10));
	double	   *residual = palloc(Max(n, 1) * sizeof(double));

	qsort(c->sample, n, sizeof(Sampled), compare_predicted);
	appendStringInfoString(out, ", \"residuals\": [");
	for (int bin = 0; bin < bins && n > 0; bin++)
	{
		int			from = (int) ((int64) n * bin / bins);
		int			size = (int) ((int64) n * (bin + 1) / bins) - from;
		double		line[7] = {size, 0};

		for (int i = 0; i < size; i++)
		{
			const Sampled *row = &c->sample[from + i];

			line[1] += row->predicted / size;
			residual[i] = row->actual - row->predicted;
		}
		qsort(residual, size, sizeof(double), compare_numbers);
		for (int q = 0; q < lengthof(at); q++)
			line[2 + q] = quantile(residual, size, at[q]);
		comma(out);
		add_numbers(out, line, 7);
	}
	appendStringInfoChar(out, ']');
}

static void
count_values(const MlCurves *c, bool actual, double low, double width, double *counts)
{
	memset(counts, 0, sizeof(double) * ML_CURVES_BINS);
	for (int i = 0; i < c->nsample; i++)
	{
		double		value = actual ? c->sample[i].actual : c->sample[i].predicted;
		double		bin = floor((value - low) / width);

		/* of a width that is rounded, the largest value may lie past the end */
		counts[(int) fmax(0, fmin(ML_CURVES_BINS - 1, bin))]++;
	}
}

static void
add_sample_histogram(MlCurves *c, StringInfo out)
{
	double		low = INFINITY;
	double		high = -INFINITY;
	double		width;
	double		counts[ML_CURVES_BINS];

	for (int i = 0; i < c->nsample; i++)
	{
		low = fmin(low, fmin(c->sample[i].predicted, c->sample[i].actual));
		high = fmax(high, fmax(c->sample[i].predicted, c->sample[i].actual));
	}
	width = (high - low) / ML_CURVES_BINS;
	if (c->nsample == 0 || !isfinite(width))
		return;
	if (width == 0)
		width = fmax(fabs(low), 1) / ML_CURVES_BINS;
	appendStringInfoString(out, ", \"histogram\": {\"low\": ");
	ml_json_put_number(out, low);
	appendStringInfoString(out, ", \"width\": ");
	ml_json_put_number(out, width);
	appendStringInfoString(out, ", \"predicted\": ");
	count_values(c, false, low, width, counts);
	add_numbers(out, counts, ML_CURVES_BINS);
	if (c->rows > 0)
	{
		appendStringInfoString(out, ", \"actual\": ");
		count_values(c, true, low, width, counts);
		add_numbers(out, counts, ML_CURVES_BINS);
	}
	appendStringInfoChar(out, '}');
}

static void
add_points(MlCurves *c, StringInfo out)
{
	qsort(c->sample, c->nsample, sizeof(Sampled), compare_uniform);
	appendStringInfoString(out, ", \"points\": [");
	for (int i = 0; i < Min(c->nsample, POINTS); i++)
	{
		double		point[2] = {c->sample[i].predicted, c->sample[i].actual};

		comma(out);
		add_numbers(out, point, 2);
	}
	appendStringInfoChar(out, ']');
}

void
ml_curves_json(MlCurves *c, bool detail, StringInfo out)
{
	appendStringInfoString(out, "{\"rows\": ");
	ml_json_put_number(out, c->rows);
	if (c->task != ML_CLASSIFICATION)
	{
		appendStringInfo(out, ", \"sampled\": %d", c->nsample);
		if (c->rows > 0)
			add_residuals(c, out);
		add_sample_histogram(c, out);
		if (detail && c->rows > 0)
			add_points(c, out);
	}
	else
	{
		add_curves(c, detail ? 200 : 50, out);
		if (c->confusion)
			add_confusion(c, out);
		add_calibration_bins(c, out);
		if (c->classes == 2)
		{
			appendStringInfoString(out, ", \"histogram\": {\"low\": 0, \"width\": 0.05, \"negative\": ");
			add_numbers(out, c->histogram[0], ML_CURVES_BINS);
			appendStringInfoString(out, ", \"positive\": ");
			add_numbers(out, c->histogram[1], ML_CURVES_BINS);
			appendStringInfoChar(out, '}');
		}
	}
	appendStringInfoChar(out, '}');
}

void
ml_curves_free(MlCurves *c)
{
	for (int i = 0; i < c->nranks; i++)
		ml_rank_close(c->ranks[i]);
}
