/*
 * forest.h - what the forests and the single tree share: seeded numbers that
 * belong to a row or a node, the parameters, and the training.
 */
#ifndef ML_TREE_FOREST_H
#define ML_TREE_FOREST_H

#include <string.h>

#include "ml.h"

/* splitmix64 (Steele, Lea, Flood 2014) of a pair. */
static inline uint64_t
ml_forest_hash(uint64_t seed, uint64_t key)
{
	uint64_t	h = key * UINT64_C(0x9e3779b97f4a7c15) + seed + UINT64_C(0xd1b54a32d192ed03);

	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

static inline uint64_t
ml_forest_bits(double x)
{
	uint64_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* In [0, 1). */
static inline double
ml_forest_uniform(uint64_t seed, uint64_t key)
{
	return (double) (ml_forest_hash(seed, key) >> 11) * 0x1p-53;
}

/* In (0, 1]. */
static inline double
ml_forest_open(uint64_t seed, uint64_t key)
{
	return (double) ((ml_forest_hash(seed, key) >> 11) + 1) * 0x1p-53;
}

#endif
