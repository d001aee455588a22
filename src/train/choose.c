/*
 * choose.c - which algorithm, when the user names none.
 *
 * The linear method of the task and boosted trees are both fitted to some of the
 * training rows and compared on others, row by row.  Trees are taken when
 * their mean loss is lower by more than two standard errors of the difference: a linear
 * model says more of itself, so it stays unless it is clearly worse.  The
 * holdout takes no part, so that its metrics stay honest.
 */
#include "train/train.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "core/params.h"
#include "core/progress.h"
#include "core/registry.h"

#define MIN_ROWS 200			/* of which 40 to compare on: below, two standard errors are hardly ever met */
#define MAX_CLASSES 20			/* boosting grows a tree a class and round */
#define TRIAL_ROWS 20000		/* to fit to, and as many to compare on */
#define FOLDS 5					/* of fewer rows than five times that, one is compared on, the others are fitted to */

typedef struct Candidate
{
	const char *algorithm;
	const char *params;			/* what makes it safe on any table */
} Candidate;

static const Candidate linear = {"linear", "{}"};
static const Candidate logistic = {"logistic", "{\"l2\": 1}"};
static const Candidate isolation_forest = {"isolation_forest", "{}"};
static const Candidate boosting = {
	"gradient_boosting", "{\"n_estimators\": 300, \"learning_rate\": 0.1, \"early_stopping\": 20}"
};

/* How a NOTICE calls it: with the parameters that are not the defaults, so that it can be asked for by name. */
static char *
called(const Candidate *c)
{
	return strcmp(c->params, "{}") == 0 ? psprintf("\"%s\"", c->algorithm)
		: psprintf("\"%s\" with %s", c->algorithm, c->params);
}

static void
use(MlTraining *t, const Candidate *c)
{
	Jsonb	   *params = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(c->params)));

	if (t->request.params)
		params = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(params),
													JsonbPGetDatum(t->request.params)));
	t->algorithm = ml_registry_find(c->algorithm, false);
	ml_training_params(t, params);
}

/* Parameters that only some algorithms have say which one is meant. */
static bool
only_core_params(const MlTraining *t)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (t->request.params == NULL || !JB_ROOT_IS_OBJECT(t->request.params))
		return true;
	it = JsonbIteratorInit(&t->request.params->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if (token == WJB_KEY &&
			ml_param_find(ml_core_params, pnstrdup(value.val.string.val, value.val.string.len)) == NULL)
			return false;
	return true;
}

static const Candidate *
first_candidate(const MlTraining *t)
{
	return t->task == ML_CLASSIFICATION ? &logistic : t->task == ML_ANOMALY ? &isolation_forest : &linear;
}

void
ml_choose_first(MlTraining *t, bool compare)
{
	t->algorithm_open = compare && t->task != ML_ANOMALY && only_core_params(t);
	use(t, first_candidate(t));
}

/* Losses of up to `room` rows that the mask `test` lets through; returns how many. */
static int
trial(MlTraining *t, const Candidate *c, const MlMask *train, const MlMask *test, double *loss, int room)
{
	MemoryContext cxt;
	MemoryContext old;
	MlWarnings	quiet = {CurrentMemoryContext, NIL, true};
	int			n = 0;

	use(t, c);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext trial", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	ml_warnings_push(&quiet);
	PG_TRY();
	{
		(void) ml_row_losses(t, train, test, t->params, loss, room, &n);
	}
	PG_FINALLY();
	{
		ml_warnings_pop(&quiet);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return n;
}

/* Which of the training's rows are fitted to, and which are compared on. */
static void
trial_rows(const MlTraining *t, const MlMask *mask, MlMask *train, MlMask *test)
{
	int			folds = t->rows_used / TRIAL_ROWS;

	memset(train, 0, sizeof(*train));
	if (mask)
		*train = *mask;
	train->folds = Max(folds, FOLDS);
	train->fold = 0;
	*test = *train;
	test->fold_inside = true;
	train->fold_inside = folds > FOLDS;
	if (folds > FOLDS)
		test->fold = 1;
}

void
ml_choose_algorithm(MlTraining *t, const MlMask *mask)
{
	const Candidate *first = first_candidate(t);
	const char *measure = t->task == ML_CLASSIFICATION ? "log loss" : "mean squared error";
	int			room = 2 * TRIAL_ROWS;
	MlMask		train;
	MlMask		test;
	double	   *a;
	double	   *b;
	double		sum[2] = {0, 0};
	double		mean;
	double		square = 0;
	int			n;
	bool		trees;

	if (!t->algorithm_open)
		return;
	t->algorithm_open = false;
	if (t->rows_used < MIN_ROWS || t->classes > MAX_CLASSES)
	{
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 t->rows_used < MIN_ROWS
				 ? errmsg("algorithm %s is used: %lld rows are too few to compare it with others",
						  called(first), (long long) t->rows_used)
				 : errmsg("algorithm %s is used: %d classes are too many to compare it with others",
						  called(first), t->classes)));
		return;
	}
	ml_progress_phase(ML_PHASE_CV);
	a = ml_alloc(room, sizeof(double));
	b = ml_alloc(room, sizeof(double));
	trial_rows(t, mask, &train, &test);
	n = trial(t, &boosting, &train, &test, b, room);
	n = Min(n, trial(t, first, &train, &test, a, room));
	for (int i = 0; i < n; i++)
	{
		sum[0] += a[i] / n;
		sum[1] += b[i] / n;
	}
	mean = sum[1] - sum[0];
	for (int i = 0; i < n; i++)
		square += (b[i] - a[i] - mean) * (b[i] - a[i] - mean);
	trees = n > 1 && mean < -2 * sqrt(square / (n - 1.0) / n);
	if (trees)
		use(t, &boosting);
	ereport(NOTICE,
			(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
			 errmsg("algorithm %s is used: %s %.4g on %d of the training rows, against %.4g of \"%s\"",
					called(trees ? &boosting : first), measure, sum[trees], n,
					sum[!trees], trees ? first->algorithm : boosting.algorithm)));
	ml_free(a);
	ml_free(b);
}
