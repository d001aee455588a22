/*
 * ranking.c - the metrics that need the order of the scores.
 *
 * With scores falling, P and Q the weights of the positive and negative rows
 * above the current step and p, q those in it:
 *   AUC = sum of q (P + p / 2), divided by both totals (ties count a half);
 *   average precision = sum of p (P + p) / (P + p + Q + q), divided by the positives;
 * the variance of AUC from the placements of every row, DeLong, DeLong and
 * Clarke-Pearson, Biometrics 44 (1988).
 */
#include "eval/rank.h"

#include <math.h>

#include "eval/sums.h"

#define Z95 1.959963984540054	/* normal quantile of 0.975 */

void
ml_rank_values(MlRank *rank, MlRankValues *values)
{
	double		positives = ml_rank_positives(rank);
	double		negatives = ml_rank_negatives(rank);
	MlSum		p = {0, 0};
	MlSum		q = {0, 0};
	MlSum		area = {0, 0};
	MlSum		precision = {0, 0};
	MlSpread	placements[2];	/* of negative and positive rows */
	MlRankStream *stream;
	MlRankStep	step;

	memset(placements, 0, sizeof(placements));
	values->auc = values->auc_variance = values->pr_auc = NAN;
	values->auc_undefined = values->pr_auc_undefined = NULL;
	if (positives == 0 || negatives == 0)
		values->auc_undefined = "the actual values are all of one class";
	if (positives == 0)
		values->pr_auc_undefined = "no actual value is positive";
	if (positives == 0)
		return;

	stream = ml_rank_read(rank);
	while (ml_rank_next(stream, &step))
	{
		double		above = ml_sum_value(&p) + step.w[1] / 2;

		if (step.w[0] > 0)
		{
			ml_sum_add_product(&area, step.w[0], above);
			ml_spread_add(&placements[0], above / positives, step.w2[0]);
		}
		if (step.w[1] > 0 && negatives > 0)
			ml_spread_add(&placements[1], (negatives - ml_sum_value(&q) - step.w[0] / 2) / negatives, step.w2[1]);
		ml_sum_add(&p, step.w[1]);
		ml_sum_add(&q, step.w[0]);
		if (step.w[1] > 0)
			ml_sum_add_product(&precision, step.w[1], ml_sum_value(&p) / (ml_sum_value(&p) + ml_sum_value(&q)));
	}
	ml_rank_end(stream);

	values->pr_auc = ml_sum_value(&precision) / positives;
	if (values->auc_undefined)
		return;
	values->auc = ml_sum_value(&area) / positives / negatives;
	if (ml_rank_count(rank, false) > 1 && ml_rank_count(rank, true) > 1)
		values->auc_variance =
			ml_spread_variance(&placements[0], values->auc, negatives, ml_rank_count(rank, false)) +
			ml_spread_variance(&placements[1], values->auc, positives, ml_rank_count(rank, true));
}

/*
 * Without weights the middle value, or the mean of the two middle ones; the
 * interval from the order statistics at n / 2 -+ 1.96 sqrt(n) / 2.  With
 * weights the smallest value at which half of the weight is reached, as
 * scikit-learn has it (its plain running sum included), and no interval.
 */
double
ml_rank_median_of_negated(MlRank *rank, double *low, double *high)
{
	bool		weighted = ml_rank_weighted(rank);
	double		n = ml_rank_rows(rank);
	double		total = n;
	double		at = 0;
	double		median = NAN;
	double		half;
	double		rank_low = floor(n / 2 - Z95 * sqrt(n) / 2);
	double		rank_high = ceil(n / 2 + 1 + Z95 * sqrt(n) / 2);
	MlRankStream *stream;
	MlRankStep	step;

	*low = *high = NAN;
	if (weighted)
	{
		total = 0;
		stream = ml_rank_read(rank);
		while (ml_rank_next(stream, &step))
			total += step.w[0];
		ml_rank_end(stream);
	}
	half = total / 2;

	stream = ml_rank_read(rank);
	while (ml_rank_next(stream, &step))
	{
		double		value = 0.0 - step.score;
		double		before = at;

		at += step.w[0];
		if (before < half && at >= half)
			median = value;
		if (!weighted && before <= half && at > half)	/* the upper of two middle values */
			median = median / 2 + value / 2;
		if (weighted && !isnan(median))
			break;
		if (!weighted && rank_low >= 1 && before < rank_low && at >= rank_low)
			*low = value;
		if (!weighted && rank_high <= n && before < rank_high && at >= rank_high)
			*high = value;
	}
	ml_rank_end(stream);
	if (isnan(*low) || isnan(*high))
		*low = *high = NAN;
	return median;
}
