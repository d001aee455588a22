/*
 * boosting.c - tests of gradient boosting outside of the server.
 *
 * Witnesses: XGBoost on data with few distinct values (test/witness/boosting.py),
 * closed forms, and derivatives of the losses by differences.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/tree/boosting.h"
#include "boosting_xgboost.h"
#include "host.h"
#include "num/threads.h"

#define MAX_ROWS 300000
#define P 5
#define SPILL_BUDGET ((size_t) 6 << 20)

static uint64_t state = 1;

static double
uniform(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (double) (state >> 11) * 0x1p-53;
}

static const char *const names[P] = {"a", "b", "c", "d", "e"};
static double x[MAX_ROWS * P];
static double y[MAX_ROWS];
static double w[MAX_ROWS];
static double u[MAX_ROWS];
static double group[MAX_ROWS];
static double signal[MAX_ROWS];

/* What a user gets who sets nothing. */
static MlBoostingParams
defaults(void)
{
	MlBoostingParams params;

	memset(&params, 0, sizeof(params));
	for (const MlParam *p = ml_algo_gradient_boosting.params; p->name; p++)
	{
		char	   *field = (char *) &params + p->offset;

		if (p->type == ML_PARAM_INT)
			*(int *) field = atoi(p->def);
		else if (p->type == ML_PARAM_REAL)
			*(double *) field = p->def ? atof(p->def) : NAN;
	}
	return params;
}

static MlProblem
problem_of(const MlBoostingParams *params, int p, int classes)
{
	return (MlProblem) {
		.task = classes ? ML_CLASSIFICATION : ML_REGRESSION,
		.p = p, .classes = classes, .names = names, .seed = 42, .params = params
	};
}

static MlTrees *
train(const MlProblem *problem, MlData *data, MlResult *result)
{
	MlResult	own;

	if (result == NULL)
		result = &own;
	memset(result, 0, sizeof(*result));
	ml_algo_gradient_boosting.check(problem->params, problem->task);
	ml_algo_gradient_boosting.fit(problem, data, result);
	return result->model;
}

/* ---- XGBoost ---- */

static int
by_signal(const void *a, const void *b)
{
	double		d = signal[*(const int *) a] - signal[*(const int *) b];

	return d < 0 ? -1 : d > 0 ? 1 : *(const int *) a - *(const int *) b;
}

static int	ranks[WITNESS_ROWS];

/* The rows that the witness saw. */
static void
make_rows(void)
{
	int			sorted[WITNESS_ROWS];

	state = 1;
	for (int i = 0; i < WITNESS_ROWS; i++)
	{
		double	   *row = x + i * P;
		double		noise;

		for (int j = 0; j < P; j++)
		{
			row[j] = floor(uniform() * (4 + 5 * j));
			if (j == 3 && uniform() < 0.1)
				row[j] = NAN;
		}
		noise = uniform();
		w[i] = floor(uniform() * 8 + 1) / 4;
		signal[i] = 1.7 * row[0] - (row[1] > 4) * 6 + row[2] * row[0] * 0.3 +
			((isnan(row[3]) ? 30 : row[3]) > 12) * 3 + noise * 4;
		sorted[i] = i;
	}
	qsort(sorted, WITNESS_ROWS, sizeof(int), by_signal);
	for (int i = 0; i < WITNESS_ROWS; i++)
		ranks[sorted[i]] = i;
}

/* Parameters of the named case; sets y, and returns the classes. */
static int
set_case(const char *name, MlBoostingParams *params, MlProblem *problem)
{
	static const signed char signs[P] = {1, 1, 0, 0, -1};
	static const bool sets[2 * P] = {true, true, false, false, false, false, false, true, true, true};
	int			classes = 0;

	memcpy(y, signal, sizeof(double) * WITNESS_ROWS);
	if (strcmp(name, "squared_penalties") == 0)
	{
		params->l1 = 2;
		params->l2 = 0.5;
		params->gamma = 30;
		params->min_child_weight = 5;
	}
	else if (strcmp(name, "squared_deep") == 0)
	{
		params->max_depth = 7;
		params->learning_rate = 0.1;
	}
	else if (strcmp(name, "leaf_wise") == 0)
	{
		params->growth = 1;
		params->max_depth = 0;
		params->max_leaves = 9;
	}
	else if (strcmp(name, "monotone") == 0)
		problem->monotone = signs;
	else if (strcmp(name, "interactions") == 0)
	{
		problem->sets = sets;
		problem->nsets = 2;
	}
	else if (strcmp(name, "step") == 0)
		params->max_delta_step = 0.4;
	else if (strcmp(name, "absolute") == 0)
	{
		params->objective = 1 + ML_OBJECTIVE_ABSOLUTE;
		params->learning_rate = 1;
		params->n_estimators = 1;
	}
	else if (strncmp(name, "logistic", 8) == 0)
	{
		classes = 2;
		for (int i = 0; i < WITNESS_ROWS; i++)
			y[i] = signal[i] > 6.5;
		if (strcmp(name, "logistic_weighted") == 0)
			params->scale_pos_weight = 2.5;
	}
	else if (strcmp(name, "softmax") == 0)
	{
		classes = 3;
		for (int i = 0; i < WITNESS_ROWS; i++)
			y[i] = floor(3.0 * ranks[i] / WITNESS_ROWS);
		params->base_score = NAN;
	}
	else if (strcmp(name, "gamma") == 0)
	{
		params->objective = 1 + ML_OBJECTIVE_GAMMA;
		for (int i = 0; i < WITNESS_ROWS; i++)
			y[i] = 0.25 + fabs(signal[i]) / 4;
	}
	else if (strcmp(name, "poisson") == 0 || strcmp(name, "tweedie") == 0)
	{
		params->objective = 1 + (name[0] == 'p' ? ML_OBJECTIVE_POISSON : ML_OBJECTIVE_TWEEDIE);
		params->tweedie_power = 1.3;
		for (int i = 0; i < WITNESS_ROWS; i++)
			y[i] = floor(fmax(signal[i], 0) / 2);
	}
	return classes;
}

static bool
case_weighted(const char *name)
{
	return strcmp(name, "squared_penalties") == 0 || strcmp(name, "logistic_weighted") == 0 ||
		strcmp(name, "gamma") == 0;
}

static void
test_witness(void)
{
	for (size_t c = 0; c < sizeof(witness) / sizeof(witness[0]); c++)
	{
		const char *name = witness[c].name;
		MlBoostingParams params = defaults();
		MlProblem	problem = problem_of(&params, P, 0);
		MlTrees    *trees;
		double		worst = 0;

		make_rows();
		params.n_estimators = 8;
		params.max_depth = 3;
		params.base_score = 0.5;
		problem.classes = set_case(name, &params, &problem);
		problem.task = problem.classes ? ML_CLASSIFICATION : ML_REGRESSION;
		trees = train(&problem, ml_test_data(WITNESS_ROWS, P, x, y, case_weighted(name) ? w : NULL, NULL, NULL, NULL), NULL);
		for (int i = 0; i < WITNESS_ROWS / WITNESS_EVERY; i++)
		{
			double		margin[3];
			const double *want = witness[c].margin + i * trees->outputs;
			double		shift = 0;

			ml_trees_margin(trees, x + (size_t) i * WITNESS_EVERY * P, margin);
			/* class priors as the base: the same number for all classes here */
			if (trees->outputs == 3)
				shift = 0.5 - log(1.0 / 3);
			for (int k = 0; k < trees->outputs; k++)
				worst = fmax(worst, fabs(margin[k] + shift - want[k]) / fmax(1, fabs(want[k])));
		}
		ml_test_ok(worst < 1e-5, "%s: margins as XGBoost's, difference %.2g", name, worst);
	}
}

/* ---- formulas ---- */

/* Gradient and curvature by differences of the loss. */
static void
test_derivatives(void)
{
	static const struct
	{
		MlObjectiveKind kind;
		double		target;
		double		curvature;	/* h as a multiple of the second derivative; 0: h is 1 */
	}			cases[] = {
		{ML_OBJECTIVE_SQUARED, 2.5, 1}, {ML_OBJECTIVE_ABSOLUTE, 1, 0}, {ML_OBJECTIVE_QUANTILE, 1, 0},
		{ML_OBJECTIVE_HUBER, 1, 0}, {ML_OBJECTIVE_POISSON, 3, 2.0137527074704766}, {ML_OBJECTIVE_GAMMA, 2, 1},
		{ML_OBJECTIVE_TWEEDIE, 2, 1}, {ML_OBJECTIVE_LOGISTIC, 0, 1}, {ML_OBJECTIVE_LOGISTIC, 1, 1},
	};
	const double d = 1e-4;

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
	{
		MlObjective o = {.kind = cases[c].kind, .quantile = 0.2, .delta = 0.7, .power = 1.4, .max_step = 0.7};
		double		worst = 0;

		for (double f = -4.03; f < 4; f += 0.31)
		{
			double		at[3] = {f - d, f, f + d};
			float		target[3] = {(float) cases[c].target, (float) cases[c].target, (float) cases[c].target};
			double		g[3];
			double		h[3];
			double		loss[3];
			double		curvature;

			ml_objective_rows(&o, 3, target, at, g, h, loss);
			worst = fmax(worst, fabs((loss[2] - loss[0]) / (2 * d) - g[1]) / fmax(1, fabs(g[1])));
			curvature = cases[c].curvature > 0 ? (g[2] - g[0]) / (2 * d) * cases[c].curvature : 1;
			worst = fmax(worst, fabs(curvature - h[1]) / fmax(1, h[1]));
		}
		ml_test_ok(worst < 1e-6, "objective %d: gradient and curvature of the loss, difference %.2g", cases[c].kind, worst);
	}
}

static void
test_exp(void)
{
	double		at[ML_CHUNK];
	double		out[ML_CHUNK];
	double		worst = 0;

	for (int t = 0; t < 1000; t++)
	{
		for (int i = 0; i < ML_CHUNK; i++)
			at[i] = (uniform() - 0.5) * (t < 500 ? 2 : 1400);
		ml_exps(ML_CHUNK, at, out);
		for (int i = 0; i < ML_CHUNK; i++)
			worst = fmax(worst, fabs(out[i] / exp(at[i]) - 1));
	}
	ml_test_ok(worst < 4e-13, "exponential: relative error %.2g", worst);
}

/* ---- closed forms: one column of three values, one round, no shrinkage ---- */

static int
ascending(const void *a, const void *b)
{
	double		d = *(const double *) a - *(const double *) b;

	return d < 0 ? -1 : d > 0;
}

/* The middle of the minimisers of sum of quantile loss over n sorted values. */
static double
plain_quantile(double q, int n, const double *v)
{
	double		at = q * n;
	int			low = (int) ceil(at) - 1;
	int			high = (int) floor(at);

	return (v[low < 0 ? 0 : low] + v[high > n - 1 ? n - 1 : high]) / 2;
}

static double
huber_step(double delta, int n, const double *v)
{
	double		m = plain_quantile(0.5, n, v);
	double		sum = 0;

	for (int i = 0; i < n; i++)
		sum += fmin(fmax(v[i] - m, -delta), delta);
	return m + sum / n;
}

static void
test_closed_forms(void)
{
	static const struct
	{
		MlObjectiveKind kind;
		const char *what;
	}			cases[] = {
		{ML_OBJECTIVE_SQUARED, "mean"}, {ML_OBJECTIVE_ABSOLUTE, "median"}, {ML_OBJECTIVE_QUANTILE, "quantile"},
		{ML_OBJECTIVE_HUBER, "huber's step"}
	};
	double		part[3][100];
	int			n[3] = {0, 0, 0};
	const int	rows = 120;

	for (int i = 0; i < rows; i++)
	{
		int			k = i % 3 + (i % 7 == 0 ? 1 : 0);

		k = k > 2 ? 2 : k;
		x[i] = 10 * k;
		y[i] = k * 20 + floor(uniform() * 400) / 16 + (i % 11 == 0 ? 60 : 0);
		part[k][n[k]++] = y[i];
	}
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
	{
		MlBoostingParams params = defaults();
		MlProblem	problem = problem_of(&params, 1, 0);
		double		worst = 0;
		MlTrees    *trees;

		params.objective = 1 + cases[c].kind;
		params.n_estimators = 1;
		params.learning_rate = 1;
		params.l2 = 0;
		params.quantile = 0.3;
		params.huber_delta = 5;
		trees = train(&problem, ml_test_data(rows, 1, x, y, NULL, NULL, NULL, NULL), NULL);
		for (int k = 0; k < 3; k++)
		{
			double		at = 10 * k;
			double		got;
			double		want = 0;

			qsort(part[k], n[k], sizeof(double), ascending);
			for (int i = 0; i < n[k]; i++)
				want += part[k][i] / n[k];
			if (cases[c].kind == ML_OBJECTIVE_ABSOLUTE)
				want = plain_quantile(0.5, n[k], part[k]);
			else if (cases[c].kind == ML_OBJECTIVE_QUANTILE)
				want = plain_quantile(0.3, n[k], part[k]);
			else if (cases[c].kind == ML_OBJECTIVE_HUBER)
				want = huber_step(5, n[k], part[k]);
			ml_trees_predict(trees, &at, &got);
			worst = fmax(worst, fabs(got - want));
		}
		ml_test_ok(worst < 1e-5, "one round without shrinkage predicts the %s of each leaf, difference %.2g",
				   cases[c].what, worst);
	}
}

/* With a constant column the base is all there is: the best constant. */
static void
test_base(void)
{
	static const struct
	{
		int			objective;
		int			classes;
		double		base;
	}			cases[] = {
		{1 + ML_OBJECTIVE_SQUARED, 0, 2.2}, {1 + ML_OBJECTIVE_ABSOLUTE, 0, 2}, {1 + ML_OBJECTIVE_POISSON, 0, 0.78845736036427},
		{1 + ML_OBJECTIVE_GAMMA, 0, 0.78845736036427}, {1 + ML_OBJECTIVE_TWEEDIE, 0, 0.78845736036427},
		{0, 2, -0.40546510810816}, {0, 3, -0.91629073187416}, {1 + ML_OBJECTIVE_SOFTMAX, 2, -0.51082562376599}
	};

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
	{
		static const double of_classes[4][5] = {{1, 2, 4, 1, 3}, {0}, {0, 0, 0, 1, 1}, {0, 0, 1, 1, 2}};
		MlBoostingParams params = defaults();
		MlProblem	problem = problem_of(&params, 1, cases[c].classes);
		MlTrees    *trees;

		memset(x, 0, sizeof(double) * 5);
		memcpy(y, of_classes[cases[c].classes], sizeof(double) * 5);
		params.objective = cases[c].objective;
		params.n_estimators = 3;
		trees = train(&problem, ml_test_data(5, 1, x, y, NULL, NULL, NULL, NULL), NULL);
		ml_test_ok(fabs(trees->base[0] - cases[c].base) < 1e-6, "objective %d of %d classes starts at %.9g, wanted %.9g",
				   cases[c].objective, cases[c].classes, trees->base[0], cases[c].base);
	}
}

/* ---- the same bytes ---- */

typedef struct Bytes
{
	char	   *data;
	size_t		size;
} Bytes;

static Bytes
bytes_of(const MlTrees *trees)
{
	MlWriter	writer;

	memset(&writer, 0, sizeof(writer));
	ml_trees_save(trees, &writer);
	return (Bytes) {writer.data, writer.size};
}

static void
make_noise(int rows, int classes)
{
	state = 7;
	for (int i = 0; i < rows; i++)
	{
		double		sum = 0;

		for (int j = 0; j < P; j++)
		{
			x[(size_t) i * P + j] = floor(uniform() * 1000) / 1000;
			sum += x[(size_t) i * P + j] * (j - 1.5);
		}
		sum += (uniform() - 0.5);
		y[i] = classes == 0 ? sum : classes == 2 ? sum > 1 : (sum > 0.5) + (sum > 1.5);
		w[i] = 0.5 + floor(uniform() * 4);
		u[i] = uniform();
		group[i] = floor(uniform() * rows / 20);
	}
}

/* Rows i and j of everything change places. */
static void
swap_rows(int i, int j)
{
	double	   *arrays[] = {y, w, u, group};

	for (int k = 0; k < 4; k++)
	{
		double		t = arrays[k][i];

		arrays[k][i] = arrays[k][j];
		arrays[k][j] = t;
	}
	for (int k = 0; k < P; k++)
	{
		double		t = x[(size_t) i * P + k];

		x[(size_t) i * P + k] = x[(size_t) j * P + k];
		x[(size_t) j * P + k] = t;
	}
}

static Bytes
train_bytes(const MlBoostingParams *params, int classes, int rows, int threads, size_t budget, bool ranked)
{
	MlProblem	problem = problem_of(params, P, classes);
	MlData	   *data = ml_test_data(rows, P, x, y, w, NULL, u, ranked ? group : NULL);
	Bytes		bytes;

	ml_threads = threads;
	ml_test_budget = budget;
	bytes = bytes_of(train(&problem, data, NULL));
	ml_test_budget = SIZE_MAX;
	ml_threads = 1;
	ml_threads_end();
	return bytes;
}

static void
same_bytes(Bytes a, Bytes b, const char *objective, const char *what)
{
	ml_test_ok(a.size == b.size && memcmp(a.data, b.data, a.size) == 0, "%s: same bytes %s", objective, what);
}

static void
test_same_bytes(void)
{
	static const struct
	{
		const char *name;
		int			objective;
		int			classes;
		int			early;
		int			rows;
	}			cases[] = {
		{"squared", 1 + ML_OBJECTIVE_SQUARED, 0, 0, 40000}, {"absolute", 1 + ML_OBJECTIVE_ABSOLUTE, 0, 3, 40000},
		{"quantile", 1 + ML_OBJECTIVE_QUANTILE, 0, 0, 40000}, {"huber", 1 + ML_OBJECTIVE_HUBER, 0, 3, 40000},
		{"logistic", 0, 2, 3, 40000}, {"softmax", 0, 3, 2, 40000}, {"lambdarank", 1 + ML_OBJECTIVE_LAMBDARANK, 0, 2, 40000},
		{"logistic, 16 bits", 0, 2, 0, 270000}
	};

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
	{
		MlBoostingParams params = defaults();
		bool		ranked = cases[c].objective == 1 + ML_OBJECTIVE_LAMBDARANK;
		Bytes		first;

		make_noise(cases[c].rows, ranked ? 3 : cases[c].classes);
		params.objective = cases[c].objective;
		params.n_estimators = cases[c].rows > 100000 ? 2 : 4;
		params.max_depth = 4;
		params.subsample = 0.7;
		params.colsample_node = 0.6;
		params.early_stopping = cases[c].early;
		params.group = ranked ? "g" : NULL;
		first = train_bytes(&params, cases[c].classes, cases[c].rows, 1, SIZE_MAX, ranked);
		same_bytes(first, train_bytes(&params, cases[c].classes, cases[c].rows, 3, SIZE_MAX, ranked), cases[c].name, "with three threads");
		same_bytes(first, train_bytes(&params, cases[c].classes, cases[c].rows, 1, SPILL_BUDGET, ranked), cases[c].name, "from a file");
		for (int i = cases[c].rows - 1; i > 0; i--)
			swap_rows(i, (int) (uniform() * (i + 1)));
		same_bytes(first, train_bytes(&params, cases[c].classes, cases[c].rows, 1, SIZE_MAX, ranked), cases[c].name, "from rows in another order");
		ml_test_free_all();
	}
}

int
main(void)
{
	test_exp();
	test_derivatives();
	test_closed_forms();
	test_base();
	test_witness();
	test_same_bytes();
	return ml_test_done();
}
