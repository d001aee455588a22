/*
 * predict.c - the walk of a row through the trees, and what their sum means.
 *
 * A walk has no branch that depends on data: a node says where its children
 * are, a comparison says which of the two, and a leaf leads to itself, so that
 * all walks of a group have the length of the longest.  A single walk would
 * wait for memory at each step; those of LANES trees wait together.
 *
 * Where there are categories of few levels, a copy of the row has two things in each column: the number,
 * NaN for such a category, and the level as a word with one bit set, 0 for a number.  So both
 * the comparison with a threshold and the one with the word in a node can be made, and only the one that
 * is meant says right.
 *
 * No allocation, no errors: this is the contract's predict.  (Blocks of rows
 * through one tree after the other were tried: they save a tenth, a fifth with
 * deep trees, not enough for a second entry point.)
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "walk.h"

#if defined(__GNUC__)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE static inline
#endif

#define LANES 8					/* walks at a time: their positions are kept in registers */
#define BLIND_STEPS 8			/* of a walk before it is asked whether all have arrived */
#define WORD_COLUMNS 1024		/* of a row whose copy may be on the stack */

/* What nodes may ask for, known when a walk is compiled. */
typedef enum Kind
{
	NUMBERS,					/* none missing */
	MISSING,					/* numbers, NaN where missing */
	WORDS,						/* and categories of few levels, but no number is missing; the row is of Cells */
	MISSING_WORDS,
	WORDS_AND_SETS,				/* and of many levels */
	ANY							/* the row is as it came */
} Kind;

/* A column of a row's copy. */
typedef struct Cell
{
	double		x;
	uint64_t	level;
} Cell;

/* The node after node i, which is i for a leaf; row: of doubles, or of Cells. */
ALWAYS_INLINE uint32_t
step(const MlTrees *trees, uint32_t i, const void *row, Kind kind)
{
	const MlTreeNode *node = &trees->node[i];
	uint32_t	feature = node->feature;
	uint32_t	column = feature & ML_NODE_FEATURE;
	bool		words = kind == WORDS || kind == MISSING_WORDS || kind == WORDS_AND_SETS;
	double		x = words ? ((const Cell *) row)[column].x : ((const double *) row)[column];
	uint32_t	right = x >= node->threshold;

	if (kind == ANY)
		return (feature & ML_NODE_LEAF) != 0 ? i : ml_tree_child(trees, i, row);
	if (kind == MISSING)
		right |= (x != x) & (feature / ML_NODE_MISSING_RIGHT);
	if (kind == MISSING_WORDS || kind == WORDS_AND_SETS)
		right |= (x != x) & (feature / ML_NODE_MISSING_RIGHT) & ~(feature / ML_NODE_CATEGORY);
	if (words)
	{
		uint64_t	word;

		memcpy(&word, &node->threshold, sizeof(word));
		right |= (((const Cell *) row)[column].level & word) != 0;
	}
	if (kind == WORDS_AND_SETS && (feature & ML_NODE_LARGE) != 0)
		right = ml_category_right(trees, i, x);
	return node->left + right;
}

/*
 * LANES walks of `depth` steps from nodes at[].  Beyond a few steps most paths of
 * a deep tree have ended, so then it is worth asking.
 */
ALWAYS_INLINE void
walk(const MlTrees *trees, uint32_t *at, const void *x, int depth, Kind kind)
{
	uint32_t	i[LANES];
	uint32_t	moved = 1;
	int			blind = depth < BLIND_STEPS ? depth : BLIND_STEPS;

	for (int k = 0; k < LANES; k++)
		i[k] = at[k];
	for (int d = 0; d < blind; d++)
#pragma GCC unroll 8
		for (int k = 0; k < LANES; k++)
			i[k] = step(trees, i[k], x, kind);
	for (int d = blind; d < depth && moved != 0; d++)
	{
		moved = 0;
#pragma GCC unroll 8
		for (int k = 0; k < LANES; k++)
		{
			uint32_t	next = step(trees, i[k], x, kind);

			moved |= next ^ i[k];
			i[k] = next;
		}
	}
	for (int k = 0; k < LANES; k++)
		at[k] = i[k];
}

/* Adds the leaves of trees t to t + n - 1; a single sum stays in a register. */
static inline void
add_leaves(const MlTrees *trees, int t, int n, const uint32_t *at, double *out)
{
	if (trees->outputs == 1)
	{
		double		sum = *out;

		for (int k = 0; k < n; k++)
			sum += trees->value[trees->leaf[at[k]]];
		*out = sum;
		return;
	}
	for (int k = 0; k < n; k++)
	{
		uint32_t	leaf = trees->leaf[at[k]];

		if (trees->width == 1)
			out[trees->output[t + k]] += trees->value[leaf];
		else
			ml_trees_add_leaf(trees, leaf, out);
	}
}

ALWAYS_INLINE void
add_trees(const MlTrees *trees, const void *x, double *out, Kind kind)
{
	int			n = LANES;

	for (int t = 0; t < trees->ntrees; t += n)
	{
		uint32_t	at[LANES] = {0};	/* lanes without a tree walk through the first */
		int			depth = 0;

		if (trees->ntrees - t < LANES)
			n = trees->ntrees - t;
		for (int k = 0; k < n; k++)
		{
			at[k] = trees->root[t + k];
			depth = trees->depth[t + k] > depth ? trees->depth[t + k] : depth;
		}
		walk(trees, at, x, depth, kind);
		add_leaves(trees, t, n, at, out);
	}
}

/* Whether a number of the row is missing (or infinite): 0 times any other one is 0. */
static bool
has_missing(const MlTrees *trees, const double *x)
{
	double		sum[4] = {0, 0, 0, 0};
	int			j = 0;

	for (; j + 4 <= trees->p; j += 4)
		for (int k = 0; k < 4; k++)
			sum[k] += x[j + k] * 0;
	for (; j < trees->p; j++)
		sum[0] += x[j] * 0;
	return sum[0] + sum[1] + sum[2] + sum[3] != 0;
}

/* Copies a row to cells; whether a number is missing. */
static bool
make_cells(const MlTrees *trees, const double *x, Cell *row)
{
	bool		missing = false;

	for (int j = 0; j < trees->p; j++)
	{
		bool		known = x[j] >= 0 && x[j] < ML_WORD_LEVELS;
		int			other = isnan(x[j]) ? ML_WORD_MISSING : ML_WORD_OTHERS;

		if (trees->levels[j] > 0 && trees->levels[j] <= ML_WORD_LEVELS)
			row[j] = (Cell) {NAN, (uint64_t) 1 << (known ? (int) x[j] : other)};
		else
		{
			row[j] = (Cell) {x[j], 0};
			missing |= isnan(x[j]);
		}
	}
	return missing;
}

static void
add_categories(const MlTrees *trees, const double *x, double *out)
{
	Cell		row[WORD_COLUMNS];
	bool		missing = make_cells(trees, x, row);

	if (trees->large)
		add_trees(trees, row, out, WORDS_AND_SETS);
	else if (missing)
		add_trees(trees, row, out, MISSING_WORDS);
	else
		add_trees(trees, row, out, WORDS);
}

/* From the sum of the trees to the margin. */
static void
complete(const MlTrees *trees, int ntrees, double *out)
{
	for (int k = 0; k < trees->outputs; k++)
	{
		if (trees->average && ntrees > 0)
			out[k] /= ntrees;
		out[k] += trees->base[k];
	}
}

void
ml_trees_add_up(const MlTrees *trees, const double *x, double *out)
{
	if (trees->categories && trees->p > WORD_COLUMNS)
		add_trees(trees, x, out, ANY);
	else if (trees->categories)
		add_categories(trees, x, out);
	else if (has_missing(trees, x))
		add_trees(trees, x, out, MISSING);
	else
		add_trees(trees, x, out, NUMBERS);
}

void
ml_trees_margin(const MlTrees *trees, const double *x, double *out)
{
	memset(out, 0, sizeof(double) * trees->outputs);
	ml_trees_add_up(trees, x, out);
	complete(trees, trees->ntrees, out);
}

/* Makes n numbers >= 0 add up to 1. */
static void
normalize(double *out, int n)
{
	double		sum = 0;

	for (int k = 0; k < n; k++)
		sum += out[k];
	for (int k = 0; k < n; k++)
		out[k] = sum > 0 ? out[k] / sum : 1.0 / n;
}

static void
softmax(double *out, int n)
{
	double		best = out[0];

	for (int k = 1; k < n; k++)
		best = fmax(best, out[k]);
	for (int k = 0; k < n; k++)
		out[k] = exp(out[k] - best);
	normalize(out, n);
}

/* From the margin to the prediction, in place. */
static void
apply_link(const MlTrees *trees, double *out)
{
	switch (trees->link)
	{
		case ML_LINK_IDENTITY:
			break;
		case ML_LINK_LOG:
			out[0] = fmin(exp(out[0]), DBL_MAX);	/* as generalized linear models do */
			break;
		case ML_LINK_LOGISTIC:
			out[0] = 1 / (1 + exp(-out[0]));
			break;
		case ML_LINK_SOFTMAX:
			softmax(out, trees->outputs);
			break;
		case ML_LINK_SHARES:
			if (trees->outputs > 1)
				normalize(out, trees->outputs);
			break;
		case ML_LINK_ISOLATION:
			out[0] = exp2(-out[0] / trees->scale);
			break;
	}
}

void
ml_trees_complete(const MlTrees *trees, int ntrees, double *out)
{
	complete(trees, ntrees, out);
	apply_link(trees, out);
}

/* Two classes may have an output each, but only the second's number is asked for. */
static bool
one_of_two(const MlTrees *trees)
{
	return trees->classes == 2 && trees->outputs == 2;
}

void
ml_trees_predict(const void *model, const double *x, double *out)
{
	const MlTrees *trees = model;
	double		both[2];

	if (one_of_two(trees))
	{
		ml_trees_margin(trees, x, both);
		apply_link(trees, both);
		*out = both[1];
		return;
	}
	ml_trees_margin(trees, x, out);
	apply_link(trees, out);
}

