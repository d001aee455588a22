/*
 * moments.c - one-pass weighted moments about a shift, mergeable and subtractable.
 *
 * Layout of a state of k = p + 2 columns: header (HEADER doubles), shift[k],
 * gram[k * k], and for wide problems a scratch block whose content means nothing
 * between calls (narrow ones use the stack; a state must stay small, there may
 * be one for each of 100,000 groups).
 */
#include "num/moments.h"

#include <math.h>
#include <string.h>

#include "num/dense.h"
#include "num/linear_model.h"

enum
{
	AT_ROWS,
	AT_WEIGHT,
	AT_LOG_WEIGHT,
	AT_SHIFTED,					/* 1 once the shift is fixed */
	HEADER
};

#define CHECK_COLUMNS 256		/* of a matrix, between two looks at interrupts */
#define STACK_COLUMNS 64		/* widest row that is blocked on the stack: 128 kB a tile */

/*
 * A mean this many standard deviations from the shift costs twice as many digits
 * of the variance: 4 of 16, which is when the solvers ask for another pass.
 */
#define FAR_SHIFT 100.0

/* Products of columns above this root have all their digits: 1e-308 / 2e-16, and room for weights of rows. */
#define LEAST_SQUARES 1e-290

static int
columns(const MlProblem *problem)
{
	return problem->p + 2;
}

/* Rows of the scratch block: no more doubles than the Gram matrix, no more rows than a tile. */
static int
scratch_rows(int k)
{
	return k <= STACK_COLUMNS ? 0 : k < ML_TILE_ROWS ? k : ML_TILE_ROWS;
}

size_t
ml_moments_size(const MlProblem *problem)
{
	size_t		k = columns(problem);

	return HEADER + k + k * k + k * scratch_rows(k);
}

MlMoments
ml_moments_view(const MlProblem *problem, const double *state)
{
	MlMoments	m;

	m.k = columns(problem);
	m.rows = state[AT_ROWS];
	m.weight = state[AT_WEIGHT];
	m.log_weight = state[AT_LOG_WEIGHT];
	m.shift = state + HEADER;
	m.gram = m.shift + m.k;
	return m;
}

/* Fixes the shift at the column means of the first tile. */
static void
set_shift(const MlProblem *problem, double *state, const MlTile *tile)
{
	int			p = problem->p;
	double	   *shift = state + HEADER;

	for (int i = 0; i < tile->n; i++)
	{
		const double *x = tile->x + (size_t) i * p;

		for (int j = 0; j < p; j++)
			shift[1 + j] += x[j];
		shift[1 + p] += tile->y[i];
	}
	for (int j = 1; j < p + 2; j++)
		shift[j] /= tile->n;
	state[AT_SHIFTED] = 1.0;
}

/* Writes rows [from, to) as [1, x - shift, y - shift] times the root of the weight. */
static void
fill_block(int p, const double *restrict shift, const MlTile *tile, int from, int to, double *restrict block)
{
	for (int i = from; i < to; i++)
	{
		const double *restrict x = tile->x + (size_t) i * p;
		double	   *restrict row = block + (size_t) (i - from) * (p + 2);

		row[0] = 1.0;
		for (int j = 0; j < p; j++)
			row[1 + j] = x[j] - shift[1 + j];
		row[1 + p] = tile->y[i] - shift[1 + p];
		if (tile->w)
		{
			double		root = sqrt(tile->w[i]);

			for (int j = 0; j < p + 2; j++)
				row[j] *= root;
		}
	}
}

void
ml_moments_accumulate(const MlProblem *problem, double *state, const MlTile *tile)
{
	double		stack[ML_TILE_ROWS * STACK_COLUMNS];
	int			k = columns(problem);
	double	   *shift = state + HEADER;
	double	   *gram = shift + k;
	double	   *block = k <= STACK_COLUMNS ? stack : gram + (size_t) k * k;
	int			room = k <= STACK_COLUMNS ? ML_TILE_ROWS : scratch_rows(k);

	if (tile->n == 0)
		return;
	if (state[AT_SHIFTED] == 0.0)
		set_shift(problem, state, tile);
	for (int from = 0; from < tile->n; from += room)
	{
		int			to = from + room < tile->n ? from + room : tile->n;

		fill_block(problem->p, shift, tile, from, to, block);
		ml_gram_add(to - from, k, block, gram);
	}
	if (block != stack)
		memset(block, 0, sizeof(double) * k * room);	/* a stored state shows no rows */
	state[AT_ROWS] += tile->n;
	if (tile->w)
	{
		double		weight = 0.0;
		double		logs = 0.0;

		for (int i = 0; i < tile->n; i++)
		{
			weight += tile->w[i];
			logs += log(tile->w[i]);
		}
		state[AT_WEIGHT] += weight;
		state[AT_LOG_WEIGHT] += logs;
	}
	else
		state[AT_WEIGHT] += tile->n;
}

/*
 * Moments of `other` about the shift of `state`, x - a = (x - b) + d:
 * G + s d' + d s' + W d d', where s is G's first column and W its corner.
 */
void
ml_moments_combine(const MlProblem *problem, double *state, const double *other, double sign)
{
	int			k = columns(problem);
	double	   *shift = state + HEADER;
	double	   *gram = shift + k;
	const double *oshift = other + HEADER;
	const double *ogram = oshift + k;
	double		weight = ogram[0];

	if (other[AT_SHIFTED] == 0.0)
		return;
	if (state[AT_SHIFTED] == 0.0)
	{
		memcpy(shift, oshift, sizeof(double) * k);
		state[AT_SHIFTED] = 1.0;
	}
	for (int j = 0; j < k; j++)
	{
		double		dj = oshift[j] - shift[j];
		double		sj = ogram[j];
		double	   *to = gram + (size_t) j * k;
		const double *from = ogram + (size_t) j * k;

		if (j % CHECK_COLUMNS == CHECK_COLUMNS - 1)
			ml_check_interrupts();
		for (int i = 0; i < k; i++)
		{
			double		di = oshift[i] - shift[i];

			to[i] += sign * (from[i] + (ogram[i] * dj + di * sj) + weight * di * dj);
		}
	}
	for (int i = AT_ROWS; i <= AT_LOG_WEIGHT; i++)
		state[i] += sign * other[i];
}

/* a + b = *sum + *rest exactly (Knuth's two-sum). */
static void
two_sum(double a, double b, double *sum, double *rest)
{
	double		s = a + b;
	double		t = s - a;

	*sum = s;
	*rest = (a - (s - t)) + (b - t);
}

/* Refuses sums that overflowed, or lost digits because squares are too small: the names tell which column to rescale. */
static void
check_range(const MlProblem *problem, const MlMoments *m)
{
	for (int j = 1; j < m->k; j++)
	{
		double		square = m->gram[j + (size_t) j * m->k];
		double		raw = m->gram[j + (size_t) j * m->k] + m->weight * m->shift[j] * m->shift[j];

		if (!isfinite(raw) || !isfinite(m->gram[j]))
		{
			if (j <= problem->p)
				ml_fail_data("the squares of column \"%s\" overflow: divide it by a power of ten first",
							 problem->names[j - 1]);
			ml_fail_data("the squares of the target overflow: divide it by a power of ten first");
		}
		/* a column that does not vary has only zeros here */
		if (square < LEAST_SQUARES && (square > 0 || m->gram[j] != 0))
		{
			if (j <= problem->p)
				ml_fail_data("the squares of column \"%s\" underflow: multiply it by a power of ten first",
							 problem->names[j - 1]);
			ml_fail_data("the squares of the target underflow: multiply it by a power of ten first");
		}
	}
}

MlCross *
ml_cross_create(const MlProblem *problem, const double *state, bool intercept, const bool *unit)
{
	MlCross    *c = ml_alloc(1, sizeof(MlCross));
	int			p = problem->p;
	MlMoments	m = ml_moments_view(problem, state);

	if (!(m.rows > 0.0) || !(m.weight > 0.0))
		ml_fail_data("no rows to learn from");
	check_range(problem, &m);
	c->p = p;
	c->center = ml_alloc(p + 1, sizeof(double));
	c->center_rest = ml_alloc(p + 1, sizeof(double));
	c->scale = ml_alloc(p + 1, sizeof(double));
	c->sd = ml_alloc(p + 1, sizeof(double));
	c->magnitude = ml_alloc(p + 1, sizeof(double));
	c->a = ml_alloc((size_t) p * p + 1, sizeof(double));
	c->b = ml_alloc(p + 1, sizeof(double));
	ml_cross_fill(problem, state, intercept, unit, c);
	return c;
}

/*
 * Standard deviation of column j about its mean.  One that is within the
 * rounding of the values themselves is 0: the column is constant.
 */
static double
column_sd(const MlMoments *m, int j, bool *cancelled)
{
	double		d = m->gram[j] / m->weight;
	double		square = m->gram[j + (size_t) j * m->k] / m->weight;
	double		var = square - d * d;
	double		noise = 4.0 * 2.2e-16 * (fabs(m->shift[j]) + fabs(d));

	if (!(var > noise * noise) || var < 1e-14 * square)
	{
		/* constant, beside a shift that is off by the rounding of a mean; otherwise all variance cancelled */
		if (square > noise * noise * ML_TILE_ROWS * ML_TILE_ROWS)
			*cancelled = true;
		return 0.0;
	}
	if (d * d > FAR_SHIFT * FAR_SHIFT * var)
		*cancelled = true;
	return sqrt(var);
}

/* Sum of w u v for raw columns u and v: about 0, nothing cancels. */
static double
raw_product(const MlMoments *m, int i, int j)
{
	return m->gram[i + (size_t) j * m->k] + m->shift[i] * m->gram[j] + m->shift[j] * m->gram[i]
		+ m->weight * m->shift[i] * m->shift[j];
}

/* Sum of w (u - mean) (v - mean). */
static double
centered_product(const MlMoments *m, int i, int j)
{
	return m->gram[i + (size_t) j * m->k] - m->gram[i] * (m->gram[j] / m->weight);
}

/* Centers, scales and magnitudes of the columns. */
static void
fill_columns(const MlMoments *m, bool intercept, const bool *unit, MlCross *c)
{
	c->cancelled = false;
	for (int j = 0; j <= c->p; j++)
	{
		double		sd = column_sd(m, j + 1, &c->cancelled);
		double		center;
		double		rest;

		two_sum(m->shift[j + 1], m->gram[j + 1] / m->weight, &center, &rest);
		if (!intercept)
			center = rest = 0.0;
		c->magnitude[j] = sqrt(fabs(raw_product(m, j + 1, j + 1)) / m->weight);
		if (j < c->p)
		{
			c->sd[j] = sd;
			c->scale[j] = (sd > 0.0 && (unit == NULL || unit[j])) ? sd : 1.0;
			c->center[j] = center;
			c->center_rest[j] = rest;
		}
		else
		{
			c->y_sd = sd;
			c->y_center = center;
			c->y_center_rest = rest;
		}
	}
}

void
ml_cross_fill(const MlProblem *problem, const double *state, bool intercept, const bool *unit, MlCross *c)
{
	MlMoments	m = ml_moments_view(problem, state);
	int			p = c->p;
	int			y = p + 1;

	c->rows = m.rows;
	c->weight = m.weight;
	fill_columns(&m, intercept, unit, c);
	for (int j = 0; j < p; j++)
	{
		double	   *a = c->a + (size_t) j * p;

		if (j % CHECK_COLUMNS == CHECK_COLUMNS - 1)
			ml_check_interrupts();
		for (int i = 0; i < p; i++)
		{
			double		v = intercept ? centered_product(&m, i + 1, j + 1) : raw_product(&m, i + 1, j + 1);

			/* what rounding left of a constant column must not look like a signal */
			a[i] = intercept && (c->sd[i] == 0.0 || c->sd[j] == 0.0) ? 0.0 : v / (c->scale[i] * c->scale[j]);
		}
		if (intercept)
			c->b[j] = c->sd[j] == 0.0 || c->y_sd == 0.0 ? 0.0 : centered_product(&m, j + 1, y) / c->scale[j];
		else
			c->b[j] = raw_product(&m, j + 1, y) / c->scale[j];
	}
	c->yy = intercept ? c->weight * c->y_sd * c->y_sd : raw_product(&m, y, y);
}

double
ml_cross_alpha(const MlCross *c, bool intercept, const double *beta_z)
{
	double		rest = c->y_center_rest;

	if (!intercept)
		return 0.0;
	for (int j = 0; j < c->p; j++)
		rest -= beta_z[j] / c->scale[j] * c->center_rest[j];
	return c->y_center + rest;
}

double
ml_moments_squared_error(const MlProblem *problem, const double *state, double alpha,
						 const double *beta, const double *center, double *work)
{
	MlMoments	m = ml_moments_view(problem, state);
	int			p = problem->p;
	double	   *value = work;
	int			used = 0;
	double		level = m.shift[p + 1] - alpha;
	double		sum = 0.0;
	double	   *index = work + p + 2;	/* small integers, exact in doubles */

	/* residual = level + (y - shift) - beta (x - shift) */
	for (int j = 0; j < p; j++)
		if (beta[j] != 0.0)
		{
			level -= beta[j] * (m.shift[j + 1] - center[j]);
			value[used] = -beta[j];
			index[used++] = j + 1;
		}
	value[used] = 1.0;
	index[used++] = p + 1;
	for (int i = 0; i < used; i++)
	{
		const double *g = m.gram + (size_t) index[i] * m.k;
		double		dot = 2.0 * level * g[0];

		for (int j = 0; j < used; j++)
			dot += g[(int) index[j]] * value[j];
		sum += value[i] * dot;
	}
	sum += level * level * m.weight;
	return sum > 0.0 ? sum : 0.0;
}

double
ml_moments_model_error(const MlProblem *problem, const double *state, const void *model)
{
	const MlLinear *m = model;
	double	   *work = ml_alloc(2 * ((size_t) problem->p + 2), sizeof(double));

	return ml_moments_squared_error(problem, state, m->alpha[0], m->beta, m->center, work);
}
