/*
 * shap.c - what each column adds to the margin of a row: exact Shapley values
 * of the path-dependent game of Lundberg, Erion and Lee (2018, "Consistent
 * individualized feature attribution for tree ensembles") and Lundberg et al.
 * (2020, Nature Machine Intelligence 2, 56-67).
 *
 * The game: of a set S of columns the values are known.  A split of a known
 * column is followed, any other one is taken both ways, weighted by cover.  So
 * a leaf of value v, with distinct columns i on its path, is worth
 *
 *     v * product over i of (o_i if i is in S, z_i otherwise)
 *
 * where o_i is 1 if the row satisfies all splits of column i on the path, else
 * 0, and z_i the product of their shares of cover.  By Owen's multilinear
 * extension (1972, Management Science 18, P64-P79) the Shapley value of column
 * i in such a product game is
 *
 *     v * (o_i - z_i) * integral 0..1 of product over j != i of q_j(t) dt,
 *     q_j(t) = t o_j + (1 - t) z_j
 *
 * The integrand is a polynomial of degree d - 1 for d distinct columns, which
 * Gauss-Legendre quadrature with at least d / 2 points integrates exactly.  At
 * each point t_k the product over the path is carried down the tree and its sum
 * over leaves, S, is carried up; an edge of column i gets
 *
 *     (o_i - z_i) * sum over k of w_k S_k / q_i(t_k)
 *
 * from all leaves below it.  Where the column is split again further down, these
 * leaves count there, with the new o and z, and are taken off here.  That
 * is a few additions for each node and point, so O(leaves * depth) a tree, as
 * in Yu et al. (2022, "Linear TreeShap"), but all terms of a product are
 * positive, so that nothing is lost by cancellation, however deep the tree.
 *
 * Memory: one frame for each level of the deepest tree, given back at the end.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "walk.h"

#define NODES_PER_CHECK 0xfff	/* between two looks at interrupts */

/* A node on the path from the root, with the edge that leads to it. */
typedef struct Frame
{
	uint32_t	node;
	int			visited;		/* children that are done */
	int			feature;		/* of the edge; -1: the root */
	int			before;			/* the last frame above with the same feature, or -1 */
	double		one;			/* o and z of the feature down to here */
	double		zero;
	double		share;			/* of the root's cover, by edges */
	double	   *product;		/* points: of q over the distinct columns of the path */
	double	   *sum;			/* points: S of the leaves so far */
	double	   *q;				/* points */
} Frame;

typedef struct Shap
{
	const MlTrees *trees;
	const double *x;
	int			output;
	double		sign;
	int			points;
	double	   *at;				/* t_k */
	double	   *weight;			/* w_k */
	Frame	   *frame;
	uint32_t	steps;
	double		base;
	double	   *contrib;
} Shap;

/* Points and weights for 0..1 (Newton's method on Legendre's polynomial). */
static void
gauss_legendre(int n, double *at, double *weight)
{
	for (int i = 0; i < n; i++)
	{
		double		z = cos(3.14159265358979323846 * (i + 0.75) / (n + 0.5));
		double		slope = 1;

		for (int iteration = 0; iteration < 20; iteration++)
		{
			double		p = 1;
			double		before = 0;
			double		change;

			for (int j = 0; j < n; j++)
			{
				double		next = ((2 * j + 1) * z * p - j * before) / (j + 1);

				before = p;
				p = next;
			}
			slope = n * (z * p - before) / (z * z - 1);
			change = p / slope;
			z -= change;
			if (fabs(change) < 1e-15)
				break;
		}
		at[i] = (1 - z) / 2;
		weight[i] = 1 / ((1 - z * z) * slope * slope);
	}
}

/* The frame's integral of S / q, for leaves that are summed in `sum`. */
static double
integral(const Shap *shap, const double *sum, const double *q)
{
	double		total = 0;

	for (int k = 0; k < shap->points; k++)
		total += shap->weight[k] * sum[k] / q[k];
	return total;
}

/* Goes from frame d to a child; false when no leaf below is worth anything. */
static bool
descend(Shap *shap, int d, uint32_t child, bool followed)
{
	const MlTrees *trees = shap->trees;
	const Frame *from = &shap->frame[d];
	Frame	   *to = &shap->frame[d + 1];
	double		both = trees->cover[from->node];
	double		share = both > 0 ? trees->cover[child] / both : 0.5;
	const Frame *before = NULL;

	to->node = child;
	to->visited = 0;
	to->feature = trees->node[from->node].feature & ML_NODE_FEATURE;
	to->before = d;
	while (to->before >= 0 && shap->frame[to->before].feature != to->feature)
		to->before--;
	if (to->before >= 0)
		before = &shap->frame[to->before];
	to->one = followed && (before == NULL || before->one > 0);
	to->zero = share * (before ? before->zero : 1);
	to->share = from->share * share;
	if (to->one == 0 && to->zero < DBL_MIN)
		return false;
	for (int k = 0; k < shap->points; k++)
	{
		to->q[k] = shap->at[k] * to->one + (1 - shap->at[k]) * to->zero;
		to->product[k] = from->product[k] * to->q[k];
		if (before != NULL)
			to->product[k] /= before->q[k];
		to->sum[k] = 0;
	}
	return true;
}

/* All leaves below frame d are summed: the edge's share of them, and on to the parent. */
static void
ascend(Shap *shap, int d)
{
	const Frame *frame = &shap->frame[d];
	double	   *parent = shap->frame[d - 1].sum;
	double		contrib = (frame->one - frame->zero) * integral(shap, frame->sum, frame->q);

	if (frame->before >= 0)
	{
		const Frame *before = &shap->frame[frame->before];

		contrib -= (before->one - before->zero) * integral(shap, frame->sum, before->q);
	}
	shap->contrib[frame->feature] += shap->sign * contrib;
	for (int k = 0; k < shap->points; k++)
		parent[k] += frame->sum[k];
}

static void
reach_leaf(Shap *shap, int d)
{
	const MlTrees *trees = shap->trees;
	Frame	   *frame = &shap->frame[d];
	double		value = ml_trees_value(trees, trees->leaf[frame->node], trees->width > 1 ? shap->output : 0);

	shap->base += shap->sign * value * frame->share;
	for (int k = 0; k < shap->points; k++)
		frame->sum[k] = value * frame->product[k];
}

static void
explain_tree(Shap *shap, int t)
{
	const MlTrees *trees = shap->trees;
	Frame	   *frame = shap->frame;
	int			d = 0;

	frame[0].node = trees->root[t];
	frame[0].visited = 0;
	frame[0].feature = -1;
	frame[0].share = 1;
	for (int k = 0; k < shap->points; k++)
	{
		frame[0].product[k] = 1;
		frame[0].sum[k] = 0;
	}
	while (d >= 0)
	{
		uint32_t	node = frame[d].node;
		bool		leaf = (trees->node[node].feature & ML_NODE_LEAF) != 0;

		if ((++shap->steps & NODES_PER_CHECK) == 0)
			ml_check_interrupts();
		if (leaf)
			reach_leaf(shap, d);
		if (leaf || frame[d].visited == 2)
		{
			if (d > 0)
				ascend(shap, d);
			d--;
		}
		else
		{
			uint32_t	child = trees->node[node].left + frame[d].visited++;

			if (descend(shap, d, child, child == ml_tree_child(trees, node, shap->x)))
				d++;
		}
	}
}

/* Frames for the deepest tree, and as many points as its paths can have columns to be exact for. */
static void *
prepare(Shap *shap)
{
	const MlTrees *trees = shap->trees;
	int			depth = 0;
	int			columns;
	double	   *room;

	for (int t = 0; t < trees->ntrees; t++)
		depth = trees->depth[t] > depth ? trees->depth[t] : depth;
	columns = depth < trees->p ? depth : trees->p;
	shap->points = columns > 2 ? (columns + 1) / 2 : 1;
	room = ml_alloc((size_t) shap->points * (2 + 3 * ((size_t) depth + 1)), sizeof(double));
	shap->at = room;
	shap->weight = room + shap->points;
	gauss_legendre(shap->points, shap->at, shap->weight);
	shap->frame = ml_alloc((size_t) depth + 1, sizeof(Frame));
	for (int d = 0; d <= depth; d++)
	{
		shap->frame[d].product = room + (size_t) shap->points * (2 + 3 * (size_t) d);
		shap->frame[d].sum = shap->frame[d].product + shap->points;
		shap->frame[d].q = shap->frame[d].sum + shap->points;
	}
	return room;
}

static void
explain_output(Shap *shap, int output, double sign)
{
	const MlTrees *trees = shap->trees;

	shap->output = output;
	shap->sign = trees->average && trees->ntrees > 0 ? sign / trees->ntrees : sign;
	shap->base += sign * trees->base[output];
	for (int t = 0; t < trees->ntrees; t++)
		if (trees->width > 1 || trees->output[t] == output)
			explain_tree(shap, t);
}

void
ml_trees_explain(const void *model, const double *x, int output, double *base, double *contrib)
{
	const MlTrees *trees = model;
	Shap		shap = {.trees = trees, .x = x, .contrib = contrib};
	void	   *room = prepare(&shap);

	memset(contrib, 0, sizeof(double) * trees->p);
	if (trees->outputs == 1)
		explain_output(&shap, 0, 1);
	else if (trees->classes == 2)
	{
		/* The second class; its log-odds are the difference of two margins. */
		explain_output(&shap, 1, 1);
		if (trees->link == ML_LINK_SOFTMAX)
			explain_output(&shap, 0, -1);
	}
	else
		explain_output(&shap, output, 1);
	*base = shap.base;
	ml_free(shap.frame);
	ml_free(room);
}
