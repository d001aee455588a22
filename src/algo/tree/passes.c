/*
 * passes.c - grows a tree whose matrix is spilled: by passes over its blocks in sequence.
 *
 * A pass does for as many nodes as memory allows what grow.c does for one: it parts the rows of
 * nodes whose split is known and sums one child of each, sums nodes whose histogram
 * had no room, and copies the rows of nodes of few rows.  Where leaves are limited, nodes are
 * expanded before it is known whether their split will be taken, but no more than could be:
 * splits are then taken in the order of the tree.  A node expanded in vain keeps its segments.
 * Everything is found from the same sums as in memory, so that the tree is the same.
 */
#include <string.h>

#include "growing.h"

typedef enum Action
{
	EXPAND, SUM, COPY
} Action;

typedef struct Task
{
	int			node;
	Action		action;
	int			cursor;			/* next segment */
	int			side;			/* EXPAND: the child that is summed, -1: not known yet */
	bool		sum;			/* EXPAND: with the histogram that the left child holds */
	size_t		at;				/* COPY: first row in copy */
	int			copied;
} Task;

typedef struct Passes
{
	MlGrower   *grower;
	Task	   *task;
	int			ntasks;
	int			room;
	int		   *pending;		/* nodes that have their rows and were not looked at */
	int			npending;
	int		   *candidate;		/* nodes to be expanded, first ones first */
	int			ncandidates;
	char	   *copy;			/* rows of bins */
	MlGradient *gradient;
	uint16_t   *order;			/* 0, 1, ... */
	size_t		copy_rows;
	size_t		stride;
	int			leaves;
} Passes;

/* ---- what a pass does ---- */

/* Room for as many tasks, pending nodes and candidates as there can be. */
static void
reserve(Passes *p)
{
	int			need = 2 * (p->npending + p->ntasks + p->grower->nopen) + 64;
	int		   *pending;

	if (need <= p->room)
		return;
	pending = ml_alloc(2 * need, sizeof(int));
	if (p->room > 0)
	{
		memcpy(pending, p->pending, sizeof(int) * p->npending);
		ml_free(p->pending);
		ml_free(p->task);
		ml_free(p->candidate);
	}
	p->pending = pending;
	p->task = ml_alloc(2 * need, sizeof(Task));
	p->candidate = ml_alloc(2 * need, sizeof(int));
	p->room = 2 * need;
}

/* Nodes that could be expanded. */
static void
list_candidates(Passes *p)
{
	MlGrower   *grower = p->grower;
	const MlGrowth *growth = grower->lane->search.growth;
	int			n = grower->nopen;
	int			k = 0;
	int			most = growth->max_leaves > 0 ? growth->max_leaves - p->leaves : n;

	int		   *heap = p->candidate + p->room / 2;	/* to be taken apart */

	p->ncandidates = 0;
	if (n == 0)
		return;
	memcpy(heap, grower->open, sizeof(int) * n);
	if (most > n)
		most = n;
	for (int i = 0; i < most; i++)
	{
		int			node = growth->max_leaves > 0 ? ml_heap_pop(&grower->nodes, growth, heap, &n) : heap[i];

		if (!grower->nodes.node[node].expanded && !grower->nodes.node[node].local)
			p->candidate[k++] = node;
	}
	p->ncandidates = k;
}

/* Adds the expansion of a node; false when it has to wait for the memory of a histogram. */
static bool
add_expansion(Passes *p, int i)
{
	MlGrower   *grower = p->grower;
	MlNode	   *node = grower->nodes.node + i;
	bool		sum = ml_grower_goes_on(grower, i) && node->slot >= 0 && node->rows > grower->few;

	if (sum && p->ntasks > 0 && !ml_grower_free_slot(grower))
		return false;
	node->busy = true;
	if (sum && ml_grower_take_slot(grower, node->left) >= 0)
		ml_grower_clear(grower, node->left, &grower->plan);
	else
		sum = false;
	for (int side = 0; side < 2; side++)
		grower->nodes.node[node->left + side].segment = ml_grower_segments(grower, node->nsegments);
	p->task[p->ntasks++] = (Task) {.node = i, .action = EXPAND, .side = -1, .sum = sum};
	return true;
}

/* Chooses what the next pass does. */
static void
choose(Passes *p)
{
	MlGrower   *grower = p->grower;
	bool		limited = grower->lane->search.growth->max_leaves > 0;
	size_t		rows = 0;
	int			kept = 0;
	int			done = 0;

	p->ntasks = 0;
	reserve(p);
	for (int k = 0; k < p->npending; k++)
	{
		int			i = p->pending[k];
		MlNode	   *node = grower->nodes.node + i;

		if (ml_grower_way(grower, i) == ML_WAY_FEW && rows + (size_t) node->rows <= p->copy_rows)
		{
			p->task[p->ntasks++] = (Task) {.node = i, .action = COPY, .at = rows};
			rows += (size_t) node->rows;
		}
		else if (ml_grower_way(grower, i) == ML_WAY_MANY && ml_grower_take_slot(grower, i) >= 0)
		{
			node->busy = true;
			ml_grower_clear(grower, i, &grower->plan);
			p->task[p->ntasks++] = (Task) {.node = i, .action = SUM};
		}
		else
			p->pending[kept++] = i;
	}
	p->npending = kept;
	list_candidates(p);
	while (done < p->ncandidates && add_expansion(p, p->candidate[done]))
		grower->nodes.node[p->candidate[done++]].taken = !limited;
	if (!limited && done > 0)
	{
		grower->nopen -= done;
		memmove(grower->open, grower->open + done, sizeof(int) * grower->nopen);
	}
}

static void
sum_segment(MlGrower *grower, const MlBlock *block, const uint16_t *order, int n, int i)
{
	int64_t    *cells = grower->slot[grower->nodes.node[i].slot];
	MlAdder    *adder = &grower->lane->adder;
	int			step = ML_UPDATES / grower->plan.n + 1;

	for (int from = 0; from < n; from += step)
	{
		int			some = n - from < step ? n - from : step;

		ml_histogram_add(grower->matrix, &grower->plan, adder, block, some == block->n ? NULL : order + from, some,
						 cells);
		ml_grower_worked(grower, (size_t) some * grower->plan.n);
	}
	ml_histogram_flush(grower->matrix, &grower->plan, adder, cells);
}

static void
expand_segment(MlGrower *grower, Task *task, const MlBlock *block, const MlSegment *segment)
{
	MlNodes    *nodes = &grower->nodes;
	const MlNode *node = nodes->node + task->node;
	MlNode	   *child = nodes->node + node->left;
	uint16_t   *order = block->order + segment->start;
	int			left;
	int			right;

	ml_grower_fill_goes(grower, task->node, grower->goes);
	left = ml_grower_part(grower->matrix, grower->lane, block, node->feature, grower->goes, order, segment->count);
	right = segment->count - left;
	ml_grower_add_child(child, block->number, segment->start, left);
	ml_grower_add_child(child + 1, block->number, segment->start + left, right);
	ml_grower_worked(grower, (size_t) segment->count * 4);
	if (!task->sum)
		return;
	if (task->side < 0)
	{
		task->side = right < left;
		if (task->side == 1)
		{
			child[1].slot = child[0].slot;
			child[0].slot = -1;
			grower->slot_node[child[1].slot] = node->left + 1;
		}
	}
	sum_segment(grower, block, task->side ? order + left : order, task->side ? right : left, node->left + task->side);
}

static void
copy_segment(Passes *p, Task *task, const MlBlock *block, const MlSegment *segment)
{
	const char *bin = p->grower->matrix->wide ? (const char *) block->bin16 : (const char *) block->bin8;
	const uint16_t *order = block->order + segment->start;

	for (int i = 0; i < segment->count; i++)
	{
		size_t		to = task->at + task->copied++;

		memcpy(p->copy + to * p->stride, bin + order[i] * p->stride, p->stride);
		p->gradient[to] = block->gradient[order[i]];
	}
	ml_grower_worked(p->grower, segment->count * p->stride / 8);
}

static void
pass(Passes *p)
{
	MlGrower   *grower = p->grower;
	bool		change = false;

	for (int k = 0; k < p->ntasks; k++)
		change |= p->task[k].action == EXPAND;
	for (int b = 0; b < grower->matrix->nblocks; b++)
	{
		const MlBlock *block = ml_matrix_block(grower->matrix, b, change);

		for (int k = 0; k < p->ntasks; k++)
		{
			Task	   *task = p->task + k;
			const MlNode *node = grower->nodes.node + task->node;
			const MlSegment *segment = node->segment + task->cursor;

			if (task->cursor == node->nsegments || segment->block != b)
				continue;
			task->cursor++;
			if (task->action == EXPAND)
				expand_segment(grower, task, block, segment);
			else if (task->action == COPY)
				copy_segment(p, task, block, segment);
			else
				sum_segment(grower, block, block->order + segment->start, segment->count, task->node);
		}
	}
}

/* ---- what comes of it ---- */

/* A node was looked at: its split waits, unless that of its parent has to be taken first. */
static void
looked(Passes *p, int i)
{
	MlGrower   *grower = p->grower;
	MlNode	   *node = grower->nodes.node + i;
	bool		limited = grower->lane->search.growth->max_leaves > 0;

	node->looked = true;
	if (node->left != 0 && (limited ? i == 0 : !node->local))
		ml_grower_open(grower, i);
}

static void
evaluate(Passes *p, int i)
{
	MlGrower   *grower = p->grower;

	grower->nodes.node[i].busy = false;
	if (!ml_grower_evaluate(grower, i) || !ml_grower_goes_on(grower, i))
		ml_grower_give_slot(grower, i);
	looked(p, i);
}

static void
grow_copied(Passes *p, const Task *task)
{
	MlGrower   *grower = p->grower;
	MlNodes    *nodes = &grower->nodes;
	MlLane	   *lane = grower->lane;
	int			rows = task->copied;
	const char *bin = p->copy + task->at * p->stride;
	MlBlock		block = {.n = rows, .bin8 = (const uint8_t *) bin, .bin16 = (const uint16_t *) bin,
		.order = p->order, .gradient = p->gradient + task->at};
	MlSegment	segment = {.count = rows};

	ml_nodes_reserve(nodes, 2 * rows);
	ml_subtree_gather(lane->subtree, grower->matrix, &grower->plan, &block, &segment);
	nodes->n += ml_subtree_grow(lane->subtree, nodes, task->node, nodes->n, &lane->search, &grower->plan, true);
	ml_grower_worked(grower, (size_t) rows * grower->plan.n * 16);
	looked(p, task->node);
}

/* The children of a node have their rows: those that can be looked at are, others wait for another pass. */
static void
expanded(Passes *p, const Task *task)
{
	MlGrower   *grower = p->grower;
	MlNodes    *nodes = &grower->nodes;
	int			i = task->node;
	int			left = nodes->node[i].left;
	MlWay		way[2];

	nodes->node[i].expanded = true;
	nodes->node[i].busy = false;
	for (int side = 0; side < 2; side++)
		way[side] = ml_grower_way(grower, left + side);
	for (int side = 0; side < 2; side++)
		if (way[side] == ML_WAY_MANY && task->side == 1 - side)
			ml_grower_subtract(grower, i, left + side, left + task->side);
	ml_grower_give_slot(grower, i);
	for (int side = 0; side < 2; side++)
	{
		MlNode	   *child = nodes->node + left + side;

		if (way[side] != ML_WAY_MANY)
			ml_grower_give_slot(grower, left + side);
		if (way[side] == ML_WAY_LEAF)
			child->looked = true;
		else if (child->slot < 0)
			p->pending[p->npending++] = left + side;
	}
	for (int side = 0; side < 2; side++)
		if (nodes->node[left + side].slot >= 0)
			evaluate(p, left + side);
}

/* Takes splits in the order of the tree, as far as what comes after them is known. */
static void
take(Passes *p)
{
	MlGrower   *grower = p->grower;
	const MlGrowth *growth = grower->lane->search.growth;
	MlNodes    *nodes = &grower->nodes;

	while (grower->nopen > 0 && p->leaves < growth->max_leaves)
	{
		MlNode	   *top = nodes->node + grower->open[0];
		int			left = top->left;

		if (!top->local && !(top->expanded && nodes->node[left].looked && nodes->node[left + 1].looked))
			break;
		ml_heap_pop(nodes, growth, grower->open, &grower->nopen);
		top->taken = true;
		p->leaves++;
		for (int child = left; child < left + 2; child++)
			if (nodes->node[child].left != 0)
				ml_grower_open(grower, child);
	}
}

/* Memory for copies of rows: at least for one node, at most an eighth of what is left. */
static void
create(Passes *p, MlGrower *grower)
{
	size_t		row;
	size_t		rows;

	*p = (Passes) {.grower = grower, .leaves = 1, .stride = (size_t) grower->matrix->p * (grower->matrix->wide ? 2 : 1)};
	row = p->stride + sizeof(MlGradient);
	rows = ml_memory_left() / 8 / row;
	p->copy_rows = rows > grower->nodes.node[0].rows ? (size_t) grower->nodes.node[0].rows : rows;
	if (p->copy_rows < grower->few)
		p->copy_rows = grower->few;
	p->copy = ml_alloc(p->copy_rows, p->stride);
	p->gradient = ml_alloc(p->copy_rows, sizeof(MlGradient));
	p->order = ml_alloc(grower->few, sizeof(uint16_t));
	for (int i = 0; i < grower->few; i++)
		p->order[i] = (uint16_t) i;
	reserve(p);
}

void
ml_grower_passes(MlGrower *grower)
{
	int			limit = grower->lane->search.growth->max_leaves;
	Passes		p;

	if (ml_grower_way(grower, 0) == ML_WAY_LEAF)
		return;
	create(&p, grower);
	p.pending[p.npending++] = 0;
	for (;;)
	{
		if (limit > 0)
			take(&p);
		if (limit > 0 && p.leaves == limit)
			break;
		choose(&p);
		if (p.ntasks == 0)
			break;
		pass(&p);
		for (int k = 0; k < p.ntasks; k++)
		{
			if (p.task[k].action == EXPAND)
				expanded(&p, p.task + k);
			else if (p.task[k].action == SUM)
				evaluate(&p, p.task[k].node);
			else
				grow_copied(&p, p.task + k);
		}
	}
	ml_free(p.copy);
	ml_free(p.gradient);
	ml_free(p.order);
	ml_free(p.task);
	ml_free(p.pending);
	ml_free(p.candidate);
}
