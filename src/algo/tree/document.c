/*
 * document.c - reading JSON and UBJSON into a tree of values.
 *
 * Both readers fill the same builder: arrays grow by doubling and stay arrays of
 * plain doubles as long as all elements are numbers, which is what models consist of.
 * Nesting is limited, and no length is believed before the bytes for it are there.
 */
#include "document.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64
#define INTERRUPT_EVERY 65536	/* values */

typedef struct Parser
{
	const unsigned char *at;
	const unsigned char *start;
	const unsigned char *end;
	int			depth;
	unsigned	seen;			/* values, for interrupts */
} Parser;

static void ML_NORETURN
fail(const Parser *p, const char *expected)
{
	ml_malformed("not a well-formed document: %s expected at byte %zu", expected, (size_t) (p->at - p->start));
}

static void *
grow(void *old, size_t *room, size_t n, size_t size)
{
	size_t		more = *room > 0 ? 2 * *room : 8;
	char	   *new = ml_alloc(more, size);

	if (n > 0)
		memcpy(new, old, n * size);
	if (old)
		ml_free(old);
	*room = more;
	return new;
}

/* ---- arrays and objects under construction ---- */

typedef struct Builder
{
	MlValue    *value;
	size_t		room;			/* of numbers, or items */
	size_t		key_room;
} Builder;

/* Numbers read so far become values, for an array in which something else follows. */
static void
numbers_to_items(Builder *b)
{
	MlValue    *v = b->value;
	size_t		n = v->n;
	size_t		room = n + 8;
	MlValue    *items = ml_alloc(room, sizeof(MlValue));

	for (size_t i = 0; i < n; i++)
	{
		items[i].type = ML_VALUE_NUMBER;
		items[i].number = v->numbers[i];
	}
	if (v->numbers)
		ml_free(v->numbers);
	v->numbers = NULL;
	v->items = items;
	v->type = ML_VALUE_ARRAY;
	b->room = room;
}

static void
array_add(Builder *b, const MlValue *element)
{
	MlValue    *v = b->value;

	if (v->type == ML_VALUE_NUMBERS && element->type != ML_VALUE_NUMBER)
		numbers_to_items(b);
	if (v->type == ML_VALUE_NUMBERS)
	{
		if (v->n == b->room)
			v->numbers = grow(v->numbers, &b->room, v->n, sizeof(double));
		v->numbers[v->n++] = element->number;
		return;
	}
	if (v->n == b->room)
		v->items = grow(v->items, &b->room, v->n, sizeof(MlValue));
	v->items[v->n++] = *element;
}

static void
object_add(Builder *b, char *key, const MlValue *element)
{
	MlValue    *v = b->value;

	if (v->n == b->room)
		v->items = grow(v->items, &b->room, v->n, sizeof(MlValue));
	if (v->n == b->key_room)
		v->keys = grow(v->keys, &b->key_room, v->n, sizeof(char *));
	v->keys[v->n] = key;
	v->items[v->n++] = *element;
}

static void
enter(Parser *p)
{
	if (++p->depth > MAX_DEPTH)
		ml_malformed("a document nested more than %d deep is not read", MAX_DEPTH);
}

static void
count_value(Parser *p)
{
	if (++p->seen % INTERRUPT_EVERY == 0)
		ml_check_interrupts();
}

/* ---- JSON ---- */

static void
skip_space(Parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
		p->at++;
}

static bool
next_is(Parser *p, char c)
{
	skip_space(p);
	if (p->at < p->end && *p->at == (unsigned char) c)
	{
		p->at++;
		return true;
	}
	return false;
}

static bool
word(Parser *p, const char *text)
{
	size_t		n = strlen(text);

	if ((size_t) (p->end - p->at) < n || memcmp(p->at, text, n) != 0)
		return false;
	p->at += n;
	return true;
}

static unsigned
hex4(Parser *p)
{
	unsigned	code = 0;

	for (int i = 0; i < 4; i++, p->at++)
	{
		int			c = p->at < p->end ? *p->at : 0;

		if (c >= '0' && c <= '9')
			code = code * 16 + (c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			code = code * 16 + ((c | 32) - 'a' + 10);
		else
			fail(p, "four hexadecimal digits");
	}
	return code;
}

static char *
put_utf8(char *to, unsigned code)
{
	if (code < 0x80)
		*to++ = code;
	else if (code < 0x800)
	{
		*to++ = 0xc0 | code >> 6;
		*to++ = 0x80 | (code & 0x3f);
	}
	else if (code < 0x10000)
	{
		*to++ = 0xe0 | code >> 12;
		*to++ = 0x80 | (code >> 6 & 0x3f);
		*to++ = 0x80 | (code & 0x3f);
	}
	else
	{
		*to++ = 0xf0 | code >> 18;
		*to++ = 0x80 | (code >> 12 & 0x3f);
		*to++ = 0x80 | (code >> 6 & 0x3f);
		*to++ = 0x80 | (code & 0x3f);
	}
	return to;
}

static char *
escape(Parser *p, char *to)
{
	static const char from[] = "\"\\/bfnrt";
	static const char into[] = "\"\\/\b\f\n\r\t";
	const char *which;
	unsigned	code;

	if (p->at == p->end)
		fail(p, "an escaped character");
	if (*p->at != 'u')
	{
		which = *p->at ? strchr(from, *p->at) : NULL;
		if (which == NULL)
			fail(p, "an escaped character");
		p->at++;
		*to++ = into[which - from];
		return to;
	}
	p->at++;
	code = hex4(p);
	if (code >= 0xd800 && code < 0xdc00)
	{
		unsigned	low;

		if (!word(p, "\\u") || (low = hex4(p)) < 0xdc00 || low > 0xdfff)
			fail(p, "the second half of a surrogate pair");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	else if (code == 0 || (code >= 0xdc00 && code < 0xe000))
		fail(p, "a character other than U+0000 or half a surrogate pair");
	return put_utf8(to, code);
}

/* The opening quote is behind us. */
static char *
json_text(Parser *p, size_t *length)
{
	const unsigned char *close = p->at;
	char	   *text;
	char	   *to;

	while (close < p->end && *close != '"')
		close += *close == '\\' ? 2 : 1;
	if (close >= p->end)
	{
		p->at = p->end;
		fail(p, "a closing quote");
	}
	to = text = ml_alloc(close - p->at + 1, 1); /* no escape is shorter than what it stands for */
	while (p->at < close)
	{
		if (*p->at < 0x20)
			fail(p, "a character that is not a control character");
		if (*p->at != '\\')
			*to++ = *p->at++;
		else
		{
			p->at++;
			to = escape(p, to);
		}
	}
	p->at = close + 1;
	*length = to - text;
	return text;
}

static double
json_number(Parser *p)
{
	char		copy[400];		/* longer than any double printed to its last digit */
	size_t		n = 0;
	char	   *end;
	double		number;

	while (p->at + n < p->end && n < sizeof(copy) - 1 && strchr("+-.eE0123456789", p->at[n]) && p->at[n])
		n++;
	memcpy(copy, p->at, n);
	copy[n] = '\0';
	number = strtod(copy, &end);
	if (n == 0 || *end != '\0')
		fail(p, "a value");
	p->at += n;
	return number;
}

static void json_value(Parser *p, MlValue *out);

static void
json_array(Parser *p, MlValue *out)
{
	Builder		b = {.value = out};

	out->type = ML_VALUE_NUMBERS;
	if (next_is(p, ']'))
		return;
	do
	{
		MlValue		element = {0};

		json_value(p, &element);
		array_add(&b, &element);
	} while (next_is(p, ','));
	if (!next_is(p, ']'))
		fail(p, "\",\" or \"]\"");
}

static void
json_object(Parser *p, MlValue *out)
{
	Builder		b = {.value = out};

	out->type = ML_VALUE_OBJECT;
	if (next_is(p, '}'))
		return;
	do
	{
		MlValue		element = {0};
		size_t		length;
		char	   *key;

		if (!next_is(p, '"'))
			fail(p, "a key");
		key = json_text(p, &length);
		if (!next_is(p, ':'))
			fail(p, "\":\"");
		json_value(p, &element);
		object_add(&b, key, &element);
	} while (next_is(p, ','));
	if (!next_is(p, '}'))
		fail(p, "\",\" or \"}\"");
}

static void
json_value(Parser *p, MlValue *out)
{
	count_value(p);
	enter(p);
	if (next_is(p, '{'))
		json_object(p, out);
	else if (next_is(p, '['))
		json_array(p, out);
	else if (next_is(p, '"'))
	{
		out->type = ML_VALUE_TEXT;
		out->text = json_text(p, &out->n);
	}
	else if (word(p, "null"))
		out->type = ML_VALUE_NULL;
	else
	{
		out->type = ML_VALUE_NUMBER;
		if (word(p, "true"))
			out->number = 1;
		else if (word(p, "false"))
			out->number = 0;
		else if (word(p, "NaN") || word(p, "nan"))
			out->number = NAN;
		else if (word(p, "Infinity") || word(p, "inf"))
			out->number = INFINITY;
		else if (word(p, "-Infinity") || word(p, "-inf"))
			out->number = -INFINITY;
		else
			out->number = json_number(p);
	}
	p->depth--;
}

static MlValue *
parse(const char *bytes, size_t size, void (*read_value) (Parser *p, MlValue *out))
{
	Parser		p = {0};
	MlValue    *value = ml_alloc(1, sizeof(MlValue));

	p.at = p.start = (const unsigned char *) bytes;
	p.end = p.start + size;
	read_value(&p, value);
	skip_space(&p);
	if (p.at != p.end)
		fail(&p, "the end");
	return value;
}

MlValue *
ml_json_parse(const char *bytes, size_t size)
{
	return parse(bytes, size, json_value);
}

/* ---- UBJSON ---- */

static int
ubj_byte(Parser *p)
{
	if (p->at == p->end)
		fail(p, "a type");
	return *p->at++;
}

/* The next type, no-ops skipped. */
static int
ubj_type(Parser *p)
{
	int			type;

	do
		type = ubj_byte(p);
	while (type == 'N');
	return type;
}

static size_t
ubj_size(int type)
{
	switch (type)
	{
		case 'i':
		case 'U':
		case 'C':
			return 1;
		case 'I':
			return 2;
		case 'l':
		case 'd':
			return 4;
		case 'L':
		case 'D':
			return 8;
		default:
			return 0;
	}
}

static double
ubj_number(Parser *p, int type)
{
	size_t		size = ubj_size(type);
	uint64_t	bits = 0;
	float		single;
	uint32_t	half;
	double		number;

	if ((size_t) (p->end - p->at) < size)
		fail(p, "a number");
	for (size_t i = 0; i < size; i++)
		bits = bits << 8 | *p->at++;
	switch (type)
	{
		case 'i':
			return (int8_t) bits;
		case 'I':
			return (int16_t) bits;
		case 'l':
			return (int32_t) bits;
		case 'L':
			return (double) (int64_t) bits;
		case 'd':
			half = (uint32_t) bits;
			memcpy(&single, &half, 4);
			return single;
		case 'D':
			memcpy(&number, &bits, 8);
			return number;
		default:
			return (double) bits;
	}
}

/* A length or count, no greater than the bytes that are left. */
static size_t
ubj_count(Parser *p)
{
	int			type = ubj_byte(p);
	double		count;

	if (type == 'd' || type == 'D' || type == 'C' || ubj_size(type) == 0)
		fail(p, "a length");
	count = ubj_number(p, type);
	if (count < 0 || count > (double) (p->end - p->at))
		fail(p, "a length that the document can hold");
	return (size_t) count;
}

static char *
ubj_text(Parser *p, size_t *length)
{
	size_t		n = ubj_count(p);
	char	   *text = ml_alloc(n + 1, 1);

	memcpy(text, p->at, n);
	if (memchr(text, '\0', n))
		fail(p, "a text without zero bytes");
	p->at += n;
	*length = n;
	return text;
}

static void ubj_value_of(Parser *p, int type, MlValue *out);

/* What may stand behind the bracket: the type of all elements, and how many. */
static void
ubj_header(Parser *p, int *type, bool *counted, size_t *count)
{
	*type = 0;
	*counted = false;
	if (p->at < p->end && *p->at == '$')
	{
		p->at++;
		*type = ubj_byte(p);
		if (p->at == p->end || *p->at != '#')
			fail(p, "a count");
	}
	if (p->at < p->end && *p->at == '#')
	{
		p->at++;
		*counted = true;
		*count = ubj_count(p);
	}
}

static void
ubj_numbers(Parser *p, int type, size_t count, MlValue *out)
{
	if ((size_t) (p->end - p->at) / ubj_size(type) < count)
		fail(p, "all elements of an array");
	out->n = count;
	out->numbers = ml_alloc(count > 0 ? count : 1, sizeof(double));
	for (size_t i = 0; i < count; i++)
	{
		if (i % INTERRUPT_EVERY == 0)
			ml_check_interrupts();
		out->numbers[i] = ubj_number(p, type);
	}
}

static void
ubj_array(Parser *p, MlValue *out)
{
	Builder		b = {.value = out};
	int			type;
	bool		counted;
	size_t		count = 0;

	out->type = ML_VALUE_NUMBERS;
	ubj_header(p, &type, &counted, &count);
	if (counted && type != 0 && ubj_size(type) > 0)
	{
		ubj_numbers(p, type, count, out);
		return;
	}
	for (size_t i = 0; !counted || i < count; i++)
	{
		MlValue		element = {0};
		int			of = type != 0 ? type : ubj_type(p);

		if (!counted && of == ']')
			return;
		ubj_value_of(p, of, &element);
		array_add(&b, &element);
	}
}

static void
ubj_object(Parser *p, MlValue *out)
{
	Builder		b = {.value = out};
	int			type;
	bool		counted;
	size_t		count = 0;

	out->type = ML_VALUE_OBJECT;
	ubj_header(p, &type, &counted, &count);
	for (size_t i = 0; !counted || i < count; i++)
	{
		MlValue		element = {0};
		size_t		length;
		char	   *key;

		if (!counted)
		{
			while (p->at < p->end && *p->at == 'N')
				p->at++;
			if (p->at < p->end && *p->at == '}')
			{
				p->at++;
				return;
			}
		}
		key = ubj_text(p, &length);
		ubj_value_of(p, type != 0 ? type : ubj_type(p), &element);
		object_add(&b, key, &element);
	}
}

static void
ubj_value_of(Parser *p, int type, MlValue *out)
{
	count_value(p);
	enter(p);
	if (type == '{')
		ubj_object(p, out);
	else if (type == '[')
		ubj_array(p, out);
	else if (type == 'S' || type == 'H')
	{
		out->type = ML_VALUE_TEXT;
		out->text = ubj_text(p, &out->n);
	}
	else if (type == 'Z')
		out->type = ML_VALUE_NULL;
	else if (type == 'T' || type == 'F')
	{
		out->type = ML_VALUE_NUMBER;
		out->number = type == 'T';
	}
	else if (ubj_size(type) > 0)
	{
		out->type = ML_VALUE_NUMBER;
		out->number = ubj_number(p, type);
	}
	else
		fail(p, "a type");
	p->depth--;
}

static void
ubj_value(Parser *p, MlValue *out)
{
	ubj_value_of(p, ubj_type(p), out);
}

MlValue *
ml_ubjson_parse(const char *bytes, size_t size)
{
	return parse(bytes, size, ubj_value);
}

/* ---- finding ---- */

const MlValue *
ml_value_find(const MlValue *value, const char *path)
{
	while (value && *path)
	{
		size_t		length = strcspn(path, ".");
		const MlValue *next = NULL;

		if (value->type != ML_VALUE_OBJECT)
			return NULL;
		for (size_t i = 0; i < value->n; i++)
			if (strncmp(value->keys[i], path, length) == 0 && value->keys[i][length] == '\0')
				next = &value->items[i];
		value = next;
		path += length;
		if (*path == '.')
			path++;
	}
	return value;
}

const MlValue *
ml_value_need(const MlValue *value, const char *path, MlValueType type)
{
	static const char *const names[] = {"null", "a number", "a text", "an array of numbers", "an array", "an object"};
	const MlValue *found = ml_value_find(value, path);

	if (found == NULL)
		ml_malformed("the document has no member \"%s\"", path);
	if (found->type != type && !(type == ML_VALUE_ARRAY && found->type == ML_VALUE_NUMBERS && found->n == 0))
		ml_malformed("member \"%s\" is %s, expected is %s", path, names[found->type], names[type]);
	return found;
}

const char *
ml_value_text(const MlValue *value, const char *path)
{
	return ml_value_need(value, path, ML_VALUE_TEXT)->text;
}

double
ml_value_number(const MlValue *value, const char *path)
{
	const MlValue *found = ml_value_find(value, path);
	char	   *end;
	double		number;

	if (found == NULL || found->type != ML_VALUE_TEXT)
		return ml_value_need(value, path, ML_VALUE_NUMBER)->number;
	number = strtod(found->text, &end);
	if (end == found->text || *end != '\0')
		ml_malformed("member \"%s\" is \"%s\", expected is a number", path, found->text);
	return number;
}
