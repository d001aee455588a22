/* Counts between cut points, distances and noise floors: values from scipy 1.10 and by hand. */
#include "num/grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int tests;

static void
ok(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, name);
}

static void
near(double got, double expected, double tolerance, const char *name)
{
	ok(fabs(got - expected) <= tolerance * fmax(fabs(expected), 1e-300), name);
	if (!(fabs(got - expected) <= tolerance * fmax(fabs(expected), 1e-300)))
		printf("# got %.17g, not %.17g\n", got, expected);
}

int
main(void)
{
	double		values[1000];
	uint64_t	counted[ML_GRID_BINS + 1] = {0};
	double		count[ML_GRID_BINS] = {0};
	double		odd[6] = {-1, 0, 999, 999.5, INFINITY, NAN};
	double		train[3] = {500, 300, 200};
	double		batch[3] = {30, 40, 30};
	double		y[4] = {0.2, 0.1, 0.4, 0.3};
	double		w[4] = {1, 3, 1, 1};
	double		error;
	MlGrid		grid;

	for (int i = 0; i < 1000; i++)
		values[i] = i < 300 ? 0 : i;
	ml_grid_of_sorted(&grid, values, 1000);
	ok(ml_grid_valid(&grid), "a grid of sorted values is valid");
	ok(grid.cut[0] == 0 && grid.cut[1] == nextafter(0, 1), "a frequent value has a bin of its own");
	ok(grid.count[1] == 300 && grid.count[0] == 0 && grid.count[grid.ncuts] == 0, "with all its rows");
	ok(grid.ndeciles == 8, "deciles that are the same count once");
	near(grid.cut[grid.decile[1]], 210, 1e-12, "deciles are interpolated");
	ml_grid_count(&grid, odd, 6, 1, counted);
	ok(counted[0] == 1 && counted[1] == 1 && counted[grid.ncuts] == 2 && counted[grid.ncuts + 1] == 1,
	   "out of range, infinite and missing values are counted apart");
	for (int b = 0; b <= grid.ncuts; b++)
		count[b] = grid.count[b];
	ok(ml_grid_ks(&grid, count, &error) == 0 && ml_grid_wasserstein(&grid, count, 0, &error) == 0, "nothing is nowhere from itself");
	memset(count, 0, sizeof(count));
	count[1] = 10;
	near(ml_grid_ks(&grid, count, &error), 0.7, 1e-12, "ks of one value");

	for (int i = 0; i < 1000; i++)
		values[i] = i < 250 ? -1.5e308 : 1.5e308;
	ml_grid_of_sorted(&grid, values, 1000);
	ok(ml_grid_valid(&grid), "so is a grid of values whose differences overflow");
	near(grid.mean, 0.75e308, 1e-12, "with their mean");
	near(ml_grid_between(-1.5e308, 1.5e308, 0.75), 0.75e308, 1e-15, "and what lies between them");
	for (int b = 0; b <= grid.ncuts; b++)
		count[b] = grid.count[b];
	ok(ml_grid_wasserstein(&grid, count, 0, &error) == 0, "it is nowhere from itself");

	near(ml_bins_distance(ml_psi_term, batch, train, 3), 0.17147984280919268, 1e-14, "psi");
	near(ml_bins_distance(ml_chi2_term, batch, train, 3), 14.836172368865508, 1e-14, "chi-square as chi2_contingency");
	near(ml_noise_bins(ml_chi2_term, batch, train, 3, 0.001), 13.8155, 0.02, "its noise is the quantile of chi-square");
	near(ml_noise_count(100, 10, 1000, 0.001), 7, 0, "noise of a count");
	ok(ml_noise_count(10, 1000, 1000, 0.001) == 11, "what everybody has is never too much");
	ml_isotonic(y, w, 4);
	ok(y[0] == y[1] && y[1] < y[2] && y[2] == y[3] && fabs(y[0] - 0.125) < 1e-15, "isotonic regression");
	printf("1..%d\n", tests);
	return 0;
}
