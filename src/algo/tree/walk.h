/*
 * walk.h - one step of a row through a tree: what the predictor and its
 * explanations have in common.
 */
#ifndef ML_TREE_WALK_H
#define ML_TREE_WALK_H

#include "trees.h"

#if defined(__GNUC__)
#define ML_ALWAYS_INLINE static inline __attribute__((always_inline))
#else
#define ML_ALWAYS_INLINE static inline
#endif

/* What a node may ask for, known when a walk is compiled. */
typedef enum MlQuestions
{
	ML_PLAIN,					/* numbers, none missing */
	ML_MISSING,					/* numbers, NaN where missing */
	ML_CATEGORIES				/* and categories */
} MlQuestions;

/* Whether a category goes right. */
static inline uint32_t
ml_category_right(const MlTrees *trees, uint32_t i, uint32_t feature, double x)
{
	const uint32_t *set = trees->sets + trees->leaf[i];
	uint32_t	code;

	if (!(x >= 0 && x < 32.0 * set[0]))
		return (feature & (x != x || !(feature & ML_NODE_OTHERS_LEFT) ? ML_NODE_MISSING_RIGHT : 0)) != 0;
	code = (uint32_t) x;
	return !(set[1 + code / 32] >> (code % 32) & 1);
}

/* The node after node i, which is i for a leaf. */
ML_ALWAYS_INLINE uint32_t
ml_tree_step(const MlTrees *trees, uint32_t i, const double *row, MlQuestions questions)
{
	const MlTreeNode *node = &trees->node[i];
	uint32_t	feature = node->feature;
	double		x = row[feature & ML_NODE_FEATURE];
	uint32_t	right = x >= node->threshold;

	if (questions >= ML_MISSING)
		right |= (x != x) & (feature / ML_NODE_MISSING_RIGHT);
	if (questions == ML_CATEGORIES && (feature & ML_NODE_CATEGORY) != 0)
		right = ml_category_right(trees, i, feature, x);
	return node->left + right;
}

#endif
