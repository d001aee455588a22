/*
 * streamed.c - training in one scan: rows go straight into states, and nothing
 * is kept of them but those.
 *
 * For algorithms that usually need one pass (ML_SINGLE_PASS) over columns that
 * are numbers.  Holdout and folds are parts of one state, so that the metrics,
 * the choice of a penalty and the final fit on all rows come from one scan.
 * The planner decides whether the scan is a parallel aggregate; otherwise rows
 * are pushed into the same state by our own receiver.  A NULL among the
 * features ends the attempt: the collected way can impute.
 */
#include "train/train.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/progress.h"
#include "core/state.h"
#include "eval/metrics.h"
#include "train/streamed.h"

/* Below this estimate rows are collected: then every metric can be had, and splits are exact. */
#define STREAM_ROWS 50000

bool
ml_training_streams(const MlTraining *t)
{
	if (t->algorithm_open || !(t->algorithm && (t->algorithm->flags & ML_SINGLE_PASS) && (t->algorithm->flags & ML_SUBTRACTS)) ||
		t->task != ML_REGRESSION || t->algorithm->squared_error == NULL)
		return false;
	if (t->rival || t->source->rows_estimate < STREAM_ROWS || t->split_column >= 0 || t->order_column >= 0 ||
		t->offset_column >= 0)
		return false;
	if (t->core.nonfinite != ML_NONFINITE_ERROR || t->core.impute == ML_IMPUTE_DROP ||
		t->core.scale == ML_SCALE_MINMAX || t->core.scale == ML_SCALE_ROBUST || t->core.indicator)
		return false;
	for (int i = 0; i < t->schema->ncolumns; i++)
		if (t->schema->columns[i].kind != ML_NUMBER && t->schema->columns[i].kind != ML_BOOLEAN)
			return false;
	return true;
}

/* The specification of the state: what is learned, and how rows are parted. */
static MlSpec *
stream_spec(MlTraining *t, int folds, double holdout)
{
	MlSpec	   *spec = palloc0(sizeof(MlSpec));
	bool	   *scaled = palloc0(Max(t->schema->ncolumns, 1) * sizeof(bool));
	const char **names = palloc0(Max(t->schema->ncolumns, 1) * sizeof(char *));

	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		t->schema->columns[i].first_cell = i;
		names[i] = t->schema->columns[i].name;
		scaled[i] = t->core.scale != ML_SCALE_NONE && t->schema->columns[i].kind == ML_NUMBER;
	}
	t->schema->ncells = t->schema->ncolumns;
	spec->algorithm = t->algorithm;
	spec->params = t->params;
	spec->given = spec->params_json = t->params_json;
	spec->task = t->task;
	spec->schema = t->schema;
	spec->target = t->source->columns[t->target_column].name;
	spec->target_type = format_type_be(t->source->columns[t->target_column].type);
	spec->target_at = t->schema->ncolumns;
	if (t->weight_column >= 0)
	{
		spec->weight = t->source->columns[t->weight_column].name;
		spec->flags |= ML_STATE_WEIGHT;
	}
	spec->flags |= ML_STATE_PROFILE;
	if (t->source->position)
		spec->flags |= ML_STATE_POSITION;
	spec->nparts = folds + 1;
	spec->holdout = holdout;
	spec->seed = t->request.seed;
	spec->level = ml_summary_level(t->source->rows_estimate);
	spec->problem.task = t->task;
	spec->problem.p = t->schema->ncells;
	spec->problem.names = names;
	spec->problem.scaled = scaled;
	spec->problem.params = t->params;
	return spec;
}

typedef struct Pump
{
	MlTraining *t;
	MlSpec	   *spec;
	MlState    *state;
	MlConverter *converters;
	bool		plain;			/* all columns are float8: a Datum is the double */
	double	   *cells;
	int			ncells;
	MlColumn   *columns;
} Pump;

static void
pump_row(void *arg, const MlRow *row)
{
	Pump	   *pump = arg;
	MlTraining *t = pump->t;
	int			k = pump->ncells;
	const double *cells = pump->cells;
	bool		finite;
	MlState    *state;

	if (pump->plain && !ml_any_null(row->isnull, k))
		cells = (const double *) row->values;
	else
		for (int i = 0; i < k; i++)
			ml_convert(&pump->converters[i], row->values[i], row->isnull[i], &pump->cells[i]);
	finite = ml_cells_finite(cells, k);
	if (!finite)
		for (int i = 0; i < k; i++)
			if (!row->isnull[i] && !isfinite(cells[i]))
				ml_reject_value(pump->columns[i].name, cells[i]);
	if (t->weight_column >= 0 && !ml_weight_fits(cells[k - 1]))
		ml_reject_weight(t->request.weight, cells[k - 1]);
	if ((++t->rows_read & 0xfff) == 0)
		ml_progress_rows(t->rows_read);
	state = ml_state_add(pump->spec, pump->state, cells, finite,
						 ml_split_uniform(row->position, t->request.seed));
	if (state != pump->state)
	{
		MemoryContext old = MemoryContextSwitchTo(t->cxt);

		/* The larger copy lies in the row's context. */
		pfree(pump->state);
		pump->state = ml_alloc_copy(state, VARSIZE(state));
		MemoryContextSwitchTo(old);
	}
}

/* Columns of a row in the order of cells. */
static int
row_columns(const MlTraining *t, int *columns)
{
	int			n = t->schema->ncolumns;

	memcpy(columns, t->feature_column, n * sizeof(int));
	columns[n++] = t->target_column;
	if (t->weight_column >= 0)
		columns[n++] = t->weight_column;
	return n;
}

static MlState *
pump_serial(MlTraining *t, MlSpec *spec, MlState *empty)
{
	Pump		pump = {0};
	int		   *columns = palloc((t->schema->ncolumns + 3) * sizeof(int));
	int			n = row_columns(t, columns);

	pump.t = t;
	pump.spec = spec;
	pump.state = empty;
	pump.ncells = n;
	pump.converters = palloc0(n * sizeof(MlConverter));
	pump.columns = palloc0(n * sizeof(MlColumn));
	pump.plain = FLOAT8PASSBYVAL;
	pump.cells = palloc0(n * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		const MlSourceColumn *from = &t->source->columns[columns[i]];

		pump.columns[i].name = from->name;
		pump.columns[i].kind = ml_kind_of_type(from->type);
		pump.columns[i].cells = 1;
		ml_converter_init(&pump.converters[i], &pump.columns[i], from->type, false);
		pump.plain &= from->type == FLOAT8OID;
	}
	ml_stream(t->source, columns, n, pump_row, &pump);
	return pump.state;
}

/*
 * A parallel scan into a state, if the planner likes it; otherwise NULL.  With
 * `stored` only if it reads the rows of a table as they are stored.
 */
static MlState *
scan_parallel(MlTraining *t, MlState *empty, const int *columns, int n, bool stored)
{
	const char *position = !t->source->position ? NULL
		: t->source->parted ? "s.ctid, s.tableoid" : "s.ctid, 0::pg_catalog.oid";
	MlState    *state = empty;
	StringInfoData sql;
	Datum		result = (Datum) 0;
	bool		isnull;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	ml_accumulate_call(&sql, columns, n, position, stored);
	appendStringInfo(&sql, " FROM %s", t->source->from);
	if (stored)
		empty->flags |= ML_STATE_STORED;
	if (!ml_stream_parallel(t->source, sql.data, stored, ml_state_type(), PointerGetDatum(empty), &result, &isnull))
		state = NULL;
	else if (!isnull)
		state = (MlState *) DatumGetPointer(result);
	empty->flags &= ~ML_STATE_STORED;
	if (state != NULL)
		state->flags &= ~ML_STATE_STORED;
	return state;
}

/* One scan into a state; parallel if the planner likes it and rows are parted by position, if at all. */
static MlState *
scan(MlTraining *t, MlSpec *spec)
{
	MlState    *empty = ml_spec_state(spec);
	MlState    *state = NULL;
	int			extra = t->source->position ? 2 : 0;
	int		   *columns = palloc((t->schema->ncolumns + 3) * sizeof(int));
	int			n = row_columns(t, columns);

	spec->hash = empty->spec_hash;
	spec->size = empty->spec_size;
	spec->part_doubles = empty->part_doubles;
	t->rows_read = 0;
	if ((t->source->position || spec->nparts - 1 + (spec->holdout > 0) == 1) &&
		n + extra + 1 <= FUNC_MAX_ARGS)
	{
		if (t->source->position && !t->source->parted)
			state = scan_parallel(t, empty, columns, n, true);
		if (state == NULL)
			state = scan_parallel(t, empty, columns, n, false);
	}
	if (state == NULL)
		return pump_serial(t, spec, empty);
	t->rows_read = state->rows_read;
	return state;
}

/* Adds up parts into one algorithm state; `first` is the first part taken. */
static double *
sum_parts(const MlSpec *spec, MlState *state, int first)
{
	size_t		size = spec->algorithm->state_size(&spec->problem);
	double	   *sum = ml_alloc(size, sizeof(double));

	memcpy(sum, ml_state_part(state, first)->state, size * sizeof(double));
	for (int i = first + 1; i < state->nparts; i++)
		spec->algorithm->combine(&spec->problem, sum, ml_state_part(state, i)->state, 1.0);
	return sum;
}

/* Mean of the target over the parts from `first` on. */
static double
parts_mean(const MlState *state, int first)
{
	double		w = 0;
	double		mean = 0;

	for (int i = first; i < state->nparts; i++)
	{
		MlPart	   *part = ml_state_part(state, i);

		w += part->w;
		if (w > 0)
			mean += (part->y_mean - mean) * part->w / w;
	}
	return mean;
}

/* Ends a training from the parts `first`.. of a scan; scans again when asked to. */
static MlResult
finish_parts(MlTraining *t, MlSpec *spec, MlState *state, int first, const void *params)
{
	MlProblem	problem = spec->problem;
	MlResult	result;
	double	   *sum = sum_parts(spec, state, first);

	problem.params = params;
	for (;;)
	{
		MlSpec	   *next;
		MlState    *again;

		memset(&result, 0, sizeof(result));
		if (spec->algorithm->finish(&problem, sum, &result) == ML_DONE)
			return result;
		ml_progress_iteration(problem.pass + 1, result.objective);
		problem.pass++;
		problem.carry = result.carry;
		problem.ncarry = result.ncarry;
		next = palloc(sizeof(MlSpec));
		*next = *spec;
		next->flags &= ~ML_STATE_PROFILE;
		next->problem = problem;
		again = scan(t, next);
		ml_state_flush(next, again);
		sum = sum_parts(next, again, first);
		pfree(again);
	}
}

/* A NULL to come is filled as the rows seen suggest. */
static MlEncoder *
plain_encoder(MlTraining *t, MlState *state)
{
	double	   *fill = palloc0(Max(t->schema->ncells, 1) * sizeof(double));

	for (int i = 0; i < t->schema->ncells; i++)
	{
		MlSummary  *s = ml_state_summary(state, i);

		CHECK_FOR_INTERRUPTS();
		if (t->core.impute == ML_IMPUTE_MEDIAN)
			fill[i] = ml_summary_quantile(s, 0.5);
		else if (t->core.impute == ML_IMPUTE_MEAN)
			fill[i] = s->mean;
	}
	return ml_encoder_plain(t->schema, t->core.impute, fill);
}

/* Rows into the state; says how many were used. */
static int64
scan_parts(MlTraining *t, MlStreamed *s)
{
	int64		used = 0;

	s->state = scan(t, s->spec);
	ml_state_flush(s->spec, s->state);
	for (int i = 0; i < s->state->nparts; i++)
		used += (int64) ml_state_part(s->state, i)->n;
	return used;
}

/* Rows into the state, or false: this data needs the collected way. */
bool
ml_stream_scan(MlTraining *t, MlStreamed *s, int folds, double holdout)
{
	int64		used;

	s->spec = stream_spec(t, folds, holdout);
	ml_progress_phase(ML_PHASE_READ);
	used = scan_parts(t, s);
	if (!ml_level_suffices(s->spec->level, used) && s->state->rows_missing == 0 && used >= STREAM_ROWS / 10)
	{
		/* So few of the rows expected came that quantiles are too coarse. */
		s->spec->level = 0;
		pfree(s->state);
		used = scan_parts(t, s);
	}
	if (s->state->rows_missing > 0 || used < STREAM_ROWS / 10)
		return false;
	for (int i = 0; i < t->schema->ncolumns; i++)
		if (ml_state_summary(s->state, i)->min == ml_state_summary(s->state, i)->max)
			return false;
	t->rows_read = s->state->rows_read;
	t->rows_no_target = s->state->rows_no_target;
	t->rows_used = used;
	t->summaries = ml_state_summary(s->state, 0);
	t->fingerprint = *ml_state_fingerprint(s->state);
	for (int i = 0; i < t->schema->ncolumns; i++)
		ml_warn_row_number(t, &t->schema->columns[i], ml_state_summary(s->state, i));
	return true;
}

/* Regression metrics that moments can give, from sums of squares over w. */
static void
add_metric(MlStreamed *s, const char *name, double value, double baseline)
{
	s->names[s->nmetrics] = name;
	s->values[s->nmetrics] = value;
	s->baselines[s->nmetrics] = baseline;
	s->nmetrics++;
}

/* The model to be measured; its warnings are those of the final one. */
static void
finish_quietly(MlTraining *t, MlStreamed *s, const void *params, MlResult *result)
{
	MlWarnings	quiet = {CurrentMemoryContext, NIL, true};

	ml_warnings_push(&quiet);
	PG_TRY();
	{
		*result = finish_parts(t, s->spec, s->state, 1, params);
	}
	PG_FINALLY();
	{
		ml_warnings_pop(&quiet);
	}
	PG_END_TRY();
}

void
ml_stream_fit(MlTraining *t, MlStreamed *s)
{
	const void *params = t->params;
	MlPart	   *holdout = ml_state_part(s->state, 0);
	MlResult	result;

	if (ml_params_wants_cv(t->algorithm->params, t->params))
	{
		double	   *folds[ML_STREAM_FOLDS];

		ml_progress_phase(ML_PHASE_CV);
		for (int i = 0; i < ML_STREAM_FOLDS; i++)
			folds[i] = ml_state_part(s->state, i + 1)->state;
		params = t->algorithm->choose(&s->spec->problem, folds, ML_STREAM_FOLDS);
	}
	ml_progress_phase(ML_PHASE_FIT);
	s->refitted = holdout->n > 0 && t->core.refit != ML_REFIT_NEVER;
	if (holdout->n > 0)
	{
		double		d;
		double		sse;

		if (s->refitted)
			finish_quietly(t, s, params, &result);
		else
			result = finish_parts(t, s->spec, s->state, 1, params);
		d = holdout->y_mean - parts_mean(s->state, 1);
		ml_progress_phase(ML_PHASE_SCORE);
		sse = t->algorithm->squared_error(&s->spec->problem, holdout->state, result.model);
		add_metric(s, "rmse", sqrt(sse / holdout->w), sqrt(holdout->y_m2 / holdout->w + d * d));
		add_metric(s, "mse", sse / holdout->w, holdout->y_m2 / holdout->w + d * d);
		add_metric(s, "r2", holdout->y_m2 > 0 ? 1 - sse / holdout->y_m2 : NAN,
				   holdout->y_m2 > 0 ? -d * d * holdout->w / holdout->y_m2 : NAN);
	}
	if (s->refitted || holdout->n == 0)
	{
		if (t->core.keep_state)
		{
			s->fit.state = sum_parts(s->spec, s->state, s->refitted ? 0 : 1);
			s->fit.nstate = s->spec->algorithm->state_size(&s->spec->problem);
		}
		result = finish_parts(t, s->spec, s->state, s->refitted ? 0 : 1, params);
	}
	s->fit.encoder = plain_encoder(t, s->state);
	s->fit.problem = s->spec->problem;
	s->fit.problem.params = params;
	s->fit.model = result.model;
	s->fit.stop = result.stop;
	s->fit.converged = result.converged;
	s->params = params;
	s->prior = palloc0(sizeof(double));
	s->prior[0] = parts_mean(s->state, s->refitted ? 0 : 1);
}
