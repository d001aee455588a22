/*
 * trees.h - a model of trees: one flat array of small nodes for all of them,
 * the predictor over it, its bytes, and what it says about itself.  Shared by all
 * tree methods and by import and export.
 */
#ifndef ML_TREE_TREES_H
#define ML_TREE_TREES_H

#include "ml.h"

struct MlTree;

/* From the sum of the trees to the prediction. */
typedef enum MlTreeLink
{
	ML_LINK_IDENTITY,
	ML_LINK_LOG,				/* exp of the sum */
	ML_LINK_LOGISTIC,			/* two classes: probability of class 1 */
	ML_LINK_SOFTMAX,
	ML_LINK_SHARES,				/* leaves hold class shares already: normalized */
	ML_LINK_ISOLATION			/* leaves hold path lengths: 2^(-mean / scale) */
} MlTreeLink;

#define ML_TREE_MAX_DEPTH 10000
#define ML_TREES_FORMAT 3		/* of the payload, see trees.c */

/*
 * A node.  x < threshold goes left; of a category, a set bit.  Nodes of a tree
 * lie level by level, those of all trees one after the other.  Missing values,
 * unseen categories and codes beyond the set go where the default says.  A leaf points to itself
 * and its threshold is NaN, so that a walk of fixed length stays there.
 * A column with levels is split by categories only.
 */
typedef struct MlTreeNode
{
	double		threshold;		/* category: unused, or see ML_WORD_LEVELS */
	uint32_t	left;			/* right child: left + 1 */
	uint32_t	feature;		/* low 24 bits; and the flags below */
} MlTreeNode;
#define ML_NODE_FEATURE 0xffffffu
#define ML_NODE_MISSING_RIGHT (1u << 24)
#define ML_NODE_CATEGORY (1u << 25)
#define ML_NODE_LEAF (1u << 26)
#define ML_NODE_LARGE (1u << 27)	/* category: of a column with more than ML_WORD_LEVELS */
#define ML_NODE_OTHERS_LEFT (1u << 28)	/* categories beyond the set go left, whatever missing values do; of imported models */

/*
 * A category split of a column with few levels has in the place of its threshold
 * a word of 64 bits: bit l says that level l goes right, the next one that any other x
 * does, the last one that missing values do.  None of these bits is set in the NaN of a leaf.
 */
#define ML_WORD_LEVELS 50
#define ML_WORD_OTHERS 50
#define ML_WORD_MISSING 63

typedef struct MlTrees
{
	int			p;
	int			classes;		/* 0: regression or anomaly */
	int			outputs;		/* numbers before the link: 1, or classes */
	int			width;			/* numbers in a leaf: 1, or outputs */
	MlTreeLink	link;
	bool		average;		/* the mean of the trees; otherwise their sum */
	double		scale;			/* ISOLATION */
	double	   *base;			/* outputs: added to the sum, before the link */
	int			ntrees;
	uint32_t   *root;			/* ntrees */
	int		   *depth;			/* ntrees: longest path */
	int		   *output;			/* ntrees: the output that a tree adds to; with width > 1 all of them */
	uint32_t	nnodes;
	MlTreeNode *node;
	uint32_t   *leaf;			/* nnodes: number of a leaf in value; of a category split, start of its bits in sets */
	float	   *cover;			/* nnodes: weight of the training rows (sum of h) that came here; of a split, its children's sum */
	double	   *gain;			/* nnodes: of the split, 0 for leaves; both NULL in a model that was read for predictions alone */
	uint32_t	nleaves;
	double	   *value;			/* nleaves x width; with shares: nshares */
	uint32_t   *share;			/* nleaves + 1: of many classes a leaf keeps those it has, share[l] to share[l + 1] - 1; or NULL */
	uint32_t   *share_class;	/* nshares: ascending in a leaf */
	uint32_t	nshares;
	uint32_t	nsets;			/* words */
	uint32_t   *sets;			/* of each category split: how many words follow, then these */
	int		   *levels;			/* p: categories, 0 for a number */
	char	   *objective;		/* for people and for export: "squared", "logistic", "gini" ... */
	int			rounds;			/* of boosting that were kept; 0: not boosted */
	bool		categories;		/* some split is of a category, ... */
	bool		large;			/* ... and has ML_NODE_LARGE */
	struct MlParts *parts;		/* of a training: trees that are in a file, see parts.h; or NULL */
	uint32_t	tree_room;		/* while trees are added: room in the arrays */
	uint32_t	node_room;
	uint32_t	leaf_room;
	uint32_t	set_room;
	uint32_t	share_room;
} MlTrees;

/*
 * A model under construction: trees are added in order; room grows by doubling,
 * counted against the budget.  The caller sets link, average, scale, base,
 * objective and rounds; at first they are zero, and objective "".
 */
extern MlTrees *ml_trees_create(const MlProblem *problem, int outputs, int width);

/* A model under construction that begins with the trees of a finished one. */
extern MlTrees *ml_trees_copy(const MlTrees *from);

/* value: of node i of the tree (only leaves are read), `width` numbers; scale multiplies them (learning rate). */
extern void ml_trees_add(MlTrees *trees, const struct MlTree *tree, int output, const double *value, double scale);

/* The same for leaves that keep the classes they have: those of node i are start[i] to start[i + 1] - 1. */
typedef struct MlShares
{
	uint32_t   *start;			/* nodes + 1 */
	uint32_t   *class;
	double	   *share;
} MlShares;
extern void ml_trees_add_shares(MlTrees *trees, const struct MlTree *tree, const MlShares *shares);
extern void ml_trees_truncate(MlTrees *trees, int ntrees);	/* keeps the first */

/* The contract's functions, the same for every tree method. */
extern void ml_trees_predict(const void *model, const double *x, double *out);
extern void ml_trees_margin(const MlTrees *trees, const double *x, double *out);	/* before the link: outputs */
extern void ml_trees_add_up(const MlTrees *trees, const double *x, double *out);	/* adds the leaves of the trees in memory to out */
extern void ml_trees_complete(const MlTrees *trees, int ntrees, double *out);	/* from their sum to the prediction */
extern void ml_trees_save(const void *model, MlWriter *writer);
extern void *ml_trees_load(MlReader *reader, int format, int p, int classes);
extern void ml_trees_describe(const void *model, MlRows *rows);
extern void ml_trees_importance(const void *model, double *share);	/* gain */
extern void ml_trees_explain(const void *model, const double *x, int output, double *base, double *contrib);
extern void ml_trees_formula(const void *model, MlFormula *out);	/* formula.c */

/* Total "gain" or "cover" of the splits of a column, or how many "splits"; false for another method. */
extern bool ml_trees_importance_by(const void *model, const char *method, double *share);

#endif
