/*
 * parts.h - trees under construction that go to a temporary file in parts when there are too
 * many for the memory.
 */
#ifndef ML_TREE_PARTS_H
#define ML_TREE_PARTS_H

#include "trees.h"

/* How much there is of all trees, those in the file and those in memory. */
typedef struct MlTreesSize
{
	int			trees;
	uint64_t	nodes;
	uint64_t	leaves;
	uint64_t	words;			/* of sets */
	uint64_t	shares;
} MlTreesSize;

/* Which arrays of a part are wanted. */
#define ML_PART_WALK (1u << 0)	/* all that a prediction needs */
#define ML_PART_ROOTS (1u << 1)
#define ML_PART_OUTPUTS (1u << 2)
#define ML_PART_NODES (1u << 3)
#define ML_PART_GAINS (1u << 4)
#define ML_PART_THRESHOLDS (1u << 5)
#define ML_PART_SETS (1u << 6)
#define ML_PART_COVERS (1u << 7)
#define ML_PART_SHARES (1u << 8)
#define ML_PART_CLASSES (1u << 9)
#define ML_PART_VALUES (1u << 10)

/* Finished trees may take so many bytes from now on; with more of them they go to a file. */
extern void ml_parts_limit(MlTrees *trees, size_t bytes);

/* Before a tree of this size is added. */
extern void ml_parts_make_room(MlTrees *trees, const MlTreesSize *more);

/* After the last tree: if there is a file all trees are there. */
extern void ml_parts_end(MlTrees *trees);

/* Whether there is a file. */
extern bool ml_parts_filed(const MlTrees *trees);

/*
 * After ml_parts_end, for k from 0 to ml_parts_count - 1: has part k in the arrays of `trees`, as far as
 * wanted, and returns the number of its first tree.  Without a file there is one part,
 * which is in the arrays already.  `trees` is a copy of the caller's own: how many of everything
 * its arrays hold is written there.
 */
extern int	ml_parts_count(const MlTrees *trees);
extern int	ml_parts_read(MlTrees *trees, int k, unsigned what);

extern MlTreesSize ml_trees_size(const MlTrees *trees);

/* What so much takes in memory. */
extern size_t ml_trees_bytes(const MlTrees *trees, const MlTreesSize *size);

/* Room for so much more at once: without copies. */
extern void ml_trees_reserve(MlTrees *trees, const MlTreesSize *more);

#endif
