/*
 * foreign.h - what the readers of other libraries' tree models share: nodes
 * with children anywhere become nodes with children side by side.
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
	bool		others_left;	/* categories that are not listed */
	const double *listed;		/* categories that go to the other side than others, whole numbers >= 0 */
	size_t		nlisted;
	double		value;			/* of a leaf */
	double		cover;
	double		gain;
} MlForeignNode;

/* Starts a model; the trees are told by add, which checks every number, and end closes it. */
typedef struct MlForeignTrees
{
	MlTrees    *trees;
	size_t		node_room;
	size_t		leaf_room;
	size_t		set_room;
	int			tree_room;
} MlForeignTrees;

extern void ml_foreign_begin(MlForeignTrees *f, int p, int classes, MlTreeLink link, const char *objective);
extern void ml_foreign_add(MlForeignTrees *f, const MlForeignNode *node, int n, int output);
extern MlTrees *ml_foreign_end(MlForeignTrees *f);

extern const MlFormat ml_format_xgboost;
extern const MlFormat ml_format_lightgbm;

#endif
