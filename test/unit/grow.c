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
#define MOST_CLASSES 20

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
	int			seen = 0;
	bool		single;

	for (int i = 0; i < n; i++)
		if (!isnan(s->x[rows[i] * s->p + feature]))
			seen |= 1 << (int) s->x[rows[i] * s->p + feature];
	single = levels <= growth->one_hot_levels || n < growth->rows_per_level * __builtin_popcount(seen);
	for (int set = 0; set < 1 << (levels + 1); set++)
	{
		int			size = __builtin_popcount(set & ((1 << levels) - 1));

		/* one against the rest */
		if (single && size > 1 && size < levels)
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
			.g_unit = 0.01 / 7, .h_unit = 1 / 7.0, .one_hot_levels = one_hot,
			.rows_per_level = levels > 0 && below(2) ? 5 : 0, .seed = round, .few_rows = below(2),
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

/* ---- trees of many rows ---- */

#define ROWS 70000
#define COLUMNS 6

static double big_x[ROWS * COLUMNS];
static double big_y[ROWS];
static double big_u[ROWS];
static int	big_levels[COLUMNS] = {0, 0, 0, 12, 0, 0};

/* Two columns of many values, one of five with missing values, a category with missing ones, two of noise. */
static void
fill_big(void)
{
	for (int i = 0; i < ROWS; i++)
	{
		double	   *x = big_x + (size_t) i * COLUMNS;

		x[0] = uniform() + uniform();
		x[1] = uniform();
		x[2] = below(6) == 0 ? NAN : below(5);
		x[3] = below(7) == 0 ? NAN : below(12);
		x[4] = uniform();
		x[5] = below(40);
		big_y[i] = x[0] * x[1] + (isnan(x[2]) ? 2 : x[2] > 2) + (isnan(x[3]) ? 0 : (int) x[3] % 3) + uniform();
		big_u[i] = uniform();
	}
}

typedef struct Setting
{
	const char *name;
	MlGrowth	growth;
	bool		wide;			/* bins of 16 bits */
} Setting;

/* How a tree is grown that must not change it. */
typedef struct Manner
{
	const char *name;
	int			threads;
	int			few_rows;
	bool		packed;
	bool		shuffled;
	bool		spilled;
} Manner;

static void
set_gradients(MlMatrix *matrix, MlGrower *grower, const MlGrowth *growth, const int *permutation)
{
	for (int b = 0, row = 0; b < matrix->nblocks; b++)
	{
		MlBlock    *block = ml_matrix_block(matrix, b, true);
		int			n = 0;

		for (int i = 0; i < block->n; i++, row++)
		{
			int			from = permutation[row];

			block->gradient[i].g = growth->criterion == ML_SPLIT_GRADIENT ? (int) (big_y[from] * -5000) :
				(int) big_y[from] % growth->classes;
			block->gradient[i].h = 1 + from % 3;
			if (from % 5 > 0)
				block->order[n++] = i;
		}
		ml_grower_rows(grower, b, n);
	}
}

static MlTree *
grow_big(const Setting *setting, const Manner *manner, bool *leaves, bool *as_wanted)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	static double x[ROWS * COLUMNS];
	static double y[ROWS];
	static double u[ROWS];
	static int	permutation[ROWS];
	MlProblem	problem = {.task = ML_REGRESSION, .p = COLUMNS, .names = names, .levels = big_levels, .seed = 1};
	MlMatrixOptions options = {.max_bin = setting->wide ? 1000 : 255, .keep_gradient = true};
	MlGrowth	growth = setting->growth;
	bool		small = growth.max_leaves > 0 || (growth.max_depth > 0 && growth.max_depth <= 9);
	size_t		budget = ml_test_budget;
	MlMatrix   *matrix;
	MlGrower   *grower;
	MlTree	   *tree;

	for (int i = 0; i < ROWS; i++)
		permutation[i] = i;
	for (int i = ROWS - 1; i > 0 && manner->shuffled; i--)
	{
		int			j = below(i + 1);
		int			kept = permutation[i];

		permutation[i] = permutation[j];
		permutation[j] = kept;
	}
	for (int i = 0; i < ROWS; i++)
	{
		memcpy(x + (size_t) i * COLUMNS, big_x + (size_t) permutation[i] * COLUMNS, sizeof(double) * COLUMNS);
		y[i] = big_y[permutation[i]];
		u[i] = big_u[permutation[i]];
	}
	ml_test_free_all();
	ml_threads = manner->threads;
	if (manner->spilled)
		ml_test_budget = 1500000;
	matrix = ml_matrix_build(&problem, ml_test_data(ROWS, COLUMNS, x, y, NULL, NULL, u, NULL), &options);
	*as_wanted = matrix->spilled == manner->spilled && matrix->wide == setting->wide && *as_wanted;
	growth.few_rows = manner->few_rows;
	growth.packed = manner->packed && growth.criterion == ML_SPLIT_GRADIENT;
	/* room for few histograms where the tree itself is small */
	if (manner->spilled)
		ml_test_budget = small && manner->few_rows > 0 ? 3000000 : 20000000;
	else
		ml_test_budget = budget;
	grower = ml_grower_create(matrix, &growth);
	set_gradients(matrix, grower, &growth, permutation);
	tree = ml_grow(grower, &growth);
	ml_test_budget = budget;
	for (int b = 0; b < matrix->nblocks; b++)
	{
		MlBlock    *block = ml_matrix_block(matrix, b, true);
		const int  *node;
		const int  *start;
		int			n = ml_grower_leaves(grower, block, &node, &start);

		for (int k = 0; k < n; k++)
			for (int i = start[k]; i < start[k + 1]; i++)
				if (ml_tree_walk(tree, matrix, block, block->order[i]) != node[k])
					*leaves = false;
	}
	ml_threads_end();
	return tree;
}

/* All numbers of a tree in one. */
static uint64_t
digest(const MlTree *tree, int classes)
{
	uint64_t	sum = tree->n;

	for (int i = 0; i < tree->n; i++)
	{
		const MlGrown *node = tree->node + i;
		double		numbers[] = {node->left, node->feature, node->bin, node->threshold, node->missing_left,
			node->depth, node->gain, node->rows, node->g, node->h, node->value, node->set ? node->set[0] : 0};

		for (int k = 0; k < 12 + classes; k++)
		{
			uint64_t	bits;
			double		number = k < 12 ? numbers[k] : node->counts[k - 12];

			memcpy(&bits, &number, sizeof(bits));
			sum = (sum ^ bits) * 0x9E3779B97F4A7C15u;
			sum ^= sum >> 29;
		}
	}
	return sum;
}

static void
test_same(void)
{
	static const signed char up[COLUMNS] = {1, 0, -1, 0, 1, 0};
	static const bool sets[2 * COLUMNS] = {true, true, false, false, false, true, false, true, true, true, false, false};
	static const Setting settings[] = {
		{"depth 6", {.max_depth = 6, .l2 = 1}},
		{"depth 5, bins of 16 bits", {.max_depth = 5}, true},
		{"best first", {.max_leaves = 30, .best_first = true, .min_child_rows = 20}},
		{"depth-wise, limited leaves", {.max_leaves = 41, .l1 = 3}},
		{"no limit, children of 3 rows", {.min_child_rows = 3}},
		{"columns by tree, level and node", {.max_depth = 9, .colsample_tree = 0.8, .colsample_level = 0.8,
				.colsample_node = 0.7}},
		{"few columns a node", {.max_depth = 12, .colsample_node = 0.34}},
		{"monotone, limited steps", {.max_depth = 6, .monotone = up, .max_step = 2}},
		{"interactions", {.max_depth = 8, .nsets = 2, .sets = sets}},
		{"one level against the rest", {.max_depth = 6, .one_hot_levels = 20}},
		{"random cuts", {.max_depth = 14, .random_cut = true, .colsample_node = 0.5}},
		{"isolation", {.max_depth = 8, .random_cut = true, .colsample_node = 0.1, .gamma = -1}},
		{"gini, no limit", {.criterion = ML_SPLIT_GINI, .classes = 2, .colsample_node = 0.34}},
		{"entropy, five classes", {.criterion = ML_SPLIT_ENTROPY, .classes = 5, .max_leaves = 50, .best_first = true}},
		{"gini, twelve classes", {.criterion = ML_SPLIT_GINI, .classes = 12, .min_child_rows = 2}},
		{"gini, thirty classes, best first", {.criterion = ML_SPLIT_GINI, .classes = 30, .max_leaves = 60, .best_first = true}},
		{"gini, thirty classes, random cuts", {.max_depth = 9, .criterion = ML_SPLIT_GINI, .classes = 30, .random_cut = true, .colsample_node = 0.5}},
		{"entropy, twelve classes", {.criterion = ML_SPLIT_ENTROPY, .classes = 12, .min_child_rows = 2}},
		{"entropy, thirty classes, random cuts", {.max_depth = 9, .criterion = ML_SPLIT_ENTROPY, .classes = 30, .random_cut = true, .colsample_node = 0.5}},
	};
	static const Manner manners[] = {
		{"as it comes", 1, 0, true, false, false},
		{"wide sums", 1, 0, false, false, false},
		{"four threads", 4, 0, true, false, false},
		{"histograms to the end", 1, 3, true, false, false},
		{"another order of rows", 1, 0, true, true, false},
		{"spilled", 1, 0, true, false, true},
		{"spilled, histograms to depth", 1, 40, false, true, true},
	};

	for (size_t s = 0; s < sizeof(settings) / sizeof(*settings); s++)
	{
		uint64_t	want = 0;
		int			nodes = 0;
		bool		leaves = true;
		bool		as_wanted = true;

		for (size_t m = 0; m < sizeof(manners) / sizeof(*manners); m++)
		{
			Setting		setting = settings[s];
			MlTree	   *tree;
			uint64_t	got;

			setting.growth.g_unit = 1.0 / 5000;
			setting.growth.h_unit = 1;
			setting.growth.seed = 7;
			tree = grow_big(&setting, manners + m, &leaves, &as_wanted);
			got = digest(tree, setting.growth.classes);
			if (m == 0)
			{
				want = got;
				nodes = tree->n;
			}
			else
				ml_test_ok(got == want && tree->n == nodes, "%s: the same tree: %s (%d nodes)", setting.name,
						   manners[m].name, tree->n);
		}
		ml_test_ok(leaves && nodes > 10, "%s: every row lies in its leaf", settings[s].name);
		ml_test_ok(as_wanted, "%s: in memory and spilled as was meant", settings[s].name);
	}
}

/* ---- constraints ---- */

static double
value_at(const MlTree *tree, const double *x)
{
	int			i = 0;

	while (tree->node[i].left != 0)
	{
		const MlGrown *node = tree->node + i;

		i = node->left + !(x[node->feature] < node->threshold);
	}
	return tree->node[i].value;
}

/* Rising in a, falling in b, on a grid over the range; noise and the third column pull elsewhere. */
static void
test_monotone(void)
{
	static const signed char signs[] = {1, -1, 0};
	int			violations = 0;
	int			free_violations = 0;
	int			nodes = 0;

	for (int round = 0; round < 20; round++)
	{
		Sample		s = {.n = MOST_ROWS, .p = 3};
		MlGrowth	growth = {.max_depth = 7, .g_unit = 0.01, .h_unit = 1, .monotone = signs, .seed = round,
			.max_leaves = round % 2 ? 25 : 0, .best_first = true, .l1 = round % 3};

		for (int i = 0; i < s.n; i++)
		{
			double	   *x = s.x + i * 3;

			for (int j = 0; j < 3; j++)
				x[j] = below(20) / 20.0;
			s.gradient[i].h = 1;
			s.gradient[i].g = (int) (-100 * (sin(6 * x[0]) + x[0] - cos(5 * x[1]) * x[2] + uniform()));
		}
		for (int constrained = 1; constrained >= 0; constrained--)
		{
			MlMatrix   *matrix = bin(&s, 255);
			MlGrower   *grower;
			MlTree	   *tree;

			growth.monotone = constrained ? signs : NULL;
			tree = grow(matrix, &s, &growth, &grower);
			nodes += constrained ? tree->n : 0;
			for (int cell = 0; cell < 20 * 20 * 20; cell++)
			{
				double		x[] = {cell / 400 / 20.0, cell / 20 % 20 / 20.0, cell % 20 / 20.0};
				double		here = value_at(tree, x);
				bool		wrong;

				x[0] += 0.05;
				wrong = value_at(tree, x) < here;
				x[0] -= 0.05;
				x[1] += 0.05;
				wrong |= value_at(tree, x) > here;
				*(constrained ? &violations : &free_violations) += wrong;
			}
		}
	}
	ml_test_ok(violations == 0 && nodes > 400, "monotone on a grid of 8000 cells, 20 trees (%d nodes)", nodes);
	ml_test_ok(free_violations > 1000, "without the constraint it is not (%d cells)", free_violations);
}

/* Below the root a column was used above, or lies in a set with all that were. */
static void
test_interactions(void)
{
	static const bool sets[2 * 5] = {true, true, false, false, false, false, true, true, true, false};
	bool		good = true;
	int			deep = 0;

	for (int round = 0; round < 40; round++)
	{
		Sample		s = {.n = MOST_ROWS, .p = 5};
		MlGrowth	growth = {.max_depth = 6, .g_unit = 0.01, .h_unit = 1, .nsets = 2, .sets = sets, .seed = round,
			.few_rows = round % 2};
		int			above[128] = {0};	/* bits of the columns used above a node */
		MlMatrix   *matrix;
		MlGrower   *grower;
		MlTree	   *tree;

		for (int i = 0; i < s.n; i++)
		{
			for (int j = 0; j < 5; j++)
				s.x[i * 5 + j] = below(9);
			s.gradient[i] = (MlGradient) {.g = below(1000) - (int) (100 * s.x[i * 5 + round % 5]), .h = 1};
		}
		matrix = bin(&s, 255);
		tree = grow(matrix, &s, &growth, &grower);
		for (int i = 0; i < tree->n; i++)
		{
			const MlGrown *node = tree->node + i;
			bool		allowed = node->depth == 0 || above[i] >> node->feature & 1;

			if (node->left == 0)
				continue;
			for (int k = 0; k < 2; k++)
			{
				int			set = 0;

				for (int j = 0; j < 5; j++)
					set |= sets[k * 5 + j] << j;
				allowed |= (above[i] & ~set) == 0 && set >> node->feature & 1;
			}
			good = good && allowed;
			deep += node->depth > 2;
			above[node->left] = above[node->left + 1] = above[i] | 1 << node->feature;
		}
	}
	ml_test_ok(good && deep > 100, "interaction sets hold on every path (%d deep splits)", deep);
}

/* Best first: of a whole tree, always the open split of the greatest gain, until there are enough leaves. */
static void
test_best_first(void)
{
	bool		good = true;

	for (int round = 0; round < 60; round++)
	{
		Sample		s;
		MlGrowth	growth = {.g_unit = 0.01 / 7, .h_unit = 1 / 7.0, .seed = round, .few_rows = round % 3};
		int			open[2 * MOST_ROWS] = {0};
		int			nopen = 1;
		double		gains = 0;
		double		got = 0;
		MlGrower   *grower;
		MlTree	   *whole;
		MlTree	   *part;
		int			leaves = 1;

		fill(&s, 0, true, 6, true);
		whole = grow(bin(&s, 255), &s, &growth, &grower);
		growth.max_leaves = 2 + below(15);
		growth.best_first = true;
		part = grow(bin(&s, 255), &s, &growth, &grower);
		while (leaves < growth.max_leaves)
		{
			int			best = -1;

			for (int k = 0; k < nopen; k++)
				if (whole->node[open[k]].left != 0 &&
					(best < 0 || whole->node[open[k]].gain > whole->node[open[best]].gain))
					best = k;
			if (best < 0)
				break;
			gains += whole->node[open[best]].gain;
			leaves++;
			open[nopen++] = whole->node[open[best]].left + 1;
			open[best] = whole->node[open[best]].left;
		}
		for (int i = 0; i < part->n; i++)
			got += part->node[i].gain;
		good = good && part->leaves == leaves && close_to(gains, got);
	}
	ml_test_ok(good, "best first takes the greatest gains of the whole tree");
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
	test_exhaustive("twenty classes, gini", ML_SPLIT_GINI, 20, true, 0, 0);
	test_exhaustive("twenty classes, categories, gini", ML_SPLIT_GINI, 20, true, 3, 6);
	test_exhaustive("twenty classes, entropy", ML_SPLIT_ENTROPY, 20, true, 0, 0);
	test_exhaustive("twenty classes, categories, entropy", ML_SPLIT_ENTROPY, 20, true, 3, 6);
	test_monotone();
	test_interactions();
	test_best_first();
	fill_big();
	test_same();
	return ml_test_done();
}
