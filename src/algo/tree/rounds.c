/*
 * rounds.c - the rounds of gradient boosting.
 *
 * Before a tree there are two passes over the rows.  *advance* adds the last
 * tree to the scores, and puts the gradient and curvature of each row, as
 * floats, where the whole numbers will be.  *quantize* rounds them, in units of
 * the power of two just above the greatest, and lists the rows of the tree.
 * Then the tree grows.
 *
 * Rounding.  For fewer than ML_PACKED_ROWS rows to 30 bits.  For more to 16 bits,
 * up or down at random with the probabilities that make the mean right, by row
 * key and tree: the histograms are then half as large.  The error of a sum over n
 * rows is at most sqrt(n) / 2 units, that of a leaf of 100 rows about 1e-5 of the greatest
 * gradient times the learning rate.  Where the mean is less than LEAST_MEAN units (a target with outliers, a
 * rare class), rounding would be noise, and 30 bits are taken.  All of this depends on
 * sums of whole numbers and on greatest values, so never on the order of rows.
 */
#include "boosting.h"

#include <math.h>
#include <string.h>

#include "num/threads.h"
#include "num/vector.h"

#define LEAST_MEAN 64			/* of 2^16: rounding then adds at most 1/128 to the deviation of the mean gradient */
#define WIDE_BITS 30
#define PACKED_BITS 16
#define ROUNDER 6755399441055744.0	/* 1.5 x 2^52: added, rounds to a whole number in the low bits */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math", "fp-contract=off")
#endif
/* The same eight bytes before and after rounding. */
typedef union Slot
{
	MlGradient	whole;
	struct
	{
		float		g;
		float		h;
	}			real;
	struct
	{
		uint32_t	g;
		uint32_t	h;
	}			bits;
} Slot;

/* ---- passes ---- */

typedef struct Slice
{
	MlBoosting *boosting;
	void		(*kernel) (void *arg, int i);
	int			first;
} Slice;

static void
run_slice(void *arg, int i)
{
	Slice	   *slice = arg;

	slice->kernel(slice->boosting, slice->first + i);
}

void
ml_boosting_blocks(MlBoosting *b, void (*kernel) (void *arg, int i))
{
	MlMatrix   *matrix = b->matrix;
	/* about 20 ms: a block takes less than 1 ms for one output */
	int			at_once = ml_threads * (1 + 16 / b->outputs);

	if (matrix->spilled)
	{
		for (int i = 0; i < matrix->nblocks; i++)
		{
			b->block[i] = ml_matrix_block(matrix, i, true);
			kernel(b, i);
			b->block[i] = NULL;
		}
		return;
	}
	for (int i = 0; i < matrix->nblocks; i += at_once)
	{
		Slice		slice = {b, kernel, i};

		ml_check_interrupts();
		ml_threads_run(matrix->nblocks - i < at_once ? matrix->nblocks - i : at_once, run_slice, &slice);
	}
}

/* ---- advance: scores, then gradients as floats ---- */

static void
add_tree(MlBoosting *b, const MlBlock *block, int in_tree)
{
	const int  *node;
	const int  *start;
	int			stride = b->stride;
	double	   *score = block->score + b->tree_output;
	int			leaves = ml_grower_leaves(b->grower, block, &node, &start);

	for (int l = 0; l < leaves; l++)
	{
		double		value = b->value[node[l]];

		for (int i = start[l]; i < start[l + 1]; i++)
			score[(size_t) block->order[i] * stride] += value;
	}
	for (int i = in_tree; i < block->n; i++)
		score[(size_t) block->order[i] * stride] +=
			b->value[ml_tree_walk(b->tree, b->matrix, block, block->order[i])];
}

/* Weights of a chunk, 0 for rows held out; NULL: all one. */
static const float *
chunk_weights(const MlBoosting *b, const MlBlock *block, int first, int n, float *room)
{
	bool		by_class = b->pos_weight != 1;

	if (!b->validate && !by_class)
		return block->w ? block->w + first : NULL;
	for (int i = 0; i < n; i++)
		room[i] = (block->w ? block->w[first + i] : 1.0F) * (by_class && block->y[first + i] == 1 ? b->pos_weight : 1.0F);
	for (int i = 0; b->validate && i < n; i++)
		if (b->ranking ? ml_ranking_held_out(b->ranking, block->number, first + i) : ml_held_out(b, block->key[first + i]))
			room[i] = 0;
	return room;
}

static void
weigh(int n, const float *w, double *g, double *h, double *loss, double *total)
{
	for (int i = 0; i < n; i++)
	{
		g[i] *= w[i];
		h[i] *= w[i];
		loss[i] *= w[i];
		*total += w[i];
	}
}

/* As floats, and their greatest; bits of floats >= 0 compare as the floats do. */
ML_VECTOR_256 static void
store(int n, const double *g, const double *h, Slot *slot, MlBlockSums *sums)
{
	uint32_t	max_g = sums->max_g;
	uint32_t	max_h = sums->max_h;

	for (int i = 0; i < n; i++)
	{
		uint32_t	size;

		slot[i].real.g = (float) g[i];
		slot[i].real.h = (float) h[i];
		size = slot[i].bits.g & 0x7fffffff;
		max_g = size > max_g ? size : max_g;
		size = slot[i].bits.h & 0x7fffffff;
		max_h = size > max_h ? size : max_h;
	}
	sums->max_g = max_g;
	sums->max_h = max_h;
}

static void
chunk_gradients(MlBoosting *b, const MlBlock *block, int first, int n, double *g, double *h, double *loss)
{
	const float *y = block->y + first;
	double	   *score = block->score + (size_t) first * b->stride;

	switch (b->objective.kind)
	{
		case ML_OBJECTIVE_SOFTMAX:
			if (b->output == 0)
				ml_softmax_normalize(b->outputs, n, y, score, loss);
			else
				memset(loss, 0, sizeof(double) * n);
			ml_softmax_rows(b->outputs, b->output, n, y, score, g, h);
			break;
		case ML_OBJECTIVE_LAMBDARANK:
			ml_ranking_rows(b->ranking, block->number, first, n, g, h);
			memset(loss, 0, sizeof(double) * n);
			break;
		default:
			ml_objective_rows(&b->objective, n, y, score, g, h, loss);
	}
}

static void
advance(void *arg, int number)
{
	MlBoosting *b = arg;
	const MlBlock *block = b->block[number];
	MlBlockSums *sums = &b->sums[number];
	double		g[ML_CHUNK];
	double		h[ML_CHUNK];
	double		loss[ML_CHUNK];
	float		room[ML_CHUNK];

	if (b->tree && !b->ranking)
		add_tree(b, block, sums->in_tree);
	memset(sums, 0, sizeof(*sums));
	for (int first = 0; first < block->n; first += ML_CHUNK)
	{
		int			n = block->n - first < ML_CHUNK ? block->n - first : ML_CHUNK;
		const float *w = chunk_weights(b, block, first, n, room);

		chunk_gradients(b, block, first, n, g, h, loss);
		if (w)
			weigh(n, w, g, h, loss, &sums->weight);
		else
			sums->weight += n;
		for (int i = 0; i < n; i++)
			sums->loss += loss[i];
		store(n, g, h, (Slot *) block->gradient + first, sums);
	}
}

/* Rankings need all scores before the first gradient. */
static void
advance_scores(void *arg, int number)
{
	MlBoosting *b = arg;
	const MlBlock *block = b->block[number];

	if (b->tree)
		add_tree(b, block, b->sums[number].in_tree);
	ml_ranking_score(b->ranking, number, block);
}

/* ---- the loss of the rows held out ---- */

static void
add_held_losses(MlBoosting *b, int n, const float *y, const float *w, const double *f)
{
	MlObjective objective = b->objective;
	double		g[ML_CHUNK];
	double		h[ML_CHUNK];
	double		loss[ML_CHUNK];

	/* one that does not change with the rounds, so that they can be compared */
	if (objective.kind == ML_OBJECTIVE_HUBER)
		objective.kind = ML_OBJECTIVE_ABSOLUTE;
	ml_objective_rows(&objective, n, y, f, g, h, loss);
	for (int i = 0; i < n; i++)
		ml_exact_add(&b->held_loss, w[i], fmin(loss[i], 1e300));
}

static void
held_loss(MlBoosting *b, const MlBlock *block)
{
	double		f[ML_CHUNK] = {0};
	float		y[ML_CHUNK] = {0};
	float		w[ML_CHUNK] = {0};
	int			n = 0;

	for (int i = 0; i < block->n; i++)
	{
		double	   *score = block->score + (size_t) i * b->stride;

		if (!ml_held_out(b, block->key[i]))
			continue;
		y[n] = block->y[i];
		w[n] = (block->w ? block->w[i] : 1.0F) * (y[n] == 1 ? b->pos_weight : 1.0F);
		if (b->objective.kind == ML_OBJECTIVE_SOFTMAX)
		{
			ml_softmax_normalize(b->outputs, 1, &y[n], score, f);
			ml_exact_add(&b->held_loss, w[n], fmin(f[0], 1e300));
			continue;
		}
		f[n++] = *score;
		if (n == ML_CHUNK)
		{
			add_held_losses(b, n, y, w, f);
			n = 0;
		}
	}
	add_held_losses(b, n, y, w, f);
}

static double
measure_held_out(MlBoosting *b)
{
	if (b->ranking)
	{
		double		loss;
		double		held;

		ml_boosting_blocks(b, advance_scores);
		ml_ranking_compute(b->ranking, &loss, &held);
		return held;
	}
	memset(&b->held_loss, 0, sizeof(b->held_loss));
	for (int i = 0; i < b->matrix->nblocks; i++)
		held_loss(b, ml_matrix_block(b->matrix, i, false));
	return ml_exact_value(&b->held_loss) / b->held_weight;
}

/* ---- quantize ---- */

ML_VECTOR_256 static void
round_wide(int n, double scale_g, double scale_h, Slot *slot, MlBlockSums *sums)
{
	int64_t		sum_g = 0;
	int64_t		sum_h = 0;

	for (int i = 0; i < n; i++)
	{
		union
		{
			double		d;
			uint64_t	u;
		}			g, h;

		g.d = slot[i].real.g * scale_g + ROUNDER;
		h.d = slot[i].real.h * scale_h + ROUNDER;
		slot[i].whole.g = (int32_t) g.u;
		slot[i].whole.h = (int32_t) h.u;
		sum_g += slot[i].whole.g < 0 ? -slot[i].whole.g : slot[i].whole.g;
		sum_h += slot[i].whole.h;
	}
	sums->sum_g += sum_g;
	sums->sum_h += sum_h;
}

/* Rounds x + u down, u uniform in [0, 1): on average to x.  Whole numbers stay as they are. */
ML_VECTOR_256 static void
round_packed(int n, double scale_g, double scale_h, uint32_t seed, const uint32_t *key, Slot *slot, MlBlockSums *sums)
{
	const int	most = (1 << PACKED_BITS) - 1;
	int64_t		sum_g = 0;
	int64_t		sum_h = 0;

	for (int i = 0; i < n; i++)
	{
		uint32_t	random = ml_mix32(key[i] ^ seed);
		double		up_g = ((int32_t) (random & 0xffff) + 0.5) / 65536;
		double		up_h = ((int32_t) (random >> 16) + 0.5) / 65536;
		int32_t		g = (int32_t) (slot[i].real.g * scale_g + up_g + 131072) - 131072;
		int32_t		h = (int32_t) (slot[i].real.h * scale_h + up_h);

		g = g > most ? most : g < -most ? -most : g;
		h = h > most ? most : h;
		slot[i].whole.g = g;
		slot[i].whole.h = h;
		sum_g += g < 0 ? -g : g;
		sum_h += h;
	}
	sums->sum_g += sum_g;
	sums->sum_h += sum_h;
}

/* Rows of the tree first, then the others. */
static int
list_rows(const MlBoosting *b, const MlBlock *block)
{
	int			in = 0;
	int			out = block->n;

	if (!b->validate && b->sample_below == UINT32_MAX)
	{
		for (int i = 0; i < block->n; i++)
			block->order[i] = (uint16_t) i;
		return block->n;
	}
	for (int i = 0; i < block->n; i++)
	{
		uint32_t	key = block->key[i];
		bool		held = b->validate &&
			(b->ranking ? ml_ranking_held_out(b->ranking, block->number, i) : ml_held_out(b, key));

		if (!held && ml_mix32(key ^ b->sample_seed) <= b->sample_below)
			block->order[in++] = (uint16_t) i;
		else
			block->order[--out] = (uint16_t) i;
	}
	return in;
}

static void
quantize(void *arg, int number)
{
	MlBoosting *b = arg;
	const MlBlock *block = b->block[number];
	MlBlockSums *sums = &b->sums[number];
	Slot	   *slot = (Slot *) block->gradient;

	sums->sum_g = sums->sum_h = 0;
	if (b->growth.packed)
		round_packed(block->n, 1 / b->growth.g_unit, 1 / b->growth.h_unit, b->round_seed, block->key, slot, sums);
	else
		round_wide(block->n, 1 / b->growth.g_unit, 1 / b->growth.h_unit, slot, sums);
	sums->in_tree = list_rows(b, block);
}

static double
real_of(uint32_t bits)
{
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* The power of two that turns numbers up to `most` into numbers below 2^bits. */
static double
unit_of(double most, int bits)
{
	int			exponent;

	if (most == 0)
		return 1;
	frexp(most, &exponent);
	return ldexp(1, exponent - bits);
}

/* The first gradients again: their floats were overwritten. */
static void
advance_again(MlBoosting *b)
{
	b->tree = NULL;
	ml_boosting_blocks(b, advance);
}

static void
sum_blocks(MlBoosting *b, MlBlockSums *all)
{
	memset(all, 0, sizeof(*all));
	b->rows = 0;
	for (int i = 0; i < b->matrix->nblocks; i++)
	{
		const MlBlockSums *s = &b->sums[i];

		all->max_g = s->max_g > all->max_g ? s->max_g : all->max_g;
		all->max_h = s->max_h > all->max_h ? s->max_h : all->max_h;
		all->loss += s->loss;
		all->weight += s->weight;
		all->sum_g += s->sum_g;
		all->sum_h += s->sum_h;
		b->rows += s->in_tree;
	}
}

static void
quantize_as(MlBoosting *b, bool packed, MlBlockSums *all)
{
	int			bits = packed ? PACKED_BITS : WIDE_BITS;

	b->growth.packed = packed;
	b->growth.g_unit = unit_of(real_of(all->max_g), bits);
	b->growth.h_unit = unit_of(real_of(all->max_h), bits);
	ml_boosting_blocks(b, quantize);
	sum_blocks(b, all);
}

/* Whole numbers for the next tree; `all` holds the greatest of the floats. */
static void
quantize_rows(MlBoosting *b, MlBlockSums *all)
{
	bool		large = b->matrix->rows >= ML_PACKED_ROWS;
	bool	   *wide = &b->wide[b->output];
	int64_t		least;

	quantize_as(b, large && !*wide, all);
	if (!large)
		return;
	least = (int64_t) b->matrix->rows * LEAST_MEAN << (*wide ? WIDE_BITS - PACKED_BITS : 0);
	if (!*wide && (all->sum_g < least || all->sum_h < least))
	{
		*wide = true;
		advance_again(b);
		quantize_as(b, false, all);
	}
	else if (*wide)
		*wide = all->sum_g < least || all->sum_h < least;
}

/* ---- a tree ---- */

static void
set_seeds(MlBoosting *b)
{
	uint64_t	seed = ml_mix64(b->problem->seed, b->trees->ntrees);

	b->growth.seed = ml_mix64(seed, 0);
	b->round_seed = (uint32_t) ml_mix64(seed, 1);
	b->sample_seed = (uint32_t) ml_mix64(seed, 2);
	b->sample_below = b->params->subsample < 1 ? (uint32_t) (b->params->subsample * UINT32_MAX) : UINT32_MAX;
}

/* The residuals' 0.9 quantile is where Friedman's huber loss becomes linear. */
static void
residual_sizes(void *arg, const MlBlock *block, int *cell, float *value)
{
	const MlBoosting *b = arg;

	for (int i = 0; i < block->n; i++)
	{
		cell[i] = b->validate && ml_held_out(b, block->key[i]) ? -1 : 0;
		value[i] = (float) fabs(block->y[i] - block->score[i]);
	}
}

static void
apply_last(void *arg, int number)
{
	MlBoosting *b = arg;

	add_tree(b, b->block[number], b->sums[number].in_tree);
}

static void
settle_delta(MlBoosting *b)
{
	double		delta;

	if (b->tree)
		ml_boosting_blocks(b, apply_last);
	b->tree = NULL;
	ml_quantiles(b->matrix, 1, 0.9, b->max_weight, residual_sizes, b, &delta);
	b->objective.delta = delta > 0 ? delta : 1e-30;
}

static void
gradients(MlBoosting *b, MlBlockSums *all)
{
	double		held;

	if (b->ranking)
	{
		ml_boosting_blocks(b, advance_scores);
		ml_ranking_compute(b->ranking, &b->loss, &held);
	}
	else if (b->objective.kind == ML_OBJECTIVE_HUBER && isnan(b->params->huber_delta))
		settle_delta(b);
	ml_boosting_blocks(b, advance);
	sum_blocks(b, all);
	if (all->max_g >= 0x7f800000 || all->max_h >= 0x7f800000)
		ml_fail_data("the gradient of objective \"%s\" overflows after %d trees: lower \"learning_rate\" or set \"max_delta_step\"",
					 b->trees->objective, b->trees->ntrees);
	if (!b->ranking && b->output == 0)
		b->loss = all->weight > 0 ? all->loss / all->weight : 0;
}

/* Frees the last tree and grows the next; false when it is a leaf that changes nothing. */
static bool
grow(MlBoosting *b)
{
	const MlObjective *o = &b->objective;
	MlTree	   *last = b->tree;
	MlBlockSums all;
	MlTree	   *tree;

	gradients(b, &all);
	if (last)
	{
		ml_tree_free(last);
		ml_free(b->value);
	}
	b->tree = NULL;
	set_seeds(b);
	quantize_rows(b, &all);
	if (b->rows == 0)			/* a sample of few rows may be empty */
	{
		b->sample_below = UINT32_MAX;
		advance_again(b);
		sum_blocks(b, &all);
		quantize_rows(b, &all);
	}
	for (int i = 0; i < b->matrix->nblocks; i++)
		ml_grower_rows(b->grower, i, b->sums[i].in_tree);
	tree = ml_grow(b->grower, &b->growth);
	b->value = ml_alloc(tree->n, sizeof(double));
	for (int i = 0; i < tree->n; i++)
		b->value[i] = tree->node[i].value;
	if (o->kind == ML_OBJECTIVE_ABSOLUTE || o->kind == ML_OBJECTIVE_QUANTILE || o->kind == ML_OBJECTIVE_HUBER)
		ml_renew_leaves(o, b->matrix, b->grower, tree, b->problem->monotone, b->max_weight, b->value);
	ml_trees_add(b->trees, tree, b->output, b->value, b->params->learning_rate);
	for (int i = 0; i < tree->n; i++)
		b->value[i] *= b->params->learning_rate;
	b->tree = tree;
	b->tree_output = b->output;
	return tree->n > 1 || fabs(b->value[0]) > 1e-9 * fmax(1, fabs(b->trees->base[b->output]));
}

/* Adds the last tree to the scores, when no next one does it. */
static void
finish_round(MlBoosting *b)
{
	if (b->tree == NULL)
		return;
	ml_boosting_blocks(b, apply_last);
	ml_tree_free(b->tree);
	ml_free(b->value);
	b->tree = NULL;
}

int
ml_boosting_run(MlBoosting *b, int rounds, const char **stop)
{
	const MlBoostingParams *params = b->params;
	bool		sampled = params->subsample < 1 || params->colsample < 1 ||
		params->colsample_level < 1 || params->colsample_node < 1;
	double		best = INFINITY;
	int			kept = 0;
	int			old = b->trees->ntrees;

	*stop = "all rounds done";
	for (int round = 1; round <= rounds; round++)
	{
		bool		changes = false;

		for (b->output = 0; b->output < b->outputs; b->output++)
			changes |= grow(b);
		ml_report_iteration(round, b->loss);
		ml_report_learning(round - 1, b->loss, NAN);
		if (!b->validate)
			kept = round;
		else
		{
			double		held;

			finish_round(b);
			held = measure_held_out(b);
			ml_report_learning(round, NAN, held);
			if (held < best)
			{
				best = held;
				kept = round;
			}
			else if (round - kept >= params->early_stopping)
			{
				*stop = "rows held out were predicted no better";
				break;
			}
		}
		if (!changes && !sampled)
		{
			*stop = "no split lowers the loss";
			break;
		}
	}
	ml_trees_truncate(b->trees, old + kept * b->outputs);
	return kept;
}
