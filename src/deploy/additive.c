/*
 * additive.c - rows of a source into a state, by the encoder of a model, for
 * ml_update and ml_forget; and the model that a changed state gives.
 *
 * The encoder stays what it was: rows are imputed and categories numbered as when
 * the state was made, or the sums would not mean the same.
 */
#include "deploy/additive.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"

#include "core/cache.h"
#include "core/progress.h"
#include "core/state.h"
#include "num/linear_model.h"
#include "train/args.h"

/* ---- opening ---- */

/* The bytes that were kept for the version, or NULL. */
static bytea *
stored_state(int64 version_id, MemoryContext cxt)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(version_id)};
	bytea	   *bytes = NULL;
	MlOwnerWork work;

	ml_owner_begin(&work);
	if (ml_owner_run("SELECT state FROM ml.training_state WHERE version_id = $1", 1, types, values, NULL) > 0)
	{
		bool		isnull;
		MemoryContext old = MemoryContextSwitchTo(cxt);

		bytes = DatumGetByteaPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContextSwitchTo(old);
	}
	ml_owner_end(&work);
	return bytes;
}

static void
read_state(MlAdditive *a, bytea *bytes)
{
	MlReader	reader;

	ml_reader_init(&reader, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	if (ml_read_u32(&reader, ML_STATE_FORMAT) != ML_STATE_FORMAT)
		ml_corrupt("format of a kept state");
	a->imputed = ml_read_u32(&reader, 1);
	if (ml_read_u32(&reader, INT_MAX) != a->problem.p)
		ml_corrupt("a kept state has another number of columns than its model");
	a->fit.nstate = ml_read_u64(&reader);
	if (a->fit.nstate != a->model->algorithm->state_size(&a->problem))
		ml_corrupt("a kept state has another size than its model's");
	a->fit.state = ml_read_f64s(&reader, a->fit.nstate);
}

static void
set_problem(MlAdditive *a)
{
	const MlEncoder *enc = a->model->encoder;
	bool	   *scaled = palloc0(Max(enc->p, 1) * sizeof(bool));
	MlCoreParams core;
	void	   *given;			/* as asked for, where the model has what came of it */

	a->params = palloc0(Max(a->model->algorithm->params_size, 1));
	ml_params_parse(a->model->params, a->model->algorithm->name, ml_core_params, &a->core,
					a->model->algorithm->params, a->params);
	given = palloc0(Max(a->model->algorithm->params_size, 1));
	ml_params_parse(a->recipe.request.algorithm ? a->recipe.request.params : NULL, a->model->algorithm->name,
					ml_core_params, &core, a->model->algorithm->params, given);
	a->cv = ml_params_wants_cv(a->model->algorithm->params, given);
	for (int j = 0; j < enc->p; j++)
		scaled[j] = enc->numeric[j] && (a->core.scale == ML_SCALE_AUTO || a->core.scale == ML_SCALE_STANDARDIZE);
	a->problem.task = a->model->task;
	a->problem.p = enc->p;
	a->problem.names = (const char *const *) enc->names;
	a->problem.scaled = scaled;
	a->problem.params = a->params;
	a->fit.problem = a->problem;
}

char *
ml_additive_open(MlAdditive *a, const char *name)
{
	MemoryContext cxt = CurrentMemoryContext;
	bytea	   *bytes;

	memset(a, 0, sizeof(*a));
	ml_recipe_read(name, &a->recipe);
	ml_recipe_lock(a->recipe.ref.model_id, name);
	ml_recipe_read(name, &a->recipe);
	a->model = ml_model_unpack_whole(ml_catalog_payload(a->recipe.ref.version_id));
	if (!ml_algorithm_additive(a->model->algorithm))
		return psprintf("rows cannot be added to or taken from a model of algorithm \"%s\"", a->model->algorithm->name);
	bytes = stored_state(a->recipe.ref.version_id, cxt);
	if (bytes == NULL)
		return psprintf("no state was kept of version %d", a->recipe.ref.version);
	set_problem(a);
	read_state(a, bytes);
	return NULL;
}

/* ---- reading ---- */

static void
hash_rows(MlAdditive *a)
{
	const MlSchema *schema = a->model->encoder->schema;

	for (int i = 0; i < a->pending; i++)
	{
		double	   *row = palloc((schema->ncells + 1) * sizeof(double));
		MlRowHash	hash = {{0, 0}};

		memcpy(row, a->cells + (Size) i * schema->ncells, schema->ncells * sizeof(double));
		row[schema->ncells] = a->y[i];
		for (int j = 0; j < schema->ncolumns; j++)
			if (schema->columns[j].kind == ML_CATEGORY && !isnan(row[schema->columns[j].first_cell]))
			{
				double	   *cell = &row[schema->columns[j].first_cell];
				int			len;
				const char *bytes;

				if (*cell == ML_UNSEEN)
				{
					a->hashed = false;
					continue;
				}
				bytes = ml_dict_get(schema->columns[j].dict, (int) *cell, &len);
				*cell = ml_fingerprint_text(bytes, len);
			}
		ml_row_hash_add(&hash, row, schema->ncells + 1, 0);
		if (a->weight_at >= 0)
			ml_row_hash_add(&hash, a->w + i, 1, schema->ncells + 1);
		ml_row_hash_end(&hash, &a->fingerprint);
		pfree(row);
	}
}

static void
flush(MlAdditive *a)
{
	const MlEncoder *enc = a->model->encoder;
	MlTile		tile = {a->pending, a->x, a->y, a->weight_at >= 0 ? a->w : NULL};

	if (a->pending == 0)
		return;
	a->model->algorithm->accumulate(&a->problem, a->state, &tile);
	if (a->hashed)
		hash_rows(a);
	if (a->adds && a->model->summaries)
		ml_summaries_add(a->model->summaries, enc->schema->ncells, a->cells, a->pending, enc->schema->ncells, 0);
	for (int i = 0; i < a->pending && a->adds; i++)
	{
		double		w = a->weight_at >= 0 ? a->w[i] : 1;

		a->model->algorithm->predict(a->model->fit, a->x + (Size) i * enc->p, a->out);
		ml_metrics_add(a->metrics, a->y[i], a->out, w);
		ml_metrics_add(a->baseline, a->y[i], &a->prior, w);
	}
	a->pending = 0;
	ml_progress_rows(a->rows_read);
}

/* False: the row is left out, as training would. */
static bool
convert_cells(MlAdditive *a, const MlRow *row, double *cells)
{
	const MlSchema *schema = a->model->encoder->schema;
	bool		statistic = a->core.impute == ML_IMPUTE_MEDIAN || a->core.impute == ML_IMPUTE_MEAN;

	for (int i = 0; i < schema->ncolumns; i++)
	{
		const MlColumn *col = &schema->columns[i];
		double	   *cell = cells + col->first_cell;

		ml_convert(&a->converters[i], row->values[i], row->isnull[i], cell);
		for (int c = 0; c < col->cells; c++)
		{
			if (col->kind == ML_CATEGORY)
			{
				a->unseen += cell[c] == ML_UNSEEN;
				continue;
			}
			if (!row->isnull[i] && !isfinite(cell[c]))
			{
				if (a->core.nonfinite == ML_NONFINITE_ERROR && !(col->kind == ML_ARRAY && isnan(cell[c])))
					ml_reject_value(col->name, cell[c]);
				if (a->core.nonfinite == ML_NONFINITE_DROP)
					return false;
				cell[c] = get_float8_nan();
			}
			if (isnan(cell[c]) && a->core.impute == ML_IMPUTE_DROP)
				return false;
			if (isnan(cell[c]) && statistic)
				a->imputed = true;
		}
	}
	return true;
}

static void
read_row(void *arg, const MlRow *row)
{
	MlAdditive *a = arg;
	const MlEncoder *enc = a->model->encoder;
	int			n = enc->schema->ncolumns;
	double	   *cells = a->cells + (Size) a->pending * enc->schema->ncells;

	a->rows_read++;
	if (row->isnull[n] || (a->weight_at >= 0 && row->isnull[a->weight_at]))
		return;
	ml_convert(&a->target, row->values[n], false, &a->y[a->pending]);
	if (!isfinite(a->y[a->pending]))
		ml_reject_value(a->model->target, a->y[a->pending]);
	if (a->weight_at >= 0)
	{
		ml_convert(&a->weight, row->values[a->weight_at], false, &a->w[a->pending]);
		if (!isfinite(a->w[a->pending]) || !ml_weight_fits(a->w[a->pending]))
			ml_reject_weight(a->recipe.request.weight, a->w[a->pending]);
		if (a->w[a->pending] == 0)
			return;
	}
	if (!convert_cells(a, row, cells))
		return;
	if (a->strict && a->unseen > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("row %lld of the source has a category that the model does not know", (long long) a->rows_read),
				 errdetail("The model cannot have learned from it.")));
	if (!ml_encode(enc, cells, enc->schema->ncells, 1, a->x + (Size) a->pending * enc->p))
		ml_encode_error(enc, cells);
	a->rows_used++;
	if (++a->pending == ML_TILE_ROWS)
		flush(a);
}

static MlColumn *
number_column(const char *name, MlKind kind)
{
	MlColumn   *column = palloc0(sizeof(MlColumn));

	column->name = pstrdup(name);
	column->kind = kind;
	column->cells = 1;
	return column;
}

static void
open_source(MlAdditive *a, const char *text)
{
	const MlSchema *schema = a->model->encoder->schema;
	const char *weight = a->recipe.request.weight;
	int			n = schema->ncolumns;

	a->source = ml_source_open(text);
	ml_progress_relation(a->source->relid);
	a->columns = palloc((n + 2) * sizeof(int));
	a->converters = palloc0(Max(n, 1) * sizeof(MlConverter));
	for (int i = 0; i < n; i++)
	{
		a->columns[i] = ml_source_column(a->source, schema->columns[i].name);
		ml_converter_init(&a->converters[i], &schema->columns[i], a->source->columns[a->columns[i]].type, false);
	}
	a->columns[n] = ml_source_column(a->source, a->model->target);
	ml_converter_init(&a->target, number_column(a->model->target, ML_NUMBER),
					  a->source->columns[a->columns[n]].type, false);
	a->ncolumns = n + 1;
	a->weight_at = -1;
	if (weight)
	{
		a->weight_at = a->ncolumns++;
		a->columns[a->weight_at] = ml_source_column(a->source, weight);
		ml_converter_init(&a->weight, number_column(weight, ML_NUMBER),
						  a->source->columns[a->columns[a->weight_at]].type, false);
	}
}

void
ml_additive_read(MlAdditive *a, const char *source)
{
	const MlEncoder *enc = a->model->encoder;
	MlMoments	m = ml_moments_view(&a->problem, a->fit.state);
	ListCell   *cell;

	open_source(a, source);
	a->cells = ml_alloc((Size) ML_TILE_ROWS * Max(enc->schema->ncells, 1), sizeof(double));
	a->x = ml_alloc((Size) ML_TILE_ROWS * Max(enc->p, 1), sizeof(double));
	a->y = palloc(ML_TILE_ROWS * sizeof(double));
	a->w = palloc(ML_TILE_ROWS * sizeof(double));
	a->out = palloc(sizeof(double));
	a->state = ml_alloc(a->fit.nstate, sizeof(double));
	a->prior = m.weight > 0 ? m.shift[m.k - 1] + m.gram[m.k - 1] / m.weight : 0;
	a->metrics = ml_metrics_create(a->problem.task, 0);
	a->baseline = ml_metrics_create(a->problem.task, 0);
	a->hashed = a->recipe.fingerprinted;
	foreach(cell, a->recipe.roles)
		if (strcmp(lfirst(cell), "feature") != 0 && strcmp(lfirst(cell), "target") != 0 && strcmp(lfirst(cell), "weight") != 0)
			a->hashed = false;
	ml_progress_phase(ML_PHASE_READ);
	ml_stream(a->source, a->columns, a->ncolumns, read_row, a);
	flush(a);
	if (a->adds && a->model->summaries)
		ml_summaries_settle(a->model->summaries, a->model->encoder->schema->ncells);
}

/* ---- the model ---- */

bool
ml_additive_finish(MlAdditive *a)
{
	MlResult	result = {0};
	double	   *state = ml_alloc(a->fit.nstate, sizeof(double));

	memcpy(state, a->fit.state, a->fit.nstate * sizeof(double));
	ml_progress_phase(ML_PHASE_FIT);
	if (a->model->algorithm->finish(&a->problem, state, &result) != ML_DONE)
		return false;
	a->model->fit = result.model;
	a->fit.converged = result.converged;
	a->fit.stop = result.stop;
	return true;
}

/*
 * The standard deviation of what each column adds to the prediction, over the rows
 * of the state: what ml_importance shows where no values are known.  For a column
 * of numbers the root of the sum of each number's variance, as there.
 */
static void
add_spreads(StringInfo s, const MlAdditive *a)
{
	const MlEncoder *enc = a->model->encoder;
	const MlLinear *fit = a->model->fit;
	MlMoments	m = ml_moments_view(&a->problem, a->fit.state);

	appendStringInfoString(s, ", \"spreads\": [");
	for (int c = 0; c < enc->schema->ncolumns; c++)
	{
		const MlEncoding *e = &enc->columns[c];
		bool		number = e->code == ML_CODE_NUMBER;
		int			end = e->first + (number ? enc->schema->columns[c].cells : e->width);
		double		variance = 0;

		for (int i = e->first; i < end; i++)
			for (int j = number ? i : e->first; j < (number ? i + 1 : end); j++)
				variance += fit->beta[i] * fit->beta[j] *
					(m.gram[(Size) (1 + i) * m.k + 1 + j] - m.gram[1 + i] * m.gram[1 + j] / m.weight) / m.weight;
		appendStringInfo(s, "%s%s", c > 0 ? ", " : "",
						 DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(sqrt(fmax(variance, 0))))));
	}
	appendStringInfoChar(s, ']');
}

/* As ml_train's, as far as it can be told. */
static void
set_info(MlAdditive *a, int64 rows, const MlVersionRow *row)
{
	StringInfoData s;
	MlMoments	m = ml_moments_view(&a->problem, a->fit.state);
	double		prior = m.shift[m.k - 1] + m.gram[m.k - 1] / m.weight;

	initStringInfo(&s);
	appendStringInfo(&s, "{\"rows_read\": %lld, \"rows_used\": %lld, \"rows_dropped\": 0, \"prior\": [%s],"
					 " \"refit\": true, \"converged\": %s, \"measured_on\": \"%s\", \"metrics\": {",
					 (long long) rows, (long long) rows,
					 DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(prior))),
					 a->fit.converged ? "true" : "false", row->metric ? "the rows added, before they were" : "nothing");
	if (row->metric && isfinite(row->value))
		appendStringInfo(&s, "\"%s\": %s", row->metric,
						 DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(row->value))));
	appendStringInfoChar(&s, '}');
	if (a->model->summaries == NULL)
		add_spreads(&s, a);
	appendStringInfoChar(&s, '}');
	a->model->info = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(s.data)));
}

int
ml_additive_store(MlAdditive *a, const char *what, const char *object, MlVersionRow *row)
{
	MlMoments	m = ml_moments_view(&a->problem, a->fit.state);
	char	   *lineage = pstrdup(a->recipe.lineage);

	set_info(a, (int64) m.rows, row);
	row->source = NULL;
	row->rows_read = row->rows_used = (int64) m.rows;
	row->seed = a->recipe.request.seed;
	row->action = what;
	row->detail = psprintf(", \"%s\": %s", what, object);
	row->parent = a->recipe.ref.version;
	row->fingerprint = a->hashed ? &a->recipe.fingerprint : NULL;
	row->state = ml_kept_state(&a->fit, a->imputed);
	lineage[strlen(lineage) - 1] = '\0';	/* its closing brace */
	row->lineage = psprintf("%s, \"%s\": %s}", lineage, what, object);
	ml_progress_phase(ML_PHASE_STORE);
	return ml_catalog_store(a->recipe.ref.name, ml_model_pack(a->model), a->model, row);
}
