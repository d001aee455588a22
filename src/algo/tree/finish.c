/*
 * finish.c - the grown tree: its nodes level by level, and which rows are in its leaves.
 *
 * Rows below a node that was grown from a copy are still mixed in the blocks; they are put
 * in order when somebody asks.
 */
#include <string.h>

#include "growing.h"
#include "num/threads.h"

#define NODES_PER_CHECK 0xffff	/* between two looks at interrupts */

/* A finished tree with what its nodes point to. */
typedef struct Finished
{
	MlTree		tree;			/* first, so that a pointer to it is one to all */
	uint32_t   *sets;
	double	   *counts;
} Finished;

/* Lists the nodes whose segments are those of leaves, left to right. */
static void
list_holders(MlGrower *grower)
{
	MlNodes    *nodes = &grower->nodes;
	int			n = 0;

	grower->nholders = 0;
	for (int i = 0; i < nodes->n; i++)
	{
		if ((i & NODES_PER_CHECK) == NODES_PER_CHECK)
			ml_check_interrupts();
		n += !nodes->node[i].local || nodes->node[i].segment != NULL;
	}
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
		if ((grower->nholders & NODES_PER_CHECK) == 0)
			ml_check_interrupts();
		while (i > 0 && i != nodes->node[nodes->node[i].parent].left)
			i = nodes->node[i].parent;
		i = i > 0 ? i + 1 : -1;
	}
}

static void
finish_node(const MlGrower *grower, int i, MlGrown *grown)
{
	const MlGrowth *growth = grower->lane->search.growth;
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
		grown->threshold = node->threshold;
	}
}

static void
free_if(void *memory)
{
	if (memory != NULL)
		ml_free(memory);
}

/* Scratch space of each thread that will ask for leaves, as kernels may. */
static void
prepare_leaves(MlGrower *grower)
{
	bool		larger = grower->tree->n > grower->leaf_room;
	bool		mixed = false;	/* rows below a holder are to be sorted */

	for (int k = 0; k < grower->nholders; k++)
		mixed |= grower->nodes.node[grower->holder[k]].taken;
	if (grower->leaves == NULL)
		grower->leaves = ml_alloc(ml_threads, sizeof(MlLeaves));
	if (larger)
		grower->leaf_room = grower->tree->n + grower->tree->n / 2;
	for (int t = 0; t < ml_threads; t++)
	{
		MlLeaves   *leaves = grower->leaves + t;
		int			most = grower->leaf_room < ML_BLOCK_ROWS ? grower->leaf_room : ML_BLOCK_ROWS;

		if (larger)
		{
			free_if(leaves->node);
			free_if(leaves->start);
			free_if(leaves->rows);
			leaves->node = ml_alloc(most, sizeof(int));
			leaves->start = ml_alloc(most + 1, sizeof(int));
			leaves->rows = NULL;
		}
		if (mixed && leaves->rows == NULL)
			leaves->rows = ml_alloc(grower->leaf_room, sizeof(int));
		if (mixed && leaves->of == NULL)
		{
			leaves->of = ml_alloc(ML_BLOCK_ROWS, sizeof(int));
			leaves->spare = ml_alloc(ML_BLOCK_ROWS, sizeof(uint16_t));
		}
	}
}

/* Copies the splits that were taken, level by level. */
MlTree *
ml_grower_finish(MlGrower *grower)
{
	MlNodes    *nodes = &grower->nodes;
	Finished   *finished = ml_alloc(1, sizeof(Finished));
	MlTree	   *tree = &finished->tree;
	int			classes = nodes->bare ? 0 : nodes->classes;
	int			words = nodes->words;
	int			n = 1;
	int		   *queue;

	list_holders(grower);
	for (int i = 0; i < nodes->n; i++)
	{
		if ((i & NODES_PER_CHECK) == NODES_PER_CHECK)
			ml_check_interrupts();
		n += nodes->node[i].taken ? 2 : 0;
	}
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

		if ((k & NODES_PER_CHECK) == 0)
			ml_check_interrupts();
		node->number = k;
		finish_node(grower, i, grown);
		for (int c = 0; c < classes; c++)
		{
			grown->counts = finished->counts + (size_t) k * classes;
			grown->counts[c] = (double) nodes->counts[(size_t) i * classes + c] * grower->lane->search.growth->h_unit;
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

void
ml_grower_free(MlGrower *grower)
{
	for (int t = 0; t < grower->nlanes; t++)
	{
		MlLane	   *lane = grower->lane + t;

		ml_search_free(&lane->search);
		ml_adder_free(&lane->adder);
		ml_subtree_free(lane->subtree);
		ml_free(lane->spare);
		if (t > 0)
			ml_free(lane->cells);
	}
	for (int t = 0; grower->leaves != NULL && t < ml_threads; t++)
	{
		free_if(grower->leaves[t].node);
		free_if(grower->leaves[t].start);
		free_if(grower->leaves[t].of);
		free_if(grower->leaves[t].spare);
		free_if(grower->leaves[t].rows);
	}
	for (int slot = 0; slot < grower->nslots; slot++)
		ml_free(grower->slot[slot]);
	for (int c = 0; c < grower->nchunks; c++)
		ml_free(grower->chunk[c].segment);
	ml_nodes_free(&grower->nodes);
	free_if(grower->leaves);
	free_if(grower->chunk);
	free_if(grower->open);
	free_if(grower->holder);
	ml_free(grower->slot);
	ml_free(grower->slot_node);
	ml_free(grower->lane);
	ml_free(grower->waiting);
	ml_free(grower->left);
	ml_free(grower->goes);
	ml_free(grower->block);
	ml_free(grower->in_tree);
	ml_free(grower);
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
sort_segment(const MlGrower *grower, MlLeaves *leaves, const MlBlock *block, const MlSegment *segment, int n)
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

int
ml_grower_leaves(MlGrower *grower, const MlBlock *block, const int **node, const int **start)
{
	MlLeaves   *leaves = grower->leaves + ml_thread_number();
	int			n = 0;

	for (int k = 0; k < grower->nholders; k++)
	{
		const MlNode *holder = grower->nodes.node + grower->holder[k];
		int			at = ml_grower_segment(holder, block->number);
		const MlSegment *segment;

		if (at < 0)
			continue;
		segment = holder->segment + at;
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
