/*
 * parts.c - trees of a forest that are more than the memory for them holds.
 *
 * A deep forest is larger than its rows.  While it grows nobody asks for the trees that are
 * finished: when those in memory take more than they may, they go to a temporary file as
 * one part, array by array, and make room for the next ones.  Afterwards the parts come
 * back one at a time, into the same arrays, to be summed over many rows or written.
 *
 * Memory: the arrays of MlTrees, one part; the list of parts.  The file goes with the training.
 */
#include "parts.h"

#include <string.h>

typedef struct Part
{
	int			first;			/* its first tree */
	int			ntrees;
	uint32_t	nnodes;
	uint32_t	nleaves;
	uint32_t	nsets;
	uint32_t	nshares;
	uint64_t	at;				/* in the file */
} Part;

typedef struct MlParts
{
	size_t		limit;			/* bytes that trees in memory may take */
	MlFile	   *file;			/* NULL: all trees are in memory */
	uint64_t	end;			/* of the file */
	int			n;
	int			room;
	Part	   *part;
	MlTreesSize size;			/* of the parts */
} MlParts;

/* An array of a part: where it is in memory, and how many bytes it takes. */
typedef struct Array
{
	void	   *start;
	size_t		bytes;
	unsigned	what;
} Array;

#define ARRAYS 11

static void
list_arrays(const MlTrees *trees, const Part *part, Array *array)
{
	array[0] = (Array) {trees->root, sizeof(uint32_t) * part->ntrees, ML_PART_WALK | ML_PART_ROOTS};
	array[1] = (Array) {trees->depth, sizeof(int) * part->ntrees, ML_PART_WALK};
	array[2] = (Array) {trees->node, sizeof(MlTreeNode) * part->nnodes, ML_PART_WALK | ML_PART_NODES | ML_PART_THRESHOLDS};
	array[3] = (Array) {trees->leaf, sizeof(uint32_t) * part->nnodes, ML_PART_WALK};
	array[4] = (Array) {trees->value, sizeof(double) * (trees->share ? part->nshares : (size_t) trees->width * part->nleaves),
		ML_PART_WALK | ML_PART_VALUES};
	array[5] = (Array) {trees->sets, sizeof(uint32_t) * part->nsets, ML_PART_WALK | ML_PART_SETS};
	array[6] = (Array) {trees->cover, sizeof(float) * part->nnodes, ML_PART_COVERS};
	array[7] = (Array) {trees->gain, sizeof(double) * part->nnodes, ML_PART_GAINS};
	array[8] = (Array) {trees->output, sizeof(int) * part->ntrees, ML_PART_WALK | ML_PART_OUTPUTS};
	array[9] = (Array) {trees->share, trees->share ? sizeof(uint32_t) * (part->nleaves + 1) : 0, ML_PART_WALK | ML_PART_SHARES};
	array[10] = (Array) {trees->share_class, sizeof(uint32_t) * part->nshares, ML_PART_WALK | ML_PART_CLASSES};
}

size_t
ml_trees_bytes(const MlTrees *trees, const MlTreesSize *size)
{
	return (sizeof(MlTreeNode) + sizeof(uint32_t) + sizeof(float) + sizeof(double)) * size->nodes +
		(trees->share ? sizeof(uint32_t) : sizeof(double) * trees->width) * size->leaves +
		sizeof(uint32_t) * size->words + (sizeof(double) + sizeof(uint32_t)) * size->shares;
}

void
ml_parts_limit(MlTrees *trees, size_t bytes)
{
	if (trees->parts == NULL)
		trees->parts = ml_alloc(1, sizeof(MlParts));
	trees->parts->limit = bytes;
}

bool
ml_parts_filed(const MlTrees *trees)
{
	return trees->parts != NULL && trees->parts->file != NULL;
}

/* Writes the trees in memory behind the other parts. */
static void
write_part(MlTrees *trees)
{
	MlParts    *parts = trees->parts;
	Part		part = {parts->size.trees, trees->ntrees, trees->nnodes, trees->nleaves, trees->nsets, trees->nshares,
		parts->end};
	Array		array[ARRAYS];

	if (parts->file == NULL)
		parts->file = ml_file_create();
	if (parts->n == parts->room)
	{
		Part	   *larger = ml_alloc(2 * parts->room + 16, sizeof(Part));

		if (parts->n > 0)
		{
			memcpy(larger, parts->part, sizeof(Part) * parts->n);
			ml_free(parts->part);
		}
		parts->part = larger;
		parts->room = 2 * parts->room + 16;
	}
	list_arrays(trees, &part, array);
	for (int a = 0; a < ARRAYS; a++)
	{
		if (array[a].bytes > 0)
			ml_file_write(parts->file, parts->end, array[a].start, array[a].bytes);
		parts->end += array[a].bytes;
	}
	parts->part[parts->n++] = part;
	parts->size = ml_trees_size(trees);
	trees->ntrees = 0;
	trees->nnodes = trees->nleaves = trees->nsets = trees->nshares = 0;
}

void
ml_parts_make_room(MlTrees *trees, const MlTreesSize *more)
{
	MlTreesSize size = {0, trees->nnodes + more->nodes, trees->nleaves + more->leaves, trees->nsets + more->words,
	trees->nshares + more->shares};

	if (trees->parts != NULL && trees->ntrees > 0 && ml_trees_bytes(trees, &size) > trees->parts->limit)
		write_part(trees);
}

void
ml_parts_end(MlTrees *trees)
{
	if (ml_parts_filed(trees) && trees->ntrees > 0)
		write_part(trees);
}

MlTreesSize
ml_trees_size(const MlTrees *trees)
{
	MlTreesSize size = {0};

	if (trees->parts != NULL)
		size = trees->parts->size;
	size.trees += trees->ntrees;
	size.nodes += trees->nnodes;
	size.leaves += trees->nleaves;
	size.words += trees->nsets;
	size.shares += trees->nshares;
	return size;
}

int
ml_parts_count(const MlTrees *trees)
{
	return ml_parts_filed(trees) ? trees->parts->n : 1;
}

int
ml_parts_read(MlTrees *trees, int k, unsigned what)
{
	const Part *part;
	Array		array[ARRAYS];
	uint64_t	at;

	if (!ml_parts_filed(trees))
		return 0;
	part = trees->parts->part + k;
	at = part->at;
	list_arrays(trees, part, array);
	for (int a = 0; a < ARRAYS; a++)
	{
		if ((array[a].what & what) != 0 && array[a].bytes > 0)
			ml_file_read(trees->parts->file, at, array[a].start, array[a].bytes);
		at += array[a].bytes;
	}
	trees->ntrees = part->ntrees;
	trees->nnodes = part->nnodes;
	trees->nleaves = part->nleaves;
	trees->nsets = part->nsets;
	trees->nshares = part->nshares;
	return part->first;
}
