/*
 * params.c - parameters given as jsonb, checked against tables of MlParam.
 *
 * One table drives parsing, every message, ml.parameters and the tuner.  Values
 * are allocated in the current context.
 */
#include "core/params.h"

#include <float.h>
#include <limits.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/varlena.h"

/* A value is quoted in messages up to this many bytes. */
#define QUOTED_MAX 64

/* varstr_levenshtein accepts no longer words. */
#define NEAREST_MAX 255

#define FIELD(type, base, param) (*(type *) ((char *) (base) + (param)->offset))
#define CONST_FIELD(type, base, param) (*(const type *) ((const char *) (base) + (param)->offset))

/* ---- tables ---- */

const char *
ml_param_type_name(MlParamType type)
{
	switch (type)
	{
		case ML_PARAM_BOOL:
			return "boolean";
		case ML_PARAM_INT:
			return "integer";
		case ML_PARAM_REAL:
			return "number";
		case ML_PARAM_PENALTY:
			return "penalty";
		case ML_PARAM_ENUM:
			return "choice";
		case ML_PARAM_COLUMN:
			return "column";
		case ML_PARAM_SIGNS:
			return "signs";
		case ML_PARAM_SETS:
			return "sets";
		case ML_PARAM_MODEL:
			return "model";
	}
	elog(ERROR, "unknown parameter type %d", (int) type);
}

const MlParam *
ml_param_find(const MlParam *table, const char *name)
{
	if (table != NULL)
	{
		for (const MlParam *param = table; param->name != NULL; param++)
		{
			if (strcmp(param->name, name) == 0)
				return param;
		}
	}
	return NULL;
}

static int
choice_find(const MlParam *param, const char *word)
{
	for (int i = 0; param->choices[i] != NULL; i++)
	{
		if (strcmp(param->choices[i], word) == 0)
			return i;
	}
	return -1;
}

static bool
in_range(const MlParam *param, double value)
{
	if (!isfinite(value))
		return false;
	if (param->type == ML_PARAM_INT && (value < INT_MIN || value > INT_MAX))
		return false;
	return value >= param->min && value <= param->max;
}

bool
ml_params_wants_cv(const MlParam *own, const void *in)
{
	for (const MlParam *param = own; param->name != NULL; param++)
	{
		if (param->type == ML_PARAM_PENALTY && isnan(CONST_FIELD(double, in, param)))
			return true;
	}
	return false;
}

bool
ml_params_penalized(const MlParam *own, const void *in)
{
	for (const MlParam *param = own; param->name != NULL; param++)
	{
		/* NaN, that is "cv", differs from 0 as well */
		if (param->type == ML_PARAM_PENALTY && CONST_FIELD(double, in, param) != 0)
			return true;
	}
	return false;
}

/* ---- defaults ---- */

static char *
set_default(const MlParam *param, void *out)
{
	const char *def = param->def;
	char	   *end;
	double		number;

	if (def == NULL)
	{
		if (param->type == ML_PARAM_COLUMN || param->type == ML_PARAM_SIGNS || param->type == ML_PARAM_SETS ||
			param->type == ML_PARAM_MODEL)
			FIELD(char *, out, param) = NULL;
		else if (param->type == ML_PARAM_REAL)
			FIELD(double, out, param) = NAN;
		else if (param->type == ML_PARAM_INT && !in_range(param, 0))
			FIELD(int, out, param) = 0;
		else
			return psprintf("parameter \"%s\" needs a default", param->name);
		return NULL;
	}
	switch (param->type)
	{
		case ML_PARAM_BOOL:
			FIELD(bool, out, param) = strcmp(def, "true") == 0;
			if (strcmp(def, "true") != 0 && strcmp(def, "false") != 0)
				return psprintf("default of parameter \"%s\" is not true or false", param->name);
			return NULL;
		case ML_PARAM_ENUM:
			FIELD(int, out, param) = choice_find(param, def);
			if (FIELD(int, out, param) < 0)
				return psprintf("default of parameter \"%s\" is not a choice", param->name);
			return NULL;
		case ML_PARAM_COLUMN:
			FIELD(char *, out, param) = pstrdup(def);
			return NULL;
		case ML_PARAM_SIGNS:
		case ML_PARAM_SETS:
		case ML_PARAM_MODEL:
			return psprintf("parameter \"%s\" can have no default", param->name);
		case ML_PARAM_PENALTY:
			if (strcmp(def, "cv") == 0)
			{
				FIELD(double, out, param) = NAN;
				return NULL;
			}
			break;
		case ML_PARAM_INT:
		case ML_PARAM_REAL:
			break;
	}
	number = strtod(def, &end);
	if (end == def || *end != '\0' || !in_range(param, number))
		return psprintf("default of parameter \"%s\" is out of range", param->name);
	if (param->type == ML_PARAM_INT)
		FIELD(int, out, param) = (int) number;
	else
		FIELD(double, out, param) = number;
	return NULL;
}

char *
ml_params_defaults(const MlParam *table, void *out)
{
	for (const MlParam *param = table; param->name != NULL; param++)
	{
		char	   *wrong = set_default(param, out);

		if (wrong != NULL)
			return wrong;
	}
	return NULL;
}

/* ---- messages ---- */

const char *
ml_nearest(const char *word, const char *const *candidates, int n)
{
	size_t		len = strlen(word);
	int			best_distance;
	const char *best = NULL;

	if (len == 0 || len > NEAREST_MAX)
		return NULL;
	for (int i = 0; i < n; i++)
	{
		if (pg_strcasecmp(word, candidates[i]) == 0)
			return candidates[i];
	}
	if (len < 2)				/* any other letter would be near */
		return NULL;
	best_distance = 1 + (int) len / 3;
	for (int i = 0; i < n; i++)
	{
		size_t		candidate_len = strlen(candidates[i]);
		int			distance;

		if (candidate_len > NEAREST_MAX)
			continue;
		distance = varstr_levenshtein_less_equal(word, (int) len,
												 candidates[i], (int) candidate_len,
												 1, 1, 1, best_distance, true);
		if (distance < best_distance || (distance == best_distance && best == NULL))
		{
			best_distance = distance;
			best = candidates[i];
		}
	}
	return best;
}

/* "Did you mean ...?" where a candidate is near. */
static int
hint_nearest(const char *word, const char *const *candidates, int n)
{
	const char *nearest = ml_nearest(word, candidates, n);

	return nearest ? errhint("Did you mean \"%s\"?", nearest) : 0;
}

static char *
join_names(const char *const *names, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s\"%s\"", i ? ", " : "", names[i]);
	return buf.data;
}

/* JSON as the user wrote it, cut when long. */
static char *
quote_json(JsonbValue *value)
{
	Jsonb	   *jsonb = JsonbValueToJsonb(value);
	char	   *text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	int			len = (int) strlen(text);

	if (len > QUOTED_MAX)
	{
		len = pg_mbcliplen(text, len, QUOTED_MAX);
		text = psprintf("%.*s...", len, text);
	}
	return text;
}

static char *
number_text(double value)
{
	char	   *text = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

	double_to_shortest_decimal_buf(value, text);
	return text;
}

static char *
range_text(const MlParam *param)
{
	double		min = param->min;
	double		max = param->max;

	if (param->type == ML_PARAM_INT)
	{
		min = Max(min, INT_MIN);
		max = Min(max, INT_MAX);
	}
	if (max >= DBL_MAX && min <= -DBL_MAX)
		return pstrdup("Valid are all finite numbers.");
	if (max >= DBL_MAX)
		return psprintf("Valid are numbers of at least %s.", number_text(min));
	if (min <= -DBL_MAX)
		return psprintf("Valid are numbers of at most %s.", number_text(max));
	return psprintf("Valid range is %s to %s.", number_text(min), number_text(max));
}

/* The names in both tables, own first. */
static const char **
all_names(const MlParam *core, const MlParam *own, int *n)
{
	const MlParam *tables[2] = {own, core};
	const char **names;

	*n = 0;
	for (int t = 0; t < 2; t++)
	{
		for (const MlParam *param = tables[t]; param != NULL && param->name != NULL; param++)
			(*n)++;
	}
	names = palloc((*n + 1) * sizeof(char *));
	*n = 0;
	for (int t = 0; t < 2; t++)
	{
		for (const MlParam *param = tables[t]; param != NULL && param->name != NULL; param++)
			names[(*n)++] = param->name;
	}
	return names;
}

static void
fail_unknown(const char *key, const char *algorithm, const MlParam *core, const MlParam *own)
{
	int			n;
	const char **names = all_names(core, own, &n);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("algorithm \"%s\" has no parameter \"%s\"", algorithm, key),
			 n > 0 ? errdetail("Valid parameters are: %s.", join_names(names, n)) :
			 errdetail("It has no parameters."),
			 hint_nearest(key, names, n)));
}

static void
fail_type(const MlParam *param, JsonbValue *value)
{
	static const char *const expected[] = {
		[ML_PARAM_BOOL] = "Expected is true or false.",
		[ML_PARAM_INT] = "Expected is an integer.",
		[ML_PARAM_REAL] = "Expected is a number.",
		[ML_PARAM_PENALTY] = "Expected is a number of at least 0, or \"cv\".",
		[ML_PARAM_ENUM] = NULL,
		[ML_PARAM_COLUMN] = "Expected is the name of a column, as a string.",
		[ML_PARAM_SIGNS] = "Expected is an object of columns with -1, 0 or 1, as in {\"age\": 1}.",
		[ML_PARAM_SETS] = "Expected is an array of arrays of columns, as in [[\"age\", \"income\"], [\"city\"]].",
		[ML_PARAM_MODEL] = "Expected is the name of a model, as a string.",
	};
	int			n = 0;

	if (param->type == ML_PARAM_ENUM)
	{
		while (param->choices[n] != NULL)
			n++;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value %s for parameter \"%s\"", quote_json(value), param->name),
			 n > 0 ? errdetail("Valid values are: %s.", join_names(param->choices, n)) :
			 errdetail_internal("%s", expected[param->type]),
			 n > 0 && value->type == jbvString ?
			 hint_nearest(pnstrdup(value->val.string.val, value->val.string.len), param->choices, n) : 0));
}

/* ---- values ---- */

static double
parse_number(const MlParam *param, JsonbValue *value)
{
	double		number;

	if (value->type != jbvNumeric)
		fail_type(param, value);
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
												NumericGetDatum(value->val.numeric)));
	if (param->type == ML_PARAM_INT && number != floor(number))
		fail_type(param, value);
	if (!in_range(param, number))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %s is out of range for parameter \"%s\"", quote_json(value), param->name),
				 errdetail_internal("%s", range_text(param))));
	return number;
}

/* Checks {"column": -1 | 0 | 1, ...}; whether there are such columns is known later. */
static bool
is_signs(JsonbValue *value)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	member;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return false;
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &member, true)) != WJB_DONE)
	{
		double		sign;

		if (token != WJB_VALUE)
			continue;
		if (member.type != jbvNumeric)
			return false;
		sign = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
												  NumericGetDatum(member.val.numeric)));
		if (sign != -1 && sign != 0 && sign != 1)
			return false;
	}
	return true;
}

/* Checks [["column", ...], ...]. */
static bool
is_sets(JsonbValue *value)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	member;
	int			depth = 0;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		return false;
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &member, false)) != WJB_DONE)
	{
		if (token == WJB_BEGIN_OBJECT)
			return false;
		depth += token == WJB_BEGIN_ARRAY;
		depth -= token == WJB_END_ARRAY;
		if (depth > 2 || (token == WJB_ELEM && (depth != 2 || member.type != jbvString)))
			return false;
	}
	return true;
}

static void
parse_value(const MlParam *param, JsonbValue *value, void *out)
{
	char	   *word = NULL;

	if (value->type == jbvNull)
		return;					/* the default stands there already */
	if (value->type == jbvString)
		word = pnstrdup(value->val.string.val, value->val.string.len);

	switch (param->type)
	{
		case ML_PARAM_BOOL:
			if (value->type != jbvBool)
				fail_type(param, value);
			FIELD(bool, out, param) = value->val.boolean;
			break;
		case ML_PARAM_INT:
			if (param->def == NULL && word != NULL && strcmp(word, "auto") == 0)
				FIELD(int, out, param) = 0;
			else
				FIELD(int, out, param) = (int) parse_number(param, value);
			break;
		case ML_PARAM_REAL:
			if (param->def == NULL && word != NULL && strcmp(word, "auto") == 0)
				FIELD(double, out, param) = NAN;
			else
				FIELD(double, out, param) = parse_number(param, value);
			break;
		case ML_PARAM_PENALTY:
			if (word != NULL && strcmp(word, "cv") == 0)
				FIELD(double, out, param) = NAN;
			else
				FIELD(double, out, param) = parse_number(param, value);
			break;
		case ML_PARAM_ENUM:
			if (word == NULL || choice_find(param, word) < 0)
				fail_type(param, value);
			FIELD(int, out, param) = choice_find(param, word);
			break;
		case ML_PARAM_COLUMN:
		case ML_PARAM_MODEL:
			if (word == NULL || word[0] == '\0')
				fail_type(param, value);
			FIELD(char *, out, param) = word;
			break;
		case ML_PARAM_SIGNS:
		case ML_PARAM_SETS:
			if (!(param->type == ML_PARAM_SIGNS ? is_signs(value) : is_sets(value)))
				fail_type(param, value);
			FIELD(char *, out, param) = JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
			break;
	}
}

static void
set_defaults(const MlParam *table, void *out)
{
	char	   *wrong = ml_params_defaults(table, out);

	if (wrong != NULL)
		elog(ERROR, "%s", wrong);
}

void
ml_params_parse(Jsonb *given, const char *algorithm,
				const MlParam *core, void *core_out,
				const MlParam *own, void *own_out)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	const MlParam *param = NULL;
	void	   *out = NULL;

	if (core != NULL)
		set_defaults(core, core_out);
	set_defaults(own, own_out);
	if (given == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(given))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameters must be a JSON object"),
				 errhint("Write them as {\"name\": value, ...}.")));

	it = JsonbIteratorInit(&given->root);
	token = JsonbIteratorNext(&it, &value, true);	/* enter the object */
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			char	   *key = pnstrdup(value.val.string.val, value.val.string.len);

			param = ml_param_find(own, key);
			out = own_out;
			if (param == NULL)
			{
				param = ml_param_find(core, key);
				out = core_out;
			}
			if (param == NULL)
				fail_unknown(key, algorithm, core, own);
		}
		else if (token == WJB_VALUE)
			parse_value(param, &value, out);
	}
}

/* ---- back to jsonb ---- */

static void
number_value(double number, JsonbValue *value)
{
	value->type = jbvNumeric;
	value->val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in,
															 CStringGetDatum(number_text(number)),
															 ObjectIdGetDatum(InvalidOid),
															 Int32GetDatum(-1)));
}

static void
string_value(const char *text, JsonbValue *value)
{
	value->type = jbvString;
	value->val.string.val = unconstify(char *, text);
	value->val.string.len = (int) strlen(text);
}

static void
field_value(const MlParam *param, const void *in, JsonbValue *value)
{
	double		number;
	const char *text;

	value->type = jbvNull;
	switch (param->type)
	{
		case ML_PARAM_BOOL:
			value->type = jbvBool;
			value->val.boolean = CONST_FIELD(bool, in, param);
			break;
		case ML_PARAM_INT:
			if (param->def != NULL || CONST_FIELD(int, in, param) != 0)
				number_value(CONST_FIELD(int, in, param), value);
			break;
		case ML_PARAM_REAL:
		case ML_PARAM_PENALTY:
			number = CONST_FIELD(double, in, param);
			if (isfinite(number))
				number_value(number, value);
			else if (param->type == ML_PARAM_PENALTY)
				string_value("cv", value);
			break;
		case ML_PARAM_ENUM:
			string_value(param->choices[CONST_FIELD(int, in, param)], value);
			break;
		case ML_PARAM_COLUMN:
		case ML_PARAM_MODEL:
			text = CONST_FIELD(char *, in, param);
			if (text != NULL)
				string_value(text, value);
			break;
		case ML_PARAM_SIGNS:
		case ML_PARAM_SETS:
			text = CONST_FIELD(char *, in, param);
			if (text != NULL)
			{
				Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));

				value->type = jbvBinary;
				value->val.binary.data = &jsonb->root;
				value->val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
			}
			break;
	}
}

Jsonb *
ml_params_to_jsonb(const MlParam *core, const void *core_in,
				   const MlParam *own, const void *own_in)
{
	const MlParam *tables[2] = {core, own};
	const void *structs[2] = {core_in, own_in};
	JsonbParseState *state = NULL;
	JsonbValue *object;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int t = 0; t < 2; t++)
	{
		for (const MlParam *param = tables[t]; param != NULL && param->name != NULL; param++)
		{
			JsonbValue	key;
			JsonbValue	value;

			string_value(param->name, &key);
			field_value(param, structs[t], &value);
			pushJsonbValue(&state, WJB_KEY, &key);
			pushJsonbValue(&state, WJB_VALUE, &value);
		}
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(object);
}
