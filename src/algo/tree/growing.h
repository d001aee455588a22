/*
 * growing.h - what the grower's parts share: grow.c (the order in which nodes are
 * split), nodes.c (what is known of a node), histogram.c (sums over rows),
 * split.c (the best split of a column) and subtree.c (nodes of few rows).
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
	bool		expanded;		/* its segments were handed to its children */
	bool		missing_left;
	int			feature;		/* of the split, as are the next two */
	int			bin;
	double		gain;
	double		rows;
	int64_t		g;
	int64_t		h;				/* the weight, for classes */
	double		low;			/* limits of the value, from monotone columns */
	double		high;
	uint64_t	path;			/* names the node for seeded choices and ties, whatever the order of growth */
	MlSegment  *segment;
	int			nsegments;
	int			slot;			/* of its histogram, or -1 */
	int			number;			/* in the finished tree */
} MlNode;

/* Nodes of the tree that is being grown, with arrays beside them. */
typedef struct MlNodes
{
	int			n;
	int			room;
	int			classes;
	int			words;			/* of a set */
	MlNode	   *node;
	int64_t    *counts;			/* room x classes */
	uint32_t   *sets;			/* room x words: of the node's split */
} MlNodes;

/* A split of a node, the best of those seen. */
typedef struct MlSplit
{
	double		gain;			/* -INFINITY: none */
	int			feature;
	int			bin;			/* number: the last bin with rows that goes left ... */
	int			next;			/* ... and the first that goes right; bins->n: only missing values do */
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
 * is negative, end.  As many as the shares say are drawn, and one more for each that was
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
} MlDraw;

extern void ml_draw_begin(MlDraw *draw, const MlNodes *nodes, int i, MlSearch *search, const MlPlan *plan);
extern int	ml_draw_next(MlDraw *draw, MlSearch *search);
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

/* For plans of as many columns as this one, and so many bins in all. */
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
 * from number `first` on, where there is room for twice the rows; returns how many.
 */
extern int	ml_subtree_grow(MlSubtree *subtree, MlNodes *nodes, int i, int first, MlSearch *search,
							const MlPlan *plan);

#endif
