/*
 * foreign.c - a model from the trees of another library.
 *
 * Nodes are renumbered breadth first, so that the children of a node lie next to
 * each other; what cannot be reached from the root is left out.
 */
#include "foreign.h"

#include <math.h>
#include <string.h>

#include "grow.h"

const MlFormat *const ml_tree_formats[] = {&ml_format_xgboost, &ml_format_lightgbm, NULL};

#define MAX_CATEGORY (1 << 24)

static void
check_node(const MlForeignTree *tree, int number, const MlForeignNode *node, int p)
{
	if (node->left < 0)
	{
		if (!isfinite(node->value))
			ml_malformed("tree %d has a leaf of value %g", number, node->value);
		return;
	}
	if (node->left >= tree->n || node->right < 0 || node->right >= tree->n)
		ml_malformed("tree %d has a node with children %d and %d of %d", number, node->left, node->right, tree->n);
	if (node->feature < 0 || node->feature >= p)
		ml_malformed("tree %d splits by feature %d of %d", number, node->feature, p);
	if (!node->category && !isfinite(node->threshold))
		ml_malformed("tree %d splits at %g", number, node->threshold);
	for (size_t i = 0; i < node->nlisted; i++)
		if (!(node->listed[i] >= 0 && node->listed[i] < MAX_CATEGORY) || node->listed[i] != floor(node->listed[i]))
			ml_malformed("category %g of feature %d is not a whole number below %d",
						 node->listed[i], node->feature, MAX_CATEGORY);
}

/* The bits of a category split: set ones go left. */
static uint32_t *
make_set(const MlForeignNode *from, int levels)
{
	size_t		words = ((size_t) levels + 31) / 32;
	uint32_t   *bits = ml_alloc(words, sizeof(uint32_t));

	if (from->others_left)
		memset(bits, 0xff, words * sizeof(uint32_t));
	for (size_t i = 0; i < from->nlisted; i++)
	{
		int			c = (int) from->listed[i];

		bits[c / 32] ^= 1u << (c % 32);
	}
	return bits;
}

/* Number and value of each node in *value; the tree is made of grown nodes, as if it were ours. */
static MlTree *
convert(const MlForeignTree *from, int number, const int *levels, double *value)
{
	MlTree	   *tree = ml_alloc(1, sizeof(MlTree));
	int		   *queue = ml_alloc(from->n, sizeof(int));

	tree->node = ml_alloc(from->n, sizeof(MlGrown));
	tree->n = 1;
	for (int i = 0; i < tree->n; i++)
	{
		const MlForeignNode *node = &from->node[queue[i]];
		MlGrown    *to = &tree->node[i];

		to->h = node->cover;
		if (node->left < 0)
		{
			tree->leaves++;
			value[i] = node->value;
			continue;
		}
		if (node->category != (levels[node->feature] > 0))
			ml_malformed("feature %d is split both as a number and by categories", node->feature);
		if (tree->n + 2 > from->n)
			ml_malformed("tree %d has a node with two parents", number);
		to->left = tree->n;
		to->feature = node->feature;
		to->threshold = node->threshold;
		to->missing_left = node->missing_left;
		to->others_left = node->others_left;
		to->gain = node->gain > 0 ? node->gain : 0;
		if (node->category)
			to->set = make_set(node, levels[node->feature]);
		queue[tree->n++] = node->left;
		queue[tree->n++] = node->right;
	}
	ml_free(queue);
	return tree;
}

static void
free_tree(MlTree *tree)
{
	for (int i = 0; i < tree->n; i++)
		if (tree->node[i].set)
			ml_free(tree->node[i].set);
	ml_free(tree->node);
	ml_free(tree);
}

/* Categories of a feature: one more than the greatest that any split lists. */
static void
count_levels(const MlForeignTree *tree, int *levels)
{
	for (int i = 0; i < tree->n; i++)
	{
		const MlForeignNode *node = &tree->node[i];

		if (node->left < 0 || !node->category)
			continue;
		if (levels[node->feature] == 0)
			levels[node->feature] = 1;
		for (size_t k = 0; k < node->nlisted; k++)
			if (levels[node->feature] <= node->listed[k])
				levels[node->feature] = (int) node->listed[k] + 1;
	}
}

MlTrees *
ml_foreign_trees(int p, int classes, MlForeignTree *tree, int ntrees)
{
	MlForeignNode stump = {.left = -1, .cover = 1};
	MlForeignTree none = {.n = 1, .node = &stump};
	int		   *levels = ml_alloc(p > 0 ? p : 1, sizeof(int));
	MlProblem	problem = {.p = p, .classes = classes, .levels = levels};
	MlTrees    *trees;

	for (int t = 0; t < ntrees; t++)
	{
		for (int i = 0; i < tree[t].n; i++)
			check_node(&tree[t], t, &tree[t].node[i], p);
		count_levels(&tree[t], levels);
		ml_check_interrupts();
	}
	trees = ml_trees_create(&problem, classes > 2 ? classes : 1, 1);
	for (int t = 0; t < (ntrees > 0 ? ntrees : 1); t++)
	{
		const MlForeignTree *from = ntrees > 0 ? &tree[t] : &none;
		double	   *value = ml_alloc(from->n, sizeof(double));
		MlTree	   *grown = convert(from, t, levels, value);

		ml_trees_add(trees, grown, from->output, value, 1);
		free_tree(grown);
		ml_free(value);
		if (ntrees > 0)
			ml_free(from->node);
		ml_check_interrupts();
	}
	return trees;
}
