/*
 * json.h - reading members of JSON that anybody may have written, and writing some.
 */
#ifndef ML_CORE_JSON_H
#define ML_CORE_JSON_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* A scalar as text, NULL for null; an array or object as JSON. */
extern char *ml_json_text(JsonbValue *value);

extern JsonbContainer *ml_json_member(JsonbContainer *object, const char *key);	/* object or array, or NULL */
extern char *ml_json_string(JsonbContainer *object, const char *key);	/* a scalar as text; NULL: none */
extern double ml_json_number(JsonbContainer *object, const char *key);	/* NaN: none */
extern int	ml_json_size(JsonbContainer *array);	/* 0 for anything else */
extern JsonbContainer *ml_json_item(JsonbContainer *array, int i);
extern double ml_json_at(JsonbContainer *array, int i); /* NaN: no number */
extern char *ml_json_text_at(JsonbContainer *array, int i);	/* NULL: none */

/* The next member of an object; NULL is null. */
extern void ml_json_put_text(StringInfo out, const char *key, const char *value);

/* For a screen, to seven digits; null if not finite. */
extern void ml_json_put_number(StringInfo out, double value);

#endif
