/*
 * growing.h - what the grower's parts share: grow.c (the order in which nodes are
 * split, in memory), levels.c (many at once), passes.c (when spilled), rows.c (where a node's rows lie, and its
 * histogram), subtree.c (nodes of few rows), nodes.c (what is known of a node), split.c (the
 * best split of a column), histogram.c (sums over rows) and finish.c (the grown tree).
 *
 * A cell is what is summed over the rows of a bin: `width` 64-bit integers.
 * GRADIENT: g, h.  GINI, ENTROPY: the weight of each class.  When the rows of a
 * child matter their count follows.
 */
#ifndef ML_TREE_GROWING_H
#define ML_TREE_GROWING_H

#include "grow.h"

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void) 0)
#endif

/*
 * Cells to be updated between two looks at interrupts: some 10 ms.  A kernel does no more, so that
 * matrices of more columns than this over ML_BLOCK_ROWS are worked on in parts of blocks.
 */
#define ML_UPDATES 8388608

/* Which columns are in a histogram, and where. */
typedef struct MlPlan
{
	int			n;
	bool		all;			/* every column of the matrix, in order */
	int		   *column;			/* n, ascending */
	size_t	   *first;			/* n + 1: of its first bin, in cells */
	int			width;
	int			classes;		/* 0: GRADIENT */
	bool		counted;		/* the last number of a cell is the count of rows */
	bool		packed;
} MlPlan;

/* Part of a node's rows: order[start] to order[start + count - 1] of a block. */
typedef struct MlSegment
{
	int			block;
	uint16_t	start;
	uint16_t	count;
} MlSegment;

typedef struct MlNode
{
	int			parent;
	int			left;			/* 0: no split was found, or not looked for */
	int			depth;
	bool		taken;			/* the split is in the tree */
	bool		local;			/* what is below was grown from a copy of its rows */
	bool		expanded;		/* its rows were handed to its children */
	bool		missing_left;
	int			feature;		/* of the split, as are the next two */
	int			bin;
	double		gain;
	double		threshold;		/* of its split */
	double		rows;
	int64_t		g;
	int64_t		h;				/* the weight, for classes */
	double		low;			/* limits of the value, from monotone columns */
	double		high;
	uint64_t	path;			/* names the node for seeded choices and ties, whatever the order of growth */
	MlSegment  *segment;
	int			nsegments;
	int			slot;			/* of its histogram, or -1 */
	bool		looked;			/* for its split */
	bool		busy;			/* its histogram is in use */
	int			number;			/* in the finished tree */
	int			place;			/* bare: of its counts, or -1: they are made from its rows when needed */
} MlNode;

/* Nodes of the tree that is being grown, with arrays beside them. */
typedef struct MlNodes
{
	int			n;
	int			room;
	int			classes;
	int			words;			/* of a set */
	bool		bare;			/* counts are kept of nodes with a histogram only */
	int			ncounts;		/* bare: used of counts */
	int			count_room;
	MlNode	   *node;
	int64_t    *counts;			/* room x classes; bare: count_room x classes */
	uint32_t   *sets;			/* room x words: of the node's split */
} MlNodes;

/* A split of a node, the best of those seen. */
typedef struct MlSplit
{
	double		gain;			/* -INFINITY: none */
	int			feature;
	int			bin;			/* number: the last bin with rows that goes left ... */
	int			next;			/* ... and the first that goes right; bins->n: only missing values do */
	double		threshold;		/* number: drawn at random, or NaN: see cut_of */
	bool		missing_left;
	int64_t    *left;			/* width: sums of the left child */
	uint32_t   *set;			/* words */
} MlSplit;

/* Scratch space of a thread that looks for splits. */
typedef struct MlSearch
{
	const MlMatrix *matrix;
	const MlGrowth *growth;
	int			width;
	int			classes;
	bool		counted;
	bool		bounded;		/* values have limits: max_step or monotone columns */
	int			words;
	int64_t		min_h;			/* of a child */
	int64_t		min_rows;
	int		   *list;			/* bins of a column that have rows, at most the most bins + 1 */
	double	   *key;			/* by which levels are sorted */
	int		   *level;
	double	   *mass;			/* 2 x classes */
	int		   *shuffle;		/* p: a permutation, the identity between uses */
	int		   *drawn;			/* p: how to undo it */
	int		   *place;			/* p: columns that a node may use */
	bool	   *allowed;		/* p */
	int64_t    *counts;			/* classes: of a node that has no place for them */
	int		   *present;		/* classes: those that a node has */
	int64_t    *mine;			/* classes: the left side's, zero between uses */
	int64_t		own;			/* by rows: of the node's counts, the sum of what they add to a score */
	double	   *term;			/* ENTROPY: c log2 c of small c */
	double		term_scale;		/* of the node of this weight: */
	int64_t		term_weight;
	MlSplit		best;
} MlSearch;

/* ---- nodes.c ---- */

static inline uint64_t
ml_grow_hash(uint64_t a, uint64_t b)
{
	uint64_t	z = a + 0x9e3779b97f4a7c15u * (b + 1);	/* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Room for `more` nodes beyond those that exist. */
extern void ml_nodes_reserve(MlNodes *nodes, int more);

/* Room for the counts of `more` nodes that get a histogram. */
extern void ml_nodes_reserve_counts(MlNodes *nodes, int more);

/* The weight of each class in node i; NULL without classes. */
static inline int64_t *
ml_node_counts(const MlNodes *nodes, int i, const MlSearch *search)
{
	if (!nodes->bare)
		return nodes->counts != NULL ? nodes->counts + (size_t) i * nodes->classes : NULL;
	return nodes->node[i].place >= 0 ? nodes->counts + (size_t) nodes->node[i].place * nodes->classes : search->counts;
}

extern void ml_nodes_free(MlNodes *nodes);

/* Writes the best split of search into node i and makes its children at `left`, which has room. */
extern void ml_nodes_split(MlNodes *nodes, int i, int left, const MlSearch *search);

/* Whether node i may have children, as far as its sums say. */
extern bool ml_nodes_splittable(const MlNodes *nodes, int i, const MlSearch *search);

/* Whether a bin of the split's column goes left. */
static inline bool
ml_node_goes_left(const MlNode *node, const uint32_t *set, const MlBins *bins, int bin)
{
	if (bin == bins->n)
		return node->missing_left;
	return bins->levels > 0 ? set[bin / 32] >> (bin % 32) & 1 : bin < node->bin;
}

/* Whether a goes before b. */
extern bool ml_nodes_before(const MlGrowth *growth, const MlNode *a, const MlNode *b);

/* A heap of nodes in that order; room for all. */
extern void ml_heap_push(const MlNodes *nodes, const MlGrowth *growth, int *heap, int *n, int i);
extern int	ml_heap_pop(const MlNodes *nodes, const MlGrowth *growth, int *heap, int *n);

/*
 * Columns to try at a node: places in the plan, drawn one by one.  Begin, next until it
 * is negative, end.  As many as the shares say are drawn, and more while all of them were
 * found to be constant in the node.
 */
typedef struct MlDraw
{
	uint64_t	hash;
	int			n;				/* columns to draw from */
	const int  *place;			/* n: theirs, or NULL: 0..n-1 */
	int			at;				/* how many were drawn */
	int			left;			/* how many are still to be drawn */
	bool		random;			/* else in order */
	bool		varies;			/* one of those drawn does, in the node */
} MlDraw;

extern void ml_draw_begin(MlDraw *draw, const MlNodes *nodes, int i, MlSearch *search, const MlPlan *plan);
extern int	ml_draw_next(MlDraw *draw, MlSearch *search);

/* After the columns drawn so far were looked at. */
static inline void
ml_draw_tried(MlDraw *draw)
{
	if (!draw->varies && draw->left == 0)
		draw->left = 1;
}

extern void ml_draw_end(MlDraw *draw, MlSearch *search);

/* Fills place with a seeded choice of k of n, ascending. */
extern void ml_draw_sample(MlSearch *search, uint64_t hash, int n, int k, int *place);

/* share of n, rounded, at least one; all of them when the share is not given */
extern int	ml_draw_count(double share, int n);

/* ---- split.c ---- */

extern void ml_search_create(MlSearch *search, const MlMatrix *matrix, const MlGrowth *growth,
							 const MlPlan *plan, int words);
extern void ml_search_set(MlSearch *search, const MlGrowth *growth);
extern void ml_search_free(MlSearch *search);

/* Begins the search for node i. */
extern void ml_search_begin(MlSearch *search);

/*
 * Looks for the best split of a node on a column: list[0..k-1] are its bins that have rows in the node,
 * ascending, and their sums are at cells + width x bin.  False when there is but one such bin.
 */
extern bool ml_search_column(MlSearch *search, const MlNodes *nodes, int i, int feature, int k, const int64_t *cells);

/*
 * The same from the node's rows, sorted by bin, those of list[b] before end[b]: for a number where there are so many classes
 * that a cell for each in each bin is mostly empty.  Exact, so the result is the same.
 */
extern bool ml_search_rows_suit(MlSearch *search, const MlNodes *nodes, int i);	/* to be asked for each node before */
extern bool ml_search_rows(MlSearch *search, const MlNodes *nodes, int i, int feature, int k,
						   const MlGradient *rows, const int *end);

/* Fills list from a whole histogram of a column; returns how many bins have rows. */
extern int	ml_search_list(MlSearch *search, int bins, const int64_t *cells);

/* Whether the best split seen is good enough. */
extern bool ml_search_found(const MlSearch *search);

/* What a node of these sums, in real units, would predict. */
extern double ml_search_value(const MlGrowth *growth, double g, double h, double low, double high);

/* ---- histogram.c ---- */

/* Scratch space of a thread that adds rows up. */
typedef struct MlAdder
{
	uint64_t   *packed;			/* sums over at most ML_BLOCK_ROWS rows */
	int			pending;		/* rows in there */
} MlAdder;

/* Words of packed sums, for plans of as many columns as this one, and so many bins in all. */
extern size_t ml_adder_cells(const MlMatrix *matrix, size_t cells, const MlPlan *plan);
extern void ml_adder_create(MlAdder *adder, const MlMatrix *matrix, size_t cells, const MlPlan *plan);
extern void ml_adder_free(MlAdder *adder);

/* Adds n rows of a block to the cells of a plan; rows NULL: the first n. */
extern void ml_histogram_add(const MlMatrix *matrix, const MlPlan *plan, MlAdder *adder, const MlBlock *block,
							 const uint16_t *rows, int n, int64_t *cells);

/* To be called after the last ml_histogram_add to the same cells. */
extern void ml_histogram_flush(const MlMatrix *matrix, const MlPlan *plan, MlAdder *adder, int64_t *cells);

/* ---- subtree.c ---- */

typedef struct MlSubtree MlSubtree;	/* scratch space of a thread */

extern MlSubtree *ml_subtree_create(const MlMatrix *matrix, const MlPlan *plan, int rows);
extern void ml_subtree_free(MlSubtree *subtree);

/* Copies the rows of a segment: more of the node to be grown. */
extern void ml_subtree_gather(MlSubtree *subtree, const MlMatrix *matrix, const MlPlan *plan,
							  const MlBlock *block, const MlSegment *segment);

/*
 * Grows everything below node i from the rows gathered.  New nodes are written
 * from number `first` on, where there is room for twice the rows, or all that max_depth allows; returns how many.
 * With `interrupts` they are let through: only where no other thread is at work.
 */
extern int	ml_subtree_grow(MlSubtree *subtree, MlNodes *nodes, int i, int first, MlSearch *search,
							const MlPlan *plan, bool interrupts);

/* ---- the grower ---- */

/* What a thread has for itself. */
typedef struct MlLane
{
	MlSearch	search;
	MlAdder		adder;
	MlSubtree  *subtree;
	uint16_t   *spare;			/* rows of a block */
	int64_t    *cells;			/* a histogram; of lane 0: that of the node */
	bool		used;			/* in this job */
} MlLane;

typedef struct MlChunk
{
	MlSegment  *segment;
	size_t		room;
} MlChunk;

/* A node of few rows that waits for its subtree. */
typedef struct MlFew
{
	int			node;
	int			first;			/* number of the first new node */
	int			used;
} MlFew;

/* What ml_grower_leaves returns, and its scratch space. */
typedef struct MlLeaves
{
	int		   *node;
	int		   *start;
	int		   *of;				/* by row of a segment */
	int		   *rows;			/* by node of the tree, zero between uses */
	uint16_t   *spare;
} MlLeaves;

struct MlGrower
{
	MlMatrix   *matrix;
	MlBlock   **block;			/* in memory: all of them */
	int		   *in_tree;		/* by block */
	MlPlan		plan;			/* the columns of this tree */
	MlPlan		tried;			/* those of a node, when only they are summed */
	bool		direct;			/* so it is */
	int			few;			/* rows that go to subtree.c, ... */
	int			few_kernel;		/* ... and of these such as take a thread no longer than a kernel may */
	int			nlanes;
	MlLane	   *lane;
	MlNodes		nodes;
	int		   *open;			/* nodes whose split was found but not made: a stack, or a heap if leaves are limited */
	int			nopen;
	int			open_room;
	MlFew	   *waiting;
	int			nwaiting;
	size_t		waiting_rows;
	int64_t   **slot;			/* histograms */
	int		   *slot_node;		/* whose, or -1 */
	int			nslots;
	int			most_slots;
	size_t		slot_cells;
	MlChunk    *chunk;			/* of segments */
	int			nchunks;
	int			chunk_at;		/* being filled */
	size_t		chunk_used;
	int		   *left;			/* by segment of the node that is being parted: rows that go left */
	uint8_t    *goes;			/* by bin: 1 goes left */
	size_t		updates;		/* since the last look at interrupts */
	int		   *holder;			/* nodes whose segments hold the leaves, left to right */
	int			nholders;
	int			holder_room;
	bool		packable;		/* there is room for packed sums */
	bool		by_level;		/* splits are made block by block, by levels.c */
	struct MlLevels *levels;
	MlLeaves   *leaves;			/* of each thread */
	int			leaf_room;
	const MlTree *tree;
};

#define ML_MOST_WAITING 64

/* What is to be done with a node that has its rows. */
typedef enum MlWay
{
	ML_WAY_LEAF,
	ML_WAY_FEW,
	ML_WAY_MANY
} MlWay;

/* grow.c */
extern MlWay ml_grower_way(const MlGrower *grower, int i);
extern bool ml_grower_goes_on(const MlGrower *grower, int i);	/* whether children of the node may be split */
extern bool ml_grower_evaluate(MlGrower *grower, int i);	/* finds the split of a node that has its histogram */
extern void ml_grower_open(MlGrower *grower, int i);

/* Seeks that split; with `interrupts` they are let through, otherwise this is pure. */
extern void ml_grower_search(MlGrower *grower, MlSearch *search, int i, bool interrupts);

/* Goes on below node i, whose children were looked at if their way is that of many rows. */
extern void ml_grower_looked(MlGrower *grower, int i, const MlWay *way);

extern void ml_grower_expanded(MlGrower *grower, int i, int summed); /* looks at the children, of which one may have its histogram */

/* levels.c */
typedef struct MlLevels MlLevels;
extern bool ml_grower_levels(const MlGrower *grower);	/* whether that is faster */
extern bool ml_grower_expand_level(MlGrower *grower);	/* makes splits of open nodes; false: of none */

/* passes.c */
extern void ml_grower_passes(MlGrower *grower);

/* rows.c */
extern void ml_grower_worked(MlGrower *grower, size_t updates);
extern int	ml_grower_segment(const MlNode *node, int block);	/* the place of its segment in the block, or -1 */
extern MlSegment *ml_grower_segments(MlGrower *grower, size_t n);
extern int	ml_grower_take_slot(MlGrower *grower, int i);	/* -1: all are in use */
extern bool ml_grower_free_slot(const MlGrower *grower);	/* whether one is to be had without taking it from a node */
extern void ml_grower_give_slot(MlGrower *grower, int i);
extern void ml_grower_clear(MlGrower *grower, int i, const MlPlan *plan);	/* node i's histogram */
extern void ml_grower_sum(MlGrower *grower, int i, const MlPlan *plan);
extern void ml_grower_fill_goes(const MlGrower *grower, int i, uint8_t *goes);
extern int	ml_grower_part(const MlMatrix *matrix, MlLane *lane, const MlBlock *block, int feature, const uint8_t *goes,
						   uint16_t *order, int n);
extern void ml_grower_add_child(MlNode *child, int block, int start, int count);
extern int	ml_grower_hand_down(MlGrower *grower, int i, bool sum);
extern void ml_grower_subtract(MlGrower *grower, int i, int other, int summed);

/* finish.c */
extern MlTree *ml_grower_finish(MlGrower *grower);

#endif
