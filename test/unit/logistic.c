/*
 * logistic.c - logistic regression: R's estimates, penalties, separation, classes.
 *
 * Data: Spector and Mazzeo (1980).
 * Expected values: R 4.2.2, glm(binomial) with epsilon 1e-14.
 */
#include "fit.h"
#include "algo/logistic/logistic.c"

static const double spector_x[] = {
	2.6600000000000001, 20.0000000000000000, 0.0000000000000000, 2.8900000000000001, 22.0000000000000000, 0.0000000000000000,
	3.2799999999999998, 24.0000000000000000, 0.0000000000000000, 2.9199999999999999, 12.0000000000000000, 0.0000000000000000,
	4.0000000000000000, 21.0000000000000000, 0.0000000000000000, 2.8599999999999999, 17.0000000000000000, 0.0000000000000000,
	2.7599999999999998, 17.0000000000000000, 0.0000000000000000, 2.8700000000000001, 21.0000000000000000, 0.0000000000000000,
	3.0299999999999998, 25.0000000000000000, 0.0000000000000000, 3.9199999999999999, 29.0000000000000000, 0.0000000000000000,
	2.6299999999999999, 20.0000000000000000, 0.0000000000000000, 3.3199999999999998, 23.0000000000000000, 0.0000000000000000,
	3.5699999999999998, 23.0000000000000000, 0.0000000000000000, 3.2599999999999998, 25.0000000000000000, 0.0000000000000000,
	3.5299999999999998, 26.0000000000000000, 0.0000000000000000, 2.7400000000000002, 19.0000000000000000, 0.0000000000000000,
	2.7500000000000000, 25.0000000000000000, 0.0000000000000000, 2.8300000000000001, 19.0000000000000000, 0.0000000000000000,
	3.1200000000000001, 23.0000000000000000, 1.0000000000000000, 3.1600000000000001, 25.0000000000000000, 1.0000000000000000,
	2.0600000000000001, 22.0000000000000000, 1.0000000000000000, 3.6200000000000001, 28.0000000000000000, 1.0000000000000000,
	2.8900000000000001, 14.0000000000000000, 1.0000000000000000, 3.5099999999999998, 26.0000000000000000, 1.0000000000000000,
	3.5400000000000000, 24.0000000000000000, 1.0000000000000000, 2.8300000000000001, 27.0000000000000000, 1.0000000000000000,
	3.3900000000000001, 17.0000000000000000, 1.0000000000000000, 2.6699999999999999, 24.0000000000000000, 1.0000000000000000,
	3.6499999999999999, 21.0000000000000000, 1.0000000000000000, 4.0000000000000000, 23.0000000000000000, 1.0000000000000000,
	3.1000000000000001, 21.0000000000000000, 1.0000000000000000, 2.3900000000000001, 19.0000000000000000, 1.0000000000000000
};
static const double spector_y[] = {
	0, 0, 0, 0, 1, 0,
	0, 0, 0, 1, 0, 0,
	0, 1, 0, 0, 0, 0,
	0, 1, 0, 1, 0, 0,
	1, 1, 1, 0, 1, 1,
	0, 1
};
static const double estimate[] = {-13.021346858115697032, 2.826112594889321983, 0.095157661317909412, 2.378687655093354447};
static const double std_error[] = {4.93132421298961710, 1.26294107552788537, 0.14155420566544138, 1.06456425440956881};
static const double p_value[] = {0.0082774614274680382, 0.0252391087908630622, 0.5014342380569738467, 0.0254552043491969027};

static const LogisticParams plain = {.intercept = true, .max_iter = 100, .tol = 1e-8};

static void
test_r(void)
{
	Rows		rows = {.n = 32, .p = 3, .classes = 2, .x = spector_x, .y = spector_y};
	MlCoefficient c[4];
	MlResult	result;
	MlWriter	writer;
	MlLinear   *m = fit_rows(&ml_algo_logistic, &plain, &rows, &result, &writer);
	double		low;
	double		high;
	double		p;

	ml_linear_coefficients(m, c);
	for (int i = 0; i < 4; i++)
	{
		test_near(c[i].estimate, estimate[i], 1e-12, "estimate", i);
		test_near(c[i].std_error, std_error[i], 1e-7, "standard error", i);
		test_near(c[i].p_value, p_value[i], 1e-6, "p-value", i);
	}
	test_near(m->deviance, 25.779268444262826, 1e-12, "deviance", 0);
	test_near(m->null_deviance, 41.183459393234578, 1e-12, "null deviance", 0);
	test_near(m->aic, 33.779268444262826, 1e-12, "aic", 0);
	ml_linear_predict(m, spector_x, &p);
	ml_test_ok(ml_linear_interval(m, spector_x, 0.95, &low, &high) && low < p && p < high, "interval holds the prediction");
	test_hostile(&ml_algo_logistic, &writer, 3, 2);
	free(writer.data);
}

/* At the minimum the gradient of every penalised coefficient is the penalty's. */
static void
test_penalty(double l1, double l2)
{
	LogisticParams params = plain;
	Rows		rows = {.n = 32, .p = 3, .classes = 2, .x = spector_x, .y = spector_y};
	double		z[32 * 3];
	double		center[3];
	double		scale[3];
	MlResult	result;
	MlWriter	writer;
	MlLinear   *m;

	params.l1 = l1;
	params.l2 = l2;
	m = fit_rows(&ml_algo_logistic, &params, &rows, &result, &writer);
	standardize(&rows, z, center, scale);
	for (int j = 0; j < 3; j++)
	{
		double		g = 0;
		double		b = m->beta[j] * scale[j];

		for (int i = 0; i < 32; i++)
		{
			double		p;

			ml_linear_predict(m, spector_x + 3 * i, &p);
			g += (spector_y[i] - p) * z[3 * i + j];
		}
		if (b != 0)
			ml_test_ok(fabs(g - l2 * b - copysign(l1, b)) < 1e-7, "l1 %g, l2 %g: gradient of column %d", l1, l2, j);
		else
			ml_test_ok(l1 > 0 && fabs(g) <= l1, "l1 %g, l2 %g: column %d is zero", l1, l2, j);
	}
	free(writer.data);
}

/* The same of more classes than Newton's method is used for: BFGS must end as close. */
static void
test_many_classes(void)
{
	enum
	{
		N = 300, P = 8, K = 24
	};
	static double x[N * P],
				z[N * P],
				y[N],
				p[K],
				g[K * P];
	double		center[P];
	double		scale[P];
	LogisticParams params = plain;
	Rows		rows = {.n = N, .p = P, .classes = K, .x = x, .y = y};
	unsigned	seed = 1;
	double		worst = 0;
	MlResult	result;
	MlWriter	writer;
	MlLinear   *m;

	for (int i = 0; i < N; i++)
	{
		y[i] = i % K;
		for (int j = 0; j < P; j++)
		{
			seed = seed * 1103515245u + 12345u;
			x[i * P + j] = (seed >> 16) % 1000 / 500.0 + (i % K * (j + 3)) % 7;
		}
	}
	params.l2 = 1;
	m = fit_rows(&ml_algo_logistic, &params, &rows, &result, &writer);
	ml_test_ok(result.converged && m->iterations > 20, "many classes: %s", result.stop);
	standardize(&rows, z, center, scale);
	for (int i = 0; i < N; i++)
	{
		ml_linear_predict(m, x + i * P, p);
		for (int k = 0; k < K; k++)
			for (int j = 0; j < P; j++)
				g[k * P + j] += (p[k] - (k == y[i])) * z[i * P + j];
	}
	for (int i = 0; i < K * P; i++)
		worst = fmax(worst, fabs(g[i] + m->beta[i] * scale[i % P]));
	ml_test_ok(worst < 2e-9, "many classes: gradient %g", worst);
	free(writer.data);
}

static void
test_separation(void)
{
	const double x[] = {1, 2, 3, 4, 5, 6, 7, 8};
	const double whole[] = {0, 0, 0, 0, 1, 1, 1, 1};
	const double touch[] = {1, 0, 1, 0, 1, 0, 1, 0};
	const double level[] = {0, 0, 0, 0, 0, 0, 1, 1};
	const double quasi[] = {0, 1, 0, 1, 1, 0, 1, 1};
	const char *message = "the classes are separated by column \"x1\": the maximum of the likelihood does not exist; "
		"set \"l2\" to a positive number";
	Rows		rows = {.n = 8, .p = 1, .classes = 2, .x = x, .y = whole};
	MlCoefficient c[2];
	MlResult	result;
	MlWriter	writer;
	int			before = ml_test_warnings;

	ml_linear_coefficients(fit_rows(&ml_algo_logistic, &plain, &rows, &result, &writer), c);
	ml_test_ok(strcmp(ml_test_warning, message) == 0, "complete separation: %s", ml_test_warning);
	ml_test_ok(isfinite(c[1].estimate) && isnan(c[1].std_error), "finite estimate without standard error");
	free(writer.data);
	rows.x = level;
	rows.y = quasi;
	ml_linear_coefficients(fit_rows(&ml_algo_logistic, &plain, &rows, &result, &writer), c);
	ml_test_ok(ml_test_warnings == before + 2 && strcmp(ml_test_warning, message) == 0, "quasi-complete separation");
	ml_test_ok(isfinite(c[1].estimate) && isnan(c[1].std_error), "finite estimate without standard error");
	ml_test_ok(fabs(c[0].estimate) < 1e-9, "the other level has as many of both classes");
	free(writer.data);
	rows.x = x;
	rows.y = touch;
	fit_rows(&ml_algo_logistic, &plain, &rows, &result, &writer);
	ml_test_ok(ml_test_warnings == before + 2 && result.converged, "overlapping classes are not separated");
	free(writer.data);
}

/* Two of three classes, the third without rows, are the fit of two classes. */
static void
test_absent(void)
{
	Rows		two = {.n = 32, .p = 3, .classes = 2, .x = spector_x, .y = spector_y};
	Rows		three = two;
	double		moved[32];
	double		p;
	double		q[3];
	MlResult	result;
	MlWriter	writer;
	MlLinear   *m2 = fit_rows(&ml_algo_logistic, &plain, &two, &result, &writer);
	MlLinear   *m3;

	free(writer.data);
	for (int i = 0; i < 32; i++)
		moved[i] = 1 + spector_y[i];
	three.classes = 3;
	three.y = moved;
	m3 = fit_rows(&ml_algo_logistic, &plain, &three, &result, &writer);
	ml_linear_predict(m2, spector_x, &p);
	ml_linear_predict(m3, spector_x, q);
	test_near(q[2], p, 1e-12, "probability beside an absent class", 0);
	test_hostile(&ml_algo_logistic, &writer, 3, 3);
	free(writer.data);
}

static void
test_one_class(void)
{
	double		ones[32];
	Rows		rows = {.n = 32, .p = 3, .classes = 2, .x = spector_x, .y = ones};
	MlResult	result;
	MlWriter	writer;

	for (int i = 0; i < 32; i++)
		ones[i] = 1;
	if (setjmp(*ml_test_catch()) == 0)
	{
		fit_rows(&ml_algo_logistic, &plain, &rows, &result, &writer);
		ml_test_uncatch();
		ml_test_ok(false, "one class is refused");
	}
	else
		ml_test_ok(strcmp(ml_test_message, "all 32 training rows belong to one class") == 0, "one class is refused");
}

int
main(void)
{
	test_r();
	test_penalty(0, 1);
	test_penalty(2, 0);
	test_penalty(1, 0.5);
	test_many_classes();
	test_separation();
	test_absent();
	test_one_class();
	return ml_test_done();
}
