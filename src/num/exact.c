/*
 * exact.c - sums of doubles in a fixed-point number as wide as all products of
 * two doubles (Kulisch and Miranker 1986).
 *
 * Digit i has the weight 2^(32 i - ORIGIN).  A product is a whole number of at most
 * 54 bits times a power of two, so it touches three digits, each by less than 2^33:
 * carries have to move only every 2^29 summands.
 */
#include "num/exact.h"

#include <math.h>
#include <string.h>

#define ORIGIN 2208				/* the smallest product has the exponent -2 * 1073 - 54 */
#define CARRY_EVERY (1u << 29)
#define BASE_BITS 32
#define BASE_MASK ((int64_t) UINT32_MAX)

/* Brings all digits but the last into 0..2^32-1. */
static void
carry(MlExactSum *sum)
{
	for (int i = 0; i < ML_EXACT_DIGITS - 1; i++)
	{
		int64_t		low = sum->digit[i] & BASE_MASK;

		sum->digit[i + 1] += (sum->digit[i] - low) / (BASE_MASK + 1);
		sum->digit[i] = low;
	}
	sum->adds = 0;
}

void
ml_exact_add(MlExactSum *sum, double a, double b)
{
	int			a_exponent;
	int			b_exponent;
	double		product = frexp(a, &a_exponent) * frexp(b, &b_exponent);
	uint64_t	whole = (uint64_t) fabs(product * 0x1p54);
	unsigned	at = (unsigned) (a_exponent + b_exponent - 54 + ORIGIN);
	int64_t		sign = product < 0 ? -1 : 1;
	int64_t    *digit = sum->digit + at / BASE_BITS;
	uint64_t	low = (whole & BASE_MASK) << at % BASE_BITS;
	uint64_t	high = (whole >> BASE_BITS) << at % BASE_BITS;

	digit[0] += sign * (int64_t) (low & BASE_MASK);
	digit[1] += sign * (int64_t) ((low >> BASE_BITS) + (high & BASE_MASK));
	digit[2] += sign * (int64_t) (high >> BASE_BITS);
	if (++sum->adds == CARRY_EVERY)
		carry(sum);
}

/* The sum as mantissa * 2^exponent, |mantissa| below 2^97. */
static double
split(const MlExactSum *sum, int *exponent)
{
	MlExactSum	whole = *sum;
	double		sign = 1;
	int			top = ML_EXACT_DIGITS - 1;

	carry(&whole);
	if (whole.digit[top] < 0)
	{
		sign = -1;
		for (int i = 0; i < ML_EXACT_DIGITS; i++)
			whole.digit[i] = -whole.digit[i];
		carry(&whole);
	}
	while (top > 2 && whole.digit[top] == 0)
		top--;
	*exponent = BASE_BITS * (top - 2) - ORIGIN;
	return sign * ((double) ((uint64_t) whole.digit[top] << BASE_BITS | (uint64_t) whole.digit[top - 1]) * 0x1p32 +
				   (double) whole.digit[top - 2]);
}

double
ml_exact_value(const MlExactSum *sum)
{
	int			exponent;
	double		mantissa = split(sum, &exponent);

	return ldexp(mantissa, exponent);
}

double
ml_exact_ratio(const MlExactSum *a, const MlExactSum *b)
{
	int			a_exponent;
	int			b_exponent;
	double		ratio = split(a, &a_exponent) / split(b, &b_exponent);

	return ldexp(ratio, a_exponent - b_exponent);
}
