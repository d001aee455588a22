/*
 * rules.c - what a model of trees says about itself: its size, the columns that
 * count, and a single tree as if-then rules.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trees.h"

/* ---- importance ---- */

bool
ml_trees_importance_by(const void *model, const char *method, double *share)
{
	const MlTrees *trees = model;
	bool		gain = strcmp(method, "gain") == 0;
	bool		cover = strcmp(method, "cover") == 0;
	double		greatest = 0;

	if (!gain && !cover && strcmp(method, "splits") != 0)
		return false;
	memset(share, 0, sizeof(double) * trees->p);
	/* Gains near the end of the range of doubles must not add up to infinity. */
	for (uint32_t i = 0; i < trees->nnodes && gain; i++)
		greatest = fmax(greatest, trees->gain[i]);
	for (uint32_t i = 0; i < trees->nnodes; i++)
	{
		const MlTreeNode *node = &trees->node[i];
		double	   *of = &share[node->feature & ML_NODE_FEATURE];

		if ((node->feature & ML_NODE_LEAF) != 0)
			continue;
		if (cover)
			*of += trees->cover[i];
		else if (!gain)
			*of += 1;
		else if (greatest > 0)
			*of += fmax(trees->gain[i], 0) / greatest;
	}
	return true;
}

void
ml_trees_importance(const void *model, double *share)
{
	(void) ml_trees_importance_by(model, "gain", share);
}

/* ---- description ---- */

void
ml_trees_describe(const void *model, MlRows *rows)
{
	const MlTrees *trees = model;
	int			depth = 0;

	for (int t = 0; t < trees->ntrees; t++)
		depth = trees->depth[t] > depth ? trees->depth[t] : depth;
	ml_row_text(rows, "objective", trees->objective);
	ml_row_number(rows, "trees", trees->ntrees);
	if (trees->rounds > 0)
		ml_row_number(rows, "rounds", trees->rounds);
	ml_row_number(rows, "depth", depth);
	ml_row_number(rows, "leaves", trees->nleaves);
	if (trees->outputs == 1)
		ml_row_number(rows, "base", trees->base[0]);
}
