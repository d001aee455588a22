/*
 * batch.c - one scan of a batch: every value is counted between the cuts of the
 * training profile, every row is predicted.
 *
 * Rows wait in a tile of their segment until it is full, so that each column is
 * searched many values at a time.  Nothing is kept of a row but counts, so the
 * memory depends on columns and segments alone.
 */
#include "monitor/monitor.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/progress.h"
#include "core/state.h"

#define TILE_ROWS 128			/* 20 columns of them fit the nearest cache */

typedef struct Scan
{
	MlMonitor  *m;
	const MlSchema *schema;
	MlConverter *converters;
	bool		plain;			/* all features are float8: a Datum is the cell */
	MlConverter actual;
	MlColumn	target;
	FmgrInfo	segment_out;
	MlDict	   *segments;		/* their texts, numbered as the batches */
	MlBatch   **batches;
	MemoryContext cxt;
	double	   *x;				/* TILE_ROWS encoded rows */
	double	   *out;
	double	   *p;				/* TILE_ROWS: the number that stands for a prediction; NaN: none */
} Scan;

/* ---- batches ---- */

static MlBatch *
batch_create(Scan *s, const char *segment)
{
	MlMonitor  *m = s->m;
	const MlProfile *profile = m->profile;
	MlBatch    *batch = ml_alloc(1, sizeof(MlBatch));
	int			ncells = Max(s->schema->ncells, 1);

	batch->segment = segment;
	batch->count = ml_alloc(ncells, sizeof(uint64 *));
	batch->beyond = ml_alloc(ncells, sizeof(double));
	batch->levels = ml_alloc(ncells, sizeof(double *));
	batch->nulls = ml_alloc(ncells, sizeof(double));
	for (int c = 0; c < s->schema->ncells; c++)
	{
		if (profile->grids[c])
			batch->count[c] = ml_alloc(ML_GRID_BINS + 1, sizeof(uint64));
		else
			batch->levels[c] = ml_alloc(profile->nlevels[c] + 1, sizeof(double));
	}
	batch->prediction = ml_alloc(ML_GRID_BINS + 1, sizeof(uint64));
	batch->class_rows = ml_alloc(Max(m->model->classes, 1), sizeof(double));
	batch->expected[0] = ml_alloc(ML_GRID_BINS, sizeof(double));
	batch->expected[1] = ml_alloc(ML_GRID_BINS, sizeof(double));
	if (m->actual)
		batch->metrics = ml_metrics_create(m->model->task, m->model->classes);
	batch->cells = ml_alloc((size_t) TILE_ROWS * ncells, sizeof(double));
	batch->y = ml_alloc(TILE_ROWS, sizeof(double));
	return batch;
}

static void
add_counts(uint64 *to, const uint64 *from, int n)
{
	for (int i = 0; i < n; i++)
		to[i] += from[i];
}

static void
add_doubles(double *to, const double *from, int n)
{
	for (int i = 0; i < n; i++)
		to[i] += from[i];
}

/* Everything but the metrics, which have both from the start. */
static void
batch_merge(const MlMonitor *m, MlBatch *to, const MlBatch *from)
{
	const MlProfile *profile = m->profile;

	to->rows += from->rows;
	for (int c = 0; c < profile->ncells; c++)
	{
		if (profile->grids[c])
			add_counts(to->count[c], from->count[c], ML_GRID_BINS + 1);
		else
			add_doubles(to->levels[c], from->levels[c], profile->nlevels[c] + 1);
	}
	add_doubles(to->beyond, from->beyond, profile->ncells);
	add_doubles(to->nulls, from->nulls, profile->ncells);
	to->predicted += from->predicted;
	to->failed += from->failed;
	add_counts(to->prediction, from->prediction, ML_GRID_BINS + 1);
	to->prediction_beyond += from->prediction_beyond;
	add_doubles(to->class_rows, from->class_rows, Max(m->model->classes, 1));
	to->unknown += from->unknown;
	for (int k = 0; k < 2; k++)
	{
		to->hits[k] += from->hits[k];
		to->misses[k] += from->misses[k];
		add_doubles(to->expected[k], from->expected[k], ML_GRID_BINS);
	}
	to->hit_variance += from->hit_variance;
	to->brier += from->brier;
	to->log_loss += from->log_loss;
}

/* ---- a tile ---- */

/* Adds the distances from the training range of the values that the counts say are outside. */
static void
count_values(const MlGrid *grid, const double *x, int n, int stride, uint64 *count, double *beyond)
{
	uint64		outside = count[0] + count[grid->ncuts];

	ml_grid_count(grid, x, n, stride, count);
	if (grid->ncuts == 0 || count[0] + count[grid->ncuts] == outside)
		return;
	for (int i = 0; i < n; i++)
	{
		double		value = x[(Size) i * stride];

		if (value < grid->cut[0])
			*beyond += grid->cut[0] - value;
		else if (value >= grid->cut[grid->ncuts - 1])
			*beyond += value - grid->cut[grid->ncuts - 1];
	}
}

static void
count_levels(MlBatch *batch, const MlProfile *profile, int cell, int stride)
{
	double	   *levels = batch->levels[cell];

	for (int i = 0; i < batch->n; i++)
	{
		double		code = batch->cells[(Size) i * stride + cell];

		if (isnan(code))
			batch->nulls[cell]++;
		else
			levels[code >= 0 && code < profile->nlevels[cell] ? (int) code : profile->nlevels[cell]]++;
	}
}

/* What a probability says of a row whose class is not known. */
static void
expect(MlBatch *batch, const MlMonitor *m, double p)
{
	const MlProfile *profile = m->profile;
	int			bin = profile->prediction ? ml_grid_bin(profile->prediction, p) : 0;
	double		rate = profile->nrates > 0 ? profile->rate[bin] : p;
	int			guess = m->model->classes > 2 || p >= 0.5;
	double		hit = guess ? rate : 1 - rate;

	batch->hits[guess] += hit;
	batch->misses[guess] += 1 - hit;
	batch->hit_variance += rate * (1 - rate);
	if (m->model->classes > 2)
		return;
	batch->brier += rate * (1 - p) * (1 - p) + (1 - rate) * p * p;
	batch->log_loss += rate * ml_log_loss_of(p) + (1 - rate) * ml_log_loss_of(1 - p);
	batch->expected[1][bin] += rate;
	batch->expected[0][bin] += 1 - rate;
}

/* One encoded row; returns the number that stands for its prediction, NaN when there is none. */
static double
predict_row(Scan *s, MlBatch *batch, const double *x, double y)
{
	const MlModel *model = s->m->model;
	int			best = 0;

	model->algorithm->predict(model->fit, x, s->out);
	for (int k = 1; model->classes > 2 && k < model->classes; k++)
		if (s->out[k] > s->out[best])
			best = k;
	if (!isfinite(s->out[best]))
	{
		batch->failed++;
		return get_float8_nan();
	}
	batch->predicted++;
	if (model->classes > 2)
		batch->class_rows[best]++;
	if (batch->metrics && y == ML_UNSEEN && model->classes > 0)
		batch->unknown++;
	else if (batch->metrics && !isnan(y))
	{
		ml_metrics_add(batch->metrics, y, s->out, 1);
		if (batch != s->m->whole)
			ml_metrics_add(s->m->whole->metrics, y, s->out, 1);
	}
	else if (batch->metrics == NULL && model->classes > 0)
		expect(batch, s->m, s->out[best]);
	return s->out[best];
}

static void
flush(Scan *s, MlBatch *batch)
{
	const MlProfile *profile = s->m->profile;
	const MlEncoder *encoder = s->m->model->encoder;
	int			ncells = s->schema->ncells;
	bool		encoded;

	if (batch->n == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	for (int c = 0; c < ncells; c++)
	{
		if (profile->grids[c])
			count_values(profile->grids[c], batch->cells + c, batch->n, ncells, batch->count[c], &batch->beyond[c]);
		else
			count_levels(batch, profile, c, ncells);
	}
	encoded = ml_encode(encoder, batch->cells, ncells, batch->n, s->x);
	for (int i = 0; i < batch->n; i++)
	{
		double	   *x = s->x + (Size) i * encoder->p;

		/* One row that cannot be encoded is no reason to lose the others. */
		if (!encoded && !ml_encode(encoder, batch->cells + (Size) i * ncells, ncells, 1, x))
		{
			batch->failed++;
			s->p[i] = get_float8_nan();
		}
		else
			s->p[i] = predict_row(s, batch, x, batch->y[i]);
	}
	if (profile->prediction)
		count_values(profile->prediction, s->p, batch->n, 1, batch->prediction, &batch->prediction_beyond);
	batch->rows += batch->n;
	batch->n = 0;
}

/* ---- rows ---- */

static void
too_many_segments(const MlMonitor *m)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("column \"%s\" has more than %d segments", m->segment, m->options.max_segments),
			 errhint("Group its values in the source, or raise \"max_segments\" in thresholds.")));
}

/* The batch of a row: that of its segment, or of all rows. */
static MlBatch *
row_batch(Scan *s, const MlRow *row, int att)
{
	MlMonitor  *m = s->m;
	MemoryContext old;
	char	   *text;
	int			known = ml_dict_size(s->segments);
	int			code;
	int			len;

	if (row->isnull[att])
	{
		m->no_segment++;
		return m->whole;
	}
	text = OutputFunctionCall(&s->segment_out, row->values[att]);
	old = MemoryContextSwitchTo(s->cxt);
	code = ml_dict_intern(s->segments, text, strlen(text));
	if (code == known)
	{
		if (known == m->options.max_segments)
			too_many_segments(m);
		s->batches[code] = batch_create(s, pstrdup(ml_dict_get(s->segments, code, &len)));
		m->segments = lappend(m->segments, s->batches[code]);
	}
	MemoryContextSwitchTo(old);
	return s->batches[code];
}

static void
scan_row(void *arg, const MlRow *row)
{
	Scan	   *s = arg;
	MlMonitor  *m = s->m;
	int			n = s->schema->ncolumns;
	MlBatch    *batch = m->segment ? row_batch(s, row, n + (m->actual != NULL)) : m->whole;
	double	   *cells = batch->cells + (Size) batch->n * s->schema->ncells;

	if (((int64) ++m->rows & 0xfff) == 0)
		ml_progress_rows(m->rows);
	if (s->plain && !ml_any_null(row->isnull, n))
		memcpy(cells, row->values, n * sizeof(double));
	else
		for (int i = 0; i < n; i++)
			ml_convert(&s->converters[i], row->values[i], row->isnull[i], cells + s->schema->columns[i].first_cell);
	if (m->actual)
	{
		double	   *y = &batch->y[batch->n];

		ml_convert(&s->actual, row->values[n], row->isnull[n], y);
		if (isinf(*y) || (isnan(*y) && !row->isnull[n]))
			ml_reject_value(m->actual, *y);
	}
	if (++batch->n == TILE_ROWS)
	{
		MemoryContext old = MemoryContextSwitchTo(s->cxt);

		flush(s, batch);
		MemoryContextSwitchTo(old);
	}
}

/* How actual values are read: classes by the model's labels. */
static void
open_actual(Scan *s, Oid type)
{
	const MlModel *model = s->m->model;

	s->target.name = pstrdup(s->m->actual);
	s->target.type = model->target_type;
	s->target.cells = 1;
	s->target.kind = model->classes > 0 ? ML_CATEGORY : ML_NUMBER;
	if (model->classes > 0)
	{
		s->target.dict = ml_dict_create(CurrentMemoryContext);
		for (int k = 0; k < model->classes; k++)
			ml_dict_intern(s->target.dict, model->labels[k], strlen(model->labels[k]));
	}
	ml_converter_init(&s->actual, &s->target, type, false);
}

static void
scan_open(Scan *s, int *columns)
{
	MlMonitor  *m = s->m;
	const MlSource *source = m->source;
	int			n = s->schema->ncolumns;

	s->cxt = CurrentMemoryContext;
	s->converters = palloc0(Max(n, 1) * sizeof(MlConverter));
	s->plain = FLOAT8PASSBYVAL && s->schema->ncells == n;
	for (int i = 0; i < n; i++)
	{
		columns[i] = ml_source_column(source, s->schema->columns[i].name);
		ml_converter_init(&s->converters[i], &s->schema->columns[i], source->columns[columns[i]].type, false);
		s->plain &= source->columns[columns[i]].type == FLOAT8OID && s->schema->columns[i].kind == ML_NUMBER;
	}
	if (m->actual)
	{
		columns[n] = ml_source_column(source, m->actual);
		open_actual(s, source->columns[columns[n]].type);
		n++;
	}
	if (m->segment)
	{
		Oid			output;
		bool		varlena;

		columns[n] = ml_source_column(source, m->segment);
		getTypeOutputInfo(source->columns[columns[n]].type, &output, &varlena);
		fmgr_info(output, &s->segment_out);
		s->segments = ml_dict_create(CurrentMemoryContext);
		s->batches = ml_alloc(m->options.max_segments + 1, sizeof(MlBatch *));
	}
	s->x = ml_alloc((size_t) TILE_ROWS * Max(m->model->encoder->p, 1), sizeof(double));
	s->out = ml_alloc(Max(m->model->classes, 1), sizeof(double));
	s->p = ml_alloc(TILE_ROWS, sizeof(double));
	m->whole = batch_create(s, NULL);
}

void
ml_monitor_scan(MlMonitor *m)
{
	Scan		s = {0};
	int		   *columns = palloc((m->model->encoder->schema->ncolumns + 2) * sizeof(int));
	ListCell   *cell;

	s.m = m;
	s.schema = m->model->encoder->schema;
	scan_open(&s, columns);
	ml_stream(m->source, columns, s.schema->ncolumns + (m->actual != NULL) + (m->segment != NULL), scan_row, &s);
	flush(&s, m->whole);
	foreach(cell, m->segments)
	{
		flush(&s, lfirst(cell));
		batch_merge(m, m->whole, lfirst(cell));
	}
}
