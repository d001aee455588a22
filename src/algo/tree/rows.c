/*
 * rows.c - where the rows of a node lie, and its histogram.
 *
 * The rows of a node are a segment of `order` in each block.  A split parts every
 * segment in two, in place and in order.  Blocks are worked on by several threads, each
 * with a histogram of its own; sums of whole numbers do not tell who added first.
 */
#include <string.h>

#include "growing.h"
#include "num/threads.h"

#define AHEAD 64				/* rows to prefetch ahead of their bin's use */
#define CHUNK 8192				/* segments allocated at once */
#define ROW_UPDATES 6			/* as many take as long as waiting for a row */
#define SHARED_ROWS 8192		/* of a node that is worth several threads */

/* To be told of `work` updates of a cell or as much. */
void
ml_grower_worked(MlGrower *grower, size_t work)
{
	grower->updates += work;
	if (grower->updates >= ML_UPDATES)
	{
		grower->updates = 0;
		ml_check_interrupts();
	}
}

int
ml_grower_segment(const MlNode *node, int block)
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

MlSegment *
ml_grower_segments(MlGrower *grower, size_t n)
{
	MlChunk    *chunk;

	while (grower->chunk_at < grower->nchunks &&
		   grower->chunk_used + n > grower->chunk[grower->chunk_at].room)
	{
		grower->chunk_at++;
		grower->chunk_used = 0;
	}
	if (grower->chunk_at == grower->nchunks)
	{
		MlChunk    *more = ml_alloc(grower->nchunks + 1, sizeof(MlChunk));

		if (grower->chunk != NULL)
		{
			memcpy(more, grower->chunk, sizeof(MlChunk) * grower->nchunks);
			ml_free(grower->chunk);
		}
		grower->chunk = more;
		chunk = grower->chunk + grower->nchunks++;
		chunk->room = n > CHUNK ? n : CHUNK;
		chunk->segment = ml_alloc(chunk->room, sizeof(MlSegment));
	}
	chunk = grower->chunk + grower->chunk_at;
	grower->chunk_used += n;
	return chunk->segment + grower->chunk_used - n;
}

/* A histogram for node i: a free one, a new one, or one that waits for its node's children. */
int
ml_grower_take_slot(MlGrower *grower, int i)
{
	int			slot = 0;

	while (slot < grower->nslots && grower->slot_node[slot] >= 0)
		slot++;
	if (slot == grower->nslots && slot < grower->most_slots)
		grower->slot[grower->nslots++] = ml_alloc(grower->slot_cells, sizeof(int64_t));
	else if (slot == grower->nslots)
	{
		for (slot = 0; slot < grower->nslots; slot++)
		{
			const MlNode *node = grower->nodes.node + grower->slot_node[slot];

			if (node->left != 0 && !node->busy)
				break;
		}
		if (slot == grower->nslots)
			return -1;
		grower->nodes.node[grower->slot_node[slot]].slot = -1;
	}
	grower->slot_node[slot] = i;
	grower->nodes.node[i].slot = slot;
	return slot;
}

bool
ml_grower_free_slot(const MlGrower *grower)
{
	for (int slot = 0; slot < grower->nslots; slot++)
		if (grower->slot_node[slot] < 0)
			return true;
	return grower->nslots < grower->most_slots;
}

void
ml_grower_give_slot(MlGrower *grower, int i)
{
	MlNode	   *node = grower->nodes.node + i;

	if (node->slot >= 0)
		grower->slot_node[node->slot] = -1;
	node->slot = -1;
}

void
ml_grower_clear(MlGrower *grower, int i, const MlPlan *plan)
{
	memset(grower->slot[grower->nodes.node[i].slot], 0, sizeof(int64_t) * plan->first[plan->n] * plan->width);
}

/* ---- jobs over the segments of a node ---- */

typedef struct Job
{
	MlGrower   *grower;
	const MlNode *node;
	const MlPlan *plan;
	int			pieces;			/* of a segment */
	bool		part;			/* its rows are parted first */
	int			side;			/* sums the rows that go to this side; -1: none */
	int			from;			/* item 0 */
} Job;

/* Adds rows of a block to the lane's histogram; all of them need no order. */
static void
add_rows(const Job *job, MlLane *lane, const MlBlock *block, const uint16_t *order, int n)
{
	const uint16_t *rows = n == block->n ? NULL : order;

	ml_histogram_add(job->grower->matrix, job->plan, &lane->adder, block, rows, n, lane->cells);
}

/* A kernel: one piece of a segment. */
static void
do_item(void *arg, int item)
{
	const Job  *job = arg;
	MlGrower   *grower = job->grower;
	MlLane	   *lane = grower->lane + (grower->nlanes > 1 ? ml_thread_number() : 0);
	int			s = (job->from + item) / job->pieces;
	int			piece = (job->from + item) % job->pieces;
	const MlSegment *segment = job->node->segment + s;
	const MlBlock *block = grower->block[segment->block];
	uint16_t   *order = block->order + segment->start;
	int			n = segment->count;

	lane->used = true;
	if (job->part)
	{
		int			left = grower->left[s] = ml_grower_part(grower->matrix, lane, block, job->node->feature,
																grower->goes, order, n);

		if (job->side >= 0)
			add_rows(job, lane, block, job->side ? order + left : order, job->side ? n - left : left);
	}
	else
	{
		int			start = (int) ((int64_t) n * piece / job->pieces);
		int			end = (int) ((int64_t) n * (piece + 1) / job->pieces);

		add_rows(job, lane, block, order + start, end - start);
	}
}

/* Does items job->from to n - 1, with interrupts let through; what the lanes summed ends in `cells`. */
static void
run(Job *job, int n, int64_t *cells)
{
	MlGrower   *grower = job->grower;
	size_t		size = job->plan->first[job->plan->n] * job->plan->width;
	bool		sums = !job->part || job->side >= 0;
	size_t		updates = (size_t) (job->node->rows / job->node->nsegments / job->pieces + 1) * (ROW_UPDATES + (sums ? job->plan->n : 0));
	int			at_once = (int) (ML_UPDATES / (updates + 1)) + 1;

	if (grower->nlanes == 1 || job->node->rows < SHARED_ROWS)
	{
		grower->lane->cells = cells;
		for (int i = 0; job->from + i < n; i++)
		{
			do_item(job, i);
			ml_grower_worked(grower, updates);
		}
		if (sums)
			ml_histogram_flush(grower->matrix, job->plan, &grower->lane->adder, cells);
		return;
	}
	for (int t = 0; t < grower->nlanes; t++)
	{
		grower->lane[t].used = false;
		if (t == 0)
			grower->lane->cells = cells;
		else if (sums)
			memset(grower->lane[t].cells, 0, sizeof(int64_t) * size);
	}
	for (; job->from < n; job->from += at_once * grower->nlanes)
	{
		int			left = n - job->from;

		ml_threads_run(left < at_once * grower->nlanes ? left : at_once * grower->nlanes, do_item, job);
		ml_check_interrupts();
	}
	for (int t = 0; sums && t < grower->nlanes; t++)
	{
		MlLane	   *lane = grower->lane + t;

		if (t > 0 && !lane->used)
			continue;
		ml_histogram_flush(grower->matrix, job->plan, &lane->adder, lane->cells);
		for (size_t q = 0; t > 0 && q < size; q++)
			cells[q] += lane->cells[q];
	}
}

/* Sums the rows of node i into its histogram. */
void
ml_grower_sum(MlGrower *grower, int i, const MlPlan *plan)
{
	const MlNode *node = grower->nodes.node + i;
	int			pieces = 1 + (int) ((size_t) ML_BLOCK_ROWS * plan->n / ML_UPDATES);
	Job			job = {.grower = grower, .node = node, .plan = plan, .pieces = pieces, .side = -1};

	ml_grower_clear(grower, i, plan);
	run(&job, node->nsegments * pieces, grower->slot[node->slot]);
}

/* Moves rows whose bin goes left to the front, the others to spare; returns how many go left. */
static int
part8(const uint8_t *bin, size_t p, uint16_t *order, int n, const uint8_t *goes, uint16_t *spare)
{
	int			left = 0;

	for (int i = 0; i < n; i++)
	{
		uint16_t	row = order[i];

		if (i + AHEAD < n)
			PREFETCH(bin + order[i + AHEAD] * p);
		order[left] = row;
		spare[i - left] = row;
		left += goes[bin[row * p]];
	}
	return left;
}

static int
part16(const uint16_t *bin, size_t p, uint16_t *order, int n, const uint8_t *goes, uint16_t *spare)
{
	int			left = 0;

	for (int i = 0; i < n; i++)
	{
		uint16_t	row = order[i];

		if (i + AHEAD < n)
			PREFETCH(bin + order[i + AHEAD] * p);
		order[left] = row;
		spare[i - left] = row;
		left += goes[bin[row * p]];
	}
	return left;
}

/* Parts a segment of a block: rows that go left first, all in the order they had.  Returns how many go left. */
int
ml_grower_part(const MlMatrix *matrix, MlLane *lane, const MlBlock *block, int feature, const uint8_t *goes,
			   uint16_t *order, int n)
{
	uint16_t   *spare = lane->spare;
	int			left;
	int			right;

	if (matrix->wide)
		left = part16(block->bin16 + feature, matrix->p, order, n, goes, spare);
	else
		left = part8(block->bin8 + feature, matrix->p, order, n, goes, spare);
	right = n - left;
	memcpy(order + left, spare, sizeof(uint16_t) * right);
	return left;
}

void
ml_grower_fill_goes(const MlGrower *grower, int i, uint8_t *goes)
{
	const MlNode *node = grower->nodes.node + i;
	const uint32_t *set = grower->nodes.sets + (size_t) i * grower->nodes.words;
	const MlBins *bins = grower->matrix->bins + node->feature;

	for (int b = 0; b <= bins->n; b++)
		goes[b] = ml_node_goes_left(node, set, bins, b);
}

void
ml_grower_add_child(MlNode *child, int block, int start, int count)
{
	if (count > 0)
		child->segment[child->nsegments++] = (MlSegment) {.block = block, .start = start, .count = count};
	child->rows += count;
}

/*
 * Hands the rows of node i to its children; in place of its segments come those of the left child.
 * With `sum` the child that gets fewer rows of the first segment is summed on the way, while the
 * bins of its rows are in the cache: returns its side.  Otherwise -1.
 */
int
ml_grower_hand_down(MlGrower *grower, int i, bool sum)
{
	MlNode	   *node = grower->nodes.node + i;
	MlNode	   *child = grower->nodes.node + node->left;
	Job			job = {.grower = grower, .node = node, .plan = &grower->plan, .pieces = 1, .part = true, .side = -1};
	int64_t    *cells = NULL;
	int			n = node->nsegments;

	ml_grower_fill_goes(grower, i, grower->goes);
	if (sum)
	{
		const MlSegment *segment = node->segment;
		const MlBlock *block = grower->block[segment->block];
		uint16_t   *order = block->order + segment->start;
		int			left = ml_grower_part(grower->matrix, grower->lane, block, node->feature, grower->goes, order,
										  segment->count);

		job.side = segment->count - left < left;
		cells = grower->slot[ml_grower_take_slot(grower, node->left + job.side)];
		ml_grower_clear(grower, node->left + job.side, &grower->plan);
		grower->lane->cells = cells;
		grower->left[0] = left;
		job.from = 1;
		add_rows(&job, grower->lane, block, job.side ? order + left : order, job.side ? segment->count - left : left);
	}
	run(&job, n, cells);
	child[0].segment = node->segment;
	child[1].segment = ml_grower_segments(grower, n);
	for (int s = 0; s < n; s++)
	{
		MlSegment	segment = node->segment[s];
		int			left = grower->left[s];

		ml_grower_add_child(child, segment.block, segment.start, left);
		ml_grower_add_child(child + 1, segment.block, segment.start + left, segment.count - left);
	}
	node->nsegments = 0;
	node->expanded = true;
	return job.side;
}

/* Makes the histogram of child `other` of node i out of that of the node, which it takes, and its sibling's. */
void
ml_grower_subtract(MlGrower *grower, int i, int other, int summed)
{
	size_t		n = grower->plan.first[grower->plan.n] * grower->plan.width;
	int			slot = grower->nodes.node[i].slot;
	int64_t    *rest = grower->slot[slot];
	const int64_t *less = grower->slot[grower->nodes.node[summed].slot];

	for (size_t q = 0; q < n; q++)
		rest[q] -= less[q];
	grower->slot_node[slot] = other;
	grower->nodes.node[other].slot = slot;
	grower->nodes.node[i].slot = -1;
}
