/*
 * forest.c - trees that are grown independently of each other, and averaged.
 *
 * Breiman: Random Forests (2001); Geurts, Ernst, Wehenkel: Extremely Randomized
 * Trees (2006); a single tree is a forest of one.
 *
 * Bootstrap: a row is in a tree as often as a Poisson variable says, whose uniform
 * number is a hash of seed, tree and row (Oza and Russell 2001: what drawing n of n
 * rows with replacement tends to).  So it depends on nothing but the row, and need
 * not be kept: whoever wants to know whether a tree has seen a row asks again.
 *
 * What the grower sums are whole numbers.  The unit of weights is 1 when all are whole, else
 * about 2^-26 of the greatest; that of w y about 2^-30 of its greatest value.
 *
 * Memory: the matrix and the gradients (8 bytes a row) belong to the matrix; of
 * each tree the model keeps what ml_trees_add copies, or has it in a temporary file (parts.c).
 */
#include <math.h>
#include <string.h>

#include "forest.h"
#include "num/exact.h"
#include "num/threads.h"
#include "parts.h"
#include "walk.h"

#define MAX_COPIES 15			/* of a row in a bootstrap sample: more has a probability below 1e-13 */
#define SAMPLE_ATTEMPTS 100		/* until a sample of few rows is not empty */
#define ONE_HOT_ABOVE 10		/* levels: deep trees have nothing else that keeps them from noise */
#define TREE_BINS 1024			/* of one tree, unless max_bin is given or ... */
#define EXACT_ROWS 16384		/* up to so many a single tree tells all values apart, ... */
#define EXACT_CELLS 262144		/* ... or as many as make so many sums in a histogram */
#define MISSING_ROWS 30			/* of a node learn on which side they are */
#define TREES_TO_JUDGE 3			/* by which the size of the forest is judged */
#define TREES_SHARE 8			/* of the memory left, for trees before they go to a file */
#define PREDICT_ROWS 32			/* between two looks at interrupts */
#define FEW_CLASSES 8			/* that a leaf has a number each for; of more it keeps those it has */
#define MODEL_BYTES (1024.0 * 1024 * 1024)	/* no value in PostgreSQL can be larger */

const char *const ml_forest_criteria[] = {"auto", "gini", "entropy", "squared", NULL};

typedef struct Training
{
	const MlProblem *problem;
	const MlForestParams *params;
	MlMatrix   *matrix;
	MlGrower   *grower;
	MlGrowth	growth;
	MlForest   *forest;
	bool		sampled;		/* trees see different rows */
	double		g_unit;
	double		h_unit;
	double		share[MAX_COPIES];	/* share[c]: the probability of at most c copies */
	uint64_t   *seed;			/* of each tree's sample; 0: all rows */
} Training;

void
ml_forest_check(const void *given, uint32_t task)
{
	const MlForestParams *params = given;

	if (task == ML_REGRESSION && (params->criterion == ML_CRITERION_GINI || params->criterion == ML_CRITERION_ENTROPY))
		ml_fail_param("criterion \"%s\" is for classes; a number as target needs \"squared\"",
					  ml_forest_criteria[params->criterion]);
	if (task == ML_CLASSIFICATION && params->criterion == ML_CRITERION_SQUARED)
		ml_fail_param("criterion \"squared\" is for a number as target; classes need \"gini\" or \"entropy\"");
}

/* ---- samples ---- */

/* Probabilities of at most c copies: Poisson, or of drawing a row once without replacement. */
static void
copies_table(Training *t)
{
	double		rate = t->params->subsample;
	double		term = exp(-rate);
	double		sum = 0;

	for (int c = 0; c < MAX_COPIES; c++)
	{
		sum += term;
		term *= rate / (c + 1);
		t->share[c] = t->params->bootstrap ? sum : (c == 0 ? 1 - rate : 1);
	}
	t->share[MAX_COPIES - 1] = 1;
	t->sampled = t->params->bootstrap || rate < 1;
}

/* How often a row is in the sample with this seed. */
static inline int
copies(const Training *t, uint64_t seed, uint32_t key)
{
	double		u;
	int			c = 0;

	if (seed == 0)
		return 1;
	u = ml_forest_uniform(seed, key);
	while (u >= t->share[c])
		c++;
	return c;
}

/* The integers that a row of weight w, times `count`, brings to the sums. */
static inline MlGradient
gradient_of(const Training *t, double y, double w, int count)
{
	MlGradient	gradient;
	double		h;

	h = rint(w / t->h_unit) * count;
	gradient.h = h < 1 ? 1 : (int32_t) h;
	if (t->problem->classes > 0)
		gradient.g = (int32_t) y;
	else
		gradient.g = (int32_t) -rint(gradient.h * (t->h_unit / t->g_unit) * y);
	return gradient;
}

/* Tells the grower which rows are in the tree; how many. */
static uint64_t
fill_sample(Training *t, uint64_t seed)
{
	uint64_t	total = 0;

	for (int b = 0; b < t->matrix->nblocks; b++)
	{
		MlBlock    *block = ml_matrix_block(t->matrix, b, true);
		int			n = 0;

		for (int i = 0; i < block->n; i++)
		{
			int			count = copies(t, seed, block->key[i]);

			if (count == 0)
				continue;
			block->gradient[i] = gradient_of(t, block->y[i], block->w ? block->w[i] : 1, count);
			block->order[n++] = (uint16_t) i;
		}
		ml_grower_rows(t->grower, b, n);
		total += n;
	}
	return total;
}

/* A tree needs a row: with few of them a sample may be empty, and another is drawn. */
static void
draw_sample(Training *t, int tree)
{
	for (int attempt = 0; t->sampled && attempt < SAMPLE_ATTEMPTS; attempt++)
	{
		t->seed[tree] = ml_forest_hash(ml_forest_hash(t->problem->seed, (uint64_t) tree), (uint64_t) attempt) | 1;
		if (fill_sample(t, t->seed[tree]) > 0)
			return;
	}
	t->seed[tree] = 0;
	fill_sample(t, 0);
}

/* ---- units and growth ---- */

/* What must be known of all rows before gradients can be written. */
typedef struct Extent
{
	double		max_y;			/* of |y| */
	double		max_w;
	bool		whole;			/* all weights are whole numbers */
} Extent;

static Extent
find_extent(const Training *t)
{
	Extent		extent = {.whole = true};

	for (int b = 0; b < t->matrix->nblocks; b++)
	{
		const MlBlock *block = ml_matrix_block(t->matrix, b, false);

		for (int i = 0; i < block->n; i++)
		{
			double		w = block->w ? block->w[i] : 1;

			extent.max_y = fmax(extent.max_y, fabs(block->y[i]));
			extent.max_w = fmax(extent.max_w, w);
			extent.whole = extent.whole && w == rint(w);
		}
	}
	return extent;
}

/* The least power of two that brings `greatest` below 2^bits. */
static double
unit_below(double greatest, int bits)
{
	int			exponent;

	frexp(greatest, &exponent);
	return ldexp(1, exponent - bits > -1000 ? exponent - bits : -1000);
}

static void
choose_units(Training *t)
{
	Extent		extent = find_extent(t);
	int			most = t->params->bootstrap ? MAX_COPIES : 1;
	double		greatest = extent.max_w * most;

	t->h_unit = extent.whole && greatest < 0x1p30 ? 1 : unit_below(greatest, 30);
	t->g_unit = 1;
	if (t->problem->classes == 0 && extent.max_y > 0)
		t->g_unit = unit_below((greatest + t->h_unit) * extent.max_y, 30);
}

/*
 * The share of the columns that a node tries, or more with categories: coded one-hot, each level would be a column, and
 * with L levels one of them would be tried with the probability 1 - (1 - share)^L.
 */
static double
columns_of_share(const MlProblem *problem, double share)
{
	double		n = 0;

	for (int j = 0; j < problem->p; j++)
	{
		int			levels = problem->levels != NULL ? problem->levels[j] : 0;

		n += levels > 0 ? 1 - pow(1 - share, levels) : share;
	}
	return n;
}

static int
features_per_node(const Training *t)
{
	int			p = t->problem->p;
	double		share = t->params->max_features;
	int			n;

	if (isnan(share))
		n = t->problem->classes > 0 ? (int) sqrt((double) p) : p;
	else
		n = (int) rint(columns_of_share(t->problem, share));
	return n < 1 ? 1 : n;
}

static void
choose_growth(Training *t)
{
	const MlForestParams *params = t->params;
	MlGrowth   *growth = &t->growth;
	int			classes = t->problem->classes;
	bool		entropy = params->criterion == ML_CRITERION_ENTROPY;

	growth->criterion = classes == 0 ? ML_SPLIT_GRADIENT : entropy ? ML_SPLIT_ENTROPY : ML_SPLIT_GINI;
	growth->classes = classes;
	growth->bare = classes > FEW_CLASSES && params->ccp_alpha == 0;	/* risks of inner nodes need their counts */
	growth->max_depth = params->max_depth;
	growth->max_leaves = params->max_leaves;
	growth->best_first = params->max_leaves > 0;
	growth->min_child_rows = params->min_samples_leaf;
	growth->min_split_rows = params->min_samples_split;
	growth->colsample_tree = 1;
	growth->colsample_level = 1;
	growth->colsample_node = t->problem->p > 0 ? (double) features_per_node(t) / t->problem->p : 1;
	growth->random_cut = params->random_cut;
	growth->one_hot_above = ONE_HOT_ABOVE;
	growth->learn_missing = MISSING_ROWS * t->matrix->total_weight / (double) t->matrix->rows;
	growth->random_ties = true;
	growth->seed = t->problem->seed;
	choose_units(t);
	growth->g_unit = t->g_unit;
	growth->h_unit = t->h_unit;
}

/* ---- the model ---- */

static void
create_model(Training *t)
{
	int			classes = t->problem->classes;
	int			outputs = classes > 2 ? classes : 1;
	MlTrees    *trees = ml_trees_create(t->problem, outputs, outputs);

	trees->link = classes > 0 ? ML_LINK_SHARES : ML_LINK_IDENTITY;
	trees->average = true;
	trees->objective = classes == 0 ? "squared" : t->params->criterion == ML_CRITERION_ENTROPY ? "entropy" : "gini";
	t->forest = ml_alloc(1, sizeof(MlForest));
	t->forest->trees = *trees;
	t->forest->oob = NAN;
}

/* What leaves say: mean, share of class 1, or shares of all classes. */
static double *
leaf_values(const Training *t, const MlTree *tree)
{
	int			width = t->forest->trees.width;
	double	   *value = ml_alloc((size_t) tree->n * width, sizeof(double));

	for (int i = 0; i < tree->n; i++)
	{
		const MlGrown *node = &tree->node[i];
		double	   *to = value + (size_t) i * width;
		double		weight = 0;

		if (node->left != 0)
			continue;
		if (t->problem->classes == 0)
		{
			to[0] = t->matrix->shift - (node->h > 0 ? node->g / node->h : 0);
			continue;
		}
		for (int k = 0; k < t->problem->classes; k++)
			weight += node->counts[k];
		if (width == 1)
			to[0] = weight > 0 ? node->counts[1] / weight : 0;
		else
			for (int k = 0; k < width; k++)
				to[k] = weight > 0 ? node->counts[k] / weight : 0;
	}
	return value;
}

/* ---- leaves of many classes ---- */

/* The class and the weight of each row, those of a leaf together. */
typedef struct LeafRows
{
	uint32_t   *at;				/* of a node: where its next row goes */
	uint32_t   *class;
	int32_t    *weight;
} LeafRows;

static void
list_leaf_rows(const Training *t, const MlTree *tree, LeafRows *rows)
{
	uint32_t	n = 0;

	for (int i = 0; i < tree->n; i++)
		if (tree->node[i].left == 0)
		{
			rows->at[i] = n;
			n += (uint32_t) tree->node[i].rows;
		}
	rows->class = ml_alloc(n, sizeof(uint32_t));
	rows->weight = ml_alloc(n, sizeof(int32_t));
	for (int b = 0; b < t->matrix->nblocks; b++)
	{
		const MlBlock *block = ml_matrix_block(t->matrix, b, true);
		const int  *node;
		const int  *start;
		int			leaves = ml_grower_leaves(t->grower, block, &node, &start);

		ml_check_interrupts();
		for (int l = 0; l < leaves; l++)
			for (int i = start[l]; i < start[l + 1]; i++)
			{
				const MlGradient *gradient = block->gradient + block->order[i];
				uint32_t	at = rows->at[node[l]]++;

				rows->class[at] = (uint32_t) gradient->g;
				rows->weight[at] = gradient->h;
			}
	}
}

/*
 * The shares of the classes that rows from..end-1 have, written from number `n` on; returns where they end.  They
 * take no more room than the rows.
 */
static uint32_t
sum_leaf(const LeafRows *rows, uint32_t from, uint32_t end, int64_t *sum, MlShares *shares, uint32_t n)
{
	uint32_t	first = n;
	int64_t		weight = 0;

	for (uint32_t i = from; i < end; i++)
	{
		uint32_t	class = rows->class[i];
		uint32_t	at = n;

		weight += rows->weight[i];
		if (sum[class] == 0)
		{
			/* a leaf has few classes: those found stay sorted */
			for (; at > first && shares->class[at - 1] > class; at--)
				shares->class[at] = shares->class[at - 1];
			shares->class[at] = class;
			n++;
		}
		sum[class] += rows->weight[i];
	}
	for (uint32_t s = first; s < n; s++)
	{
		shares->share[s] = (double) sum[shares->class[s]] / weight;
		sum[shares->class[s]] = 0;
	}
	return n;
}

static void
add_with_shares(Training *t, const MlTree *tree)
{
	LeafRows	rows = {.at = ml_alloc(tree->n, sizeof(uint32_t))};
	int64_t    *sum = ml_alloc(t->problem->classes, sizeof(int64_t));
	MlShares	shares = {.start = ml_alloc((size_t) tree->n + 1, sizeof(uint32_t))};
	uint32_t	from = 0;
	uint32_t	n = 0;

	list_leaf_rows(t, tree, &rows);
	/* a class is written where it was read, or before */
	shares.class = rows.class;
	shares.share = ml_alloc((size_t) tree->node[0].rows, sizeof(double));
	for (int i = 0; i < tree->n; i++)
	{
		if ((i & 0xfff) == 0)
			ml_check_interrupts();
		shares.start[i] = n;
		if (tree->node[i].left != 0)
			continue;
		n = sum_leaf(&rows, from, rows.at[i], sum, &shares, n);
		from = rows.at[i];
	}
	shares.start[tree->n] = n;
	ml_trees_add_shares(&t->forest->trees, tree, &shares);
	ml_free(shares.share);
	ml_free(shares.start);
	ml_free(sum);
	ml_free(rows.weight);
	ml_free(rows.class);
	ml_free(rows.at);
}

/* ---- growth of the forest ---- */

/* Says early that a model will be too large to be kept, not after hours. */
static void
check_size(const Training *t)
{
	const MlTrees *trees = &t->forest->trees;
	MlTreesSize size = ml_trees_size(trees);
	double		splits = (double) size.nodes - size.leaves;
	double		leaf = trees->share ? 8.0 : 4.0 + 8.0 * trees->width;
	double		bytes = 4.0 * size.nodes + 16 * splits + 4.0 * size.words + size.leaves * leaf + 12.0 * size.shares;
	double		all = bytes / size.trees * t->params->n_estimators;

	if (all > MODEL_BYTES)
		ml_fail_param("the model would take %.1f GB, more than the 1 GB that a value can have, with %.0f nodes in %d of %d trees: "
					  "lower n_estimators, max_depth or max_leaves, or raise min_samples_leaf",
					  all / MODEL_BYTES, (double) size.nodes, size.trees, t->params->n_estimators);
}

/*
 * Trees are about as large as those so far: room for the others is taken at once where there is
 * enough; otherwise they go to a file.
 */
static void
reserve_rest(const Training *t)
{
	MlTrees    *trees = &t->forest->trees;
	double		rest = trees->ntrees > 0 ? 1.02 * t->params->n_estimators / trees->ntrees - 1 : 0;
	MlTreesSize size = ml_trees_size(trees);

	if (rest <= 0 || ml_parts_filed(trees) || rest * size.nodes > INT32_MAX / 2)
		return;
	size.nodes *= rest;
	size.leaves *= rest;
	size.words *= rest;
	size.shares *= rest;
	if (ml_trees_bytes(trees, &size) > ml_memory_left() / 2)
		return;
	ml_parts_limit(trees, SIZE_MAX);
	ml_trees_reserve(trees, &size);
}

static void
prune(const Training *t, MlTree *tree)
{
	MlRisk		risk = ml_risk_squared;

	if (t->params->ccp_alpha <= 0)
		return;
	if (t->growth.criterion == ML_SPLIT_GINI)
		risk = ml_risk_gini;
	else if (t->growth.criterion == ML_SPLIT_ENTROPY)
		risk = ml_risk_entropy;
	ml_tree_prune(tree, risk, t->problem->classes, tree->node[0].h, t->params->ccp_alpha);
}

static void
grow_tree(Training *t, int i)
{
	MlTree	   *tree;

	if (t->sampled || i == 0)
		draw_sample(t, i);
	t->growth.seed = ml_forest_hash(ml_forest_hash(t->problem->seed, UINT64_MAX), (uint64_t) i);
	tree = ml_grow(t->grower, &t->growth);
	ml_check_interrupts();
	prune(t, tree);
	ml_check_interrupts();
	if (t->growth.bare)
		add_with_shares(t, tree);
	else
	{
		double	   *value = leaf_values(t, tree);

		ml_trees_add(&t->forest->trees, tree, 0, value, 1);
		ml_free(value);
	}
	ml_check_interrupts();
	ml_tree_free(tree);
	ml_check_interrupts();
	check_size(t);
	if (i + 1 == TREES_TO_JUDGE)
		reserve_rest(t);
	ml_report_iteration(i + 1, NAN);
}

/* ---- out of bag ---- */

#define OOB_ROWS 8				/* rows of a work item */
#define OOB_TREES 16			/* trees of a call: a deep one of millions of nodes takes a row a few microseconds */

/* Rows that are predicted together. */
typedef struct OutOfBag
{
	const Training *t;
	MlTrees		trees;			/* a part of them at a time */
	int			room;
	int			n;
	double	   *x;
	double	   *y;
	double	   *w;
	uint32_t   *key;
	int			first_tree;		/* of the part */
	int			first;			/* trees first .. end - 1 of the part */
	int			end;
	double	   *sum;			/* rows x outputs */
	int		   *seen;			/* rows: trees that had not seen it */
} OutOfBag;

static uint32_t
leaf_of(const MlTrees *trees, int t, const double *x)
{
	uint32_t	i = trees->root[t];

	while ((trees->node[i].feature & ML_NODE_LEAF) == 0)
		i = ml_tree_child(trees, i, x);
	return trees->leaf[i];
}

static void
oob_kernel(void *arg, int item)
{
	const OutOfBag *o = arg;
	const MlTrees *trees = &o->trees;
	int			from = item * OOB_ROWS;
	int			end = from + OOB_ROWS < o->n ? from + OOB_ROWS : o->n;

	for (int t = o->first; t < o->end; t++)
		for (int i = from; i < end; i++)
		{
			if (copies(o->t, o->t->seed[o->first_tree + t], o->key[i]) > 0)
				continue;
			ml_trees_add_leaf(trees, leaf_of(trees, t, o->x + (size_t) i * trees->p), o->sum + (size_t) i * trees->width);
			o->seen[i]++;
		}
}

static bool
right_class(const double *sum, int width, int seen, double y)
{
	int			best = 0;

	if (width == 1)
		return (sum[0] > 0.5 * seen) == (y > 0);
	for (int k = 1; k < width; k++)
		if (sum[k] > sum[best])
			best = k;
	return best == (int) y;
}

/* Of what is measured; exact, so that the order of rows does not matter. */
typedef struct OobSums
{
	MlExactSum	w;
	MlExactSum	right;			/* classes */
	MlExactSum	y;				/* regression: of y - shift */
	MlExactSum	yy;
	MlExactSum	error;			/* squared */
} OobSums;

static void
oob_add(const OutOfBag *o, OobSums *s)
{
	const Training *t = o->t;
	int			width = o->trees.width;

	for (int i = 0; i < o->n; i++)
	{
		double		w = o->w[i];
		double		y = o->y[i];
		const double *sum = o->sum + (size_t) i * width;

		if (o->seen[i] == 0)
			continue;
		ml_exact_add(&s->w, w, 1);
		if (t->problem->classes > 0)
			ml_exact_add(&s->right, w, right_class(sum, width, o->seen[i], y));
		else
		{
			double		error = y - sum[0] / o->seen[i];

			y -= t->matrix->shift;
			ml_exact_add(&s->y, w, y);
			ml_exact_add(&s->yy, w, y * y);
			ml_exact_add(&s->error, w, error * error);
		}
	}
}

static double
oob_score(const OobSums *s, bool classes)
{
	double		y = ml_exact_value(&s->y);
	double		w = ml_exact_value(&s->w);
	double		total;

	if (classes)
		return w > 0 ? ml_exact_ratio(&s->right, &s->w) : NAN;
	total = ml_exact_value(&s->yy) - y * y / w;
	return w > 0 && total > 0 ? 1 - ml_exact_value(&s->error) / total : NAN;
}

/* Adds a tile to the rows; their keys are those of the matrix, whose rows lie in the order of the data. */
static void
gather_rows(OutOfBag *o, const MlTile *tile, uint64_t first_row)
{
	int			p = o->trees.p;

	memcpy(o->x + (size_t) o->n * p, tile->x, sizeof(double) * p * tile->n);
	memcpy(o->y + o->n, tile->y, sizeof(double) * tile->n);
	for (int i = 0; i < tile->n; i++)
		o->w[o->n + i] = tile->w ? tile->w[i] : 1;
	for (int done = 0; done < tile->n;)
	{
		uint64_t	row = first_row + done;
		const MlBlock *block = ml_matrix_block(o->t->matrix, (int) (row / ML_BLOCK_ROWS), false);
		int			at = (int) (row % ML_BLOCK_ROWS);
		int			n = tile->n - done < block->n - at ? tile->n - done : block->n - at;

		memcpy(o->key + o->n + done, block->key + at, sizeof(uint32_t) * n);
		done += n;
	}
	o->n += tile->n;
}

static void
predict_gathered(OutOfBag *o, OobSums *s)
{
	memset(o->sum, 0, sizeof(double) * o->n * o->trees.width);
	memset(o->seen, 0, sizeof(int) * o->n);
	for (int k = 0; k < ml_parts_count(&o->trees); k++)
	{
		o->first_tree = ml_parts_read(&o->trees, k, ML_PART_WALK);
		for (int from = 0; from < o->n; from += ML_TILE_ROWS)
			for (o->first = 0; o->first < o->trees.ntrees; o->first = o->end)
			{
				OutOfBag	some = *o;

				some.n = o->n - from < ML_TILE_ROWS ? o->n - from : ML_TILE_ROWS;
				some.x += (size_t) from * o->trees.p;
				some.key += from;
				some.sum += (size_t) from * o->trees.width;
				some.seen += from;
				some.end = o->end = o->trees.ntrees - o->first < OOB_TREES ? o->trees.ntrees : o->first + OOB_TREES;
				ml_threads_run((some.n + OOB_ROWS - 1) / OOB_ROWS, oob_kernel, &some);
				ml_check_interrupts();
			}
	}
	oob_add(o, s);
	o->n = 0;
}

/* When trees come from a file the rows at a time are as many as half of the memory holds. */
static void
prepare_rows(OutOfBag *o, uint64_t rows)
{
	size_t		p = o->trees.p;
	size_t		width = o->trees.width;
	size_t		bytes = sizeof(double) * (p + width + 2) + sizeof(uint32_t) + sizeof(int);
	size_t		room = ML_TILE_ROWS;

	if (ml_parts_filed(&o->trees) && ml_memory_left() / 2 / bytes > room)
		room = ml_memory_left() / 2 / bytes;
	if (room > rows + ML_TILE_ROWS)
		room = rows + ML_TILE_ROWS;
	o->room = room < INT32_MAX / 2 ? (int) room : INT32_MAX / 2;
	o->x = ml_alloc((size_t) o->room * p, sizeof(double));
	o->y = ml_alloc(o->room, sizeof(double));
	o->w = ml_alloc(o->room, sizeof(double));
	o->key = ml_alloc(o->room, sizeof(uint32_t));
	o->sum = ml_alloc((size_t) o->room * width, sizeof(double));
	o->seen = ml_alloc(o->room, sizeof(int));
}

static void
free_rows(OutOfBag *o)
{
	ml_free(o->x);
	ml_free(o->y);
	ml_free(o->w);
	ml_free(o->key);
	ml_free(o->sum);
	ml_free(o->seen);
}

/*
 * Each row is predicted by the trees that have not seen it.  The rows are read
 * once more for that: no sums are kept while trees grow.
 */
static void
measure_oob(Training *t, MlData *data)
{
	OutOfBag	o = {.t = t, .trees = t->forest->trees};
	OobSums    *s = ml_alloc(1, sizeof(OobSums));
	uint64_t	rows = 0;
	MlTile		tile;

	prepare_rows(&o, t->matrix->rows);
	ml_data_rewind(data);
	while (ml_data_next(data, &tile))
	{
		if (o.n + tile.n > o.room)
			predict_gathered(&o, s);
		gather_rows(&o, &tile, rows);
		rows += tile.n;
	}
	predict_gathered(&o, s);
	t->forest->oob = oob_score(s, t->problem->classes > 0);
	ml_free(s);
	free_rows(&o);
}

/* ---- the contract ---- */

/*
 * A forest averages over the places of cuts, one tree does not: in the tails of a column, where the few rows of a rare
 * class are, a bin of many rows hides the cut that counts.  So with few rows each value has a bin, as far as the
 * histograms stay small; that is a matter of rows, columns and classes, not of the memory.
 */
static int
bins_of(const MlProblem *problem, const MlData *data, const MlForestParams *params)
{
	size_t		width = (size_t) problem->p * (problem->classes > 2 ? problem->classes : 2);
	size_t		bins = EXACT_CELLS / (width > 0 ? width : 1);

	if (params->max_bin > 0)
		return params->max_bin;
	if (ml_data_rows(data) > EXACT_ROWS || bins < TREE_BINS)
		return TREE_BINS;
	return bins < EXACT_ROWS ? (int) bins : EXACT_ROWS;
}

void
ml_forest_fit(const MlProblem *problem, MlData *data, const MlForestParams *params, MlResult *result)
{
	Training	t = {.problem = problem, .params = params};
	MlMatrixOptions options = {
		.max_bin = bins_of(problem, data, params), .keep_gradient = true, .keep_values = true, .shift_target = problem->classes == 0
	};

	t.seed = ml_alloc(params->n_estimators, sizeof(uint64_t));
	t.matrix = ml_matrix_build(problem, data, &options);
	copies_table(&t);
	choose_growth(&t);
	create_model(&t);
	t.grower = ml_grower_create(t.matrix, &t.growth);
	ml_parts_limit(&t.forest->trees, ml_memory_left() / TREES_SHARE);
	for (int i = 0; i < params->n_estimators; i++)
		grow_tree(&t, i);
	ml_parts_end(&t.forest->trees);
	ml_grower_free(t.grower);	/* what comes now needs memory, too */
	if (params->bootstrap && !problem->draft)
		measure_oob(&t, data);
	ml_matrix_free(t.matrix);
	result->model = t.forest;
	result->objective = t.forest->oob;
	result->converged = true;
	result->stop = "all trees grown";
	result->outside = ml_parts_filed(&t.forest->trees);
}

/* Adds up part by part, so that each comes from the file once. */
void
ml_forest_predict_rows(const void *model, const double *x, size_t n, double *out)
{
	MlTrees		trees = ((const MlForest *) model)->trees;
	int			all = ml_trees_size(&trees).trees;
	size_t		width = trees.outputs;

	memset(out, 0, sizeof(double) * n * width);
	for (int k = 0; k < ml_parts_count(&trees); k++)
	{
		ml_parts_read(&trees, k, ML_PART_WALK);
		for (size_t i = 0; i < n; i++)
		{
			if (i % PREDICT_ROWS == 0)
				ml_check_interrupts();
			ml_trees_add_up(&trees, x + i * trees.p, out + i * width);
		}
	}
	for (size_t i = 0; i < n; i++)
		ml_trees_complete(&trees, all, out + i * width);
}

void
ml_forest_predict(const void *model, const double *x, double *out)
{
	if (ml_parts_filed(model))
		ml_forest_predict_rows(model, x, 1, out);
	else
		ml_trees_predict(model, x, out);
}

void
ml_forest_save(const void *model, MlWriter *writer)
{
	const MlForest *forest = model;

	ml_trees_save(&forest->trees, writer);
	ml_write_f64(writer, forest->oob);
}

void *
ml_forest_load(MlReader *reader, int format, int p, int classes)
{
	MlForest   *forest = ml_alloc(1, sizeof(MlForest));

	forest->trees = *(MlTrees *) ml_trees_load(reader, format, p, classes);
	forest->oob = forest->trees.cover != NULL ? ml_read_f64(reader) : NAN;	/* the rest is read, or not */
	return forest;
}

void
ml_forest_describe(const void *model, MlRows *rows)
{
	const MlForest *forest = model;

	ml_trees_describe(&forest->trees, rows);
	if (!isnan(forest->oob))
		ml_row_number(rows, forest->trees.classes > 0 ? "out-of-bag accuracy" : "out-of-bag r2", forest->oob);
}
