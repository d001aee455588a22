/*
 * document.h - JSON (RFC 8259) and UBJSON (draft 12) texts as a tree of values,
 * for models of other libraries.  Input is not trusted.
 */
#ifndef ML_TREE_DOCUMENT_H
#define ML_TREE_DOCUMENT_H

#include "ml.h"

typedef enum MlValueType
{
	ML_VALUE_NULL,
	ML_VALUE_NUMBER,			/* also true and false: 1 and 0 */
	ML_VALUE_TEXT,
	ML_VALUE_NUMBERS,			/* an array of nothing but numbers, also an empty one */
	ML_VALUE_ARRAY,				/* any other */
	ML_VALUE_OBJECT
} MlValueType;

typedef struct MlValue
{
	MlValueType type;
	size_t		n;				/* bytes of a text; elements of the others */
	double		number;
	char	   *text;			/* zero-terminated; holds no zero byte */
	double	   *numbers;
	struct MlValue *items;		/* ARRAY, OBJECT */
	char	  **keys;			/* OBJECT: n, in step with items */
} MlValue;

/* All memory from ml_alloc.  What is not well-formed is ml_malformed, with the byte where. */
extern MlValue *ml_json_parse(const char *bytes, size_t size);
extern MlValue *ml_ubjson_parse(const char *bytes, size_t size);

/*
 * A member by a path such as "learner.objective.name"; NULL when there is
 * none.  The last one counts when a key stands twice.
 */
extern const MlValue *ml_value_find(const MlValue *value, const char *path);

/* Members that must be there; ml_malformed names the path otherwise. */
extern const MlValue *ml_value_need(const MlValue *value, const char *path, MlValueType type);
extern const char *ml_value_text(const MlValue *value, const char *path);
extern double ml_value_number(const MlValue *value, const char *path);	/* also a text that is a number */

#endif
