/*
 * matrix.c - bins of training rows: cuts against brute force, independence of the
 * order of rows and of the memory, error of quantiles, layouts, extreme values, errors.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/tree/cuts.h"
#include "algo/tree/matrix.h"
#include "host.h"

static uint64_t seed = 1;

static double
uniform(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double) (seed >> 11) * 0x1p-53;
}

static double
normal(void)
{
	double		r = sqrt(-2 * log(1 - uniform()));

	return r * cos(6.283185307179586 * uniform());
}

/* Rows for a test, all arrays of the program. */
typedef struct Rows
{
	size_t		n;
	int			p;
	double	   *x;
	double	   *y;
	double	   *w;
	double	   *u;
	double	   *group;
} Rows;

static Rows
make_rows(size_t n, int p)
{
	Rows		r = {n, p};

	r.x = calloc(n * p, sizeof(double));
	r.y = calloc(n, sizeof(double));
	r.u = calloc(n, sizeof(double));
	for (size_t i = 0; i < n; i++)
	{
		r.u[i] = uniform();
		r.y[i] = 1000 + normal();
	}
	return r;
}

static void
free_rows(Rows *r)
{
	free(r->x);
	free(r->y);
	free(r->w);
	free(r->u);
	free(r->group);
}

static MlMatrixOptions
options_of(int max_bin)
{
	MlMatrixOptions o = {.max_bin = max_bin, .outputs = 1, .keep_gradient = true, .shift_target = true};

	return o;
}

static MlMatrix *
build_levels(const Rows *r, const MlMatrixOptions *o, const int *levels)
{
	MlProblem	problem = {.task = ML_REGRESSION, .p = r->p, .levels = levels, .seed = 7};
	MlData	   *data = ml_test_data(r->n, r->p, r->x, r->y, r->w, NULL, r->u, r->group);
	MlMatrix   *m = ml_matrix_build(&problem, data, o);

	ml_free(data);
	return m;
}

static MlMatrix *
build(const Rows *r, int max_bin)
{
	MlMatrixOptions o = options_of(max_bin);

	return build_levels(r, &o, NULL);
}

static int
bin_of(const MlMatrix *m, const MlBlock *b, int row, int j)
{
	return m->wide ? b->bin16[(size_t) row * m->p + j] : b->bin8[(size_t) row * m->p + j];
}

/* Whether each value lies between the cuts of its bin. */
static bool
bins_right(MlMatrix *m, const Rows *r)
{
	size_t		at = 0;

	for (int k = 0; k < m->nblocks; k++)
	{
		MlBlock    *b = ml_matrix_block(m, k, false);

		for (int i = 0; i < b->n; i++, at++)
			for (int j = 0; j < m->p; j++)
			{
				const MlBins *bins = &m->bins[j];
				double		x = r->x[at * m->p + j];
				int			bin = bin_of(m, b, i, j);

				if (isnan(x) ? !bins->missing || bin != bins->n :
					bin >= bins->n || (bin > 0 && !(bins->cut[bin - 1] <= x)) ||
					(bin < bins->n - 1 && !(x < bins->cut[bin])))
					return false;
			}
	}
	return at == r->n;
}

static int
by_value(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Whether a column's cuts part all its neighbouring distinct values. */
static bool
cuts_each(const MlMatrix *m, const Rows *r, int j)
{
	double	   *value = malloc(r->n * sizeof(double));
	size_t		n = 0;
	int			cuts = 0;
	bool		good = true;

	for (size_t i = 0; i < r->n; i++)
		if (!isnan(r->x[i * r->p + j]))
			value[n++] = r->x[i * r->p + j];
	qsort(value, n, sizeof(double), by_value);
	for (size_t i = 0; i + 1 < n && good; i++)
		if (value[i] != value[i + 1])
		{
			double		middle = (double) (((long double) value[i] + value[i + 1]) / 2);

			good = cuts < m->bins[j].n - 1 && value[i] < m->bins[j].cut[cuts] && m->bins[j].cut[cuts] <= value[i + 1] &&
				fabs(m->bins[j].cut[cuts] - middle) <= 4e-16 * fabs(middle) + 5e-324;
			cuts++;
		}
	free(value);
	return good && cuts == m->bins[j].n - 1;
}

/* The rows in another order. */
static Rows
shuffled(const Rows *r)
{
	Rows		s = make_rows(r->n, r->p);
	size_t	   *place = malloc(r->n * sizeof(size_t));

	s.w = r->w ? malloc(r->n * sizeof(double)) : NULL;
	for (size_t i = 0; i < r->n; i++)
	{
		size_t		k = (size_t) (uniform() * (i + 1));

		place[i] = place[k];
		place[k] = i;
	}
	for (size_t i = 0; i < r->n; i++)
	{
		memcpy(s.x + i * r->p, r->x + place[i] * r->p, r->p * sizeof(double));
		s.y[i] = r->y[place[i]];
		s.u[i] = r->u[place[i]];
		if (r->w)
			s.w[i] = r->w[place[i]];
	}
	free(place);
	return s;
}

static bool
same_bins(const MlMatrix *a, const MlMatrix *b)
{
	bool		same = a->total_bins == b->total_bins && a->wide == b->wide &&
		a->shift == b->shift && a->total_weight == b->total_weight;

	for (int j = 0; j < a->p && same; j++)
		same = a->bins[j].n == b->bins[j].n && a->bins[j].missing == b->bins[j].missing &&
			a->bins[j].first == b->bins[j].first &&
			memcmp(&a->bins[j].low, &b->bins[j].low, 2 * sizeof(double)) == 0 &&
			(a->bins[j].n < 2 || a->bins[j].levels > 0 ||
			 memcmp(a->bins[j].cut, b->bins[j].cut, (a->bins[j].n - 1) * sizeof(double)) == 0);
	return same;
}

static void
fill_normal(Rows *r)
{
	for (size_t i = 0; i < r->n * r->p; i++)
		r->x[i] = normal();
}

/* ---- tests ---- */

static void
test_cut_between(void)
{
	static const double value[] = {-DBL_MAX, -1e308, -1, -DBL_MIN, -4.9406564584124654e-324, 0, 4.9406564584124654e-324,
	9.8813129168249309e-324, DBL_MIN, 1, 1 + DBL_EPSILON, 1e308, DBL_MAX};
	int			n = sizeof(value) / sizeof(value[0]);
	bool		good = true;

	for (int i = 0; i < n; i++)
		for (int k = i + 1; k < n; k++)
		{
			double		cut = ml_cut_between(value[i], value[k]);

			good &= value[i] < cut && cut <= value[k];
		}
	ml_test_ok(good, "a < cut <= b, from the smallest to the largest numbers");
	ml_test_ok(ml_cut_between(1, 2) == 1.5 && ml_cut_between(-3, 1) == -1 && ml_cut_between(-DBL_MAX, DBL_MAX) == 0,
			   "a cut is half way");
}

static void
test_few_values(void)
{
	Rows		r = make_rows(5000, 6);
	static const double extreme[] = {-1e308, -1, -0.0, 0.0, 4.9406564584124654e-324, 1e-310, 3, 1e308};
	size_t		before = ml_memory_left();
	MlMatrix   *m;
	MlBlock    *b;
	bool		zeros = true;
	int			zero_bin;

	for (size_t i = 0; i < r.n; i++)
	{
		double	   *x = r.x + i * r.p;

		x[0] = floor(uniform() * 255);
		x[1] = extreme[(int) (uniform() * 8)];
		x[2] = uniform() < 0.1 ? NAN : floor(uniform() * 10) / 10;
		x[3] = 5;
		x[4] = NAN;
		x[5] = i == 17 ? 1 : 0;
	}
	m = build(&r, 255);
	b = ml_matrix_block(m, 0, false);
	ml_test_ok(m->bins[0].n == 255 && cuts_each(m, &r, 0) && cuts_each(m, &r, 2) && cuts_each(m, &r, 5),
			   "up to max_bin distinct values each have a bin, cut half way");
	ml_test_ok(m->bins[1].n == 7 && cuts_each(m, &r, 1), "extreme values: 1e308, denormals");
	zero_bin = -1;
	for (int i = 0; i < b->n; i++)
		if (r.x[(size_t) i * r.p + 1] == 0)
		{
			zeros &= zero_bin < 0 || bin_of(m, b, i, 1) == zero_bin;
			zero_bin = bin_of(m, b, i, 1);
		}
	ml_test_ok(zeros && zero_bin == 2, "-0 and 0 are one value");
	ml_test_ok(m->bins[2].missing && !m->bins[0].missing && m->bins[2].n == 10, "missing values have a bin of their own");
	ml_test_ok(m->bins[3].n == 1 && !m->bins[3].missing && m->bins[3].low == 5 && m->bins[3].high == 5, "a constant column");
	ml_test_ok(m->bins[4].n == 1 && m->bins[4].missing && isnan(m->bins[4].low) && bin_of(m, b, 3, 4) == 1,
			   "a column of missing values");
	ml_test_ok(m->total_bins == 255 + 7 + 11 + 1 + 2 + 2 && m->bins[5].first == 276, "columns lie one behind the other");
	ml_test_ok(bins_right(m, &r), "each value is in its bin");
	ml_test_ok(!m->wide && !m->spilled && b->w == NULL && b->group == NULL && b->order[4999] == 4999, "small, in memory");
	ml_matrix_free(m);
	ml_test_ok(ml_memory_left() == before, "all memory was given back");
	free_rows(&r);
}

/* Smallest and largest values of bins, where they were asked for and all rows were looked at. */
static void
test_kept_values(void)
{
	Rows		r = make_rows(150000, 3);
	MlMatrixOptions o = options_of(200);
	MlMatrix   *m;

	o.keep_values = true;
	for (size_t i = 0; i < r.n; i++)
	{
		r.x[i * r.p] = floor(uniform() * 100);
		r.x[i * r.p + 1] = normal();
		r.x[i * r.p + 2] = uniform() < 0.1 ? 0 : uniform();
	}
	for (int large = 0; large < 2; large++)
	{
		size_t		all = r.n;
		bool		right = true;

		r.n = large ? all : 5000;
		m = build_levels(&r, &o, NULL);
		for (int j = 0; j < (large ? 1 : r.p); j++)
		{
			double		least[201];
			double		most[201];

			for (int bin = 0; bin < 201; bin++)
			{
				least[bin] = INFINITY;
				most[bin] = -INFINITY;
			}
			for (int k = 0; k < m->nblocks; k++)
			{
				MlBlock    *b = ml_matrix_block(m, k, false);

				for (int i = 0; i < b->n; i++)
				{
					double		x = r.x[((size_t) k * ML_BLOCK_ROWS + i) * r.p + j];
					int			bin = bin_of(m, b, i, j);

					least[bin] = fmin(least[bin], x);
					most[bin] = fmax(most[bin], x);
				}
			}
			for (int bin = 0; bin < m->bins[j].n; bin++)
				right &= m->bins[j].least[bin] == least[bin] && m->bins[j].most[bin] == most[bin];
		}
		ml_test_ok(right, "%zu rows: smallest and largest values of bins", r.n);
		ml_test_ok((m->bins[1].least == NULL) == large && (m->bins[1].most == NULL) == large, "are kept unless values were sampled");
		ml_matrix_free(m);
		r.n = all;
	}
	m = build(&r, 200);
	ml_test_ok(m->bins[0].least == NULL && m->bins[0].most == NULL, "nor without being asked");
	ml_matrix_free(m);
	free_rows(&r);
}

static void
test_one_row(void)
{
	Rows		r = make_rows(1, 2);
	MlMatrix   *m;

	r.x[0] = 3;
	r.x[1] = NAN;
	m = build(&r, 255);
	ml_test_ok(m->rows == 1 && m->nblocks == 1 && m->bins[0].n == 1 && m->bins[1].missing && m->shift == r.y[0] &&
			   ml_matrix_block(m, 0, false)->y[0] == 0, "one row");
	ml_matrix_free(m);
	free_rows(&r);
}

static void
test_order(void)
{
	Rows		r = make_rows(300000, 3);
	Rows		s;
	MlMatrix   *a;
	MlMatrix   *b;
	uint64_t	key_sums[2] = {0};

	r.w = malloc(r.n * sizeof(double));
	for (size_t i = 0; i < r.n; i++)
	{
		r.x[3 * i] = normal();
		r.x[3 * i + 1] = i < 290000 ? floor(uniform() * 100) : floor(uniform() * 1000);	/* many values only at the end */
		r.x[3 * i + 2] = uniform() < 0.3 ? NAN : exp(3 * normal());
		r.w[i] = 0.1 + uniform();
	}
	s = shuffled(&r);
	a = build(&r, 255);
	b = build(&s, 255);
	ml_test_ok(same_bins(a, b), "cuts, ranges, shift and weight are the same for any order of rows");
	for (int k = 0; k < a->nblocks; k++)
		for (int i = 0; i < ml_matrix_block(a, k, false)->n; i++)
		{
			key_sums[0] += ml_matrix_block(a, k, false)->key[i] * (uint64_t) (1 + bin_of(a, ml_matrix_block(a, k, false), i, 0));
			key_sums[1] += ml_matrix_block(b, k, false)->key[i] * (uint64_t) (1 + bin_of(b, ml_matrix_block(b, k, false), i, 0));
		}
	ml_test_ok(key_sums[0] == key_sums[1], "so are keys");
	ml_test_ok(bins_right(a, &r) && bins_right(b, &s), "each value is in its bin");
	ml_matrix_free(a);
	ml_matrix_free(b);
	free_rows(&r);
	free_rows(&s);
}

/* Largest distance of the share of rows below a cut from where it should be. */
static double
worst_share(const MlMatrix *m, const Rows *r, int j)
{
	double	   *value = malloc(r->n * sizeof(double));
	double		worst = 0;
	size_t		at = 0;
	size_t		n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (!isnan(r->x[i * r->p + j]))
			value[n++] = r->x[i * r->p + j];
	qsort(value, n, sizeof(double), by_value);
	for (int k = 0; k < m->bins[j].n - 1; k++)
	{
		while (at < n && value[at] < m->bins[j].cut[k])
			at++;
		worst = fmax(worst, fabs((double) at / n - (k + 1.0) / m->bins[j].n));
	}
	free(value);
	return worst;
}

static void
test_quantiles(void)
{
	Rows		r = make_rows(400000, 2);
	MlMatrix   *m;
	double		worst;

	for (size_t i = 0; i < r.n; i++)
	{
		r.x[2 * i] = exp(2 * normal());
		r.x[2 * i + 1] = uniform() < 0.9 ? NAN : normal();	/* 40,000: no more than a sample holds */
	}
	m = build(&r, 255);
	worst = worst_share(m, &r, 0);
	ml_test_ok(m->bins[0].n == 255 && worst < 0.0052, "quantiles of a sample: shares below cuts are wrong by at most %.4f", worst);
	worst = worst_share(m, &r, 1);
	ml_test_ok(m->bins[1].n == 255 && worst < 3e-5, "few values that are not missing are all used: %.6f", worst);
	ml_matrix_free(m);
	free_rows(&r);
}

static void
test_heavy_values(void)
{
	Rows		r = make_rows(50000, 1);
	size_t		below = 0;
	size_t		most = 0;
	size_t		in_bin[255] = {0};
	MlMatrix   *m;
	MlBlock    *b;
	int			zero;

	for (size_t i = 0; i < r.n; i++)
		r.x[i] = uniform() < 0.9 ? 0 : normal();
	m = build(&r, 255);
	for (int k = 0; k < m->nblocks; k++)
	{
		b = ml_matrix_block(m, k, false);
		for (int i = 0; i < b->n; i++)
			in_bin[b->bin8[i]]++;
	}
	for (size_t i = 0; i < r.n; i++)
		below += r.x[i] == 0;
	for (zero = 0; m->bins[0].cut[zero] <= 0; zero++)
		;
	for (int k = 0; k < m->bins[0].n; k++)
		if (k != zero)
			most = in_bin[k] > most ? in_bin[k] : most;
	ml_test_ok(m->bins[0].n > 240 && in_bin[zero] < below + 30 && most < 60,
			   "mostly zeros: %d bins, that of zero has %zu more, another at most %zu", m->bins[0].n, in_bin[zero] - below, most);
	ml_matrix_free(m);
	free_rows(&r);
}

/* A weight of k is k times the row. */
static void
test_weights(void)
{
	Rows		r = make_rows(10000, 1);
	Rows		s;
	size_t		n = 0;
	MlMatrix   *a;
	MlMatrix   *b;

	r.w = malloc(r.n * sizeof(double));
	for (size_t i = 0; i < r.n; i++)
	{
		r.x[i] = normal();
		r.w[i] = i == 0 ? 4 : r.x[i] > 1 ? 1 + floor(uniform() * 4) : 1;
		n += (size_t) r.w[i];
	}
	s = make_rows(n, 1);
	n = 0;
	for (size_t i = 0; i < r.n; i++)
		for (int k = 0; k < r.w[i]; k++)
		{
			s.x[n] = r.x[i];
			s.y[n++] = r.y[i];
		}
	a = build(&r, 64);
	b = build(&s, 64);
	ml_test_ok(a->weighted && !b->weighted && a->bins[0].n == 64 && same_bins(a, b) && a->total_weight == n,
			   "a weight of k gives the same cuts and shift as k rows");
	ml_test_ok(ml_matrix_block(a, 0, false)->w[0] == 4, "weights are kept");
	ml_matrix_free(a);
	ml_matrix_free(b);
	free_rows(&r);
	free_rows(&s);
}

static void
test_categories(void)
{
	Rows		r = make_rows(2000, 3);
	const int	small[] = {3, 255, 0};
	const int	large[] = {3, 300, 0};
	MlMatrixOptions o = options_of(255);
	MlMatrix   *m;
	MlBlock    *b;
	bool		good = true;

	for (size_t i = 0; i < r.n; i++)
	{
		r.x[3 * i] = floor(uniform() * 2);	/* the last level is not there */
		r.x[3 * i + 1] = i % 100 == 0 ? NAN : floor(uniform() * 255);
		r.x[3 * i + 2] = normal();
	}
	m = build_levels(&r, &o, small);
	b = ml_matrix_block(m, 0, false);
	for (int i = 0; i < b->n; i++)
		for (int j = 0; j < 2; j++)
			good &= bin_of(m, b, i, j) == (isnan(r.x[3 * i + j]) ? 255 : (int) r.x[3 * i + j]);
	ml_test_ok(good && !m->wide && m->bins[0].n == 3 && m->bins[0].levels == 3 && !m->bins[0].missing &&
			   m->bins[0].cut == NULL && m->bins[1].missing, "a level is its bin, 255 levels and missing ones need a byte");
	ml_matrix_free(m);
	m = build_levels(&r, &o, large);
	b = ml_matrix_block(m, 0, false);
	good = m->wide && b->bin8 == NULL;
	for (int i = 0; i < b->n && good; i++)
		good = bin_of(m, b, i, 1) == (isnan(r.x[3 * i + 1]) ? 300 : (int) r.x[3 * i + 1]);
	ml_test_ok(good, "300 levels need two bytes");
	ml_matrix_free(m);
	free_rows(&r);
}

static void
test_wide(void)
{
	Rows		r = make_rows(70000, 2);
	MlMatrix   *m;

	for (size_t i = 0; i < r.n; i++)
	{
		r.x[2 * i] = uniform() < 0.1 ? NAN : normal();
		r.x[2 * i + 1] = floor(uniform() * 900);
	}
	m = build(&r, 1000);
	ml_test_ok(m->wide && m->bins[0].n == 1000 && m->bins[1].n == 900 && cuts_each(m, &r, 1) && bins_right(m, &r),
			   "1000 bins in two bytes");
	ml_matrix_free(m);
	m = build(&r, ML_MAX_BIN);
	ml_test_ok(m->bins[0].n > 60000 && cuts_each(m, &r, 0) && bins_right(m, &r), "%d bins", m->bins[0].n);
	ml_matrix_free(m);
	m = build(&r, 256);
	ml_test_ok(m->wide && m->bins[0].n == 256, "256 bins and that of missing values need two bytes");
	ml_matrix_free(m);
	m = build(&r, 1);
	ml_test_ok(m->bins[0].n == 1 && m->bins[1].n == 1 && bins_right(m, &r), "one bin");
	ml_matrix_free(m);
	free_rows(&r);
}

/* Writes what a training would, then compares all of it. */
static bool
same_blocks(MlMatrix *a, MlMatrix *b)
{
	bool		same = a->nblocks == b->nblocks;
	MlMatrix   *both[2] = {a, b};

	for (int pass = 0; pass < 2; pass++)
		for (int k = 0; k < a->nblocks; k++)
			for (int t = 0; t < 2; t++)
			{
				MlBlock    *block = ml_matrix_block(both[t], k, true);

				for (int i = 0; i < block->n; i++)
				{
					block->order[i] = (uint16_t) (block->n - 1 - i + pass);
					block->gradient[i].g = block->gradient[i].g * 3 + k + i;
					block->gradient[i].h += block->key[i] & 255;
					block->score[i] += i * 0.5 + block->y[i];
				}
			}
	for (int k = 0; k < a->nblocks && same; k++)
	{
		MlBlock    *p = ml_matrix_block(a, k, false);
		MlBlock    *q = ml_matrix_block(b, k, false);
		size_t		n = p->n;

		same = p->n == q->n && q->number == k && memcmp(p->bin8, q->bin8, n * a->p) == 0 &&
			memcmp(p->y, q->y, n * sizeof(float)) == 0 && memcmp(p->w, q->w, n * sizeof(float)) == 0 &&
			memcmp(p->key, q->key, n * sizeof(uint32_t)) == 0 && memcmp(p->group, q->group, n * sizeof(double)) == 0 &&
			memcmp(p->order, q->order, n * sizeof(uint16_t)) == 0 &&
			memcmp(p->gradient, q->gradient, n * sizeof(MlGradient)) == 0 &&
			memcmp(p->score, q->score, n * sizeof(double)) == 0;
	}
	return same;
}

static void
test_spill(void)
{
	Rows		r = make_rows(200000, 4);
	size_t		before;
	MlMatrix   *a;
	MlMatrix   *b;

	fill_normal(&r);
	r.w = malloc(r.n * sizeof(double));
	r.group = malloc(r.n * sizeof(double));
	for (size_t i = 0; i < r.n; i++)
	{
		r.w[i] = 1 + uniform();
		r.group[i] = floor(i / 50.0);
	}
	before = SIZE_MAX - ml_memory_left();
	a = build(&r, 255);
	for (int mb = 6; mb <= 8; mb += 2)
	{
		size_t		in_use = SIZE_MAX - ml_memory_left();

		ml_test_budget = in_use + ((size_t) mb << 20);
		b = build(&r, 255);
		ml_test_ok(!a->spilled && b->spilled && b->bytes < (size_t) mb << 20, "%d MB: %.1f MB of %.1f in memory", mb,
				   b->bytes / 1048576.0, a->bytes / 1048576.0);
		ml_test_ok(same_bins(a, b), "samples in several passes give the same cuts");
		ml_test_ok(same_blocks(a, b), "in a temporary file: the same to the byte");
		ml_matrix_free(b);
		ml_test_budget = SIZE_MAX;
		ml_test_ok(SIZE_MAX - ml_memory_left() == in_use, "all memory was given back");
		ml_matrix_free(a);
		a = build(&r, 255);
	}
	ml_matrix_free(a);
	ml_test_ok(SIZE_MAX - ml_memory_left() == before, "all memory was given back");
	free_rows(&r);
}

static void
test_bytes(void)
{
	Rows		r = make_rows(100000, 5);
	MlProblem	problem = {.task = ML_REGRESSION, .p = 5};
	MlMatrixOptions o = options_of(255);
	size_t		before = ml_memory_left();
	size_t		others = sizeof(MlMatrix);
	MlMatrix   *m;

	fill_normal(&r);
	m = build_levels(&r, &o, NULL);
	others += before - ml_memory_left() - m->bytes;
	ml_test_ok(m->bytes == ml_matrix_bytes(&problem, r.n, &o) && others < 5 * 255 * 8 + 2000,
			   "ml_matrix_bytes is what is allocated: %zu, and %zu besides", m->bytes, others);
	ml_test_ok(m->bytes < 1.01 * r.n * (5 + 26), "26 bytes a row besides its bins: %.2f", (double) m->bytes / r.n - 5);
	ml_matrix_free(m);
	free_rows(&r);
}

static void
test_many_columns(void)
{
	Rows		r = make_rows(3000, 1600);
	MlMatrix   *a;
	MlMatrix   *b;

	fill_normal(&r);
	a = build(&r, 255);
	ml_test_budget = SIZE_MAX - ml_memory_left() + (20 << 20);
	b = build(&r, 255);
	ml_test_ok(a->total_bins == 1600 * 255 && same_bins(a, b) && bins_right(b, &r), "1600 columns, also in 20 MB");
	ml_test_budget = SIZE_MAX;
	ml_matrix_free(a);
	ml_matrix_free(b);
	free_rows(&r);
}

/* Builds what must fail, and compares state and message. */
static void
fails(const Rows *r, const char *state, const char *message)
{
	if (setjmp(*ml_test_catch()) == 0)
	{
		build(r, 255);
		ml_test_uncatch();
		ml_test_ok(false, "no error: %s", message);
		return;
	}
	ml_test_budget = SIZE_MAX;
	ml_test_ok(strcmp(ml_test_sqlstate, state) == 0 && strstr(ml_test_message, message) != NULL, "%s: %s",
			   ml_test_sqlstate, ml_test_message);
}

static void
test_errors(void)
{
	Rows		r = make_rows(100000, 3);
	Rows		none = {.n = 0, .p = 3};

	fill_normal(&r);
	fails(&none, "22000", "no rows to learn from");
	ml_test_budget = SIZE_MAX - ml_memory_left() + (1 << 20);
	fails(&r, "53200", "memory budget exceeded");
	r.y[5] = 1e300;
	r.y[6] = -1e300;
	fails(&r, "22000", "too far for trees");
	for (size_t i = 0; i < r.n; i++)
		r.y[i] = 1e-200 * (i % 2);
	fails(&r, "22000", "too near for trees");
	for (size_t i = 0; i < r.n; i++)
		r.y[i] = 1.7e308;
	r.w = malloc(r.n * sizeof(double));
	for (size_t i = 0; i < r.n; i++)
		r.w[i] = 1e20;
	{
		MlMatrix   *m = build(&r, 255);

		ml_test_ok(m->shift == 1.7e308 && ml_matrix_block(m, 0, false)->y[0] == 0, "a target of 1.7e308 everywhere");
		ml_matrix_free(m);
	}
	r.w[70000] = 1e-40;
	fails(&r, "22000", "weight 1e-40 is out of the range of trees");
	free_rows(&r);
}

int
main(void)
{
	test_cut_between();
	test_few_values();
	test_kept_values();
	test_one_row();
	test_order();
	test_quantiles();
	test_heavy_values();
	test_weights();
	test_categories();
	test_wide();
	test_spill();
	test_bytes();
	test_many_columns();
	test_errors();
	return ml_test_done();
}
