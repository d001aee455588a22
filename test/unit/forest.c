/*
 * forest.c - single trees against scikit-learn's, samples, order of rows and
 * memory, edge cases, isolation.
 */
#include "fit.h"
#include "algo/tree/forest.c"
#include "algo/tree/isolation_forest.c"
#include "forest_values.h"

static const MlForestParams one_tree = {
	.n_estimators = 1, .max_features = 1, .min_samples_leaf = 1, .min_samples_split = 2, .subsample = 1, .max_bin = 256
};
static const MlForestParams plain_forest = {
	.n_estimators = 20, .max_features = NAN, .min_samples_leaf = 1, .min_samples_split = 2, .bootstrap = true,
	.subsample = 1, .max_bin = 256
};

/* A set of rows; u belongs to a row. */
typedef struct Table
{
	int			n;
	int			p;
	int			classes;
	double	   *x;
	double	   *y;
	double	   *w;
	double	   *u;
	int		   *levels;
} Table;

static Table
make_table(int n, int p, int classes)
{
	Table		t = {n, p, classes};

	t.x = ml_alloc((size_t) n * p, sizeof(double));
	t.y = ml_alloc(n, sizeof(double));
	t.u = ml_alloc(n, sizeof(double));
	t.levels = ml_alloc(p, sizeof(int));
	for (int i = 0; i < n; i++)
	{
		double		sum = 0;
		bool		noise = ml_forest_uniform(99, i) < 0.2;

		t.u[i] = ml_forest_uniform(1, i);
		for (int j = 0; j < p; j++)
		{
			t.x[i * p + j] = ml_forest_uniform(2 + j, i);
			sum += t.x[i * p + j] * (j % 3);
		}
		/* of 6 columns: the second and the fifth, twice the third and the sixth */
		t.y[i] = classes == 0 ? sum : (int) ((noise ? ml_forest_uniform(98, i) : fmod(sum / 2, 1)) * classes);
	}
	return t;
}

/* The same rows from the last to the first. */
static Table
reversed(const Table *t)
{
	Table		r = make_table(t->n, t->p, t->classes);

	r.levels = t->levels;
	r.w = t->w ? ml_alloc(t->n, sizeof(double)) : NULL;
	for (int i = 0; i < t->n; i++)
	{
		int			from = t->n - 1 - i;

		memcpy(r.x + i * t->p, t->x + from * t->p, sizeof(double) * t->p);
		r.y[i] = t->y[from];
		r.u[i] = t->u[from];
		if (t->w)
			r.w[i] = t->w[from];
	}
	return r;
}

static MlProblem
problem_of(const Table *t, const void *params)
{
	const char **names = ml_alloc(t->p, sizeof(char *));

	for (int j = 0; j < t->p; j++)
		names[j] = "x";
	return (MlProblem) {
		.task = t->classes ? ML_CLASSIFICATION : ML_REGRESSION, .p = t->p, .classes = t->classes, .names = names,
		.levels = t->levels, .seed = 7, .params = params
	};
}

/* The bytes of a model of the rows. */
static MlWriter
train(const MlAlgorithm *a, const Table *t, const void *params, MlResult *result)
{
	MlProblem	problem = problem_of(t, params);
	MlWriter	writer = {0};

	memset(result, 0, sizeof(*result));
	if (a->check)
		a->check(params, problem.task);
	a->fit(&problem, ml_test_data(t->n, t->p, t->x, t->y, t->w, NULL, t->u, NULL), result);
	a->save(result->model, &writer);
	return writer;
}

static bool
same_bytes(MlWriter a, MlWriter b)
{
	bool		same = a.size == b.size && memcmp(a.data, b.data, a.size) == 0;

	free(a.data);
	free(b.data);
	return same;
}

/* ---- against scikit-learn ---- */

static void
test_witness(void)
{
	for (size_t c = 0; c < sizeof(witness_cases) / sizeof(witness_cases[0]); c++)
	{
		MlForestParams params = witness_cases[c].params;
		int			classes = witness_cases[c].classes;
		int			width = classes == 3 ? 3 : 1;
		Table		t = {WITNESS_ROWS, WITNESS_COLUMNS, classes, (double *) witness_x, (double *) witness_cases[c].y,
			(double *) witness_cases[c].w};
		double		worst = 0;
		MlResult	result;
		MlWriter	writer;
		MlTrees    *trees;

		params.n_estimators = 1;
		params.max_features = 1;
		params.subsample = 1;
		writer = train(&ml_algo_decision_tree, &t, &params, &result);
		trees = result.model;
		for (int i = 0; i < t.n; i++)
		{
			double		out[3];

			ml_trees_predict(trees, t.x + i * t.p, out);
			for (int k = 0; k < width; k++)
				worst = fmax(worst, fabs(out[k] - witness_cases[c].want[i * width + k]));
		}
		ml_test_ok(worst < 1e-5 && (int) trees->nleaves == witness_cases[c].leaves,
				   "tree %zu is scikit-learn's: %u of %d leaves, difference %.2g", c, trees->nleaves, witness_cases[c].leaves, worst);
		free(writer.data);
	}
}

/* ---- samples ---- */

static void
test_samples(void)
{
	MlForestParams params = plain_forest;
	Training	t = {.params = &params};
	double		count[4] = {0};
	double		sum = 0;
	double		square = 0;
	int			n = 1000000;

	copies_table(&t);
	for (int i = 0; i < n; i++)
	{
		int			c = copies(&t, 12345, i);

		count[c < 3 ? c : 3]++;
		sum += c;
		square += c * c;
	}
	/* standard errors are 0.0005, 0.001 and 0.0017 */
	ml_test_ok(fabs(count[0] / n - exp(-1)) < 0.003, "a bootstrap sample leaves out %.4f of the rows", count[0] / n);
	ml_test_ok(fabs(sum / n - 1) < 0.005 && fabs(square / n - 2) < 0.015, "copies have mean %.4f, mean square %.4f", sum / n, square / n);
	params.bootstrap = false;
	params.subsample = 0.25;
	copies_table(&t);
	sum = 0;
	for (int i = 0; i < n; i++)
		sum += copies(&t, 12345, i);
	ml_test_ok(fabs(sum / n - 0.25) < 0.003, "a share of 0.25 takes %.4f of the rows", sum / n);
}

/* A share of the columns, categories among them. */
static void
test_columns(void)
{
	int			levels[] = {0, 1, 3, 0};
	MlProblem	problem = {.p = 4, .levels = levels};

	ml_test_ok(columns_of_share(&problem, 0.5) == 0.5 + 0.5 + 0.875 + 0.5, "a category of three levels is tried as often as any of them would");
	ml_test_ok(columns_of_share(&problem, 1) == 4, "all columns are all");
	problem.levels = NULL;
	ml_test_ok(columns_of_share(&problem, 0.25) == 1, "a quarter of four numbers is one");
}

/* Neither the order of rows, nor threads, nor memory change a byte. */
static void
test_same_bytes(int classes, bool weighted)
{
	Table		t = make_table(70000, 6, classes);
	Table		r;
	MlForestParams params = plain_forest;
	size_t		budget = ml_test_budget;
	MlResult	result;
	MlWriter	want;
	MlWriter	got;

	params.n_estimators = 3;
	params.max_depth = 8;
	if (weighted)
	{
		t.w = ml_alloc(t.n, sizeof(double));
		for (int i = 0; i < t.n; i++)
			t.w[i] = 0.5 + ml_forest_uniform(5, i);
	}
	r = reversed(&t);
	want = train(&ml_algo_random_forest, &t, &params, &result);
	got = train(&ml_algo_random_forest, &r, &params, &result);
	ml_test_ok(same_bytes(want, got), "%d classes: the order of rows does not matter", classes);
	want = train(&ml_algo_random_forest, &t, &params, &result);
	ml_threads = 3;
	got = train(&ml_algo_random_forest, &t, &params, &result);
	ml_threads = 1;
	ml_threads_end();
	ml_test_ok(same_bytes(want, got), "%d classes: threads do not matter", classes);
	want = train(&ml_algo_random_forest, &t, &params, &result);
	ml_test_budget = budget - ml_memory_left() + (8 << 20);
	got = train(&ml_algo_random_forest, &t, &params, &result);
	ml_test_budget = budget;
	ml_test_ok(same_bytes(want, got), "%d classes: memory does not matter", classes);
}

/* Trees that went to a file are the same, as bytes and as predictions. */
static void
test_parts(int classes, size_t memory)
{
	Table		t = make_table(20000, 6, classes);
	int			outputs = classes > 2 ? classes : 1;
	int			few = 500;
	MlForestParams params = plain_forest;
	size_t		budget = ml_test_budget;
	double	   *got = ml_alloc((size_t) few * outputs, sizeof(double));
	double	   *want = ml_alloc(outputs, sizeof(double));
	bool		same = true;
	MlResult	result;
	MlResult	parted;
	MlWriter	all = train(&ml_algo_random_forest, &t, &params, &result);
	MlWriter	parts;

	ml_test_budget = budget - ml_memory_left() + memory;
	parts = train(&ml_algo_random_forest, &t, &params, &parted);
	ml_algo_random_forest.predict_rows(parted.model, t.x, few, got);
	for (int i = 0; i < few; i++)
	{
		ml_algo_random_forest.predict(result.model, t.x + i * t.p, want);
		same = same && memcmp(want, got + (size_t) i * outputs, sizeof(double) * outputs) == 0;
		if (i < 3)
		{
			ml_algo_random_forest.predict(parted.model, t.x + i * t.p, want);
			same = same && memcmp(want, got + (size_t) i * outputs, sizeof(double) * outputs) == 0;
		}
	}
	ml_test_budget = budget;
	ml_test_ok(!result.outside && parted.outside, "%d classes: trees go to a file when memory is short", classes);
	ml_test_ok(same_bytes(all, parts), "%d classes: bytes of trees in a file", classes);
	ml_test_ok(same, "%d classes: predictions of trees in a file", classes);
}

/* Leaves with the classes that they have say what leaves with a number each do. */
static void
test_shares(void)
{
	Table		t = make_table(3000, 6, 12);
	MlForestParams params = plain_forest;
	double		worst = 0;
	double		a[12];
	double		b[12];
	MlResult	shares;
	MlResult	numbers;

	params.min_samples_leaf = 5;
	free(train(&ml_algo_random_forest, &t, &params, &shares).data);
	params.ccp_alpha = 1e-300;	/* prunes nothing, but needs the counts of all nodes */
	free(train(&ml_algo_random_forest, &t, &params, &numbers).data);
	for (int i = 0; i < t.n; i++)
	{
		ml_algo_random_forest.predict(shares.model, t.x + i * t.p, a);
		ml_algo_random_forest.predict(numbers.model, t.x + i * t.p, b);
		for (int k = 0; k < 12; k++)
			worst = fmax(worst, fabs(a[k] - b[k]));
	}
	ml_test_ok(((MlTrees *) shares.model)->share != NULL && ((MlTrees *) numbers.model)->share == NULL && worst < 1e-14,
			   "shares of the classes that leaves have: difference %.2g", worst);
	ml_test_ok(((MlForest *) shares.model)->oob == ((MlForest *) numbers.model)->oob, "and the same out of bag");
}

/* ---- out of bag, importance, classes ---- */

static double
share_right(const MlTrees *trees, const Table *t)
{
	double		right = 0;
	double	   *out = ml_alloc(t->classes, sizeof(double));

	for (int i = 0; i < t->n; i++)
	{
		int			best = 0;

		ml_trees_predict(trees, t->x + i * t->p, out);
		if (t->classes == 2)
			best = out[0] > 0.5;
		for (int k = 1; t->classes > 2 && k < t->classes; k++)
			if (out[k] > out[best])
				best = k;
		right += best == (int) t->y[i];
	}
	return right / t->n;
}

static void
test_out_of_bag(int classes)
{
	Table		all = make_table(6000, 6, classes);
	Table		train_part = all;
	Table		test_part = all;
	MlForestParams params = plain_forest;
	MlResult	result;
	MlWriter	writer;
	double		right;

	train_part.n = 3000;
	test_part.n = 3000;
	test_part.x += 3000 * all.p;
	test_part.y += 3000;
	params.n_estimators = 60;
	writer = train(&ml_algo_random_forest, &train_part, &params, &result);
	right = share_right(result.model, &test_part);
	/* out of bag a row is seen by a third of the trees: a little worse */
	ml_test_ok(fabs(((MlForest *) result.model)->oob - right) < 0.06,
			   "%d classes: out of bag %.3f, on new rows %.3f", classes, ((MlForest *) result.model)->oob, right);
	free(writer.data);
}

static void
test_out_of_bag_numbers(void)
{
	Table		t = make_table(3000, 6, 0);
	MlResult	result;
	MlWriter	writer = train(&ml_algo_random_forest, &t, &plain_forest, &result);
	MlForest   *forest = result.model;

	ml_test_ok(forest->oob > 0.9 && forest->oob < 0.999, "R squared out of bag is %.4f", forest->oob);
	free(writer.data);
	writer = train(&ml_algo_extra_trees, &t, &one_tree, &result);
	ml_test_ok(isnan(((MlForest *) result.model)->oob), "without a bootstrap nothing is out of bag");
	free(writer.data);
}

/* ---- edges ---- */

static void
test_edges(void)
{
	static const MlAlgorithm *const all[] = {&ml_algo_decision_tree, &ml_algo_random_forest, &ml_algo_extra_trees};

	for (int a = 0; a < 3; a++)
	{
		MlForestParams params = a == 0 ? one_tree : plain_forest;
		const char *name = all[a]->name;
		double		out[300];
		double		sum = 0;
		MlResult	result;
		Table		t = make_table(1, 3, 0);

		params.random_cut = a == 2;
		t.y[0] = 42.25;
		free(train(all[a], &t, &params, &result).data);
		ml_trees_predict(result.model, t.x, out);
		ml_test_ok(out[0] == 42.25, "%s: one row is its own mean", name);

		t = make_table(50, 3, 2);
		for (int i = 0; i < 150; i++)
			t.x[i] = i % 3 == 2 ? NAN : 1;
		free(train(all[a], &t, &params, &result).data);
		ml_test_ok(((MlTrees *) result.model)->nnodes == (uint32_t) params.n_estimators, "%s: constant columns give no split", name);

		t = make_table(3000, 4, 300);
		free(train(all[a], &t, &params, &result).data);
		ml_trees_predict(result.model, t.x, out);
		for (int k = 0; k < 300; k++)
			sum += out[k];
		ml_test_ok(fabs(sum - 1) < 1e-9, "%s: shares of 300 classes add up to 1", name);

		t = make_table(2000, 2, 2);
		t.levels[0] = 60000;
		for (int i = 0; i < t.n; i++)
			t.x[2 * i] = (int) (t.x[2 * i] * 60000);
		free(train(all[a], &t, &params, &result).data);
		ml_trees_predict(result.model, t.x, out);
		ml_test_ok(out[0] >= 0 && out[0] <= 1, "%s: a column of 60,000 categories", name);
	}
}

static void
expect_error(const MlAlgorithm *a, const Table *t, const MlForestParams *params, const char *sqlstate, const char *what)
{
	MlResult	result;

	if (setjmp(*ml_test_catch()) == 0)
	{
		free(train(a, t, params, &result).data);
		ml_test_uncatch();
		ml_test_ok(false, "%s", what);
	}
	else
		ml_test_ok(strcmp(ml_test_sqlstate, sqlstate) == 0, "%s: %s", what, ml_test_message);
}

static void
test_errors(void)
{
	Table		numbers = make_table(100, 3, 0);
	Table		classes = make_table(20000, 3, 300);
	MlForestParams params = plain_forest;
	size_t		budget = ml_test_budget;
	size_t		used = budget - ml_memory_left();

	params.criterion = ML_CRITERION_GINI;
	expect_error(&ml_algo_random_forest, &numbers, &params, "22023", "gini for numbers");
	params.criterion = ML_CRITERION_SQUARED;
	expect_error(&ml_algo_random_forest, &classes, &params, "22023", "squared for classes");
	params.criterion = ML_CRITERION_AUTO;
	params.n_estimators = 10000;
	ml_test_budget = (size_t) 4 << 30;
	expect_error(&ml_algo_random_forest, &classes, &params, "22023", "a model above 1 GB");
	params.n_estimators = 5;
	ml_test_budget = used + (4 << 20);
	expect_error(&ml_algo_random_forest, &classes, &params, "53200", "a tree above the budget");
	ml_test_budget = budget;
}

/* ---- isolation ---- */

static void
test_isolation(void)
{
	IsolationParams params = {50, 256};
	Table		t = make_table(400, 3, 0);
	Table		r;
	double		most = 0;
	double		score;
	MlResult	result;
	MlWriter	want;
	MlWriter	got;

	/* 2 H(n - 1) - 2 (n - 1) / n */
	test_near(mean_path(2), 1, 1e-15, "mean path of", 2);
	test_near(mean_path(10), 2 * (7129.0 / 2520) - 1.8, 1e-14, "mean path of", 10);
	test_near(mean_path(256), 10.248689925634562, 1e-9, "mean path of", 256);

	t.levels[2] = 7;
	for (int i = 0; i < t.n; i++)
	{
		t.x[3 * i + 2] = (int) (t.x[3 * i + 2] * 6);
		if (i % 10 == 0)
			t.x[3 * i + 1] = NAN;
	}
	t.x[0] = 30;
	t.x[1] = -20;
	t.x[2] = 6;
	r = reversed(&t);
	want = train(&ml_algo_isolation_forest, &t, &params, &result);
	for (int i = 1; i < t.n; i++)
	{
		ml_trees_predict(result.model, t.x + 3 * i, &score);
		most = fmax(most, score);
	}
	ml_trees_predict(result.model, t.x, &score);
	ml_test_ok(score > most && score > 0.65 && score < 1, "a stranger has the score %.3f, the others at most %.3f", score, most);
	got = train(&ml_algo_isolation_forest, &r, &params, &result);
	ml_test_ok(same_bytes(want, got), "isolation: the order of rows does not matter");

	/* a hundred rows hold nearly all of the weight: limits must be found by trying */
	t = make_table(5000, 3, 0);
	t.w = ml_alloc(t.n, sizeof(double));
	for (int i = 0; i < t.n; i++)
		t.w[i] = i % 50 == 0 ? 1e6 : 1;
	free(train(&ml_algo_isolation_forest, &t, &params, &result).data);
	most = INFINITY;
	for (int k = 0; k < params.n_estimators; k++)
		most = fmin(most, ((MlTrees *) result.model)->cover[((MlTrees *) result.model)->root[k]]);
	ml_test_ok(most == 256, "isolation: every tree has its rows, also with uneven weights");
}

/* Rows are read once for all trees, or again for every few. */
static void
test_isolation_memory(void)
{
	IsolationParams params = {10, 256};
	Table		t = make_table(5000, 40, 0);
	size_t		budget = ml_test_budget;
	MlResult	result;
	MlWriter	want = train(&ml_algo_isolation_forest, &t, &params, &result);
	MlWriter	got;

	ml_test_budget = budget - ml_memory_left() + (1200 << 10);
	got = train(&ml_algo_isolation_forest, &t, &params, &result);
	ml_test_budget = budget;
	ml_test_ok(same_bytes(want, got), "isolation: memory does not matter");
}

static void
test_isolation_edges(void)
{
	IsolationParams params = {10, 256};
	Table		t = make_table(1, 3, 0);
	double		score;
	MlResult	result;

	free(train(&ml_algo_isolation_forest, &t, &params, &result).data);
	ml_trees_predict(result.model, t.x, &score);
	ml_test_ok(score == 0.5, "isolation: a lone row is neither strange nor not");
	t = make_table(100, 3, 0);
	for (int i = 0; i < 300; i++)
		t.x[i] = i % 3 == 2 ? NAN : 1e300 * (i % 3 == 1 ? -1 : 1);
	free(train(&ml_algo_isolation_forest, &t, &params, &result).data);
	ml_trees_predict(result.model, t.x, &score);
	ml_test_ok(fabs(score - 0.5) < 1e-12, "isolation: constant columns");
	for (int i = 0; i < 300; i++)
		t.x[i] = i % 2 ? 1e308 : -1e308;
	t.x[0] = NAN;
	free(train(&ml_algo_isolation_forest, &t, &params, &result).data);
	ml_trees_predict(result.model, t.x, &score);
	ml_test_ok(score > 0 && score < 1, "isolation: columns as wide as numbers go");
}

int
main(void)
{
	test_witness();
	test_samples();
	test_columns();
	test_same_bytes(0, false);
	test_same_bytes(2, true);
	test_same_bytes(5, false);
	test_same_bytes(20, false);
	test_parts(0, 12 << 20);
	test_parts(2, 12 << 20);
	test_parts(300, 16 << 20);
	test_shares();
	test_out_of_bag(2);
	test_out_of_bag(4);
	test_out_of_bag_numbers();
	test_edges();
	test_errors();
	test_isolation();
	test_isolation_memory();
	test_isolation_edges();
	return ml_test_done();
}
