/*
 * profile.c - what a model remembers of its training rows for its monitoring:
 * exact counts between cut points, exact deciles, rows of each category, and
 * predictions of the holdout.
 *
 * The cuts come from the summaries.  One pass over the collected rows counts
 * between them; a second one takes the few values beside each decile out, so
 * that a column need not be sorted.  Beyond COUNTED_ROWS that would cost too much, and
 * rows that were streamed are not there any more: then the counts are the summaries' estimates, and marked so, and the
 * predictions are those of a sample of the table.  Without a holdout there are none.
 *
 * Memory: the profile lies in the training's context, what is needed meanwhile
 * in a child of it.
 */
#include "train/train.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "core/state.h"
#include "eval/metrics.h"
#include "num/sort.h"

#define SCORED_SALT 77
#define SAMPLED_ROWS 10000.0	/* a quantile of them is right to 1.5 % */
#define COUNTED_ROWS 200000		/* of more, numbers keep the summaries' estimates: counting would cost as much as a training */

/* ---- predictions ---- */

MlScored *
ml_scored_create(int classes)
{
	MlScored   *scored = palloc0(sizeof(MlScored));

	scored->classes = classes;
	scored->value = palloc(ML_SCORED_ROOM * sizeof(double));
	scored->hit = palloc(ML_SCORED_ROOM * sizeof(double));
	scored->class_rows = palloc0(Max(classes, 1) * sizeof(double));
	return scored;
}

void
ml_scored_add(MlScored *scored, double y, const double *out)
{
	int			best = 0;
	int64		at = scored->n++;

	for (int k = 1; scored->classes > 2 && k < scored->classes; k++)
		if (out[k] > out[best])
			best = k;
	if (scored->classes > 2)
		scored->class_rows[best]++;
	/* a reservoir (Vitter 1985), seeded: the same rows leave the same predictions */
	if (at >= ML_SCORED_ROOM)
		at = (int64) (ml_split_uniform(at, SCORED_SALT) * scored->n);
	if (at >= ML_SCORED_ROOM)
		return;
	scored->kept = Max(scored->kept, (int) at + 1);
	scored->value[at] = out[best];
	scored->hit[at] = scored->classes > 2 ? best == (int) y : y;
}

/* How often predictions between two cuts came true. */
static void
learn_rates(MlProfile *profile, const MlScored *scored)
{
	const MlGrid *grid = profile->prediction;
	double		weight[ML_GRID_BINS] = {0};

	profile->nrates = grid->ncuts + 1;
	profile->rate = palloc0(profile->nrates * sizeof(double));
	for (int i = 0; i < scored->kept; i++)
	{
		int			bin = ml_grid_bin(grid, scored->value[i]);

		weight[bin]++;
		profile->rate[bin] += scored->hit[i];
	}
	for (int b = 0; b < profile->nrates; b++)
		if (weight[b] > 0)
			profile->rate[b] /= weight[b];
		else
			profile->rate[b] = b > 0 ? profile->rate[b - 1] : 0;	/* weighs nothing, and takes its neighbour's */
	ml_isotonic(profile->rate, weight, profile->nrates);
	/* Below all predictions seen as the lowest of them. */
	for (int b = profile->nrates - 2; b >= 0 && weight[0] == 0; b--)
		if (weight[b + 1] > 0)
			profile->rate[0] = profile->rate[b + 1];
}

static void
profile_predictions(MlProfile *profile, const MlScored *scored)
{
	double	   *sorted;

	if (scored == NULL || scored->kept == 0)
		return;
	sorted = palloc(2 * scored->kept * sizeof(double));
	memcpy(sorted, scored->value, scored->kept * sizeof(double));
	ml_sort_doubles(sorted, scored->kept, sorted + scored->kept);
	profile->predicted = scored->n;
	profile->prediction = palloc(sizeof(MlGrid));
	ml_grid_of_sorted(profile->prediction, sorted, scored->kept);
	pfree(sorted);
	if (scored->classes > 2)
	{
		profile->classes = scored->classes;
		profile->class_rows = scored->class_rows;
	}
	if (scored->classes > 0)
		learn_rates(profile, scored);
}

/* ---- predictions of rows that streamed by ---- */

typedef struct Sampler
{
	MlTraining *t;
	const MlFit *fit;
	MlScored   *scored;
	MlConverter *converters;
	double	   *cells;
	double	   *x;
} Sampler;

static void
score_sampled(void *arg, const MlRow *row)
{
	Sampler    *s = arg;
	const MlSchema *schema = s->t->schema;
	double		out;

	for (int i = 0; i < schema->ncolumns; i++)
		ml_convert(&s->converters[i], row->values[i], row->isnull[i], s->cells + schema->columns[i].first_cell);
	if (!ml_encode(s->fit->encoder, s->cells, schema->ncells, 1, s->x))
		return;
	s->t->algorithm->predict(s->fit->model, s->x, &out);
	if (isfinite(out))
		ml_scored_add(s->scored, 0, &out);
}

MlScored *
ml_scored_sample(MlTraining *t, const MlFit *fit)
{
	Sampler		s = {t, fit};
	MlSource	sampled = *t->source;
	double		share = Min(SAMPLED_ROWS / Max(t->rows_read, 1.0), 1.0);

	/* Only a table can be sampled; by pages, since to look at every row would be another scan. */
	if (!t->source->position)
		return NULL;
	sampled.position = false;
	sampled.from = psprintf("%s TABLESAMPLE SYSTEM (%.10g) REPEATABLE (0)", t->source->from, 100 * share);
	s.scored = ml_scored_create(0);
	s.converters = palloc0(Max(t->schema->ncolumns, 1) * sizeof(MlConverter));
	for (int i = 0; i < t->schema->ncolumns; i++)
		ml_converter_init(&s.converters[i], &t->schema->columns[i], t->source->columns[t->feature_column[i]].type, false);
	s.cells = palloc(Max(t->schema->ncells, 1) * sizeof(double));
	s.x = palloc(Max(fit->encoder->p, 1) * sizeof(double));
	ml_stream(&sampled, t->feature_column, t->schema->ncolumns, score_sampled, &s);
	return s.scored;
}

/* ---- features ---- */

/* One cell of the rows. */
typedef struct Counted
{
	MlGrid	   *grid;			/* NULL: a category */
	double	   *levels;
	int			nlevels;
	uint64	   *count;
	double		position[ML_DECILES];	/* of the deciles, among the sorted values */
	bool		wanted[ML_GRID_BINS];	/* values of these bins are needed */
	int64		needed;			/* how many they are */
	double	   *values;			/* and as much room behind them to sort */
	int64		nvalues;
} Counted;

/* One tile's values of a cell, side by side. */
static void
take_cell(const MlRowView *view, int n, int cell, double *x)
{
	for (int i = 0; i < n; i++)
		x[i] = view->row[i][cell];
}

static void
count_cells(MlTraining *t, Counted *cells)
{
	MlRowView	view = {{0}};
	double		x[ML_TILE_ROWS];
	int			n;

	ml_rows_start(t);
	while ((n = ml_rows_next(t, NULL, &view)) > 0)
		for (int c = 0; c < t->schema->ncells; c++)
		{
			take_cell(&view, n, c, x);
			if (cells[c].grid)
				ml_grid_count(cells[c].grid, x, n, 1, cells[c].count);
			for (int i = 0; cells[c].levels && i < n; i++)
				if (x[i] >= 0 && x[i] < cells[c].nlevels)
					cells[c].levels[(int) x[i]]++;
		}
}

/* The bin that holds the value of this rank, from 0; *before: how many lie in the bins below. */
static int
bin_of_rank(const MlGrid *grid, double rank, double *before)
{
	int			b = 0;

	*before = 0;
	while (b < grid->ncuts && *before + grid->count[b] <= rank)
		*before += grid->count[b++];
	return b;
}

static bool
one_value(const MlGrid *grid, int b)
{
	return b > 0 && b < grid->ncuts && nextafter(grid->cut[b - 1], INFINITY) == grid->cut[b];
}

/* Which values decide the deciles. */
static void
want_bins(Counted *cell)
{
	MlGrid	   *grid = cell->grid;

	for (int i = 0; i < ML_DECILES; i++)
	{
		cell->position[i] = (grid->n - 1) * ((i + 1) / 10.0);
		for (int next = 0; next <= 1; next++)
		{
			double		before;
			int			b = bin_of_rank(grid, Min(floor(cell->position[i]) + next, grid->n - 1), &before);

			if (!one_value(grid, b) && !cell->wanted[b])
			{
				cell->wanted[b] = true;
				cell->needed += (int64) grid->count[b];
			}
		}
	}
}

static void
take_values(MlTraining *t, Counted *cells)
{
	MlRowView	view = {{0}};
	int			n;

	ml_rows_start(t);
	while ((n = ml_rows_next(t, NULL, &view)) > 0)
		for (int c = 0; c < t->schema->ncells; c++)
			for (int i = 0; cells[c].values && i < n; i++)
			{
				double		x = view.row[i][c];

				if (!isnan(x) && cells[c].wanted[ml_grid_bin(cells[c].grid, x)])
					cells[c].values[cells[c].nvalues++] = x;
			}
}

/* The value of a rank: in a bin of one value, or among those taken out. */
static double
value_of_rank(const Counted *cell, double rank)
{
	double		before;
	int			b = bin_of_rank(cell->grid, Min(rank, cell->grid->n - 1), &before);
	int64		taken = 0;

	if (one_value(cell->grid, b))
		return cell->grid->cut[b - 1];
	for (int lower = 0; lower < b; lower++)
		if (cell->wanted[lower])
			taken += (int64) cell->grid->count[lower];
	return cell->values[taken + (int64) (Min(rank, cell->grid->n - 1) - before)];
}

/* Exact deciles among the cuts; the bins that they divide are counted anew. */
static void
set_deciles(Counted *cell)
{
	MlGrid	   *grid = cell->grid;
	double		decile[ML_DECILES];
	MlGrid		before = *grid;

	ml_sort_doubles(cell->values, cell->nvalues, cell->values + cell->needed);
	for (int i = 0; i < ML_DECILES; i++)
	{
		double		rank = floor(cell->position[i]);

		decile[i] = ml_grid_between(value_of_rank(cell, rank), value_of_rank(cell, rank + 1), cell->position[i] - rank);
	}
	ml_grid_set_deciles(grid, decile);
	memset(grid->count, 0, sizeof(grid->count));
	for (int b = 0; b <= before.ncuts; b++)
		if (!cell->wanted[b] && before.count[b] > 0)
			grid->count[ml_grid_bin(grid, before.cut[b - 1])] += before.count[b];
	for (int64 i = 0; i < cell->nvalues; i++)
		grid->count[ml_grid_bin(grid, cell->values[i])]++;
}

/* The counts of all cells, exactly. */
static void
refine(MlTraining *t, MlProfile *profile)
{
	int			ncells = t->schema->ncells;
	Counted    *cells = palloc0(Max(ncells, 1) * sizeof(Counted));

	for (int c = 0; c < ncells; c++)
	{
		cells[c].grid = t->rows_used <= COUNTED_ROWS && profile->grids[c] && !profile->grids[c]->exact && profile->grids[c]->n > 0 ? profile->grids[c] : NULL;
		cells[c].nlevels = profile->nlevels[c];
		cells[c].levels = profile->levels[c] && !profile->levels_exact[c] ? profile->levels[c] : NULL;
		if (cells[c].levels)
			memset(cells[c].levels, 0, cells[c].nlevels * sizeof(double));
		if (cells[c].grid)
			cells[c].count = palloc0((ML_GRID_BINS + 1) * sizeof(uint64));
	}
	t->reading = t->rows;
	count_cells(t, cells);
	for (int c = 0; c < ncells; c++)
	{
		profile->levels_exact[c] = true;
		if (cells[c].grid == NULL)
			continue;
		cells[c].grid->n = 0;
		for (int b = 0; b <= cells[c].grid->ncuts; b++)
		{
			cells[c].grid->count[b] = cells[c].count[b];
			cells[c].grid->n += cells[c].count[b];
		}
		cells[c].grid->exact = true;
		want_bins(&cells[c]);
		/* Without room the cuts at the sketch's deciles stay; what is counted between them is exact. */
		if (2 * cells[c].needed * sizeof(double) < ml_memory_left() / 2)
			cells[c].values = ml_alloc(Max(2 * cells[c].needed, 1), sizeof(double));
	}
	take_values(t, cells);
	for (int c = 0; c < ncells; c++)
	{
		CHECK_FOR_INTERRUPTS();
		if (cells[c].values)
			set_deciles(&cells[c]);
	}
}

/* Whether any cell has more rows than its summary keeps. */
static bool
needs_refinement(const MlTraining *t, const MlProfile *profile)
{
	for (int c = 0; c < profile->ncells; c++)
		if (profile->grids[c] ? t->rows_used <= COUNTED_ROWS && profile->grids[c]->n > 0 && !profile->grids[c]->exact
			: !profile->levels_exact[c])
			return true;
	return false;
}

MlProfile *
ml_training_profile(MlTraining *t, const MlScored *scored, bool collected)
{
	MlProfile  *profile = ml_profile_of_summaries(t->schema, t->summaries, t->schema->ncells);

	if (collected && needs_refinement(t, profile))
	{
		MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext profile", ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(cxt);

		refine(t, profile);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
	}
	profile_predictions(profile, scored);
	return profile;
}
