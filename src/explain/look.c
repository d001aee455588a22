/*
 * look.c - ml_describe and ml_coefficients: what a model is, for people.
 */
#include "core/json.h"
#include "core/predict.h"
#include "core/registry.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

Tuplestorestate *
ml_look_begin(FunctionCallInfo fcinfo, TupleDesc *tupdesc)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;
	Tuplestorestate *store;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) || (rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	*tupdesc = BlessTupleDesc(CreateTupleDescCopy(*tupdesc));
	store = tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = store;
	rsinfo->setDesc = *tupdesc;
	MemoryContextSwitchTo(old);
	return store;
}

/* ---- ml_describe ---- */

/* A line for each member, with its path: "metrics.rmse". */
static void
describe_object(MlRows *rows, const char *prefix, JsonbContainer *object)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *path = NULL;

	check_stack_depth();
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			path = psprintf("%s%s%.*s", prefix, prefix[0] != '\0' ? "." : "",
							value.val.string.len, value.val.string.val);
		else if (token == WJB_VALUE && (strcmp(path, "curves") == 0 || strcmp(path, "learning") == 0))
			continue;			/* numbers of charts */
		else if (token == WJB_VALUE && value.type == jbvBinary &&
				 JsonContainerIsObject(value.val.binary.data))
			describe_object(rows, path, value.val.binary.data);
		else if (token == WJB_VALUE)
			ml_row_text(rows, path, ml_json_text(&value));
	}
}

static char *
join_texts(char *const *texts, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", texts[i]);
	return buf.data;
}

static void
describe_model(MlRows *rows, const MlModel *model)
{
	const MlSchema *schema = model->encoder->schema;
	char	  **names = palloc(sizeof(char *) * Max(schema->ncolumns, 1));

	ml_row_text(rows, "algorithm", model->algorithm->name);
	ml_row_text(rows, "task", ml_task_name(model->task));
	if (model->target != NULL)
	{
		ml_row_text(rows, "target", model->target);
		ml_row_text(rows, "target type", model->target_type);
	}
	if (model->classes > 0)
		ml_row_text(rows, "classes", join_texts(model->labels, model->classes));
	if (model->classes == 2)
		ml_row_text(rows, "positive class", model->labels[1]);
	for (int i = 0; i < schema->ncolumns; i++)
		names[i] = psprintf("%s %s", schema->columns[i].name, schema->columns[i].type);
	ml_row_number(rows, "features", schema->ncolumns);
	ml_row_text(rows, "feature columns", join_texts(names, schema->ncolumns));
	ml_row_number(rows, "encoded columns", model->encoder->p);
	if (model->algorithm->describe != NULL)
		model->algorithm->describe(model->fit, rows);
	if (model->params != NULL && JB_ROOT_IS_OBJECT(model->params))
		describe_object(rows, "parameter", &model->params->root);
	if (model->info != NULL && JB_ROOT_IS_OBJECT(model->info))
		describe_object(rows, "", &model->info->root);
}

ML_FUNCTION(ml_sql_describe)
{
	TupleDesc	tupdesc;
	Tuplestorestate *store = ml_look_begin(fcinfo, &tupdesc);
	const MlModel *model = ml_site_detailed(fcinfo, ML_VIEW)->model;
	MlRows		rows = {NIL, NIL, model};
	ListCell   *item;
	ListCell   *value;

	describe_model(&rows, model);
	forboth(item, rows.items, value, rows.values)
	{
		Datum		values[2] = {0, 0};
		bool		nulls[2] = {false, lfirst(value) == NULL};

		values[0] = CStringGetTextDatum((char *) lfirst(item));
		if (!nulls[1])
			values[1] = CStringGetTextDatum((char *) lfirst(value));
		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	PG_RETURN_NULL();
}

/* ---- ml_coefficients ---- */

static void
put_number(double number, Datum *value, bool *isnull)
{
	*isnull = isnan(number);
	*value = Float8GetDatum(number);
}

ML_FUNCTION(ml_sql_coefficients)
{
	TupleDesc	tupdesc;
	Tuplestorestate *store = ml_look_begin(fcinfo, &tupdesc);
	const MlModel *model = ml_site_detailed(fcinfo, ML_VIEW)->model;
	MlCoefficient *lines;
	int			n;

	if (model->algorithm->coefficients == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("models of algorithm \"%s\" have no coefficients", model->algorithm->name)));
	n = model->algorithm->coefficients(model->fit, NULL);
	lines = palloc0(mul_size(sizeof(MlCoefficient), Max(n, 1)));
	n = model->algorithm->coefficients(model->fit, lines);
	for (int i = 0; i < n; i++)
	{
		const MlCoefficient *c = &lines[i];
		Datum		values[8] = {0};
		bool		nulls[8] = {false};

		values[0] = CStringGetTextDatum(c->column < 0 ? "(intercept)" : model->encoder->names[c->column]);
		nulls[1] = model->classes <= 2;
		if (!nulls[1])
			values[1] = CStringGetTextDatum(model->labels[c->output]);
		put_number(c->estimate, &values[2], &nulls[2]);
		put_number(c->std_error, &values[3], &nulls[3]);
		put_number(c->statistic, &values[4], &nulls[4]);
		put_number(c->p_value, &values[5], &nulls[5]);
		put_number(c->ci_low, &values[6], &nulls[6]);
		put_number(c->ci_high, &values[7], &nulls[7]);
		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	PG_RETURN_NULL();
}
