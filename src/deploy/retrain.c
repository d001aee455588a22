/*
 * retrain.c - ml_retrain: the same recipe on today's rows, as a challenger, and
 * the gate between it and the name.
 *
 * The champion is measured on the rows that the new training holds out, by the
 * predictions that train/rival.c keeps beside them; the challenger is measured
 * there before it is fitted on all rows.  The challenger has not seen those rows;
 * the champion may have, when they were there already at its time.  That can only
 * flatter the champion: the gate errs towards keeping what runs.  With order_by the
 * holdout is the latest rows, with compare_on it is what the user says.
 *
 * All is one transaction.  The row of ml.model is locked only at the end, so that a
 * long retraining keeps nobody from promoting or granting; whoever changes the
 * champion meanwhile wins.
 */
#include "deploy/recipe.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/audit.h"
#include "core/cache.h"
#include "deploy/registry.h"
#include "num/special.h"
#include "train/args.h"
#include "train/trained.h"

#define MIN_ROWS 30				/* fewer decide nothing */

typedef enum Promote
{
	IF_BETTER, ALWAYS, NEVER
} Promote;

/* What came of the two versions on the same rows. */
typedef struct Contest
{
	bool		held;			/* there was one */
	MlLoss		loss;
	double		champion;
	double		challenger;
	double		difference;
	double		low;
	double		high;
	int64		rows;
	int64		unscored;
	bool		unseen;			/* the user said so: compare_on */
} Contest;

typedef struct Retraining
{
	MlRecipe	recipe;
	const char *source;
	const char *compare_on;
	const char *metric;
	const char *notes;
	Promote		promote;
	MlRival		rival;
	MlTrained	trained;
	Contest		contest;
	int			version;
	bool		promoted;
	StringInfoData reason;
} Retraining;

static Promote
promote_parse(const char *text)
{
	static const char *const names[] = {"if_better", "always", "never"};

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(text, names[i]) == 0)
			return (Promote) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("value \"%s\" is not valid for argument \"promote\"", text),
			 errhint("Valid ones are \"if_better\", \"always\" and \"never\".")));
}

static void
read_arguments(FunctionCallInfo fcinfo, Retraining *r)
{
	ml_arg_required(fcinfo, 2, "promote");
	r->source = ml_arg_text(fcinfo, 1);
	r->promote = promote_parse(ml_arg_text(fcinfo, 2));
	r->metric = ml_arg_text(fcinfo, 4);
	r->compare_on = ml_arg_text(fcinfo, 5);
	r->notes = ml_arg_text(fcinfo, 6);
	if (!PG_ARGISNULL(3) && !(PG_GETARG_FLOAT8(3) >= 0 && PG_GETARG_FLOAT8(3) <= 0.9))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %g is out of range for parameter \"holdout\"", PG_GETARG_FLOAT8(3)),
				 errdetail("Valid range is 0 to 0.9: the share of rows kept for measuring.")));
}

/* ---- training ---- */

static void
train(Retraining *r)
{
	MlRecipe   *recipe = &r->recipe;
	int			nest = NewGUCNestLevel();

	r->rival.model = ml_cache_version(recipe->ref.version_id, CurrentMemoryContext);
	r->rival.asked = r->metric;
	if (r->metric)
		ml_loss_parse(r->metric, r->rival.model->classes > 0);
	if (recipe->search_path)
		set_config_option("search_path", recipe->search_path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	ml_train_run(&r->trained, "retrain", &recipe->request, r->notes ? r->notes : recipe->notes,
				 r->compare_on ? NULL : &r->rival);
	AtEOXact_GUC(false, nest);
	if (r->rival.measured)
	{
		const MlDuelResult *from = &r->rival.result;

		r->contest = (Contest) {from->rows > 0, from->loss, from->rival, from->value, from->difference,
			from->low, from->high, from->rows, from->unscored, false};
	}
}

/* ---- rows that the user names ---- */

/* The stored versions on the rows of compare_on, by ml_compare, whose intervals are two-sided at 95 %. */
static void
compare_stored(Retraining *r)
{
	Contest    *c = &r->contest;
	MlLoss		loss = ml_loss_parse(r->metric, r->rival.model->classes > 0);
	Oid			types[] = {TEXTOID, TEXTOID, INT4OID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(r->recipe.ref.name), CStringGetTextDatum(r->compare_on),
		Int32GetDatum(r->version), CStringGetTextDatum(ml_loss_name(loss))};
	char	   *sql = psprintf("SELECT value - difference, value, difference, difference_low, difference_high, n::float8"
							   " FROM %s.ml_compare($1, $2, ARRAY[$3]) WHERE version = $3 AND metric = $4",
							   quote_identifier(get_namespace_name(ml_extension_schema())));
	double		numbers[6];

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql, 4, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not compare versions");
	if (SPI_processed == 1)
	{
		double		shrink = ml_normal_quantile(0.95) / ml_normal_quantile(0.975);

		for (int i = 0; i < lengthof(numbers); i++)
		{
			bool		isnull;
			Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull);

			numbers[i] = isnull ? get_float8_nan() : DatumGetFloat8(value);
		}
		*c = (Contest) {true, loss, numbers[0], numbers[1], numbers[2],
			numbers[2] + (numbers[3] - numbers[2]) * shrink, numbers[2] + (numbers[4] - numbers[2]) * shrink,
			(int64) numbers[5], 0, true};
	}
	SPI_finish();
}

/* ---- the gate ---- */

/* Whether the comparison speaks for the challenger; says why in any case. */
static bool
judge(Retraining *r)
{
	const Contest *c = &r->contest;
	StringInfo	why = &r->reason;
	int			champion = r->recipe.ref.version;
	bool		better = c->held && c->rows >= MIN_ROWS && c->high < 0;

	if (r->promote == NEVER)
		appendStringInfoString(why, "promotion was not asked for; ");
	else if (r->promote == ALWAYS)
		appendStringInfoString(why, "promotion was asked for in any case; ");
	if (r->rival.missing)
		appendStringInfo(why, "version %d needs column \"%s\", which the source does not have", champion, r->rival.missing);
	else if (r->rival.model->target == NULL)
		appendStringInfoString(why, "a model without a target cannot be compared");
	else if (r->rival.differs)
		appendStringInfo(why, "version %d predicts something else", champion);
	else if (!c->held)
		appendStringInfoString(why, "no rows were held out to compare on");
	else if (c->rows < MIN_ROWS)
		appendStringInfo(why, "%lld rows are too few to compare on", (long long) c->rows);
	else
	{
		appendStringInfo(why, "%s %s than that of version %d on %lld rows, by a one-sided paired test at 5 %%",
						 ml_loss_name(c->loss), better ? "lower" : "not lower", champion, (long long) c->rows);
		if (c->unscored > 0)
			appendStringInfo(why, "; %lld rows that version %d cannot predict were left out", (long long) c->unscored, champion);
		if (!c->unseen && !better)
			appendStringInfo(why, "; version %d may have learned from some of them, which flatters it", champion);
	}
	return r->promote == ALWAYS || (r->promote == IF_BETTER && better);
}

static void
json_number(StringInfo s, const char *key, double value)
{
	appendStringInfo(s, ", \"%s\": %s", key, isfinite(value) ?
					 DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(value))) : "null");
}

/* For the audit of the training and of the promotion, after their own members. */
static char *
detail(const Retraining *r)
{
	StringInfoData s;
	const Contest *c = &r->contest;

	initStringInfo(&s);
	appendStringInfo(&s, ", \"compared_with\": %d", r->recipe.ref.version);
	if (c->held)
	{
		appendStringInfo(&s, ", \"loss\": \"%s\", \"rows\": %lld", ml_loss_name(c->loss), (long long) c->rows);
		json_number(&s, "champion_loss", c->champion);
		json_number(&s, "challenger_loss", c->challenger);
		json_number(&s, "difference", c->difference);
		json_number(&s, "ci_low", c->low);
		json_number(&s, "ci_high", c->high);
	}
	appendStringInfoString(&s, ", \"reason\": ");
	escape_json(&s, r->reason.data);
	return s.data;
}

/* Gives the name, or the alias, to the new version, as far as the rules of the model let it. */
static void
settle(Retraining *r, bool wanted)
{
	MlLocked	locked;
	const char *name = r->recipe.ref.name;
	const char *extra;

	ml_keep_lock(name, ML_MANAGE, &locked);
	if (OidIsValid(locked.promoter))
	{
		appendStringInfoString(&r->reason, "; promotion is reserved: somebody else decides");
		ml_owner_end(&locked.work);
		return;
	}
	if (wanted && locked.model.current != r->recipe.ref.version)
		appendStringInfo(&r->reason, "; version %d has become current meanwhile", locked.model.current);
	else if (wanted)
		r->promoted = true;
	if (r->promoted)
	{
		ml_keep_make_current(&locked, r->version);
		extra = detail(r);
		ml_keep_done(&locked, "promote", r->version, psprintf("{\"from\": %d, \"by\": \"ml_retrain\"%s}",
															  locked.model.current, extra));
		return;
	}
	ml_keep_run_version(&locked, "INSERT INTO ml.alias (model_id, alias, version) VALUES ($1, 'challenger', $2)"
						" ON CONFLICT (model_id, alias) DO UPDATE SET version = EXCLUDED.version", r->version);
	ml_keep_done(&locked, "alias", r->version, "{\"alias\": \"challenger\", \"by\": \"ml_retrain\"}");
}

static void
retrain(Retraining *r)
{
	bool		wanted = false;
	MlVersionRow *row = &r->trained.row;

	train(r);
	row->action = "retrain";
	row->challenger = true;
	row->parent = r->recipe.ref.version;
	if (r->compare_on == NULL)
	{
		wanted = judge(r);
		row->detail = detail(r);
		r->version = ml_train_store(&r->trained, r->recipe.ref.name);
	}
	else
	{
		r->version = ml_train_store(&r->trained, r->recipe.ref.name);
		compare_stored(r);
		wanted = judge(r);
	}
	settle(r, wanted);
}

static HeapTuple
result_row(const Retraining *r, TupleDesc desc)
{
	const Contest *c = &r->contest;
	double		numbers[] = {c->champion, c->challenger, c->difference, c->low, c->high};
	Datum		values[11] = {0};
	bool		nulls[11] = {false};

	values[0] = CStringGetTextDatum(r->recipe.ref.name);
	values[1] = Int32GetDatum(r->version);
	nulls[2] = !c->held;
	if (c->held)
		values[2] = CStringGetTextDatum(ml_loss_name(c->loss));
	for (int i = 0; i < lengthof(numbers); i++)
	{
		values[3 + i] = Float8GetDatum(numbers[i]);
		nulls[3 + i] = !c->held || isnan(numbers[i]);
	}
	values[8] = Int64GetDatum(c->rows);
	values[9] = CStringGetTextDatum(r->promoted ? "promoted" : "kept");
	values[10] = CStringGetTextDatum(r->reason.data);
	return heap_form_tuple(desc, values, nulls);
}

/* ml_retrain(model, source, promote, holdout, metric, compare_on, notes) */
ML_FUNCTION(ml_sql_retrain)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt;
	Retraining *r;
	char	   *name;
	TupleDesc	desc;
	HeapTuple	tuple;

	PreventCommandIfReadOnly("ml_retrain()");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "ml_retrain must return a row");
	desc = BlessTupleDesc(desc);
	cxt = AllocSetContextCreate(caller, "ml_ext retrain", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	r = palloc0(sizeof(Retraining));
	initStringInfo(&r->reason);
	name = ml_keep_model(fcinfo);
	read_arguments(fcinfo, r);
	ml_recipe_read(name, &r->recipe);
	ml_recipe_lock(r->recipe.ref.model_id, name);
	ml_recipe_read(name, &r->recipe);	/* who held the lock before may have made another version current */
	ml_recipe_source(&r->recipe, r->source);
	if (!PG_ARGISNULL(3))
		r->recipe.request.holdout = PG_GETARG_FLOAT8(3);
	retrain(r);
	MemoryContextSwitchTo(caller);
	tuple = result_row(r, desc);
	ml_training_end(r->trained.training);
	MemoryContextDelete(cxt);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}
