/*
 * to_sql.c - ml_to_sql: a model as one SQL expression that any PostgreSQL runs.
 *
 * Here is what encode.c does, in SQL: one expression for each encoded column,
 * one condition for the rows that ml_predict refuses (the expression is NULL for
 * them), and the function itself.
 *
 * Names go through quote_identifier and texts through quote_literal_cstr;
 * a number is '1.5'::float8, which is that very number whatever stands before it.
 * Categories are compared byte by byte, COLLATE "C".  Arithmetic of float8 raises
 * an error where C gives 0 or infinity: numbers below TINY are taken as 0, which
 * keeps products with them from an underflow.
 */
#include "deploy/to_sql.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "core/predict.h"
#include "utils/builtins.h"

#define TINY "1e-290"

void
ml_sql_piece(MlSqlColumns *c, int64 n)
{
	c->pieces += n;
	if (c->pieces > ML_SQL_MAX_PIECES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model is too large to be written as SQL"),
				 errdetail("The expression would have more than %d numbers and texts.", ML_SQL_MAX_PIECES),
				 errhint("Train it with fewer or smaller trees, or fewer categories.")));
}

void
ml_sql_number(StringInfo s, double value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(value, digits);
	appendStringInfo(s, "'%s'::float8", digits);
}

/* ---- cells ---- */

static void
add_name(StringInfo s, const MlSqlColumns *c, const MlColumn *column)
{
	if (c->alias)
		appendStringInfo(s, "%s.", quote_identifier(c->alias));
	appendStringInfoString(s, quote_identifier(column->name));
}

static bool
starts_with(const char *text, const char *start)
{
	return text != NULL && strncmp(text, start, strlen(start)) == 0;
}

/* Is it an array, and not pgvector's type? */
static bool
is_array(const MlColumn *column)
{
	size_t		len = column->type ? strlen(column->type) : 0;

	return len > 2 && strcmp(column->type + len - 2, "[]") == 0;
}

/* Can a value be NaN or infinite? */
static bool
may_be_nan(const MlColumn *column)
{
	if (column->kind != ML_NUMBER && column->kind != ML_ARRAY)
		return false;
	return !starts_with(column->type, "smallint") && !starts_with(column->type, "integer") &&
		!starts_with(column->type, "bigint");
}

/* The cell as float8, NULL or NaN where it is missing. */
static void
add_cell(StringInfo s, const MlSqlColumns *c, const MlColumn *column, int cell)
{
	StringInfoData name;

	initStringInfo(&name);
	add_name(&name, c, column);
	switch (column->kind)
	{
		case ML_BOOLEAN:
			appendStringInfo(s, "%s::int::float8", name.data);
			break;
		case ML_INTERVAL:
			appendStringInfo(s, "((((extract(year FROM %s) * 12 + extract(month FROM %s)) * 30 + extract(day FROM %s)) * 86400)::float8"
							 " + (extract(hour FROM %s) * 3600 + extract(minute FROM %s) * 60 + extract(second FROM %s))::float8)",
							 name.data, name.data, name.data, name.data, name.data, name.data);
			break;
		case ML_TIME:
			appendStringInfo(s, "extract(epoch FROM %s)::float8", name.data);
			break;
		case ML_ARRAY:
			/* The elements as they come, whatever the first one's number. */
			if (is_array(column))
				appendStringInfo(s, "(%s)[pg_catalog.array_lower(%s, 1) + %d]::float8", name.data, name.data, cell);
			else
				appendStringInfo(s, "(%s::real[])[%d]::float8", name.data, cell + 1);
			break;
		default:
			appendStringInfo(s, "%s::float8", name.data);
			break;
	}
	pfree(name.data);
}

/* A condition: whether anything of the column is missing. */
static void
add_missing(StringInfo s, const MlSqlColumns *c, const MlColumn *column)
{
	StringInfoData name;

	initStringInfo(&name);
	add_name(&name, c, column);
	appendStringInfo(s, "%s IS NULL", name.data);
	if (column->kind == ML_ARRAY)
	{
		const char *type = is_array(column) ? "" : "::real[]";

		appendStringInfo(s, " OR pg_catalog.array_position(%s%s::float8[], NULL) IS NOT NULL", name.data, type);
		if (may_be_nan(column))
			appendStringInfo(s, " OR pg_catalog.array_position(%s%s::float8[], 'NaN'::float8) IS NOT NULL", name.data, type);
	}
	else if (may_be_nan(column))
		appendStringInfo(s, " OR %s::float8 = 'NaN'::float8", name.data);
	pfree(name.data);
}

static void
add_category(StringInfo s, const MlSqlColumns *c, const MlColumn *column)
{
	appendStringInfoChar(s, '(');
	add_name(s, c, column);
	appendStringInfoString(s, ")::text COLLATE \"C\"");
}

static void
add_level(StringInfo s, const MlColumn *column, int code)
{
	appendStringInfoString(s, quote_literal_cstr(ml_dict_get(column->dict, code, NULL)));
}

/* ---- encoded columns ---- */

static const MlEncoding *
encoding_of(const MlSqlColumns *c, int j, const MlColumn **column)
{
	int			i = c->encoder->source[j];

	*column = &c->encoder->schema->columns[i];
	return &c->encoder->columns[i];
}

static bool
forbids_missing(const MlEncoding *e)
{
	return e->impute == ML_IMPUTE_ERROR || e->impute == ML_IMPUTE_DROP;
}

/* Is a missing number or date replaced by another one? */
static bool
fills(const MlEncoding *e)
{
	return e->impute != ML_IMPUTE_NATIVE && !forbids_missing(e) && e->fill != NULL;
}

static void
add_number_filled(StringInfo s, MlSqlColumns *c, const MlEncoding *e, const MlColumn *column, int k)
{
	StringInfoData cell;

	initStringInfo(&cell);
	add_cell(&cell, c, column, k);
	if (e->impute == ML_IMPUTE_NATIVE)
		appendStringInfo(s, may_be_nan(column) ? "nullif(%s, 'NaN'::float8)" : "%s", cell.data);
	else if (may_be_nan(column))
	{
		appendStringInfoString(s, "CASE ");
		if (fills(e))
		{
			appendStringInfo(s, "WHEN %s IS NULL OR %s = 'NaN'::float8 THEN ", cell.data, cell.data);
			ml_sql_number(s, e->fill[k]);
		}
		appendStringInfo(s, " WHEN pg_catalog.abs(%s) >= " TINY " THEN %s ELSE '0'::float8 END", cell.data, cell.data);
	}
	else if (fills(e))
	{
		appendStringInfo(s, "coalesce(%s, ", cell.data);
		ml_sql_number(s, e->fill[k]);
		appendStringInfoChar(s, ')');
	}
	else
		appendStringInfoString(s, cell.data);
	pfree(cell.data);
}

/* Days, month, day of week and hour, as encode_date has them. */
static void
add_date_part(StringInfo s, MlSqlColumns *c, const MlColumn *column, int part)
{
	StringInfoData name;
	char	   *seconds;
	const char *utc = column->kind == ML_TIMESTAMPTZ ? " AT TIME ZONE 'UTC'" : "";

	initStringInfo(&name);
	add_name(&name, c, column);
	seconds = psprintf("(extract(epoch FROM %s) - 946684800)::float8", name.data);
	if (part == 0 && column->kind == ML_DATE)
		appendStringInfo(s, "(%s - '2000-01-01'::date)::float8", name.data);
	else if (part == 0)
		appendStringInfo(s, "%s / '86400'::float8", seconds);
	else if (part == 1)
		appendStringInfo(s, "extract(month FROM %s%s)::float8", name.data, utc);
	else if (part == 2)
		appendStringInfo(s, "extract(dow FROM %s%s)::float8", name.data, utc);
	else
		appendStringInfo(s, "(%s - pg_catalog.floor(%s / '86400'::float8) * '86400'::float8) / '3600'::float8",
						 seconds, seconds);
	pfree(name.data);
}

static void
add_date_filled(StringInfo s, MlSqlColumns *c, const MlEncoding *e, const MlColumn *column, int k)
{
	if (!fills(e))
	{
		add_date_part(s, c, column, k);
		return;
	}
	appendStringInfoString(s, "coalesce(");
	add_date_part(s, c, column, k);
	appendStringInfoString(s, ", ");
	ml_sql_number(s, e->fill[k]);
	appendStringInfoChar(s, ')');
}

/* A number or a date's part: filled and scaled. */
static void
add_scaled(StringInfo s, MlSqlColumns *c, const MlEncoding *e, const MlColumn *column, int k)
{
	bool		scaled = e->scale != NULL && (e->center[k] != 0 || e->scale[k] != 1);

	if (scaled)
		appendStringInfoString(s, "((");
	if (e->code == ML_CODE_DATE)
		add_date_filled(s, c, e, column, k);
	else
		add_number_filled(s, c, e, column, k);
	if (!scaled)
		return;
	appendStringInfoString(s, " - ");
	ml_sql_number(s, e->center[k]);
	appendStringInfoString(s, ") / ");
	ml_sql_number(s, e->scale[k]);
	appendStringInfoChar(s, ')');
}

/* " IN ('a', 'b')" of the levels that are in a slot, or are not; false, and nothing, when there are none. */
static bool
add_in(StringInfo s, MlSqlColumns *c, const MlEncoding *e, const MlColumn *column, int slot, bool in)
{
	int			n = 0;

	for (int level = 0; level < e->nlevels; level++)
	{
		if ((e->slot[level] == slot) != in)
			continue;
		if (n++ == 0)
		{
			add_category(s, c, column);
			appendStringInfoString(s, in ? " IN (" : " NOT IN (");
		}
		else
			appendStringInfoString(s, ", ");
		add_level(s, column, level);
	}
	ml_sql_piece(c, n);
	if (n > 0)
		appendStringInfoChar(s, ')');
	return n > 0;
}

static void
add_one_hot(StringInfo s, MlSqlColumns *c, const MlEncoding *e, const MlColumn *column, int slot)
{
	StringInfoData in;

	initStringInfo(&in);
	if (e->unseen_slot == slot && !add_in(&in, c, e, column, slot, false))
	{
		add_name(&in, c, column);
		appendStringInfoString(&in, " IS NOT NULL");
	}
	else if (e->unseen_slot != slot)
		add_in(&in, c, e, column, slot, true);
	if (e->null_slot == slot)
	{
		appendStringInfoString(&in, in.len > 0 ? " OR " : "");
		add_name(&in, c, column);
		appendStringInfoString(&in, " IS NULL");
	}
	if (in.len > 0)
		appendStringInfo(s, "CASE WHEN %s THEN '1'::float8 ELSE '0'::float8 END", in.data);
	else
		ml_sql_number(s, 0);
	pfree(in.data);
}

/* A number for each level, one for NULL and one for others; NaN: NULL. */
static void
add_table(StringInfo s, MlSqlColumns *c, const MlColumn *column, const double *value, int n,
		  double missing, double unseen)
{
	appendStringInfoString(s, "CASE WHEN ");
	add_name(s, c, column);
	appendStringInfoString(s, " IS NULL THEN ");
	if (isnan(missing))
		appendStringInfoString(s, "NULL::float8");
	else
		ml_sql_number(s, missing);
	appendStringInfoString(s, " ELSE ");
	if (n > 0)
	{
		appendStringInfoString(s, "CASE ");
		add_category(s, c, column);
		for (int level = 0; level < n; level++)
		{
			if (isnan(value[level]))
				continue;		/* as others: NULL */
			appendStringInfoString(s, " WHEN ");
			add_level(s, column, level);
			appendStringInfoString(s, " THEN ");
			ml_sql_number(s, value[level]);
			ml_sql_piece(c, 2);
		}
		appendStringInfoString(s, " ELSE ");
	}
	if (isnan(unseen))
		appendStringInfoString(s, "NULL::float8");
	else
		ml_sql_number(s, unseen);
	appendStringInfoString(s, n > 0 ? " END END" : " END");
}

static void
add_level_number(StringInfo s, MlSqlColumns *c, const MlEncoding *e, const MlColumn *column)
{
	double	   *number = palloc(Max(e->nlevels, 1) * sizeof(double));
	bool		any = false;

	for (int level = 0; level < e->nlevels; level++)
	{
		number[level] = e->slot[level] >= 0 ? e->slot[level] : NAN;
		any |= e->slot[level] >= 0;
	}
	add_table(s, c, column, number, any ? e->nlevels : 0, NAN, NAN);
	pfree(number);
}

void
ml_sql_encoded(StringInfo s, MlSqlColumns *c, int j)
{
	const MlColumn *column;
	const MlEncoding *e = encoding_of(c, j, &column);
	int			k = j - e->first;

	ml_sql_piece(c, 4);
	if (e->indicator && k == e->width - 1)
	{
		appendStringInfoString(s, "CASE WHEN ");
		add_missing(s, c, column);
		appendStringInfoString(s, " THEN '1'::float8 ELSE '0'::float8 END");
		return;
	}
	switch (e->code)
	{
		case ML_CODE_NUMBER:
		case ML_CODE_DATE:
			add_scaled(s, c, e, column, k);
			break;
		case ML_CODE_ONE_HOT:
			add_one_hot(s, c, e, column, k);
			break;
		case ML_CODE_TABLE:
			add_table(s, c, column, e->value, e->nlevels, e->impute == ML_IMPUTE_NATIVE ? NAN : e->null_value,
					  e->unseen_value);
			break;
		case ML_CODE_LEVEL:
			add_level_number(s, c, e, column);
			break;
	}
}

bool
ml_sql_is_short(const MlSqlColumns *c, int j)
{
	const MlColumn *column;
	const MlEncoding *e = encoding_of(c, j, &column);

	if (e->indicator)
		return false;
	return e->code == ML_CODE_LEVEL ||
		(e->code == ML_CODE_NUMBER && e->scale == NULL && !fills(e) &&
		 (column->kind == ML_NUMBER || column->kind == ML_BOOLEAN));
}

void
ml_sql_level_in(StringInfo s, MlSqlColumns *c, int j, const uint32 *bits, int nwords, bool inside)
{
	const MlColumn *column;
	const MlEncoding *e = encoding_of(c, j, &column);
	int			n = 0;

	for (int level = 0; level < e->nlevels; level++)
	{
		int			code = e->slot[level];

		if (code < 0 || code >= 32 * nwords || ((bits[code / 32] >> (code % 32) & 1) != 0) != inside)
			continue;
		if (n++ == 0)
		{
			add_category(s, c, column);
			appendStringInfoString(s, " IN (");
		}
		else
			appendStringInfoString(s, ", ");
		add_level(s, column, level);
	}
	ml_sql_piece(c, n);
	appendStringInfoString(s, n > 0 ? ")" : "false");
}

/* ---- linear forms ---- */

/* Are there weights on encoded columns of this one? */
static bool
has_weight(const MlEncoding *e, const double *weight)
{
	for (int k = 0; k < e->width; k++)
		if (weight[e->first + k] != 0)
			return true;
	return false;
}

/* A category's part of a linear form is a number for each level. */
static char *
category_term(MlSqlColumns *c, const MlEncoding *e, const MlColumn *column, const double *weight, const double *center)
{
	const double *w = weight + e->first;
	const double *at = center + e->first;
	double	   *value = palloc(Max(e->nlevels, 1) * sizeof(double));
	double		none = 0;
	double		missing;
	double		unseen;
	StringInfoData s;

	for (int k = e->code == ML_CODE_TABLE ? 1 : 0; k < e->width; k++)
		none -= w[k] * at[k];
	if (e->code == ML_CODE_TABLE)
	{
		for (int level = 0; level < e->nlevels; level++)
			value[level] = none + w[0] * (e->value[level] - at[0]);
		missing = none + w[0] * (e->null_value - at[0]);
		unseen = none + w[0] * (e->unseen_value - at[0]);
	}
	else
	{
		for (int level = 0; level < e->nlevels; level++)
			value[level] = none + (e->slot[level] >= 0 ? w[e->slot[level]] : 0);
		missing = none + (e->null_slot >= 0 ? w[e->null_slot] : 0);
		unseen = none + (e->unseen_slot >= 0 ? w[e->unseen_slot] : 0);
	}
	if (e->indicator)
		missing += w[e->width - 1];
	initStringInfo(&s);
	add_table(&s, c, column, value, e->nlevels, missing, unseen);
	pfree(value);
	return s.data;
}

List *
ml_sql_linear(MlSqlColumns *c, const double *weight, const double *center)
{
	const MlSchema *schema = c->encoder->schema;
	List	   *terms = NIL;

	for (int i = 0; i < schema->ncolumns; i++)
	{
		const MlEncoding *e = &c->encoder->columns[i];

		if (!has_weight(e, weight))
			continue;
		if (e->code == ML_CODE_ONE_HOT || (e->code == ML_CODE_TABLE && e->impute != ML_IMPUTE_NATIVE))
		{
			terms = lappend(terms, category_term(c, e, &schema->columns[i], weight, center));
			continue;
		}
		for (int j = e->first; j < e->first + e->width; j++)
		{
			StringInfoData s;

			if (weight[j] == 0)
				continue;
			initStringInfo(&s);
			ml_sql_number(&s, weight[j]);
			appendStringInfoString(&s, center[j] != 0 ? " * (" : " * ");
			ml_sql_encoded(&s, c, j);
			if (center[j] != 0)
			{
				appendStringInfoString(&s, " - ");
				ml_sql_number(&s, center[j]);
				appendStringInfoChar(&s, ')');
			}
			terms = lappend(terms, s.data);
		}
	}
	return terms;
}

/* ---- rows that are refused ---- */

static void
begin_condition(StringInfo s)
{
	if (s->len > 0)
		appendStringInfoString(s, " OR ");
}

static void
refuse_array(StringInfo s, MlSqlColumns *c, const MlColumn *column)
{
	StringInfoData name;
	const char *type = is_array(column) ? "" : "::real[]";

	initStringInfo(&name);
	add_name(&name, c, column);
	begin_condition(s);
	appendStringInfo(s, "pg_catalog.cardinality(%s%s) <> %d OR pg_catalog.array_ndims(%s%s) > 1", name.data, type,
					 column->cells, name.data, type);
	if (may_be_nan(column))
		appendStringInfo(s, " OR 'Infinity'::float8 = ANY (%s%s::float8[]) OR '-Infinity'::float8 = ANY (%s%s::float8[])",
						 name.data, type, name.data, type);
	pfree(name.data);
}

static void
refuse_unseen(StringInfo s, MlSqlColumns *c, const MlEncoding *e, const MlColumn *column)
{
	StringInfoData known;
	int			n = 0;

	initStringInfo(&known);
	for (int level = 0; level < e->nlevels; level++)
	{
		if (e->code == ML_CODE_LEVEL && e->slot[level] < 0)
			continue;
		appendStringInfoString(&known, n++ > 0 ? ", " : "");
		add_level(&known, column, level);
	}
	ml_sql_piece(c, n);
	begin_condition(s);
	if (n > 0)
	{
		add_category(s, c, column);
		appendStringInfo(s, " NOT IN (%s)", known.data);
	}
	else
	{
		add_name(s, c, column);
		appendStringInfoString(s, " IS NOT NULL");
	}
	pfree(known.data);
}

void
ml_sql_refused(StringInfo s, MlSqlColumns *c)
{
	for (int i = 0; i < c->encoder->schema->ncolumns; i++)
	{
		const MlColumn *column = &c->encoder->schema->columns[i];
		const MlEncoding *e = &c->encoder->columns[i];
		bool		category = column->kind == ML_CATEGORY;

		ml_sql_piece(c, 1);
		if (column->kind == ML_ARRAY)
			refuse_array(s, c, column);
		else if (may_be_nan(column))
		{
			begin_condition(s);
			add_cell(s, c, column, 0);
			appendStringInfoString(s, " IN ('Infinity'::float8, '-Infinity'::float8)");
		}
		else if (e->code == ML_CODE_DATE || column->kind == ML_INTERVAL)
		{
			begin_condition(s);
			appendStringInfoString(s, "NOT pg_catalog.isfinite(");
			add_name(s, c, column);
			appendStringInfoChar(s, ')');
		}
		if (forbids_missing(e) || (!category && e->impute != ML_IMPUTE_NATIVE && !fills(e)))
		{
			begin_condition(s);
			add_missing(s, c, column);
		}
		if (category && e->unseen_error)
			refuse_unseen(s, c, e, column);
	}
}

/* ---- the function ---- */

static int
find_class(const MlModel *model, const char *name)
{
	for (int k = 0; k < model->classes; k++)
		if (strcmp(model->labels[k], name) == 0)
			return k;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model has no class \"%s\"", name)));
}

/* The class whose probability is asked for, -1 for the class itself, 0 for a number. */
static int
wanted_output(const MlModel *model, const char *class, const char *output)
{
	bool		label = output != NULL && strcmp(output, "class") == 0;

	if (output != NULL && !label && strcmp(output, "prediction") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": \"%s\"", "output", output),
				 errhint("Valid values are \"%s\" and \"%s\".", "prediction", "class")));
	if ((label || class != NULL) && model->classes == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model predicts a number, not a class")));
	if (label && class != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("either a class or output \"%s\" can be asked for, not both", "class")));
	if (label)
		return -1;
	if (class != NULL)
		return find_class(model, class);
	if (model->classes > 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model predicts one of %d classes, not a number", model->classes),
				 errhint("Name the class whose probability is wanted, or ask for output \"class\".")));
	return model->classes == 2 ? 1 : 0;
}

/* ml_to_sql(model name or value, row, class, output) */
ML_FUNCTION(ml_sql_to_sql)
{
	MlSite	   *site = ml_site_detailed(fcinfo, ML_VIEW);
	MlSqlColumns columns = {0};
	StringInfoData refused;
	const MlModel *model;
	char	   *formula;
	int			class;

	if (site == NULL)
		PG_RETURN_NULL();
	model = site->model;
	class = wanted_output(model, PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)),
						  PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)));
	if (model->algorithm->formula == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a model of algorithm \"%s\" cannot be written as SQL", model->algorithm->name)));
	columns.encoder = model->encoder;
	columns.alias = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	initStringInfo(&refused);
	ml_sql_refused(&refused, &columns);
	formula = ml_sql_formula(&columns, model, class);
	if (refused.len == 0)
		PG_RETURN_TEXT_P(cstring_to_text(formula));
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("CASE WHEN %s THEN NULL ELSE %s END", refused.data, formula)));
}
