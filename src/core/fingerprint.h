/*
 * fingerprint.h - 128 bits that say whether two trainings saw the same rows, in
 * whatever order and by however many processes they were read.
 *
 * It is a sum over rows, so rows can be added and taken away.  It tells apart what
 * differs by accident; who chooses rows on purpose can find two sets with one sum.
 */
#ifndef ML_FINGERPRINT_H
#define ML_FINGERPRINT_H

#include "core/compat.h"

#define ML_FINGERPRINT_SIZE 16

typedef struct MlFingerprint
{
	uint64		sum[2];
} MlFingerprint;

/* A row on its way: zero it, add its doubles, end it. */
typedef struct MlRowHash
{
	uint64		lane[2];
} MlRowHash;

/* Places count the doubles of a row; NaN is NULL, and -0 is 0.  A place without a value is left out. */
extern void ml_row_hash_add(MlRowHash *hash, const double *values, int n, int place);
extern void ml_row_hash_end(const MlRowHash *hash, MlFingerprint *sum);

/* n rows of k features, `stride` apart; then the target, and the weight if there is one, `step` apart. */
extern void ml_fingerprint_rows(MlFingerprint *sum, const double *x, int n, int k, int stride,
								const double *y, const double *w, int step);
extern void ml_fingerprint_add(MlFingerprint *sum, const MlFingerprint *other, bool subtract);

/* A category as a double to be hashed: the same for the same bytes. */
extern double ml_fingerprint_text(const char *bytes, int len);

/* As stored: network order. */
extern void ml_fingerprint_bytes(const MlFingerprint *sum, uint8 *bytes);

#endif
