/*
 * update.c - ml_update and ml_forget: rows into and out of models that are solved
 * from sums.
 *
 * What is forgotten exactly: the sums.  What else a model knows of its rows is
 * made anew from the sums that are left (values that fill in for NULL become the
 * means), or dropped (minimum, maximum and quantiles of the training profile,
 * which cannot be subtracted), and where neither is possible (values filled with
 * a statistic of all rows, categories numbered by counts, a category without
 * rows, sums that lose too many digits) the version is marked stale instead.
 */
#include "deploy/additive.h"

#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"

#include "core/progress.h"
#include "deploy/registry.h"
#include "num/dense.h"
#include "train/args.h"

#define MAX_ROUNDING 1e-10		/* of a coefficient, by subtraction; a fresh fit agrees to 1e-9 */
#define LASSO_SHARE 1e-3			/* l1 keeps dependent columns apart about as an l2 of this share of the rows */
#define NOTHING 1e-9			/* a share of weight that is none */

/* ---- update ---- */

static void
set_metric(MlAdditive *a, MlVersionRow *row)
{
	const char *name = ml_metrics_main(a->problem.task, 0);
	MlMetricValue *model;
	MlMetricValue *baseline;
	int			n = ml_metrics_values(a->metrics, &model);

	ml_metrics_values(a->baseline, &baseline);
	row->value = row->baseline = get_float8_nan();
	for (int i = 0; i < n && a->rows_used > 0; i++)
		if (strcmp(model[i].name, name) == 0)
		{
			row->metric = name;
			row->value = model[i].value;
			row->baseline = baseline[i].value;
		}
}

static void
update(MlAdditive *a, const char *name, const char *source, MlVersionRow *row)
{
	char	   *why = ml_additive_open(a, name);

	if (why)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" cannot be updated", name),
				 errdetail("%c%s.", pg_toupper((unsigned char) why[0]), why + 1),
				 errhint("Train it again with linear, ridge, lasso or elastic_net and params => '{\"keep_state\": true}', or use ml_retrain.")));
	a->adds = true;
	ml_additive_read(a, source);
	if (a->rows_used == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no rows to learn from"),
				 errdetail("%lld rows read, none with a target.", (long long) a->rows_read)));
	if (a->unseen > 0)
		ml_warn("%lld values are categories that the model does not know: they count as none", (long long) a->unseen);
	set_metric(a, row);
	a->model->algorithm->combine(&a->problem, a->fit.state, a->state, 1);
	if (!ml_additive_finish(a))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" cannot be updated", name),
				 errdetail("Its columns are nearly dependent, or the target follows from them: all rows must be read again."),
				 errhint("Use ml_retrain.")));
	ml_fingerprint_add(&a->recipe.fingerprint, &a->fingerprint, false);
}

/* ml_update(model, source, notes) */
ML_FUNCTION(ml_sql_update)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(caller, "ml_ext update", ALLOCSET_DEFAULT_SIZES);
	MlAdditive	a;
	MlWarnings	warnings = {cxt, NIL, false};
	MlVersionRow row = {0};
	TimestampTz start = GetCurrentTimestamp();
	TupleDesc	desc;
	Datum		values[9];
	bool		nulls[9] = {false};
	HeapTuple	tuple;
	char	   *name;

	PreventCommandIfReadOnly("ml_update()");
	ml_arg_required(fcinfo, 1, "source");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "ml_update must return a row");
	desc = BlessTupleDesc(desc);
	MemoryContextSwitchTo(cxt);
	name = ml_keep_model(fcinfo);
	ml_warnings_push(&warnings);
	ml_progress_start("update", InvalidOid);
	update(&a, name, ml_arg_text(fcinfo, 1), &row);
	row.notes = ml_arg_text(fcinfo, 2);
	row.warnings = warnings.messages;
	row.elapsed = (GetCurrentTimestamp() - start) / 1e6;
	values[1] = Int32GetDatum(ml_additive_store(&a, "update", psprintf("{\"rows\": %lld}", (long long) a.rows_used), &row));
	ml_progress_end();
	ml_warnings_pop(&warnings);
	MemoryContextSwitchTo(caller);
	values[0] = CStringGetTextDatum(name);
	values[2] = Int64GetDatum(a.rows_read);
	values[3] = Int64GetDatum(a.rows_used);
	values[4] = Int64GetDatum(a.rows_read - a.rows_used);
	values[5] = CStringGetTextDatum(row.metric);
	values[6] = Float8GetDatum(row.value);
	values[7] = Float8GetDatum(row.baseline);
	nulls[6] = isnan(row.value);
	nulls[7] = isnan(row.baseline);
	values[8] = ml_text_array(warnings.messages);
	tuple = heap_form_tuple(desc, values, nulls);
	ml_metrics_free(a.metrics);
	ml_metrics_free(a.baseline);
	MemoryContextDelete(cxt);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}

/* ---- can it be forgotten? ---- */

/* Why the encoding of the rows that stay could depend on those that go; NULL: it does not. */
static char *
encoder_depends(const MlAdditive *a)
{
	const MlEncoder *enc = a->model->encoder;
	bool		statistic = a->core.impute == ML_IMPUTE_MEDIAN || a->core.impute == ML_IMPUTE_MEAN;

	if (a->imputed)
		return "missing values were filled with a statistic of all rows: train with \"impute\": \"zero\", \"error\" or \"drop\"";
	for (int i = 0; i < enc->schema->ncolumns; i++)
	{
		const MlEncoding *e = &enc->columns[i];
		const char *name = enc->schema->columns[i].name;

		if (e->code == ML_CODE_TABLE || e->code == ML_CODE_LEVEL)
			return psprintf("the numbers that stand for the categories of column \"%s\" come from all rows", name);
		if (e->code == ML_CODE_ONE_HOT && e->unseen_slot >= 0)
			return psprintf("which categories of column \"%s\" are rare comes from all rows", name);
		if (e->code == ML_CODE_DATE && statistic)
			return psprintf("what stands for NULL in column \"%s\" comes from all rows: train with \"impute\": \"zero\", \"error\" or \"drop\"", name);
		for (int c = 0; e->code == ML_CODE_NUMBER && c < enc->schema->columns[i].cells; c++)
			if (e->center && (e->center[c] != 0 || e->scale[c] != 1))
				return psprintf("column \"%s\" was rescaled by statistics of all rows", name);
	}
	return NULL;
}

/* Sum of an encoded column's weights over the rows that are left. */
static double
column_sum(const MlMoments *m, int j)
{
	return m->weight * m->shift[1 + j] + m->gram[1 + j];
}

/* A category that no row has any more. */
static char *
category_gone(const MlAdditive *a)
{
	const MlEncoder *enc = a->model->encoder;
	MlMoments	m = ml_moments_view(&a->problem, a->fit.state);

	for (int i = 0; i < enc->schema->ncolumns; i++)
	{
		const MlEncoding *e = &enc->columns[i];
		bool		reference = false;
		double		left = m.weight;

		if (e->code != ML_CODE_ONE_HOT)
			continue;
		for (int j = e->first; j < e->first + e->width; j++)
		{
			double		sum = column_sum(&m, j);

			left -= sum;
			if (sum < NOTHING * m.weight)
				return psprintf("a category of column \"%s\" has no rows left", enc->schema->columns[i].name);
		}
		for (int l = 0; l < e->nlevels; l++)
			reference |= e->slot[l] < 0;
		if (reference && left < NOTHING * m.weight)
			return psprintf("a category of column \"%s\" has no rows left", enc->schema->columns[i].name);
	}
	return NULL;
}

/* What a penalty adds to the squares of a column with standard deviation 1, at least. */
static double
penalty(const MlAdditive *a, double weight)
{
	const MlParam *l2 = ml_param_find(a->model->algorithm->params, "l2");

	if (!ml_params_penalized(a->model->algorithm->params, a->params))
		return 0;
	return l2 ? *(const double *) ((const char *) a->params + l2->offset) : LASSO_SHARE * weight;
}

/*
 * Whether subtraction has cost the sums so many digits that coefficients show it:
 * epsilon times what was there, over what is left, times the inflation of a
 * column's variance by the others.
 */
static bool
loses_digits(const MlAdditive *a, const double *before)
{
	int			p = a->problem.p;
	MlMoments	was = ml_moments_view(&a->problem, before);
	const MlParam *intercept = ml_param_find(a->model->algorithm->params, "intercept");
	bool		with = intercept == NULL || *(const bool *) ((const char *) a->params + intercept->offset);
	MlCross    *c = ml_cross_create(&a->problem, a->fit.state, with, NULL);
	double	   *inverse = ml_alloc((Size) p * p + 1, sizeof(double));
	double		target = was.gram[(Size) was.k * was.k - 1] / Max(c->yy, DBL_MIN);

	memcpy(inverse, c->a, sizeof(double) * p * p);
	for (int j = 0; j < p; j++)
		inverse[j + (Size) j * p] += penalty(a, c->weight);
	if (c->cancelled || !ml_cholesky(p, inverse))
		return true;
	ml_cholesky_inverse(p, inverse);
	for (int j = 0; j < p; j++)
	{
		double		left = c->a[j + (Size) j * p] * c->scale[j] * c->scale[j];
		double		ratio = was.gram[(Size) (1 + j) * was.k + 1 + j] / left;
		double		inflation = inverse[j + (Size) j * p] * c->a[j + (Size) j * p];

		if (!(4 * DBL_EPSILON * fmax(fmax(ratio, target), 1) * inflation < MAX_ROUNDING))
			return true;
	}
	return false;
}

/* What fills in for NULL becomes the mean of the rows that are left. */
static void
fill_anew(MlAdditive *a)
{
	MlEncoder  *enc = a->model->encoder;
	MlMoments	m = ml_moments_view(&a->problem, a->fit.state);

	for (int i = 0; i < enc->schema->ncolumns; i++)
	{
		MlEncoding *e = &enc->columns[i];

		if (e->code != ML_CODE_NUMBER || (e->impute != ML_IMPUTE_MEDIAN && e->impute != ML_IMPUTE_MEAN))
			continue;
		for (int c = 0; c < enc->schema->columns[i].cells; c++)
			e->fill[c] = column_sum(&m, e->first + c) / m.weight;
	}
}

/* Takes the rows out; NULL, or why it cannot be exact. */
static char *
subtract(MlAdditive *a, const char *source)
{
	double	   *before;
	char	   *why = encoder_depends(a);
	MlMoments	m;

	if (why)
		return why;
	a->strict = true;
	ml_additive_read(a, source);
	if (a->imputed)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a row of the source has a missing value, but no row that the model learned from did")));
	before = ml_alloc(a->fit.nstate, sizeof(double));
	memcpy(before, a->fit.state, a->fit.nstate * sizeof(double));
	a->model->algorithm->combine(&a->problem, a->fit.state, a->state, -1);
	m = ml_moments_view(&a->problem, a->fit.state);
	if (m.rows < 1 || !(m.weight > NOTHING * ml_moments_view(&a->problem, before).weight))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no rows to learn from"),
				 errdetail("%lld rows are to be forgotten, of %.0f.", (long long) a->rows_used,
						   ml_moments_view(&a->problem, before).rows),
				 errhint("Drop the model with ml_drop.")));
	if ((why = category_gone(a)) != NULL)
		return why;
	if (loses_digits(a, before) || !ml_additive_finish(a))
		return "the columns are too nearly dependent, or the rows too large beside those that stay, for it to be exact";
	if (a->cv)
		ml_warn("the penalty was chosen with the rows that are forgotten; ml_retrain chooses it anew");
	fill_anew(a);
	a->model->summaries = NULL;
	a->model->nsummaries = 0;
	ml_fingerprint_add(&a->recipe.fingerprint, &a->fingerprint, true);
	return NULL;
}

/* ---- what becomes of the other versions ---- */

typedef enum Others
{
	KEEP, ARCHIVE, DROP
} Others;

static Others
others_parse(const char *text)
{
	static const char *const names[] = {"keep", "archive", "drop"};

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(text, names[i]) == 0)
			return (Others) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("value \"%s\" is not valid for argument \"others\"", text),
			 errhint("Valid ones are \"keep\", \"archive\" and \"drop\".")));
}

/* The numbers of all versions but the given one. */
static Datum
other_versions(const MlLocked *locked, int version, MemoryContext cxt)
{
	bool		isnull;
	MemoryContext old;
	Datum		value;

	ml_keep_run_version(locked, "SELECT ARRAY(SELECT version FROM ml.version"
						" WHERE model_id = $1 AND version <> $2 ORDER BY version)", version);
	old = MemoryContextSwitchTo(cxt);
	value = PointerGetDatum(DatumGetArrayTypePCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)));
	MemoryContextSwitchTo(old);
	return value;
}

/* All versions but the new one learned from the rows, as far as anybody knows. */
static Datum
settle_others(const MlAdditive *a, int version, Others others, MemoryContext cxt)
{
	MlLocked	locked;
	Datum		numbers;

	ml_keep_lock(a->recipe.ref.name, ML_MANAGE, &locked);
	numbers = other_versions(&locked, version, cxt);
	if (others == KEEP)
	{
		ml_owner_end(&locked.work);
		return numbers;
	}
	ml_keep_require_promoter(&locked);
	if (locked.model.current != version)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("version %d of model \"%s\" is still the current one", locked.model.current, locked.model.name)));
	ml_keep_run_version(&locked, "DELETE FROM ml.alias WHERE model_id = $1 AND version <> $2", version);
	ml_keep_run(&locked, "UPDATE ml.model SET history = '{}' WHERE model_id = $1");
	ml_keep_run_version(&locked, others == DROP ?
						"DELETE FROM ml.version WHERE model_id = $1 AND version <> $2" :
						"UPDATE ml.version SET archived_at = clock_timestamp()"
						" WHERE model_id = $1 AND version <> $2 AND archived_at IS NULL", version);
	ml_keep_done(&locked, others == DROP ? "drop" : "archive", 0, "{\"by\": \"ml_forget\"}");
	return numbers;
}

/* Nothing was forgotten: says so where everybody looks. */
static Datum
mark_stale(const MlAdditive *a, const char *why, MemoryContext cxt)
{
	MlLocked	locked;
	Datum		numbers;
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(a->recipe.ref.model_id),
		CStringGetTextDatum(psprintf("rows are to be forgotten, and cannot be taken out: %s", why))};

	ml_keep_lock(a->recipe.ref.name, ML_MANAGE, &locked);
	ml_owner_run("UPDATE ml.version SET stale = $2 WHERE model_id = $1", 2, types, values, NULL);
	numbers = other_versions(&locked, 0, cxt);
	ml_keep_done(&locked, "stale", 0, "{\"by\": \"ml_forget\"}");
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("model \"%s\" still contains the rows: its versions were marked stale", a->recipe.ref.name),
			 errdetail("%c%s.", pg_toupper((unsigned char) why[0]), why + 1),
			 errhint("Delete the rows from its source and train it again: ml_retrain(%s, promote => 'always').",
					 quote_literal_cstr(a->recipe.ref.name))));
	return numbers;
}

/* ml_forget(model, source, others) */
ML_FUNCTION(ml_sql_forget)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(caller, "ml_ext forget", ALLOCSET_DEFAULT_SIZES);
	MlAdditive	a;
	MlWarnings	warnings = {cxt, NIL, false};
	MlVersionRow row = {.value = get_float8_nan(), .baseline = get_float8_nan()};
	TimestampTz start = GetCurrentTimestamp();
	Others		others;
	TupleDesc	desc;
	Datum		values[7];
	bool		nulls[7] = {false};
	HeapTuple	tuple;
	char	   *name;
	char	   *why;

	PreventCommandIfReadOnly("ml_forget()");
	ml_arg_required(fcinfo, 1, "source");
	ml_arg_required(fcinfo, 2, "others");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "ml_forget must return a row");
	desc = BlessTupleDesc(desc);
	MemoryContextSwitchTo(cxt);
	name = ml_keep_model(fcinfo);
	others = others_parse(ml_arg_text(fcinfo, 2));
	ml_warnings_push(&warnings);
	ml_progress_start("forget", InvalidOid);
	why = ml_additive_open(&a, name);
	if (why == NULL)
		why = subtract(&a, ml_arg_text(fcinfo, 1));
	if (why)
	{
		values[5] = mark_stale(&a, why, caller);
		nulls[1] = nulls[3] = nulls[4] = true;
	}
	else
	{
		int			version;

		row.warnings = warnings.messages;
		row.elapsed = (GetCurrentTimestamp() - start) / 1e6;
		version = ml_additive_store(&a, "forget", psprintf("{\"rows\": %lld}", (long long) a.rows_used), &row);
		values[1] = Int32GetDatum(version);
		values[3] = Int64GetDatum(a.rows_used);
		values[4] = Int64GetDatum(row.rows_used);
		values[5] = settle_others(&a, version, others, caller);
	}
	ml_progress_end();
	ml_warnings_pop(&warnings);
	MemoryContextSwitchTo(caller);
	values[0] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(why ? "stale" : "forgotten");
	nulls[6] = why == NULL;
	values[6] = why ? CStringGetTextDatum(why) : (Datum) 0;
	tuple = heap_form_tuple(desc, values, nulls);
	MemoryContextDelete(cxt);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}
