/*
 * trees.c - tests of the model of trees outside of the server: construction,
 * bytes, prediction and explanation.
 *
 * Witnesses: a walk over the tree as it was grown, one node after the other, and
 * Shapley values by their definition, over all subsets of columns.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "algo/tree/grow.h"
#include "algo/tree/trees.h"
#include "host.h"

#define MAX_P 12

static uint64_t seed = 1;

static double
uniform(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double) (seed >> 11) * 0x1p-53;
}

static int
below(int n)
{
	return (int) (uniform() * n);
}

/* ---- trees by hand ---- */

static const int some_levels[MAX_P] = {0, 0, 0, 5, 0, 70, 0, 0, 33, 0, 0, 0};
static const int few_levels[MAX_P] = {0, 0, 0, 5, 0, 60, 0, 0, 33, 0, 0, 0};
static const int no_levels[MAX_P];

static MlProblem
problem_of(int p, int classes, const int *levels)
{
	return (MlProblem) {.task = classes ? ML_CLASSIFICATION : ML_REGRESSION, .p = p, .classes = classes, .levels = levels};
}

/* A random tree; the deepest path is `depth`, other nodes are split with the given chance. */
static MlTree *
random_tree(int p, const int *levels, int depth, double chance)
{
	int			room = 1 << 18;
	MlTree	   *tree = calloc(1, sizeof(MlTree));

	tree->node = calloc(room, sizeof(MlGrown));
	tree->n = 1;
	for (int i = 0; i < tree->n; i++)
	{
		MlGrown    *node = &tree->node[i];

		if (i == 0)
			node->h = 1000;
		node->value = uniform() * 2 - 1;
		if (node->depth >= depth || (i > 0 && i != tree->n - 1 && uniform() > chance) || tree->n + 2 > room)
		{
			tree->leaves++;
			continue;
		}
		node->left = tree->n;
		node->feature = below(p);
		node->missing_left = uniform() < 0.5;
		node->threshold = uniform();
		node->gain = uniform() * 10;
		if (levels[node->feature] > 0)
		{
			node->others_left = uniform() < 0.3;
			node->set = calloc((levels[node->feature] + 31) / 32, sizeof(uint32_t));
			for (int l = 0; l < levels[node->feature]; l++)
				node->set[l / 32] |= (uint32_t) (uniform() < 0.5) << (l % 32);
		}
		tree->node[tree->n].depth = tree->node[tree->n + 1].depth = node->depth + 1;
		tree->node[tree->n].h = node->h * (0.05 + 0.9 * uniform());
		tree->node[tree->n + 1].h = node->h - tree->node[tree->n].h;
		tree->n += 2;
	}
	return tree;
}

static void
free_tree(MlTree *tree)
{
	for (int i = 0; i < tree->n; i++)
		free(tree->node[i].set);
	free(tree->node);
	free(tree);
}

/* Where a row goes. */
static int
grown_child(const MlGrown *node, double x)
{
	bool		left;

	if (isnan(x))
		left = node->missing_left;
	else if (node->set && x >= 96)	/* beyond every set here */
		left = node->others_left || node->missing_left;
	else if (node->set)
		left = node->set[(int) x / 32] >> ((int) x % 32) & 1;
	else
		left = x < node->threshold;
	return node->left + !left;
}

static int
grown_leaf(const MlTree *tree, const double *x)
{
	int			i = 0;

	while (tree->node[i].left)
		i = grown_child(&tree->node[i], x[tree->node[i].feature]);
	return i;
}

static void
random_row(int p, const int *levels, double missing, double *x)
{
	for (int j = 0; j < p; j++)
		x[j] = uniform() < missing ? NAN : !levels[j] ? uniform() : uniform() < missing ? 100 : below(levels[j]);
}

/* The values of nodes as ml_trees_add takes them. */
static double *
node_values(const MlTree *tree, int width)
{
	double	   *value = calloc((size_t) tree->n * width, sizeof(double));

	for (int i = 0; i < tree->n; i++)
		for (int k = 0; k < width; k++)
			value[i * width + k] = width == 1 ? tree->node[i].value : fabs(sin(i * 7 + k));
	return value;
}

static bool
close_to(double a, double b, double relative)
{
	return fabs(a - b) <= relative * fmax(1, fmax(fabs(a), fabs(b)));
}

/* ---- bytes ---- */

static MlTrees *
round_trip(const MlTrees *trees, MlWriter *writer)
{
	MlReader	reader;

	memset(writer, 0, sizeof(MlWriter));
	ml_trees_save(trees, writer);
	reader = (MlReader) {writer->data, writer->size, 0};
	return ml_trees_load(&reader, ML_TREES_FORMAT, trees->p, trees->classes);
}

/* Loads bytes that may be wrong; then predicts and explains, which must end. */
static bool
survives(const char *data, size_t size, int p, int classes)
{
	char	   *exact = malloc(size);	/* so that valgrind sees a read beyond the end */
	MlReader	reader = {exact, size, 0};
	double		x[MAX_P];
	double		out[16];
	double		contrib[MAX_P];
	double		base;
	volatile bool loaded = false;	/* a jump must not undo it */

	memcpy(exact, data, size);
	if (setjmp(*ml_test_catch()) == 0)
	{
		MlTrees    *trees = ml_trees_load(&reader, ML_TREES_FORMAT, p, classes);

		ml_test_uncatch();
		loaded = true;
		for (int i = 0; i < 3; i++)
		{
			random_row(p, some_levels, 0.2, x);
			ml_trees_predict(trees, x, out);
			ml_trees_explain(trees, x, 0, &base, contrib);
		}
	}
	else if (strcmp(ml_test_sqlstate, "XX001") != 0)
		ml_test_ok(false, "bad bytes: %s %s", ml_test_sqlstate, ml_test_message);
	free(exact);
	return loaded;
}

static void
test_bytes(void)
{
	MlProblem	problem = problem_of(10, 3, some_levels);
	MlTrees    *trees = ml_trees_create(&problem, 3, 1);
	MlWriter	first;
	MlWriter	second;
	MlTrees    *loaded;
	MlTrees    *brief;
	bool		same = true;
	int			accepted = 0;
	int			cut = 0;

	trees->link = ML_LINK_SOFTMAX;
	trees->objective = "softmax";
	trees->base[1] = 0.25;
	for (int t = 0; t < 9; t++)
	{
		MlTree	   *tree = random_tree(10, some_levels, t % 5, 0.8);
		double	   *value = node_values(tree, 1);

		ml_trees_add(trees, tree, t % 3, value, 0.1);
		free(value);
		free_tree(tree);
	}
	loaded = round_trip(trees, &first);
	round_trip(loaded, &second);
	brief = ml_trees_load(&(MlReader) {first.data, first.rest, 0, true}, ML_TREES_FORMAT, 10, 3);
	for (int i = 0; i < 200 && same; i++)
	{
		double		x[MAX_P];
		double		out[2][3];

		random_row(10, some_levels, 0.2, x);
		ml_trees_predict(loaded, x, out[0]);
		ml_trees_predict(brief, x, out[1]);
		same = memcmp(out[0], out[1], sizeof(out[0])) == 0;
	}
	ml_test_ok(same && brief->gain == NULL && brief->cover == NULL && 4 * first.rest < 3 * first.size,
			   "the first %zu of %zu bytes are enough for predictions", first.rest, first.size);
	ml_test_ok(first.size == second.size && memcmp(first.data, second.data, first.size) == 0,
			   "saved, loaded, saved: the same %zu bytes", first.size);
	for (size_t size = 0; size < first.size; size++)
		cut += survives(first.data, size, 10, 3);
	ml_test_ok(cut == 0, "a payload that ends early is corrupt");
	for (size_t at = 0; at < first.size; at++)
		for (int how = 0; how < 10; how++)
		{
			char		saved = first.data[at];

			first.data[at] = how < 8 ? saved ^ (1 << how) : how == 8 ? 0 : (char) 255;
			accepted += survives(first.data, first.size, 10, 3);
			first.data[at] = saved;
			if (at % 64 == 0)
				ml_test_free_all();
		}
	ml_test_ok(true, "every bit of a payload flipped: an error, or a model that predicts (%d)", accepted);
	free(first.data);
	free(second.data);
	ml_test_free_all();
}

/* ---- prediction ---- */

static double
link_of(MlTreeLink link, double margin)
{
	return link == ML_LINK_LOGISTIC ? 1 / (1 + exp(-margin)) :
		link == ML_LINK_LOG ? exp(margin) :
		link == ML_LINK_ISOLATION ? pow(2, -margin / 3) : margin;
}

/* One output: all depths, numbers and categories, missing or not, against the walk. */
static void
test_prediction(const char *name, MlTreeLink link, const int *levels, int ntrees, int depth, double missing, bool average)
{
	MlProblem	problem = problem_of(MAX_P, link == ML_LINK_LOGISTIC ? 2 : 0, levels);
	MlTrees    *trees = ml_trees_create(&problem, 1, 1);
	MlTree	   *tree[64];
	MlTrees    *loaded;
	MlWriter	writer;
	bool		same = true;

	trees->link = link;
	trees->average = average;
	trees->scale = 3;
	trees->base[0] = 0.5;
	for (int t = 0; t < ntrees; t++)
	{
		double	   *value;

		tree[t] = random_tree(MAX_P, levels, depth - t % 3, 0.9);
		value = node_values(tree[t], 1);
		ml_trees_add(trees, tree[t], 0, value, 0.5);
		free(value);
	}
	loaded = round_trip(trees, &writer);
	for (int i = 0; i < 1000; i++)
	{
		double		x[MAX_P];
		double		sum = 0;
		double		got;

		random_row(MAX_P, levels, missing, x);
		for (int t = 0; t < ntrees; t++)
			sum += tree[t]->node[grown_leaf(tree[t], x)].value * 0.5;
		sum = (average ? sum / ntrees : sum) + 0.5;
		ml_trees_predict(loaded, x, &got);
		same &= close_to(got, link_of(link, sum), 1e-14);
	}
	ml_test_ok(same, "%s: predictions are those of the grown trees", name);
	for (int t = 0; t < ntrees; t++)
		free_tree(tree[t]);
	free(writer.data);
	ml_test_free_all();
}

/* Classes: a tree an output, and leaves with all shares. */
static void
test_classes(int classes, int outputs, int width, MlTreeLink link)
{
	MlProblem	problem = problem_of(MAX_P, classes, some_levels);
	MlTrees    *trees = ml_trees_create(&problem, outputs, width);
	MlTree	   *tree[12];
	double	   *value[12];
	bool		good = true;
	int			numbers = classes > 2 ? classes : 1;

	trees->link = link;
	trees->average = link == ML_LINK_SHARES;
	for (int t = 0; t < 12; t++)
	{
		tree[t] = random_tree(MAX_P, some_levels, 5, 0.9);
		value[t] = node_values(tree[t], width);
		ml_trees_add(trees, tree[t], t % outputs, value[t], 1);
	}
	for (int i = 0; i < 100; i++)
	{
		double		x[MAX_P];
		double		sum[5] = {0};
		double		got[5];
		double		total = 0;

		random_row(MAX_P, some_levels, 0.1, x);
		for (int t = 0; t < 12; t++)
			for (int k = 0; k < width; k++)
				sum[width > 1 ? k : t % outputs] += value[t][grown_leaf(tree[t], x) * width + k];
		for (int k = 0; k < outputs; k++)
		{
			sum[k] = link == ML_LINK_SOFTMAX ? exp(sum[k]) : sum[k];
			total += sum[k];
		}
		ml_trees_predict(trees, x, got);
		for (int k = 0; k < numbers; k++)
			good &= close_to(got[k], sum[classes > 2 ? k : 1] / total, 1e-13);
	}
	ml_test_ok(good, "%d classes, leaves of %d, link %d", classes, width, link);
	for (int t = 0; t < 12; t++)
	{
		free_tree(tree[t]);
		free(value[t]);
	}
	ml_test_free_all();
}

static void
test_change(void)
{
	MlProblem	problem = problem_of(MAX_P, 0, some_levels);
	MlTrees    *all = ml_trees_create(&problem, 1, 1);
	MlTrees    *some = NULL;
	MlTrees    *loaded;
	MlWriter	a;
	MlWriter	b;

	all->objective = "squared";
	for (int t = 0; t < 40; t++)
	{
		MlTree	   *tree = random_tree(MAX_P, some_levels, 6, 0.9);
		double	   *value = node_values(tree, 1);

		if (t == 25)
			some = ml_trees_copy(all);
		ml_trees_add(all, tree, 0, value, 1);
		free(value);
		free_tree(tree);
	}
	ml_trees_truncate(all, 25);
	loaded = round_trip(all, &a);
	round_trip(some, &b);
	ml_test_ok(loaded->ntrees == 25 && a.size == b.size && memcmp(a.data, b.data, a.size) == 0,
			   "a truncated model is what it was when it had fewer trees");
	free(a.data);
	free(b.data);
	ml_test_free_all();
}

/* ---- explanation ---- */

/* What a node is worth when the columns of `known` are known: followed; otherwise both ways by cover. */
static double
game(const MlTree *tree, int i, const double *x, int known)
{
	const MlGrown *node = &tree->node[i];
	double		left;
	double		right;

	if (node->left == 0)
		return node->value;
	if (known >> node->feature & 1)
		return game(tree, grown_child(node, x[node->feature]), x, known);
	left = tree->node[node->left].h;
	right = tree->node[node->left + 1].h;
	return (left * game(tree, node->left, x, known) + right * game(tree, node->left + 1, x, known)) / (left + right);
}

static double
factorial(int n)
{
	return n < 2 ? 1 : n * factorial(n - 1);
}

/* Shapley (1953): the mean of what a column adds, over all orders. */
static void
shapley(const MlTree *tree, int p, const double *x, double *contrib)
{
	double	   *worth = calloc(1 << p, sizeof(double));

	for (int known = 0; known < 1 << p; known++)
		worth[known] = game(tree, 0, x, known);
	for (int j = 0; j < p; j++)
	{
		contrib[j] = 0;
		for (int known = 0; known < 1 << p; known++)
			if ((known >> j & 1) == 0)
			{
				int			size = __builtin_popcount(known);

				contrib[j] += factorial(size) * factorial(p - 1 - size) / factorial(p) *
					(worth[known | 1 << j] - worth[known]);
			}
	}
	free(worth);
}

static void
test_shapley(int p, int depth, double chance, double missing)
{
	double		worst = 0;

	for (int i = 0; i < 30; i++)
	{
		MlProblem	problem = problem_of(p, 0, some_levels);
		MlTrees    *trees = ml_trees_create(&problem, 1, 1);
		MlTree	   *tree = random_tree(p, some_levels, depth, chance);
		double	   *value = node_values(tree, 1);
		double		x[MAX_P];
		double		expected[MAX_P];
		double		contrib[MAX_P];
		double		base;
		double		sum;
		double		margin;

		ml_trees_add(trees, tree, 0, value, 1);
		trees->base[0] = 2;
		random_row(p, some_levels, missing, x);
		ml_trees_explain(trees, x, 0, &base, contrib);
		shapley(tree, p, x, expected);
		ml_trees_margin(trees, x, &margin);
		sum = base;
		for (int j = 0; j < p; j++)
		{
			sum += contrib[j];
			worst = fmax(worst, fabs(contrib[j] - expected[j]));
		}
		worst = fmax(worst, fabs(sum - margin));
		worst = fmax(worst, fabs(base - 2 - game(tree, 0, x, 0)));
		free(value);
		free_tree(tree);
		ml_test_free_all();
	}
	/* Covers are floats: 6e-8 a level. */
	ml_test_ok(worst < 1e-6, "%d columns, depth %d: Shapley values by their definition (%.1g)", p, depth, worst);
}

/* Deep trees of few and of many columns: contributions add up. */
static void
test_deep(int p, int depth, int ntrees)
{
	int		   *levels = calloc(p, sizeof(int));
	MlProblem	problem = problem_of(p, 0, levels);
	MlTrees    *trees = ml_trees_create(&problem, 1, 1);
	double	   *x = calloc(p, sizeof(double));
	double	   *contrib = calloc(p, sizeof(double));
	double		worst = 0;
	int			deepest = 0;

	trees->average = true;
	for (int t = 0; t < ntrees; t++)
	{
		MlTree	   *tree = random_tree(p, levels, depth, 0.3);
		double	   *value = node_values(tree, 1);

		ml_trees_add(trees, tree, 0, value, 1);
		deepest = trees->depth[t] > deepest ? trees->depth[t] : deepest;
		free(value);
		free_tree(tree);
	}
	for (int i = 0; i < 5; i++)
	{
		double		base;
		double		sum;
		double		margin;

		random_row(p, levels, 0.05, x);
		ml_trees_explain(trees, x, 0, &base, contrib);
		sum = base;
		for (int j = 0; j < p; j++)
			sum += contrib[j];
		ml_trees_margin(trees, x, &margin);
		worst = fmax(worst, fabs(sum - margin));
	}
	ml_test_ok(worst < 1e-12 && deepest == depth, "%d columns, depth %d: base and contributions add up to the margin (%.1g)",
			   p, deepest, worst);
	free(levels);
	free(x);
	free(contrib);
	ml_test_free_all();
}

/* ---- speed, for `trees speed`: numbers for people ---- */

static double
cpu(void)
{
	return (double) clock() / CLOCKS_PER_SEC;
}

static void
speed(int depth, const int *levels, double missing)
{
	enum
	{
		P = MAX_P, ROWS = 20000
	};
	MlProblem	problem = problem_of(P, 0, levels);
	MlTrees    *trees = ml_trees_create(&problem, 1, 1);
	MlWriter	writer = {0};
	double	   *rows = calloc(ROWS * P, sizeof(double));
	double	   *out = calloc(ROWS, sizeof(double));
	double		contrib[P];
	double		base;
	double		start;
	double		total = 0;

	for (int t = 0; t < 100; t++)
	{
		MlTree	   *tree = random_tree(P, levels, depth, depth > 10 ? 0.75 : 1);
		double	   *value = node_values(tree, 1);

		ml_trees_add(trees, tree, 0, value, 1);
		free(value);
		free_tree(tree);
	}
	for (int i = 0; i < ROWS; i++)
		random_row(P, levels, missing, rows + i * P);
	start = cpu();
	for (int i = 0; i < ROWS; i++)
	{
		ml_trees_predict(trees, rows + i * P, out);
		total += *out;
	}
	printf("# depth %d, %u nodes: one row %.0f ns", depth, trees->nnodes, (cpu() - start) / ROWS * 1e9);
	start = cpu();
	for (int i = 0; i < 100; i++)
		ml_trees_explain(trees, rows + i * P, 0, &base, contrib);
	printf(", explained %.0f us", (cpu() - start) / 100 * 1e6);
	start = cpu();
	ml_trees_save(trees, &writer);
	printf(", %zu bytes saved in %.0f us", writer.size, (cpu() - start) * 1e6);
	start = cpu();
	ml_trees_load(&(MlReader) {writer.data, writer.size, 0}, ML_TREES_FORMAT, P, 0);
	printf(", loaded in %.0f us (%g)\n", (cpu() - start) * 1e6, total);
	free(writer.data);
	free(rows);
	free(out);
	ml_test_free_all();
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "speed") == 0)
	{
		speed(6, no_levels, 0);
		speed(6, no_levels, 0.05);
		speed(6, few_levels, 0);
		speed(6, some_levels, 0.05);
		if (argc > 2)
			speed(20, no_levels, 0);
		return 0;
	}
	test_bytes();
	test_change();
	test_prediction("squared", ML_LINK_IDENTITY, no_levels, 20, 6, 0, false);
	test_prediction("missing", ML_LINK_IDENTITY, no_levels, 13, 6, 0.2, false);
	test_prediction("categories", ML_LINK_LOGISTIC, some_levels, 9, 7, 0.2, false);
	test_prediction("deep", ML_LINK_IDENTITY, no_levels, 11, 40, 0.01, true);
	test_prediction("few categories", ML_LINK_IDENTITY, few_levels, 19, 6, 0.1, false);
	test_prediction("log", ML_LINK_LOG, some_levels, 3, 2, 0, false);
	test_prediction("isolation", ML_LINK_ISOLATION, no_levels, 30, 8, 0, true);
	test_prediction("leaves alone", ML_LINK_IDENTITY, no_levels, 5, 0, 0, false);
	test_classes(4, 4, 1, ML_LINK_SOFTMAX);
	test_classes(3, 3, 3, ML_LINK_SHARES);
	test_classes(2, 2, 2, ML_LINK_SHARES);
	test_classes(2, 2, 1, ML_LINK_SOFTMAX);
	test_shapley(1, 1, 1, 0);
	test_shapley(2, 3, 0.9, 0);
	test_shapley(4, 6, 0.8, 0.1);
	test_shapley(6, 8, 0.7, 0.3);
	test_shapley(10, 9, 0.7, 0.1);
	test_deep(20, 60, 5);
	test_deep(500, 60, 5);
	test_deep(3, 2000, 2);
	test_deep(1000, 1000, 2);
	return ml_test_done();
}
