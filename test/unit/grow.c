/*
 * grow.c - grown trees against an exhaustive search over the raw values, and that
 * neither threads, memory nor the order of rows change a tree.
 *
 * The exhaustive search is a recursion of its own over the rows: at every node it scores every
 * threshold between distinct values of every column, every set of levels, with missing values on
 * either side.  A grown tree passes when each of its splits gains what the best one does,
 * the rows fall as the node says, and leaves are where no split is good enough.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#include "algo/tree/grow.h"
#include "num/threads.h"

#define MOST_ROWS 400
#define MOST_COLUMNS 6
#define MOST_CLASSES 5

static uint64_t state = 1;

static double
uniform(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (double) (state >> 11) * 0x1p-53;
}

static int
below(int n)
{
	return (int) (uniform() * n);
}

/* A small problem; gradients are whole numbers. */
typedef struct Sample
{
	int			n;
	int			p;
	double		x[MOST_ROWS * MOST_COLUMNS];
	double		y[MOST_ROWS];
	int			levels[MOST_COLUMNS];
	MlGradient	gradient[MOST_ROWS];
} Sample;

static MlMatrix *
bin(const Sample *s, int max_bin)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	MlProblem	problem = {.task = ML_REGRESSION, .p = s->p, .names = names, .levels = s->levels, .seed = 1};
	MlMatrixOptions options = {.max_bin = max_bin, .keep_gradient = true};

	return ml_matrix_build(&problem, ml_test_data(s->n, s->p, s->x, s->y, NULL, NULL, NULL, NULL), &options);
}

static MlTree *
grow(MlMatrix *matrix, const Sample *s, const MlGrowth *growth, MlGrower **grower)
{
	*grower = ml_grower_create(matrix, growth);
	for (int b = 0, row = 0; b < matrix->nblocks; b++)
	{
		MlBlock    *block = ml_matrix_block(matrix, b, true);

		for (int i = 0; i < block->n; i++)
		{
			block->order[i] = i;
			block->gradient[i] = s->gradient[row++];
		}
		ml_grower_rows(*grower, b, block->n);
	}
	return ml_grow(*grower, growth);
}

/* ---- the exhaustive search ---- */

typedef struct Sums
{
	double		g;
	double		h;
	double		n;
	double		count[MOST_CLASSES];
} Sums;

static void
add(Sums *sums, const MlGrowth *growth, const MlGradient *gradient, int sign)
{
	sums->n += sign;
	sums->h += sign * gradient->h * growth->h_unit;
	if (growth->criterion == ML_SPLIT_GRADIENT)
		sums->g += sign * gradient->g * growth->g_unit;
	else
		sums->count[gradient->g] += sign * gradient->h * growth->h_unit;
}

static double
score(const Sums *sums, const MlGrowth *growth)
{
	double		t = fmax(fabs(sums->g) - growth->l1, 0);
	double		sum = 0;

	if (growth->criterion == ML_SPLIT_GRADIENT)
		return sums->h + growth->l2 > 0 ? t * t / (sums->h + growth->l2) : 0;
	for (int c = 0; c < growth->classes && sums->h > 0; c++)
		if (growth->criterion == ML_SPLIT_GINI)
			sum += sums->count[c] * sums->count[c] / sums->h;
		else if (sums->count[c] > 0)
			sum += sums->count[c] * log2(sums->count[c] / sums->h);
	return sum;
}

/* Gain of a split of rows, goes[i] telling left from right; -INFINITY when it is not allowed. */
static double
gain_of(const Sample *s, const MlGrowth *growth, const int *rows, int n, const bool *goes)
{
	Sums		all = {0};
	Sums		side[2] = {{0}};

	for (int i = 0; i < n; i++)
	{
		add(&all, growth, s->gradient + rows[i], 1);
		add(&side[goes[i]], growth, s->gradient + rows[i], 1);
	}
	for (int k = 0; k < 2; k++)
		if (side[k].n < fmax(1, growth->min_child_rows) || side[k].h < growth->min_child_weight * (1 - 1e-9) ||
			side[k].h <= 0)
			return -INFINITY;
	return score(side, growth) + score(side + 1, growth) - score(&all, growth);
}

static double
best_number(const Sample *s, const MlGrowth *growth, const int *rows, int n, int feature)
{
	bool		goes[MOST_ROWS];
	double		best = -INFINITY;

	for (int k = 0; k < n; k++)
		for (int side = 0; side < 2; side++)
		{
			double		cut = s->x[rows[k] * s->p + feature];

			/* a missing value: all numbers go left */
			for (int i = 0; i < n; i++)
			{
				double		x = s->x[rows[i] * s->p + feature];

				goes[i] = isnan(x) ? side : isnan(cut) || x < cut;
			}
			best = fmax(best, gain_of(s, growth, rows, n, goes));
		}
	return best;
}

static double
best_set(const Sample *s, const MlGrowth *growth, const int *rows, int n, int feature)
{
	bool		goes[MOST_ROWS];
	double		best = -INFINITY;
	int			levels = s->levels[feature];

	for (int set = 0; set < 1 << (levels + 1); set++)
	{
		int			size = __builtin_popcount(set & ((1 << levels) - 1));

		/* one against the rest */
		if (levels <= growth->one_hot_levels && size > 1 && size < levels)
		{
			int			left = -1;
			int			right = -1;

			for (int i = 0; i < n; i++)
			{
				double		x = s->x[rows[i] * s->p + feature];

				if (isnan(x))
					continue;
				if (set >> (int) x & 1)
					left = left < 0 || left == (int) x ? (int) x : 99;
				else
					right = right < 0 || right == (int) x ? (int) x : 99;
			}
			if (left == 99 && right == 99)
				continue;
		}
		for (int i = 0; i < n; i++)
		{
			double		x = s->x[rows[i] * s->p + feature];

			goes[i] = set >> (isnan(x) ? levels : (int) x) & 1;
		}
		best = fmax(best, gain_of(s, growth, rows, n, goes));
	}
	return best;
}

static bool
close_to(double a, double b)
{
	return fabs(a - b) <= 1e-9 * (1 + fabs(a) + fabs(b));
}

/* Checks the node that these rows fall into, and all below. */
static bool
check(const Sample *s, const MlGrowth *growth, const MlTree *tree, int at, const int *rows, int n, int depth)
{
	const MlGrown *node = tree->node + at;
	bool		goes[MOST_ROWS];
	int			part[2][MOST_ROWS];
	int			count[2] = {0, 0};
	double		best = -INFINITY;
	Sums		all = {0};
	int			classes = 0;

	for (int i = 0; i < n; i++)
		add(&all, growth, s->gradient + rows[i], 1);
	for (int c = 0; c < growth->classes; c++)
	{
		classes += all.count[c] > 0;
		if (!close_to(all.count[c], node->counts[c]))
			return false;
	}
	if (node->rows != n || node->depth != depth || !close_to(node->h, all.h) || !close_to(node->g, all.g))
		return false;
	if (depth < growth->max_depth && n >= growth->min_split_rows && classes != 1)
		for (int j = 0; j < s->p; j++)
			best = fmax(best, s->levels[j] > 0 ? best_set(s, growth, rows, n, j) :
						best_number(s, growth, rows, n, j));
	if (node->left == 0)
		return best <= growth->gamma + 1e-9;
	for (int i = 0; i < n; i++)
	{
		double		x = s->x[rows[i] * s->p + node->feature];

		goes[i] = isnan(x) ? node->missing_left :
			node->set != NULL ? node->set[0] >> (int) x & 1 : x < node->threshold;
		part[!goes[i]][count[!goes[i]]++] = rows[i];
	}
	if (!close_to(node->gain, best) || !close_to(node->gain, gain_of(s, growth, rows, n, goes)))
		return false;
	return check(s, growth, tree, node->left, part[0], count[0], depth + 1) &&
		check(s, growth, tree, node->left + 1, part[1], count[1], depth + 1);
}

/* Every row lies in the leaf that ml_grower_leaves and ml_tree_walk say, and there once. */
static bool
check_leaves(MlMatrix *matrix, MlGrower *grower, const MlTree *tree)
{
	for (int b = 0; b < matrix->nblocks; b++)
	{
		MlBlock    *block = ml_matrix_block(matrix, b, true);
		bool	   *seen = ml_alloc(block->n, 1);
		const int  *node;
		const int  *start;
		int			n = ml_grower_leaves(grower, block, &node, &start);

		if (n < 1 || start[0] != 0 || start[n] != block->n)
			return false;
		for (int k = 0; k < n; k++)
			for (int i = start[k]; i < start[k + 1]; i++)
			{
				int			row = block->order[i];

				if (tree->node[node[k]].left != 0 || seen[row] ||
					ml_tree_walk(tree, matrix, block, row) != node[k])
					return false;
				seen[row] = true;
			}
	}
	return true;
}

/* ---- samples ---- */

/* Columns of 3 to 9 values; some missing, some categories of up to `levels` levels. */
static void
fill(Sample *s, int classes, bool missing, int levels, bool weighted)
{
	s->n = 2 + below(MOST_ROWS / 4);
	s->p = 1 + below(MOST_COLUMNS);
	for (int j = 0; j < s->p; j++)
	{
		int			values = 3 + below(7);

		s->levels[j] = levels > 0 && below(2) ? 2 + below(levels - 1) : 0;
		for (int i = 0; i < s->n; i++)
			s->x[i * s->p + j] = missing && below(5) == 0 ? NAN :
				s->levels[j] > 0 ? below(s->levels[j]) : (below(values) - 1) * 0.7;
	}
	for (int i = 0; i < s->n; i++)
	{
		double		x = s->x[i * s->p];
		double		signal = (isnan(x) ? 1 : x) + (s->p > 1 && s->x[i * s->p + 1] > 1) + uniform();
		int			w = weighted ? 1 + below(4) : 1;

		s->y[i] = signal;
		s->gradient[i].h = w * 7;
		s->gradient[i].g = classes > 0 ? below(3) ? (int) fabs(signal) % classes : below(classes) :
			(int) (-w * 7 * signal * 100);
	}
}

static void
test_exhaustive(const char *what, MlCriterion criterion, int classes, bool missing, int levels, int one_hot)
{
	bool		good = true;
	bool		leaves = true;
	int			nodes = 0;

	for (int round = 0; round < 60; round++)
	{
		Sample		s;
		int			rows[MOST_ROWS];
		MlGrowth	growth = {.criterion = criterion, .classes = classes, .max_depth = 1 + below(6),
			.g_unit = 0.01 / 7, .h_unit = 1 / 7.0, .one_hot_levels = one_hot, .seed = round, .few_rows = below(2),
			.packed = criterion == ML_SPLIT_GRADIENT && below(2)};
		MlGrower   *grower;
		MlMatrix   *matrix;
		MlTree	   *tree;

		fill(&s, classes, missing, levels, below(2));
		for (int i = 0; i < s.n; i++)
			rows[i] = i;
		growth.min_split_rows = below(2) ? 0 : below(20);
		growth.gamma = criterion == ML_SPLIT_GRADIENT && below(2) ? 0.3 : 0;
		/* the order of levels is the best only without these */
		if (levels == 0)
		{
			growth.min_child_rows = below(2) ? 0 : 1 + below(5);
			growth.min_child_weight = below(2) ? 0 : below(5);
			growth.l1 = below(2) * 0.5;
			growth.l2 = below(2) * 1.5;
		}
		matrix = bin(&s, 255);
		tree = grow(matrix, &s, &growth, &grower);
		good = check(&s, &growth, tree, 0, rows, s.n, 0) && good;
		leaves = check_leaves(matrix, grower, tree) && leaves;
		nodes += tree->n;
		ml_tree_free(tree);
		ml_matrix_free(matrix);
	}
	ml_test_ok(good && nodes > 300, "%s: trees as an exhaustive search (%d nodes)", what, nodes);
	ml_test_ok(leaves, "%s: every row lies in its leaf", what);
}

int
main(void)
{
	test_exhaustive("regression", ML_SPLIT_GRADIENT, 0, false, 0, 0);
	test_exhaustive("regression, missing values", ML_SPLIT_GRADIENT, 0, true, 0, 0);
	test_exhaustive("regression, categories", ML_SPLIT_GRADIENT, 0, false, 6, 0);
	test_exhaustive("regression, categories and missing values", ML_SPLIT_GRADIENT, 0, true, 6, 0);
	test_exhaustive("regression, one level against the rest", ML_SPLIT_GRADIENT, 0, true, 6, 6);
	test_exhaustive("two classes, gini", ML_SPLIT_GINI, 2, true, 6, 0);
	test_exhaustive("two classes, entropy", ML_SPLIT_ENTROPY, 2, true, 6, 0);
	test_exhaustive("five classes, gini", ML_SPLIT_GINI, 5, true, 0, 0);
	test_exhaustive("five classes, entropy", ML_SPLIT_ENTROPY, 5, true, 0, 0);
	return ml_test_done();
}
