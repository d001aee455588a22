/*
 * exact.h - sums of doubles without rounding: the same for any order of the
 * summands, without overflow or underflow.
 */
#ifndef ML_EXACT_H
#define ML_EXACT_H

#include <stdint.h>

/* Digits in base 2^32, lowest first; each may have grown beyond its base in either direction. */
#define ML_EXACT_DIGITS 144

typedef struct MlExactSum
{
	int64_t		digit[ML_EXACT_DIGITS];
	uint32_t	adds;			/* since digits were last brought into their base */
} MlExactSum;

/* Adds a * b, the product rounded to 53 bits.  All zero is an empty sum.  Finite numbers only. */
extern void ml_exact_add(MlExactSum *sum, double a, double b);

/* The sum as a double, to an ulp; infinite beyond its range. */
extern double ml_exact_value(const MlExactSum *sum);

/* a / b, to a few ulps, also where a or b are beyond the range of a double. */
extern double ml_exact_ratio(const MlExactSum *a, const MlExactSum *b);

#endif
