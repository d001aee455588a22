/*
 * predict.c - the walk of rows through the trees, and what their sum means.
 *
 * A walk has no branch that depends on data: a node says where its children
 * are, a comparison says which of the two, and a leaf leads to itself, so that
 * all walks of a group have the length of the longest.  A single walk would wait for
 * memory at each step; several at a time (LANES) wait together: the trees of
 * a group for one row, or the rows of a group for one tree.  Either way the
 * values are added tree by tree, so that both give the same bits.
 *
 * No allocation, no errors: this is the contract's predict.
 */
#include <math.h>
#include <string.h>

#include "walk.h"

#define LANES 8					/* walks at a time: their positions are kept in registers */
#define BLIND_STEPS 8			/* of a walk before it is asked whether all have arrived */
#define BLOCK_ROWS 64			/* of 20 columns: 10 kB, beside a tree in the L1 cache */

/*
 * LANES walks of `depth` steps: from node at[k] with row rows[k].  Beyond a few
 * steps most paths of a deep tree have ended, so then it is worth asking.
 */
ML_ALWAYS_INLINE void
walk(const MlTrees *trees, uint32_t *at, const double *const *rows, int depth, MlQuestions questions)
{
	uint32_t	i[LANES];

	for (int k = 0; k < LANES; k++)
		i[k] = at[k];
	for (int d = 0; d < depth; d++)
	{
		uint32_t	moved = 0;

		for (int k = 0; k < LANES; k++)
		{
			uint32_t	next = ml_tree_step(trees, i[k], rows[k], questions);

			moved |= next ^ i[k];
			i[k] = next;
		}
		if (d >= BLIND_STEPS && moved == 0)
			break;
	}
	for (int k = 0; k < LANES; k++)
		at[k] = i[k];
}

static void
walk_any(const MlTrees *trees, uint32_t *at, const double *const *rows, int depth, MlQuestions questions)
{
	if (questions == ML_PLAIN)
		walk(trees, at, rows, depth, ML_PLAIN);
	else if (questions == ML_MISSING)
		walk(trees, at, rows, depth, ML_MISSING);
	else
		walk(trees, at, rows, depth, ML_CATEGORIES);
}

/* What a walk must be ready for, given a row. */
static MlQuestions
questions_of(const MlTrees *trees, const double *x)
{
	double		sum[4] = {0, 0, 0, 0};
	int			j = 0;

	if (trees->categories)
		return ML_CATEGORIES;
	for (; j + 4 <= trees->p; j += 4)
		for (int k = 0; k < 4; k++)
			sum[k] += x[j + k] * 0;
	for (; j < trees->p; j++)
		sum[0] += x[j] * 0;
	/* 0 times anything but NaN and infinity is 0. */
	return sum[0] + sum[1] + sum[2] + sum[3] == 0 ? ML_PLAIN : ML_MISSING;
}

/* Adds what the leaf says to the outputs. */
static inline void
add_leaf(const MlTrees *trees, int t, uint32_t at, double *out)
{
	const double *value = trees->value + (size_t) trees->leaf[at] * trees->width;

	if (trees->width == 1)
		out[trees->output[t]] += *value;
	else
		for (int k = 0; k < trees->width; k++)
			out[k] += value[k];
}

/* From the sum of the trees to the margin. */
static void
complete(const MlTrees *trees, double *out)
{
	for (int k = 0; k < trees->outputs; k++)
	{
		if (trees->average && trees->ntrees > 0)
			out[k] /= trees->ntrees;
		out[k] += trees->base[k];
	}
}

void
ml_trees_margin(const MlTrees *trees, const double *x, double *out)
{
	MlQuestions	questions = questions_of(trees, x);
	const double *rows[LANES];

	memset(out, 0, sizeof(double) * trees->outputs);
	for (int k = 0; k < LANES; k++)
		rows[k] = x;
	for (int t = 0; t < trees->ntrees; t += LANES)
	{
		int			n = trees->ntrees - t < LANES ? trees->ntrees - t : LANES;
		uint32_t	at[LANES];
		int			depth = 0;

		for (int k = 0; k < LANES; k++)
		{
			int			tree = t + (k < n ? k : 0);

			at[k] = trees->root[tree];
			depth = trees->depth[tree] > depth ? trees->depth[tree] : depth;
		}
		walk_any(trees, at, rows, depth, questions);
		for (int k = 0; k < n; k++)
			add_leaf(trees, t + k, at[k], out);
	}
	complete(trees, out);
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
			out[0] = exp(out[0]);
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

/* Adds what each tree says to the sums of n rows, at most BLOCK_ROWS: sum[n x outputs]. */
static void
add_block(const MlTrees *trees, const double *x, int n, double *sum)
{
	MlQuestions	questions = ML_PLAIN;

	for (int i = 0; i < n && questions == ML_PLAIN; i++)
		questions = questions_of(trees, x + (size_t) i * trees->p);
	for (int t = 0; t < trees->ntrees; t++)
		for (int i = 0; i < n; i += LANES)
		{
			int			lanes = n - i < LANES ? n - i : LANES;
			const double *rows[LANES];
			uint32_t	at[LANES];

			for (int k = 0; k < LANES; k++)
			{
				rows[k] = x + (size_t) (i + (k < lanes ? k : 0)) * trees->p;
				at[k] = trees->root[t];
			}
			walk_any(trees, at, rows, trees->depth[t], questions);
			for (int k = 0; k < lanes; k++)
				add_leaf(trees, t, at[k], sum + (size_t) (i + k) * trees->outputs);
		}
}

void
ml_trees_predict_rows(const void *model, const double *x, int n, double *out)
{
	const MlTrees *trees = model;
	bool		one = one_of_two(trees);
	double		both[BLOCK_ROWS * 2];

	for (int i = 0; i < n; i += BLOCK_ROWS)
	{
		int			rows = n - i < BLOCK_ROWS ? n - i : BLOCK_ROWS;
		double	   *sum = one ? both : out + (size_t) i * trees->outputs;

		memset(sum, 0, sizeof(double) * rows * trees->outputs);
		add_block(trees, x + (size_t) i * trees->p, rows, sum);
		for (int k = 0; k < rows; k++)
		{
			complete(trees, sum + (size_t) k * trees->outputs);
			apply_link(trees, sum + (size_t) k * trees->outputs);
			if (one)
				out[i + k] = both[2 * k + 1];
		}
	}
}
