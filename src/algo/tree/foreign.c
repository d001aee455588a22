/*
 * foreign.c - a flat model from the trees of another library.
 *
 * Nodes are renumbered breadth first, so that the children of a node lie next to
 * each other and behind it; what cannot be reached from the root is left out.
 * Arrays grow by doubling within the budget.
 */
#include "foreign.h"

#include <math.h>
#include <string.h>

#define MAX_CATEGORY (1 << 24)
#define MAX_NODES (1u << 30)

static void *
grow(void *old, size_t n, size_t room, size_t size)
{
	void	   *new = ml_alloc(room, size);

	if (n > 0)
		memcpy(new, old, n * size);
	if (old)
		ml_free(old);
	return new;
}

void
ml_foreign_begin(MlForeignTrees *f, int p, int classes, MlTreeLink link, const char *objective)
{
	MlTrees    *t = ml_alloc(1, sizeof(MlTrees));
	size_t		length = strlen(objective);

	memset(f, 0, sizeof(*f));
	f->trees = t;
	t->p = p;
	t->classes = classes;
	t->outputs = classes > 2 ? classes : 1;
	t->width = 1;
	t->link = link;
	t->base = ml_alloc(t->outputs, sizeof(double));
	t->levels = ml_alloc(p > 0 ? p : 1, sizeof(int));
	t->objective = ml_alloc(length + 1, 1);
	memcpy(t->objective, objective, length);
}

static void
make_room(MlForeignTrees *f, int nodes)
{
	MlTrees    *t = f->trees;

	if (t->ntrees == f->tree_room)
	{
		int			room = f->tree_room > 0 ? 2 * f->tree_room : 64;

		t->root = grow(t->root, t->ntrees, room, sizeof(*t->root));
		t->depth = grow(t->depth, t->ntrees, room, sizeof(*t->depth));
		t->output = grow(t->output, t->ntrees, room, sizeof(*t->output));
		f->tree_room = room;
	}
	if ((uint64_t) t->nnodes + nodes > MAX_NODES)
		ml_unsupported("a model of more than %u nodes", MAX_NODES);
	if (t->nnodes + (size_t) nodes > f->node_room)
	{
		size_t		room = 2 * f->node_room;

		while (room < t->nnodes + (size_t) nodes)
			room = room > 0 ? 2 * room : 1024;
		t->node = grow(t->node, t->nnodes, room, sizeof(*t->node));
		t->leaf = grow(t->leaf, t->nnodes, room, sizeof(*t->leaf));
		t->cover = grow(t->cover, t->nnodes, room, sizeof(*t->cover));
		t->gain = grow(t->gain, t->nnodes, room, sizeof(*t->gain));
		f->node_room = room;
	}
	if (t->nleaves + (size_t) nodes > f->leaf_room)
	{
		size_t		room = 2 * f->leaf_room;

		while (room < t->nleaves + (size_t) nodes)
			room = room > 0 ? 2 * room : 1024;
		t->value = grow(t->value, t->nleaves, room, sizeof(*t->value));
		f->leaf_room = room;
	}
}

/* Appends the bits of a category split: set ones go left. */
static uint32_t
add_set(MlForeignTrees *f, const MlForeignNode *from)
{
	MlTrees    *t = f->trees;
	int			top = -1;
	size_t		words;
	uint32_t   *bits;
	uint32_t	at = t->nsets;

	for (size_t i = 0; i < from->nlisted; i++)
	{
		double		c = from->listed[i];

		if (!(c >= 0 && c < MAX_CATEGORY) || c != floor(c))
			ml_malformed("category %g of feature %d is not a whole number below %d", c, from->feature, MAX_CATEGORY);
		if (c > top)
			top = (int) c;
	}
	words = top / 32 + 1;
	if (t->nsets + words + 1 > f->set_room)
	{
		size_t		room = 2 * (t->nsets + words + 1);

		if (room > MAX_NODES)
			ml_unsupported("category splits of more than %u bits", MAX_NODES);
		t->sets = grow(t->sets, t->nsets, room, sizeof(*t->sets));
		f->set_room = room;
	}
	t->sets[at] = (uint32_t) words;
	bits = t->sets + at + 1;
	memset(bits, from->others_left ? 0xff : 0, words * sizeof(*bits));
	for (size_t i = 0; i < from->nlisted; i++)
	{
		int			c = (int) from->listed[i];

		if (from->others_left)
			bits[c / 32] &= ~(1u << (c % 32));
		else
			bits[c / 32] |= 1u << (c % 32);
	}
	t->nsets += words + 1;
	if (t->levels[from->feature] < top + 1)
		t->levels[from->feature] = top + 1;
	return at;
}

static void
put_leaf(MlTrees *t, uint32_t at, const MlForeignNode *from)
{
	if (!isfinite(from->value))
		ml_malformed("tree %d has a leaf of value %g", t->ntrees, from->value);
	t->node[at].threshold = NAN;
	t->node[at].left = at;
	t->node[at].feature = ML_NODE_LEAF;
	t->leaf[at] = t->nleaves;
	t->value[t->nleaves++] = from->value;
}

static void
put_split(MlForeignTrees *f, uint32_t at, uint32_t left, const MlForeignNode *from)
{
	MlTrees    *t = f->trees;

	if (from->feature < 0 || from->feature >= t->p)
		ml_malformed("tree %d splits by feature %d of %d", t->ntrees, from->feature, t->p);
	if (!from->category && !isfinite(from->threshold))
		ml_malformed("tree %d splits at %g", t->ntrees, from->threshold);
	t->node[at].left = left;
	t->node[at].feature = (uint32_t) from->feature | (from->missing_left ? 0 : ML_NODE_MISSING_RIGHT);
	if (from->category)
	{
		t->node[at].feature |= ML_NODE_CATEGORY | (from->others_left ? ML_NODE_OTHERS_LEFT : 0);
		t->leaf[at] = add_set(f, from);
	}
	else
		t->node[at].threshold = from->threshold;
}

void
ml_foreign_add(MlForeignTrees *f, const MlForeignNode *node, int n, int output)
{
	MlTrees    *t = f->trees;
	int		   *queue = ml_alloc(n, sizeof(int));
	int		   *depth = ml_alloc(n, sizeof(int));
	uint32_t	first;
	int			known = 1;

	ml_check_interrupts();
	make_room(f, n);
	first = t->nnodes;
	t->root[t->ntrees] = first;
	t->output[t->ntrees] = output;
	t->depth[t->ntrees] = 0;
	for (int i = 0; i < known; i++)
	{
		const MlForeignNode *from = &node[queue[i]];
		uint32_t	at = first + i;

		t->cover[at] = from->cover > 0 && isfinite(from->cover) ? from->cover : 0;
		t->gain[at] = from->left >= 0 && from->gain > 0 && isfinite(from->gain) ? from->gain : 0;
		if (from->left < 0)
		{
			put_leaf(t, at, from);
			continue;
		}
		if (from->left >= n || from->right < 0 || from->right >= n || known + 2 > n)
			ml_malformed("tree %d has children that are not its nodes, or two parents of one", t->ntrees);
		put_split(f, at, first + known, from);
		depth[known] = depth[known + 1] = depth[i] + 1;
		queue[known++] = from->left;
		queue[known++] = from->right;
		if (t->depth[t->ntrees] < depth[i] + 1)
			t->depth[t->ntrees] = depth[i] + 1;
	}
	t->nnodes += known;
	t->ntrees++;
	ml_free(queue);
	ml_free(depth);
}

MlTrees *
ml_foreign_end(MlForeignTrees *f)
{
	if (f->trees->ntrees == 0)
	{
		MlForeignNode leaf = {.left = -1, .cover = 1};

		ml_foreign_add(f, &leaf, 1, 0);
	}
	return f->trees;
}
