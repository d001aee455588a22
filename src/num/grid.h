/*
 * grid.h - a column of numbers as counts between fixed cut points, and how far
 * two such columns lie apart: what the monitoring of models compares.
 *
 * Flat and without pointers.  Bin b holds the values with exactly b cuts <= x.
 */
#ifndef ML_GRID_H
#define ML_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "num/sketch.h"

#define ML_GRID_CUTS 255		/* eight steps of a search */
#define ML_GRID_BINS (ML_GRID_CUTS + 1)
#define ML_DECILES 9

/*
 * The training side.  cut[0] is the smallest value and the last cut the next
 * double above the largest, so that bin 0 and the last one hold what is out of
 * range.  A value as frequent as two quantiles has a bin of its own.
 */
typedef struct MlGrid
{
	double		n;				/* values */
	double		mean;
	double		sd;				/* population */
	bool		exact;			/* count counts every value; otherwise it is the sketch's estimate */
	int			ncuts;			/* 0: there was no value */
	int			ndeciles;		/* distinct inner deciles */
	uint8_t		decile[ML_DECILES];	/* their cuts, ascending */
	double		cut[ML_GRID_CUTS];	/* ascending; +infinity beyond ncuts */
	double		count[ML_GRID_BINS];
} MlGrid;

/* Cuts, deciles and counts: exact ones, from n ascending values, or estimates. */
extern void ml_grid_of_sorted(MlGrid *grid, const double *sorted, int n);
extern void ml_grid_of_summary(MlGrid *grid, const MlSummary *s);

/* Interpolates between two order statistics as numpy does. */
extern double ml_grid_between(double low, double high, double share);
extern void ml_grid_set_deciles(MlGrid *grid, const double *deciles);	/* replaces them */

/* Finds or adds a cut; the count of the bin that it divides is to be set by the caller.  -1: no room. */
extern int	ml_grid_cut(MlGrid *grid, double value);

extern bool ml_grid_valid(const MlGrid *grid);	/* for bytes from outside */

/* Adds n values `stride` doubles apart to count[ncuts + 2], the last of which is NaN's. */
extern void ml_grid_count(const MlGrid *grid, const double *x, int n, int stride, uint64_t *count);
extern int	ml_grid_bin(const MlGrid *grid, double x);

/* Counts between deciles; returns how many bins: ndeciles + 1. */
extern int	ml_grid_deciles(const MlGrid *grid, const double *count, double *out);

/* Largest distance of the distribution functions at a cut: below the true one by at most *error. */
extern double ml_grid_ks(const MlGrid *grid, const double *count, double *error);

/*
 * Area between the distribution functions, bins filled evenly; `beyond` is the
 * sum of the distances of what is out of range.  *error bounds what that assumes.
 */
extern double ml_grid_wasserstein(const MlGrid *grid, const double *count, double beyond, double *error);

/* What a bin adds to a distance, from its rows of both sides and all rows of both sides. */
typedef double (*MlBinTerm) (double k, double n, double k0, double n0);
extern double ml_psi_term(double k, double n, double k0, double n0);
extern double ml_jensen_shannon_term(double k, double n, double k0, double n0);	/* bits */
extern double ml_chi2_term(double k, double n, double k0, double n0);
extern double ml_bins_distance(MlBinTerm term, const double *count, const double *train, int bins);

/* ---- noise floors: what is exceeded with probability alpha when nothing has changed ---- */

extern double ml_noise_bins(MlBinTerm term, const double *count, const double *train, int bins, double alpha);
extern double ml_noise_ks(double n, double n0, double alpha);
extern double ml_noise_wasserstein(const MlGrid *grid, double n, double n0, double alpha);

/* Smallest k of n rows that is too many, when k0 of n0 had it in training; n + 1: none is. */
extern double ml_noise_count(double n, double k0, double n0, double alpha);

/* Likewise for rows beyond the range of n0 values. */
extern double ml_noise_beyond(double n, double n0, double alpha);

/* Rows that tell as much about a distribution as the sketch of n rows does. */
extern double ml_grid_weight(const MlGrid *grid);

/* Isotonic regression: y (weights w, n <= ML_GRID_BINS) becomes its closest non-decreasing sequence, in place. */
extern void ml_isotonic(double *y, const double *w, int n);

#endif
