/*
 * matrix.h - the training rows as bin numbers, row-major, with what the tree
 * methods keep per row; in memory, or in a temporary file that is read and
 * written in blocks, in sequence.
 */
#ifndef ML_TREE_MATRIX_H
#define ML_TREE_MATRIX_H

#include "ml.h"

#define ML_BLOCK_ROWS 32768		/* so that a row of a block has a 16 bit number, and sums over a block stay in 32 bits */
#define ML_MAX_BIN 65535

/*
 * How the values of a column become bins.  A number: bin b holds the values
 * with cut[b - 1] <= x < cut[b].  A category: its level is its bin.  When any
 * value was missing in training the bin after the last is that of missing ones.
 */
typedef struct MlBins
{
	int			levels;			/* 0: a number; else the categories, and n = levels */
	int			n;				/* bins, the one of missing values not counted */
	bool		missing;		/* bin n is that of missing values */
	double	   *cut;			/* number: n - 1, ascending, each half way between two neighbouring values seen */
	double	   *least;			/* number, if keep_values, n > 1 and all rows were looked at: n, smallest value of each bin ... */
	double	   *most;			/* ... and largest one; else NULL */
	double		low;			/* number: smallest and largest value */
	double		high;
	int			first;			/* where this column's bins begin in a histogram of all columns */
} MlBins;

/*
 * What rounds a gradient and its curvature for a histogram: both are whole
 * numbers, so that sums do not depend on the order of rows.
 */
typedef struct MlGradient
{
	int32_t		g;
	int32_t		h;				/* >= 0 */
} MlGradient;

/* A part of the rows while it is held in memory; arrays that were not asked for are NULL. */
typedef struct MlBlock
{
	int			n;
	int			number;
	const uint8_t *bin8;		/* n x p; NULL when any column has more than 256 bins with that of missing values */
	const uint16_t *bin16;		/* n x p; then this one */
	const float *y;				/* n: target - shift, or class number */
	const float *w;				/* n: weights; NULL when all are one */
	const uint32_t *key;		/* n: of each row, the same in every order of rows; for seeded choices */
	const double *group;		/* n: numbers of groups */
	uint16_t   *order;			/* rows of the block that are in the tree, those of a node together */
	MlGradient *gradient;		/* n */
	double	   *score;			/* n x outputs: sum of the trees so far */
} MlBlock;

typedef struct MlMatrix
{
	int			p;
	uint64_t	rows;
	int			nblocks;
	int			outputs;		/* of score */
	bool		wide;			/* bin16 */
	bool		spilled;
	bool		weighted;
	bool		grouped;
	double		shift;			/* added to y gives the target */
	double		total_weight;
	size_t		bytes;			/* memory that the blocks take, the file not counted */
	MlBins	   *bins;			/* p */
	int			total_bins;		/* of a histogram of all columns */
	struct MlMatrixStore *store;	/* private */
} MlMatrix;

typedef struct MlMatrixOptions
{
	int			max_bin;		/* of a number, that of missing values not counted */
	int			outputs;		/* numbers in score, 0: no score */
	bool		keep_gradient;
	bool		keep_values;	/* in bins: least and most */
	bool		shift_target;	/* keep y as its distance from the (weighted) mean: float then loses nothing that matters */
} MlMatrixOptions;

/*
 * Two passes over `data`: cut points, then bins; more when the memory is too small for
 * the samples of all columns at once.  A column with at most max_bin distinct values
 * gets a bin for each; another gets cuts at (weighted) quantiles of a seeded sample of
 * 49,152 to 131,072 of its values (all of them when there are fewer), which depends neither on
 * the order of rows nor on the memory.  The share of rows below a cut is that of the
 * sample within 0.52 % for up to 20 columns, 0.73 % for many, with a probability of 99 %.
 * Without a target (anomaly) y is NULL.  `order` starts as 0, 1, 2, ...
 *
 * Goes to a temporary file when it would not leave room for 64 histograms (or a quarter of
 * ml_memory_left()); then half of the memory holds the first blocks, and the others pass
 * through a window of one block.
 */
extern MlMatrix *ml_matrix_build(const MlProblem *problem, MlData *data, const MlMatrixOptions *options);
extern void ml_matrix_free(MlMatrix *matrix);

/*
 * Bytes that the blocks of a matrix in memory take, without weights (4 more a row) and
 * groups (8 more), and when missing values need no more than 256 bins.
 */
extern size_t ml_matrix_bytes(const MlProblem *problem, uint64_t rows, const MlMatrixOptions *options);

/*
 * Block `i`, valid until the next is asked for (until the end in memory).  With
 * `change` what was written to order, gradient and score will be kept.  Lets
 * interrupts through.  Blocks are walked in order.
 */
extern MlBlock *ml_matrix_block(MlMatrix *matrix, int i, bool change);

#endif
