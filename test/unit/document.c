/*
 * document.c - tests of the JSON and UBJSON parsers and of the readers of other libraries' models: what is
 * well-formed gives the values, what is not is an error, and no byte of a model can be changed into anything else.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/tree/document.h"
#include "algo/tree/foreign.h"
#include "host.h"

#define LITERAL(text) text, sizeof(text) - 1

typedef MlValue *(*Parse) (const char *bytes, size_t size);

/* The value, or NULL after an error. */
static const MlValue *
try_parse(Parse parse, const char *bytes, size_t size)
{
	const MlValue *volatile value = NULL;

	ml_test_sqlstate = "";
	if (setjmp(*ml_test_catch()) == 0)
	{
		value = parse(bytes, size);
		ml_test_uncatch();
	}
	return value;
}

static void
json_number(const char *text, double expected)
{
	const MlValue *v = try_parse(ml_json_parse, text, strlen(text));

	ml_test_ok(v && v->type == ML_VALUE_NUMBER && (v->number == expected || (isnan(expected) && isnan(v->number))),
			   "%.40s is a number", text);
}

static void
json_text(const char *text, const char *expected)
{
	const MlValue *v = try_parse(ml_json_parse, text, strlen(text));

	ml_test_ok(v && v->type == ML_VALUE_TEXT && strcmp(v->text, expected) == 0 && v->n == strlen(expected),
			   "%.40s is a text", text);
}

static void
bad(Parse parse, const char *bytes, size_t size, const char *what)
{
	const MlValue *v = try_parse(parse, bytes, size);

	ml_test_ok(v == NULL && strcmp(ml_test_sqlstate, "22P02") == 0, "%s is refused: %.90s", what, v ? "not so" : ml_test_message);
}

static void
test_json(void)
{
	static const char *const broken[] = {"", " ", "{", "[", "[1", "[1,", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "\"", "\"\\", "\"\\x\"",
		"\"\\u12\"", "\"\\u12G4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\\u0000\"", "\"a\tb\"", "1 2", "tru", "nul", "1x", "--1",
		"+", "1e", "[1}", "{\"a\":1]", "]", ",", "\"\\ud800\\", "'a'"};
	const MlValue *v;
	char		deep[400];

	json_number("0", 0);
	json_number("\t-12.5e-1 ", -1.25);
	json_number("1E400", INFINITY);
	json_number("-1e400", -INFINITY);
	json_number("1e-400", 0);
	json_number("5E-1", 0.5);
	json_number("9007199254740993", 9007199254740992.0);
	json_number("true", 1);
	json_number("false", 0);
	json_number("NaN", NAN);
	json_number("-Infinity", -INFINITY);
	json_text("\"\"", "");
	json_text("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz");
	json_text("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	json_text("\"gr\xc3\xb6\xc3\x9f" "e\"", "gr\xc3\xb6\xc3\x9f" "e");
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		bad(ml_json_parse, broken[i], strlen(broken[i]), broken[i]);
	bad(ml_json_parse, LITERAL("[1\0]"), "a zero byte");

	v = try_parse(ml_json_parse, LITERAL(" { \"a\" : [ 1 , 2, 3 ] , \"b\":{\"c\":\"x\",\"c\":\"4.5\"},\"d\":[],\"e\":[1,\"t\",null] } "));
	ml_test_ok(v && v->type == ML_VALUE_OBJECT && v->n == 4, "an object of four members");
	ml_test_ok(v && ml_value_need(v, "a", ML_VALUE_NUMBERS)->n == 3 && ml_value_find(v, "a")->numbers[2] == 3, "an array of numbers");
	ml_test_ok(v && ml_value_number(v, "b.c") == 4.5, "the last of two members of a name; a text that is a number");
	ml_test_ok(v && ml_value_need(v, "d", ML_VALUE_ARRAY)->n == 0 && ml_value_find(v, "d")->type == ML_VALUE_NUMBERS, "an empty array is of any kind");
	ml_test_ok(v && ml_value_find(v, "e")->type == ML_VALUE_ARRAY && ml_value_find(v, "e")->items[0].number == 1 &&
			   ml_value_find(v, "e")->items[2].type == ML_VALUE_NULL, "an array of all kinds");
	ml_test_ok(v && ml_value_find(v, "b.x") == NULL && ml_value_find(v, "a.c") == NULL && ml_value_find(v, "z") == NULL, "what is not there");

	for (int depth = 64; depth <= 65; depth++)
	{
		memset(deep, '[', depth);
		memset(deep + depth, ']', depth);
		if (depth == 64)
			ml_test_ok(try_parse(ml_json_parse, deep, 2 * depth) != NULL, "64 arrays in each other");
		else
			bad(ml_json_parse, deep, 2 * depth, "an array deeper than that");
	}
}

static void
test_ubjson(void)
{
	const MlValue *v;

	v = try_parse(ml_ubjson_parse, LITERAL("{L\0\0\0\0\0\0\0\1a[$d#L\0\0\0\0\0\0\0\2\x3f\x80\0\0\xc0\0\0\0i\1bSL\0\0\0\0\0\0\0\2hii\1cI\xff\xfei\1dTi\1eZ}"));
	ml_test_ok(v && v->n == 5 && ml_value_find(v, "a")->n == 2 && ml_value_find(v, "a")->numbers[0] == 1 &&
			   ml_value_find(v, "a")->numbers[1] == -2, "an array of single precision");
	ml_test_ok(v && strcmp(ml_value_text(v, "b"), "hi") == 0 && ml_value_number(v, "c") == -2 && ml_value_number(v, "d") == 1 &&
			   ml_value_find(v, "e")->type == ML_VALUE_NULL, "text, numbers, null");
	v = try_parse(ml_ubjson_parse, LITERAL("[#i\3i\xffU\xffNl\0\0\1\0"));
	ml_test_ok(v && v->n == 3 && v->numbers[0] == -1 && v->numbers[1] == 255 && v->numbers[2] == 256, "a counted array of several types");
	v = try_parse(ml_ubjson_parse, LITERAL("[D\x3f\xf0\0\0\0\0\0\0[]Si\1x]"));
	ml_test_ok(v && v->type == ML_VALUE_ARRAY && v->n == 3 && v->items[0].number == 1, "an array that ends");
	bad(ml_ubjson_parse, LITERAL("[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff"), "a count of 2^63 - 1");
	bad(ml_ubjson_parse, LITERAL("[$d#L\xff\xff\xff\xff\xff\xff\xff\xff"), "a negative count");
	bad(ml_ubjson_parse, LITERAL("[$d#l\0\0\0\2\0\0\0\0"), "an array that is cut off");
	bad(ml_ubjson_parse, LITERAL("[$Z#i\5"), "a count beyond the bytes that are left");
	bad(ml_ubjson_parse, LITERAL("[$di\1"), "a type without a count");
	bad(ml_ubjson_parse, LITERAL("Sl\0\0\1\0abc"), "a text that is cut off");
	bad(ml_ubjson_parse, LITERAL("Si\3a\0b"), "a text with a zero byte");
	bad(ml_ubjson_parse, LITERAL("Sd\x3f\x80\0\0a"), "a length that is no whole number");
	bad(ml_ubjson_parse, LITERAL("x"), "a type that does not exist");
	bad(ml_ubjson_parse, LITERAL("{i\1a"), "an object without an end");
	bad(ml_ubjson_parse, LITERAL("TT"), "something behind the end");
	bad(ml_ubjson_parse, LITERAL("NNN"), "nothing");
}

/* ---- whole models ---- */

static char *
slurp(const char *path, size_t *size)
{
	FILE	   *file = fopen(path, "rb");
	char	   *bytes = malloc(1 << 20);

	*size = file && bytes ? fread(bytes, 1, 1 << 20, file) : 0;
	if (file)
		fclose(file);
	return bytes;
}

/* Reads, predicts and explains a row, and writes again: 0 an error as it should be, 1 good, -1 anything else. */
static int
use(const MlFormat *format, const char *bytes, size_t size)
{
	/* volatile: changed between setjmp and longjmp */
	volatile int result = 0;
	char	   *copy = malloc(size > 0 ? size : 1);	/* exactly so long: sanitizers see reads beyond */

	memcpy(copy, bytes, size);
	if (setjmp(*ml_test_catch()) == 0)
	{
		MlForeign	foreign = {0};
		double	   *x;
		double	   *contributions;
		double		base;
		double		out[1001];

		format->read(copy, size, &foreign);
		x = ml_alloc(foreign.p + 1, sizeof(double));
		contributions = ml_alloc(foreign.p + 1, sizeof(double));
		for (int j = 0; j < foreign.p; j++)
			x[j] = j % 3 == 2 ? NAN : foreign.levels[j] > 0 ? 1 : 0.5;
		ml_trees_predict(foreign.model, x, out);
		ml_trees_explain(foreign.model, x, 0, &base, contributions);
		result = 1;
		ml_test_uncatch();
	}
	else if (strcmp(ml_test_sqlstate, "22P02") != 0 && strcmp(ml_test_sqlstate, "0A000") != 0 &&
			 strcmp(ml_test_sqlstate, "53200") != 0 && strcmp(ml_test_sqlstate, "22000") != 0)
		result = -1;
	ml_test_free_all();
	free(copy);
	return result;
}

/* Where the blank line behind the last tree ends. */
static size_t
behind_trees(const char *bytes, size_t size)
{
	size_t		at = size - 12;

	while (at > 0 && memcmp(bytes + at, "end of trees", 12) != 0)
		at--;
	return at - 1;
}

static void
change_all(const MlFormat *format, const char *name)
{
	char		path[200];
	size_t		size;
	char	   *bytes;
	int			bad_bytes = 0;
	int			refused = 0;
	int			cut = 0;

	snprintf(path, sizeof(path), "test/data/models/%s", name);
	bytes = slurp(path, &size);
	ml_test_budget = (size_t) 16 << 20;
	ml_test_ok(size > 1000 && use(format, bytes, size) == 1, "%s is read", name);
	for (size_t i = 0; i < size; i++)
	{
		char		was = bytes[i];
		int			state;

		bytes[i] ^= 1 << (i * 7919 % 1009 % 8);
		state = use(format, bytes, size);
		bad_bytes += state < 0;
		refused += state == 0;
		bytes[i] = was;
	}
	ml_test_ok(bad_bytes == 0 && refused > 0, "%s: with a bit changed in any byte it is refused (%d) or works (%zu)",
			   name, refused, size - refused);
	bad_bytes = 0;
	for (size_t i = 0; i < size; i++)
	{
		int			state = use(format, bytes, i);

		bad_bytes += state < 0;
		cut += state == 1;
	}
	/* of a text, what stands behind the trees may be missing */
	ml_test_ok(bad_bytes == 0 && cut <= (format == &ml_format_lightgbm ? size - behind_trees(bytes, size) : 0), "%s: cut off anywhere it is refused", name);
	ml_test_budget = SIZE_MAX;
	free(bytes);
}

int
main(void)
{
	test_json();
	test_ubjson();
	change_all(&ml_format_xgboost, "xgboost17_sets.json");
	change_all(&ml_format_xgboost, "xgboost17_sets.ubj");
	change_all(&ml_format_xgboost, "xgboost33_dart.ubj");
	change_all(&ml_format_lightgbm, "lightgbm4_sets.txt");
	change_all(&ml_format_lightgbm, "lightgbm4_regression.txt");
	return ml_test_done();
}
