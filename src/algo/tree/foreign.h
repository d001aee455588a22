/*
 * foreign.h - what the readers of other libraries' tree models share: from
 * nodes with children anywhere to a model.
 */
#ifndef ML_TREE_FOREIGN_H
#define ML_TREE_FOREIGN_H

#include "trees.h"

/* A node as other libraries have it. */
typedef struct MlForeignNode
{
	int			left;			/* -1: a leaf */
	int			right;
	int			feature;
	double		threshold;		/* x < threshold goes left */
	bool		category;
	bool		missing_left;
	bool		others_left;	/* where categories that are not listed go */
	const double *listed;		/* categories that go to the other side than others, whole numbers >= 0 */
	size_t		nlisted;
	double		value;			/* of a leaf */
	double		cover;
	double		gain;
} MlForeignNode;

typedef struct MlForeignTree
{
	int			n;
	int			output;
	MlForeignNode *node;
} MlForeignTree;

/*
 * The model of these trees, every number checked; link, base and objective are
 * the caller's to set.  The nodes are freed.
 */
extern MlTrees *ml_foreign_trees(int p, int classes, MlForeignTree *tree, int ntrees);

extern const MlFormat ml_format_xgboost;
extern const MlFormat ml_format_lightgbm;

/* Read as boosting, written from every method whose model begins with MlTrees. */
extern const MlFormat *const ml_tree_formats[];

#endif
