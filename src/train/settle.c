/*
 * settle.c - what can only be known when the rows have been seen: the task of an
 * integer target, the classes, and which columns carry nothing.
 */
#include "train/train.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

#define MANY_CLASSES 20			/* beyond, and with less than two rows a class, they are no labels */
#define MAX_EXACT 9007199254740992.0	/* 2^53: beyond, a double merges integers */
#define MAX_COUNTED 1e17		/* rows squared: a mean merged from tiles of 256 rows is off by 4e-19 of them */
#define ID_LIKE_SHARE 0.5		/* distinct values per row that make a text column an identifier */
#define ID_LIKE_LEVELS 20		/* ... from this many on */

/* ---- task and classes ---- */

/* Labels of a number target, as the table would print them whatever the settings. */
static void
number_labels(MlTraining *t)
{
	Oid			type = getBaseType(t->source->columns[t->target_column].type);

	t->labels = palloc(t->classes * sizeof(char *));
	for (int k = 0; k < t->classes; k++)
	{
		double		value = t->label_value[k];

		if (fabs(value) >= MAX_EXACT)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("value %.0f of target \"%s\" is too large for a label", value, t->request.target),
					 errhint("Cast the target to text in the source.")));
		if (type == BOOLOID)
			t->labels[k] = ml_label_text(BOOLOID, BoolGetDatum(value != 0));
		else if (type == FLOAT4OID)
			t->labels[k] = ml_label_text(FLOAT4OID, Float4GetDatum((float4) value));
		else
			t->labels[k] = ml_label_text(FLOAT8OID, Float8GetDatum(value));
	}
}

/*
 * Two values need no pass: the summary knows both, and how often, unless they are
 * so large beside their difference that the mean has lost single rows.
 */
static bool
two_classes(MlTraining *t)
{
	const MlSummary *s = t->y_summary;

	if (ml_summary_distinct(s) > 2 ||
		Max(fabs(s->min), fabs(s->max)) * s->n * s->n > MAX_COUNTED * (s->max - s->min))
		return false;
	t->classes = s->min == s->max ? 1 : 2;
	t->label_value = palloc(2 * sizeof(double));
	t->class_rows = palloc0(2 * sizeof(double));
	t->label_value[0] = s->min;
	t->label_value[1] = s->max;
	if (t->classes == 2)
		t->class_rows[1] = rint((s->mean - s->min) / (s->max - s->min) * s->n);
	t->class_rows[0] = s->n - t->class_rows[1];
	return true;
}

/* Distinct values of a number target, sorted, with their counts. */
static void
number_classes(MlTraining *t)
{
	double	   *value = palloc(ML_MAX_CLASSES * sizeof(double));
	double	   *count = palloc0(ML_MAX_CLASSES * sizeof(double));
	int			n = 0;
	const double *rows;
	int			got;

	ml_dataset_rewind(t->rows);
	while ((got = ml_dataset_next(t->rows, &rows)) > 0)
		for (int i = 0; i < got; i++)
		{
			double		y = rows[(Size) i * t->stored_width + t->at_y];
			int			k = 0;

			for (int high = n; k < high;)
			{
				int			middle = (k + high) / 2;

				if (value[middle] < y)
					k = middle + 1;
				else
					high = middle;
			}
			if (k == n || value[k] != y)
			{
				if (n == ML_MAX_CLASSES)
					ml_too_many_classes(t);
				memmove(value + k + 1, value + k, (n - k) * sizeof(double));
				memmove(count + k + 1, count + k, (n - k) * sizeof(double));
				value[k] = y;
				count[k] = 0;
				n++;
			}
			count[k]++;
		}
	t->classes = n;
	t->label_value = value;
	t->class_rows = count;
}

typedef struct ClassOrder
{
	int			code;
	const char *bytes;
	int			len;
	double		number;			/* numeric labels sort as numbers */
} ClassOrder;

static int
compare_classes(const void *a, const void *b)
{
	const ClassOrder *x = a;
	const ClassOrder *y = b;
	int			c;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	c = memcmp(x->bytes, y->bytes, Min(x->len, y->len));
	return c != 0 ? c : x->len - y->len;
}

static void
dictionary_classes(MlTraining *t)
{
	int			n = ml_dict_size(t->target_dict);
	ClassOrder *order = palloc(Max(n, 1) * sizeof(ClassOrder));
	bool		numeric = getBaseType(t->source->columns[t->target_column].type) == NUMERICOID;

	if (n > ML_MAX_CLASSES)
		ml_too_many_classes(t);
	for (int i = 0; i < n; i++)
	{
		order[i].code = i;
		order[i].bytes = ml_dict_get(t->target_dict, i, &order[i].len);
		order[i].number = numeric ? strtod(order[i].bytes, NULL) : 0;
	}
	qsort(order, n, sizeof(ClassOrder), compare_classes);
	t->classes = n;
	t->labels = palloc(Max(n, 1) * sizeof(char *));
	t->class_of = palloc(Max(n, 1) * sizeof(int));
	t->class_rows = palloc0(Max(n, 1) * sizeof(double));
	for (int k = 0; k < n; k++)
	{
		t->labels[k] = pstrdup(order[k].bytes);
		t->class_of[order[k].code] = k;
		t->class_rows[k] = t->code_rows[order[k].code];
	}
}

/* An integer target has at most two values: then it is a label. */
static void
settle_task(MlTraining *t)
{
	if (t->task != 0)
	{
		/* 0.0 and 1.0 are often a flag that had a missing value somewhere on its way. */
		if (t->task == ML_REGRESSION && !t->request.task && !t->request.algorithm && !t->start &&
			ml_summary_distinct(t->y_summary) == 2)
			ereport(NOTICE,
					(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
					 errmsg("target \"%s\" has two values and is taken as a number: regression", t->request.target),
					 errhint("If they are classes, say task => 'classification'.")));
		return;
	}
	t->task = ml_summary_distinct(t->y_summary) <= 2 ? ML_CLASSIFICATION : ML_REGRESSION;
	if (t->algorithm && !(t->algorithm->tasks & t->task))
		t->task = t->algorithm->tasks;
	ml_settle_algorithm(t);
	ereport(NOTICE,
			(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
			 errmsg("target \"%s\" is taken as %s", t->request.target,
					t->task == ML_CLASSIFICATION ? "a label: classification" : "a number: regression")));
}

/* Numbers, enums and UUIDs can be categories, too. */
static bool
text_column(const MlTraining *t, int column)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(getBaseType(t->source->columns[column].type), &category, &preferred);
	return category == TYPCATEGORY_STRING;
}

/* One warning, however many they are. */
static void
warn_rare_classes(const MlTraining *t, double total)
{
	int			rare = 0;
	int			least = 0;

	for (int k = 0; k < t->classes; k++)
	{
		rare += t->class_rows[k] < 0.01 * total;
		if (t->class_rows[k] < t->class_rows[least])
			least = k;
	}
	if (rare > 1)
		ml_warn("%d classes of target \"%s\" have less than 1 %% of %.0f rows each, the fewest is \"%s\" with %.0f",
				rare, t->request.target, total, t->labels[least], t->class_rows[least]);
	else if (rare == 1)
		ml_warn("class \"%s\" of target \"%s\" has only %.0f of %.0f rows", t->labels[least],
				t->request.target, t->class_rows[least], total);
}

static void
settle_classes(MlTraining *t)
{
	double		total = t->rows_used;
	const char *look = NULL;
	int			share;
	int			of;

	if (t->task != ML_CLASSIFICATION)
		return;
	if (t->target_dict)
		dictionary_classes(t);
	else
	{
		if (!two_classes(t))
			number_classes(t);
		number_labels(t);
	}
	if (t->start)
	{
		ml_resume_classes(t);
		return;
	}
	if (t->classes < 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("target \"%s\" has only one class, \"%s\"", t->request.target,
						t->classes ? t->labels[0] : ""),
				 errdetail("%lld rows were used.", (long long) t->rows_used)));
	if (t->target_dict && text_column(t, t->target_column))
		look = ml_texts_look_like(t->target_dict, &share, &of);
	if (t->classes > MANY_CLASSES && t->classes > t->rows_used / 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("target \"%s\" is no label", t->request.target),
				 errdetail("It has %d different values in %lld rows.", t->classes, (long long) t->rows_used),
				 ml_number_target(t) ? errhint("For a number use task => 'regression'.") :
				 look ? errhint("It is text that looks like %s: cast it in the source.", look) : 0));
	if (t->target_dict && text_column(t, t->target_column))
		ml_warn_texts("target", t->request.target, t->target_dict);
	warn_rare_classes(t, total);
}

/* ---- useless columns ---- */

/* Why a column carries nothing, or NULL. */
static char *
useless(const MlTraining *t, int i, bool keep_constant)
{
	const MlColumn *col = &t->schema->columns[i];
	double		n = 0;
	bool		constant = true;

	for (int c = col->first_cell; c < col->first_cell + col->cells; c++)
	{
		n += t->summaries[c].n;
		if (t->summaries[c].n > 0 && t->summaries[c].min != t->summaries[c].max)
			constant = false;
	}
	if (col->kind == ML_CATEGORY)
	{
		int			levels = ml_dict_size(col->dict);

		if (ml_too_many_levels(col->dict) ||
			(!t->named[i] && levels >= ID_LIKE_LEVELS && levels > ID_LIKE_SHARE * n))
		{
			int			share;
			int			of;
			const char *look = ml_texts_look_like(col->dict, &share, &of);

			return look ? psprintf("%d different texts in %.0f rows look like %s; cast it in the source", levels, n, look) :
				psprintf("%d different texts in %.0f rows look like an identifier", levels, n);
		}
		if (levels == 1 && t->summaries[col->first_cell].nulls > 0)
			constant = false;
	}
	if (n == 0)
		return "it is NULL in every row";
	if (constant && !keep_constant && !(t->core.indicator && t->summaries[col->first_cell].nulls > 0))
		return "it has the same value in every row";
	return NULL;
}

/* Whole numbers from one to the count of rows, all different, are seldom a property of what the row is about. */
void
ml_warn_row_number(const MlTraining *t, const MlColumn *col, const MlSummary *s)
{
	if (col->kind == ML_NUMBER && t->rows_used > 100 && s->integers == t->rows_used &&
		s->max - s->min == t->rows_used - 1 && ml_summary_distinct(s) > 0.9 * t->rows_used)
		ml_warn("column \"%s\" numbers the rows: leave it out with exclude => '{\"%s\"}' unless it carries meaning",
				col->name, col->name);
}

/* Leaves useless columns out of the schema; rows are handed out without them. */
static void
settle_features(MlTraining *t)
{
	MlSchema   *schema = t->schema;
	const MlParam *intercept = ml_param_find(t->algorithm->params, "intercept");
	bool		keep_constant = intercept && !*(bool *) ((char *) t->params + intercept->offset);
	int			extra = t->stored_width - schema->ncells;
	int			kept = 0;
	int			cells = 0;

	t->stored = palloc(t->stored_width * sizeof(int));
	for (int i = 0; i < schema->ncolumns; i++)
	{
		MlColumn	col = schema->columns[i];
		char	   *why = t->start ? NULL : useless(t, i, keep_constant || t->feature_column[i] == t->offset_column);

		if (why)
		{
			ml_warn("column \"%s\" was left out: %s", col.name, why);
			continue;
		}
		ml_warn_row_number(t, &col, &t->summaries[col.first_cell]);
		if (text_column(t, t->feature_column[i]) && !t->start)
			ml_warn_texts("column", col.name, col.dict);
		for (int c = 0; c < col.cells; c++)
		{
			t->stored[cells + c] = col.first_cell + c;
			memmove(&t->summaries[cells + c], &t->summaries[col.first_cell + c], sizeof(MlSummary));
		}
		col.first_cell = cells;
		cells += col.cells;
		schema->columns[kept] = col;
		t->feature_column[kept] = t->feature_column[i];
		kept++;
	}
	if (kept == 0 && !(t->algorithm->flags & ML_NO_FEATURES))
		ml_nothing_to_learn(t, "no usable feature column is left");
	for (int j = 0; j < extra; j++)
		t->stored[cells + j] = schema->ncells + j;
	schema->ncolumns = kept;
	schema->ncells = cells;
	t->width = cells + extra;
	t->at_y -= t->stored_width - t->width;
	t->at_u -= t->stored_width - t->width;
	t->at_w -= t->at_w >= 0 ? t->stored_width - t->width : 0;
	t->at_offset -= t->at_offset >= 0 ? t->stored_width - t->width : 0;
	t->at_order -= t->at_order >= 0 ? t->stored_width - t->width : 0;
	t->at_group -= t->at_group >= 0 ? t->stored_width - t->width : 0;
	t->at_key -= t->stored_width - t->width;
	t->at_rival -= t->at_rival >= 0 ? t->stored_width - t->width : 0;
}

/* Rows that impute = drop leaves out are counted once here, and those of each class that stay. */
static void
count_missing(MlTraining *t)
{
	MlRowView	view = {{0}};
	int64		n = 0;
	int			got;

	if (t->core.impute != ML_IMPUTE_DROP)
		return;
	for (int k = 0; k < t->classes; k++)
		t->class_rows[k] = 0;
	ml_rows_start(t);
	while ((got = ml_rows_next(t, NULL, &view)) > 0)
	{
		n += got;
		for (int i = 0; i < got && t->classes > 0; i++)
			t->class_rows[(int) ml_row_target(t, view.row[i])]++;
	}
	t->rows_missing = t->rows_used - n;
	t->rows_used = n;
	if (n == 0)
		ml_nothing_to_learn(t, "no rows to learn from");
	for (int k = 0; k < t->classes; k++)
		if (t->class_rows[k] == 0 && t->start == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("every row of class \"%s\" has a missing value", t->labels[k]),
					 errhint("Choose another way than \"drop\" for parameter \"impute\", or leave the class out in the source.")));
}

/*
 * Weights that make the classes of the rows under a mask count alike; one for a
 * class that none of them has, which only a row to be measured on can.
 */
void
ml_balance_classes(MlTraining *t, const MlMask *mask)
{
	double	   *n = t->class_rows;
	double		total = t->rows_used;
	int			present = t->classes;

	if (t->task != ML_CLASSIFICATION || t->core.class_weight != ML_CLASS_WEIGHT_BALANCED)
		return;
	if (t->class_weight == NULL)
		t->class_weight = MemoryContextAlloc(t->cxt, t->classes * sizeof(double));
	if (mask)
	{
		MlRowView	view = {{0}};
		int			got;

		n = palloc0(t->classes * sizeof(double));
		total = present = 0;
		ml_rows_start(t);
		while ((got = ml_rows_next(t, mask, &view)) > 0)
			for (int i = 0; i < got; i++)
			{
				int			k = (int) ml_row_target(t, view.row[i]);

				present += n[k]++ == 0;
				total++;
			}
	}
	for (int k = 0; k < t->classes; k++)
		t->class_weight[k] = n[k] > 0 ? total / (present * n[k]) : 1;
}

void
ml_training_settle(MlTraining *t)
{
	settle_task(t);
	settle_classes(t);
	settle_features(t);
	count_missing(t);
	ml_balance_classes(t, NULL);
}
