/*
 * levels.c - splits many nodes at once: block by block, in memory.
 *
 * Node by node every split goes through the bins of all blocks, and deep in a tree each row of a
 * node lies in a cache line of its own: waiting for memory then takes as long as the sums.  Here a
 * block comes into the L2 cache once for all nodes of a level, and is parted and summed
 * there (a fifth less time a tree: 1M x 20, depth 6).  Sums are of whole numbers, so that the tree is the same.
 *
 * Nodes of few rows a block are left to grow.c: to empty the packed sums would take longer than
 * the waiting.
 *
 * Threads take blocks.  Those beside the caller sum into histograms of their own, which stay with
 * the grower and take at most half of what the budget leaves; that limits how many nodes go together.
 */
#include <string.h>

#include "growing.h"
#include "num/threads.h"

#define LEAST_BLOCKS 4			/* fewer lie in the cache anyway */
#define LEAST_ROWS 256			/* a block, of a node */
#define MOST_STRIDE 40			/* bytes of bins a row: a block and its gradients are to fit the L2 cache */

/* A node that is split in this pass. */
typedef struct Step
{
	int			node;
	int			side;			/* of the child that is summed; -1: none */
	uint8_t    *goes;
} Step;

struct MlLevels
{
	Step	   *step;
	int			n;
	int			room;
	int			nsums;
	uint8_t    *goes;			/* room x bins */
	size_t		bins;
	int64_t   **cells;			/* extra x (lanes - 1): histograms of the lanes beside the first */
	int			extra;
	int			extra_room;
	int			first;			/* block of item 0 */
};

/* Whether a node's split is worth a place in a pass. */
static bool
fits(const MlGrower *grower, int i)
{
	const MlNode *node = grower->nodes.node + i;

	return !ml_grower_goes_on(grower, i) ||
		(node->slot >= 0 && node->rows > grower->few && node->rows >= (double) LEAST_ROWS * node->nsegments);
}

bool
ml_grower_levels(const MlGrower *grower)
{
	const MlMatrix *matrix = grower->matrix;

	return !matrix->spilled && !grower->direct && matrix->nblocks >= LEAST_BLOCKS &&
		(size_t) matrix->p * (matrix->wide ? 2 : 1) <= MOST_STRIDE;
}

/* ---- the choice of nodes ---- */

static void
reserve(MlGrower *grower, int n)
{
	MlLevels   *levels = grower->levels;

	if (levels == NULL)
	{
		levels = grower->levels = ml_alloc(1, sizeof(MlLevels));
		for (int j = 0; j < grower->matrix->p; j++)
			if (grower->matrix->bins[j].n + 1 > levels->bins)
				levels->bins = grower->matrix->bins[j].n + 1;
	}
	if (n <= levels->room)
		return;
	if (levels->room > 0)
	{
		ml_free(levels->step);
		ml_free(levels->goes);
	}
	levels->room = 2 * n;
	levels->step = ml_alloc(levels->room, sizeof(Step));
	levels->goes = ml_alloc(levels->room, levels->bins);
}

/* Whether each lane has a histogram for one sum more. */
static bool
has_cells(MlGrower *grower)
{
	MlLevels   *levels = grower->levels;
	int			others = grower->nlanes - 1;
	size_t		bytes = grower->slot_cells * sizeof(int64_t) * others;

	if (others == 0 || levels->nsums < levels->extra)
		return true;
	if (bytes > ml_memory_left() / 2)
		return false;
	if (levels->extra == levels->extra_room)
	{
		int			room = 2 * levels->extra_room + 16;
		int64_t   **cells = ml_alloc((size_t) room * others, sizeof(int64_t *));

		if (levels->extra > 0)
		{
			memcpy(cells, levels->cells, sizeof(int64_t *) * levels->extra * others);
			ml_free(levels->cells);
		}
		levels->cells = cells;
		levels->extra_room = room;
	}
	for (int t = 0; t < others; t++)
		levels->cells[(size_t) levels->extra * others + t] = ml_alloc(grower->slot_cells, sizeof(int64_t));
	levels->extra++;
	return true;
}

/* Adds a node to the pass; false when there is no histogram for its child. */
static bool
add_step(MlGrower *grower, int i)
{
	MlLevels   *levels = grower->levels;
	MlNode	   *node = grower->nodes.node + i;
	MlNode	   *child = grower->nodes.node + node->left;
	Step	   *step = levels->step + levels->n;

	step->node = i;
	step->side = -1;
	step->goes = levels->goes + levels->bins * levels->n;
	if (ml_grower_goes_on(grower, i))
	{
		if (!ml_grower_free_slot(grower) || !has_cells(grower))
			return false;
		step->side = child[1].h < child[0].h;	/* most often that of fewer rows */
		ml_grower_take_slot(grower, node->left + step->side);
		ml_grower_clear(grower, node->left + step->side, &grower->plan);
		levels->nsums++;
	}
	node->busy = true;
	node->taken = true;
	ml_grower_fill_goes(grower, i, step->goes);
	for (int side = 0; side < 2; side++)
	{
		child[side].segment = ml_grower_segments(grower, node->nsegments);
		child[side].nsegments = node->nsegments;
	}
	levels->n++;
	return true;
}

/* Takes nodes that are open into the pass. */
static void
choose(MlGrower *grower)
{
	MlLevels   *levels;
	int			kept = 0;
	bool		more = true;

	reserve(grower, grower->nopen);
	levels = grower->levels;
	levels->n = levels->nsums = 0;
	for (int k = 0; k < grower->nopen; k++)
	{
		int			i = grower->open[k];

		if (!(more && fits(grower, i) && (more = add_step(grower, i))))
			grower->open[kept++] = i;
	}
	grower->nopen = kept;
}

/* ---- the pass ---- */

/* The place of a block's segment among a node's, or -1. */
static int
find_segment(const MlNode *node, int block)
{
	int			low = 0;
	int			high = node->nsegments;

	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (node->segment[mid].block < block)
			low = mid + 1;
		else
			high = mid;
	}
	return low < node->nsegments && node->segment[low].block == block ? low : -1;
}

/* A kernel: the rows of a block. */
static void
do_block(void *arg, int item)
{
	MlGrower   *grower = arg;
	MlLevels   *levels = grower->levels;
	int			t = grower->nlanes > 1 ? ml_thread_number() : 0;
	MlLane	   *lane = grower->lane + t;
	const MlBlock *block = grower->block[levels->first + item];
	int			sum = 0;

	if (t > 0 && !lane->used)
		for (int k = 0; k < levels->nsums; k++)
			memset(levels->cells[(size_t) k * (grower->nlanes - 1) + t - 1], 0, sizeof(int64_t) * grower->slot_cells);
	lane->used = true;

	for (int k = 0; k < levels->n; k++)
	{
		const Step *step = levels->step + k;
		const MlNode *node = grower->nodes.node + step->node;
		const MlNode *child = grower->nodes.node + node->left;
		int			s = find_segment(node, block->number);
		int64_t    *cells = NULL;
		MlSegment	segment;
		uint16_t   *order;
		int			left;

		if (step->side >= 0)
			cells = t > 0 ? levels->cells[(size_t) sum * (grower->nlanes - 1) + t - 1] :
				grower->slot[child[step->side].slot];
		sum += step->side >= 0;
		if (s < 0)
			continue;
		segment = node->segment[s];
		order = block->order + segment.start;
		left = ml_grower_part(grower->matrix, lane, block, node->feature, step->goes, order, segment.count);
		child[0].segment[s] = (MlSegment) {.block = block->number, .start = segment.start, .count = left};
		child[1].segment[s] = (MlSegment) {.block = block->number, .start = segment.start + left,
			.count = segment.count - left};
		if (cells != NULL)
		{
			const MlSegment *summed = child[step->side].segment + s;

			ml_histogram_add(grower->matrix, &grower->plan, &lane->adder, block,
							 summed->count == block->n ? NULL : block->order + summed->start, summed->count, cells);
			ml_histogram_flush(grower->matrix, &grower->plan, &lane->adder, cells);
		}
	}
}

/* Counts the rows of a child, and leaves out segments without any. */
static void
settle_segments(MlNode *child)
{
	int			n = 0;

	for (int s = 0; s < child->nsegments; s++)
	{
		if (child->segment[s].count > 0)
			child->segment[n++] = child->segment[s];
		child->rows += child->segment[s].count;
	}
	child->nsegments = n;
}

static void
pass(MlGrower *grower)
{
	MlLevels   *levels = grower->levels;
	int			n = grower->matrix->nblocks;
	size_t		cells = grower->plan.first[grower->plan.n] * grower->plan.width;
	size_t		updates = (size_t) ML_BLOCK_ROWS * (grower->plan.n + 4);
	int			at_once = ((int) (ML_UPDATES / updates) + 1) * grower->nlanes;
	int			sum = 0;

	for (int t = 0; t < grower->nlanes; t++)
		grower->lane[t].used = false;
	for (levels->first = 0; levels->first < n; levels->first += at_once)
	{
		ml_threads_run(n - levels->first < at_once ? n - levels->first : at_once, do_block, grower);
		ml_check_interrupts();
	}
	for (int k = 0; k < levels->n; k++)
	{
		const Step *step = levels->step + k;
		MlNode	   *node = grower->nodes.node + step->node;
		MlNode	   *child = grower->nodes.node + node->left;

		for (int t = 1; step->side >= 0 && t < grower->nlanes; t++)
		{
			int64_t    *to = grower->slot[child[step->side].slot];
			const int64_t *from = levels->cells[(size_t) sum * (grower->nlanes - 1) + t - 1];

			for (size_t q = 0; grower->lane[t].used && q < cells; q++)
				to[q] += from[q];
		}
		sum += step->side >= 0;
		settle_segments(child);
		settle_segments(child + 1);
		node->nsegments = 0;
		node->expanded = true;
	}
}

bool
ml_grower_expand_level(MlGrower *grower)
{
	MlLevels   *levels;

	choose(grower);
	levels = grower->levels;
	if (levels->n == 0)
		return false;
	pass(grower);
	for (int k = 0; k < levels->n; k++)
		ml_grower_expanded(grower, levels->step[k].node, levels->step[k].side);
	return true;
}
