/* ml_sort_doubles against the C library's qsort. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "num/sort.h"

#define MOST 5000

static int
by_value(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* The i-th number of a kind. */
static double
number(int kind, int i, int n)
{
	switch (kind)
	{
		case 0:
			return (i * 7919 + 13) % 10007;
		case 1:
			return i % 3;
		case 2:
			return n - i;
		case 3:
			return i % 7 == 0 ? INFINITY : i % 11 == 0 ? -INFINITY : -i;
		default:
			return i;
	}
}

int
main(void)
{
	static double x[MOST + 1];
	static double sorted[MOST];
	static double spare[MOST + 1];

	for (int kind = 0; kind < 5; kind++)
	{
		int			wrong = 0;

		for (int n = 0; n <= MOST; n += n < 300 ? 1 : 47)
		{
			for (int i = 0; i < n; i++)
				x[i] = sorted[i] = number(kind, i, n);
			x[n] = spare[n] = 12345;
			qsort(sorted, n, sizeof(double), by_value);
			ml_sort_doubles(x, n, spare);
			wrong += memcmp(x, sorted, n * sizeof(double)) != 0 || x[n] != 12345 || spare[n] != 12345;
		}
		ml_test_ok(wrong == 0, "any count of numbers of kind %d", kind);
	}
	return ml_test_done();
}
