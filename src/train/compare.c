/*
 * compare.c - ml_compare: several versions of a model on the same rows, in one scan.
 *
 * Every row goes through every version, so a difference between two versions is
 * known better than from the intervals of both: what is hard about the rows for
 * both is left out.  95 % intervals of differences, normal:
 *
 * - metrics of values and of classes: eval/paired.c;
 * - auc: DeLong, DeLong, Clarke-Pearson (Biometrics 1988), for correlated curves;
 * - pr_auc: the rows' influence on average precision.  A row more with score s and class y
 *   changes it by (n / P) [y (prec(s) - AP) + sum of (y - prec_i) / N_i over positives i with
 *   s_i <= s], where prec_i is the precision among the N_i rows with scores of at least s_i.
 *
 * The last two need the scores, which are kept in a dataset (a file beyond the budget),
 * and those of two versions sorted in memory.  All lives in a context of the call.
 */
#include "train/train.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/acl.h"
#include "core/cache.h"
#include "core/catalog.h"
#include "core/progress.h"
#include "core/state.h"
#include "eval/paired.h"
#include "num/sort.h"
#include "num/special.h"
#include "train/args.h"


typedef struct Version
{
	int			number;
	const MlModel *model;
	int		   *column;			/* of the row, for each column of the model */
	MlConverter *converters;
	double	   *cells;
	double	   *x;
	double	   *out;
	MlMetrics  *metrics;
	MlDifference *difference;	/* from the first version */
} Version;

typedef struct Comparison
{
	MlModelRef	ref;			/* the first version */
	int			n;
	Version    *versions;
	const MlSource *source;
	int		   *columns;		/* of the source that are read; the target is the last */
	int			ncolumns;
	MlColumn	target;
	MlConverter actual;
	FmgrInfo	output;
	MlDataset  *scores;			/* two classes: class, then a score each; or NULL */
	double	   *score_row;
	int64		rows;
	int64		used;
	MemoryContext cxt;
} Comparison;

/* ---- rows ---- */

static void
unknown_class(Comparison *c, const Version *v, Datum value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the model does not know class \"%s\" of column \"%s\"",
					OutputFunctionCall(&c->output, value), v->model->target),
			 errhint("Leave such rows out of the source.")));
}

static void
compare_row(void *arg, const MlRow *row)
{
	Comparison *c = arg;
	int			at = c->ncolumns - 1;
	double		y;

	if ((++c->rows & 0xfff) == 0)
		ml_progress_rows(c->rows);
	if (row->isnull[at])
		return;
	ml_convert(&c->actual, row->values[at], false, &y);
	if (c->versions[0].model->classes > 0 && y == ML_UNSEEN)
		unknown_class(c, &c->versions[0], row->values[at]);
	if (!isfinite(y))
		ml_reject_value(c->target.name, y);
	c->used++;
	for (int i = 0; i < c->n; i++)
	{
		Version    *v = &c->versions[i];
		const MlEncoder *enc = v->model->encoder;

		for (int j = 0; j < enc->schema->ncolumns; j++)
			ml_convert(&v->converters[j], row->values[v->column[j]], row->isnull[v->column[j]],
					   v->cells + enc->schema->columns[j].first_cell);
		if (!ml_encode(enc, v->cells, enc->schema->ncells, 1, v->x))
			ml_encode_error(enc, v->cells);
		v->model->algorithm->predict(v->model->fit, v->x, v->out);
		ml_metrics_add(v->metrics, y, v->out, 1);
		if (i > 0)
			ml_difference_add(v->difference, y, v->out, c->versions[0].out);
		if (c->scores)
			c->score_row[1 + i] = v->out[0];
	}
	if (c->scores)
	{
		MemoryContext old = MemoryContextSwitchTo(c->cxt);

		c->score_row[0] = y;
		ml_dataset_append(c->scores, c->score_row, 1);
		MemoryContextSwitchTo(old);
	}
}

/* ---- scores ---- */

/* Scores of one version by class, sorted. */
typedef struct Sorted
{
	double	   *score[2];
	int64		n[2];
	double	   *gain;			/* n[1] + 1: sums over the lowest positives of 1 / N_i */
	double	   *debt;			/* ... and of prec_i / N_i */
	double		precision;		/* the average */
} Sorted;

static int64
count_below(const double *sorted, int64 n, double x, bool or_equal)
{
	int64		low = 0;
	int64		high = n;

	while (low < high)
	{
		int64		middle = (low + high) / 2;

		if (sorted[middle] < x || (or_equal && sorted[middle] == x))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Of the rows with scores of at least x; says how many these are. */
static double
precision_from(const Sorted *s, double x, double *rows)
{
	double		positives = s->n[1] - count_below(s->score[1], s->n[1], x, false);

	*rows = positives + s->n[0] - count_below(s->score[0], s->n[0], x, false);
	return positives / *rows;
}

static void
add_precision(Sorted *s)
{
	s->gain = ml_alloc(s->n[1] + 1, sizeof(double));
	s->debt = ml_alloc(s->n[1] + 1, sizeof(double));
	for (int64 i = 0; i < s->n[1]; i++)
	{
		double		rows;
		double		precision = precision_from(s, s->score[1][i], &rows);

		if ((i & 0xfff) == 0)
			CHECK_FOR_INTERRUPTS();
		s->gain[i + 1] = s->gain[i] + 1 / rows;
		s->debt[i + 1] = s->debt[i] + precision / rows;
		s->precision += precision / s->n[1];
	}
}

static Sorted
sorted_scores(Comparison *c, int version, double *spare)
{
	Sorted		s = {{NULL, NULL}};
	const double *rows;
	int			got;
	double	   *all = ml_alloc(Max(c->used, 1), sizeof(double));
	int64		end = c->used;

	/* negatives from the front, positives from the back */
	ml_dataset_rewind(c->scores);
	while ((got = ml_dataset_next(c->scores, &rows)) > 0)
		for (int i = 0; i < got; i++)
		{
			const double *row = rows + (Size) i * (c->n + 1);

			if (row[0] == 1)
				all[--end] = row[1 + version];
			else
				all[s.n[0]++] = row[1 + version];
		}
	s.n[1] = c->used - end;
	s.score[0] = all;
	s.score[1] = all + end;
	for (int k = 0; k < 2; k++)
		ml_sort_doubles(s.score[k], s.n[k], spare);
	add_precision(&s);
	return s;
}

/* What a row has to do with the areas under both curves, up to constants. */
static void
influence(const Sorted *s, int class, double score, double *auc, double *pr_auc)
{
	const double *other = s->score[!class];
	int64		n = s->n[!class];
	int64		below = count_below(s->score[1], s->n[1], score, true);
	double		rows;

	*auc = (count_below(other, n, score, false) + count_below(other, n, score, true)) / 2.0 / n;
	*pr_auc = class * s->gain[below] - s->debt[below];
	if (class)
		*pr_auc += precision_from(s, score, &rows) - s->precision;
	*pr_auc /= s->n[1];
}

typedef struct Areas
{
	double		auc;
	double		pr_auc;
} Areas;

/* Variances of the differences of the areas of two versions on the same rows; NaN: cannot be told. */
static Areas
area_variances(Comparison *c, const Sorted *first, int version, double *spare)
{
	Sorted		s = sorted_scores(c, version, spare);
	Areas		variance = {get_float8_nan(), get_float8_nan()};
	double		n[2] = {0, 0};
	double		mean[2] = {0, 0};
	double		m2[2] = {0, 0};
	double		squares = 0;
	const double *rows;
	int			got;

	ml_dataset_rewind(c->scores);
	while (s.n[0] > 1 && s.n[1] > 1 && (got = ml_dataset_next(c->scores, &rows)) > 0)
		for (int i = 0; i < got; i++)
		{
			const double *row = rows + (Size) i * (c->n + 1);
			int			k = row[0] == 1;
			Areas		a;
			Areas		b;
			double		e;

			influence(&s, k, row[1 + version], &a.auc, &a.pr_auc);
			influence(first, k, row[1], &b.auc, &b.pr_auc);
			e = a.auc - b.auc - mean[k];
			mean[k] += e / ++n[k];
			m2[k] += e * (a.auc - b.auc - mean[k]);
			squares += (a.pr_auc - b.pr_auc) * (a.pr_auc - b.pr_auc);
		}
	if (s.n[0] > 1 && s.n[1] > 1)
	{
		variance.auc = m2[0] / (n[0] - 1) / n[0] + m2[1] / (n[1] - 1) / n[1];
		variance.pr_auc = squares * c->used / (c->used - 1);
	}
	ml_free(s.score[0]);
	ml_free(s.gain);
	ml_free(s.debt);
	return variance;
}

/* For each version but the first; NaN where the scores of two versions do not fit into memory. */
static Areas *
all_area_variances(Comparison *c)
{
	Areas	   *variance = palloc(c->n * sizeof(Areas));
	Sorted		first;
	double	   *spare;

	for (int i = 0; i < c->n; i++)
		variance[i].auc = variance[i].pr_auc = get_float8_nan();
	if (c->scores == NULL || c->n < 2 || c->used == 0)
		return variance;
	ml_dataset_seal(c->scores);
	if (7.0 * c->used * sizeof(double) > ml_budget_bytes() / 2)
	{
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("differences of \"auc\" and \"pr_auc\" come without an interval: %lld rows do not fit into memory",
						(long long) c->used),
				 errhint("Raise maintenance_work_mem, or compare on a sample.")));
		return variance;
	}
	spare = ml_alloc(c->used, sizeof(double));
	first = sorted_scores(c, 0, spare);
	for (int i = 1; i < c->n; i++)
		variance[i] = area_variances(c, &first, i, spare);
	return variance;
}

/* ---- results ---- */

static double
difference_variance(const Version *v, const char *metric, Areas areas, double *center)
{
	if (strcmp(metric, "auc") == 0)
		return areas.auc;
	if (strcmp(metric, "pr_auc") == 0)
		return areas.pr_auc;
	return ml_difference_variance(v->difference, metric, center);
}

static void
add_rows(MlResultRows *rows, Comparison *c)
{
	Areas	   *areas = all_area_variances(c);
	double		z = ml_normal_quantile(0.975);
	MlMetricValue *first;

	ml_metrics_values(c->versions[0].metrics, &first);
	for (int i = 0; i < c->n; i++)
	{
		Version    *v = &c->versions[i];
		MlMetricValue *m;
		int			n = ml_metrics_values(v->metrics, &m);

		for (int j = 0; j < n; j++)
		{
			double		difference = m[j].value - first[j].value;
			double		center = difference;
			double		sd = i == 0 || isnan(difference) ? get_float8_nan() : sqrt(difference_variance(v, m[j].name, areas[i], &center));
			double		numbers[] = {m[j].value, m[j].ci_low, m[j].ci_high,
				i == 0 ? get_float8_nan() : difference, center - z * sd, center + z * sd};
			Datum		values[9];
			bool		nulls[9] = {false};

			values[0] = Int32GetDatum(v->number);
			values[1] = CStringGetTextDatum(m[j].name);
			for (int k = 0; k < lengthof(numbers); k++)
			{
				values[2 + k] = Float8GetDatum(numbers[k]);
				nulls[2 + k] = isnan(numbers[k]);
			}
			values[8] = Int64GetDatum(c->used);
			ml_result_add(rows, values, nulls);
		}
	}
}

/* ---- setting up ---- */

/* The versions that are not archived, when none are named. */
static int *
all_versions(const MlModelRef *ref, int *n)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(ref->model_id)};
	MemoryContext cxt = CurrentMemoryContext;
	MlOwnerWork work;
	int		   *numbers;

	ml_owner_begin(&work);
	*n = (int) ml_owner_run("SELECT version FROM ml.version WHERE model_id = $1 AND archived_at IS NULL ORDER BY version",
							1, types, values, NULL);
	numbers = MemoryContextAlloc(cxt, Max(*n, 1) * sizeof(int));
	for (int i = 0; i < *n; i++)
	{
		bool		isnull;

		numbers[i] = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	}
	ml_owner_end(&work);
	return numbers;
}

static int *
given_versions(FunctionCallInfo fcinfo, int arg, int *n)
{
	Datum	   *values;
	bool	   *nulls;
	int		   *numbers;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), INT4OID, 4, true, TYPALIGN_INT, &values, &nulls, n);
	numbers = palloc(Max(*n, 1) * sizeof(int));
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain NULL", "versions")));
		numbers[i] = DatumGetInt32(values[i]);
	}
	return numbers;
}

static void
add_version(Comparison *c, int number)
{
	Version    *v = &c->versions[c->n];
	MlModelRef	ref;
	const MlModel *first = c->versions[0].model;

	for (int i = 0; i < c->n; i++)
		if (c->versions[i].number == number)
			return;
	ml_catalog_resolve(psprintf("%s@%d", c->ref.name, number), ML_PREDICT, false, &ref);
	v->number = number;
	v->model = ml_cache_version(ref.version_id, c->cxt);
	if (v->model->target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("version %d of model \"%s\" has no target to measure it by", number, ref.name)));
	if (c->n > 0 && (v->model->task != first->task || v->model->classes != first->classes ||
					 strcmp(v->model->target, first->target) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("versions %d and %d of model \"%s\" cannot be compared", c->versions[0].number, number, ref.name),
				 errdetail("They have different targets or classes.")));
	for (int k = 0; c->n > 0 && k < first->classes; k++)
		if (strcmp(v->model->labels[k], first->labels[k]) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("versions %d and %d of model \"%s\" cannot be compared", c->versions[0].number, number, ref.name),
					 errdetail("They have different targets or classes.")));
	c->n++;
}

/* Which of the columns read it is; a new one if need be. */
static int
read_column(Comparison *c, const char *name)
{
	int			column = ml_source_column(c->source, name);

	for (int i = 0; i < c->ncolumns; i++)
		if (c->columns[i] == column)
			return i;
	c->columns[c->ncolumns] = column;
	return c->ncolumns++;
}

static void
open_version(Comparison *c, Version *v)
{
	const MlEncoder *enc = v->model->encoder;
	const MlSchema *schema = enc->schema;

	v->column = palloc(Max(schema->ncolumns, 1) * sizeof(int));
	v->converters = palloc0(Max(schema->ncolumns, 1) * sizeof(MlConverter));
	for (int j = 0; j < schema->ncolumns; j++)
	{
		v->column[j] = read_column(c, schema->columns[j].name);
		ml_converter_init(&v->converters[j], &schema->columns[j], c->source->columns[c->columns[v->column[j]]].type, false);
	}
	v->cells = palloc(Max(schema->ncells, 1) * sizeof(double));
	v->x = palloc(Max(enc->p, 1) * sizeof(double));
	v->out = palloc(Max(v->model->classes, 1) * sizeof(double));
	v->metrics = ml_metrics_create(v->model->task, v->model->classes);
	v->difference = ml_difference_create(v->model->task, v->model->classes);
}

/* The target as the first version knows it; it is read last, by itself, since a feature may have its name. */
static void
open_target(Comparison *c)
{
	const MlModel *model = c->versions[0].model;
	int			column = ml_source_column(c->source, model->target);
	Oid			type = c->source->columns[column].type;
	Oid			output;
	bool		varlena;

	c->columns[c->ncolumns++] = column;
	c->target.name = model->target;
	c->target.type = model->target_type;
	c->target.cells = 1;
	c->target.kind = model->classes > 0 ? ML_CATEGORY : ML_NUMBER;
	if (model->classes > 0)
	{
		c->target.dict = ml_dict_create(CurrentMemoryContext);
		for (int k = 0; k < model->classes; k++)
			ml_dict_intern(c->target.dict, model->labels[k], strlen(model->labels[k]));
		getTypeOutputInfo(type, &output, &varlena);
		fmgr_info(output, &c->output);
	}
	ml_converter_init(&c->actual, &c->target, type, false);
	if (model->classes == 2)
	{
		c->scores = ml_dataset_create(c->n + 1, ml_budget_bytes() / 4);
		c->score_row = palloc((c->n + 1) * sizeof(double));
	}
}

static void
compare(MlResultRows *rows, Comparison *c, const int *numbers, int n, const char *text)
{
	int			columns = 1;

	c->versions = palloc0((n + 1) * sizeof(Version));
	add_version(c, c->ref.version);
	for (int i = 0; i < n; i++)
		add_version(c, numbers[i]);
	c->source = ml_source_open(text);
	ml_progress_relation(c->source->relid);
	for (int i = 0; i < c->n; i++)
		columns += c->versions[i].model->encoder->schema->ncolumns;
	c->columns = palloc(columns * sizeof(int));
	for (int i = 0; i < c->n; i++)
		open_version(c, &c->versions[i]);
	open_target(c);
	ml_progress_phase(ML_PHASE_SCORE);
	ml_stream(c->source, c->columns, c->ncolumns, compare_row, c);
	if (c->used < c->rows)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("%lld of %lld rows have no value of \"%s\" and were left out",
						(long long) (c->rows - c->used), (long long) c->rows, c->target.name)));
	add_rows(rows, c);
	for (int i = 0; i < c->n; i++)
		ml_metrics_free(c->versions[i].metrics);
	if (c->scores)
		ml_dataset_free(c->scores);
}

/* ml_compare(model, source, versions) */
ML_FUNCTION(ml_sql_compare)
{
	MemoryContext caller = CurrentMemoryContext;
	Comparison	c = {0};
	MlResultRows rows;
	int		   *numbers;
	int			n;

	ml_arg_required(fcinfo, 0, "model");
	ml_arg_required(fcinfo, 1, "source");
	ml_result_begin(fcinfo, &rows);
	c.cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext compare", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(c.cxt);
	ml_progress_start("compare", InvalidOid);
	ml_catalog_resolve(ml_arg_text(fcinfo, 0), ML_PREDICT, false, &c.ref);
	numbers = PG_ARGISNULL(2) ? all_versions(&c.ref, &n) : given_versions(fcinfo, 2, &n);
	compare(&rows, &c, numbers, n, ml_arg_text(fcinfo, 1));
	ml_progress_end();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(c.cxt);
	PG_RETURN_VOID();
}
