/*
 * learn.c - the encoder, learned from the training rows that a mask lets through.
 *
 * Columns that carry nothing (constant, all NULL, id-like text) are left out
 * before, by train.c.  What is needed beyond the summaries of the collection -
 * level counts, exact medians, target means per level - comes from passes over
 * the collected rows, so that a fold or a training part never sees the others.
 */
#include "train/train.h"

#include <limits.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#define QUANTILE_BATCH 32		/* histograms of 64k counters at a time: 16 MB */
#define TARGET_SMOOTHING 20.0	/* rows that the overall mean counts for (Micci-Barreca 2001) */

/* Per level of one category column, under a mask. */
typedef struct LevelStats
{
	double	   *n;				/* rows */
	double	   *w;				/* nfolds + 1 blocks, the last is the sum; NULL unless encoded by target */
	double	   *wy;				/* likewise: weighted sum of the target */
	double		nulls;
} LevelStats;

/* ---- exact quantiles ---- */

/* Maps doubles to integers that sort alike. */
static uint64
sort_key(double v)
{
	uint64		bits;

	memcpy(&bits, &v, sizeof(bits));
	return (bits >> 63) ? ~bits : bits | (UINT64CONST(1) << 63);
}

static double
key_value(uint64 key)
{
	uint64		bits = (key >> 63) ? key & ~(UINT64CONST(1) << 63) : ~key;
	double		v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

typedef struct Selection
{
	int			cell;
	uint64		prefix;			/* leading bits of the key sought */
	double		rank;			/* of the lower middle, among keys with this prefix */
	double		n;
	double		fraction;
	double		below;			/* keys <= the one found */
	uint64		next;			/* smallest key above it */
	uint32	   *count;
} Selection;

/* One radix pass: counts the next 16 bits of the keys that match the prefix. */
static void
select_pass(MlTraining *t, const MlMask *mask, Selection *s, int ns, int round)
{
	MlRowView	view = {{0}};
	int			shift = 48 - 16 * round;
	int			n;

	ml_rows_start(t);
	while ((n = ml_rows_next(t, mask, &view)) > 0)
		for (int j = 0; j < ns; j++)
			for (int i = 0; i < n; i++)
			{
				double		v = view.row[i][s[j].cell];
				uint64		key;

				if (isnan(v))
					continue;
				key = sort_key(v);
				if (round == 0 || (key >> (shift + 16)) == s[j].prefix)
					s[j].count[(key >> shift) & 0xffff]++;
			}
}

static void
select_digit(Selection *s, int round, double q)
{
	double		before = 0;
	int			digit = 0;

	if (round == 0)
	{
		double		position;

		for (int i = 0; i < 65536; i++)
			s->n += s->count[i];
		position = s->n > 0 ? q * (s->n - 1) : 0;
		s->rank = floor(position);
		s->fraction = position - s->rank;
	}
	while (digit < 65535 && before + s->count[digit] <= s->rank)
		before += s->count[digit++];
	s->rank -= before;
	s->prefix = (s->prefix << 16) | digit;
	if (round == 3)
		s->below = s->count[digit] - s->rank;	/* copies from the one found on */
	memset(s->count, 0, 65536 * sizeof(uint32));
}

/* The smallest value above the one found, for interpolation. */
static void
select_next(MlTraining *t, const MlMask *mask, Selection *s, int ns)
{
	MlRowView	view = {{0}};
	int			n;

	ml_rows_start(t);
	while ((n = ml_rows_next(t, mask, &view)) > 0)
		for (int j = 0; j < ns; j++)
			for (int i = 0; i < n; i++)
			{
				double		v = view.row[i][s[j].cell];
				uint64		key = isnan(v) ? 0 : sort_key(v);

				if (key > s[j].prefix && key < s[j].next)
					s[j].next = key;
			}
}

/* Quantiles q (linear interpolation between order statistics, R's type 7) of several cells. */
static void
exact_quantiles(MlTraining *t, const MlMask *mask, const int *cells, int ncells, double q, double *out)
{
	for (int first = 0; first < ncells; first += QUANTILE_BATCH)
	{
		int			ns = Min(QUANTILE_BATCH, ncells - first);
		Selection  *s = palloc0(ns * sizeof(Selection));
		uint32	   *counts = palloc0((Size) ns * 65536 * sizeof(uint32));

		for (int j = 0; j < ns; j++)
		{
			s[j].cell = cells[first + j];
			s[j].count = counts + (Size) j * 65536;
			s[j].next = PG_UINT64_MAX;
		}
		for (int round = 0; round < 4; round++)
		{
			select_pass(t, mask, s, ns, round);
			for (int j = 0; j < ns; j++)
				select_digit(&s[j], round, q);
		}
		select_next(t, mask, s, ns);
		for (int j = 0; j < ns; j++)
		{
			double		low = key_value(s[j].prefix);
			double		high = s[j].below > 1 || s[j].next == PG_UINT64_MAX ? low : key_value(s[j].next);

			out[first + j] = s[j].n == 0 ? 0 : low + s[j].fraction * (high - low);
			if (s[j].fraction == 0.5)	/* exact for the median: no rounding of a difference */
				out[first + j] = s[j].n == 0 ? 0 : low / 2 + high / 2;
		}
		pfree(counts);
		pfree(s);
	}
}

double
ml_exact_quantile(MlTraining *t, const MlMask *mask, int cell, double q)
{
	double		out;

	exact_quantiles(t, mask, &cell, 1, q, &out);
	return out;
}

/* ---- numbers ---- */

/* Cells whose fill or scale must be exact under the mask: those with NULLs, or all for robust scaling. */
static int
cells_needing(const MlTraining *t, bool all, int *cells)
{
	int			n = 0;

	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		const MlColumn *col = &t->schema->columns[i];

		if (col->kind == ML_CATEGORY)
			continue;
		for (int c = col->first_cell; c < col->first_cell + col->cells; c++)
			if (all || t->summaries[c].nulls > 0)
				cells[n++] = c;
	}
	return n;
}

typedef struct CellStats
{
	double		n;
	double		mean;
	double		min;
	double		max;
} CellStats;

static CellStats *
cell_stats(MlTraining *t, const MlMask *mask)
{
	CellStats  *stats = palloc0(Max(t->schema->ncells, 1) * sizeof(CellStats));
	MlRowView	view = {{0}};
	int			n;

	ml_rows_start(t);
	while ((n = ml_rows_next(t, mask, &view)) > 0)
		for (int i = 0; i < n; i++)
			for (int c = 0; c < t->schema->ncells; c++)
			{
				double		v = view.row[i][c];
				CellStats  *s = &stats[c];

				if (isnan(v))
					continue;
				s->min = s->n == 0 ? v : Min(s->min, v);
				s->max = s->n == 0 ? v : Max(s->max, v);
				s->n += 1;
				s->mean += (v - s->mean) / s->n;
			}
	return stats;
}

/* Fill values and encoder-side scaling per cell, indexed by cell. */
static void
learn_cells(MlTraining *t, const MlMask *mask, double *fill, double *center, double *scale)
{
	int			ncells = t->schema->ncells;
	bool		minmax = t->core.scale == ML_SCALE_MINMAX;
	bool		robust = t->core.scale == ML_SCALE_ROBUST;
	int		   *cells = palloc(Max(ncells, 1) * sizeof(int));
	double	   *value = palloc(Max(ncells, 1) * sizeof(double));
	int			n = cells_needing(t, false, cells);
	CellStats  *stats = NULL;

	if (minmax || (t->core.impute == ML_IMPUTE_MEAN && n > 0))
		stats = cell_stats(t, mask);
	for (int c = 0; c < ncells; c++)
	{
		CHECK_FOR_INTERRUPTS();	/* a median sorts a sketch: 200 ms for 1,000 columns */
		center[c] = 0;
		scale[c] = 1;
		fill[c] = 0;
		if (t->core.impute == ML_IMPUTE_MEDIAN && t->summaries[c].n > 0)
			fill[c] = ml_summary_quantile(&t->summaries[c], 0.5);
		else if (t->core.impute == ML_IMPUTE_MEAN)
			fill[c] = stats ? stats[c].mean : t->summaries[c].mean;
		if (minmax && stats[c].max > stats[c].min)
		{
			center[c] = stats[c].min;
			scale[c] = stats[c].max - stats[c].min;
		}
	}
	if (t->core.impute == ML_IMPUTE_MEDIAN && n > 0)
	{
		exact_quantiles(t, mask, cells, n, 0.5, value);
		for (int j = 0; j < n; j++)
			fill[cells[j]] = value[j];
	}
	if (robust)
	{
		double	   *upper = palloc(Max(ncells, 1) * sizeof(double));

		n = cells_needing(t, true, cells);
		exact_quantiles(t, mask, cells, n, 0.5, value);
		for (int j = 0; j < n; j++)
			center[cells[j]] = value[j];
		exact_quantiles(t, mask, cells, n, 0.75, upper);
		exact_quantiles(t, mask, cells, n, 0.25, value);
		for (int j = 0; j < n; j++)
			if (upper[j] > value[j])
				scale[cells[j]] = upper[j] - value[j];
	}
	for (int i = 0; i < t->schema->ncolumns && t->offset_column >= 0; i++)
		if (t->feature_column[i] == t->offset_column)
		{
			center[t->schema->columns[i].first_cell] = 0;
			scale[t->schema->columns[i].first_cell] = 1;
		}
}

/* ---- categories ---- */

/* How a category column becomes numbers: by the dictionary of all rows, so the same under every mask. */
static MlCategories
column_policy(const MlTraining *t, int column)
{
	if (t->core.categories != ML_CATEGORIES_NATIVE)
		return t->core.categories;
	if (ml_dict_size(t->schema->columns[column].dict) <= ML_NATIVE_LEVELS)
		return ML_CATEGORIES_NATIVE;
	return t->classes > 2 || t->task == ML_ANOMALY ? ML_FREQUENCY : ML_TARGET;
}

static bool
target_encoded(const MlTraining *t, int column)
{
	return t->schema->columns[column].kind == ML_CATEGORY && column_policy(t, column) == ML_TARGET;
}

bool
ml_any_target_encoding(const MlTraining *t)
{
	if (t->start)				/* its encoder has learned them from rows that are no longer here */
		return false;
	for (int i = 0; i < t->schema->ncolumns; i++)
		if (target_encoded(t, i))
			return true;
	return false;
}

/* Counts of all category columns; sums of the target, in folds, of those that are encoded by it. */
static LevelStats *
level_stats(MlTraining *t, const MlMask *mask)
{
	const int	nfolds = ML_TARGET_FOLDS;
	LevelStats *stats = palloc0(Max(t->schema->ncolumns, 1) * sizeof(LevelStats));
	MlRowView	view = {{0}};
	int			n;

	for (int i = 0; i < t->schema->ncolumns; i++)
		if (t->schema->columns[i].kind == ML_CATEGORY)
		{
			int			levels = ml_dict_size(t->schema->columns[i].dict) + 1;

			stats[i].n = palloc0(levels * sizeof(double));
			if (!target_encoded(t, i))
				continue;
			stats[i].w = ml_alloc((size_t) levels * (nfolds + 1), sizeof(double));
			stats[i].wy = ml_alloc((size_t) levels * (nfolds + 1), sizeof(double));
		}
	ml_rows_start(t);
	while ((n = ml_rows_next(t, mask, &view)) > 0)
		for (int c = 0; c < t->schema->ncolumns; c++)
		{
			int			levels;

			if (stats[c].n == NULL)
				continue;
			levels = ml_dict_size(t->schema->columns[c].dict) + 1;
			for (int i = 0; i < n; i++)
			{
				const double *row = view.row[i];
				double		code = row[t->schema->columns[c].first_cell];
				int			level = isnan(code) ? levels - 1 : (int) code;

				stats[c].n[level] += 1;
				if (isnan(code))
					stats[c].nulls += 1;
				if (stats[c].w != NULL)
				{
					double		w = ml_row_weight(t, row);
					double		y = ml_row_target(t, row);
					int			fold = ml_row_fold(row[t->at_u], nfolds);
					Size		at = (Size) fold * levels + level;

					stats[c].w[at] += w;
					stats[c].wy[at] += w * y;
					stats[c].w[(Size) nfolds * levels + level] += w;
					stats[c].wy[(Size) nfolds * levels + level] += w * y;
				}
			}
		}
	return stats;
}

/* Sums of the target in folds are large; the rest goes with the fit. */
static void
forget_sums(const MlTraining *t, LevelStats *stats)
{
	for (int i = 0; i < t->schema->ncolumns; i++)
		if (stats[i].w != NULL)
		{
			ml_free(stats[i].w);
			ml_free(stats[i].wy);
			stats[i].w = stats[i].wy = NULL;
		}
}

typedef struct LevelOrder
{
	int			code;
	double		n;
	const char *bytes;
	int			len;
} LevelOrder;

static int
compare_bytes(const void *a, const void *b)
{
	const LevelOrder *x = a;
	const LevelOrder *y = b;
	int			c = memcmp(x->bytes, y->bytes, Min(x->len, y->len));

	return c != 0 ? c : x->len - y->len;
}

static int
compare_counts(const void *a, const void *b)
{
	const LevelOrder *x = a;
	const LevelOrder *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return compare_bytes(a, b);
}

/* Levels that occur under the mask: the most frequent `cap`, sorted by their bytes. */
static LevelOrder *
kept_levels(const MlDict *dict, const LevelStats *stats, int cap, int *nkept, int *noccur)
{
	int			size = ml_dict_size(dict);
	LevelOrder *order = palloc(Max(size, 1) * sizeof(LevelOrder));
	int			n = 0;

	for (int code = 0; code < size; code++)
	{
		if (stats->n[code] == 0)
			continue;
		order[n].code = code;
		order[n].n = stats->n[code];
		order[n].bytes = ml_dict_get(dict, code, &order[n].len);
		n++;
	}
	*noccur = n;
	if (n > cap)
	{
		qsort(order, n, sizeof(LevelOrder), compare_counts);
		n = cap;
	}
	qsort(order, n, sizeof(LevelOrder), compare_bytes);
	*nkept = n;
	return order;
}

static bool
full_levels(const MlTraining *t)
{
	const MlParam *intercept = ml_param_find(t->algorithm->params, "intercept");

	if (t->core.levels != ML_LEVELS_AUTO)
		return t->core.levels == ML_LEVELS_ALL;
	if (intercept && !*(const bool *) ((const char *) t->params + intercept->offset))
		return true;
	return !(t->algorithm->flags & ML_REFERENCE_LEVEL) ||
		ml_params_penalized(t->algorithm->params, t->params);
}

static void
add_name(MlEncoder *enc, int column, bool numeric, char *name)
{
	enc->names[enc->p] = name;
	enc->source[enc->p] = column;
	enc->numeric[enc->p] = numeric;
	enc->p++;
}

static void
learn_one_hot(MlTraining *t, MlEncoder *enc, int column, const LevelStats *stats)
{
	MlColumn   *col = &t->schema->columns[column];
	MlEncoding *e = &enc->columns[column];
	int			nkept;
	int			noccur;
	LevelOrder *order = kept_levels(col->dict, stats, t->core.max_categories, &nkept, &noccur);
	int			first = full_levels(t) ? 0 : 1;
	int			width = 0;

	e->code = ML_CODE_ONE_HOT;
	e->nlevels = ml_dict_size(col->dict);
	e->slot = palloc(Max(e->nlevels, 1) * sizeof(int));
	e->null_slot = -1;
	e->unseen_slot = -1;
	for (int i = 0; i < e->nlevels; i++)
		e->slot[i] = -1;
	for (int i = first; i < nkept; i++)
	{
		e->slot[order[i].code] = width++;
		add_name(enc, column, false, psprintf("%s=%s", col->name, order[i].bytes));
	}
	if (noccur > nkept)
	{
		bool	   *kept = palloc0(e->nlevels * sizeof(bool));

		for (int i = 0; i < nkept; i++)
			kept[order[i].code] = true;
		for (int i = 0; i < e->nlevels; i++)
			if (!kept[i])
				e->slot[i] = width;
		e->unseen_slot = width++;
		add_name(enc, column, false, psprintf("%s=(other)", col->name));
		ml_warn("column \"%s\" has %d categories: the %d most frequent were kept, the others became \"(other)\"",
				col->name, noccur, nkept);
	}
	if (stats->nulls > 0)
	{
		e->null_slot = width++;
		add_name(enc, column, false, psprintf("%s is null", col->name));
	}
	e->width = width;
}

/* Levels that occur are numbered in the order of their bytes. */
static void
learn_levels(MlTraining *t, MlEncoder *enc, int column, const LevelStats *stats)
{
	MlColumn   *col = &t->schema->columns[column];
	MlEncoding *e = &enc->columns[column];
	int			nkept;
	int			noccur;
	LevelOrder *order = kept_levels(col->dict, stats, INT_MAX, &nkept, &noccur);

	e->code = ML_CODE_LEVEL;
	e->width = 1;
	e->nlevels = ml_dict_size(col->dict);
	e->slot = palloc(Max(e->nlevels, 1) * sizeof(int));
	for (int i = 0; i < e->nlevels; i++)
		e->slot[i] = -1;
	for (int i = 0; i < nkept; i++)
		e->slot[order[i].code] = i;
	add_name(enc, column, false, pstrdup(col->name));
}

static void
learn_table(MlTraining *t, MlEncoder *enc, int column, const LevelStats *stats, int nfolds)
{
	MlCategories policy = column_policy(t, column);
	MlColumn   *col = &t->schema->columns[column];
	MlEncoding *e = &enc->columns[column];
	int			nkept;
	int			noccur;
	LevelOrder *order = kept_levels(col->dict, stats, INT_MAX, &nkept, &noccur);
	int			levels = ml_dict_size(col->dict) + 1;
	double		total = stats->nulls;
	double		w = 0;
	double		wy = 0;

	e->code = ML_CODE_TABLE;
	e->width = 1;
	e->nlevels = levels - 1;
	e->value = palloc0(levels * sizeof(double));
	for (int i = 0; i < levels - 1; i++)
		total += stats->n[i];
	if (t->core.categories == ML_CATEGORIES_NATIVE)
		ml_warn("column \"%s\" has %d categories: beyond %d each is replaced by %s", col->name, levels - 1,
				ML_NATIVE_LEVELS, policy == ML_TARGET ? "the mean of the target in its other rows" : "its share of the rows");
	if (policy == ML_ORDINAL)
	{
		for (int i = 0; i < levels - 1; i++)
			e->value[i] = -1;
		for (int i = 0; i < nkept; i++)
			e->value[order[i].code] = i;
		e->null_value = e->unseen_value = -1;
	}
	else if (policy == ML_FREQUENCY)
	{
		for (int i = 0; i < levels - 1; i++)
			e->value[i] = total > 0 ? stats->n[i] / total : 0;
		e->null_value = total > 0 ? stats->nulls / total : 0;
	}
	else
	{
		const double *lw = stats->w + (Size) nfolds * levels;
		const double *lwy = stats->wy + (Size) nfolds * levels;

		for (int i = 0; i < levels; i++)
		{
			w += lw[i];
			wy += lwy[i];
		}
		e->unseen_value = w > 0 ? wy / w : 0;
		for (int i = 0; i < levels; i++)
		{
			double		v = (lwy[i] + TARGET_SMOOTHING * e->unseen_value) / (lw[i] + TARGET_SMOOTHING);

			if (i < levels - 1)
				e->value[i] = v;
			else
				e->null_value = v;
		}
	}
	add_name(enc, column, true, psprintf("%s", col->name));
}

/* ---- the whole ---- */

static int
max_width(const MlTraining *t)
{
	Size		p = 0;

	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		const MlColumn *col = &t->schema->columns[i];

		p += col->kind == ML_CATEGORY
			? Min(ml_dict_size(col->dict), t->core.max_categories) + 2 : Max(col->cells, 4) + 1;
	}
	return (int) p;
}

static void
learn_number(MlTraining *t, MlEncoder *enc, int column, const double *fill,
			 const double *center, const double *scale)
{
	static const char *const parts[] = {"days", "month", "dow", "hour"};
	MlColumn   *col = &t->schema->columns[column];
	MlEncoding *e = &enc->columns[column];
	bool		date = col->kind == ML_DATE || col->kind == ML_TIMESTAMP || col->kind == ML_TIMESTAMPTZ;
	int			width = col->cells;

	e->code = ML_CODE_NUMBER;
	if (date)
	{
		e->code = ML_CODE_DATE;
		width = col->kind == ML_DATE ? 3 : 4;
	}
	e->fill = palloc0(width * sizeof(double));
	e->center = palloc0(width * sizeof(double));
	e->scale = palloc0(width * sizeof(double));
	for (int c = 0; c < width; c++)
	{
		e->center[c] = date ? 0 : center[col->first_cell + c];
		e->scale[c] = date ? 1 : scale[col->first_cell + c];
		e->fill[c] = date ? 0 : fill[col->first_cell + c];
		if (date)
			add_name(enc, column, true, psprintf("%s.%s", col->name, parts[c]));
		else if (col->cells > 1)
			add_name(enc, column, true, psprintf("%s[%d]", col->name, c + 1));
		else
			add_name(enc, column, col->kind != ML_BOOLEAN, pstrdup(col->name));
	}
	if (date && t->core.impute != ML_IMPUTE_NATIVE)
	{
		/* A missing time is the median one, and its parts. */
		MlEncoder	one = *enc;
		MlSchema	schema = *t->schema;
		MlColumn	column_of = *col;
		MlEncoding	column;
		double		x[4];

		column_of.first_cell = 0;
		schema.columns = &column_of;
		schema.ncolumns = 1;
		one.schema = &schema;
		column = *e;
		column.first = 0;
		column.width = width;
		one.columns = &column;
		one.p = width;
		if (!isnan(fill[col->first_cell]) && ml_encode(&one, &fill[col->first_cell], 1, 1, x))
			memcpy(e->fill, x, width * sizeof(double));
	}
	e->width = width;
	if (t->core.indicator && t->summaries[col->first_cell].nulls > 0 && col->cells == 1)
	{
		e->indicator = true;
		e->width++;
		add_name(enc, column, false, psprintf("%s is null", col->name));
	}
}

MlEncoder *
ml_learn_encoder(MlTraining *t, const MlMask *mask)
{
	int			ncells = t->schema->ncells;
	int			max = max_width(t);
	bool		categories = false;
	MlEncoder  *enc = palloc0(sizeof(MlEncoder));
	double	   *fill = palloc(Max(ncells, 1) * sizeof(double));
	double	   *center = palloc(Max(ncells, 1) * sizeof(double));
	double	   *scale = palloc(Max(ncells, 1) * sizeof(double));
	LevelStats *stats = NULL;

	for (int i = 0; i < t->schema->ncolumns; i++)
		categories |= t->schema->columns[i].kind == ML_CATEGORY;
	enc->schema = t->schema;
	enc->columns = palloc0(Max(t->schema->ncolumns, 1) * sizeof(MlEncoding));
	enc->names = palloc0(Max(max, 1) * sizeof(char *));
	enc->source = palloc0(Max(max, 1) * sizeof(int));
	enc->numeric = palloc0(Max(max, 1) * sizeof(bool));
	learn_cells(t, mask, fill, center, scale);
	if (categories)
		stats = level_stats(t, mask);
	for (int i = 0; i < t->schema->ncolumns; i++)
	{
		MlEncoding *e = &enc->columns[i];

		e->first = enc->p;
		e->impute = t->core.impute;
		e->unseen_error = t->core.unseen == ML_UNSEEN_ERROR;
		e->null_slot = e->unseen_slot = -1;
		if (t->schema->columns[i].kind != ML_CATEGORY)
			learn_number(t, enc, i, fill, center, scale);
		else if (column_policy(t, i) == ML_CATEGORIES_NATIVE)
			learn_levels(t, enc, i, &stats[i]);
		else if (column_policy(t, i) == ML_ONE_HOT)
			learn_one_hot(t, enc, i, &stats[i]);
		else
			learn_table(t, enc, i, &stats[i], ML_TARGET_FOLDS);
	}
	if (categories)
		forget_sums(t, stats);
	ml_encoder_prepare(enc);
	return enc;
}

/*
 * Values of target-encoded columns for a training row: learned from the other
 * folds only, so that the row's own label does not leak into its feature.
 */
MlOutOfFold *
ml_learn_out_of_fold(MlTraining *t, const MlMask *mask, const MlEncoder *enc)
{
	MlOutOfFold *oof = palloc0(sizeof(MlOutOfFold));
	LevelStats *stats = level_stats(t, mask);

	oof->values = palloc0(Max(t->schema->ncolumns, 1) * sizeof(double *));
	for (int c = 0; c < t->schema->ncolumns; c++)
	{
		int			levels;
		double		prior = enc->columns[c].unseen_value;

		if (stats[c].w == NULL)
			continue;
		levels = ml_dict_size(t->schema->columns[c].dict) + 1;
		oof->values[c] = ml_alloc((size_t) levels * ML_TARGET_FOLDS, sizeof(double));
		for (int f = 0; f < ML_TARGET_FOLDS; f++)
			for (int i = 0; i < levels; i++)
			{
				Size		at = (Size) f * levels + i;
				Size		all = (Size) ML_TARGET_FOLDS * levels + i;

				oof->values[c][at] = (stats[c].wy[all] - stats[c].wy[at] + TARGET_SMOOTHING * prior) /
					(stats[c].w[all] - stats[c].w[at] + TARGET_SMOOTHING);
			}
	}
	forget_sums(t, stats);
	return oof;
}

void
ml_out_of_fold_free(const MlTraining *t, MlOutOfFold *oof)
{
	for (int c = 0; c < t->schema->ncolumns; c++)
		if (oof->values[c] != NULL)
			ml_free(oof->values[c]);
	pfree(oof->values);
	pfree(oof);
}

/* Overwrites the target-encoded columns of an encoded training row. */
void
ml_out_of_fold_row(const MlTraining *t, const MlEncoder *enc, const MlOutOfFold *oof,
				   const double *row, double *x)
{
	int			fold = ml_row_fold(row[t->at_u], ML_TARGET_FOLDS);

	for (int c = 0; c < t->schema->ncolumns; c++)
	{
		int			levels;
		double		code;

		if (oof->values[c] == NULL)
			continue;
		levels = ml_dict_size(t->schema->columns[c].dict) + 1;
		code = row[t->schema->columns[c].first_cell];
		if (isnan(code) && t->core.impute == ML_IMPUTE_NATIVE)
			continue;
		x[enc->columns[c].first] = oof->values[c][(Size) fold * levels + (isnan(code) ? levels - 1 : (int) code)];
	}
}
