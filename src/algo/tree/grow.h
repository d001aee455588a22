/*
 * grow.h - one tree from the binned rows: histograms, split search, partition.
 * All tree methods grow their trees here.
 */
#ifndef ML_TREE_GROW_H
#define ML_TREE_GROW_H

#include "matrix.h"

typedef enum MlCriterion
{
	ML_SPLIT_GRADIENT,			/* G^2 / (H + l2), of gradients; with g = -w y, h = w it is the variance */
	ML_SPLIT_GINI,				/* of class counts: gradient.g is the class, gradient.h the weight */
	ML_SPLIT_ENTROPY
} MlCriterion;

/* How a tree is grown; zero where not used. */
typedef struct MlGrowth
{
	MlCriterion criterion;
	int			classes;		/* GINI, ENTROPY */
	bool		bare;			/* GINI, ENTROPY: nodes of the finished tree come without counts, which take nodes x classes */
	int			max_depth;		/* 0: no limit */
	int			max_leaves;		/* 0: no limit */
	bool		best_first;		/* the leaf with the greatest gain next; otherwise level by level */
	double		l1;
	double		l2;
	double		gamma;			/* a split must gain more; GINI, ENTROPY: as much, while a node has two classes.
								 * Below zero: splits without gain are made too */
	double		min_child_weight;	/* least sum of h in a child */
	double		min_child_rows;	/* least rows in a child */
	double		min_split_rows; /* least rows in a node to be split */
	double		max_step;		/* limit of a leaf's value, 0: none */
	double		colsample_tree; /* share of columns, rounded, at least one; 1: all */
	double		colsample_level;
	double		colsample_node;
	bool		random_cut;		/* one random threshold for each column tried, as extremely randomized trees do */
	int			one_hot_levels; /* categories with at most so many levels are split one against the rest */
	int			one_hot_above;	/* and those with more than so many, unless 0: the best set of many levels fits noise */
	int			rows_per_level;	/* sets only in nodes of so many rows a level that they have; 0: in all */
	double		learn_missing;	/* from so much weight of missing values on, and in nodes of half of the rows, the node learns on which
								 * side they are; fewer go with the heavier one.  0: always learned */
	bool		random_ties;	/* of columns that gain the same the node takes one at random; otherwise the first */
	const signed char *monotone;
	int			nsets;
	const bool *sets;			/* nsets x p: which columns may appear together on a path */
	uint64_t	seed;			/* of this tree */
	double		g_unit;			/* gradient.g x g_unit is the real gradient */
	double		h_unit;
	int			few_rows;		/* nodes of at most so many rows are grown from a copy of them; 0: what is fastest */
	bool		packed;			/* gradients are small enough (|g| < 2^16, h < 2^16) for sums in 32 bits over a block;
								 * a tree's own choice, if ml_grower_create had it */
} MlGrowth;

/* A grown tree, in the terms of its matrix.  Node 0 is the root; children lie next to each other. */
typedef struct MlGrown
{
	int			left;			/* 0: a leaf; right child: left + 1 */
	int			feature;
	int			bin;			/* number: bins below this one go left; bins.n: all but missing values do */
	double		threshold;		/* number: values below go left; a cut of the column, DBL_MAX where all numbers do.  Of the
								 * cuts between two bins with rows in the node the one nearest to their middle */
	bool		missing_left;	/* where missing values and categories unseen in the node go: where they gain most,
								 * or with the greater weight when the node has none */
	bool		others_left;	/* where categories beyond the set go; only of imported trees */
	uint32_t   *set;			/* category: bit l says that level l goes left; else NULL */
	int			depth;
	double		gain;			/* of the split, in units of the criterion */
	double		rows;			/* rows in the tree that came here */
	double		g;				/* GRADIENT: sums, in real units */
	double		h;				/* the weight, for the others */
	double		value;			/* GRADIENT: what the node would predict as a leaf, not yet times a learning rate */
	double		low;			/* limits of value by monotone columns, for whoever computes it anew */
	double		high;
	double	   *counts;			/* GINI, ENTROPY: classes, in units of weight (h_unit applied); NULL when bare */
} MlGrown;

typedef struct MlTree
{
	int			n;
	int			leaves;
	MlGrown    *node;
} MlTree;

/* What holds the histograms between trees; made once for a training. */
typedef struct MlGrower MlGrower;
extern MlGrower *ml_grower_create(MlMatrix *matrix, const MlGrowth *growth);

/* Gives back most of what it takes, before the training ends; finished trees stay. */
extern void ml_grower_free(MlGrower *grower);

/*
 * Before: every block's `order` and in_tree say which rows are in the tree (all
 * but those of no gradient, say) and `gradient` is set.  After: rows of a leaf
 * lie together in `order`, and ml_grower_leaves finds them.  The tree is
 * the same for any number of threads, in memory or spilled, and any order of rows.
 * It lives until ml_tree_free.
 */
extern void ml_grower_rows(MlGrower *grower, int block, int in_tree);	/* how many of a block's `order` count */
extern MlTree *ml_grow(MlGrower *grower, const MlGrowth *growth);
extern void ml_tree_free(MlTree *tree);

/*
 * Leaves of a block after ml_grow: the row numbers order[start[i]] to
 * order[start[i + 1] - 1] are in leaf node[i]; returns how many leaves the block has.
 * A kernel may call it, for one block at a time in each thread.
 */
extern int	ml_grower_leaves(MlGrower *grower, const MlBlock *block, const int **node, const int **start);

/* The leaf that a row of a block falls into: for rows that were not in the tree. */
extern int	ml_tree_walk(const MlTree *tree, const MlMatrix *matrix, const MlBlock *block, int row);

#endif
