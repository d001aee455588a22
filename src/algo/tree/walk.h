/*
 * walk.h - where a row goes from a node, by the plain rule that trees.h states.
 */
#ifndef ML_TREE_WALK_H
#define ML_TREE_WALK_H

#include "trees.h"

/* Number k of a leaf. */
static inline double
ml_trees_value(const MlTrees *trees, uint32_t leaf, int k)
{
	if (trees->share == NULL)
		return trees->value[(size_t) leaf * trees->width + k];
	for (uint32_t s = trees->share[leaf]; s < trees->share[leaf + 1]; s++)
		if (trees->share_class[s] == (uint32_t) k)
			return trees->value[s];
	return 0;
}

/* Adds the numbers of a leaf to those in `sum`. */
static inline void
ml_trees_add_leaf(const MlTrees *trees, uint32_t leaf, double *sum)
{
	const double *value = trees->value + (size_t) leaf * trees->width;

	if (trees->share == NULL)
		for (int k = 0; k < trees->width; k++)
			sum[k] += value[k];
	else
		for (uint32_t s = trees->share[leaf]; s < trees->share[leaf + 1]; s++)
			sum[trees->share_class[s]] += trees->value[s];
}

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
