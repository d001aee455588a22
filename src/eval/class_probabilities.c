/*
 * class_probabilities.c - metrics of many classes from a jsonb of probabilities:
 * {"setosa": 0.7, "virginica": 0.3}, as ml_probabilities gives them.
 *
 * Classes are all keys and all actual values seen.  A class that a row's object
 * does not name had probability 0 there.  The rows of an object must add up to
 * 1 within 1e-5 (scikit-learn's tolerance).
 *
 * The log loss needs sums alone: it shares the flat state of aggregates.c.
 * AUC (one against the rest) needs every score, in an internal state, as do all
 * metrics at once.  Memory: the aggregate's context.
 */
#include "eval/metrics.h"

#include <float.h>
#include <math.h>

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#define MAX_CLASSES 1024

typedef struct Classes
{
	MlMetrics  *metrics;
	bool		registered;		/* the file will be closed with the aggregation */
	int			n;
	char	  **names;
	int		   *lengths;
	double	   *row;			/* probabilities of the current row */
} Classes;

static Classes *
create_classes(bool spill)
{
	Classes    *c = palloc0(sizeof(Classes));

	c->metrics = ml_metrics_create_plain(ML_CLASSIFICATION, 0, false, spill);
	return c;
}

static int
find_class(Classes *c, const char *name, int len, int hint)
{
	if (hint < c->n && c->lengths[hint] == len && memcmp(c->names[hint], name, len) == 0)
		return hint;
	for (int i = 0; i < c->n; i++)
		if (c->lengths[i] == len && memcmp(c->names[i], name, len) == 0)
			return i;
	return -1;
}

/* The number of a class, which is added when new; cxt: the aggregate's. */
static int
intern_class(Classes *c, const char *name, int len, int hint, MemoryContext cxt)
{
	int			i = find_class(c, name, len, hint);
	MemoryContext old;

	if (i >= 0)
		return i;
	if (c->n == MAX_CLASSES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("more than %d different classes", MAX_CLASSES)));
	old = MemoryContextSwitchTo(cxt);
	if ((c->n & (c->n - 1)) == 0)	/* powers of two: double */
	{
		int			room = Max(4, c->n * 2);

		c->names = c->names ? repalloc(c->names, sizeof(char *) * room) : palloc(sizeof(char *) * room);
		c->lengths = c->lengths ? repalloc(c->lengths, sizeof(int) * room) : palloc(sizeof(int) * room);
		c->row = c->row ? repalloc(c->row, sizeof(double) * room) : palloc(sizeof(double) * room);
	}
	c->names[c->n] = pnstrdup(name, len);
	c->lengths[c->n] = len;
	c->row[c->n] = 0;
	c->n++;
	ml_metrics_grow(c->metrics, c->n);
	MemoryContextSwitchTo(old);
	return c->n - 1;
}

static double
probability_of(JsonbValue *value, const char *name, int len)
{
	double		p;

	if (value->type != jbvNumeric)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("probability of class \"%.*s\" is not a number", len, name)));
	p = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
	ml_check_probability(p);
	return p;
}

static JsonbIterator *
begin_object(Jsonb *jsonb)
{
	JsonbIterator *it;
	JsonbValue	v;

	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("predicted value is not an object of probabilities"),
				 errdetail("Expected one number a class, such as {\"yes\": 0.7, \"no\": 0.3}.")));
	it = JsonbIteratorInit(&jsonb->root);
	(void) JsonbIteratorNext(&it, &v, true);
	return it;
}

static void
check_total(double sum)
{
	if (!(fabs(sum - 1) <= 1.001e-5))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("probabilities of a row add up to %g instead of 1", sum)));
}

static double
optional_weight(FunctionCallInfo fcinfo)
{
	double		weight = PG_NARGS() > 3 ? PG_GETARG_FLOAT8(3) : 1;

	ml_check_weight(weight);
	return weight;
}

/* The log loss of a row: clipped probabilities made to add up to 1. */
double
ml_class_log_loss(const text *actual, Jsonb *probabilities)
{
	JsonbIterator *it = begin_object(probabilities);
	JsonbValue	key;
	JsonbValue	value;
	double		sum = 0;
	double		clipped = 0;
	double		happened = 0;

	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		double		p;

		(void) JsonbIteratorNext(&it, &value, true);
		p = probability_of(&value, key.val.string.val, key.val.string.len);
		sum += p;
		clipped += fmin(fmax(p, DBL_EPSILON), 1 - DBL_EPSILON);
		if (key.val.string.len == VARSIZE_ANY_EXHDR(actual) &&
			memcmp(key.val.string.val, VARDATA_ANY(actual), key.val.string.len) == 0)
			happened = p;
	}
	check_total(sum);
	return ml_log_loss_of(happened) + log(clipped);
}

/* The most probable class; of several, the one whose name sorts first by its bytes. */
static int
most_probable(const Classes *c)
{
	int			best = 0;

	for (int i = 1; i < c->n; i++)
	{
		int			order = memcmp(c->names[i], c->names[best], Min(c->lengths[i], c->lengths[best]));

		if (order == 0)
			order = c->lengths[i] - c->lengths[best];
		if (c->row[i] > c->row[best] || (c->row[i] == c->row[best] && order < 0))
			best = i;
	}
	return best;
}

static void
close_classes(Datum arg)
{
	ml_metrics_free(((Classes *) DatumGetPointer(arg))->metrics);
}

static Classes *
get_classes(FunctionCallInfo fcinfo, MemoryContext *cxt)
{
	bool		spill;
	MemoryContext old;
	Classes    *c;

	*cxt = ml_aggregate_context(fcinfo, &spill);
	if (!PG_ARGISNULL(0))
		return (Classes *) PG_GETARG_POINTER(0);
	old = MemoryContextSwitchTo(*cxt);
	c = create_classes(spill);
	MemoryContextSwitchTo(old);
	return c;
}

static Datum
return_classes(FunctionCallInfo fcinfo, Classes *c)
{
	if (!c->registered && ml_metrics_spilled(c->metrics))
	{
		AggRegisterCallback(fcinfo, close_classes, PointerGetDatum(c));
		c->registered = true;
	}
	PG_RETURN_POINTER(c);
}

ML_FUNCTION(ml_sql_classes_add)
{
	MemoryContext cxt;
	Classes    *c;
	text	   *actual;
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;
	double		sum = 0;
	double		weight;
	int			hint = 0;
	int			truth;

	for (int i = 1; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
		{
			if (PG_ARGISNULL(0))
				PG_RETURN_NULL();
			PG_RETURN_DATUM(PG_GETARG_DATUM(0));
		}
	c = get_classes(fcinfo, &cxt);
	weight = optional_weight(fcinfo);
	if (weight == 0)
		PG_RETURN_POINTER(c);
	actual = PG_GETARG_TEXT_PP(1);
	it = begin_object(PG_GETARG_JSONB_P(2));
	if (c->n > 0)
		memset(c->row, 0, sizeof(double) * c->n);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		double		p;
		int			i;

		(void) JsonbIteratorNext(&it, &value, true);
		p = probability_of(&value, key.val.string.val, key.val.string.len);
		i = intern_class(c, key.val.string.val, key.val.string.len, hint++, cxt);
		c->row[i] = p;
		sum += p;
	}
	check_total(sum);
	truth = intern_class(c, VARDATA_ANY(actual), VARSIZE_ANY_EXHDR(actual), 0, cxt);
	ml_metrics_add_class(c->metrics, truth, most_probable(c), c->row, weight);
	return return_classes(fcinfo, c);
}

ML_FUNCTION(ml_sql_classes_serialize)
{
	bool		spill;
	Classes    *c;
	StringInfoData buf;

	(void) ml_aggregate_context(fcinfo, &spill);
	c = (Classes *) PG_GETARG_POINTER(0);
	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, VARHDRSZ);
	pq_sendint32(&buf, c->n);
	for (int i = 0; i < c->n; i++)
	{
		pq_sendint32(&buf, c->lengths[i]);
		appendBinaryStringInfo(&buf, c->names[i], c->lengths[i]);
	}
	ml_metrics_pack(c->metrics, &buf);
	SET_VARSIZE(buf.data, buf.len);
	PG_RETURN_POINTER(buf.data);
}

/* In the current context, for the combine function to read and to close. */
ML_FUNCTION(ml_sql_classes_deserialize)
{
	bool		spill;
	struct varlena *bytes;
	StringInfoData buf;
	Classes    *c;

	(void) ml_aggregate_context(fcinfo, &spill);
	bytes = PG_GETARG_VARLENA_PP(0);
	c = palloc0(sizeof(Classes));
	memset(&buf, 0, sizeof(buf));
	buf.data = VARDATA_ANY(bytes);
	buf.len = buf.maxlen = VARSIZE_ANY_EXHDR(bytes);
	c->n = pq_getmsgint(&buf, 4);
	c->names = palloc(sizeof(char *) * (c->n + 1));
	c->lengths = palloc(sizeof(int) * (c->n + 1));
	for (int i = 0; i < c->n; i++)
	{
		c->lengths[i] = pq_getmsgint(&buf, 4);
		c->names[i] = pnstrdup(pq_getmsgbytes(&buf, c->lengths[i]), c->lengths[i]);
	}
	c->metrics = ml_metrics_unpack(&buf, true);
	PG_RETURN_POINTER(c);
}

ML_FUNCTION(ml_sql_classes_combine)
{
	bool		spill;
	MemoryContext cxt;
	Classes    *c;
	Classes    *other;
	int		   *map;

	(void) ml_aggregate_context(fcinfo, &spill);
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	c = get_classes(fcinfo, &cxt);
	other = (Classes *) PG_GETARG_POINTER(1);
	map = palloc(sizeof(int) * (other->n + 1));
	for (int i = 0; i < other->n; i++)
		map[i] = intern_class(c, other->names[i], other->lengths[i], i, cxt);
	ml_metrics_merge(c->metrics, other->metrics, map);
	ml_metrics_free(other->metrics);
	return return_classes(fcinfo, c);
}

ML_FUNCTION(ml_sql_classes_auc)
{
	const char *undefined;
	double		value;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	value = ml_metrics_auc(((Classes *) PG_GETARG_POINTER(0))->metrics, &undefined);
	if (undefined || isnan(value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

ML_FUNCTION(ml_sql_classes_values)
{
	MlMetrics  *m;
	MlMetricValue *values;
	int			n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	m = ((Classes *) PG_GETARG_POINTER(0))->metrics;
	n = ml_metrics_values(m, &values);
	return ml_metric_values_to_jsonb(values, n, ml_metrics_rows(m));
}
