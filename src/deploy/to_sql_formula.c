/*
 * to_sql_formula.c - what an algorithm makes of encoded columns, in SQL: the
 * writer behind MlFormula, and the links.
 *
 * The algorithm writes its formula twice: first it is counted, so that nothing
 * too large is begun, then written.  An encoded column that is used more than
 * once, and a margin that a link mentions more than once, are computed in a
 * subquery with OFFSET 0, which the planner does not take apart:
 *
 *	(SELECT link(ml_m.m1, ...) FROM (SELECT margin AS m1, ...
 *		FROM (SELECT column AS x1, ... OFFSET 0) ml_x OFFSET 0) ml_m)
 *
 * A model that needs neither is an expression without a subquery, which may
 * also stand in an index or a generated column.  The terms of a margin are
 * added as a balanced tree, since a long chain would be a deep expression.
 */
#include "deploy/to_sql.h"

#include <math.h>

#include "utils/builtins.h"

#define INLINE_SPLITS 64		/* so many conditions at most repeat their columns' expressions */
#define CHAIN 8					/* terms added without parentheses */

/* exp of more overflows; of less, it leaves the range of normal numbers. */
#define MAX_EXP "709.78271289338397"
#define MIN_EXP "-708.39641853226408"

typedef struct Margin
{
	double		constant;
	double		factor;
	List	   *terms;			/* of char * */
} Margin;

typedef struct Writer
{
	MlFormula	formula;		/* first: what the algorithm gets */
	MlSqlColumns *columns;
	bool		counting;
	int64		splits;
	bool	   *used;			/* p: by splits */
	bool		layered;		/* columns of splits are computed in a subquery */
	List	   *margins;		/* of Margin * */
	MlFormulaLink link;
	StringInfoData term;		/* the tree being written */
	int			depth;
	bool		second[ML_SQL_MAX_DEPTH];	/* of each open split: is it the second side's turn? */
} Writer;

/* ---- the calls of the algorithm ---- */

static void
begin_margin(MlFormula *f, double constant, double factor)
{
	Writer	   *w = (Writer *) f;
	Margin	   *margin = palloc0(sizeof(Margin));

	ml_sql_piece(w->columns, 1);
	margin->constant = constant;
	margin->factor = factor;
	w->margins = lappend(w->margins, margin);
}

static void
write_linear(MlFormula *f, const double *weight, const double *center)
{
	Writer	   *w = (Writer *) f;
	Margin	   *margin = llast(w->margins);

	if (!w->counting)
		margin->terms = list_concat(margin->terms, ml_sql_linear(w->columns, weight, center));
}

/* A leaf ends the second sides it is the last of, and then the first side of the split above. */
static void
write_leaf(MlFormula *f, double value)
{
	Writer	   *w = (Writer *) f;
	Margin	   *margin = llast(w->margins);

	ml_sql_piece(w->columns, 1);
	if (!w->counting)
		ml_sql_number(&w->term, value);
	while (w->depth > 0 && w->second[w->depth - 1])
	{
		w->depth--;
		if (!w->counting)
			appendStringInfoString(&w->term, " END");
	}
	if (w->depth > 0)
	{
		w->second[w->depth - 1] = true;
		if (!w->counting)
			appendStringInfoString(&w->term, " ELSE ");
		return;
	}
	if (w->counting)
		return;
	margin->terms = lappend(margin->terms, pstrdup(w->term.data));
	resetStringInfo(&w->term);
}

static void
open_split(Writer *w, int column)
{
	if (w->depth == ML_SQL_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model is too deep to be written as SQL"),
				 errdetail("A tree has more than %d conditions on the way to a leaf.", ML_SQL_MAX_DEPTH),
				 errhint("Train it with a smaller max_depth.")));
	w->second[w->depth++] = false;
	w->used[column] = true;
	w->splits++;
	ml_sql_piece(w->columns, 1);
}

static void
write_column(Writer *w, int column)
{
	if (w->layered)
		appendStringInfo(&w->term, "ml_x.x%d", column + 1);
	else
		ml_sql_encoded(&w->term, w->columns, column);
}

static void
write_split(MlFormula *f, int column, bool less, double threshold)
{
	Writer	   *w = (Writer *) f;

	open_split(w, column);
	if (w->counting)
		return;
	appendStringInfoString(&w->term, "CASE WHEN ");
	write_column(w, column);
	appendStringInfoString(&w->term, less ? " < " : " >= ");
	ml_sql_number(&w->term, threshold);
	appendStringInfoString(&w->term, " THEN ");
}

static void
write_split_set(MlFormula *f, int column, const uint32_t *bits, int nwords, bool inside, bool missing)
{
	Writer	   *w = (Writer *) f;
	bool		level = w->columns->encoder->columns[w->columns->encoder->source[column]].code == ML_CODE_LEVEL;
	const char *comma = "";

	open_split(w, column);
	ml_sql_piece(w->columns, nwords);
	if (w->counting)
	{
		w->layered |= missing || !level;	/* mentioned twice, or rounded */
		return;
	}
	appendStringInfoString(&w->term, "CASE WHEN ");
	if (!w->layered)
	{
		ml_sql_level_in(&w->term, w->columns, column, bits, nwords, inside);
		appendStringInfoString(&w->term, " THEN ");
		return;
	}
	if (missing)
		appendStringInfo(&w->term, "ml_x.x%d IS NULL OR ", column + 1);
	appendStringInfo(&w->term, level ? "ml_x.x%d" : "pg_catalog.floor(ml_x.x%d)", column + 1);
	appendStringInfoString(&w->term, " = ANY ('{");
	for (int code = 0; code < 32 * nwords; code++)
	{
		if (((bits[code / 32] >> (code % 32) & 1) != 0) != inside)
			continue;
		appendStringInfo(&w->term, "%s%d", comma, code);
		comma = ",";
	}
	appendStringInfoString(&w->term, "}'::float8[]) THEN ");
}

static void
set_link(MlFormula *f, MlFormulaLink link)
{
	((Writer *) f)->link = link;
}

/* ---- margins ---- */

static void
add_sum(StringInfo s, char **terms, int n)
{
	if (n > CHAIN)
	{
		int			half = (n / CHAIN + 1) / 2 * CHAIN;

		appendStringInfoChar(s, '(');
		add_sum(s, terms, half);
		appendStringInfoString(s, ") + (");
		add_sum(s, terms + half, n - half);
		appendStringInfoChar(s, ')');
		return;
	}
	for (int i = 0; i < n; i++)
		appendStringInfo(s, "%s%s", i > 0 ? " + " : "", terms[i]);
}

static void
add_margin(StringInfo s, const Margin *margin)
{
	int			n = list_length(margin->terms);
	char	  **terms = palloc(Max(n, 1) * sizeof(char *));
	bool		constant = n == 0 || margin->constant != 0;

	for (int i = 0; i < n; i++)
		terms[i] = list_nth(margin->terms, i);
	appendStringInfoChar(s, '(');
	if (constant)
		ml_sql_number(s, margin->constant);
	if (constant && n > 0)
		appendStringInfoString(s, " + ");
	if (n > 0 && margin->factor != 1)
	{
		ml_sql_number(s, margin->factor);
		appendStringInfoString(s, " * (");
	}
	add_sum(s, terms, n);
	appendStringInfoString(s, n > 0 && margin->factor != 1 ? "))" : ")");
}

/* ---- links ---- */

/* Does the link mention a margin once? */
static bool
is_single(MlFormulaLink link, int class)
{
	return class >= 0 && (link == ML_FORMULA_IDENTITY || link == ML_FORMULA_EXP || link == ML_FORMULA_EXP2 ||
						  link == ML_FORMULA_LOGISTIC || link == ML_FORMULA_CAUCHIT || link == ML_FORMULA_INVERSE);
}

/*
 * The normal distribution function: Hart's rational approximation (1968, no. 5666) as
 * given by West, "Better approximations to cumulative normal functions" (2005), within
 * 1e-15 (not relative to small tails); erf is in PostgreSQL from 16 on only.
 */
static char *
probit(const char *m)
{
	char	   *a = psprintf("greatest(pg_catalog.abs(least(greatest(%s, -37), 37)), 1e-20)", m);
	char	   *tail = psprintf("(SELECT CASE WHEN t.a < 7.07106781186547 THEN pg_catalog.exp(-0.5 * t.a * t.a)"
								" * ((((((0.0352624965998911 * t.a + 0.700383064443688) * t.a + 6.37396220353165) * t.a"
								" + 33.912866078383) * t.a + 112.079291497871) * t.a + 221.213596169931) * t.a + 220.206867912376)"
								" / (((((((0.0883883476483184 * t.a + 1.75566716318264) * t.a + 16.064177579207) * t.a"
								" + 86.7807322029461) * t.a + 296.564248779674) * t.a + 637.333633378831) * t.a"
								" + 793.826512519948) * t.a + 440.413735824752)"
								" ELSE pg_catalog.exp(-0.5 * t.a * t.a) / 2.5066282746310002"
								" / (t.a + 1 / (t.a + 2 / (t.a + 3 / (t.a + 4 / (t.a + 0.65))))) END FROM (SELECT %s AS a OFFSET 0) t)", a);

	return psprintf("CASE WHEN %s > 0 THEN 1 - %s ELSE %s END", m, tail, tail);
}

/* The link of one margin; every number is float8, since the margin is. */
static char *
single(MlFormulaLink link, const char *m)
{
	switch (link)
	{
		case ML_FORMULA_EXP:
			return psprintf("pg_catalog.exp(least(greatest(%s, " MIN_EXP "), " MAX_EXP "))", m);
		case ML_FORMULA_EXP2:
			return psprintf("pg_catalog.power('2'::float8, least(greatest(%s, -1000), 1000))", m);
		case ML_FORMULA_LOGISTIC:
			return psprintf("(1 / (1 + pg_catalog.exp(least(greatest(-%s, -700), 700))))", m);
		case ML_FORMULA_PROBIT:
			return probit(m);
		case ML_FORMULA_CLOGLOG:
			/* 1 - exp(-z) loses digits where z is small: there the series does not. */
			return psprintf("(SELECT CASE WHEN t.z > 0.01 THEN 1 - pg_catalog.exp(-t.z)"
							" ELSE t.z * (1 - t.z / 2 * (1 - t.z / 3 * (1 - t.z / 4 * (1 - t.z / 5 * (1 - t.z / 6))))) END"
							" FROM (SELECT pg_catalog.exp(least(greatest(%s, -690), 6)) AS z OFFSET 0) t)", m);
		case ML_FORMULA_CAUCHIT:
			return psprintf("(pg_catalog.atan2(1, -%s) / 3.141592653589793)", m);
		case ML_FORMULA_INVERSE:
			return psprintf("(1 / nullif(%s, 0))", m);
		case ML_FORMULA_SQUARE:
			return psprintf("CASE WHEN pg_catalog.abs(%s) < 1e-150 THEN '0'::float8 ELSE %s * %s END", m, m, m);
		default:
			return pstrdup(m);
	}
}

/* 1 / sum over classes of exp(margin - own margin), each kept within the range. */
static char *
softmax(int class, int n)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "(1 / (");
	for (int k = 0; k < n; k++)
	{
		appendStringInfoString(&s, k > 0 ? " + " : "");
		if (k == class)
			appendStringInfoString(&s, "'1'::float8");
		else
			appendStringInfo(&s, "pg_catalog.exp(least(greatest(ml_m.m%d - ml_m.m%d, -700), 690))", k + 1, class + 1);
	}
	appendStringInfoString(&s, "))");
	return s.data;
}

static char *
shares(int class, int n)
{
	StringInfoData sum;

	initStringInfo(&sum);
	for (int k = 0; k < n; k++)
		appendStringInfo(&sum, "%sml_m.m%d", k > 0 ? " + " : "", k + 1);
	return psprintf("CASE WHEN %s > 0 THEN ml_m.m%d / (%s) ELSE 1 / '%d'::float8 END", sum.data, class + 1, sum.data, n);
}

/* The first class with the greatest margin. */
static char *
most_likely(const MlModel *model)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "CASE greatest(");
	for (int k = 0; k < model->classes; k++)
		appendStringInfo(&s, "%sml_m.m%d", k > 0 ? ", " : "", k + 1);
	appendStringInfoChar(&s, ')');
	for (int k = 0; k < model->classes; k++)
		appendStringInfo(&s, " WHEN ml_m.m%d THEN %s::text", k + 1, quote_literal_cstr(model->labels[k]));
	appendStringInfoString(&s, " END");
	return s.data;
}

/* The result, as a text over margins: m1 is the first. */
static char *
result_of(const Writer *w, const MlModel *model, int class, const char *m1)
{
	int			n = list_length(w->margins);
	char	   *p;

	if (class < 0 && model->classes > 2)
		return most_likely(model);
	if (w->link == ML_FORMULA_SOFTMAX || w->link == ML_FORMULA_SHARES)
	{
		int			own = class < 0 ? 1 : class;	/* of two classes, the second */

		p = w->link == ML_FORMULA_SOFTMAX ? softmax(own, n) : shares(own, n);
	}
	else
	{
		p = single(w->link, m1);
		if (model->classes == 2 && class == 0)
			p = psprintf("(1 - %s)", p);
	}
	if (class < 0)
		return psprintf("CASE WHEN %s > 0.5 THEN %s::text ELSE %s::text END", p,
						quote_literal_cstr(model->labels[1]), quote_literal_cstr(model->labels[0]));
	return p;
}

/* ---- all of it ---- */

static void
run(Writer *w, const MlModel *model, int class, bool counting)
{
	w->counting = counting;
	w->depth = 0;
	w->splits = 0;
	w->margins = NIL;
	w->columns->pieces = 0;
	w->formula.output = model->classes <= 2 ? 0 : class;
	model->algorithm->formula(model->fit, &w->formula);
}

/* " FROM (SELECT ... AS x1, ... OFFSET 0) ml_x", or nothing. */
static void
add_columns(StringInfo s, Writer *w)
{
	const char *comma = "";

	if (!w->layered)
		return;
	appendStringInfoString(s, " FROM (SELECT ");
	for (int j = 0; j < w->columns->encoder->p; j++)
	{
		if (!w->used[j])
			continue;
		appendStringInfoString(s, comma);
		ml_sql_encoded(s, w->columns, j);
		appendStringInfo(s, " AS x%d", j + 1);
		comma = ", ";
	}
	appendStringInfoString(s, " OFFSET 0) ml_x");
}

char *
ml_sql_formula(MlSqlColumns *c, const MlModel *model, int class)
{
	int			p = c->encoder->p;
	Writer	   *w = palloc0(sizeof(Writer));
	StringInfoData s;
	bool		simple;

	w->formula = (MlFormula) {
		.begin = begin_margin, .linear = write_linear, .leaf = write_leaf,
		.split = write_split, .split_set = write_split_set, .link = set_link
	};
	w->columns = c;
	w->used = palloc0(Max(p, 1) * sizeof(bool));
	initStringInfo(&w->term);
	run(w, model, class, true);
	w->layered |= w->splits > INLINE_SPLITS;
	for (int j = 0; j < p; j++)
		w->layered |= w->used[j] && !ml_sql_is_short(c, j);
	run(w, model, class, false);

	initStringInfo(&s);
	simple = is_single(w->link, class);
	if (simple)
	{
		StringInfoData m;

		initStringInfo(&m);
		add_margin(&m, linitial(w->margins));
		if (!w->layered)
			return result_of(w, model, class, m.data);
		appendStringInfo(&s, "(SELECT %s", result_of(w, model, class, m.data));
		add_columns(&s, w);
		appendStringInfoChar(&s, ')');
		return s.data;
	}
	appendStringInfo(&s, "(SELECT %s FROM (SELECT ", result_of(w, model, class, "ml_m.m1"));
	for (int k = 0; k < list_length(w->margins); k++)
	{
		appendStringInfoString(&s, k > 0 ? ", " : "");
		add_margin(&s, list_nth(w->margins, k));
		appendStringInfo(&s, " AS m%d", k + 1);
	}
	add_columns(&s, w);
	appendStringInfoString(&s, " OFFSET 0) ml_m)");
	return s.data;
}
