/*
 * probe.c - algorithms for 081_example_algorithm.pl that learn nothing and tell what they were given:
 * `probe` with a target, `stray` without.
 *
 * Each prediction is the number of missing values of the row, over a hundred for two classes.  The model
 * is a list of lines for ml_describe.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ml.h"
#include "num/threads.h"

#define LINE 2000
#define MB ((size_t) 1 << 20)

typedef struct Params
{
	char	   *group;
	char	   *monotone;
	char	   *interactions;
	int			act;
} Params;

enum { NOTHING, FAIL, GIVE_BACK, TAKE_ALL, WRITE_FILE };
static const char *const acts[] = {"nothing", "fail", "give_back", "take_all", "write_file", NULL};

static const MlParam params[] = {
	{"group", "rows that belong together", ML_PARAM_COLUMN, offsetof(Params, group), NULL, 0, 0, NULL},
	{"monotone", "directions", ML_PARAM_SIGNS, offsetof(Params, monotone), NULL, 0, 0, NULL},
	{"interactions", "sets", ML_PARAM_SETS, offsetof(Params, interactions), NULL, 0, 0, NULL},
	{"act", "what to do beside", ML_PARAM_ENUM, offsetof(Params, act), "nothing", 0, 0, acts},
	{NULL}
};

typedef struct Model
{
	int			p;
	int			classes;
	char		columns[LINE];
	char		rows[LINE];
} Model;

static void add(char *line, const char *format,...) ML_PRINTF(2, 3);

static void
add(char *line, const char *format,...)
{
	size_t		used = strlen(line);
	va_list		args;

	va_start(args, format);
	vsnprintf(line + used, LINE - used, format, args);
	va_end(args);
}

static void
tell_columns(const MlProblem *problem, char *line)
{
	for (int j = 0; j < problem->p; j++)
	{
		add(line, "%s%s", j > 0 ? " " : "", problem->names[j]);
		if (problem->levels[j] > 0)
			add(line, ":%d", problem->levels[j]);
		if (problem->monotone && problem->monotone[j] != 0)
			add(line, "%c", problem->monotone[j] > 0 ? '+' : '-');
	}
	for (int s = 0; s < problem->nsets; s++)
	{
		add(line, " |");
		for (int j = 0; j < problem->p; j++)
			if (problem->sets[s * problem->p + j])
				add(line, " %s", problem->names[j]);
	}
}

/* One pass; the same twice, or it ends the training. */
static void
tell_rows(const MlProblem *problem, MlData *data, char *line)
{
	MlTile		tile;
	double		rows = 0;
	double		missing = 0;
	double		keys = 0;
	double		y = 0;
	double		pairs = 0;		/* neighbours in the same group */
	double		before = NAN;

	ml_data_rewind(data);
	while (ml_data_next(data, &tile))
		for (int i = 0; i < tile.n; i++)
		{
			rows++;
			keys += floor(tile.u[i] * 1e9);
			y += tile.y[i];
			if (tile.group)
				pairs += tile.group[i] == before;
			before = tile.group ? tile.group[i] : NAN;
			for (int j = 0; j < problem->p; j++)
			{
				double		x = tile.x[(size_t) i * problem->p + j];

				missing += isnan(x);
				if (isinf(x) || (problem->levels[j] > 0 && !isnan(x) && (x < 0 || x >= problem->levels[j] || x != floor(x))))
					ml_fail_data("x is %g", x);
			}
		}
	if (rows != ml_data_rows(data))
		ml_fail_data("%g rows instead of %g", rows, (double) ml_data_rows(data));
	add(line, "rows %g missing %g y %.10g keys %.0f pairs %g weights %d draft %d seed %d carry %g",
		rows, missing, y, keys, pairs, tile.w != NULL, problem->draft, (int) problem->seed,
		problem->ncarry > 0 ? problem->carry[0] : 0);
}

static void
kernel(void *arg, int i)
{
	((int *) arg)[i] = ml_thread_number();
}

static void
act(int what)
{
	size_t		left = ml_memory_left();
	static char block[MB];
	MlFile	   *file;

	if (what == FAIL)
		ml_fail_data("failed as told");
	if (what == TAKE_ALL)
		(void) ml_alloc(left + MB, 1);
	for (int i = 0; i < 3 && what == GIVE_BACK; i++)
		ml_free(ml_alloc(left - MB, 1));
	if (ml_memory_left() != left)
		ml_fail_data("%zu bytes are left of %zu", ml_memory_left(), left);
	if (what != WRITE_FILE)
		return;
	file = ml_file_create();
	for (int i = 0; i < 8; i++)
	{
		block[0] = (char) i;
		ml_file_write(file, i * MB, block, MB);
	}
	ml_file_read(file, 5 * MB, block, 1);
	if (block[0] != 5)
		ml_fail_data("byte is %d", block[0]);
	ml_file_close(file);
}

static void
fit(const MlProblem *problem, MlData *data, MlResult *result)
{
	const Params *given = problem->params;
	Model	   *m = ml_alloc(1, sizeof(Model));
	char	   *again = ml_alloc(LINE, 1);
	int		   *threads = ml_alloc(1000, sizeof(int));

	m->p = problem->p;
	m->classes = problem->classes;
	tell_columns(problem, m->columns);
	tell_rows(problem, data, m->rows);
	tell_rows(problem, data, again);
	if (strcmp(m->rows, again) != 0)
		ml_fail_data("\"%s\" and then \"%s\"", m->rows, again);
	ml_threads_run(1000, kernel, threads);
	for (int i = 0; i < 1000; i++)
		if (threads[i] >= ml_threads)
			ml_fail_data("thread %d of %d", threads[i], ml_threads);
	ml_report_iteration(1, 0.5);
	act(given->act);
	result->model = m;
	result->carry = ml_alloc(1, sizeof(double));
	result->carry[0] = 7;
	result->ncarry = 1;
	result->stop = "told";
	result->converged = true;
}

static void
predict(const void *model, const double *x, double *out)
{
	const Model *m = model;
	int			missing = 0;

	for (int j = 0; j < m->p; j++)
		missing += isnan(x[j]);
	for (int k = 0; k < (m->classes > 2 ? m->classes : 1); k++)
		out[k] = m->classes == 0 ? missing : m->classes == 2 ? missing / 100.0 : 1.0 / m->classes;
}

static void
save(const void *model, MlWriter *writer)
{
	const Model *m = model;

	ml_write_text(writer, m->columns);
	ml_write_text(writer, m->rows);
}

static void
copy_line(MlReader *reader, char *to)
{
	const char *text = ml_read_text(reader);

	if (text == NULL || strlen(text) >= LINE)
		ml_corrupt("line");
	strcpy(to, text);
}

static void *
load(MlReader *reader, int format, int p, int classes)
{
	Model	   *m = ml_alloc(1, sizeof(Model));

	m->p = p;
	m->classes = classes;
	copy_line(reader, m->columns);
	copy_line(reader, m->rows);
	return m;
}

static void
describe(const void *model, MlRows *rows)
{
	const Model *m = model;

	ml_row_text(rows, "columns", m->columns);
	ml_row_text(rows, "rows", m->rows);
}

const MlAlgorithm ml_algo_probe = {
	.name = "probe",
	.summary = "tells what it was given",
	.tasks = ML_REGRESSION | ML_CLASSIFICATION,
	.flags = ML_NATIVE,
	.format = 1,
	.params = params,
	.params_size = sizeof(Params),
	.fit = fit,
	.predict = predict,
	.save = save,
	.load = load,
	.describe = describe,
};

const MlAlgorithm ml_algo_stray = {
	.name = "stray",
	.summary = "tells what it was given, without a target",
	.tasks = ML_ANOMALY,
	.flags = ML_NATIVE,
	.format = 1,
	.params = params,
	.params_size = sizeof(Params),
	.fit = fit,
	.predict = predict,
	.save = save,
	.load = load,
	.describe = describe,
};
