/*
 * grow.c - grows a tree: which node is split next, and which histograms are kept.
 *
 * Of two children the one with fewer rows is summed, the other is what remains of
 * the parent.  Nodes of few rows are finished by subtree.c.  Where a node tries few of the columns only these are
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
#define MANY_CLASSES 8
#define LEAST_SLOTS 3
#define MOST_SLOTS 4096

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

static void
create_lanes(MlGrower *grower, const MlGrowth *growth)
{
	const MlMatrix *matrix = grower->matrix;
	const MlPlan *plan = &grower->plan;

	/* what is spilled is waited for */
	grower->nlanes = ml_threads > 1 && !matrix->spilled ? ml_threads : 1;
	grower->lane = ml_alloc(grower->nlanes, sizeof(MlLane));
	for (int t = 0; t < grower->nlanes; t++)
	{
		MlLane	   *lane = grower->lane + t;

		ml_search_create(&lane->search, matrix, growth, plan, grower->nodes.words);
		ml_adder_create(&lane->adder, matrix, most_cells(matrix, plan->n), plan);
		lane->subtree = ml_subtree_create(matrix, plan, t == 0 ? grower->few : grower->few_kernel);
		lane->spare = ml_alloc(ML_BLOCK_ROWS, sizeof(uint16_t));
		if (t > 0)
			lane->cells = ml_alloc(grower->slot_cells, sizeof(int64_t));
	}
}

/*
 * Of how many rows a node goes to subtree.c when there are many classes.  A histogram has a cell for each of them in
 * each bin; to sort rows pays until there are half as many rows as a column has cells, and takes far less memory.
 */
static int
few_of_classes(const MlGrower *grower, int in_tree)
{
	const MlPlan *plan = &grower->plan;
	size_t		cells = most_cells(grower->matrix, in_tree) / in_tree * plan->classes;
	size_t		row = sizeof(uint16_t) * in_tree + 2 * (sizeof(MlNode) + sizeof(MlGradient)) +
		(grower->nodes.bare ? 0 : 2 * sizeof(int64_t) * plan->classes);
	size_t		rows = ml_memory_left() / 16 / row;

	if (plan->classes <= MANY_CLASSES || grower->matrix->spilled)
		return 0;
	if (rows > cells / 2)
		rows = cells / 2;
	return rows > ML_BLOCK_ROWS ? ML_BLOCK_ROWS : (int) rows;
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
	/* when spilled, all histograms come from one pass */
	grower->direct = tried <= in_tree / 2 && !matrix->spilled;
	grower->few = tried <= in_tree / 2 ? FEW_ROWS_DIRECT : FEW_ROWS;
	if (grower->few > SUBTREE_WORK / tried)
		grower->few = SUBTREE_WORK / tried;
	grower->nodes.classes = grower->plan.classes;
	grower->nodes.bare = growth->bare;
	if (growth->few_rows > 0)
		grower->few = growth->few_rows < ML_BLOCK_ROWS ? growth->few_rows : ML_BLOCK_ROWS;
	grower->few_kernel = grower->few;
	if (growth->few_rows == 0 && few_of_classes(grower, in_tree) > grower->few)
		grower->few = few_of_classes(grower, in_tree);
	grower->nodes.words = set_words(matrix);
	for (int j = 0; j < matrix->p; j++)
		if (matrix->bins[j].n + 1 > bins)
			bins = matrix->bins[j].n + 1;
	grower->goes = ml_alloc(bins, 1);
	grower->left = ml_alloc(matrix->nblocks, sizeof(int));
	grower->waiting = ml_alloc(ML_MOST_WAITING, sizeof(MlFew));
	grower->slot_cells = most_cells(matrix, grower->direct ? tried : in_tree) * grower->plan.width;
	bytes = grower->slot_cells * sizeof(int64_t);
	fit = ml_memory_left() / 4 / bytes;
	grower->most_slots = fit < LEAST_SLOTS ? LEAST_SLOTS : fit > MOST_SLOTS ? MOST_SLOTS : (int) fit;
	grower->slot = ml_alloc(grower->most_slots, sizeof(int64_t *));
	grower->slot_node = ml_alloc(grower->most_slots, sizeof(int));
	create_lanes(grower, growth);
	grower->by_level = ml_grower_levels(grower);
	return grower;
}

void
ml_grower_rows(MlGrower *grower, int block, int in_tree)
{
	grower->in_tree[block] = in_tree;
}

/* ---- nodes ---- */

/* Makes children of node i by the best split that the search has seen. */
static bool
make_children(MlGrower *grower, int i)
{
	if (!ml_search_found(&grower->lane->search))
		return false;
	ml_nodes_reserve(&grower->nodes, 2);
	ml_nodes_reserve_counts(&grower->nodes, 2);
	ml_nodes_split(&grower->nodes, i, grower->nodes.n, &grower->lane->search);
	grower->nodes.n += 2;
	return true;
}

/* Tries the columns from..to-1 of a plan; true if one of them varies in the node. */
static bool
try_columns(MlGrower *grower, MlSearch *search, int i, const MlPlan *plan, int from, int to, bool interrupts)
{
	const int64_t *cells = grower->slot[grower->nodes.node[i].slot];
	bool		varies = false;

	for (int place = from; place < to; place++)
	{
		const int64_t *column = cells + plan->first[place] * plan->width;
		int			bins = (int) (plan->first[place + 1] - plan->first[place]);
		int			k = ml_search_list(search, bins, column);

		varies |= ml_search_column(search, &grower->nodes, i, plan->column[place], k, column);
		if (interrupts)
			ml_grower_worked(grower, (size_t) bins * plan->width * 4);
	}
	return varies;
}

void
ml_grower_search(MlGrower *grower, MlSearch *search, int i, bool interrupts)
{
	MlDraw		draw;

	ml_search_begin(search);
	ml_draw_begin(&draw, &grower->nodes, i, search, &grower->plan);
	for (int place; (place = ml_draw_next(&draw, search)) >= 0;)
	{
		draw.varies |= try_columns(grower, search, i, &grower->plan, place, place + 1, interrupts);
		ml_draw_tried(&draw);
	}
	ml_draw_end(&draw, search);
}

/* The same with a histogram that is made here, for the columns tried. */
static void
search_direct(MlGrower *grower, MlSearch *search, int i)
{
	MlPlan	   *plan = &grower->tried;
	MlDraw		draw;

	ml_grower_take_slot(grower, i);
	ml_search_begin(search);
	ml_draw_begin(&draw, &grower->nodes, i, search, &grower->plan);
	for (int place; (place = ml_draw_next(&draw, search)) >= 0;)
	{
		int			n = 0;

		/* all that are to be drawn at once; drawn again only for constant ones */
		for (; place >= 0; place = ml_draw_next(&draw, search))
			plan->column[n++] = grower->plan.column[place];
		plan_set(plan, grower->matrix, n);
		plan->all = false;
		ml_grower_sum(grower, i, plan);
		draw.varies |= try_columns(grower, search, i, plan, 0, n, true);
		ml_draw_tried(&draw);
	}
	ml_draw_end(&draw, search);
	ml_grower_give_slot(grower, i);
}

bool
ml_grower_evaluate(MlGrower *grower, int i)
{
	MlSearch   *search = &grower->lane->search;

	if (grower->direct)
		search_direct(grower, search, i);
	else
		ml_grower_search(grower, search, i, true);
	return make_children(grower, i);
}

/* ---- nodes of few rows ---- */

/* Copies the rows of a node and grows what is below. */
static void
grow_one(MlGrower *grower, MlLane *lane, MlFew *few, bool interrupts)
{
	const MlNode *node = grower->nodes.node + few->node;

	for (int s = 0; s < node->nsegments; s++)
		ml_subtree_gather(lane->subtree, grower->matrix, &grower->plan, grower->block[node->segment[s].block],
						  node->segment + s);
	few->used = ml_subtree_grow(lane->subtree, &grower->nodes, few->node, few->first, &lane->search, &grower->plan,
								interrupts);
}

static bool
is_kernel(const MlGrower *grower, const MlFew *few)
{
	return grower->nlanes > 1 && grower->nodes.node[few->node].rows <= grower->few_kernel;
}

/* A kernel. */
static void
grow_waiting(void *arg, int k)
{
	MlGrower   *grower = arg;
	MlFew	   *few = grower->waiting + k;

	if (is_kernel(grower, few))
		grow_one(grower, grower->lane + ml_thread_number(), few, false);
}

/* Moves `used` new nodes from number `from` on to the end of the tree, below node i. */
static void
settle(MlNodes *nodes, int i, int from, int used)
{
	int			to = nodes->n;
	int			by = from - to;
	size_t		classes = nodes->classes;
	size_t		words = nodes->words;

	nodes->n += used;
	if (by == 0 || used == 0)
		return;
	memmove(nodes->node + to, nodes->node + from, sizeof(MlNode) * used);
	if (classes > 0 && !nodes->bare)
		memmove(nodes->counts + to * classes, nodes->counts + from * classes, sizeof(int64_t) * classes * used);
	if (words > 0)
		memmove(nodes->sets + to * words, nodes->sets + from * words, sizeof(uint32_t) * words * used);
	nodes->node[i].left -= by;
	for (int k = to; k < to + used; k++)
	{
		if (nodes->node[k].left != 0)
			nodes->node[k].left -= by;
		if (nodes->node[k].parent >= from)
			nodes->node[k].parent -= by;
	}
}

/* The most nodes that can be below node i. */
static int
most_below(const MlGrower *grower, int i)
{
	const MlNode *node = grower->nodes.node + i;
	int			max_depth = grower->lane->search.growth->max_depth;
	int			most = 2 * (int) node->rows;

	if (max_depth > 0 && max_depth - node->depth < 16 && 2 << (max_depth - node->depth) < most)
		most = 2 << (max_depth - node->depth);
	return most;
}

/* Grows below all nodes that wait for it. */
static void
grow_few(MlGrower *grower)
{
	MlNodes    *nodes = &grower->nodes;
	int			first = nodes->n;

	if (grower->nwaiting == 0)
		return;
	for (int k = 0; k < grower->nwaiting; k++)
	{
		grower->waiting[k].first = first;
		first += most_below(grower, grower->waiting[k].node);
	}
	ml_nodes_reserve(nodes, first - nodes->n);
	if (grower->nlanes > 1)
		ml_threads_run(grower->nwaiting, grow_waiting, grower);
	for (int k = 0; k < grower->nwaiting; k++)
		if (!is_kernel(grower, grower->waiting + k))
			grow_one(grower, grower->lane, grower->waiting + k, true);
	for (int k = 0; k < grower->nwaiting; k++)
	{
		MlFew	   *few = grower->waiting + k;

		settle(nodes, few->node, few->first, few->used);
		if (nodes->node[few->node].left != 0 && grower->lane->search.growth->max_leaves > 0)
			ml_grower_open(grower, few->node);
	}
	ml_grower_worked(grower, grower->waiting_rows * grower->plan.n * 16);
	grower->nwaiting = 0;
	grower->waiting_rows = 0;
}

/* ---- what is next ---- */

MlWay
ml_grower_way(const MlGrower *grower, int i)
{
	if (!ml_nodes_splittable(&grower->nodes, i, &grower->lane->search))
		return ML_WAY_LEAF;
	return grower->nodes.node[i].rows <= grower->few ? ML_WAY_FEW : ML_WAY_MANY;
}

bool
ml_grower_goes_on(const MlGrower *grower, int i)
{
	int			max_depth = grower->lane->search.growth->max_depth;

	return max_depth == 0 || grower->nodes.node[i].depth + 1 < max_depth;
}

/* Makes the histograms of those children of node i that need one; `summed` is a side that has its own, or -1. */
static void
sum_children(MlGrower *grower, int i, const MlWay *way, int summed)
{
	int			left = grower->nodes.node[i].left;

	for (int side = 0; side < 2; side++)
	{
		if (way[side] != ML_WAY_MANY || grower->nodes.node[left + side].slot >= 0)
			continue;
		if (summed == 1 - side && grower->nodes.node[i].slot >= 0)
			ml_grower_subtract(grower, i, left + side, left + summed);
		else
		{
			ml_grower_take_slot(grower, left + side);
			ml_grower_sum(grower, left + side, &grower->plan);
		}
	}
	for (int side = 0; side < 2; side++)
		if (way[side] != ML_WAY_MANY)
			ml_grower_give_slot(grower, left + side);
	ml_grower_give_slot(grower, i);
}

void
ml_grower_open(MlGrower *grower, int i)
{
	const MlGrowth *growth = grower->lane->search.growth;

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

/* Opens a node of many rows if its split was found. */
static void
looked(MlGrower *grower, int i, bool found)
{
	if (!found || !ml_grower_goes_on(grower, i))
		ml_grower_give_slot(grower, i);
	if (found)
		ml_grower_open(grower, i);
}

/* Looks for the split of a node in the way given and opens it when there is one. */
static void
look(MlGrower *grower, int i, MlWay way)
{
	if (way == ML_WAY_FEW)
	{
		grower->waiting[grower->nwaiting++] = (MlFew) {.node = i};
		grower->waiting_rows += (size_t) grower->nodes.node[i].rows;
		/* enough for all threads, for some 30 ms */
		if (grower->nlanes == 1 || grower->nwaiting == ML_MOST_WAITING ||
			grower->waiting_rows >= (size_t) grower->few_kernel * grower->nlanes)
			grow_few(grower);
	}
	else if (way == ML_WAY_MANY)
		looked(grower, i, ml_grower_evaluate(grower, i));
}

void
ml_grower_looked(MlGrower *grower, int i, const MlWay *way)
{
	int			left = grower->nodes.node[i].left;

	ml_grower_give_slot(grower, i);
	grower->nodes.node[i].busy = false;
	for (int side = 0; side < 2; side++)
	{
		if (way[side] == ML_WAY_MANY)
			looked(grower, left + side, grower->nodes.node[left + side].left != 0);
		else
		{
			ml_grower_give_slot(grower, left + side);
			look(grower, left + side, way[side]);
		}
	}
}

/* The children of a node have their rows, and maybe one of them its histogram: looks for their splits. */
void
ml_grower_expanded(MlGrower *grower, int i, int summed)
{
	int			left = grower->nodes.node[i].left;
	int			small = grower->nodes.node[left].rows > grower->nodes.node[left + 1].rows;
	MlWay		way[2];

	for (int side = 0; side < 2; side++)
		way[side] = ml_grower_way(grower, left + side);
	if (!grower->direct)
		sum_children(grower, i, way, summed);
	grower->nodes.node[i].busy = false;
	/* without a limit the last one opened is next: the smaller one, so that few histograms wait */
	look(grower, left + 1 - small, way[1 - small]);
	look(grower, left + small, way[small]);
	if (grower->lane->search.growth->max_leaves > 0)
		grow_few(grower);
}

/* Makes the split of an open node and looks for those of its children. */
static void
expand(MlGrower *grower, int i)
{
	bool		sum = !grower->direct && ml_grower_goes_on(grower, i) && grower->nodes.node[i].slot >= 0 &&
		grower->nodes.node[i].rows > grower->few && (size_t) grower->plan.n * ML_BLOCK_ROWS <= ML_UPDATES;

	grower->nodes.node[i].busy = true;
	ml_grower_expanded(grower, i, ml_grower_hand_down(grower, i, sum));
}

/* ---- the tree ---- */

static void
begin(MlGrower *grower, const MlGrowth *growth)
{
	const MlMatrix *matrix = grower->matrix;
	MlPlan	   *plan = &grower->plan;
	int			n = ml_draw_count(growth->colsample_tree, matrix->p);

	plan->packed = grower->tried.packed = grower->packable && growth->packed;
	for (int t = 0; t < grower->nlanes; t++)
		ml_search_set(&grower->lane[t].search, growth);
	ml_draw_sample(&grower->lane->search, ml_grow_hash(growth->seed, 0x74726565u), matrix->p, n, plan->column);
	plan_set(plan, matrix, n);
	grower->nodes.n = 0;
	grower->nopen = 0;
	grower->nwaiting = 0;
	grower->waiting_rows = 0;
	grower->chunk_at = 0;
	grower->chunk_used = 0;
	for (int slot = 0; slot < grower->nslots; slot++)
		grower->slot_node[slot] = -1;
}

/* Adds the rows of a block that are in the tree to the sums of node 0. */
static void
add_to_root(MlGrower *grower, const MlBlock *block, int n)
{
	MlNode	   *root = grower->nodes.node;
	int64_t    *counts = grower->nodes.counts;

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

/* The sums of node 0 are those of any column's bins. */
static void
sum_root(MlGrower *grower)
{
	const MlPlan *plan = &grower->plan;
	MlNode	   *root = grower->nodes.node;
	const int64_t *cell;

	ml_grower_take_slot(grower, 0);
	ml_grower_sum(grower, 0, plan);
	cell = grower->slot[root->slot];
	for (size_t b = 0; b < plan->first[1]; b++, cell += plan->width)
	{
		for (int c = 0; c < plan->classes; c++)
		{
			grower->nodes.counts[c] += cell[c];
			root->h += cell[c];
		}
		root->g += plan->classes == 0 ? cell[0] : 0;
		root->h += plan->classes == 0 ? cell[1] : 0;
	}
}

/* Node 0 with its segments, rows and sums; and its histogram, when it is to have one. */
static void
make_root(MlGrower *grower, const MlGrowth *growth)
{
	MlNode	   *root;
	bool		histogram = !grower->direct && !grower->matrix->spilled;

	ml_nodes_reserve(&grower->nodes, 1);
	grower->nodes.n = 1;
	grower->nodes.ncounts = 0;
	ml_nodes_reserve_counts(&grower->nodes, 1);
	grower->nodes.ncounts = 1;
	root = grower->nodes.node;
	*root = (MlNode) {.parent = -1, .low = -INFINITY, .high = INFINITY, .slot = -1,
		.path = ml_grow_hash(growth->seed, 0x726f6f74u)};
	root->segment = ml_grower_segments(grower, grower->matrix->nblocks);
	for (int c = 0; c < grower->nodes.classes; c++)
		grower->nodes.counts[c] = 0;
	for (int b = 0; b < grower->matrix->nblocks; b++)
	{
		const MlBlock *block = grower->block[b] = ml_matrix_block(grower->matrix, b, false);
		int			n = grower->in_tree[b];

		if (n == 0)
			continue;
		root->segment[root->nsegments++] = (MlSegment) {.block = b, .count = n};
		root->rows += n;
		if (!histogram)
			add_to_root(grower, block, n);
	}
	if (histogram && root->rows > grower->few)
		sum_root(grower);
	else if (histogram)
		for (int s = 0; s < root->nsegments; s++)
			add_to_root(grower, grower->block[root->segment[s].block], root->segment[s].count);
}

static void
grow_in_memory(MlGrower *grower, const MlGrowth *growth)
{
	MlWay		way = ml_grower_way(grower, 0);
	int			leaves = 1;

	if (way != ML_WAY_MANY)
		ml_grower_give_slot(grower, 0);
	look(grower, 0, way);
	if (growth->max_leaves > 0)
		grow_few(grower);
	while (grower->nopen > 0 && (growth->max_leaves == 0 || leaves < growth->max_leaves))
	{
		int			top;
		int			left;

		if (grower->by_level && growth->max_leaves == 0 && ml_grower_expand_level(grower))
			continue;
		top = growth->max_leaves > 0 ?
			ml_heap_pop(&grower->nodes, growth, grower->open, &grower->nopen) :
			grower->open[--grower->nopen];
		left = grower->nodes.node[top].left;
		grower->nodes.node[top].taken = true;
		leaves++;
		if (!grower->nodes.node[top].local)
			expand(grower, top);
		else
			for (int child = left; child < left + 2; child++)
				if (grower->nodes.node[child].left != 0)
					ml_grower_open(grower, child);
	}
	grow_few(grower);
}

MlTree *
ml_grow(MlGrower *grower, const MlGrowth *growth)
{
	begin(grower, growth);
	make_root(grower, growth);
	if (grower->matrix->spilled)
		ml_grower_passes(grower);
	else
		grow_in_memory(grower, growth);
	return ml_grower_finish(grower);
}
