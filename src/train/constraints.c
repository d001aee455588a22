/*
 * constraints.c - parameters that name columns of the table (types signs and sets), as
 * algorithms see them: by encoded column.
 *
 * What is said of a column holds for each encoded column that it becomes: the parts
 * of a date, the elements of an array, the levels of a category; not for the one
 * that says "is null".  A column that was left out as useless is no longer there.
 */
#include "train/train.h"

#include "utils/builtins.h"
#include "utils/numeric.h"

/* The parameter of a type in the algorithm's struct as JSON, or NULL. */
static JsonbContainer *
constraint(const MlTraining *t, MlParamType type, const void *params, const char **name)
{
	for (const MlParam *p = t->algorithm->params; p->name != NULL; p++)
	{
		const char *text;

		if (p->type != type)
			continue;
		text = *(char *const *) ((const char *) params + p->offset);
		*name = p->name;
		return text ? &DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)))->root : NULL;
	}
	return NULL;
}

static double
number_of(const JsonbValue *value)
{
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
}

static char *
text_of(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* Complains unless `column` is a feature; returns its number in the schema. */
static int
feature(const MlTraining *t, const char *column, const char *param)
{
	int			found = ml_schema_find(t->schema, column);

	if (found >= 0)
		return found;
	(void) ml_source_column(t->source, column);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" of parameter \"%s\" is not a feature", column, param)));
}

/* A direction means nothing where an order does not. */
static void
check_ordered(const MlTraining *t, int column, const char *param)
{
	const MlColumn *c = &t->schema->columns[column];

	if (c->kind == ML_CATEGORY && (t->core.categories == ML_CATEGORIES_NATIVE || t->core.categories == ML_ONE_HOT))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" of parameter \"%s\" has categories, which have no order", c->name, param)));
}

void
ml_constraints_check(const MlTraining *t)
{
	JsonbContainer *json;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	const char *param = NULL;
	int			column = -1;

	if (t->algorithm == NULL)
		return;
	json = constraint(t, ML_PARAM_SIGNS, t->params, &param);
	it = json ? JsonbIteratorInit(json) : NULL;
	while (it && (token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			column = feature(t, text_of(&value), param);
		else if (token == WJB_VALUE && number_of(&value) != 0)
			check_ordered(t, column, param);
	}
	json = constraint(t, ML_PARAM_SETS, t->params, &param);
	it = json ? JsonbIteratorInit(json) : NULL;
	while (it && (token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
		if (token == WJB_ELEM)
			(void) feature(t, text_of(&value), param);
}

/* Whether an encoded column only says that its column is missing. */
static bool
is_indicator(const MlEncoder *enc, int j)
{
	const MlEncoding *e = &enc->columns[enc->source[j]];

	return e->indicator && j == e->first + e->width - 1;
}

static void
set_signs(const MlTraining *t, const MlEncoder *enc, JsonbContainer *json, MlProblem *problem)
{
	signed char *signs = palloc0(Max(enc->p, 1));

	for (int j = 0; j < enc->p; j++)
	{
		const char *name = t->schema->columns[enc->source[j]].name;
		JsonbValue	buffer;
		JsonbValue *value = getKeyJsonValueFromContainer(json, name, strlen(name), &buffer);

		if (value != NULL && !is_indicator(enc, j))
			signs[j] = (signed char) number_of(value);
	}
	problem->monotone = signs;
}

static void
set_sets(const MlTraining *t, const MlEncoder *enc, JsonbContainer *json, MlProblem *problem)
{
	int			n = JsonContainerSize(json);
	bool	   *sets = ml_alloc((size_t) Max(n, 1) * Max(enc->p, 1), sizeof(bool));
	JsonbIterator *it = JsonbIteratorInit(json);
	JsonbIteratorToken token;
	JsonbValue	value;
	int			set = -2;		/* the outer array begins first */

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		int			column;

		set += token == WJB_BEGIN_ARRAY;
		if (token != WJB_ELEM)
			continue;
		column = ml_schema_find(t->schema, text_of(&value));
		for (int j = 0; j < enc->p && column >= 0; j++)
			if (enc->source[j] == column)
				sets[(Size) set * enc->p + j] = true;
	}
	problem->nsets = n;
	problem->sets = sets;
}

void
ml_constraints_set(const MlTraining *t, const MlEncoder *enc, const void *params, MlProblem *problem)
{
	const char *name;
	JsonbContainer *json = constraint(t, ML_PARAM_SIGNS, params, &name);

	if (json)
		set_signs(t, enc, json, problem);
	json = constraint(t, ML_PARAM_SETS, params, &name);
	if (json)
		set_sets(t, enc, json, problem);
}
