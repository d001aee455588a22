/*
 * levels.c - splits many nodes at once: block by block, in memory.
 *
 * Node by node every split goes through the bins of all blocks, and deep in a tree each row of a
 * node lies in a cache line of its own: waiting for memory then takes as long as the sums.  Here a
 * block comes into the L2 cache once for all nodes of a level, and is parted and summed
 * there (a fifth less time a tree: 1M x 20, depth 6).  Sums are of whole numbers, so that the tree is the same.
 *
 * Nodes of few rows a block are left to grow.c: there is little to wait for.
 *
 * Threads take blocks, then nodes.  For each sum a thread has room of its own, so that packed words are
 * emptied once a node, not once a block.  It stays with the grower and takes at most half of
 * what the budget leaves; that limits how many nodes go together.
 */
#include <string.h>

#include "growing.h"
#include "num/threads.h"

#define LEAST_BLOCKS 4			/* fewer lie in the cache anyway */
#define LEAST_ROWS 256			/* a block, of a node */
#define MOST_STRIDE 40			/* bytes of bins a row: a block and its gradients are to fit the L2 cache */

/* What one thread adds up for one node. */
typedef struct Sums
{
	MlAdder		adder;			/* packed */
	int64_t    *cells;			/* otherwise; the first thread has the node's histogram */
	bool		used;
} Sums;

/* A node that is split in this pass. */
typedef struct Step
{
	int			node;
	int			side;			/* of the child that is summed; -1: none */
	int			sum;			/* number of that sum */
	int			first;			/* four nodes: children of its children */
	MlWay		way[2];
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
	Sums	   *sums;			/* sums_room x lanes */
	int			sums_made;
	int			sums_room;
	bool		packed;			/* what they are made for */
	int			first;			/* block or step of item 0 */
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

static void
free_sums(MlGrower *grower)
{
	MlLevels   *levels = grower->levels;

	for (int k = 0; k < levels->sums_made * grower->nlanes; k++)
	{
		ml_adder_free(&levels->sums[k].adder);
		if (levels->sums[k].cells != NULL)
			ml_free(levels->sums[k].cells);
		levels->sums[k].cells = NULL;
	}
	levels->sums_made = 0;
}

/* Whether each thread has room for one sum more. */
static bool
has_sums(MlGrower *grower)
{
	MlLevels   *levels = grower->levels;
	const MlPlan *plan = &grower->plan;
	int			lanes = grower->nlanes;
	size_t		cells = grower->slot_cells / plan->width;
	size_t		bytes = plan->packed ? ml_adder_cells(grower->matrix, cells, plan) * sizeof(uint64_t) * lanes :
		grower->slot_cells * sizeof(int64_t) * (lanes - 1);

	if (levels->packed != plan->packed)
		free_sums(grower);
	levels->packed = plan->packed;
	if (levels->nsums < levels->sums_made)
		return true;
	if (bytes > ml_memory_left() / 2)
		return false;
	if (levels->sums_made == levels->sums_room)
	{
		int			room = 2 * levels->sums_room + 16;
		Sums	   *sums = ml_alloc((size_t) room * lanes, sizeof(Sums));

		if (levels->sums != NULL)
		{
			memcpy(sums, levels->sums, sizeof(Sums) * levels->sums_made * lanes);
			ml_free(levels->sums);
		}
		levels->sums = sums;
		levels->sums_room = room;
	}
	for (int t = 0; t < lanes; t++)
	{
		Sums	   *sums = levels->sums + levels->sums_made * lanes + t;

		ml_adder_create(&sums->adder, grower->matrix, cells, plan);
		if (!plan->packed && t > 0)
			sums->cells = ml_alloc(grower->slot_cells, sizeof(int64_t));
	}
	levels->sums_made++;
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
		if (!ml_grower_free_slot(grower) || !has_sums(grower))
			return false;
		step->side = child[1].h < child[0].h;	/* most often that of fewer rows */
		ml_grower_take_slot(grower, node->left + step->side);
		ml_grower_clear(grower, node->left + step->side, &grower->plan);
		step->sum = levels->nsums++;
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

/* Adds a segment of the child that a step sums. */
static void
add_segment(MlGrower *grower, const Step *step, int t, const MlBlock *block, const MlSegment *segment)
{
	const MlPlan *plan = &grower->plan;
	const MlNode *child = grower->nodes.node + grower->nodes.node[step->node].left + step->side;
	Sums	   *sums = grower->levels->sums + step->sum * grower->nlanes + t;
	int64_t    *cells = sums->cells != NULL ? sums->cells : grower->slot[child->slot];

	sums->used = true;
	if (plan->packed && sums->adder.pending + segment->count > ML_BLOCK_ROWS)
	{
		ml_threads_lock();
		ml_histogram_flush(grower->matrix, plan, &sums->adder, cells);
		ml_threads_unlock();
	}
	ml_histogram_add(grower->matrix, plan, &sums->adder, block,
					 segment->count == block->n ? NULL : block->order + segment->start, segment->count, cells);
}

/* A kernel: the rows of a block. */
static void
do_block(void *arg, int item)
{
	MlGrower   *grower = arg;
	MlLevels   *levels = grower->levels;
	int			t = grower->nlanes > 1 ? ml_thread_number() : 0;
	const MlBlock *block = grower->block[levels->first + item];

	for (int k = 0; k < levels->n; k++)
	{
		const Step *step = levels->step + k;
		const MlNode *node = grower->nodes.node + step->node;
		const MlNode *child = grower->nodes.node + node->left;
		int			s = ml_grower_segment(node, block->number);
		MlSegment	segment;
		int			left;

		if (s < 0)
			continue;
		segment = node->segment[s];
		left = ml_grower_part(grower->matrix, grower->lane + t, block, node->feature, step->goes,
							  block->order + segment.start, segment.count);
		child[0].segment[s] = (MlSegment) {.block = block->number, .start = segment.start, .count = left};
		child[1].segment[s] = (MlSegment) {.block = block->number, .start = segment.start + left,
			.count = segment.count - left};
		if (step->side >= 0)
			add_segment(grower, step, t, block, child[step->side].segment + s);
	}
}

/* Brings a step's sums together in the histogram of the child. */
static void
collect_sums(MlGrower *grower, const Step *step, int64_t *cells)
{
	const MlPlan *plan = &grower->plan;
	size_t		n = plan->first[plan->n] * plan->width;

	for (int t = 0; t < grower->nlanes; t++)
	{
		Sums	   *sums = grower->levels->sums + step->sum * grower->nlanes + t;

		if (!sums->used)
			continue;
		sums->used = false;
		ml_histogram_flush(grower->matrix, plan, &sums->adder, cells);
		if (sums->cells == NULL)
			continue;
		for (size_t q = 0; q < n; q++)
			cells[q] += sums->cells[q];
		memset(sums->cells, 0, sizeof(int64_t) * n);
	}
}

/* A kernel: the histograms of a step's children, and the splits that are found in them. */
static void
do_children(void *arg, int item)
{
	MlGrower   *grower = arg;
	MlLevels   *levels = grower->levels;
	const Step *step = levels->step + levels->first + item;
	MlSearch   *search = &grower->lane[grower->nlanes > 1 ? ml_thread_number() : 0].search;
	MlNodes    *nodes = &grower->nodes;
	int			left = nodes->node[step->node].left;
	int			other = 1 - step->side;

	if (step->side < 0)
		return;
	collect_sums(grower, step, grower->slot[nodes->node[left + step->side].slot]);
	if (step->way[other] == ML_WAY_MANY)
		ml_grower_subtract(grower, step->node, left + other, left + step->side);
	for (int side = 0; side < 2; side++)
	{
		int			first = step->first + 2 * side;

		if (step->way[side] != ML_WAY_MANY)
			continue;
		ml_grower_search(grower, search, left + side, false);
		if (ml_search_found(search))
			ml_nodes_split(nodes, left + side, first, search);
		else
			nodes->node[first] = nodes->node[first + 1] = (MlNode) {.slot = -1};
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
run(MlGrower *grower, int n, size_t updates, void (*kernel) (void *arg, int i))
{
	MlLevels   *levels = grower->levels;
	int			at_once = ((int) (ML_UPDATES / updates) + 1) * grower->nlanes;

	for (levels->first = 0; levels->first < n; levels->first += at_once)
	{
		ml_threads_run(n - levels->first < at_once ? n - levels->first : at_once, kernel, grower);
		ml_check_interrupts();
	}
}

/* The children have their rows: which of them are to be looked at, and room for what is found. */
static void
settle_rows(MlGrower *grower)
{
	MlLevels   *levels = grower->levels;

	ml_nodes_reserve(&grower->nodes, 4 * levels->n);
	for (int k = 0; k < levels->n; k++)
	{
		Step	   *step = levels->step + k;
		MlNode	   *node = grower->nodes.node + step->node;

		for (int side = 0; side < 2; side++)
		{
			settle_segments(grower->nodes.node + node->left + side);
			step->way[side] = ml_grower_way(grower, node->left + side);
		}
		node->nsegments = 0;
		node->expanded = true;
		step->first = grower->nodes.n;
		grower->nodes.n += step->side >= 0 ? 4 : 0;
	}
}

bool
ml_grower_expand_level(MlGrower *grower)
{
	MlLevels   *levels;
	size_t		cells = grower->slot_cells;

	choose(grower);
	levels = grower->levels;
	if (levels->n == 0)
		return false;
	run(grower, grower->matrix->nblocks, (size_t) ML_BLOCK_ROWS * (grower->plan.n + 4), do_block);
	settle_rows(grower);
	run(grower, levels->n, 8 * cells, do_children);
	for (int k = 0; k < levels->n; k++)
		ml_grower_looked(grower, levels->step[k].node, levels->step[k].way);
	return true;
}
