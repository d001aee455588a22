/*
 * formula.c - trees written down as a formula, node by node from the root.
 *
 * The side that missing values take comes second, as MlFormula wants it.  The
 * recursion is as deep as the tree, and the formula may end it with an error.
 */
#include <math.h>

#include "walk.h"

#define SHARE_TOL 1e-13			/* shares of a leaf that add up to 1 need not be divided by their sum */

/* The node and what is below; output: which number of a leaf. */
static void
write_node(const MlTrees *trees, uint32_t i, int output, MlFormula *out)
{
	const MlTreeNode *node = &trees->node[i];
	int			column = node->feature & ML_NODE_FEATURE;
	bool		missing_right = (node->feature & ML_NODE_MISSING_RIGHT) != 0;
	bool		left_first = missing_right;

	ml_check_interrupts();
	if ((node->feature & ML_NODE_LEAF) != 0)
	{
		out->leaf(out, ml_trees_value(trees, trees->leaf[i], output));
		return;
	}
	if ((node->feature & ML_NODE_CATEGORY) != 0)
	{
		const uint32_t *set = trees->sets + trees->leaf[i];

		/* Bits are of what goes left; unknown categories go with the missing ones, or left. */
		if ((node->feature & ML_NODE_OTHERS_LEFT) != 0)
			left_first = false;
		out->split_set(out, column, set + 1, set[0], left_first, missing_right && !left_first);
	}
	else
		out->split(out, column, left_first, node->threshold);
	write_node(trees, node->left + (left_first ? 0 : 1), output, out);
	write_node(trees, node->left + (left_first ? 1 : 0), output, out);
}

static void
write_margin(const MlTrees *trees, int output, double scale, MlFormula *out)
{
	double		factor = trees->average && trees->ntrees > 0 ? 1.0 / trees->ntrees : 1;

	out->begin(out, trees->base[output] * scale, factor * scale);
	for (int t = 0; t < trees->ntrees; t++)
	{
		if (trees->width == 1 && trees->output[t] != output)
			continue;
		write_node(trees, trees->root[t], trees->width == 1 ? 0 : output, out);
	}
}

/* Whether the shares add up to 1 in every leaf, and so in the mean of the trees. */
static bool
are_normalized(const MlTrees *trees)
{
	if (trees->width != trees->outputs || !trees->average || trees->ntrees == 0)
		return false;
	for (int k = 0; k < trees->outputs; k++)
		if (trees->base[k] != 0)
			return false;
	for (uint32_t i = 0; i < trees->nleaves; i++)
	{
		double		sum = 0;

		for (int k = 0; k < trees->width; k++)
			sum += ml_trees_value(trees, i, k);
		if (!(fabs(sum - 1) <= SHARE_TOL))
			return false;
	}
	return true;
}

static MlFormulaLink
link_of(const MlTrees *trees)
{
	switch (trees->link)
	{
		case ML_LINK_IDENTITY:
			break;
		case ML_LINK_LOG:
			return ML_FORMULA_EXP;
		case ML_LINK_LOGISTIC:
			return ML_FORMULA_LOGISTIC;
		case ML_LINK_SOFTMAX:
			return ML_FORMULA_SOFTMAX;
		case ML_LINK_SHARES:
			return trees->outputs == 1 || are_normalized(trees) ? ML_FORMULA_IDENTITY : ML_FORMULA_SHARES;
		case ML_LINK_ISOLATION:
			return ML_FORMULA_EXP2;
	}
	return ML_FORMULA_IDENTITY;
}

void
ml_trees_formula(const void *model, MlFormula *out)
{
	const MlTrees *trees = model;
	MlFormulaLink link = link_of(trees);
	bool		all = link == ML_FORMULA_SOFTMAX || link == ML_FORMULA_SHARES || out->output < 0;
	int			wanted = trees->classes == 2 ? trees->outputs - 1 : out->output;
	double		scale = trees->link == ML_LINK_ISOLATION ? -1 / trees->scale : 1;

	if (trees->classes == 2 && link == ML_FORMULA_IDENTITY)
		all = false;
	for (int k = 0; k < trees->outputs; k++)
		if (all || k == wanted)
			write_margin(trees, k, scale, out);
	out->link(out, link);
}
