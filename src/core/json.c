/*
 * json.c - reading JSON that anybody may have written: what is not there, or of
 * another type, is none, and no number leaves the range of a double.  And writing it.
 */
#include "core/json.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/json.h"

char *
ml_json_text(JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return NULL;
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		default:
			return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
	}
}

JsonbContainer *
ml_json_member(JsonbContainer *object, const char *key)
{
	JsonbValue *value;

	if (object == NULL || !JsonContainerIsObject(object))
		return NULL;
	value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
	return value && value->type == jbvBinary ? value->val.binary.data : NULL;
}

char *
ml_json_string(JsonbContainer *object, const char *key)
{
	JsonbValue *value;

	if (object == NULL || !JsonContainerIsObject(object))
		return NULL;
	value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
	return value && value->type != jbvBinary ? ml_json_text(value) : NULL;
}

static double
number_of(const JsonbValue *value)
{
	if (value == NULL || value->type != jbvNumeric)
		return NAN;
	/* beyond a double's range it is none */
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
}

double
ml_json_number(JsonbContainer *object, const char *key)
{
	if (object == NULL || !JsonContainerIsObject(object))
		return NAN;
	return number_of(getKeyJsonValueFromContainer(object, key, strlen(key), NULL));
}

int
ml_json_size(JsonbContainer *array)
{
	return array && JsonContainerIsArray(array) ? JsonContainerSize(array) : 0;
}

static JsonbValue *
item(JsonbContainer *array, int i)
{
	return i < ml_json_size(array) ? getIthJsonbValueFromContainer(array, i) : NULL;
}

JsonbContainer *
ml_json_item(JsonbContainer *array, int i)
{
	JsonbValue *value = item(array, i);

	return value && value->type == jbvBinary ? value->val.binary.data : NULL;
}

double
ml_json_at(JsonbContainer *array, int i)
{
	return number_of(item(array, i));
}

char *
ml_json_text_at(JsonbContainer *array, int i)
{
	JsonbValue *value = item(array, i);

	return value ? ml_json_text(value) : NULL;
}

void
ml_json_put_text(StringInfo s, const char *key, const char *value)
{
	appendStringInfo(s, "%s\"%s\": ", s->data[s->len - 1] == '{' ? "" : ", ", key);
	if (value)
		escape_json(s, value);
	else
		appendStringInfoString(s, "null");
}

void
ml_json_put_number(StringInfo out, double value)
{
	if (isfinite(value))
		appendStringInfo(out, "%.7g", value == 0 ? 0.0 : value);
	else
		appendStringInfoString(out, "null");
}
