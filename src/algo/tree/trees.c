/*
 * trees.c - a model of trees while it is put together, and its bytes.
 *
 * Memory: what grows is ml_alloc'd and counted; what is loaded is ml_read_room's.
 * One allocation for each array, so that a model of a million nodes is loaded as
 * fast as it can be read.
 *
 * The payload, format 3 (u32 unless said otherwise):
 *
 *   link (u8), average (u8), scale (f64), outputs, width, base (outputs f64),
 *   objective (text), rounds, levels (p), trees, nodes, leaves, words of sets
 *   nodes of each tree
 *   output of each tree, unless there is one output or leaves hold all
 *   of each node, tree by tree, level by level: feature and flags; leaves have
 *   nothing but their flag
 *   of each split of a number: threshold (f64)
 *   sets
 *   values (leaves x width f64)
 *   and what no prediction needs:
 *   of each split: gain (f64)
 *   of each leaf: cover (f32)
 *
 * A width of 0 says that leaves keep just the classes that they have; in the place of values are then
 *
 *   of each leaf: how many classes
 *   of each of these: class, then share (f64) of each
 *
 * Before format 3 gains stand before the thresholds and covers before the values; in format 1 a width is never 0.
 *
 * Where the children of a node are is not stored: the n-th split of a tree has
 * children 2n + 1 and 2n + 2.  So there is no cycle and no child outside of its tree
 * that hostile bytes could ask for.  The cover of a split is that of its
 * children together; leaf numbers and places of sets follow from the order.
 */
#include "walk.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "grow.h"
#include "parts.h"

#define MAX_OUTPUTS 1000000
#define MAX_LEVELS ((1 << 24) + 1)
#define NODES_PER_CHECK 0xffff	/* between two looks at interrupts */
#define THRESHOLDS 512			/* read at a time */

/* ---- construction ---- */

MlTrees *
ml_trees_create(const MlProblem *problem, int outputs, int width)
{
	MlTrees    *trees = ml_alloc(1, sizeof(MlTrees));

	if (problem->p > (int) ML_NODE_FEATURE)
		ml_fail_data("trees cannot have more than %u columns", ML_NODE_FEATURE);
	trees->p = problem->p;
	trees->classes = problem->classes;
	trees->outputs = outputs;
	trees->width = width;
	trees->scale = 1;
	trees->base = ml_alloc(outputs, sizeof(double));
	trees->levels = ml_alloc(problem->p, sizeof(int));
	if (problem->levels != NULL && problem->p > 0)
		memcpy(trees->levels, problem->levels, sizeof(int) * problem->p);
	trees->objective = "";
	return trees;
}

static void *
enlarged_copy(const void *array, size_t size, uint32_t used, uint32_t room)
{
	void	   *larger = ml_alloc(room, size);

	ml_check_interrupts();
	ml_copy(larger, array, size * used);
	return larger;
}

/* The array in a larger room; the old one is given back. */
static void *
enlarge(void *array, size_t size, uint32_t used, uint32_t room)
{
	void	   *larger = enlarged_copy(array, size, used, room);

	if (array != NULL)
		ml_free(array);
	return larger;
}

/* Room for `more` beyond `used`: at least twice as much as before. */
static uint32_t
new_room(uint32_t room, uint32_t used, uint64_t more)
{
	uint64_t	need = used + more;
	uint64_t	doubled = (uint64_t) room * 2;

	if (need > INT32_MAX)
		ml_fail_data("the trees have more than %d nodes", INT32_MAX);
	if (doubled > INT32_MAX)
		doubled = INT32_MAX;
	return (uint32_t) (need > doubled ? need : doubled);
}

void
ml_trees_reserve(MlTrees *trees, const MlTreesSize *more)
{
	uint32_t	room;

	if ((uint32_t) trees->ntrees == trees->tree_room)
	{
		room = new_room(trees->tree_room, trees->ntrees, 16);
		trees->root = enlarge(trees->root, sizeof(uint32_t), trees->ntrees, room);
		trees->depth = enlarge(trees->depth, sizeof(int), trees->ntrees, room);
		trees->output = enlarge(trees->output, sizeof(int), trees->ntrees, room);
		trees->tree_room = room;
	}
	if (more->nodes > trees->node_room - trees->nnodes)
	{
		room = new_room(trees->node_room, trees->nnodes, more->nodes);
		trees->node = enlarge(trees->node, sizeof(MlTreeNode), trees->nnodes, room);
		trees->leaf = enlarge(trees->leaf, sizeof(uint32_t), trees->nnodes, room);
		trees->cover = enlarge(trees->cover, sizeof(float), trees->nnodes, room);
		trees->gain = enlarge(trees->gain, sizeof(double), trees->nnodes, room);
		trees->node_room = room;
	}
	if (more->leaves > trees->leaf_room - trees->nleaves)
	{
		room = new_room(trees->leaf_room, trees->nleaves, more->leaves);
		if (trees->share != NULL)
			trees->share = enlarge(trees->share, sizeof(uint32_t), trees->nleaves + 1, room + 1);
		else
			trees->value = enlarge(trees->value, sizeof(double) * trees->width, trees->nleaves, room);
		trees->leaf_room = room;
	}
	if (more->shares > trees->share_room - trees->nshares)
	{
		room = new_room(trees->share_room, trees->nshares, more->shares);
		trees->value = enlarge(trees->value, sizeof(double), trees->nshares, room);
		trees->share_class = enlarge(trees->share_class, sizeof(uint32_t), trees->nshares, room);
		trees->share_room = room;
	}
	if (more->words > trees->set_room - trees->nsets)
	{
		room = new_room(trees->set_room, trees->nsets, more->words);
		trees->sets = enlarge(trees->sets, sizeof(uint32_t), trees->nsets, room);
		trees->set_room = room;
	}
}

/* A float that is neither lost nor infinite: only ratios of covers matter. */
static float
to_cover(double weight)
{
	if (!(weight > 0))
		return 0;
	return (float) fmin(fmax(weight, FLT_MIN), FLT_MAX);
}

static void
set_leaf(MlTrees *trees, uint32_t node, uint32_t leaf)
{
	trees->node[node] = (MlTreeNode) {NAN, node, ML_NODE_LEAF};
	trees->leaf[node] = leaf;
	trees->gain[node] = 0;
}

/* What leaves of a new tree say: numbers or shares. */
typedef struct Leaves
{
	const double *value;		/* nodes x width */
	double		scale;
	const MlShares *shares;
} Leaves;

static void
add_leaf(MlTrees *trees, uint32_t node, const MlGrown *from, const Leaves *leaves, int of)
{
	double	   *to = trees->value + (size_t) trees->nleaves * trees->width;

	if (leaves->shares != NULL)
	{
		uint32_t	first = leaves->shares->start[of];
		uint32_t	n = leaves->shares->start[of + 1] - first;

		memcpy(trees->value + trees->nshares, leaves->shares->share + first, sizeof(double) * n);
		memcpy(trees->share_class + trees->nshares, leaves->shares->class + first, sizeof(uint32_t) * n);
		trees->nshares += n;
		trees->share[trees->nleaves + 1] = trees->nshares;
	}
	for (int k = 0; k < trees->width && leaves->shares == NULL; k++)
	{
		to[k] = leaves->value[(size_t) of * trees->width + k] * leaves->scale;
		if (!isfinite(to[k]))
			ml_fail_data("a leaf's value is not finite");
	}
	set_leaf(trees, node, trees->nleaves++);
	trees->cover[node] = to_cover(from->h);
}

/* Split i is of a category, its set begins at word `at`: the same as a word in the node where it fits. */
static void
use_set(MlTrees *trees, uint32_t i, uint32_t at)
{
	MlTreeNode *node = &trees->node[i];
	uint64_t	word = 0;

	trees->leaf[i] = at;
	trees->categories = true;
	if (trees->levels[node->feature & ML_NODE_FEATURE] > ML_WORD_LEVELS)
	{
		node->feature |= ML_NODE_LARGE;
		trees->large = true;
	}
	for (int l = 0; l < ML_WORD_LEVELS; l++)
		word |= (uint64_t) ml_category_right(trees, i, l) << l;
	word |= (uint64_t) ml_category_right(trees, i, DBL_MAX) << ML_WORD_OTHERS;
	word |= (uint64_t) ml_category_right(trees, i, NAN) << ML_WORD_MISSING;
	memcpy(&node->threshold, &word, sizeof(word));
}

static void
add_split(MlTrees *trees, uint32_t node, uint32_t left, const MlGrown *from)
{
	MlTreeNode *to = &trees->node[node];

	to->left = left;
	to->feature = from->feature | (from->missing_left ? 0 : ML_NODE_MISSING_RIGHT);
	if ((from->set != NULL) != (trees->levels[from->feature] > 0))
		ml_fail_data("column %d is split both as a number and by categories", from->feature + 1);
	/* Beyond all finite values: the bytes hold finite numbers only. */
	to->threshold = fmin(fmax(from->threshold, -DBL_MAX), DBL_MAX);
	if (from->set != NULL)
	{
		uint32_t	words = (trees->levels[from->feature] + 31) / 32;

		to->feature |= ML_NODE_CATEGORY | (from->others_left ? ML_NODE_OTHERS_LEFT : 0);
		trees->sets[trees->nsets] = words;
		memcpy(trees->sets + trees->nsets + 1, from->set, sizeof(uint32_t) * words);
		use_set(trees, node, trees->nsets);
		trees->nsets += 1 + words;
	}
	trees->gain[node] = isfinite(from->gain) ? from->gain : DBL_MAX;
}

/* Covers of splits: children come after their parent. */
static void
sum_covers(MlTrees *trees, uint32_t root, uint32_t end)
{
	for (uint32_t i = end; i-- > root;)
	{
		const MlTreeNode *node = &trees->node[i];

		if ((i & NODES_PER_CHECK) == NODES_PER_CHECK)
			ml_check_interrupts();
		if ((node->feature & ML_NODE_LEAF) == 0)
			trees->cover[i] = fminf(trees->cover[node->left] + trees->cover[node->left + 1], FLT_MAX);
	}
}

/* How much of it can be reached, and the longest path; queue: which nodes, level by level. */
static MlTreesSize
measure(const MlTrees *trees, const MlTree *tree, const MlShares *shares, int *queue, int *depth)
{
	MlTreesSize size = {.trees = 1, .nodes = 1};
	uint64_t	level_end = 1;

	queue[0] = 0;
	*depth = 0;
	for (uint64_t i = 0; i < size.nodes; i++)
	{
		const MlGrown *from = &tree->node[queue[i]];

		if ((i & NODES_PER_CHECK) == NODES_PER_CHECK)
			ml_check_interrupts();
		if (i == level_end)
		{
			(*depth)++;
			level_end = size.nodes;
		}
		if (from->left == 0)
		{
			size.leaves++;
			if (shares != NULL)
				size.shares += shares->start[queue[i] + 1] - shares->start[queue[i]];
			continue;
		}
		if (from->set != NULL)
			size.words += 1 + (trees->levels[from->feature] + 31) / 32;
		queue[size.nodes++] = from->left;
		queue[size.nodes++] = from->left + 1;
	}
	return size;
}

static void
add_tree(MlTrees *trees, const MlTree *tree, int output, const Leaves *leaves)
{
	int		   *queue = ml_alloc(tree->n, sizeof(int));
	int			depth;
	MlTreesSize size = measure(trees, tree, leaves->shares, queue, &depth);
	uint32_t	root;
	uint32_t	next;

	if (depth > ML_TREE_MAX_DEPTH)
		ml_fail_data("a tree is deeper than %d levels; set max_depth", ML_TREE_MAX_DEPTH);
	ml_check_interrupts();
	ml_parts_make_room(trees, &size);
	ml_trees_reserve(trees, &size);
	root = trees->nnodes;
	next = root + 1;
	for (uint32_t i = 0; i < size.nodes; i++)
	{
		const MlGrown *from = &tree->node[queue[i]];

		if ((i & NODES_PER_CHECK) == 0)
			ml_check_interrupts();
		if (from->left == 0)
			add_leaf(trees, root + i, from, leaves, queue[i]);
		else
		{
			add_split(trees, root + i, next, from);
			next += 2;
		}
	}
	ml_free(queue);
	trees->nnodes += (uint32_t) size.nodes;
	sum_covers(trees, root, trees->nnodes);
	trees->root[trees->ntrees] = root;
	trees->depth[trees->ntrees] = depth;
	trees->output[trees->ntrees++] = trees->width > 1 ? 0 : output;
}

void
ml_trees_add(MlTrees *trees, const MlTree *tree, int output, const double *value, double scale)
{
	add_tree(trees, tree, output, &(Leaves) {.value = value, .scale = scale});
}

void
ml_trees_add_shares(MlTrees *trees, const MlTree *tree, const MlShares *shares)
{
	if (trees->share == NULL)
		trees->share = ml_alloc((size_t) trees->leaf_room + 1, sizeof(uint32_t));
	add_tree(trees, tree, 0, &(Leaves) {.shares = shares});
}

MlTrees *
ml_trees_copy(const MlTrees *from)
{
	MlTrees    *trees = ml_alloc(1, sizeof(MlTrees));
	uint32_t	words = from->nsets;

	*trees = *from;
	trees->base = enlarged_copy(from->base, sizeof(double), from->outputs, from->outputs);
	trees->levels = enlarged_copy(from->levels, sizeof(int), from->p, from->p);
	trees->tree_room = from->ntrees;
	trees->root = enlarged_copy(from->root, sizeof(uint32_t), from->ntrees, from->ntrees);
	trees->depth = enlarged_copy(from->depth, sizeof(int), from->ntrees, from->ntrees);
	trees->output = enlarged_copy(from->output, sizeof(int), from->ntrees, from->ntrees);
	trees->node_room = from->nnodes;
	trees->node = enlarged_copy(from->node, sizeof(MlTreeNode), from->nnodes, from->nnodes);
	trees->leaf = enlarged_copy(from->leaf, sizeof(uint32_t), from->nnodes, from->nnodes);
	trees->cover = enlarged_copy(from->cover, sizeof(float), from->nnodes, from->nnodes);
	trees->gain = enlarged_copy(from->gain, sizeof(double), from->nnodes, from->nnodes);
	trees->leaf_room = from->nleaves;
	trees->value = enlarged_copy(from->value, sizeof(double) * from->width, from->nleaves, from->nleaves);
	trees->set_room = words;
	trees->sets = enlarged_copy(from->sets, sizeof(uint32_t), words, words);
	return trees;
}

void
ml_trees_truncate(MlTrees *trees, int ntrees)
{
	if (ntrees >= trees->ntrees)
		return;
	for (uint32_t i = trees->root[ntrees]; i < trees->nnodes; i++)
	{
		uint32_t	feature = trees->node[i].feature;

		trees->nleaves -= (feature & ML_NODE_LEAF) != 0;
		if ((feature & ML_NODE_CATEGORY) != 0)
			trees->nsets -= 1 + trees->sets[trees->leaf[i]];
	}
	trees->nnodes = trees->root[ntrees];
	trees->ntrees = ntrees;
}

/* ---- bytes ---- */

/* One array of the nodes in memory: kind, gain and threshold of splits, cover of leaves. */
static void
save_array(const MlTrees *trees, unsigned what, MlWriter *writer)
{
	for (uint32_t i = 0; i < trees->nnodes; i++)
	{
		uint32_t	feature = trees->node[i].feature;
		uint32_t	bits;

		if ((i & NODES_PER_CHECK) == NODES_PER_CHECK)
			ml_check_interrupts();
		if (what == ML_PART_NODES)
			ml_write_u32(writer, feature & ~ML_NODE_LARGE);
		else if (what == ML_PART_GAINS && (feature & ML_NODE_LEAF) == 0)
			ml_write_f64(writer, trees->gain[i]);
		else if (what == ML_PART_THRESHOLDS && (feature & (ML_NODE_LEAF | ML_NODE_CATEGORY)) == 0)
			ml_write_f64(writer, trees->node[i].threshold);
		else if (what == ML_PART_COVERS && (feature & ML_NODE_LEAF) != 0)
		{
			memcpy(&bits, &trees->cover[i], sizeof(bits));
			ml_write_u32(writer, bits);
		}
	}
}

/* What belongs to trees: nodes of each, or the output. */
static void
save_trees(const MlTrees *trees, unsigned what, MlWriter *writer)
{
	for (int t = 0; t < trees->ntrees; t++)
		if (what == ML_PART_ROOTS)
			ml_write_u32(writer, (t + 1 < trees->ntrees ? trees->root[t + 1] : trees->nnodes) - trees->root[t]);
		else if (trees->outputs > 1 && trees->width == 1)
			ml_write_u32(writer, trees->output[t]);
}

/* A section of the bytes, from all parts. */
static void
save_section(MlTrees *trees, unsigned what, MlWriter *writer)
{
	for (int k = 0; k < ml_parts_count(trees); k++)
	{
		ml_check_interrupts();
		/* which nodes have a gain or a cover is said by their kind */
		ml_parts_read(trees, k, what == ML_PART_GAINS || what == ML_PART_COVERS ? what | ML_PART_NODES : what);
		if (what == ML_PART_ROOTS || what == ML_PART_OUTPUTS)
			save_trees(trees, what, writer);
		else if (what == ML_PART_SETS)
			ml_write_u32s(writer, trees->sets, trees->nsets);
		else if (what == ML_PART_SHARES)
			for (uint32_t l = 0; l < trees->nleaves && trees->share != NULL; l++)
				ml_write_u32(writer, trees->share[l + 1] - trees->share[l]);
		else if (what == ML_PART_CLASSES)
			ml_write_u32s(writer, trees->share_class, trees->nshares);
		else if (what == ML_PART_VALUES)
			ml_write_f64s(writer, trees->value, trees->share ? trees->nshares : (size_t) trees->nleaves * trees->width);
		else
			save_array(trees, what, writer);
	}
}

void
ml_trees_save(const void *model, MlWriter *writer)
{
	static const unsigned sections[] = {
		ML_PART_ROOTS, ML_PART_OUTPUTS, ML_PART_NODES, ML_PART_THRESHOLDS, ML_PART_SETS,
		ML_PART_SHARES, ML_PART_CLASSES, ML_PART_VALUES, ML_PART_GAINS, ML_PART_COVERS
	};
	MlTrees		trees = *(const MlTrees *) model;	/* parts go through the arrays, but not what is counted */
	MlTreesSize size = ml_trees_size(&trees);

	ml_write_u8(writer, trees.link);
	ml_write_u8(writer, trees.average);
	ml_write_f64(writer, trees.scale);
	ml_write_u32(writer, trees.outputs);
	ml_write_u32(writer, trees.share ? 0 : trees.width);
	ml_write_f64s(writer, trees.base, trees.outputs);
	ml_write_text(writer, trees.objective);
	ml_write_u32(writer, trees.rounds);
	for (int j = 0; j < trees.p; j++)
		ml_write_u32(writer, trees.levels[j]);
	ml_write_u32(writer, size.trees);
	ml_write_u32(writer, (uint32_t) size.nodes);
	ml_write_u32(writer, (uint32_t) size.leaves);
	ml_write_u32(writer, (uint32_t) size.words);
	for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++)
	{
		if (sections[s] == ML_PART_GAINS)
			ml_write_rest(writer);
		save_section(&trees, sections[s], writer);
	}
}

/* Whether the parts of a prediction go together. */
static void
check_shape(const MlTrees *trees)
{
	int			classes = trees->classes;
	bool		good;

	switch (trees->link)
	{
		case ML_LINK_LOGISTIC:
			good = (classes == 2 || classes == 0) && trees->outputs == 1;
			break;
		case ML_LINK_SOFTMAX:
			good = classes >= 2 && trees->outputs == classes;
			break;
		case ML_LINK_SHARES:
			good = classes >= 2 && (trees->outputs == classes || (classes == 2 && trees->outputs == 1));
			break;
		default:
			good = classes == 0 && trees->outputs == 1;
	}
	if (!good)
		ml_corrupt("Trees with link %d and %d outputs cannot predict %d classes.",
				   trees->link, trees->outputs, classes);
	if (trees->width != 1 && trees->width != trees->outputs)
		ml_corrupt("Leaves hold %d numbers where there are %d outputs.", trees->width, trees->outputs);
	if (trees->average && trees->width != trees->outputs)
		ml_corrupt("A mean of trees needs leaves with all outputs.");
	if (trees->link == ML_LINK_ISOLATION && !(trees->scale > 0))
		ml_corrupt("The scale of an isolation forest is %g.", trees->scale);
}

/* Whether leaves keep the classes that they have. */
static bool
load_head(MlTrees *trees, MlReader *reader, int format)
{
	bool		shares;

	trees->link = ml_read_u8(reader);
	if (trees->link > ML_LINK_ISOLATION)
		ml_corrupt("Trees cannot have the link %d.", trees->link);
	trees->average = ml_read_u8(reader) != 0;
	trees->scale = ml_read_finite(reader);
	trees->outputs = ml_read_u32(reader, MAX_OUTPUTS);
	trees->width = ml_read_u32(reader, MAX_OUTPUTS);
	shares = format >= 2 && trees->width == 0 && trees->outputs > 1;
	if (shares)
		trees->width = trees->outputs;
	check_shape(trees);
	trees->base = ml_read_f64s(reader, trees->outputs);
	trees->objective = ml_read_text(reader);
	if (trees->objective == NULL)
		ml_corrupt("The trees have no objective.");
	trees->rounds = ml_read_u32(reader, INT32_MAX);
	trees->levels = ml_read_room(reader, trees->p, sizeof(int));
	for (int j = 0; j < trees->p; j++)
		trees->levels[j] = ml_read_u32(reader, MAX_LEVELS);
	return shares;
}

/* Sizes, checked against the bytes before anything is allocated, then roots and outputs. */
static void
load_sizes(MlTrees *trees, MlReader *reader)
{
	uint64_t	bytes;
	uint64_t	nodes = 0;

	trees->ntrees = ml_read_u32(reader, INT32_MAX);
	trees->nnodes = ml_read_u32(reader, INT32_MAX);
	trees->nleaves = ml_read_u32(reader, INT32_MAX);
	trees->nsets = ml_read_u32(reader, INT32_MAX);
	bytes = 4 * ((uint64_t) trees->ntrees + trees->nnodes + trees->nleaves + trees->nsets);
	if (bytes > ml_read_left(reader))
		ml_corrupt("%d trees of %u nodes cannot be in %zu bytes.",
				   trees->ntrees, trees->nnodes, ml_read_left(reader));
	trees->root = ml_read_room(reader, trees->ntrees, sizeof(uint32_t));
	trees->depth = ml_read_room(reader, trees->ntrees, sizeof(int));
	trees->output = ml_read_room(reader, trees->ntrees, sizeof(int));
	for (int t = 0; t < trees->ntrees; t++)
	{
		trees->root[t] = (uint32_t) nodes;
		nodes += ml_read_u32(reader, trees->nnodes);
		if (nodes > trees->nnodes || nodes == trees->root[t])
			ml_corrupt("Tree %d ends at node %llu of %u.", t, (unsigned long long) nodes, trees->nnodes);
	}
	if (nodes != trees->nnodes)
		ml_corrupt("The trees have %llu nodes, but %u were announced.", (unsigned long long) nodes, trees->nnodes);
	for (int t = 0; t < trees->ntrees; t++)
		trees->output[t] = trees->outputs > 1 && trees->width == 1 ? ml_read_u32(reader, trees->outputs - 1) : 0;
}

/* Whether a node of this kind is one, of a column that is split so. */
static bool
kind_is_good(const MlTrees *trees, uint32_t kind)
{
	const uint32_t flags = ML_NODE_MISSING_RIGHT | ML_NODE_CATEGORY | ML_NODE_OTHERS_LEFT;
	uint32_t	feature = kind & ML_NODE_FEATURE;

	if (kind == ML_NODE_LEAF)
		return true;
	return (kind & ~(ML_NODE_FEATURE | flags)) == 0 && feature < (uint32_t) trees->p &&
		((kind & ML_NODE_CATEGORY) != 0) == (trees->levels[feature] > 0);
}

/* Says what is wrong with tree t, if anything is.  Its nodes have kind and children already. */
static void
check_structure(const MlTrees *trees, int t, uint32_t end)
{
	uint32_t	root = trees->root[t];
	uint64_t	next = (uint64_t) root + 1;

	for (uint32_t i = root; i < end; i++)
	{
		uint32_t	kind = trees->node[i].feature;

		if (!kind_is_good(trees, kind) && (kind & ML_NODE_FEATURE) < (uint32_t) trees->p &&
			(kind & ~(ML_NODE_FEATURE | ML_NODE_MISSING_RIGHT | ML_NODE_CATEGORY | ML_NODE_OTHERS_LEFT)) == 0)
			ml_corrupt("Column %u with %d categories is split otherwise.", kind & ML_NODE_FEATURE,
					   trees->levels[kind & ML_NODE_FEATURE]);
		if (!kind_is_good(trees, kind))
			ml_corrupt("Node %u of tree %d has the feature %u.", i - root, t, kind);
		if (i >= next)
			ml_corrupt("Node %u of tree %d has no parent.", i - root, t);
		next += kind == ML_NODE_LEAF ? 0 : 2;
		if (next > end)
			ml_corrupt("Node %u of tree %d has no children.", i - root, t);
	}
	if (next != end)
		ml_corrupt("Tree %d has %u nodes too many.", t, end - (uint32_t) next);
}

/*
 * The structure of tree t from the features and flags of its nodes: children,
 * leaf numbers from *leaf on, and its depth.  Whether a node is a leaf is as good as random,
 * so that a branch would be guessed wrong every second time: hence none, and what is wrong is found out afterwards.
 */
static void
load_structure(MlTrees *trees, int t, uint32_t end, const uint32_t *kind, uint32_t *leaf)
{
	uint64_t	next = (uint64_t) trees->root[t] + 1;
	uint64_t	level_end = next;
	uint32_t	leaves = *leaf;
	int			depth = 0;
	bool		bad = false;

	for (uint32_t i = trees->root[t]; i < end; i++)
	{
		uint32_t	k = kind[i];
		bool		is_leaf = k == ML_NODE_LEAF;

		if (i == level_end)
		{
			if (++depth > ML_TREE_MAX_DEPTH)
				ml_corrupt("Tree %d is deeper than %d levels.", t, ML_TREE_MAX_DEPTH);
			level_end = next;
		}
		bad |= i >= next;
		trees->node[i] = (MlTreeNode) {NAN, is_leaf ? i : (uint32_t) next, k};
		trees->leaf[i] = leaves;	/* of a split: nothing, or replaced */
		leaves += is_leaf;
		next += is_leaf ? 0 : 2;
	}
	for (uint32_t i = trees->root[t]; i < end; i++)
		bad |= !kind_is_good(trees, trees->node[i].feature);
	if (bad || next != end)
		check_structure(trees, t, end);
	trees->depth[t] = depth;
	*leaf = leaves;
}

/* Nodes that the walk above did not reach before their parent would be a second root. */
static void
load_structures(MlTrees *trees, MlReader *reader)
{
	uint32_t	n = trees->nnodes;
	uint32_t	leaves = 0;
	uint32_t   *kind;

	trees->node = ml_read_room(reader, n, sizeof(MlTreeNode));
	trees->leaf = ml_read_room(reader, n, sizeof(uint32_t));
	kind = trees->leaf;			/* is free until a node's own turn */
	ml_read_u32s(reader, kind, n);
	for (int t = 0; t < trees->ntrees; t++)
	{
		if ((t & 15) == 15)
			ml_check_interrupts();
		load_structure(trees, t, t + 1 < trees->ntrees ? trees->root[t + 1] : n, kind, &leaves);
	}
	if (leaves != trees->nleaves)
		ml_corrupt("The trees have %u leaves, but %u were announced.", leaves, trees->nleaves);
}

/* Where the set of each split of a category begins; trees->sets are read. */
static void
load_sets(MlTrees *trees, MlReader *reader)
{
	uint32_t	at = 0;

	trees->sets = ml_read_room(reader, trees->nsets, sizeof(uint32_t));
	ml_read_u32s(reader, trees->sets, trees->nsets);
	for (uint32_t i = 0; i < trees->nnodes; i++)
	{
		uint32_t	feature = trees->node[i].feature;

		if ((feature & ML_NODE_CATEGORY) == 0)
			continue;
		if (at >= trees->nsets || trees->sets[at] >= trees->nsets - at)
			ml_corrupt("The set of node %u ends beyond %u words.", i, trees->nsets);
		use_set(trees, i, at);
		at += 1 + trees->sets[at];
	}
	if (at != trees->nsets)
		ml_corrupt("The sets of categories have %u words, but %u were announced.", at, trees->nsets);
}

/* One of two numbers, without a branch. */
static inline double
choose(bool first, const double *a, const double *b)
{
	uint64_t	bits[2];
	double		chosen;

	memcpy(&bits[0], a, sizeof(double));
	memcpy(&bits[1], b, sizeof(double));
	bits[0] = (bits[0] & -(uint64_t) first) | (bits[1] & ((uint64_t) first - 1));
	memcpy(&chosen, bits, sizeof(double));
	return chosen;
}

/* Gains are read in one piece into the end of their array, where each is at or behind its place, and spread from there. */
static void
load_gains(MlTrees *trees, MlReader *reader)
{
	static const double none = 0;
	uint32_t	n = trees->nnodes;
	uint32_t	splits = n - trees->nleaves;
	const double *gain;

	trees->gain = ml_read_room(reader, (size_t) n + 1, sizeof(double));	/* one more may be read, but is not used */
	gain = trees->gain + trees->nleaves;
	ml_read_finites(reader, trees->gain + trees->nleaves, splits);
	trees->gain[n] = 0;
	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t	feature = trees->node[i].feature;
		bool		split = (feature & ML_NODE_LEAF) == 0;

		if ((i & NODES_PER_CHECK) == NODES_PER_CHECK)
			ml_check_interrupts();
		trees->gain[i] = choose(split, gain, &none);
		gain += split;
	}
}

/* Thresholds come by the chunk. */
static void
load_thresholds(MlTrees *trees, MlReader *reader)
{
	uint32_t	n = trees->nnodes;
	double		threshold[THRESHOLDS];
	uint32_t	numbers = 0;
	uint32_t	at = THRESHOLDS - 1;

	for (uint32_t i = 0; i < n; i++)
		numbers += (trees->node[i].feature & (ML_NODE_LEAF | ML_NODE_CATEGORY)) == 0;
	memset(threshold, 0, sizeof(threshold));
	for (uint32_t i = 0; i < n; i++)
	{
		MlTreeNode *node = &trees->node[i];
		bool		number = (node->feature & (ML_NODE_LEAF | ML_NODE_CATEGORY)) == 0;

		if ((i & NODES_PER_CHECK) == NODES_PER_CHECK)
			ml_check_interrupts();
		/* the last place is that of what comes next, which only another split asks for */
		if (at == THRESHOLDS - 1)
		{
			uint32_t	read = numbers < THRESHOLDS - 1 ? numbers : THRESHOLDS - 1;

			ml_read_finites(reader, threshold, read);
			numbers -= read;
			at = 0;
		}
		node->threshold = choose(number, &threshold[at], &node->threshold);
		at += number;
	}
}

/* Covers of leaves are read into the beginning of the array, from where they are spread backwards: children before their parent. */
static void
load_covers(MlTrees *trees, MlReader *reader)
{
	uint32_t	n = trees->nnodes;
	uint32_t	leaf = trees->nleaves;
	bool		bad = false;

	trees->cover = ml_read_room(reader, (size_t) n + 1, sizeof(float));	/* one more may be read, but is not used */
	ml_read_u32s(reader, (uint32_t *) trees->cover, leaf);
	for (uint32_t l = 0; l < leaf; l++)
		bad |= !(trees->cover[l] >= 0) | !(trees->cover[l] <= FLT_MAX);
	for (uint32_t l = 0; l < leaf && bad; l++)
		if (!(trees->cover[l] >= 0 && trees->cover[l] <= FLT_MAX))
			ml_corrupt("The cover of leaf %u is %g.", l, trees->cover[l]);
	trees->cover[n] = 0;
	for (uint32_t i = n; i-- > 0;)
	{
		const MlTreeNode *node = &trees->node[i];
		bool		is_leaf = (node->feature & ML_NODE_LEAF) != 0;
		float		both = trees->cover[node->left] + trees->cover[node->left + 1];
		float		own;

		if ((i & NODES_PER_CHECK) == NODES_PER_CHECK)
			ml_check_interrupts();
		leaf -= is_leaf;
		own = trees->cover[is_leaf ? leaf : n];
		trees->cover[i] = is_leaf ? own : both < FLT_MAX ? both : FLT_MAX;
	}
}

/* The classes of each leaf, and where its shares are. */
static void
load_shares(MlTrees *trees, MlReader *reader)
{
	uint64_t	n = 0;

	trees->share = ml_read_room(reader, (size_t) trees->nleaves + 1, sizeof(uint32_t));
	for (uint32_t l = 0; l < trees->nleaves; l++)
	{
		if ((l & NODES_PER_CHECK) == NODES_PER_CHECK)
			ml_check_interrupts();
		trees->share[l] = (uint32_t) n;
		n += ml_read_u32(reader, trees->classes);
		if (n > ml_read_left(reader) / sizeof(uint32_t))
			ml_corrupt("The leaves have %llu shares, but only %zu bytes are left.", (unsigned long long) n, ml_read_left(reader));
	}
	trees->share[trees->nleaves] = trees->nshares = (uint32_t) n;
	trees->share_class = ml_read_room(reader, trees->nshares, sizeof(uint32_t));
	ml_read_u32s(reader, trees->share_class, trees->nshares);
	for (uint32_t s = 0; s < trees->nshares; s++)
		if (trees->share_class[s] >= (uint32_t) trees->classes)
			ml_corrupt("A leaf has a share of class %u of %d.", trees->share_class[s], trees->classes);
}

void *
ml_trees_load(MlReader *reader, int format, int p, int classes)
{
	MlTrees    *trees = ml_alloc(1, sizeof(MlTrees));
	bool		shares;
	size_t		values;

	if (p > (int) ML_NODE_FEATURE)
		ml_corrupt("Trees cannot have %d columns.", p);
	trees->p = p;
	trees->classes = classes;
	shares = load_head(trees, reader, format);
	load_sizes(trees, reader);
	load_structures(trees, reader);
	if (format < 3)
		load_gains(trees, reader);
	load_thresholds(trees, reader);
	load_sets(trees, reader);
	if (format < 3)
		load_covers(trees, reader);
	if (shares)
		load_shares(trees, reader);
	values = shares ? trees->nshares : (size_t) trees->nleaves * trees->width;
	trees->value = ml_read_room(reader, values, sizeof(double));
	ml_read_finites(reader, trees->value, values);
	if (format >= 3 && ml_read_rest(reader))
	{
		load_gains(trees, reader);
		load_covers(trees, reader);
	}
	return trees;
}
