/*
 * linear.c - tests of linear, ridge, lasso, elastic_net and baseline outside of
 * the server.
 *
 * Witnesses: certified values of the NIST Statistical Reference Datasets (Norris,
 * Longley, NoInt1, Filip, Pontius, Wampler1, Wampler5), R 4.2.2 and scikit-learn
 * 1.2.1 on Brownlee's stack loss, and properties that define the solution.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "num/linear_model.h"
#include "num/moments.h"

extern const MlAlgorithm ml_algo_linear;
extern const MlAlgorithm ml_algo_ridge;
extern const MlAlgorithm ml_algo_lasso;
extern const MlAlgorithm ml_algo_elastic_net;
extern const MlAlgorithm ml_algo_baseline;

/* y and the columns of x, row by row. */
static const double norris[] = {
	0.1, 0.2, 338.8, 337.4, 118.1, 118.2, 888.0, 884.6, 9.2, 10.1, 228.1, 226.5, 668.5, 666.3, 998.5,
	996.3, 449.1, 448.6, 778.9, 777.0, 559.2, 558.2, 0.3, 0.4, 0.1, 0.6, 778.1, 775.5, 668.8, 666.9,
	339.3, 338.0, 448.9, 447.5, 10.8, 11.6, 557.7, 556.0, 228.3, 228.1, 998.0, 995.8, 888.8, 887.6,
	119.6, 120.2, 0.3, 0.3, 0.6, 0.3, 557.6, 556.8, 339.3, 339.1, 888.0, 887.2, 998.5, 999.0, 778.9,
	779.0, 10.2, 11.1, 117.6, 118.3, 228.9, 229.2, 668.4, 669.1, 449.2, 448.9, 0.2, 0.5,
};
static const double longley[] = {
	60323, 83.0, 234289, 2356, 1590, 107608, 1947, 61122, 88.5, 259426, 2325, 1456, 108632, 1948,
	60171, 88.2, 258054, 3682, 1616, 109773, 1949, 61187, 89.5, 284599, 3351, 1650, 110929, 1950,
	63221, 96.2, 328975, 2099, 3099, 112075, 1951, 63639, 98.1, 346999, 1932, 3594, 113270, 1952,
	64989, 99.0, 365385, 1870, 3547, 115094, 1953, 63761, 100.0, 363112, 3578, 3350, 116219, 1954,
	66019, 101.2, 397469, 2904, 3048, 117388, 1955, 67857, 104.6, 419180, 2822, 2857, 118734, 1956,
	68169, 108.4, 442769, 2936, 2798, 120445, 1957, 66513, 110.8, 444546, 4681, 2637, 121950, 1958,
	68655, 112.6, 482704, 3813, 2552, 123366, 1959, 69564, 114.2, 502601, 3931, 2514, 125368, 1960,
	69331, 115.7, 518173, 4806, 2572, 127852, 1961, 70551, 116.9, 554894, 4007, 2827, 130081, 1962,
};
static const double noint1[] = {
	130, 60, 131, 61, 132, 62, 133, 63, 134, 64, 135, 65, 136, 66, 137, 67, 138, 68, 139, 69, 140, 70,
};
static const double stackloss[] = {
	42, 80, 27, 89, 37, 80, 27, 88, 37, 75, 25, 90, 28, 62, 24, 87, 18, 62, 22, 87, 18, 62, 23, 87, 19,
	62, 24, 93, 20, 62, 24, 93, 15, 58, 23, 87, 14, 58, 18, 80, 14, 58, 18, 89, 13, 58, 17, 88, 11, 58,
	18, 82, 12, 58, 19, 93, 8, 50, 18, 89, 7, 50, 18, 86, 8, 50, 19, 72, 8, 50, 19, 79, 9, 50, 20, 80,
	15, 56, 20, 82, 15, 70, 20, 91,
};

/* y and x; the columns are powers of x. */
static const double filip[] = {
	0.8116, -6.860120914, 0.9072, -4.324130045, 0.9052, -4.358625055, 0.9039, -4.358426747, 0.8053,
	-6.955852379, 0.8377, -6.661145254, 0.8667, -6.355462942, 0.8809, -6.118102026, 0.7975,
	-7.115148017, 0.8162, -6.815308569, 0.8515, -6.519993057, 0.8766, -6.204119983, 0.8885,
	-5.853871964, 0.8859, -6.109523091, 0.8959, -5.79832982, 0.8913, -5.482672118, 0.8959,
	-5.171791386, 0.8971, -4.851705903, 0.9021, -4.517126416, 0.909, -4.143573228, 0.9139,
	-3.709075441, 0.9199, -3.499489089, 0.8692, -6.300769497, 0.8872, -5.953504836, 0.89, -5.642065153,
	0.891, -5.031376979, 0.8977, -4.680685696, 0.9035, -4.329846955, 0.9078, -3.928486195, 0.7675,
	-8.56735134, 0.7705, -8.363211311, 0.7713, -8.107682739, 0.7736, -7.823908741, 0.7775,
	-7.522878745, 0.7841, -7.218819279, 0.7971, -6.920818754, 0.8329, -6.628932138, 0.8641,
	-6.323946875, 0.8804, -5.991399828, 0.7668, -8.781464495, 0.7633, -8.663140179, 0.7678,
	-8.473531488, 0.7697, -8.247337057, 0.77, -7.971428747, 0.7749, -7.676129393, 0.7796, -7.352812702,
	0.7897, -7.072065318, 0.8131, -6.774174009, 0.8498, -6.478861916, 0.8741, -6.159517513, 0.8061,
	-6.835647144, 0.846, -6.53165267, 0.8751, -6.224098421, 0.8856, -5.910094889, 0.8919, -5.598599459,
	0.8934, -5.290645224, 0.894, -4.974284616, 0.8957, -4.64454848, 0.9047, -4.290560426, 0.9129,
	-3.885055584, 0.9209, -3.408378962, 0.9219, -3.13200249, 0.7739, -8.726767166, 0.7681, -8.66695597,
	0.7665, -8.511026475, 0.7703, -8.165388579, 0.7702, -7.886056648, 0.7761, -7.588043762, 0.7809,
	-7.283412422, 0.7961, -6.995678626, 0.8253, -6.691862621, 0.8602, -6.392544977, 0.8809,
	-6.067374056, 0.8301, -6.684029655, 0.8664, -6.378719832, 0.8834, -6.065855188, 0.8898,
	-5.752272167, 0.8964, -5.132414673, 0.8963, -4.811352704, 0.9074, -4.098269308, 0.9119,
	-3.66174277, 0.9228, -3.2644011,
};
static const double pontius[] = {
	.11019, 150000, .21956, 300000, .32949, 450000, .43899, 600000, .54803, 750000, .65694, 900000,
	.76562, 1050000, .87487, 1200000, .98292, 1350000, 1.09146, 1500000, 1.20001, 1650000, 1.30822,
	1800000, 1.41599, 1950000, 1.52399, 2100000, 1.63194, 2250000, 1.73947, 2400000, 1.84646, 2550000,
	1.95392, 2700000, 2.06128, 2850000, 2.16844, 3000000, .11052, 150000, .22018, 300000, .32939,
	450000, .43886, 600000, .54798, 750000, .65739, 900000, .76596, 1050000, .87474, 1200000, .98300,
	1350000, 1.09150, 1500000, 1.20004, 1650000, 1.30818, 1800000, 1.41613, 1950000, 1.52408, 2100000,
	1.63159, 2250000, 1.73965, 2400000, 1.84696, 2550000, 1.95445, 2700000, 2.06177, 2850000, 2.16829,
	3000000,
};
static const double wampler5[] = {
	7590001, 0, -20479994, 1, 20480063, 2, -20479636, 3, 25231365, 4, -20476094, 5, 20489331, 6,
	-20460392, 7, 18417449, 8, -20413570, 9, 20591111, 10, -20302844, 11, 18651453, 12, -20077766, 13,
	21059195, 14, -19666384, 15, 26348481, 16, -18971402, 17, 22480719, 18, -17866340, 19, 10958421,
	20,
};

#define ROWS(data, columns) ((int) (sizeof(data) / sizeof(double) / (columns)))
#define MAX_COLUMNS 64

static const bool all_scaled[MAX_COLUMNS] = {[0 ... MAX_COLUMNS - 1] = true};
static char name_space[MAX_COLUMNS][8];
static const char *names[MAX_COLUMNS];

/* ---- a training in memory ---- */

typedef struct Data
{
	int			n;
	int			p;
	double	   *x;
	double	   *y;
	double	   *w;				/* or NULL */
	const bool *scaled;
} Data;

static Data
make_data(int n, int p)
{
	Data		d = {n, p, ml_alloc((size_t) n * p + 1, sizeof(double)), ml_alloc(n, sizeof(double)), NULL, all_scaled};

	return d;
}

/* From rows of y and x. */
static Data
table(const double *rows, int n, int p)
{
	Data		d = make_data(n, p);

	for (int i = 0; i < n; i++)
	{
		d.y[i] = rows[i * (p + 1)];
		memcpy(d.x + i * p, rows + i * (p + 1) + 1, sizeof(double) * p);
	}
	return d;
}

/* From rows of y and x, with columns x, x^2, ... */
static Data
polynomial(const double *rows, int n, int degree)
{
	Data		d = make_data(n, degree);

	for (int i = 0; i < n; i++)
	{
		double		power = 1.0;

		d.y[i] = rows[2 * i];
		for (int j = 0; j < degree; j++)
			d.x[i * degree + j] = power *= rows[2 * i + 1];
	}
	return d;
}

/* Numbers in [-1, 1), the same everywhere. */
static double
noise(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (double) (int32_t) (state >> 32) / 2147483648.0;
}

/* A parameter struct with defaults and "key=value" in `given`. */
static void *
params_of(const MlAlgorithm *algo, const char *given)
{
	char	   *params = ml_alloc(1, algo->params_size);

	for (const MlParam *p = algo->params; p->name; p++)
	{
		char		key[64];
		const char *value = p->def;
		const char *found;

		snprintf(key, sizeof(key), "%s=", p->name);
		for (const char *at = given; at && (found = strstr(at, key)); at = found + 1)
			if (found == given || found[-1] == ' ')
				value = found + strlen(key);
		if (p->type == ML_PARAM_BOOL)
			*(bool *) (params + p->offset) = strncmp(value, "true", 4) == 0;
		else if (p->type == ML_PARAM_INT)
			*(int *) (params + p->offset) = atoi(value);
		else
			*(double *) (params + p->offset) = strncmp(value, "cv", 2) == 0 ? NAN : atof(value);
	}
	return params;
}

static MlProblem
problem_of(const MlAlgorithm *algo, const Data *d, const char *given)
{
	MlProblem	problem = {.task = ML_REGRESSION, .p = d->p, .names = names, .scaled = d->scaled,
	.params = params_of(algo, given)};

	return problem;
}

/* A state of the rows whose number modulo `of` is `part`. */
static double *
state_of(const MlAlgorithm *algo, const MlProblem *problem, const Data *d, int part, int of)
{
	double	   *state = ml_alloc(algo->state_size(problem), sizeof(double));
	double	   *x = ml_alloc((size_t) ML_TILE_ROWS * d->p + 1, sizeof(double));
	double		y[ML_TILE_ROWS];
	double		w[ML_TILE_ROWS];
	MlTile		tile = {0, x, y, d->w ? w : NULL, NULL};

	for (int i = part; i < d->n; i += of)
	{
		memcpy(x + (size_t) tile.n * d->p, d->x + (size_t) i * d->p, sizeof(double) * d->p);
		y[tile.n] = d->y[i];
		w[tile.n++] = d->w ? d->w[i] : 1.0;
		if (tile.n == ML_TILE_ROWS || i + of >= d->n)
		{
			algo->accumulate(problem, state, &tile);
			tile.n = 0;
		}
	}
	return state;
}

/* Trains as the core does, every pass from `parts` merged states. */
static void *
train(const MlAlgorithm *algo, MlProblem problem, const Data *d, int parts, MlResult *result)
{
	for (;;)
	{
		double	   *state = state_of(algo, &problem, d, 0, parts);
		MlStep		step;

		for (int part = 1; part < parts; part++)
			algo->combine(&problem, state, state_of(algo, &problem, d, part, parts), 1.0);
		memset(result, 0, sizeof(*result));
		step = algo->finish(&problem, state, result);
		if (step == ML_DONE)
			return result->model;
		problem.pass++;
		problem.carry = result->carry;
		problem.ncarry = result->ncarry;
	}
}

static MlLinear *
fit(const MlAlgorithm *algo, const Data *d, const char *given)
{
	MlResult	result;

	return train(algo, problem_of(algo, d, given), d, 1, &result);
}

/* Correct digits of the worst of n numbers (log relative error). */
static double
digits(double got, double want)
{
	double		error = want == 0.0 ? fabs(got) : fabs(got - want) / fabs(want);

	return isnan(got) ? 0.0 : error == 0.0 ? 16.0 : -log10(error);
}

/* ---- least squares against certified values ---- */

static void
certified(const char *name, Data d, const char *given, const double *coef, const double *se,
		  double coef_digits, double se_digits)
{
	for (int parts = 1; parts <= 3; parts += 2)
	{
		MlResult	result;
		MlLinear   *m = train(&ml_algo_linear, problem_of(&ml_algo_linear, &d, given), &d, parts, &result);
		MlCoefficient c[MAX_COLUMNS];
		int			n = ml_algo_linear.coefficients(m, c);
		double		worst = 16.0;
		double		worst_se = 16.0;

		for (int i = 0; i < n; i++)
		{
			worst = fmin(worst, digits(c[i].estimate, coef[i]));
			if (se)
				worst_se = fmin(worst_se, digits(c[i].std_error, se[i]));
		}
		ml_test_ok(n > 0 && worst >= coef_digits, "%s in %d part(s): coefficients to %g digits", name, parts, coef_digits);
		if (se)
			ml_test_ok(worst_se >= se_digits, "%s in %d part(s): standard errors to %g digits", name, parts, se_digits);
	}
}

static void
test_certified(void)
{
	static const double norris_b[] = {-0.262323073774029, 1.00211681802045};
	static const double norris_s[] = {0.232818234301152, 0.429796848199937E-03};
	static const double longley_b[] = {-3482258.63459582, 15.0618722713733, -0.358191792925910E-01,
	-2.02022980381683, -1.03322686717359, -0.511041056535807E-01, 1829.15146461355};
	static const double longley_s[] = {890420.383607373, 84.9149257747669, 0.334910077722432E-01,
	0.488399681651699, 0.214274163161675, 0.226073200069370, 455.478499142212};
	static const double noint1_b[] = {2.07438016528926};
	static const double noint1_s[] = {0.165289256198347E-01};
	static const double filip_b[] = {-1467.48961422980, -2772.17959193342, -2316.37108160893, -1127.97394098372,
	-354.478233703349, -75.1242017393757, -10.8753180355343, -1.06221498588947, -0.670191154593408E-01,
	-0.246781078275479E-02, -0.402962525080404E-04};
	static const double filip_s[] = {298.084530995537, 559.779865474950, 466.477572127796, 227.204274477751,
	71.6478660875927, 15.2897178747400, 2.23691159816033, 0.221624321934227, 0.142363763154724E-01,
	0.535617408889821E-03, 0.896632837373868E-05};
	static const double pontius_b[] = {0.673565789473684E-03, 0.732059160401003E-06, -0.316081871345029E-14};
	static const double pontius_s[] = {0.107938612033077E-03, 0.157817399981659E-09, 0.486652849992036E-16};
	static const double ones[] = {1, 1, 1, 1, 1, 1};
	static const double wampler5_s[] = {21523262.4678170, 23635517.3469681, 7793435.24331583, 1014755.07550350,
	56456.6512170752, 1123.24854679312};
	double		wampler1[42];

	for (int i = 0; i <= 20; i++)
	{
		double		x = i;

		wampler1[2 * i] = 1 + x * (1 + x * (1 + x * (1 + x * (1 + x))));
		wampler1[2 * i + 1] = x;
	}
	certified("Norris", table(norris, ROWS(norris, 2), 1), NULL, norris_b, norris_s, 11, 9.5);
	certified("Longley", table(longley, ROWS(longley, 7), 6), NULL, longley_b, longley_s, 10, 11);
	certified("NoInt1", table(noint1, ROWS(noint1, 2), 1), "intercept=false", noint1_b, noint1_s, 13, 12);
	/* powers rounded to doubles determine Filip's coefficients to 7.9 digits, in exact arithmetic */
	certified("Filip", polynomial(filip, ROWS(filip, 2), 10), NULL, filip_b, filip_s, 6.5, 6.5);
	certified("Pontius", polynomial(pontius, ROWS(pontius, 2), 2), NULL, pontius_b, pontius_s, 11, 11);
	certified("Wampler1", polynomial(wampler1, 21, 5), NULL, ones, NULL, 8, 0);
	/* coefficients of 1 with standard errors of 2e7 */
	certified("Wampler5", polynomial(wampler5, ROWS(wampler5, 2), 5), NULL, ones, wampler5_s, 5.5, 11);
}

/* summary(lm(stack.loss ~ .)), logLik and AIC of R 4.2.2 */
static void
test_summary(void)
{
	Data		d = table(stackloss, ROWS(stackloss, 4), 3);
	MlLinear   *m = fit(&ml_algo_linear, &d, NULL);
	MlCoefficient c[4];

	ml_algo_linear.coefficients(m, c);
	ml_test_ok(digits(c[3].estimate, -0.152122519148651785) > 12 && digits(c[3].std_error, 0.156294043248621051) > 12 &&
			   digits(c[3].statistic, -0.973309769116833762) > 12, "stack loss: coefficient, standard error and t");
	ml_test_ok(digits(m->r_squared, 0.913576904460681859) > 12 && digits(m->sigma, 3.24336391818522266) > 12 &&
			   m->df == 17, "stack loss: R squared, sigma, degrees of freedom");
	ml_test_ok(digits(m->adj_r_squared, 0.89832576995374303) > 12 && digits(m->f_statistic, 59.902225899656713) > 12 &&
			   digits(m->f_p_value, 3.0163272434212266e-09) > 10, "stack loss: adjusted R squared, F and its p-value");
	ml_test_ok(digits(m->log_likelihood, -52.287795502399753) > 12 && digits(m->aic, 114.57559100479951) > 12,
			   "stack loss: log-likelihood and AIC");
	d.w = ml_alloc(d.n, sizeof(double));
	for (int i = 0; i < d.n; i++)
		d.w[i] = 0.5 + i % 3;
	m = fit(&ml_algo_linear, &d, NULL);
	ml_algo_linear.coefficients(m, c);
	ml_test_ok(digits(c[1].estimate, 0.68253261186197345) > 12 && digits(c[1].std_error, 0.14659527226572314) > 12 &&
			   digits(m->log_likelihood, -55.917471182839066) > 12 && digits(m->r_squared, 0.88630521338281598) > 12,
			   "stack loss, weighted: as lm(weights =)");
	d.w = NULL;
	m = fit(&ml_algo_linear, &d, "intercept=false");
	ml_algo_linear.coefficients(m, c);
	ml_test_ok(digits(c[0].estimate, 0.7967652022944206) > 12 && digits(c[0].std_error, 0.16624217645853739) > 12 &&
			   digits(m->r_squared, 0.96509887750447976) > 12 && digits(m->adj_r_squared, 0.95928202375522642) > 12 &&
			   digits(m->f_statistic, 165.91424146229551) > 12, "stack loss without intercept: as lm(y ~ . - 1)");
}

/* ---- rank deficiency and bad data ---- */

static void
test_dependent(void)
{
	Data		d = make_data(80, 9);
	Data		two = make_data(80, 2);
	MlLinear   *m;
	MlLinear   *small;
	MlLinear   *last;
	MlProblem	problem;
	MlResult	result;
	bool		same = true;
	int			warnings = ml_test_warnings;
	double		apart = 0.0;

	for (int i = 0; i < d.n; i++)
	{
		double	   *x = d.x + i * 9;
		double		a = noise();
		double		b = noise() * 1e3 + 5e6;

		two.x[2 * i] = x[0] = a;
		two.x[2 * i + 1] = x[1] = b;
		x[2] = a + b;
		x[3] = a;
		x[4] = 12.3;			/* constant, not a binary fraction */
		x[5] = 0.37 * a - 7.7e5 * b + 3.3;
		for (int level = 0; level < 3; level++)
			x[6 + level] = i % 3 == level;
		two.y[i] = d.y[i] = a + b * 1e-3 + noise();
	}
	m = fit(&ml_algo_linear, &d, NULL);
	ml_test_ok(!m->aliased[0] && !m->aliased[1] && m->aliased[2] && m->aliased[3] && m->aliased[4] && m->aliased[5] &&
			   !m->aliased[6] && !m->aliased[7] && m->aliased[8] && m->rank == 4 && m->df == 75,
			   "sums, copies, constants and the last dummy are left out");
	ml_test_ok(ml_test_warnings - warnings == 5, "each with a warning");
	problem = problem_of(&ml_algo_linear, &d, NULL);
	problem.last = true;
	ml_algo_linear.finish(&problem, state_of(&ml_algo_linear, &problem, &d, 0, 1), &result);
	last = result.model;
	for (int j = 0; j < 9; j++)
		same = same && last->aliased[j] == m->aliased[j] && fabs(last->beta[j] - m->beta[j]) < 1e-9;
	ml_test_ok(same && ml_test_warnings - warnings == 10 && digits(last->sigma, m->sigma) > 10,
			   "the same from moments alone, when rows cannot be read again");
	d.p = two.p;
	d.x = two.x;
	small = fit(&ml_algo_linear, &d, NULL);
	for (int i = 0; i < two.n; i++)
		two.x[2 * i] += 1e-7 * noise();
	m = fit(&ml_algo_linear, &two, NULL);
	ml_test_ok(m->rank == 2 && small->rank == 2, "independent columns stay");
	for (int i = 0; i < two.n; i++)
		two.x[2 * i] = two.x[2 * i + 1] * 3.3 + 1e-4 * noise();
	m = fit(&ml_algo_linear, &two, NULL);
	for (int i = 0; i < two.n; i++)
	{
		double		out;

		ml_algo_linear.predict(m, two.x + 2 * i, &out);
		apart = fmax(apart, fabs(out));
	}
	ml_test_ok(m->rank == 2 && isfinite(apart), "nearly dependent columns stay");
}

static void
test_edges(void)
{
	Data		d = make_data(1, 2);
	Data		wide = make_data(5, 12);
	Data		huge = make_data(3, 1);
	MlLinear   *m;
	MlCoefficient c[MAX_COLUMNS];

	d.x[0] = 2.5;
	d.y[0] = 7.0;
	m = fit(&ml_algo_linear, &d, NULL);
	ml_algo_linear.coefficients(m, c);
	ml_test_ok(c[0].estimate == 7.0 && isnan(c[0].std_error) && isnan(m->r_squared), "one row: a constant without standard error");

	for (int i = 0; i < 5 * 12; i++)
		wide.x[i] = noise();
	for (int i = 0; i < 5; i++)
		wide.y[i] = noise();
	m = fit(&ml_algo_linear, &wide, NULL);
	ml_test_ok(m->rank == 4 && m->vcov == NULL && !m->aliased[3] && m->aliased[4], "fewer rows than columns: rank 4 of 12");

	d = make_data(300, 1);
	for (int i = 0; i < d.n; i++)
	{
		d.x[i] = noise();
		d.y[i] = 3.25;
	}
	m = fit(&ml_algo_linear, &d, NULL);
	ml_test_ok(isnan(m->r_squared) && m->alpha[0] + m->beta[0] * (0.5 - m->center[0]) == 3.25, "constant target: predicted, R squared undefined");

	/* seconds since 1970: sums of squares about 0 would keep no digit of the slope */
	for (int i = 0; i < d.n; i++)
	{
		d.x[i] = 1.7e9 + 60.0 * i;
		d.y[i] = 2.0 * d.x[i] - 3.0;
	}
	m = fit(&ml_algo_linear, &d, NULL);
	ml_test_ok(digits(m->beta[0], 2.0) > 13 && m->r_squared > 1.0 - 1e-15, "epoch seconds: slope to 13 digits");

	huge.x[0] = 1e308;
	huge.x[1] = -1e308;
	if (setjmp(*ml_test_catch()) == 0)
	{
		fit(&ml_algo_linear, &huge, NULL);
		ml_test_uncatch();
		ml_test_ok(false, "huge numbers are refused");
	}
	else
		ml_test_ok(strcmp(ml_test_message, "the squares of column \"x1\" overflow: divide it by a power of ten first") == 0,
				   "huge numbers are refused");
}

/* ---- states ---- */

static Data
random_data(int n, int p, double offset)
{
	Data		d = make_data(n, p);

	for (int i = 0; i < n; i++)
	{
		d.y[i] = offset;
		for (int j = 0; j < p; j++)
		{
			d.x[(size_t) i * p + j] = offset * j + noise() + (j > 0 ? 0.5 * (d.x[(size_t) i * p + j - 1] - offset * (j - 1)) : 0.0);
			d.y[i] += (j % 4 - 1.5) * (d.x[(size_t) i * p + j] - offset * j);
		}
		d.y[i] += noise();
	}
	return d;
}

static void
test_states(void)
{
	for (int p = 3; p <= 63; p += 60)
	{
		Data		d = random_data(1500, p, 1e4);
		MlProblem	problem = problem_of(&ml_algo_linear, &d, NULL);
		double	   *total = state_of(&ml_algo_linear, &problem, &d, 0, 1);
		double	   *part = state_of(&ml_algo_linear, &problem, &d, 0, 2);
		MlResult	result;
		MlLinear   *half;
		MlLinear   *rest;
		MlLinear   *merged = train(&ml_algo_linear, problem, &d, 4, &result);
		MlLinear   *whole = fit(&ml_algo_linear, &d, NULL);
		double		direct = 0.0;
		double		same = 16.0;
		double		same_half = 16.0;

		ml_algo_linear.combine(&problem, total, state_of(&ml_algo_linear, &problem, &d, 1, 2), -1.0);
		ml_algo_linear.finish(&problem, total, &result);
		rest = result.model;
		ml_algo_linear.finish(&problem, part, &result);
		half = result.model;
		for (int j = 0; j < p; j++)
		{
			same = fmin(same, digits(merged->beta[j], whole->beta[j]));
			same_half = fmin(same_half, digits(rest->beta[j], half->beta[j]));
		}
		ml_test_ok(same > 10, "%d columns: merged states give the same model", p);
		ml_test_ok(same_half > 9, "%d columns: a part is subtracted", p);
		for (int i = 0; i < d.n; i++)
		{
			double		out;

			ml_algo_linear.predict(half, d.x + (size_t) i * p, &out);
			direct += (d.y[i] - out) * (d.y[i] - out);
		}
		total = state_of(&ml_algo_linear, &problem, &d, 0, 1);
		ml_test_ok(digits(ml_algo_linear.squared_error(&problem, total, half), direct) > 9,
				   "%d columns: squared error from moments", p);
	}
}

/* Integer weights are repeated rows. */
static void
test_weights(void)
{
	Data		d = table(longley, ROWS(longley, 7), 6);
	Data		repeated = make_data(32, 6);
	const MlAlgorithm *algos[] = {&ml_algo_linear, &ml_algo_ridge, &ml_algo_elastic_net};

	d.w = ml_alloc(d.n, sizeof(double));
	for (int i = 0; i < d.n; i++)
		d.w[i] = 1.0 + i % 3;
	repeated.n = 0;
	for (int i = 0; i < d.n; i++)
		for (int times = 0; times < d.w[i]; times++)
		{
			memcpy(repeated.x + repeated.n * 6, d.x + i * 6, sizeof(double) * 6);
			repeated.y[repeated.n++] = d.y[i];
		}
	for (int a = 0; a < 3; a++)
	{
		MlLinear   *weighted = fit(algos[a], &d, "lambda=20 l2=3");
		MlLinear   *plain = fit(algos[a], &repeated, "lambda=20 l2=3");
		double		same = 16.0;

		for (int j = 0; j < 6; j++)
			same = fmin(same, digits(weighted->beta[j], plain->beta[j]));
		ml_test_ok(same > 8, "%s: weights count as repeated rows", algos[a]->name);
	}
}

/* ---- penalties ---- */

static void
check_beta(const char *what, const MlLinear *m, double b0, double b1, double b2)
{
	const double want[] = {b0, b1, b2};
	bool		good = true;

	for (int j = 0; j < 3; j++)
		good = good && fabs(m->beta[j] - want[j]) < 1e-9;
	ml_test_ok(good, "%s: as scikit-learn to 1e-9", what);
}

static void
test_penalized(void)
{
	static const bool two_scaled[] = {true, true, false};
	Data		d = table(stackloss, ROWS(stackloss, 4), 3);
	MlLinear   *m = fit(&ml_algo_ridge, &d, "l2=1");
	MlCoefficient c[4];

	check_beta("ridge", m, 0.665105418290839, 1.31855837726702, -0.109052367114285);
	ml_algo_ridge.coefficients(m, c);
	ml_test_ok(digits(c[0].estimate, -41.073202272822925) > 12 && isnan(c[0].std_error), "ridge: intercept, no standard error");
	d.scaled = two_scaled;
	check_beta("ridge, a column in its own units", fit(&ml_algo_ridge, &d, "l2=1"), 0.6668277136018487, 1.3189821508266404, -0.11561554224153335);
	d.scaled = all_scaled;
	m = fit(&ml_algo_ridge, &d, "l2=0");
	ml_test_ok(digits(m->beta[2], -0.152122519148651785) > 11 && digits(m->sigma, 3.24336391818522266) > 11 &&
			   digits(sqrt(m->vcov[15]), 0.156294043248621051) > 11, "ridge without penalty is least squares");
	m = fit(&ml_algo_lasso, &d, "lambda=0.9926487162752505");
	check_beta("lasso", m, 0.6088912730945117, 1.1147481725602406, 0.0);
	ml_test_ok(m->beta[2] == 0.0 && m->rank == 2 && m->npath == 100, "lasso: exact zero, whole path");
	check_beta("elastic net, l1_ratio 0.5", fit(&ml_algo_elastic_net, &d, "lambda=0.9926487162752505"),
			   0.6046803762582754, 1.224001970797884, 0.0);
	check_beta("elastic net, l1_ratio 0.3", fit(&ml_algo_elastic_net, &d, "lambda=0.1985297432550501 l1_ratio=0.3"),
			   0.6891309060173838, 1.2941437489173768, -0.11615911229605456);
}

/* The conditions that define the minimum, on columns that are nearly copies and fewer rows than columns. */
static void
test_optimality(void)
{
	Data		d = random_data(40, 60, 0.0);
	MlLinear   *m;
	double		worst = 0.0;
	double		mean = 0.0;
	double		lambda = 0.02;

	for (int i = 0; i < d.n; i++)
		for (int j = 30; j < 60; j++)
			d.x[i * 60 + j] = d.x[i * 60 + j - 30] + 0.05 * d.x[i * 60 + j];
	m = fit(&ml_algo_lasso, &d, "lambda=0.02");
	for (int i = 0; i < d.n; i++)
		mean += d.y[i] / d.n;
	for (int j = 0; j < d.p; j++)
	{
		double		sum = 0.0;
		double		square = 0.0;
		double		gradient = 0.0;

		for (int i = 0; i < d.n; i++)
			sum += d.x[i * 60 + j] / d.n;
		for (int i = 0; i < d.n; i++)
		{
			double		out;

			ml_algo_lasso.predict(m, d.x + i * 60, &out);
			square += (d.x[i * 60 + j] - sum) * (d.x[i * 60 + j] - sum) / d.n;
			gradient += (d.x[i * 60 + j] - sum) * (d.y[i] - out) / d.n;
		}
		gradient /= sqrt(square);
		if (m->beta[j] == 0.0)
			worst = fmax(worst, fabs(gradient) - lambda);
		else
			worst = fmax(worst, fabs(gradient - (m->beta[j] > 0.0 ? lambda : -lambda)));
	}
	ml_test_ok(worst < 1e-10, "lasso, 40 rows of 60 columns: optimal to 1e-10 (%.1e)", worst);
	for (int i = 1; i < m->npath; i++)
		if (m->path_deviance[i] < m->path_deviance[i - 1] - 1e-12)
			mean = NAN;
	ml_test_ok(m->path_nonzero[0] == 0.0 && m->path_nonzero[99] > 20.0 && !isnan(mean),
			   "lasso: the path starts at zero and explains more with each step");
}

/* Folds from one scan agree with trainings without the fold's rows. */
static void
test_choose(void)
{
	Data		d = random_data(400, 8, 100.0);
	const MlAlgorithm *algos[] = {&ml_algo_ridge, &ml_algo_lasso, &ml_algo_elastic_net};

	for (int a = 0; a < 3; a++)
	{
		MlProblem	problem = problem_of(algos[a], &d, "lambda=cv l2=cv n_lambda=20");
		double	   *folds[5];
		MlResult	result;
		MlLinear   *m;

		for (int f = 0; f < 5; f++)
			folds[f] = state_of(algos[a], &problem, &d, f, 5);
		if (setjmp(*ml_test_catch()) == 0)
		{
			train(algos[a], problem, &d, 1, &result);
			ml_test_uncatch();
			ml_test_ok(false, "%s: \"cv\" without folds is refused", algos[a]->name);
		}
		else
			ml_test_ok(strcmp(ml_test_sqlstate, "22023") == 0, "%s: \"cv\" without folds is refused", algos[a]->name);
		problem.params = algos[a]->choose(&problem, folds, 5);
		m = train(algos[a], problem, &d, 1, &result);
		ml_test_ok(m->lambda > 0.0 && isfinite(m->lambda), "%s: a penalty is chosen", algos[a]->name);
		if (m->path_cv_mean)
		{
			int			best = 0;
			double		error = 0.0;

			for (int i = 0; i < m->npath; i++)
				if (m->path_cv_mean[i] < m->path_cv_mean[best])
					best = i;
			ml_test_ok(m->npath == 20 && m->path_lambda[best] == m->lambda, "%s: the one with the smallest error", algos[a]->name);
			for (int f = 0; f < 5; f++)
			{
				Data		part = make_data(400, 8);
				MlLinear   *without;
				char		given[64];

				part.n = 0;
				for (int i = 0; i < d.n; i++)
					if (i % 5 != f)
					{
						memcpy(part.x + part.n * 8, d.x + i * 8, sizeof(double) * 8);
						part.y[part.n++] = d.y[i];
					}
				snprintf(given, sizeof(given), "lambda=%.17g", m->lambda);
				without = fit(algos[a], &part, given);
				for (int i = f; i < d.n; i += 5)
				{
					double		out;

					algos[a]->predict(without, d.x + i * 8, &out);
					error += (d.y[i] - out) * (d.y[i] - out) / d.n;
				}
			}
			ml_test_ok(digits(m->path_cv_mean[best], error) > 9, "%s: CV error as from refits", algos[a]->name);
		}
	}
}

/* ---- baseline ---- */

static void
test_baseline(void)
{
	Data		d = table(norris, ROWS(norris, 2), 1);
	MlProblem	problem = problem_of(&ml_algo_baseline, &d, NULL);
	double	   *state = state_of(&ml_algo_baseline, &problem, &d, 0, 1);
	const double labels[] = {0, 2, 2, 0, 2};
	MlTile		tile = {5, NULL, labels, NULL, NULL};
	MlResult	result;
	double		out[3];
	double		mean = 0.0;
	double		squares = 0.0;
	void	   *model;

	for (int i = 0; i < d.n; i++)
		mean += d.y[i] / d.n;
	for (int i = 0; i < d.n; i++)
		squares += (d.y[i] - mean) * (d.y[i] - mean);
	ml_algo_baseline.combine(&problem, state, state_of(&ml_algo_baseline, &problem, &d, 0, 3), -1.0);
	ml_algo_baseline.combine(&problem, state, state_of(&ml_algo_baseline, &problem, &d, 0, 3), 1.0);
	ml_algo_baseline.finish(&problem, state, &result);
	ml_algo_baseline.predict(result.model, NULL, out);
	ml_test_ok(digits(out[0], mean) > 13, "baseline: mean");
	ml_test_ok(digits(ml_algo_baseline.squared_error(&problem, state, result.model), squares) > 13, "baseline: squared error");

	problem.task = ML_CLASSIFICATION;
	problem.classes = 3;
	state = ml_alloc(ml_algo_baseline.state_size(&problem), sizeof(double));
	ml_algo_baseline.accumulate(&problem, state, &tile);
	ml_algo_baseline.finish(&problem, state, &result);
	model = result.model;
	{
		MlWriter	writer = {0};
		MlReader	reader;

		ml_algo_baseline.save(model, &writer);
		reader = (MlReader) {writer.data, writer.size, 0};
		model = ml_algo_baseline.load(&reader, 1, 0, 3);
		ml_test_ok(ml_read_left(&reader) == 0, "baseline: every byte is read");
		free(writer.data);
	}
	ml_algo_baseline.predict(model, NULL, out);
	ml_test_ok(out[0] == 0.4 && out[1] == 0.0 && out[2] == 0.6, "baseline: class shares, a missing class included");
}

static void
test_bytes(void)
{
	Data		d = table(stackloss, ROWS(stackloss, 4), 3);
	const MlAlgorithm *algos[] = {&ml_algo_linear, &ml_algo_ridge, &ml_algo_lasso, &ml_algo_elastic_net};

	for (int a = 0; a < 4; a++)
	{
		MlLinear   *m = fit(algos[a], &d, "lambda=0.5");
		MlWriter	writer = {0};
		MlReader	reader;
		double		before;
		double		after;

		algos[a]->save(m, &writer);
		reader = (MlReader) {writer.data, writer.size, 0};
		algos[a]->predict(m, d.x, &before);
		m = algos[a]->load(&reader, algos[a]->format, 3, 0);
		algos[a]->predict(m, d.x, &after);
		ml_test_ok(before == after && ml_read_left(&reader) == 0, "%s: predicts the same after save and load", algos[a]->name);
		free(writer.data);
	}
}

int
main(void)
{
	for (int j = 0; j < MAX_COLUMNS; j++)
	{
		snprintf(name_space[j], sizeof(name_space[j]), "x%d", j + 1);
		names[j] = name_space[j];
	}
	test_certified();
	test_summary();
	test_dependent();
	test_edges();
	test_states();
	test_weights();
	test_penalized();
	test_optimality();
	test_choose();
	test_baseline();
	test_bytes();
	return ml_test_done();
}
