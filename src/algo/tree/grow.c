/*
 * grow.c - grows a tree: which node is split next, where its rows lie, and which
 * histograms are kept.
 *
 * The rows of a node are a segment of `order` in each block.  A split parts
 * every segment in two, in place and in order.  Of two children the one with fewer rows
 * is summed, the other is what remains of the parent.  Nodes of few rows are
 * finished by subtree.c.  Where a node tries few of the columns only these are
 * summed and nothing is subtracted.
 *
 * Sums are whole numbers, choices are hashes and ties are broken by what the tree
 * looks like, so that nothing depends on the order of work; at the end nodes are
 * numbered level by level.
 *
 * Memory: everything comes from ml_alloc and stays with the grower from tree to tree,
 * but for the finished tree.  Histograms take at most a quarter of what the
 * budget leaves; one that finds no room is summed again when it is needed.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "growing.h"
#include "num/threads.h"

/*
 * Nodes of at most so many rows are finished by subtree.c.  With subtraction a histogram
 * of 256 bins breaks even at about as many rows; without it the limit is
 * what stays in the L2 cache.
 */
#define FEW_ROWS 1024
#define FEW_ROWS_DIRECT 8192
#define SUBTREE_WORK 1048576	/* rows x columns tried, so that a subtree takes a few ms */
#define UPDATES 4194304			/* of cells between two looks at interrupts: some ms */
#define LEAST_SLOTS 3
#define MOST_SLOTS 4096
#define AHEAD 24				/* rows to prefetch ahead of their bin's use */
#define CHUNK 8192				/* segments allocated at once */

typedef struct Chunk
{
	MlSegment  *segment;
	size_t		room;
} Chunk;

/* A finished tree with what its nodes point to. */
typedef struct Finished
{
	MlTree		tree;			/* first, so that a pointer to it is one to all */
	uint32_t   *sets;
	double	   *counts;
} Finished;

/* What ml_grower_leaves returns, and its scratch space. */
typedef struct Leaves
{
	int		   *node;
	int		   *start;
	int		   *of;				/* by row of a segment */
	int		   *rows;			/* by node of the tree, zero between uses */
	uint16_t   *spare;
} Leaves;

struct MlGrower
{
	MlMatrix   *matrix;
	MlBlock   **block;			/* in memory: all of them */
	int		   *in_tree;		/* by block */
	MlPlan		plan;			/* the columns of this tree */
	MlPlan		tried;			/* those of a node, when only they are summed */
	bool		direct;
	int			few;
	MlSearch	search;
	MlAdder		adder;
	MlSubtree  *subtree;
	MlNodes		nodes;
	int		   *open;			/* nodes whose split was found but not made */
	int			nopen;
	int			open_room;
	int64_t   **slot;			/* histograms */
	int		   *slot_node;		/* whose, or -1 */
	int			nslots;
	int			most_slots;
	size_t		slot_cells;
	Chunk	   *chunk;
	int			nchunks;
	int			chunk_at;		/* being filled */
	size_t		chunk_used;
	uint16_t   *spare;			/* rows of a block */
	uint8_t    *goes;			/* by bin: 1 goes left */
	size_t		updates;		/* since the last look at interrupts */
	int		   *holder;			/* nodes whose segments hold the leaves, left to right */
	int			nholders;
	int			holder_room;
	bool		packable;		/* there is room for packed sums */
	Leaves	   *leaves;			/* of each thread */
	int			leaf_room;
	const MlTree *tree;
};

/* ---- creation ---- */

static void
plan_create(MlPlan *plan, const MlMatrix *matrix, const MlGrowth *growth)
{
	plan->column = ml_alloc(matrix->p, sizeof(int));
	plan->first = ml_alloc(matrix->p + 1, sizeof(size_t));
	plan->classes = growth->criterion == ML_SPLIT_GRADIENT ? 0 : growth->classes;
	plan->counted = growth->min_child_rows > 1;
	plan->packed = growth->packed && plan->classes == 0 && !plan->counted;
	plan->width = (plan->classes > 0 ? plan->classes : 2) + plan->counted;
}

/* Lays the plan's columns out. */
static void
plan_set(MlPlan *plan, const MlMatrix *matrix, int n)
{
	plan->n = n;
	plan->all = n == matrix->p;
	plan->first[0] = 0;
	for (int j = 0; j < n; j++)
	{
		const MlBins *bins = matrix->bins + plan->column[j];

		plan->first[j + 1] = plan->first[j] + bins->n + bins->missing;
	}
}

/* The most cells a plan of n of the matrix's columns can have. */
static size_t
most_cells(const MlMatrix *matrix, int n)
{
	size_t		cells = 0;
	int			most = 0;

	for (int j = 0; j < matrix->p; j++)
	{
		int			bins = matrix->bins[j].n + matrix->bins[j].missing;

		cells += bins;
		if (bins > most)
			most = bins;
	}
	return (size_t) most * n < cells ? (size_t) most * n : cells;
}

static int
set_words(const MlMatrix *matrix)
{
	int			words = 0;

	for (int j = 0; j < matrix->p; j++)
		if ((matrix->bins[j].levels + 31) / 32 > words)
			words = (matrix->bins[j].levels + 31) / 32;
	return words;
}

MlGrower *
ml_grower_create(MlMatrix *matrix, const MlGrowth *growth)
{
	MlGrower   *grower = ml_alloc(1, sizeof(MlGrower));
	int			in_tree = ml_draw_count(growth->colsample_tree, matrix->p);
	int			tried = ml_draw_count(growth->colsample_node, ml_draw_count(growth->colsample_level, in_tree));
	int			bins = 1;
	size_t		bytes;
	size_t		fit;

	grower->matrix = matrix;
	grower->in_tree = ml_alloc(matrix->nblocks, sizeof(int));
	grower->block = ml_alloc(matrix->nblocks, sizeof(MlBlock *));
	plan_create(&grower->plan, matrix, growth);
	plan_create(&grower->tried, matrix, growth);
	grower->packable = grower->plan.packed;
	for (int j = 0; j < in_tree; j++)
		grower->plan.column[j] = j;
	plan_set(&grower->plan, matrix, in_tree);
	grower->direct = tried <= in_tree / 2;
	grower->few = grower->direct ? FEW_ROWS_DIRECT : FEW_ROWS;
	if (grower->few > SUBTREE_WORK / tried)
		grower->few = SUBTREE_WORK / tried;
	if (growth->few_rows > 0)
		grower->few = growth->few_rows;
	grower->nodes.classes = grower->plan.classes;
	grower->nodes.words = set_words(matrix);
	ml_search_create(&grower->search, matrix, growth, &grower->plan, grower->nodes.words);
	ml_adder_create(&grower->adder, matrix, most_cells(matrix, in_tree), &grower->plan);
	grower->subtree = ml_subtree_create(matrix, &grower->plan, grower->few);
	for (int j = 0; j < matrix->p; j++)
		if (matrix->bins[j].n + 1 > bins)
			bins = matrix->bins[j].n + 1;
	grower->goes = ml_alloc(bins, 1);
	grower->spare = ml_alloc(ML_BLOCK_ROWS, sizeof(uint16_t));

	grower->slot_cells = most_cells(matrix, in_tree) * grower->plan.width;
	bytes = grower->slot_cells * sizeof(int64_t);
	fit = ml_memory_left() / 4 / bytes;
	grower->most_slots = fit < LEAST_SLOTS ? LEAST_SLOTS : fit > MOST_SLOTS ? MOST_SLOTS : (int) fit;
	grower->slot = ml_alloc(grower->most_slots, sizeof(int64_t *));
	grower->slot_node = ml_alloc(grower->most_slots, sizeof(int));
	return grower;
}

void
ml_grower_rows(MlGrower *grower, int block, int in_tree)
{
	grower->in_tree[block] = in_tree;
}

/* ---- interrupts, segments, histograms ---- */

/* To be told of `work` updates of a cell or as much. */
static void
worked(MlGrower *grower, size_t work)
{
	grower->updates += work;
	if (grower->updates >= UPDATES)
	{
		grower->updates = 0;
		ml_check_interrupts();
	}
}

static MlSegment *
new_segments(MlGrower *grower, size_t n)
{
	Chunk	   *chunk;

	while (grower->chunk_at < grower->nchunks &&
		   grower->chunk_used + n > grower->chunk[grower->chunk_at].room)
	{
		grower->chunk_at++;
		grower->chunk_used = 0;
	}
	if (grower->chunk_at == grower->nchunks)
	{
		Chunk	   *more = ml_alloc(grower->nchunks + 1, sizeof(Chunk));

		if (grower->chunk != NULL)
		{
			memcpy(more, grower->chunk, sizeof(Chunk) * grower->nchunks);
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

/* A histogram for node i: a free one, a new one, or that of the open node that waits longest. */
static int
take_slot(MlGrower *grower, int i)
{
	int			slot = 0;

	while (slot < grower->nslots && grower->slot_node[slot] >= 0)
		slot++;
	if (slot == grower->nslots && slot < grower->most_slots)
		grower->slot[grower->nslots++] = ml_alloc(grower->slot_cells, sizeof(int64_t));
	else if (slot == grower->nslots)
	{
		int			oldest = 0;

		while (oldest < grower->nopen && grower->nodes.node[grower->open[oldest]].slot < 0)
			oldest++;
		slot = grower->nodes.node[grower->open[oldest]].slot;
		grower->nodes.node[grower->open[oldest]].slot = -1;
	}
	grower->slot_node[slot] = i;
	grower->nodes.node[i].slot = slot;
	return slot;
}

static void
give_slot(MlGrower *grower, int i)
{
	MlNode	   *node = grower->nodes.node + i;

	if (node->slot >= 0)
		grower->slot_node[node->slot] = -1;
	node->slot = -1;
}

/* Sums the rows of node i into its histogram. */
static void
sum_rows(MlGrower *grower, int i, const MlPlan *plan)
{
	const MlMatrix *matrix = grower->matrix;
	const MlNode *node = grower->nodes.node + i;
	int64_t    *cells = grower->slot[node->slot];

	memset(cells, 0, sizeof(int64_t) * plan->first[plan->n] * plan->width);
	for (int s = 0; s < node->nsegments; s++)
	{
		const MlSegment *segment = node->segment + s;
		const MlBlock *block = grower->block[segment->block];
		const uint16_t *rows = segment->count == block->n ? NULL : block->order + segment->start;

		ml_histogram_add(matrix, plan, &grower->adder, block, rows, segment->count, cells);
		worked(grower, (size_t) segment->count * plan->n);
	}
	ml_histogram_flush(matrix, plan, &grower->adder, cells);
}

/* ---- nodes ---- */

/* Makes children of node i by the best split that the search has seen. */
static bool
make_children(MlGrower *grower, int i)
{
	if (!ml_search_found(&grower->search))
		return false;
	ml_nodes_reserve(&grower->nodes, 2);
	ml_nodes_split(&grower->nodes, i, grower->nodes.n, &grower->search);
	grower->nodes.n += 2;
	return true;
}

/* Looks for the split of a node whose histogram is there, or is made here for the columns tried. */
static bool
evaluate(MlGrower *grower, int i)
{
	MlSearch   *search = &grower->search;
	MlPlan	   *plan = grower->direct ? &grower->tried : &grower->plan;
	int64_t    *cells;
	MlDraw		draw;

	if (grower->direct)
		take_slot(grower, i);
	cells = grower->slot[grower->nodes.node[i].slot];
	ml_search_begin(search);
	ml_draw_begin(&draw, &grower->nodes, i, search, &grower->plan);
	for (int place; (place = ml_draw_next(&draw, search)) >= 0;)
	{
		int			n = 1;

		if (grower->direct)
		{
			/* all that are to be drawn at once; drawn again only for constant ones */
			plan->column[0] = grower->plan.column[place];
			while ((place = ml_draw_next(&draw, search)) >= 0)
				plan->column[n++] = grower->plan.column[place];
			plan_set(plan, grower->matrix, n);
			plan->all = false;
			sum_rows(grower, i, plan);
			place = 0;
		}
		for (n += place; place < n; place++)
		{
			int64_t    *column = cells + plan->first[place] * plan->width;
			int			bins = (int) (plan->first[place + 1] - plan->first[place]);
			int			k = ml_search_list(search, bins, column);

			if (!ml_search_column(search, &grower->nodes, i, plan->column[place], k, column))
				draw.left++;
			worked(grower, (size_t) bins * plan->width * 4);
		}
	}
	ml_draw_end(&draw, search);
	if (grower->direct)
		give_slot(grower, i);
	return make_children(grower, i);
}

/* Copies the rows of node i and grows what is below. */
static bool
grow_few(MlGrower *grower, int i)
{
	MlNode	   *node = grower->nodes.node + i;
	int			rows = (int) node->rows;

	for (int s = 0; s < node->nsegments; s++)
		ml_subtree_gather(grower->subtree, grower->matrix, &grower->plan,
						  grower->block[node->segment[s].block], node->segment + s);
	ml_nodes_reserve(&grower->nodes, 2 * rows);
	grower->nodes.n += ml_subtree_grow(grower->subtree, &grower->nodes, i, grower->nodes.n,
									   &grower->search, &grower->plan);
	worked(grower, (size_t) rows * grower->plan.n * 16);
	return grower->nodes.node[i].left != 0;
}

/* Parts a segment of a block: rows that go left first, all in the order they had.  Returns how many go left. */
static int
part(const MlMatrix *matrix, const MlBlock *block, int feature, uint16_t *order, int n, const uint8_t *goes,
	 uint16_t *spare)
{
	size_t		p = matrix->p;
	int			left = 0;
	int			right = 0;

	if (matrix->wide)
	{
		const uint16_t *bin = block->bin16 + feature;

		for (int i = 0; i < n; i++)
		{
			uint16_t	row = order[i];
			int			g = goes[bin[row * p]];

			if (i + AHEAD < n)
				PREFETCH(bin + order[i + AHEAD] * p);
			order[left] = row;
			spare[right] = row;
			left += g;
			right += 1 - g;
		}
	}
	else
	{
		const uint8_t *bin = block->bin8 + feature;

		for (int i = 0; i < n; i++)
		{
			uint16_t	row = order[i];
			int			g = goes[bin[row * p]];

			if (i + AHEAD < n)
				PREFETCH(bin + order[i + AHEAD] * p);
			order[left] = row;
			spare[right] = row;
			left += g;
			right += 1 - g;
		}
	}
	memcpy(order + left, spare, sizeof(uint16_t) * right);
	return left;
}

static void
fill_goes(MlGrower *grower, int i)
{
	const MlNode *node = grower->nodes.node + i;
	const uint32_t *set = grower->nodes.sets + (size_t) i * grower->nodes.words;
	const MlBins *bins = grower->matrix->bins + node->feature;

	for (int b = 0; b <= bins->n; b++)
		grower->goes[b] = ml_node_goes_left(node, set, bins, b);
}

/*
 * Hands the rows of node i to its children; in place of its segments come those of the left child.
 * With `sum` the child that gets fewer rows of the first segment is summed on the way, while the
 * bins of its rows are in the cache: returns its side.  Otherwise -1.
 */
static int
hand_down(MlGrower *grower, int i, bool sum)
{
	MlNode	   *node = grower->nodes.node + i;
	MlNode	   *child = grower->nodes.node + node->left;
	const MlPlan *plan = &grower->plan;
	int64_t    *cells = NULL;
	int			side = -1;

	fill_goes(grower, i);
	child[0].segment = node->segment;
	child[1].segment = new_segments(grower, node->nsegments);
	for (int s = 0; s < node->nsegments; s++)
	{
		MlSegment	segment = node->segment[s];
		const MlBlock *block = grower->block[segment.block];
		uint16_t   *order = block->order + segment.start;
		int			left = part(grower->matrix, block, node->feature, order, segment.count, grower->goes,
								grower->spare);
		int			right = segment.count - left;

		if (left > 0)
			child[0].segment[child[0].nsegments++] =
				(MlSegment) {.block = segment.block, .start = segment.start, .count = left};
		if (right > 0)
			child[1].segment[child[1].nsegments++] =
				(MlSegment) {.block = segment.block, .start = segment.start + left, .count = right};
		child[0].rows += left;
		child[1].rows += right;
		worked(grower, (size_t) segment.count * 4);
		if (!sum)
			continue;
		if (s == 0)
		{
			side = right < left;
			cells = grower->slot[take_slot(grower, node->left + side)];
			memset(cells, 0, sizeof(int64_t) * plan->first[plan->n] * plan->width);
		}
		ml_histogram_add(grower->matrix, plan, &grower->adder, block, side ? order + left : order,
						 side ? right : left, cells);
		worked(grower, (size_t) (side ? right : left) * plan->n);
	}
	if (sum)
		ml_histogram_flush(grower->matrix, plan, &grower->adder, cells);
	node->nsegments = 0;
	node->expanded = true;
	return side;
}

/* Whether the children of a node at this depth may be split, so that its histogram will be wanted. */
static bool
goes_on(const MlGrower *grower, int i)
{
	int			max_depth = grower->search.growth->max_depth;

	return max_depth == 0 || grower->nodes.node[i].depth + 1 < max_depth;
}

/* What is to be done with a node that has its rows. */
typedef enum Way
{
	LEAF, FEW, MANY
} Way;

static Way
way_of(const MlGrower *grower, int i)
{
	if (!ml_nodes_splittable(&grower->nodes, i, &grower->search))
		return LEAF;
	return grower->nodes.node[i].rows <= grower->few ? FEW : MANY;
}

/* Makes the histogram of child `other` of node i out of that of the node, which it takes, and its sibling's. */
static void
subtract(MlGrower *grower, int i, int other, int summed)
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

/* Makes the histograms of those children of node i that need one; `summed` is a side that has its own, or -1. */
static void
sum_children(MlGrower *grower, int i, const Way *way, int summed)
{
	int			left = grower->nodes.node[i].left;

	for (int side = 0; side < 2; side++)
	{
		if (way[side] != MANY || grower->nodes.node[left + side].slot >= 0)
			continue;
		if (summed == 1 - side && grower->nodes.node[i].slot >= 0)
			subtract(grower, i, left + side, left + summed);
		else
		{
			take_slot(grower, left + side);
			sum_rows(grower, left + side, &grower->plan);
		}
	}
	for (int side = 0; side < 2; side++)
		if (way[side] != MANY)
			give_slot(grower, left + side);
	give_slot(grower, i);
}

static void
open_node(MlGrower *grower, int i)
{
	const MlGrowth *growth = grower->search.growth;

	if (grower->nopen == grower->open_room)
	{
		int			room = 2 * grower->open_room + 64;
		int		   *open = ml_alloc(room, sizeof(int));

		if (grower->open != NULL)
		{
			memcpy(open, grower->open, sizeof(int) * grower->nopen);
			ml_free(grower->open);
		}
		grower->open = open;
		grower->open_room = room;
	}
	if (growth->max_leaves > 0)
		ml_heap_push(&grower->nodes, growth, grower->open, &grower->nopen, i);
	else
		grower->open[grower->nopen++] = i;
}

/* Looks for the split of a node in the way given and opens it when there is one. */
static void
look(MlGrower *grower, int i, Way way)
{
	bool		found = false;

	if (way == MANY)
		found = evaluate(grower, i);
	else if (way == FEW)
		found = grow_few(grower, i);
	if (way == MANY && (!found || !goes_on(grower, i)))
		give_slot(grower, i);
	if (found && (way == MANY || grower->search.growth->max_leaves > 0))
		open_node(grower, i);
}

/* Makes the split of an open node and looks for those of its children. */
static void
expand(MlGrower *grower, int i)
{
	int			left = grower->nodes.node[i].left;
	bool		sum = !grower->direct && goes_on(grower, i) && grower->nodes.node[i].slot >= 0 &&
		grower->nodes.node[i].rows > grower->few;
	int			summed = hand_down(grower, i, sum);
	int			small = grower->nodes.node[left].rows > grower->nodes.node[left + 1].rows;
	Way			way[2];

	for (int side = 0; side < 2; side++)
		way[side] = way_of(grower, left + side);
	if (!grower->direct)
		sum_children(grower, i, way, summed);
	/* without a limit the last one opened is next: the smaller one, so that few histograms wait */
	look(grower, left + 1 - small, way[1 - small]);
	look(grower, left + small, way[small]);
}

/* ---- the tree ---- */

static void
begin(MlGrower *grower, const MlGrowth *growth)
{
	const MlMatrix *matrix = grower->matrix;
	MlPlan	   *plan = &grower->plan;
	int			n = ml_draw_count(growth->colsample_tree, matrix->p);

	plan->packed = grower->tried.packed = grower->packable && growth->packed;
	ml_search_set(&grower->search, growth);
	ml_draw_sample(&grower->search, ml_grow_hash(growth->seed, 0x74726565u), matrix->p, n, plan->column);
	plan_set(plan, matrix, n);
	grower->nodes.n = 0;
	grower->nopen = 0;
	grower->chunk_at = 0;
	grower->chunk_used = 0;
	for (int slot = 0; slot < grower->nslots; slot++)
		grower->slot_node[slot] = -1;
}

/* Node 0 with its segments, rows and sums. */
static void
make_root(MlGrower *grower, const MlGrowth *growth)
{
	MlNode	   *root;
	int64_t    *counts;

	ml_nodes_reserve(&grower->nodes, 1);
	grower->nodes.n = 1;
	root = grower->nodes.node;
	counts = grower->nodes.counts;
	*root = (MlNode) {.parent = -1, .low = -INFINITY, .high = INFINITY, .slot = -1,
		.path = ml_grow_hash(growth->seed, 0x726f6f74u)};
	root->segment = new_segments(grower, grower->matrix->nblocks);
	for (int c = 0; c < grower->nodes.classes; c++)
		counts[c] = 0;
	for (int b = 0; b < grower->matrix->nblocks; b++)
	{
		const MlBlock *block = grower->block[b] = ml_matrix_block(grower->matrix, b, true);
		int			n = grower->in_tree[b];

		if (n == 0)
			continue;
		root->segment[root->nsegments++] = (MlSegment) {.block = b, .count = n};
		root->rows += n;
		for (int i = 0; i < n; i++)
		{
			const MlGradient *gradient = block->gradient + block->order[i];

			root->h += gradient->h;
			if (counts != NULL)
				counts[gradient->g] += gradient->h;
			else
				root->g += gradient->g;
		}
	}
}

static void
grow_in_memory(MlGrower *grower, const MlGrowth *growth)
{
	Way			way = way_of(grower, 0);
	int			leaves = 1;

	if (way == MANY && !grower->direct)
	{
		take_slot(grower, 0);
		sum_rows(grower, 0, &grower->plan);
	}
	look(grower, 0, way);
	while (grower->nopen > 0 && (growth->max_leaves == 0 || leaves < growth->max_leaves))
	{
		int			top = growth->max_leaves > 0 ?
			ml_heap_pop(&grower->nodes, growth, grower->open, &grower->nopen) :
			grower->open[--grower->nopen];
		int			left = grower->nodes.node[top].left;

		grower->nodes.node[top].taken = true;
		leaves++;
		if (!grower->nodes.node[top].local)
			expand(grower, top);
		else
			for (int child = left; child < left + 2; child++)
				if (grower->nodes.node[child].left != 0)
					open_node(grower, child);
	}
}

/* Lists the nodes whose segments are those of leaves, left to right. */
static void
list_holders(MlGrower *grower)
{
	MlNodes    *nodes = &grower->nodes;
	int			n = 0;

	grower->nholders = 0;
	grower->nopen = 0;
	for (int i = 0; i < nodes->n; i++)
		n += !nodes->node[i].local || nodes->node[i].segment != NULL;
	if (n > grower->holder_room)
	{
		if (grower->holder != NULL)
			ml_free(grower->holder);
		grower->holder = ml_alloc(2 * n, sizeof(int));
		grower->holder_room = 2 * n;
	}
	/* down the left sides; from a leaf up to the next right child */
	for (int i = 0; i >= 0;)
	{
		while (nodes->node[i].taken && !nodes->node[i].local)
			i = nodes->node[i].left;
		grower->holder[grower->nholders++] = i;
		while (i > 0 && i != nodes->node[nodes->node[i].parent].left)
			i = nodes->node[i].parent;
		i = i > 0 ? i + 1 : -1;
	}
}

static void
finish_node(const MlGrower *grower, int i, MlGrown *grown)
{
	const MlGrowth *growth = grower->search.growth;
	const MlNode *node = grower->nodes.node + i;
	const MlBins *bins = grower->matrix->bins + node->feature;

	grown->depth = node->depth;
	grown->rows = node->rows;
	grown->h = (double) node->h * growth->h_unit;
	grown->low = node->low;
	grown->high = node->high;
	if (growth->criterion == ML_SPLIT_GRADIENT)
	{
		grown->g = (double) node->g * growth->g_unit;
		grown->value = ml_search_value(growth, grown->g, grown->h, node->low, node->high);
	}
	if (!node->taken)
		return;
	grown->feature = node->feature;
	grown->gain = node->gain;
	grown->missing_left = node->missing_left;
	if (bins->levels == 0)
	{
		grown->bin = node->bin;
		/* only missing values go right: every number lies below */
		grown->threshold = node->bin == bins->n ? DBL_MAX : bins->cut[node->bin - 1];
	}
}

/* Copies the splits that were taken, level by level. */
static MlTree *
finish(MlGrower *grower)
{
	MlNodes    *nodes = &grower->nodes;
	Finished   *finished = ml_alloc(1, sizeof(Finished));
	MlTree	   *tree = &finished->tree;
	int			classes = nodes->classes;
	int			words = nodes->words;
	int			n = 1;
	int		   *queue;

	for (int i = 0; i < nodes->n; i++)
		n += nodes->node[i].taken ? 2 : 0;
	queue = ml_alloc(n, sizeof(int));
	tree->node = ml_alloc(n, sizeof(MlGrown));
	if (classes > 0)
		finished->counts = ml_alloc((size_t) n * classes, sizeof(double));
	if (words > 0)
		finished->sets = ml_alloc((size_t) n * words, sizeof(uint32_t));
	tree->n = 1;
	for (int k = 0; k < tree->n; k++)
	{
		int			i = queue[k];
		MlNode	   *node = nodes->node + i;
		MlGrown    *grown = tree->node + k;

		node->number = k;
		finish_node(grower, i, grown);
		for (int c = 0; c < classes; c++)
		{
			grown->counts = finished->counts + (size_t) k * classes;
			grown->counts[c] = (double) nodes->counts[(size_t) i * classes + c] * grower->search.growth->h_unit;
		}
		if (!node->taken)
		{
			tree->leaves++;
			continue;
		}
		if (grower->matrix->bins[node->feature].levels > 0)
		{
			grown->set = finished->sets + (size_t) k * words;
			memcpy(grown->set, nodes->sets + (size_t) i * words, sizeof(uint32_t) * words);
		}
		grown->left = tree->n;
		queue[tree->n++] = node->left;
		queue[tree->n++] = node->left + 1;
	}
	ml_free(queue);
	return tree;
}

static void prepare_leaves(MlGrower *grower);

MlTree *
ml_grow(MlGrower *grower, const MlGrowth *growth)
{
	MlTree	   *tree;

	begin(grower, growth);
	make_root(grower, growth);
	grow_in_memory(grower, growth);
	list_holders(grower);
	tree = finish(grower);
	grower->tree = tree;
	prepare_leaves(grower);
	return tree;
}

void
ml_tree_free(MlTree *tree)
{
	Finished   *finished = (Finished *) tree;

	ml_free(tree->node);
	if (finished->counts != NULL)
		ml_free(finished->counts);
	if (finished->sets != NULL)
		ml_free(finished->sets);
	ml_free(finished);
}

/* ---- rows and leaves ---- */

int
ml_tree_walk(const MlTree *tree, const MlMatrix *matrix, const MlBlock *block, int row)
{
	size_t		at = (size_t) row * matrix->p;
	int			i = 0;

	while (tree->node[i].left != 0)
	{
		const MlGrown *node = tree->node + i;
		const MlBins *bins = matrix->bins + node->feature;
		int			bin = matrix->wide ? block->bin16[at + node->feature] : block->bin8[at + node->feature];
		bool		left;

		if (bin == bins->n)
			left = node->missing_left;
		else if (node->set != NULL)
			left = node->set[bin / 32] >> (bin % 32) & 1;
		else
			left = bin < node->bin;
		i = node->left + !left;
	}
	return i;
}

/* Puts the rows of a segment in order of their leaves; adds these to node and start. */
static int
sort_segment(const MlGrower *grower, Leaves *leaves, const MlBlock *block, const MlSegment *segment, int n)
{
	uint16_t   *order = block->order + segment->start;
	int		   *rows = leaves->rows;
	int			first = n;
	int			at = segment->start;

	for (int i = 0; i < segment->count; i++)
	{
		int			leaf = ml_tree_walk(grower->tree, grower->matrix, block, order[i]);

		leaves->of[i] = leaf;
		leaves->spare[i] = order[i];
		if (rows[leaf]++ == 0)
			leaves->node[n++] = leaf;
	}
	for (int k = first; k < n; k++)
	{
		int			count = rows[leaves->node[k]];

		leaves->start[k] = at;
		rows[leaves->node[k]] = at;
		at += count;
	}
	for (int i = 0; i < segment->count; i++)
		block->order[rows[leaves->of[i]]++] = leaves->spare[i];
	for (int k = first; k < n; k++)
		rows[leaves->node[k]] = 0;
	return n;
}

/* Scratch space of each thread that will ask for leaves, as kernels may. */
static void
prepare_leaves(MlGrower *grower)
{
	bool		larger = grower->tree->n > grower->leaf_room;

	if (grower->leaves == NULL)
	{
		grower->leaves = ml_alloc(ml_threads, sizeof(Leaves));
		for (int t = 0; t < ml_threads; t++)
		{
			Leaves	   *leaves = grower->leaves + t;

			leaves->node = ml_alloc(ML_BLOCK_ROWS, sizeof(int));
			leaves->start = ml_alloc(ML_BLOCK_ROWS + 1, sizeof(int));
			leaves->of = ml_alloc(ML_BLOCK_ROWS, sizeof(int));
			leaves->spare = ml_alloc(ML_BLOCK_ROWS, sizeof(uint16_t));
		}
	}
	if (larger)
		grower->leaf_room = grower->tree->n + grower->tree->n / 2;
	for (int t = 0; larger && t < ml_threads; t++)
	{
		if (grower->leaves[t].rows != NULL)
			ml_free(grower->leaves[t].rows);
		grower->leaves[t].rows = ml_alloc(grower->leaf_room, sizeof(int));
	}
}

/* The segment of a node in a block, or NULL. */
static const MlSegment *
segment_in(const MlNode *node, int block)
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
	return low < node->nsegments && node->segment[low].block == block ? node->segment + low : NULL;
}

int
ml_grower_leaves(MlGrower *grower, const MlBlock *block, const int **node, const int **start)
{
	Leaves	   *leaves = grower->leaves + ml_thread_number();
	int			n = 0;

	for (int k = 0; k < grower->nholders; k++)
	{
		const MlNode *holder = grower->nodes.node + grower->holder[k];
		const MlSegment *segment = segment_in(holder, block->number);

		if (segment == NULL)
			continue;
		if (holder->taken)
			n = sort_segment(grower, leaves, block, segment, n);
		else
		{
			leaves->node[n] = holder->number;
			leaves->start[n++] = segment->start;
		}
	}
	leaves->start[n] = grower->in_tree[block->number];
	*node = leaves->node;
	*start = leaves->start;
	return n;
}
