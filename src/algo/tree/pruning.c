/*
 * pruning.c - minimal cost-complexity pruning.
 *
 * Breiman, Friedman, Olshen, Stone: Classification and Regression Trees (1984),
 * chapter 3.  Of all subtrees with the same root, T(alpha) is the smallest that
 * minimizes R(T) + alpha |leaves(T)|.  It is what repeated cutting of the weakest link
 * arrives at, but can be had in one walk from the leaves to the root: a branch
 * goes if as a leaf the node costs no more than what has been left of the branch.
 *
 * Risks are given up to a sum that is the same for a node and its children
 * together: only differences between a node and its leaves matter.
 */
#include <math.h>

#include "forest.h"

/* The sum of w (y - mean)^2 without that of w y^2. */
double
ml_risk_squared(const MlGrown *node, int classes)
{
	return node->h > 0 ? -node->g * node->g / node->h : 0;
}

/* w (1 - sum q^2) without the first term. */
double
ml_risk_gini(const MlGrown *node, int classes)
{
	double		weight = 0;
	double		square = 0;

	for (int k = 0; k < classes; k++)
	{
		weight += node->counts[k];
		square += node->counts[k] * node->counts[k];
	}
	return weight > 0 ? -square / weight : 0;
}

/* In bits. */
double
ml_risk_entropy(const MlGrown *node, int classes)
{
	double		weight = 0;
	double		sum = 0;

	for (int k = 0; k < classes; k++)
		weight += node->counts[k];
	for (int k = 0; k < classes; k++)
		if (node->counts[k] > 0)
			sum -= node->counts[k] * log2(node->counts[k] / weight);
	return sum;
}

void
ml_tree_prune(MlTree *tree, MlRisk risk, int classes, double total_weight, double alpha)
{
	double	   *cost = ml_alloc(tree->n, sizeof(double));	/* of the branch that is left of a node: risk */
	int		   *leaves = ml_alloc(tree->n, sizeof(int));
	int		   *order = ml_alloc(tree->n, sizeof(int));
	int			n = 1;

	/* parents before children */
	for (int i = 0; i < n; i++)
		if (tree->node[order[i]].left != 0)
		{
			order[n++] = tree->node[order[i]].left;
			order[n++] = tree->node[order[i]].left + 1;
		}
	while (n-- > 0)
	{
		int			i = order[n];
		MlGrown    *node = &tree->node[i];
		double		own = risk(node, classes) / total_weight;

		if ((n & 0xffff) == 0)
			ml_check_interrupts();
		if (node->left != 0)
		{
			cost[i] = cost[node->left] + cost[node->left + 1];
			leaves[i] = leaves[node->left] + leaves[node->left + 1];
			if (own - cost[i] <= alpha * (leaves[i] - 1))
				node->left = 0;	/* what was below cannot be reached any more */
		}
		if (node->left == 0)
		{
			cost[i] = own;
			leaves[i] = 1;
		}
	}
	tree->leaves = leaves[0];
	ml_free(order);
	ml_free(leaves);
	ml_free(cost);
}
