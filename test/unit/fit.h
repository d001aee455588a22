/*
 * fit.h - drives an algorithm over rows in memory as the core does: standardizes,
 * runs passes of tiles spread over two combined states, saves and loads the model.
 */
#ifndef ML_TEST_FIT_H
#define ML_TEST_FIT_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

typedef struct Rows
{
	int			n;
	int			p;
	int			classes;
	const double *x;
	const double *y;
	const double *w;
	const double *offset;
} Rows;

static const char *const column_names[] = {"x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8"};

static void
standardize(const Rows *rows, double *z, double *center, double *scale)
{
	for (int j = 0; j < rows->p; j++)
	{
		double		sum = 0;
		double		square = 0;

		for (int i = 0; i < rows->n; i++)
			sum += rows->x[i * rows->p + j];
		center[j] = sum / rows->n;
		for (int i = 0; i < rows->n; i++)
		{
			double		d = rows->x[i * rows->p + j] - center[j];

			square += d * d;
		}
		scale[j] = square > 0 ? sqrt(square / rows->n) : 1;
		for (int i = 0; i < rows->n; i++)
			z[i * rows->p + j] = (rows->x[i * rows->p + j] - center[j]) / scale[j];
	}
}

/* One pass: tiles of 7 rows go to two states in turn, which are then combined. */
static double *
one_pass(const MlAlgorithm *a, const MlProblem *problem, const Rows *rows, const double *z)
{
	size_t		size = a->state_size(problem);
	double	   *state[2];

	for (int s = 0; s < 2; s++)
	{
		state[s] = ml_alloc(size, sizeof(double));
		if (a->init)
			a->init(problem, state[s]);
	}
	for (int i = 0, s = 0; i < rows->n; i += 7, s = !s)
	{
		MlTile		tile = {
			.n = rows->n - i < 7 ? rows->n - i : 7,
			.x = z + i * rows->p,
			.y = rows->y + i,
			.w = rows->w ? rows->w + i : NULL,
			.offset = rows->offset ? rows->offset + i : NULL
		};

		a->accumulate(problem, state[s], &tile);
	}
	a->combine(problem, state[0], state[1], 1);
	return state[0];
}

/* The loaded copy of the fitted model; `writer` keeps its bytes. */
static inline void *
fit_rows(const MlAlgorithm *a, const void *params, const Rows *rows, MlResult *result, MlWriter *writer)
{
	double	   *z = ml_alloc((size_t) rows->n * rows->p + 1, sizeof(double));
	double	   *center = ml_alloc(rows->p + 1, sizeof(double));
	double	   *scale = ml_alloc(rows->p + 1, sizeof(double));
	bool	   *scaled = ml_alloc(rows->p + 1, sizeof(bool));
	MlProblem	problem = {
		.task = rows->classes ? ML_CLASSIFICATION : ML_REGRESSION, .p = rows->p, .classes = rows->classes,
		.names = column_names, .center = center, .scale = scale, .scaled = scaled, .params = params
	};
	MlReader	reader = {0};

	standardize(rows, z, center, scale);
	memset(scaled, 1, rows->p);
	if (a->check)
		a->check(params, problem.task);
	for (;; problem.pass++)
	{
		double	   *state = one_pass(a, &problem, rows, z);

		memset(result, 0, sizeof(*result));
		if (a->finish(&problem, state, result) == ML_DONE)
			break;
		problem.carry = result->carry;
		problem.ncarry = result->ncarry;
	}
	memset(writer, 0, sizeof(*writer));
	a->save(result->model, writer);
	reader.data = writer->data;
	reader.size = writer->size;
	return a->load(&reader, a->format, rows->p, rows->classes);
}

/* Truncates the bytes everywhere and flips every bit: load accepts or says XX001, nothing else. */
static inline void
test_hostile(const MlAlgorithm *a, const MlWriter *writer, int p, int classes)
{
	char	   *bytes = malloc(writer->size);
	volatile int wrong = 0;

	for (volatile size_t i = 0; i < writer->size * 9; i++)
	{
		size_t		at = i % writer->size;
		int			bit = (int) (i / writer->size);
		MlReader	reader = {.data = bytes, .size = bit == 8 ? at : writer->size};

		memcpy(bytes, writer->data, writer->size);
		if (bit < 8)
			bytes[at] ^= (char) (1 << bit);
		if (setjmp(*ml_test_catch()) == 0)
		{
			a->load(&reader, a->format, p, classes);
			ml_test_uncatch();
			wrong += bit == 8;	/* a truncated model must not load */
		}
		else
			wrong += strcmp(ml_test_sqlstate, "XX001") != 0;
	}
	free(bytes);
	ml_test_ok(wrong == 0, "%s: damaged models are refused or harmless", a->name);
}

static void
test_near(double got, double want, double tolerance, const char *what, int i)
{
	ml_test_ok((isnan(got) && isnan(want)) || fabs(got - want) <= tolerance * fmax(fabs(want), 1e-300),
			   "%s %d: %.12g, wanted %.12g", what, i, got, want);
}

#endif
