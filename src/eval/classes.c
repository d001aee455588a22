/*
 * classes.c - metrics of predicted labels: a confusion matrix in a flat value.
 *
 * The state is a bytea that is changed in place: labels byte for byte in order
 * of appearance, and a square of sums.  It doubles by returning a larger copy.
 * Booleans are the labels false and true, with the positive class's precision,
 * recall and f1 instead of averages.  Whatever bytes come (anyone may build an
 * aggregate on these functions), nothing outside the value is touched.
 */
#include "eval/metrics.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MAGIC 0x4d4c4331		/* "MLC1" */
#define MAX_LABELS 1024			/* 16 MB of sums */

typedef struct Confusion
{
	int32		vl_len_;
	uint32		magic;
	int32		average;		/* MlAverage */
	int32		classes;
	int32		capacity;
	int32		bytes;			/* of names in use */
	int32		room;			/* for names; a multiple of 8 */
	int32		unused;
	MlSum		rows;
	MlSum		cells[FLEXIBLE_ARRAY_MEMBER];	/* capacity^2, actual by predicted */

	/* then uint32 hash[capacity], int32 end[capacity], char names[room] */
} Confusion;

static Size
state_size(int32 capacity, int32 room)
{
	return offsetof(Confusion, cells) + sizeof(MlSum) * capacity * capacity + 8 * (Size) capacity + room;
}

static uint32 *
hashes(Confusion *s)
{
	return (uint32 *) (s->cells + (Size) s->capacity * s->capacity);
}

static int32 *
ends(Confusion *s)
{
	return (int32 *) (hashes(s) + s->capacity);
}

static char *
names(Confusion *s)
{
	return (char *) (ends(s) + s->capacity);
}

/* The bytes of a label; XX001 when they are not inside the state. */
static const char *
label_name(Confusion *s, int i, int *len)
{
	int32		start = i == 0 ? 0 : ends(s)[i - 1];
	int32		end = ends(s)[i];

	if (start < 0 || end < start || end > s->bytes)
		ml_flat_state_damaged();
	*len = end - start;
	return names(s) + start;
}

static Confusion *
create(int32 capacity, int32 room)
{
	Confusion  *s = palloc0(state_size(capacity, room));

	SET_VARSIZE(s, state_size(capacity, room));
	s->magic = MAGIC;
	s->capacity = capacity;
	s->room = room;
	return s;
}

/* A copy with place for one more label of `len` bytes. */
static Confusion *
enlarge(Confusion *s, int len)
{
	int32		capacity = s->classes < s->capacity ? s->capacity : s->capacity * 2;
	int64		room = s->room;
	Confusion  *new;

	if (s->classes >= MAX_LABELS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("more than %d different labels", MAX_LABELS),
				 errhint("Numbers are measured by the regression metrics, such as ml_rmse.")));
	while (room < (int64) s->bytes + len)
		room *= 2;
	if (!AllocSizeIsValid(state_size(capacity, 0) + room))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("labels are too long"),
				 errdetail("All different labels together have more than %lld bytes.", (long long) s->bytes)));
	new = create(capacity, room);
	new->average = s->average;
	new->classes = s->classes;
	new->bytes = s->bytes;
	new->rows = s->rows;
	for (int i = 0; i < s->classes; i++)
		memcpy(new->cells + (Size) i * capacity, s->cells + (Size) i * s->capacity, sizeof(MlSum) * s->classes);
	memcpy(hashes(new), hashes(s), sizeof(uint32) * s->classes);
	memcpy(ends(new), ends(s), sizeof(int32) * s->classes);
	memcpy(names(new), names(s), s->bytes);
	return new;
}

/* The number of a label, which is added when new; *state may move. */
static int
find_label(Confusion **state, const char *bytes, int len)
{
	Confusion  *s = *state;
	uint32		hash = hash_bytes((const unsigned char *) bytes, len);
	const uint32 *known = hashes(s);

	for (int i = 0; i < s->classes; i++)
		if (known[i] == hash)
		{
			int			have;
			const char *name = label_name(s, i, &have);

			if (have == len && memcmp(name, bytes, len) == 0)
				return i;
		}
	if (s->classes == s->capacity || s->room - s->bytes < len)
		*state = s = enlarge(s, len);
	memcpy(names(s) + s->bytes, bytes, len);
	s->bytes += len;
	hashes(s)[s->classes] = hash;
	ends(s)[s->classes] = s->bytes;
	return s->classes++;
}

/* The state in an argument, or NULL when no row has come yet. */
static Confusion *
get_state(FunctionCallInfo fcinfo, int arg)
{
	Confusion  *s = ml_flat_state(fcinfo, arg);

	if (VARSIZE(s) == VARHDRSZ)
		return NULL;
	if (VARSIZE(s) < offsetof(Confusion, cells) || s->magic != MAGIC ||
		s->capacity < 1 || s->capacity > MAX_LABELS || s->classes < 0 || s->classes > s->capacity ||
		s->room < 8 || s->room % 8 != 0 || s->bytes < 0 || s->bytes > s->room ||
		s->average < ML_AVERAGE_MACRO || s->average > ML_AVERAGE_BINARY ||
		VARSIZE(s) != state_size(s->capacity, s->room) ||
		(s->average == ML_AVERAGE_BINARY && s->classes != 2))
		ml_flat_state_damaged();
	return s;
}

static void
add_row(Confusion *s, int actual, int predicted, double weight)
{
	ml_sum_add(&s->rows, 1);
	ml_sum_add(&s->cells[(Size) actual * s->capacity + predicted], weight);
}

static MlAverage
parse_average(text *word)
{
	char	   *given = text_to_cstring(word);

	if (strcmp(given, "macro") == 0)
		return ML_AVERAGE_MACRO;
	if (strcmp(given, "micro") == 0)
		return ML_AVERAGE_MICRO;
	if (strcmp(given, "weighted") == 0)
		return ML_AVERAGE_WEIGHTED;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("average \"%s\" does not exist", given),
			 errhint("Valid values are \"macro\", \"micro\" and \"weighted\".")));
	return ML_AVERAGE_MACRO;
}

/* Adds a row of text labels; a row of weight zero does not even make its labels known. */
static Datum
add_labels(FunctionCallInfo fcinfo, double weight, MlAverage average)
{
	Confusion  *s = get_state(fcinfo, 0);
	text	   *actual = PG_GETARG_TEXT_PP(1);
	text	   *predicted = PG_GETARG_TEXT_PP(2);
	int			i;
	int			j;

	ml_check_weight(weight);
	if (weight == 0)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (s == NULL)
	{
		s = create(2, 32);
		s->average = average;
	}
	if (s->average != average)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the average must be the same for all rows")));
	i = find_label(&s, VARDATA_ANY(actual), VARSIZE_ANY_EXHDR(actual));
	j = find_label(&s, VARDATA_ANY(predicted), VARSIZE_ANY_EXHDR(predicted));
	add_row(s, i, j, weight);
	PG_RETURN_POINTER(s);
}

ML_FUNCTION(ml_sql_labels_add)
{
	return add_labels(fcinfo, PG_NARGS() > 3 ? PG_GETARG_FLOAT8(3) : 1, ML_AVERAGE_MACRO);
}

ML_FUNCTION(ml_sql_labels_add_average)
{
	bool		weighted = PG_NARGS() > 4;

	return add_labels(fcinfo, weighted ? PG_GETARG_FLOAT8(3) : 1, parse_average(PG_GETARG_TEXT_PP(weighted ? 4 : 3)));
}

static Datum
add_boolean(FunctionCallInfo fcinfo, bool actual, bool predicted, double weight)
{
	Confusion  *s = get_state(fcinfo, 0);

	ml_check_weight(weight);
	if (weight == 0)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (s == NULL)
	{
		s = create(2, 16);
		find_label(&s, "false", 5);
		find_label(&s, "true", 4);
		s->average = ML_AVERAGE_BINARY;
	}
	if (s->classes != 2)
		ml_flat_state_damaged();
	add_row(s, actual, predicted, weight);
	PG_RETURN_POINTER(s);
}

ML_FUNCTION(ml_sql_booleans_add)
{
	return add_boolean(fcinfo, PG_GETARG_BOOL(1), PG_GETARG_BOOL(2), PG_NARGS() > 3 ? PG_GETARG_FLOAT8(3) : 1);
}

ML_FUNCTION(ml_sql_threshold_add)
{
	double		probability = PG_GETARG_FLOAT8(2);

	ml_check_probability(probability);
	return add_boolean(fcinfo, PG_GETARG_BOOL(1), probability > 0.5, PG_NARGS() > 3 ? PG_GETARG_FLOAT8(3) : 1);
}

ML_FUNCTION(ml_sql_labels_combine)
{
	Confusion  *s = get_state(fcinfo, 0);
	Confusion  *other = get_state(fcinfo, 1);
	int		   *map;

	if (other == NULL)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (s == NULL)
		PG_RETURN_POINTER(other);
	map = palloc(sizeof(int) * other->classes);
	for (int i = 0; i < other->classes; i++)
	{
		int			len;
		const char *name = label_name(other, i, &len);

		map[i] = find_label(&s, name, len);
	}
	for (int i = 0; i < other->classes; i++)
		for (int j = 0; j < other->classes; j++)
			ml_sum_merge(&s->cells[(Size) map[i] * s->capacity + map[j]],
						 &other->cells[(Size) i * other->capacity + j]);
	ml_sum_merge(&s->rows, &other->rows);
	PG_RETURN_POINTER(s);
}

/* ---- results ---- */

static double *
plain_cells(Confusion *s)
{
	double	   *cells = palloc(sizeof(double) * s->classes * s->classes);

	for (int i = 0; i < s->classes; i++)
		for (int j = 0; j < s->classes; j++)
			cells[i * s->classes + j] = ml_sum_value(&s->cells[(Size) i * s->capacity + j]);
	return cells;
}

static Datum
label_metric(FunctionCallInfo fcinfo, MlMetric metric)
{
	Confusion  *s = get_state(fcinfo, 0);
	const char *undefined;
	double		value;

	if (s == NULL)
		PG_RETURN_NULL();
	value = ml_confusion_metric(plain_cells(s), s->classes, metric, s->average, &undefined);
	if (undefined)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

ML_FUNCTION(ml_sql_labels_accuracy)
{
	return label_metric(fcinfo, ML_METRIC_ACCURACY);
}

ML_FUNCTION(ml_sql_labels_balanced_accuracy)
{
	return label_metric(fcinfo, ML_METRIC_BALANCED_ACCURACY);
}

ML_FUNCTION(ml_sql_labels_precision)
{
	return label_metric(fcinfo, ML_METRIC_PRECISION);
}

ML_FUNCTION(ml_sql_labels_recall)
{
	return label_metric(fcinfo, ML_METRIC_RECALL);
}

ML_FUNCTION(ml_sql_labels_f1)
{
	return label_metric(fcinfo, ML_METRIC_F1);
}

ML_FUNCTION(ml_sql_labels_mcc)
{
	return label_metric(fcinfo, ML_METRIC_MCC);
}

ML_FUNCTION(ml_sql_labels_kappa)
{
	return label_metric(fcinfo, ML_METRIC_KAPPA);
}

ML_FUNCTION(ml_sql_labels_metrics)
{
	Confusion  *s = get_state(fcinfo, 0);
	MlMetricValue values[ML_METRIC_KAPPA - ML_METRIC_ACCURACY + 1];
	double	   *cells;

	if (s == NULL)
		PG_RETURN_NULL();
	cells = plain_cells(s);
	for (int i = 0; i < lengthof(values); i++)
	{
		values[i].name = ml_metric_name(ML_METRIC_ACCURACY + i);
		values[i].value = ml_confusion_metric(cells, s->classes, ML_METRIC_ACCURACY + i, s->average,
											  &values[i].undefined);
	}
	return ml_metric_values_to_jsonb(values, lengthof(values), ml_sum_value(&s->rows));
}

static int
compare_names(const void *a, const void *b, void *state)
{
	int			la;
	int			lb;
	const char *x = label_name(state, *(const int *) a, &la);
	const char *y = label_name(state, *(const int *) b, &lb);
	int			c = memcmp(x, y, Min(la, lb));

	return c != 0 ? c : la - lb;
}

/* All pairs of labels, sorted by their bytes: the same on every server. */
ML_FUNCTION(ml_sql_labels_confusion)
{
	Confusion  *s = get_state(fcinfo, 0);
	MlPoints   *points;
	int		   *order;
	Datum	   *labels;

	if (s == NULL)
		PG_RETURN_NULL();
	points = ml_points_begin(fcinfo);
	order = palloc(sizeof(int) * s->classes);
	labels = palloc(sizeof(Datum) * s->classes);
	for (int i = 0; i < s->classes; i++)
	{
		int			len;
		const char *name = label_name(s, i, &len);

		order[i] = i;
		pg_verifymbstr(name, len, false);	/* the state may be made by hand */
		labels[i] = PointerGetDatum(cstring_to_text_with_len(name, len));
	}
	qsort_arg(order, s->classes, sizeof(int), compare_names, s);
	for (int i = 0; i < s->classes; i++)
		for (int j = 0; j < s->classes; j++)
		{
			Datum		values[3];

			values[0] = labels[order[i]];
			values[1] = labels[order[j]];
			values[2] = Float8GetDatum(ml_sum_value(&s->cells[(Size) order[i] * s->capacity + order[j]]));
			ml_points_add(points, values);
		}
	return ml_points_array(points);
}
