/*
 * cuts.h - where the values of each column are cut into bins (private to the matrix).
 */
#ifndef ML_TREE_CUTS_H
#define ML_TREE_CUTS_H

#include "matrix.h"

/*
 * A sample has at most so many values: numbers of all columns together, bounded
 * for each.  A sample that is not the whole column keeps at least three quarters.
 */
#define ML_SAMPLE_TOTAL 2621440
#define ML_SAMPLE_LEAST 65536
#define ML_SAMPLE_MOST 131072

typedef struct MlCutFinder MlCutFinder;

/* weighted: tiles have weights.  Memory is that of the samples at most, and leaves a quarter of what there is. */
extern MlCutFinder *ml_cuts_create(const MlProblem *problem, const MlMatrixOptions *options, uint64_t rows, bool weighted);

/* The next n tiles of a pass; key has ML_TILE_ROWS for each: the rows' numbers for seeded choices. */
#define ML_CUT_TILES 32
extern void ml_cuts_add(MlCutFinder *finder, const MlTile *tile, int n, const uint32_t *key);

/* Ends a pass over the rows; false: another one is needed.  At the end all of `bins` but `first` is set. */
extern bool ml_cuts_finish_pass(MlCutFinder *finder, MlBins *bins);
extern void ml_cuts_free(MlCutFinder *finder);

/* Half way between a < b: a < cut <= b. */
extern double ml_cut_between(double a, double b);

#endif
