/*
 * grid.c - counts between cut points, distances between two sets of counts, and
 * the distances that chance alone makes.
 *
 * Distances, p and q being shares of training and batch in the same bins:
 * population stability index sum (q - p) ln(q / p) with shares floored at 1e-4
 * (Siddiqi, Credit Risk Scorecards, 2006); Jensen-Shannon divergence in bits
 * (Lin 1991); Pearson's chi-square for two samples; Kolmogorov-Smirnov's largest
 * distance; Wasserstein's area between the distribution functions.
 *
 * Noise.  A sum over bins is held against its distribution when the rows of
 * both sides are shuffled and dealt again (Fisher 1935): the rows of a bin that
 * fall to the batch are then hypergeometric, whatever the distribution was.  Mean,
 * variance and third moment of each bin's term come from that; the fixed total
 * makes terms depend on each other, which for chi-square raises the variance from
 * 2 sum (1 - p)^2 to 2 (B - 1) and the third moment from 8 sum (1 - p)^3 to 8 (B - 1),
 * and the same factors are used for all.  A Pearson curve of type III with the three moments gives the quantile.
 * Kolmogorov-Smirnov: the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's
 * constant (1990).  Wasserstein: the supremum over functions of slope 1, so its
 * excess over the mean obeys Bousquet's inequality (2002); the mean is at most
 * the integral of E|Fn - Fm|.
 *
 * Everything lies with the caller; nothing is allocated.
 */
#include "num/grid.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "num/special.h"
#include "num/vector.h"

#define PARTS 128				/* quantiles that cuts are made of */
#define SHARE_FLOOR 1e-4
#define BLOCK 64				/* values searched at once: they stay in the nearest cache */
#define SKETCH_WEIGHT 7400.0	/* 0.25 / (0.015 / 2.576)^2: the variance of a sketch's rank, in rows */
#define WINDOW 10.0				/* standard deviations of a hypergeometric count that are summed over */
#define WINDOW_TERMS 400

/* ---- cuts ---- */

int
ml_grid_cut(MlGrid *grid, double value)
{
	int			at = 0;

	while (at < grid->ncuts && grid->cut[at] < value)
		at++;
	if (at < grid->ncuts && grid->cut[at] == value)
		return at;
	if (grid->ncuts == ML_GRID_CUTS)
		return -1;
	memmove(grid->cut + at + 1, grid->cut + at, (grid->ncuts - at) * sizeof(double));
	memmove(grid->count + at + 1, grid->count + at, (grid->ncuts + 1 - at) * sizeof(double));
	grid->cut[at] = value;
	grid->ncuts++;
	for (int i = 0; i < grid->ndeciles; i++)
		if (grid->decile[i] >= at)
			grid->decile[i]++;
	return at;
}

static void
add_decile(MlGrid *grid, double value)
{
	int			at = ml_grid_cut(grid, value);

	if (at >= 0 && (grid->ndeciles == 0 || grid->decile[grid->ndeciles - 1] != at))
		grid->decile[grid->ndeciles++] = at;
}

void
ml_grid_set_deciles(MlGrid *grid, const double *deciles)
{
	grid->ndeciles = 0;
	for (int i = 0; i < ML_DECILES; i++)
		add_decile(grid, deciles[i]);
}

/* Cuts at the quantiles, which are ascending, and around values that two of them share; then the deciles. */
static void
make_cuts(MlGrid *grid, const double *quantile, const double *deciles)
{
	ml_grid_cut(grid, quantile[0]);
	ml_grid_cut(grid, nextafter(quantile[PARTS], INFINITY));
	for (int i = 1; i <= PARTS; i++)
	{
		ml_grid_cut(grid, quantile[i]);
		if (quantile[i] == quantile[i - 1])
			ml_grid_cut(grid, nextafter(quantile[i], INFINITY));
	}
	ml_grid_set_deciles(grid, deciles);
}

static void
grid_begin(MlGrid *grid, double n)
{
	memset(grid, 0, sizeof(*grid));
	for (int i = 0; i < ML_GRID_CUTS; i++)
		grid->cut[i] = INFINITY;
	grid->n = n;
}

/* Between neighbours, and a value that both share as it is. */
double
ml_grid_between(double low, double high, double share)
{
	if (isinf(high - low))
		return low * (1 - share) + high * share;
	return low == high ? low : share >= 0.5 ? high - (high - low) * (1 - share) : low + (high - low) * share;
}

static double
sorted_quantile(const double *sorted, int n, double q)
{
	double		position = (n - 1) * q;
	int			at = (int) position;

	return at >= n - 1 ? sorted[n - 1] : ml_grid_between(sorted[at], sorted[at + 1], position - at);
}

void
ml_grid_of_sorted(MlGrid *grid, const double *sorted, int n)
{
	double		quantile[PARTS + 1];
	double		deciles[ML_DECILES];
	double		squares = 0;

	grid_begin(grid, n);
	if (n == 0)
		return;
	grid->exact = true;
	for (int i = 0; i <= PARTS; i++)
		quantile[i] = sorted_quantile(sorted, n, (double) i / PARTS);
	for (int i = 0; i < ML_DECILES; i++)
		deciles[i] = sorted_quantile(sorted, n, (i + 1) / 10.0);
	make_cuts(grid, quantile, deciles);
	for (int i = 0; i < n; i++)
	{
		double		d = sorted[i] - grid->mean;

		if (isfinite(d))
		{
			grid->mean += d / (i + 1);
			squares += d * (sorted[i] - grid->mean);
		}
		else
		{
			/* farther apart than a double can say */
			grid->mean += sorted[i] / (i + 1) - grid->mean / (i + 1);
			squares = INFINITY;
		}
		grid->count[ml_grid_bin(grid, sorted[i])]++;
	}
	grid->sd = isnan(squares) ? INFINITY : sqrt(squares / n);
}

void
ml_grid_of_summary(MlGrid *grid, const MlSummary *s)
{
	MlQuantiles quantiles;
	double		quantile[PARTS + 1];
	double		deciles[ML_DECILES];
	double		below = 0;

	grid_begin(grid, s->n);
	if (s->n == 0)
		return;
	grid->mean = s->mean;
	grid->sd = sqrt(ml_summary_variance(s, true));
	ml_quantiles_init(&quantiles, s);
	for (int i = 0; i <= PARTS; i++)
		quantile[i] = ml_quantile(&quantiles, (double) i / PARTS);
	for (int i = 0; i < ML_DECILES; i++)
		deciles[i] = ml_quantile(&quantiles, (i + 1) / 10.0);
	make_cuts(grid, quantile, deciles);
	for (int b = 0; b <= grid->ncuts; b++)
	{
		double		to = b < grid->ncuts ? round(s->n * ml_quantiles_cdf(&quantiles, nextafter(grid->cut[b], -INFINITY))) : s->n;

		grid->count[b] = fmax(to - below, 0);
		below = fmax(to, below);
	}
}

bool
ml_grid_valid(const MlGrid *grid)
{
	double		sum = 0;

	if (!(grid->n >= 0) || !isfinite(grid->n) || (grid->ncuts == 0) != (grid->n == 0) ||
		!isfinite(grid->mean) || !(grid->sd >= 0))
		return false;
	for (int i = 0; i < grid->ncuts; i++)
		if (!(i == 0 || grid->cut[i] > grid->cut[i - 1]) || isnan(grid->cut[i]) ||
			(isinf(grid->cut[i]) && i < grid->ncuts - 1))
			return false;
	for (int i = 0; i < grid->ndeciles; i++)
		if (grid->decile[i] >= grid->ncuts || (i > 0 && grid->decile[i] <= grid->decile[i - 1]))
			return false;
	for (int b = 0; b <= grid->ncuts; b++)
	{
		if (!(grid->count[b] >= 0))
			return false;
		sum += grid->count[b];
	}
	return fabs(sum - grid->n) <= 1e-9 * grid->n;
}

/* ---- counting ---- */

/* Cuts <= x for each x: one comparison a level, no branch, values side by side. */
ML_VECTOR static void
search(const double *restrict cut, const double *restrict x, int64_t *restrict at)
{
	for (int i = 0; i < BLOCK; i++)
		at[i] = 0;
	for (int64_t half = (ML_GRID_CUTS + 1) / 2; half > 0; half /= 2)
		for (int i = 0; i < BLOCK; i++)
			at[i] += cut[at[i] + half - 1] <= x[i] ? half : 0;
}

void
ml_grid_count(const MlGrid *grid, const double *x, int n, int stride, uint64_t *count)
{
	double		block[BLOCK] = {0};
	int64_t		at[BLOCK];
	int64_t		last = grid->ncuts;

	for (int start = 0; start < n; start += BLOCK)
	{
		int			m = n - start < BLOCK ? n - start : BLOCK;

		for (int i = 0; i < m; i++)
			block[i] = x[(ptrdiff_t) (start + i) * stride];
		search(grid->cut, block, at);
		for (int i = 0; i < m; i++)
		{
			int64_t		bin = at[i] < last ? at[i] : last;	/* infinity is not below the padding */

			count[block[i] == block[i] ? bin : last + 1]++;
		}
	}
}

int
ml_grid_bin(const MlGrid *grid, double x)
{
	int			at = 0;

	for (int half = (ML_GRID_CUTS + 1) / 2; half > 0; half /= 2)
		at += grid->cut[at + half - 1] <= x ? half : 0;
	return at < grid->ncuts ? at : grid->ncuts;
}

/* ---- distances ---- */

int
ml_grid_deciles(const MlGrid *grid, const double *count, double *out)
{
	int			bin = 0;

	memset(out, 0, (ML_DECILES + 1) * sizeof(double));
	for (int b = 0; b <= grid->ncuts; b++)
	{
		while (bin < grid->ndeciles && b > grid->decile[bin])
			bin++;
		out[bin] += count[b];
	}
	return grid->ndeciles + 1;
}

static double
total(const double *count, int bins)
{
	double		sum = 0;

	for (int b = 0; b < bins; b++)
		sum += count[b];
	return sum;
}

/* Whether all values of a bin are one double. */
static bool
single_value(const MlGrid *grid, int b)
{
	return b > 0 && b < grid->ncuts && nextafter(grid->cut[b - 1], INFINITY) == grid->cut[b];
}

double
ml_grid_ks(const MlGrid *grid, const double *count, double *error)
{
	double		n = total(count, grid->ncuts + 1);
	double		below0 = 0;
	double		below = 0;
	double		largest = 0;

	*error = 0;
	for (int b = 0; b <= grid->ncuts; b++)
	{
		double		from = fabs(below0 / grid->n - below / n);

		below0 += grid->count[b];
		below += count[b];
		largest = fmax(largest, fabs(below0 / grid->n - below / n));
		/* Between cuts one side can run ahead by all that it has there. */
		if (!single_value(grid, b))
			*error = fmax(*error, fmax(from, fabs(below0 / grid->n - below / n)) +
						  fmin(grid->count[b] / grid->n, count[b] / n));
	}
	*error = fmax(*error - largest, 0);
	return largest;
}

double
ml_grid_wasserstein(const MlGrid *grid, const double *count, double beyond, double *error)
{
	double		n = total(count, grid->ncuts + 1);
	double		f = grid->count[0] / grid->n;
	double		g = count[0] / n;
	double		area = beyond / n;

	*error = 0;
	for (int b = 1; b < grid->ncuts; b++)
	{
		double		half = grid->cut[b] / 2 - grid->cut[b - 1] / 2; /* of the bin's width, which may overflow */
		double		p = grid->count[b] / grid->n;
		double		q = count[b] / n;
		double		from = f - g;
		double		to = from + p - q;

		if (from * to >= 0)
			area += half * fabs(from + to);
		else
			area += half * (from * from + to * to) / (fabs(from) + fabs(to));
		if (!single_value(grid, b))
			*error += half * (p + q);
		f += p;
		g += q;
	}
	return area;
}

double
ml_psi_term(double k, double n, double k0, double n0)
{
	double		p = fmax(k0 / n0, SHARE_FLOOR);
	double		q = fmax(k / n, SHARE_FLOOR);

	return (q - p) * log(q / p);
}

double
ml_jensen_shannon_term(double k, double n, double k0, double n0)
{
	double		p = k0 / n0;
	double		q = k / n;
	double		m = (p + q) / 2;

	return (p > 0 ? p * log2(p / m) : 0) / 2 + (q > 0 ? q * log2(q / m) : 0) / 2;
}

double
ml_chi2_term(double k, double n, double k0, double n0)
{
	double		share = (k + k0) / (n + n0);
	double		d = k - n * share;

	return share > 0 ? d * d / share * (1 / n + 1 / n0) : 0;
}

double
ml_bins_distance(MlBinTerm term, const double *count, const double *train, int bins)
{
	double		n = total(count, bins);
	double		n0 = total(train, bins);
	double		sum = 0;

	for (int b = 0; b < bins; b++)
		sum += term(count[b], n, train[b], n0);
	return sum;
}

/* ---- noise ---- */

static double
log_choose(double n, double k)
{
	return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

/* Mean, variance and third central moment of a bin's term when its K rows are dealt to n of N. */
static void
term_moments(MlBinTerm term, double K, double n, double N, double *m)
{
	double		mean = n * K / N;
	double		sd = sqrt(mean * (1 - K / N) * (N - n) / fmax(N - 1, 1));
	double		low = fmax(fmax(0, n - (N - K)), floor(mean - WINDOW * sd - 10));
	double		high = fmin(fmin(n, K), ceil(mean + WINDOW * sd + 30));
	double		step = fmax(1, floor((high - low) / WINDOW_TERMS));
	double		log_all = log_choose(N, n);
	double		value[2 * WINDOW_TERMS + 4];
	double		weight[2 * WINDOW_TERMS + 4];
	double		sum = 0;
	int			terms = 0;

	m[0] = m[1] = m[2] = 0;
	for (double k = low; k <= high && terms < 2 * WINDOW_TERMS + 4; k += step)
	{
		weight[terms] = exp(log_choose(K, k) + log_choose(N - K, n - k) - log_all);
		value[terms] = term(k, n, K - k, N - n);
		sum += weight[terms];
		m[0] += weight[terms] * value[terms];
		terms++;
	}
	if (!(sum > 0))
		return;
	m[0] /= sum;
	for (int i = 0; i < terms; i++)
	{
		double		d = value[i] - m[0];

		m[1] += weight[i] / sum * d * d;
		m[2] += weight[i] / sum * d * d * d;
	}
}

/* Upper quantile of the Pearson curve with these moments. */
static double
pearson_quantile(double mean, double variance, double third, double alpha)
{
	double		sd = sqrt(variance);
	double		skew;

	if (!(variance > 0))
		return mean;
	skew = third / (variance * sd);
	if (!(skew > 1e-4))
		return mean - sd * ml_normal_quantile(alpha);
	return mean - 2 * sd / skew + sd * skew / 4 * ml_chi2_quantile(1 - alpha, 8 / (skew * skew));
}

double
ml_noise_bins(MlBinTerm term, const double *count, const double *train, int bins, double alpha)
{
	double		n = round(total(count, bins));
	double		n0 = 0;
	double		mean = 0;
	double		variance = 0;
	double		third = 0;
	double		squares = 0;
	double		cubes = 0;
	int			used = 0;

	for (int b = 0; b < bins; b++)
		n0 += round(train[b]);
	for (int b = 0; b < bins; b++)
	{
		double		K = round(count[b]) + round(train[b]);
		double		m[3];

		if (K == 0)
			continue;
		term_moments(term, K, n, n + n0, m);
		mean += m[0];
		variance += m[1];
		third += m[2];
		squares += pow(1 - K / (n + n0), 2);
		cubes += pow(1 - K / (n + n0), 3);
		used++;
	}
	if (used < 2)
		return mean;
	variance *= (used - 1) / squares;
	third *= (used - 1) / cubes;
	return pearson_quantile(mean, variance, third, alpha);
}

double
ml_noise_ks(double n, double n0, double alpha)
{
	return fmin(1, sqrt(log(2 / alpha) / 2 * (1 / n + 1 / n0)));
}

double
ml_noise_wasserstein(const MlGrid *grid, double n, double n0, double alpha)
{
	double		v = 1 / n + 1 / n0;
	double		range = grid->cut[grid->ncuts - 1] - grid->cut[0];
	double		log_alpha = -log(alpha);
	double		f = 0;
	double		mean = 0;

	for (int b = 1; b < grid->ncuts; b++)
	{
		double		middle = f + grid->count[b] / grid->n / 2;

		mean += (grid->cut[b] - grid->cut[b - 1]) * sqrt(fmax(middle * (1 - middle), 0));
		f += grid->count[b] / grid->n;
	}
	mean *= sqrt(2 / M_PI * v);
	return mean + sqrt(2 * log_alpha * (grid->sd * grid->sd * v + 2 * range * mean / n)) + range * log_alpha / (3 * n);
}

/* P(at least k of the K rows with a property are among n of N), which falls with k when K = k + k0. */
static double
upper_tail(double k, double K, double n, double N)
{
	double		term = exp(log_choose(K, k) + log_choose(N - K, n - k) - log_choose(N, n));
	double		sum = 0;
	double		high = fmin(n, K);

	for (; k <= high && term > sum * 1e-12; k++)
	{
		sum += term;
		term *= (K - k) / (k + 1) * ((n - k) / (N - K - n + k + 1));
	}
	return sum;
}

double
ml_noise_count(double n, double k0, double n0, double alpha)
{
	double		low = 0;		/* not too many */
	double		high = n + 1;

	n = round(n);
	k0 = round(k0);
	n0 = round(n0);
	while (high - low > 1)
	{
		double		k = floor((low + high) / 2);

		if (k / n > k0 / n0 && upper_tail(k, k + k0, n, n + n0) <= alpha)
			high = k;
		else
			low = k;
	}
	return high;
}

double
ml_noise_beyond(double n, double n0, double alpha)
{
	double		log_p = 0;
	double		k = 0;

	/* The j outermost of all n + n0 values lie in the batch, and are divided between both ends somehow. */
	while (k < n && log_p + log(k + 1) > log(alpha))
	{
		log_p += log((n - k) / (n + n0 - k));
		k++;
	}
	return log_p + log(k + 1) > log(alpha) ? n + 1 : k;
}

double
ml_grid_weight(const MlGrid *grid)
{
	return grid->exact ? grid->n : 1 / (1 / grid->n + 1 / SKETCH_WEIGHT);
}

/* ---- calibration ---- */

/* Pool adjacent violators (Ayer et al. 1955). */
void
ml_isotonic(double *y, const double *w, int n)
{
	int			blocks = 0;
	int			at = 0;
	double		mean[ML_GRID_BINS];
	double		weight[ML_GRID_BINS];
	int			size[ML_GRID_BINS];

	for (int i = 0; i < n; i++)
	{
		mean[blocks] = y[i];
		weight[blocks] = w[i];
		size[blocks] = 1;
		blocks++;
		while (blocks > 1 && mean[blocks - 2] >= mean[blocks - 1])
		{
			double		both = weight[blocks - 2] + weight[blocks - 1];

			if (both > 0)
				mean[blocks - 2] = (mean[blocks - 2] * weight[blocks - 2] + mean[blocks - 1] * weight[blocks - 1]) / both;
			weight[blocks - 2] = both;
			size[blocks - 2] += size[blocks - 1];
			blocks--;
		}
	}
	for (int b = 0; b < blocks; b++)
		for (int i = 0; i < size[b]; i++)
			y[at++] = mean[b];
}
