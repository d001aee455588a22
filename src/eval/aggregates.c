/*
 * aggregates.c - the SQL face of metrics over numbers and probabilities.
 *
 * Metrics that are functions of sums have a flat bytea state, changed in place:
 * parallel, cheap with many groups, and shipped by distributed engines.  Those
 * that need every score (AUC, median, and ml_metrics which contains them) have
 * an internal one with serialize and deserialize; rank.c says why.
 *
 * All sums of a kind are kept whichever metric was asked for: the server then
 * runs one transition for all metrics of the same arguments in a query.
 */
#include "eval/metrics.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "miscadmin.h"

#define MAX_BINS 1000
#define MAX_COUNT 9007199254740992.0	/* 2^53: a sum of ones counts no further */

/* ---- shared pieces ---- */

void
ml_flat_state_damaged(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("state of an aggregate is damaged")));
	pg_unreachable();
}

void *
ml_flat_state(FunctionCallInfo fcinfo, int arg)
{
	struct varlena *value = (struct varlena *) PG_GETARG_POINTER(arg);

	if (arg == 0 && AggCheckCallContext(fcinfo, NULL) && !VARATT_IS_EXTENDED(value) &&
		(uintptr_t) value % sizeof(double) == 0)
		return value;
	return PG_DETOAST_DATUM_COPY(PointerGetDatum(value));
}

static void
push_key(JsonbParseState **parse, const char *name)
{
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = (char *) name;
	key.val.string.len = strlen(name);
	pushJsonbValue(parse, WJB_KEY, &key);
}

static void
push_number(JsonbParseState **parse, double number)
{
	char		buf[DOUBLE_SHORTEST_DECIMAL_LEN];
	JsonbValue	value;

	double_to_shortest_decimal_buf(number, buf);
	value.type = jbvNumeric;
	value.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(buf),
															ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	pushJsonbValue(parse, WJB_VALUE, &value);
}

Datum
ml_metric_values_to_jsonb(const MlMetricValue *values, int n, double rows)
{
	JsonbParseState *parse = NULL;
	int			undefined = 0;
	JsonbValue	value;

	pushJsonbValue(&parse, WJB_BEGIN_OBJECT, NULL);
	push_key(&parse, "rows");
	push_number(&parse, rows);
	for (int i = 0; i < n; i++)
	{
		push_key(&parse, values[i].name);
		if (values[i].undefined == NULL)
			push_number(&parse, values[i].value);
		else
		{
			value.type = jbvNull;
			pushJsonbValue(&parse, WJB_VALUE, &value);
			undefined++;
		}
	}
	if (undefined > 0)
	{
		push_key(&parse, "undefined");
		pushJsonbValue(&parse, WJB_BEGIN_OBJECT, NULL);
		for (int i = 0; i < n; i++)
			if (values[i].undefined != NULL)
			{
				push_key(&parse, values[i].name);
				value.type = jbvString;
				value.val.string.val = (char *) values[i].undefined;
				value.val.string.len = strlen(values[i].undefined);
				pushJsonbValue(&parse, WJB_VALUE, &value);
			}
		pushJsonbValue(&parse, WJB_END_OBJECT, NULL);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&parse, WJB_END_OBJECT, NULL)));
}

struct MlPoints
{
	Oid			type;
	TupleDesc	desc;
	Datum	   *rows;
	int			n;
	int			max;
};

MlPoints *
ml_points_begin(FunctionCallInfo fcinfo)
{
	MlPoints   *points = palloc0(sizeof(MlPoints));

	points->type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	points->desc = lookup_rowtype_tupdesc_copy(points->type, -1);
	points->max = 64;
	points->rows = palloc(sizeof(Datum) * points->max);
	return points;
}

void
ml_points_add(MlPoints *points, Datum *values)
{
	bool		nulls[8] = {false};

	if (points->n == points->max)
	{
		points->max *= 2;
		points->rows = repalloc_huge(points->rows, sizeof(Datum) * points->max);
	}
	if (points->n % 4096 == 0)
		CHECK_FOR_INTERRUPTS();
	points->rows[points->n++] = HeapTupleGetDatum(heap_form_tuple(points->desc, values, nulls));
}

Datum
ml_points_array(MlPoints *points)
{
	return PointerGetDatum(construct_array(points->rows, points->n, points->type, -1, false, TYPALIGN_DOUBLE));
}

/* ---- flat sums ---- */

typedef enum SumsKind			/* arbitrary numbers, told apart in states */
{
	SUMS_REGRESSION = 0x4d4c5201,
	SUMS_PROBABILITY = 0x4d4c5002,
	SUMS_CALIBRATION = 0x4d4c4203
} SumsKind;

typedef struct Sums
{
	int32		vl_len_;
	int32		kind;
	int32		n;
	int32		unused;
	double		extremes[ML_REG_EXTREMES];
	MlSum		sums[FLEXIBLE_ARRAY_MEMBER];
} Sums;

/* The state in an argument, or NULL when no row has come yet. */
static Sums *
get_sums(FunctionCallInfo fcinfo, int arg)
{
	Sums	   *s = ml_flat_state(fcinfo, arg);

	if (VARSIZE(s) == VARHDRSZ)
		return NULL;
	if (VARSIZE(s) < offsetof(Sums, sums) || s->n < 0 || s->n > 4 * MAX_BINS ||
		VARSIZE(s) != offsetof(Sums, sums) + sizeof(MlSum) * s->n)
		ml_flat_state_damaged();
	return s;
}

/* The same to add a row to: a new one of n sums when none has come yet. */
static Sums *
get_sums_for(FunctionCallInfo fcinfo, SumsKind kind, int n)
{
	Sums	   *s = get_sums(fcinfo, 0);

	if (s == NULL)
	{
		Size		size = offsetof(Sums, sums) + sizeof(MlSum) * n;

		s = palloc0(size);
		SET_VARSIZE(s, size);
		s->kind = kind;
		s->n = n;
		for (int i = 0; i < ML_REG_EXTREMES; i++)
			s->extremes[i] = -INFINITY;
	}
	else if (s->kind != kind || (s->n != n && kind != SUMS_CALIBRATION))
		ml_flat_state_damaged();
	return s;
}

ML_FUNCTION(ml_sql_sums_combine)
{
	Sums	   *s = get_sums(fcinfo, 0);
	Sums	   *other = get_sums(fcinfo, 1);

	if (other == NULL)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (s == NULL)
		PG_RETURN_POINTER(other);
	if (s->kind != other->kind || s->n != other->n)
		ml_flat_state_damaged();
	if (s->kind == SUMS_REGRESSION && s->n == ML_REG_SUMS)
		ml_regression_merge(s->sums, other->sums);
	else
		for (int i = 0; i < s->n; i++)
			ml_sum_merge(&s->sums[i], &other->sums[i]);
	for (int i = 0; i < ML_REG_EXTREMES; i++)
		s->extremes[i] = Max(s->extremes[i], other->extremes[i]);
	PG_RETURN_POINTER(s);
}

static double
optional_weight(FunctionCallInfo fcinfo, int arg)
{
	double		weight = PG_NARGS() > arg ? PG_GETARG_FLOAT8(arg) : 1;

	ml_check_weight(weight);
	return weight;
}

static bool
binary_int(int32 value)
{
	if (value != 0 && value != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("actual value %d is neither 0 nor 1", value),
				 errhint("Compare with the positive class: a boolean, such as y = 2, is accepted.")));
	return value == 1;
}

ML_FUNCTION(ml_sql_regression_add)
{
	Sums	   *s = get_sums_for(fcinfo, SUMS_REGRESSION, ML_REG_SUMS);
	double		actual = PG_GETARG_FLOAT8(1);
	double		predicted = PG_GETARG_FLOAT8(2);

	ml_check_finite(actual, "actual");
	ml_check_finite(predicted, "predicted");
	ml_regression_add(s->sums, s->extremes, actual, predicted, optional_weight(fcinfo, 3));
	PG_RETURN_POINTER(s);
}

static Datum
regression_metric(FunctionCallInfo fcinfo, MlMetric metric)
{
	Sums	   *s = get_sums(fcinfo, 0);
	const char *undefined;
	double		value;

	if (s == NULL)
		PG_RETURN_NULL();
	if (s->kind != SUMS_REGRESSION || s->n != ML_REG_SUMS)
		ml_flat_state_damaged();
	value = ml_regression_metric(s->sums, s->extremes, metric, &undefined);
	if (undefined)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

ML_FUNCTION(ml_sql_regression_rmse)
{
	return regression_metric(fcinfo, ML_METRIC_RMSE);
}

ML_FUNCTION(ml_sql_regression_mse)
{
	return regression_metric(fcinfo, ML_METRIC_MSE);
}

ML_FUNCTION(ml_sql_regression_mae)
{
	return regression_metric(fcinfo, ML_METRIC_MAE);
}

ML_FUNCTION(ml_sql_regression_r2)
{
	return regression_metric(fcinfo, ML_METRIC_R2);
}

ML_FUNCTION(ml_sql_regression_mape)
{
	return regression_metric(fcinfo, ML_METRIC_MAPE);
}

ML_FUNCTION(ml_sql_regression_smape)
{
	return regression_metric(fcinfo, ML_METRIC_SMAPE);
}

ML_FUNCTION(ml_sql_regression_wape)
{
	return regression_metric(fcinfo, ML_METRIC_WAPE);
}

ML_FUNCTION(ml_sql_regression_max_error)
{
	return regression_metric(fcinfo, ML_METRIC_MAX_ERROR);
}

ML_FUNCTION(ml_sql_regression_explained_variance)
{
	return regression_metric(fcinfo, ML_METRIC_EXPLAINED_VARIANCE);
}

static Datum
add_probability(FunctionCallInfo fcinfo, bool actual)
{
	Sums	   *s = get_sums_for(fcinfo, SUMS_PROBABILITY, ML_PROB_SUMS);
	double		probability = PG_GETARG_FLOAT8(2);

	ml_check_probability(probability);
	ml_probability_add(s->sums, actual, probability, optional_weight(fcinfo, 3));
	PG_RETURN_POINTER(s);
}

ML_FUNCTION(ml_sql_probability_add)
{
	return add_probability(fcinfo, PG_GETARG_BOOL(1));
}

ML_FUNCTION(ml_sql_probability_add_int)
{
	return add_probability(fcinfo, binary_int(PG_GETARG_INT32(1)));
}

/* Many classes, in jsonb: the same state, the log loss alone. */
ML_FUNCTION(ml_sql_class_loss_add)
{
	Sums	   *s = get_sums_for(fcinfo, SUMS_PROBABILITY, ML_PROB_SUMS);
	double		loss = ml_class_log_loss(PG_GETARG_TEXT_PP(1), PG_GETARG_JSONB_P(2));
	double		weight = optional_weight(fcinfo, 3);

	ml_sum_add(&s->sums[ML_PROB_N], weight > 0);
	ml_sum_add(&s->sums[ML_PROB_W], weight);
	ml_sum_add(&s->sums[ML_PROB_LOG], weight * loss);
	PG_RETURN_POINTER(s);
}

static Datum
probability_metric(FunctionCallInfo fcinfo, MlMetric metric)
{
	Sums	   *s = get_sums(fcinfo, 0);
	const char *undefined;
	double		value;

	if (s == NULL)
		PG_RETURN_NULL();
	if (s->kind != SUMS_PROBABILITY || s->n != ML_PROB_SUMS)
		ml_flat_state_damaged();
	value = ml_probability_metric(s->sums, metric, &undefined);
	if (undefined)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

ML_FUNCTION(ml_sql_probability_log_loss)
{
	return probability_metric(fcinfo, ML_METRIC_LOG_LOSS);
}

ML_FUNCTION(ml_sql_probability_brier)
{
	return probability_metric(fcinfo, ML_METRIC_BRIER);
}

/* ---- calibration: per bin rows, w, w p, w y ---- */

/* The bin of p: (low, high], the first including 0; edges as numpy.linspace has them. */
static int
bin_of(double p, int bins)
{
	double		step = 1.0 / bins;
	int			bin = Min(bins - 1, (int) (p * bins));

	while (bin < bins - 1 && (bin + 1) * step < p)
		bin++;
	while (bin > 0 && bin * step >= p)
		bin--;
	return bin;
}

static Datum
add_calibration(FunctionCallInfo fcinfo, bool actual)
{
	double		p = PG_GETARG_FLOAT8(2);
	int			bins = PG_NARGS() > 3 ? PG_GETARG_INT32(3) : 10;
	double		weight = optional_weight(fcinfo, 4);
	Sums	   *s;
	MlSum	   *sums;

	if (bins < 1 || bins > MAX_BINS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d is out of range for the number of bins", bins),
				 errdetail("Valid values are between 1 and %d.", MAX_BINS)));
	ml_check_probability(p);
	s = get_sums_for(fcinfo, SUMS_CALIBRATION, 4 * bins);
	if (s->n != 4 * bins)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of bins must be the same for all rows")));
	if (weight > 0)
	{
		sums = s->sums + 4 * bin_of(p, bins);
		ml_sum_add(&sums[0], 1);
		ml_sum_add(&sums[1], weight);
		ml_sum_add_product(&sums[2], p, weight);
		ml_sum_add(&sums[3], actual ? weight : 0);
	}
	PG_RETURN_POINTER(s);
}

ML_FUNCTION(ml_sql_calibration_add)
{
	return add_calibration(fcinfo, PG_GETARG_BOOL(1));
}

ML_FUNCTION(ml_sql_calibration_add_int)
{
	return add_calibration(fcinfo, binary_int(PG_GETARG_INT32(1)));
}

ML_FUNCTION(ml_sql_calibration_bins)
{
	Sums	   *s = get_sums(fcinfo, 0);
	MlPoints   *points;
	int			bins;

	if (s == NULL)
		PG_RETURN_NULL();
	if (s->kind != SUMS_CALIBRATION || s->n < 4 || s->n % 4 != 0)
		ml_flat_state_damaged();
	bins = s->n / 4;
	points = ml_points_begin(fcinfo);
	for (int i = 0; i < bins; i++)
	{
		MlSum	   *sums = s->sums + 4 * i;
		double		count = ml_sum_value(&sums[0]);
		double		weight = ml_sum_value(&sums[1]);
		Datum		values[5];

		if (!(count >= 0 && count <= MAX_COUNT))
			ml_flat_state_damaged();
		if (weight <= 0)
			continue;
		values[0] = Float8GetDatum(i * (1.0 / bins));
		values[1] = Float8GetDatum(i == bins - 1 ? 1.0 : (i + 1) * (1.0 / bins));
		values[2] = Int64GetDatum((int64) count);
		values[3] = Float8GetDatum(ml_sum_value(&sums[2]) / weight);
		values[4] = Float8GetDatum(ml_sum_value(&sums[3]) / weight);
		ml_points_add(points, values);
	}
	if (points->n == 0)
		PG_RETURN_NULL();
	return ml_points_array(points);
}

/* ---- internal states: scores, or all metrics of numbers or of probabilities ---- */

typedef struct Held
{
	MlRank	   *rank;			/* one of the two */
	MlMetrics  *metrics;
	bool		registered;		/* the file will be closed with the aggregation */
} Held;

static void
close_held(Datum arg)
{
	Held	   *held = (Held *) DatumGetPointer(arg);

	if (held->rank != NULL)
		ml_rank_close(held->rank);
	if (held->metrics != NULL)
		ml_metrics_free(held->metrics);
	held->registered = false;
}

/* The aggregate's memory; window frames cannot close files, hence never spill. */
MemoryContext
ml_aggregate_context(FunctionCallInfo fcinfo, bool *spill)
{
	MemoryContext cxt;
	int			kind = AggCheckCallContext(fcinfo, &cxt);

	if (kind == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function can only be called as part of an aggregate")));
	*spill = kind == AGG_CONTEXT_AGGREGATE;
	return cxt;
}

/* The state in argument 0, made when NULL: task 0 is scores alone. */
static Held *
get_held(FunctionCallInfo fcinfo, uint32 task)
{
	bool		spill;
	MemoryContext cxt = ml_aggregate_context(fcinfo, &spill);
	MemoryContext old;
	Held	   *held;

	if (!PG_ARGISNULL(0))
		return (Held *) PG_GETARG_POINTER(0);
	old = MemoryContextSwitchTo(cxt);
	held = palloc0(sizeof(Held));
	if (task == 0)
		held->rank = ml_rank_create((Size) work_mem * 1024, spill);
	else
		held->metrics = ml_metrics_create_plain(task, task == ML_CLASSIFICATION ? 2 : 0,
												task == ML_CLASSIFICATION, spill);
	MemoryContextSwitchTo(old);
	return held;
}

static Datum
return_held(FunctionCallInfo fcinfo, Held *held)
{
	if (!held->registered &&
		(held->rank ? ml_rank_spilled(held->rank) : ml_metrics_spilled(held->metrics)))
	{
		AggRegisterCallback(fcinfo, close_held, PointerGetDatum(held));
		held->registered = true;
	}
	PG_RETURN_POINTER(held);
}

/* Whether an argument is NULL, so that the row is skipped. */
static bool
has_null(FunctionCallInfo fcinfo)
{
	for (int i = 1; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			return true;
	return false;
}

static Datum
same_state(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

static Datum
add_score(FunctionCallInfo fcinfo, bool actual)
{
	Held	   *held = get_held(fcinfo, 0);
	double		score = PG_GETARG_FLOAT8(2);

	ml_check_finite(score, "predicted");
	ml_rank_add(held->rank, score, actual, optional_weight(fcinfo, 3));
	return return_held(fcinfo, held);
}

ML_FUNCTION(ml_sql_scores_add)
{
	if (has_null(fcinfo))
		return same_state(fcinfo);
	return add_score(fcinfo, PG_GETARG_BOOL(1));
}

ML_FUNCTION(ml_sql_scores_add_int)
{
	if (has_null(fcinfo))
		return same_state(fcinfo);
	return add_score(fcinfo, binary_int(PG_GETARG_INT32(1)));
}

/* Errors go in negated: the scores come back falling. */
ML_FUNCTION(ml_sql_errors_add)
{
	Held	   *held;
	double		actual;
	double		predicted;

	if (has_null(fcinfo))
		return same_state(fcinfo);
	held = get_held(fcinfo, 0);
	actual = PG_GETARG_FLOAT8(1);
	predicted = PG_GETARG_FLOAT8(2);
	ml_check_finite(actual, "actual");
	ml_check_finite(predicted, "predicted");
	ml_check_finite(actual - predicted, "actual minus predicted");
	ml_rank_add(held->rank, -fabs(actual - predicted), false, optional_weight(fcinfo, 3));
	return return_held(fcinfo, held);
}

static Datum
add_metrics(FunctionCallInfo fcinfo, uint32 task)
{
	Held	   *held;
	double		predicted;
	double		weight;

	if (has_null(fcinfo))
		return same_state(fcinfo);
	held = get_held(fcinfo, task);
	predicted = PG_GETARG_FLOAT8(2);
	weight = optional_weight(fcinfo, 3);
	ml_metrics_add(held->metrics, task == ML_REGRESSION ? PG_GETARG_FLOAT8(1) : PG_GETARG_BOOL(1), &predicted, weight);
	return return_held(fcinfo, held);
}

ML_FUNCTION(ml_sql_metrics_add_regression)
{
	return add_metrics(fcinfo, ML_REGRESSION);
}

ML_FUNCTION(ml_sql_metrics_add_binary)
{
	return add_metrics(fcinfo, ML_CLASSIFICATION);
}

ML_FUNCTION(ml_sql_held_serialize)
{
	bool		spill;
	Held	   *held;
	StringInfoData buf;

	(void) ml_aggregate_context(fcinfo, &spill);
	held = (Held *) PG_GETARG_POINTER(0);
	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, VARHDRSZ);
	appendStringInfoChar(&buf, held->metrics != NULL);
	if (held->metrics != NULL)
		ml_metrics_pack(held->metrics, &buf);
	else
		ml_rank_pack(held->rank, &buf);
	SET_VARSIZE(buf.data, buf.len);
	PG_RETURN_POINTER(buf.data);
}

/* In the current context, for the combine function to read and to close. */
ML_FUNCTION(ml_sql_held_deserialize)
{
	bool		spill;
	struct varlena *bytes;
	StringInfoData buf;
	Held	   *held;

	(void) ml_aggregate_context(fcinfo, &spill);
	bytes = PG_GETARG_VARLENA_PP(0);
	held = palloc0(sizeof(Held));
	memset(&buf, 0, sizeof(buf));
	buf.data = VARDATA_ANY(bytes);
	buf.len = buf.maxlen = VARSIZE_ANY_EXHDR(bytes);
	buf.cursor = 1;
	if (buf.data[0])
		held->metrics = ml_metrics_unpack(&buf, true);
	else
	{
		held->rank = ml_rank_create((Size) work_mem * 1024, true);
		ml_rank_unpack(held->rank, &buf);
	}
	PG_RETURN_POINTER(held);
}

ML_FUNCTION(ml_sql_held_combine)
{
	bool		spill;
	Held	   *other;
	Held	   *held;

	(void) ml_aggregate_context(fcinfo, &spill);
	if (PG_ARGISNULL(1))
		return same_state(fcinfo);
	other = (Held *) PG_GETARG_POINTER(1);
	if (other->metrics == NULL)
	{
		held = get_held(fcinfo, 0);
		ml_rank_merge(held->rank, other->rank);
	}
	else
	{
		held = get_held(fcinfo, ml_metrics_task(other->metrics));
		ml_metrics_merge(held->metrics, other->metrics, NULL);
	}
	close_held(PointerGetDatum(other));
	return return_held(fcinfo, held);
}

static Datum
score_metric(FunctionCallInfo fcinfo, MlMetric metric)
{
	MlRankValues values;
	double		value;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	ml_rank_values(((Held *) PG_GETARG_POINTER(0))->rank, &values);
	value = metric == ML_METRIC_AUC ? values.auc : values.pr_auc;
	if (isnan(value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

ML_FUNCTION(ml_sql_scores_auc)
{
	return score_metric(fcinfo, ML_METRIC_AUC);
}

ML_FUNCTION(ml_sql_scores_pr_auc)
{
	return score_metric(fcinfo, ML_METRIC_PR_AUC);
}

ML_FUNCTION(ml_sql_errors_median)
{
	double		value;
	double		low;
	double		high;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	value = ml_rank_median_of_negated(((Held *) PG_GETARG_POINTER(0))->rank, &low, &high);
	if (isnan(value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

ML_FUNCTION(ml_sql_metrics_values)
{
	MlMetrics  *m;
	MlMetricValue *values;
	int			n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	m = ((Held *) PG_GETARG_POINTER(0))->metrics;
	n = ml_metrics_values(m, &values);
	return ml_metric_values_to_jsonb(values, n, ml_metrics_rows(m));
}

/* ---- ROC curve ---- */

static void
add_roc_point(MlPoints *points, double threshold, double false_positives, double true_positives)
{
	Datum		values[3];

	values[0] = Float8GetDatum(threshold);
	values[1] = Float8GetDatum(false_positives);
	values[2] = Float8GetDatum(true_positives);
	ml_points_add(points, values);
}

/*
 * One point a distinct score, falling, but those on a straight line between
 * equally long steps left out, as scikit-learn's drop_intermediate does.
 */
ML_FUNCTION(ml_sql_scores_roc)
{
	MlRank	   *rank;
	MlRankStream *stream;
	MlRankStep	step;
	MlRankStep	last = {0};
	MlPoints   *points;
	double		positives;
	double		negatives;
	MlSum		tp = {0, 0};
	MlSum		fp = {0, 0};
	int64		steps = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	rank = ((Held *) PG_GETARG_POINTER(0))->rank;
	positives = ml_rank_positives(rank);
	negatives = ml_rank_negatives(rank);
	if (positives == 0 || negatives == 0)
		PG_RETURN_NULL();
	points = ml_points_begin(fcinfo);
	add_roc_point(points, INFINITY, 0, 0);
	stream = ml_rank_read(rank);
	while (ml_rank_next(stream, &step))
	{
		/* the first point always stays, later ones if the next step differs from theirs */
		if (steps > 0 && (steps == 1 || step.w[0] != last.w[0] || step.w[1] != last.w[1]))
			add_roc_point(points, last.score, ml_sum_value(&fp) / negatives, ml_sum_value(&tp) / positives);
		ml_sum_add(&fp, step.w[0]);
		ml_sum_add(&tp, step.w[1]);
		last = step;
		steps++;
	}
	ml_rank_end(stream);
	add_roc_point(points, last.score, ml_sum_value(&fp) / negatives, ml_sum_value(&tp) / positives);
	return ml_points_array(points);
}
