/*
 * renewal.c - weighted quantiles of rows by cell, and with them the leaf values
 * of losses whose curvature says nothing.
 *
 * A quantile is selected by the bytes of the values, the highest first: a
 * histogram of weights over the byte's 256 values tells which of them the
 * quantile has; the next pass looks only at rows that agree so far.  Four
 * passes, no sorting, no copy of the rows, the same in memory and spilled; sums
 * are of whole numbers, so the order of rows does not matter.
 *
 * Two places are followed at a time, the least value whose rows and those below
 * hold at least the share and the least where they hold more: every value between them
 * minimises the quantile loss, and their middle is taken (the usual median).
 */
#include "objectives.h"

#include <math.h>
#include <string.h>

#define WEIGHT_UNITS 1048576.0	/* the greatest weight: 2^43 rows fit */
#define CELLS_AT_ONCE 4096		/* 16 MB of histograms */
#define BYTES 256

typedef __int128 MlInt128 __attribute__((aligned(8)));	/* memory of ml_alloc is no better aligned */

/* One of the two places in a cell. */
typedef struct Place
{
	uint32_t	prefix;			/* bytes known so far, from the top */
	int64_t		below;			/* weight of the rows below all that have this prefix */
} Place;

typedef struct Selection
{
	MlMatrix   *matrix;
	int			first;			/* cells of this turn */
	int			cells;
	double		scale;			/* weight to units */
	MlCells		fill;
	void	   *arg;
	int		   *cell;			/* ML_BLOCK_ROWS */
	float	   *value;
	Place	   *place;			/* cells x 2 */
	int64_t    *histogram;		/* cells x 2 x BYTES */
	int64_t    *total;			/* cells */
} Selection;

/* Whole numbers in the order of the floats. */
static uint32_t
key_of(float value)
{
	uint32_t	bits;

	value += 0.0F;				/* one zero */
	memcpy(&bits, &value, sizeof(bits));
	return bits >> 31 ? ~bits : bits | 0x80000000U;
}

static float
value_of(uint32_t key)
{
	uint32_t	bits = key >> 31 ? key & 0x7fffffffU : ~key;
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static int64_t
units(const Selection *s, const MlBlock *block, int row)
{
	int64_t		n;

	if (block->w == NULL)
		return 1;
	n = llrint(block->w[row] * s->scale);
	return n > 0 ? n : 1;
}

/* Weights by the byte at `shift` of the rows that agree with a cell's places in the bytes above. */
static void
count_block(Selection *s, const MlBlock *block, int shift)
{
	s->fill(s->arg, block, s->cell, s->value);
	for (int i = 0; i < block->n; i++)
	{
		int			cell = s->cell[i] - s->first;
		uint32_t	key;
		uint32_t	above;
		const Place *place;
		int64_t    *histogram;

		if (s->cell[i] < 0 || cell < 0 || cell >= s->cells)
			continue;
		key = key_of(s->value[i]);
		above = shift == 24 ? 0 : key >> (shift + 8);
		place = s->place + 2 * cell;
		histogram = s->histogram + (size_t) 2 * cell * BYTES + (key >> shift & 0xff);
		/* places that still agree share the first histogram */
		if (above == place[0].prefix)
			histogram[0] += units(s, block, i);
		else if (above == place[1].prefix)
			histogram[BYTES] += units(s, block, i);
	}
}

/* The next byte of a place: the first where the weight reaches the target, or with `beyond` exceeds it. */
static void
descend(Place *place, const int64_t *histogram, double target, bool beyond)
{
	int			last = -1;
	int64_t		below = place->below;

	for (int k = 0; k < BYTES; k++)
	{
		double		sum = (double) (below + histogram[k]);

		if (histogram[k] == 0)
			continue;
		last = k;
		place->below = below;
		if (beyond ? sum > target : sum >= target)
			break;
		below += histogram[k];
	}
	place->prefix = place->prefix << 8 | (uint32_t) (last < 0 ? 0 : last);
}

static void
select_cells(Selection *s, double quantile, double *out)
{
	memset(s->place, 0, sizeof(Place) * 2 * s->cells);
	for (int shift = 24; shift >= 0; shift -= 8)
	{
		memset(s->histogram, 0, sizeof(int64_t) * 2 * BYTES * s->cells);
		for (int i = 0; i < s->matrix->nblocks; i++)
			count_block(s, ml_matrix_block(s->matrix, i, false), shift);
		for (int c = 0; c < s->cells; c++)
		{
			const int64_t *histogram = s->histogram + (size_t) 2 * c * BYTES;
			Place	   *place = s->place + 2 * c;
			bool		together = place[0].prefix == place[1].prefix;
			double		target;

			if (shift == 24)
			{
				s->total[c] = 0;
				for (int k = 0; k < BYTES; k++)
					s->total[c] += histogram[k];
			}
			target = quantile * (double) s->total[c];
			descend(&place[0], histogram, target, false);
			descend(&place[1], together ? histogram : histogram + BYTES, target, true);
		}
	}
	for (int c = 0; c < s->cells; c++)
		out[c] = s->total[c] == 0 ? NAN :
			((double) value_of(s->place[2 * c].prefix) + value_of(s->place[2 * c + 1].prefix)) / 2;
}

void
ml_quantiles(MlMatrix *matrix, int cells, double quantile, float max_weight, MlCells fill, void *arg, double *out)
{
	int			at_once = cells < CELLS_AT_ONCE ? cells : CELLS_AT_ONCE;
	Selection	s = {
		.matrix = matrix, .fill = fill, .arg = arg,
		.scale = WEIGHT_UNITS / max_weight,
		.cell = ml_alloc(ML_BLOCK_ROWS, sizeof(int)),
		.value = ml_alloc(ML_BLOCK_ROWS, sizeof(float)),
		.place = ml_alloc((size_t) 2 * at_once, sizeof(Place)),
		.histogram = ml_alloc((size_t) 2 * at_once * BYTES, sizeof(int64_t)),
		.total = ml_alloc(at_once, sizeof(int64_t)),
	};

	for (s.first = 0; s.first < cells; s.first += at_once)
	{
		s.cells = cells - s.first < at_once ? cells - s.first : at_once;
		select_cells(&s, quantile, out + s.first);
	}
	ml_free(s.cell);
	ml_free(s.value);
	ml_free(s.place);
	ml_free(s.histogram);
	ml_free(s.total);
}

/* ---- leaves ---- */

typedef struct Leaves
{
	MlGrower   *grower;
	const MlTree *tree;
	int		   *number;			/* of each node: its number among the leaves */
	int			n;
	double	   *value;			/* of each leaf */
} Leaves;

/* Cell: the leaf; value: how far the target lies above the score. */
static void
residuals(void *arg, const MlBlock *block, int *cell, float *value)
{
	const Leaves *leaves = arg;
	const int  *node;
	const int  *start;
	int			n = ml_grower_leaves(leaves->grower, block, &node, &start);

	for (int i = 0; i < block->n; i++)
		cell[i] = -1;
	for (int l = 0; l < n; l++)
		for (int i = start[l]; i < start[l + 1]; i++)
		{
			int			row = block->order[i];

			cell[row] = leaves->number[node[l]];
			value[row] = (float) (block->y[row] - block->score[row]);
		}
}

/*
 * Huber loss, from a leaf's median m: one step of the mean of the residuals about
 * m, clipped to delta (Friedman 2001, algorithm 4).  Sums are of whole numbers,
 * delta being 2^30 and the greatest weight 2^20 of them.
 */
static void
add_clipped_means(Leaves *leaves, MlMatrix *matrix, double delta, float max_weight)
{
	MlInt128   *sum = ml_alloc(leaves->n, sizeof(MlInt128));
	int64_t    *weight = ml_alloc(leaves->n, sizeof(int64_t));
	int		   *cell = ml_alloc(ML_BLOCK_ROWS, sizeof(int));
	float	   *value = ml_alloc(ML_BLOCK_ROWS, sizeof(float));
	double		unit = delta / (1 << 30);

	for (int b = 0; b < matrix->nblocks; b++)
	{
		const MlBlock *block = ml_matrix_block(matrix, b, false);

		residuals(leaves, block, cell, value);
		for (int i = 0; i < block->n; i++)
		{
			double		w = block->w ? block->w[i] / max_weight * WEIGHT_UNITS : 1;
			double		d;

			if (cell[i] < 0)
				continue;
			d = value[i] - leaves->value[cell[i]];
			d = d > delta ? delta : d < -delta ? -delta : d;
			sum[cell[i]] += (__int128) llrint(w) * llrint(d / unit);
			weight[cell[i]] += llrint(w);
		}
	}
	for (int l = 0; l < leaves->n; l++)
		if (weight[l] > 0)
			leaves->value[l] += (double) sum[l] * unit / (double) weight[l];
	ml_free(sum);
	ml_free(weight);
	ml_free(cell);
	ml_free(value);
}

/*
 * Puts leaf values back in the order that monotone columns ask for: below a
 * split of such a column all leaves on one side stay on their side of the mean of the two
 * children's values.  Values of inner nodes are means of the leaves below, by weight.
 */
static void
restore_order(const MlTree *tree, const signed char *monotone, double *value)
{
	double	   *low = ml_alloc(tree->n, sizeof(double));
	double	   *high = ml_alloc(tree->n, sizeof(double));

	/* children come after their parent */
	for (int i = tree->n - 1; i >= 0; i--)
	{
		const MlGrown *node = &tree->node[i];
		const MlGrown *left = tree->node + node->left;
		double		h;

		if (node->left == 0)
			continue;
		h = left[0].h + left[1].h;
		value[i] = h > 0 ? (value[node->left] * left[0].h + value[node->left + 1] * left[1].h) / h :
			(value[node->left] + value[node->left + 1]) / 2;
	}
	low[0] = -INFINITY;
	high[0] = INFINITY;
	for (int i = 0; i < tree->n; i++)
	{
		const MlGrown *node = &tree->node[i];
		int			left = node->left;
		double		middle;

		value[i] = fmin(fmax(value[i], low[i]), high[i]);
		if (left == 0)
			continue;
		low[left] = low[left + 1] = low[i];
		high[left] = high[left + 1] = high[i];
		if (monotone[node->feature] == 0)
			continue;
		middle = fmin(fmax((value[left] + value[left + 1]) / 2, low[i]), high[i]);
		if (monotone[node->feature] > 0)
			high[left] = low[left + 1] = middle;
		else
			low[left] = high[left + 1] = middle;
	}
	ml_free(low);
	ml_free(high);
}

void
ml_renew_leaves(const MlObjective *objective, MlMatrix *matrix, MlGrower *grower, const MlTree *tree,
				const signed char *monotone, float max_weight, double *value)
{
	Leaves		leaves = {
		.grower = grower, .tree = tree,
		.number = ml_alloc(tree->n, sizeof(int)),
		.value = ml_alloc(tree->n, sizeof(double)),
	};

	for (int i = 0; i < tree->n; i++)
		if (tree->node[i].left == 0)
			leaves.number[i] = leaves.n++;
	ml_quantiles(matrix, leaves.n, objective->quantile, max_weight, residuals, &leaves, leaves.value);
	if (objective->kind == ML_OBJECTIVE_HUBER)
		add_clipped_means(&leaves, matrix, objective->delta, max_weight);
	for (int i = 0; i < tree->n; i++)
		if (tree->node[i].left == 0 && !isnan(leaves.value[leaves.number[i]]))
			value[i] = leaves.value[leaves.number[i]];
	if (monotone != NULL)
		restore_order(tree, monotone, value);
	ml_free(leaves.number);
	ml_free(leaves.value);
}
