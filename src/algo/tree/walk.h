/*
 * walk.h - where a row goes from a node, by the plain rule that trees.h states.
 */
#ifndef ML_TREE_WALK_H
#define ML_TREE_WALK_H

#include "trees.h"

/* Whether category x goes right from split i. */
static inline uint32_t
ml_category_right(const MlTrees *trees, uint32_t i, double x)
{
	const uint32_t *set = trees->sets + trees->leaf[i];
	uint32_t	feature = trees->node[i].feature;
	uint32_t	code;

	if (x == x && (feature & ML_NODE_OTHERS_LEFT) != 0 && !(x >= 0 && x < 32.0 * set[0]))
		return 0;
	if (!(x >= 0 && x < 32.0 * set[0]))
		return (feature & ML_NODE_MISSING_RIGHT) != 0;
	code = (uint32_t) x;
	return !(set[1 + code / 32] >> (code % 32) & 1);
}

/* The child of split i that row x goes to. */
static inline uint32_t
ml_tree_child(const MlTrees *trees, uint32_t i, const double *x)
{
	const MlTreeNode *node = &trees->node[i];
	double		value = x[node->feature & ML_NODE_FEATURE];

	if ((node->feature & ML_NODE_CATEGORY) != 0)
		return node->left + ml_category_right(trees, i, value);
	if (value != value)
		return node->left + ((node->feature & ML_NODE_MISSING_RIGHT) != 0);
	return node->left + (value >= node->threshold);
}

#endif
