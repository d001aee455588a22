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
	MlData	   *data;
	Bytes		bytes;

	ml_test_free_all();
	data = ml_test_data(rows, P, x, y, w, NULL, u, ranked ? group : NULL);
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
		size_t		budget;			/* too small for the rows; a ranking keeps its rows in memory */
	}			cases[] = {
		{"squared", 1 + ML_OBJECTIVE_SQUARED, 0, 0, 100000, 3200}, {"absolute", 1 + ML_OBJECTIVE_ABSOLUTE, 0, 3, 100000, 3200},
		{"quantile", 1 + ML_OBJECTIVE_QUANTILE, 0, 0, 100000, 3200}, {"huber", 1 + ML_OBJECTIVE_HUBER, 0, 3, 100000, 3200},
		{"logistic", 0, 2, 3, 100000, 3200}, {"softmax", 0, 3, 2, 100000, 3200}, {"lambdarank", 1 + ML_OBJECTIVE_LAMBDARANK, 0, 2, 40000, 0},
		{"logistic, 16 bits", 0, 2, 0, 270000, 6000}
	};

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
	{
		MlBoostingParams params = defaults();
		bool		ranked = cases[c].objective == 1 + ML_OBJECTIVE_LAMBDARANK;
		Bytes		first;

		make_noise(cases[c].rows, ranked ? 3 : cases[c].classes);
		params.objective = cases[c].objective;
		params.n_estimators = cases[c].rows > 200000 ? 2 : 4;
		params.max_depth = 4;
		params.subsample = 0.7;
		params.colsample_node = 0.6;
		params.early_stopping = cases[c].early;
		params.group = ranked ? "g" : NULL;
		first = train_bytes(&params, cases[c].classes, cases[c].rows, 1, SIZE_MAX, ranked);
		same_bytes(first, train_bytes(&params, cases[c].classes, cases[c].rows, 3, SIZE_MAX, ranked),
				   cases[c].name, "with three threads");
		if (cases[c].budget > 0)
			same_bytes(first, train_bytes(&params, cases[c].classes, cases[c].rows, 1, cases[c].budget << 10, ranked),
					   cases[c].name, "from a file");
		for (int i = cases[c].rows - 1; i > 0; i--)
			swap_rows(i, (int) (uniform() * (i + 1)));
		same_bytes(first, train_bytes(&params, cases[c].classes, cases[c].rows, 1, SIZE_MAX, ranked),
				   cases[c].name, "from rows in another order");
		ml_test_free_all();
	}
}

/* ---- the loop ---- */

static double
log_loss(const MlTrees *trees, int from, int to)
{
	double		sum = 0;

	for (int i = from; i < to; i++)
	{
		double		p;

		ml_trees_predict(trees, x + (size_t) i * P, &p);
		sum -= log(y[i] == 1 ? p : 1 - p);
	}
	return sum / (to - from);
}

static void
test_early_stopping(void)
{
	MlBoostingParams params = defaults();
	MlProblem	problem = problem_of(&params, P, 2);
	MlData	   *data = ml_test_data(4000, P, x, y, NULL, NULL, u, NULL);
	MlResult	result;
	MlTrees    *all;
	MlTrees    *stopped;
	MlTrees    *final;

	make_noise(20000, 2);
	params.n_estimators = 300;
	all = train(&problem, data, NULL);
	params.early_stopping = 10;
	stopped = train(&problem, data, &result);
	ml_test_ok(result.ncarry == 1 && result.carry[0] == stopped->rounds && stopped->ntrees == stopped->rounds &&
			   stopped->rounds > 3 && stopped->rounds < 290, "early stopping keeps %d rounds and hands them over", stopped->rounds);
	ml_test_ok(log_loss(stopped, 4000, 20000) < log_loss(all, 4000, 20000),
			   "log loss of new rows %.4f, without stopping %.4f", log_loss(stopped, 4000, 20000), log_loss(all, 4000, 20000));
	problem.carry = result.carry;
	problem.ncarry = result.ncarry;
	final = train(&problem, data, NULL);
	problem.carry = NULL;
	params.early_stopping = 0;
	params.n_estimators = stopped->rounds;
	same_bytes(bytes_of(final), bytes_of(train(&problem, data, NULL)), "logistic", "from the rounds handed over as from a parameter");
}

/* More rounds on the same rows are the rounds that one training would have had. */
static void
test_continue(void)
{
	for (int classes = 0; classes <= 3; classes++)
	{
		MlBoostingParams params = defaults();
		MlProblem	problem = problem_of(&params, P, classes);
		MlData	   *data;
		MlTrees    *whole;
		MlTrees    *part;
		double		worst = 0;

		if (classes == 1)
			continue;
		make_noise(3000, classes);
		data = ml_test_data(3000, P, x, y, w, NULL, u, NULL);
		params.subsample = 0.8;
		params.n_estimators = 7;
		whole = train(&problem, data, NULL);
		params.n_estimators = 3;
		part = train(&problem, data, NULL);
		problem.start = part;
		params.n_estimators = 4;
		part = train(&problem, data, NULL);
		for (int i = 0; i < 3000; i++)
		{
			double		a[3];
			double		b[3];

			ml_trees_margin(whole, x + (size_t) i * P, a);
			ml_trees_margin(part, x + (size_t) i * P, b);
			for (int k = 0; k < whole->outputs; k++)
				worst = fmax(worst, fabs(a[k] - b[k]));
		}
		ml_test_ok(worst < 1e-5 && part->rounds == 7 && part->ntrees == whole->ntrees,
				   "%d classes: 3 rounds and 4 more are 7 rounds, difference %.2g", classes, worst);
	}
}

static void
test_continue_other(void)
{
	MlBoostingParams params = defaults();
	MlProblem	problem = problem_of(&params, P, 0);
	MlTrees    *start;
	MlData	   *data;

	make_noise(100, 0);
	data = ml_test_data(100, P, x, y, NULL, NULL, u, NULL);
	params.n_estimators = 2;
	start = train(&problem, data, NULL);
	problem.start = start;
	for (volatile int other = 0; other < 2; other++)
	{
		/* the second time: bytes that say what no training does */
		start->average = other == 1;
		params.objective = other == 1 ? 0 : 1 + ML_OBJECTIVE_HUBER;
		if (setjmp(*ml_test_catch()) == 0)
		{
			train(&problem, data, NULL);
			ml_test_uncatch();
			ml_test_ok(false, "a model of %s is not continued", other == 1 ? "averaged trees" : "another objective");
		}
		else
			ml_test_ok(strcmp(ml_test_sqlstate, "22023") == 0, "not continued: %s", ml_test_message);
	}
}

/*
 * Every row twice, more than 262,144 rows and so 16 bits, against every row once with 30
 * bits and half of the penalties: the same problem.
 */
static void
test_packed_quality(void)
{
	const int	half = 140000;
	MlBoostingParams params = defaults();
	MlProblem	problem = problem_of(&params, P, 2);
	double		loss[2];

	make_noise(half, 2);
	params.n_estimators = 20;
	params.l2 = 0.5;
	params.min_child_weight = 0.5;
	loss[0] = log_loss(train(&problem, ml_test_data(half, P, x, y, NULL, NULL, u, NULL), NULL), 0, half);
	memcpy(x + (size_t) half * P, x, sizeof(double) * half * P);
	memcpy(y + half, y, sizeof(double) * half);
	for (int i = 0; i < half; i++)
		u[half + i] = uniform();
	params.l2 = params.min_child_weight = 1;
	loss[1] = log_loss(train(&problem, ml_test_data(2 * half, P, x, y, NULL, NULL, u, NULL), NULL), 0, half);
	/* cuts come from a sample by row key, so they differ a little */
	ml_test_ok(loss[1] < loss[0] * 1.005, "log loss with 16 bits %.6f, with 30 bits %.6f", loss[1], loss[0]);
	ml_test_free_all();
}

static double
mean_error(const MlTrees *trees, int rows)
{
	double		sum = 0;

	for (int i = 0; i < rows; i += 10)
	{
		double		p;

		ml_trees_predict(trees, x + (size_t) i * P, &p);
		sum += fabs(p - y[i]) / (rows / 10);
	}
	return sum;
}

/* A few rows weigh so much that, in 16 bits of theirs, the gradients of the others would be noise. */
static void
test_heavy_rows(void)
{
	const int	rows = 280000;
	MlBoostingParams params = defaults();
	MlProblem	problem = problem_of(&params, P, 0);
	double		plain;
	double		heavy;

	make_noise(rows, 0);
	params.n_estimators = 20;
	plain = mean_error(train(&problem, ml_test_data(rows, P, x, y, NULL, NULL, u, NULL), NULL), rows);
	for (int i = 0; i < rows; i++)
		w[i] = i % 100000 == 7 ? 1e5 : 1;
	heavy = mean_error(train(&problem, ml_test_data(rows, P, x, y, w, NULL, u, NULL), NULL), rows);
	ml_test_ok(heavy < 1.1 * plain, "mean error with three rows of weight 100,000 %.5f, without %.5f", heavy, plain);
	ml_test_free_all();
}

/* ---- ranking ---- */

/* One group: the gradient is the derivative of the loss with its weights held fixed. */
static void
test_ranking(void)
{
	const int	rows = 2000;
	MlBoostingParams params = defaults();
	MlProblem	problem = problem_of(&params, P, 0);
	MlResult	result;
	double		first;

	make_noise(rows, 3);
	params.objective = 1 + ML_OBJECTIVE_LAMBDARANK;
	params.group = "g";
	params.n_estimators = 1;
	train(&problem, ml_test_data(rows, P, x, y, NULL, NULL, u, group), &result);
	first = result.objective;
	params.n_estimators = 40;
	train(&problem, ml_test_data(rows, P, x, y, NULL, NULL, u, group), &result);
	ml_test_ok(result.objective < first / 3, "lambdarank: 1 - NDCG falls from %.4f to %.4f", first, result.objective);
}

static double
gain_of(double grade)
{
	return exp2(grade) - 1;
}

static void
test_lambdas(void)
{
	static const double grade[6] = {2, 0, 1, 3, 0, 1};
	static const double score[6] = {0.3, 0.9, -0.2, 0.1, 0.7, 0.5};
	MlBoostingParams params = defaults();
	MlProblem	problem = problem_of(&params, 1, 0);
	MlMatrixOptions options = {.max_bin = 16, .outputs = 1, .keep_gradient = true};
	MlMatrix   *matrix;
	MlRanking  *ranking;
	MlBlock    *block;
	double		g[6];
	double		h[6];
	double		want[6] = {0};
	double		best = 0;
	double		loss;
	double		held;
	double		worst = 0;
	const int	k = 3;

	for (int i = 0; i < 6; i++)
	{
		x[i] = i;
		y[i] = grade[i];
		group[i] = 17;
		u[i] = (i + 0.5) / 6;
	}
	matrix = ml_matrix_build(&problem, ml_test_data(6, 1, x, y, NULL, NULL, u, group), &options);
	ranking = ml_ranking_create(matrix, k, &problem, false);
	block = ml_matrix_block(matrix, 0, true);
	memcpy(block->score, score, sizeof(score));
	ml_ranking_score(ranking, 0, block);
	ml_ranking_compute(ranking, &loss, &held);
	ml_ranking_rows(ranking, 0, 0, 6, g, h);
	best = gain_of(3) + gain_of(2) / log2(3) + gain_of(1) / log2(4);
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 6; j++)
		{
			int			at[2] = {0, 0};
			double		discount[2];
			double		lambda;

			for (int m = 0; m < 6; m++)
			{
				at[0] += score[m] > score[i];
				at[1] += score[m] > score[j];
			}
			for (int s = 0; s < 2; s++)
				discount[s] = at[s] < k ? 1 / log2(at[s] + 2) : 0;
			if (!(grade[i] > grade[j]))
				continue;
			lambda = fabs((gain_of(grade[i]) - gain_of(grade[j])) * (discount[0] - discount[1])) / best /
				(1 + exp(score[i] - score[j]));
			want[i] -= lambda;
			want[j] += lambda;
		}
	for (int i = 0; i < 6; i++)
		worst = fmax(worst, fabs(want[i] - g[i]));
	ml_test_ok(worst < 1e-6, "lambdarank: gradients of a group, difference %.2g", worst);
	/* the order by score: grades 0, 0, 1 */
	ml_test_ok(fabs(loss - (1 - gain_of(1) / log2(4) / best)) < 1e-12, "lambdarank: 1 - NDCG@3 is %.6f", loss);
}

/* ---- errors ---- */

static void
test_error(MlBoostingParams params, int classes, double target, const char *sqlstate)
{
	MlProblem	problem = problem_of(&params, 1, classes);

	for (int i = 0; i < 10; i++)
	{
		x[i] = i;
		y[i] = classes > 0 ? i % classes : i + 1;
	}
	if (classes == 0)
		y[4] = target;
	if (setjmp(*ml_test_catch()) == 0)
	{
		train(&problem, ml_test_data(10, 1, x, y, NULL, NULL, NULL, NULL), NULL);
		ml_test_uncatch();
		ml_test_ok(false, "objective %d, %d classes, target %g: no error", params.objective, classes, target);
	}
	else
		ml_test_ok(strcmp(ml_test_sqlstate, sqlstate) == 0, "%s: %s", ml_test_sqlstate, ml_test_message);
}

static void
test_errors(void)
{
	MlBoostingParams params = defaults();

	params.objective = 1 + ML_OBJECTIVE_POISSON;
	test_error(params, 0, -0.5, "22000");
	params.objective = 1 + ML_OBJECTIVE_TWEEDIE;
	test_error(params, 0, -2, "22000");
	params.objective = 1 + ML_OBJECTIVE_GAMMA;
	test_error(params, 0, 0, "22000");
	params.base_score = 0;
	test_error(params, 0, 1, "22023");
	params = defaults();
	params.objective = 1 + ML_OBJECTIVE_LOGISTIC;
	test_error(params, 3, 0, "22023");
	test_error(params, 0, 1, "22023");
	params.objective = 1 + ML_OBJECTIVE_SQUARED;
	test_error(params, 2, 0, "22023");
	params.objective = 1 + ML_OBJECTIVE_LAMBDARANK;
	test_error(params, 0, 1, "22023");
	params.group = "g";
	test_error(params, 0, 1, "22023");
	params = defaults();
	params.base_score = 1;
	test_error(params, 2, 0, "22023");
	params = defaults();
	params.scale_pos_weight = 2;
	test_error(params, 3, 0, "22023");
	params = defaults();
	params.max_leaves = 1;
	test_error(params, 0, 1, "22023");
	params = defaults();
	params.objective = 1 + ML_OBJECTIVE_POISSON;
	params.learning_rate = 10;
	params.max_delta_step = 0;
	params.n_estimators = 400;
	test_error(params, 0, 1e30, "22000");
}

int
main(void)
{
	test_exp();
	test_derivatives();
	test_closed_forms();
	test_base();
	test_witness();
	test_early_stopping();
	test_continue();
	test_continue_other();
	test_lambdas();
	test_ranking();
	test_errors();
	test_packed_quality();
	test_heavy_rows();
	test_same_bytes();
	return ml_test_done();
}
