/*
 * profile.c - the training profile of a model: made from summaries, written and
 * read.  Everything lies in the context current at the call.
 */
#include "core/profile.h"

#include <limits.h>
#include <math.h>

#include "miscadmin.h"

#include "num/sort.h"

#define MAX_METRICS 100

/* ---- from summaries ---- */

static const MlColumn *
column_of_cell(const MlSchema *schema, int cell)
{
	for (int i = 0; i < schema->ncolumns; i++)
	{
		const MlColumn *column = &schema->columns[i];

		if (cell >= column->first_cell && cell < column->first_cell + column->cells)
			return column;
	}
	elog(ERROR, "cell %d belongs to no column", cell);
}

static MlProfile *
profile_create(int ncells)
{
	MlProfile  *profile = palloc0(sizeof(MlProfile));
	int			n = Max(ncells, 1);

	profile->ncells = ncells;
	profile->grids = palloc0(n * sizeof(MlGrid *));
	profile->levels = palloc0(n * sizeof(double *));
	profile->nlevels = palloc0(n * sizeof(int));
	profile->levels_exact = palloc0(n * sizeof(bool));
	profile->nulls = palloc0(n * sizeof(double));
	return profile;
}

/* Rows per code from the quantiles of the codes. */
static void
levels_of_summary(MlProfile *profile, int cell, int nlevels, const MlSummary *s)
{
	double		below = 0;
	double	   *count = palloc_extended(Max(nlevels, 1) * sizeof(double), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	MlQuantiles quantiles;

	ml_quantiles_init(&quantiles, s);
	for (int k = 0; s->n > 0 && k < nlevels; k++)
	{
		double		to = round(s->n * ml_quantiles_cdf(&quantiles, k));

		CHECK_FOR_INTERRUPTS();
		count[k] = Max(to - below, 0);
		below = Max(to, below);
	}
	profile->levels[cell] = count;
	profile->nlevels[cell] = nlevels;
	profile->levels_exact[cell] = s->n <= ML_KLL_EXACT;
}

/* The sketch has every value. */
static void
grid_of_items(MlGrid *grid, const MlSummary *s)
{
	double		items[ML_KLL_ITEMS];
	double		spare[ML_KLL_ITEMS];
	int			n = s->kll_size[0];

	memcpy(items, s->kll, n * sizeof(double));
	ml_sort_doubles(items, n, spare);
	ml_grid_of_sorted(grid, items, n);
}

MlProfile *
ml_profile_of_summaries(const MlSchema *schema, const MlSummary *summaries, int n)
{
	MlProfile  *profile = profile_create(n);

	for (int c = 0; c < n; c++)
	{
		const MlColumn *column = column_of_cell(schema, c);
		const MlSummary *s = &summaries[c];

		CHECK_FOR_INTERRUPTS();
		profile->nulls[c] = s->nulls + s->nan;
		profile->rows = Max(profile->rows, s->n + profile->nulls[c]);
		if (column->kind == ML_CATEGORY)
			levels_of_summary(profile, c, ml_dict_size(column->dict), s);
		else
		{
			profile->grids[c] = palloc(sizeof(MlGrid));
			if (s->n > 0 && s->n <= ML_KLL_EXACT && s->kll_levels == 1 && s->kll_size[0] == s->n)
				grid_of_items(profile->grids[c], s);
			else
				ml_grid_of_summary(profile->grids[c], s);
		}
	}
	return profile;
}

/* ---- bytes ---- */

static void
save_grid(const MlGrid *grid, MlWriter *writer)
{
	ml_write_f64s(writer, (const double[]) {grid->n, grid->mean, grid->sd}, 3);
	ml_write_u8(writer, grid->exact);
	ml_write_u8(writer, grid->ncuts);
	ml_write_u8(writer, grid->ndeciles);
	for (int i = 0; i < grid->ndeciles; i++)
		ml_write_u8(writer, grid->decile[i]);
	ml_write_f64s(writer, grid->cut, grid->ncuts);
	ml_write_f64s(writer, grid->count, grid->ncuts + 1);
}

static MlGrid *
load_grid(MlReader *reader)
{
	MlGrid	   *grid = palloc0(sizeof(MlGrid));
	int			ndeciles;

	grid->n = ml_read_finite(reader);
	grid->mean = ml_read_f64(reader);
	grid->sd = ml_read_f64(reader);
	grid->exact = ml_read_u8(reader) != 0;
	grid->ncuts = ml_read_u8(reader);
	ndeciles = ml_read_u8(reader);
	if (ndeciles > ML_DECILES)
		ml_corrupt("A column has %d deciles.", ndeciles);
	grid->ndeciles = ndeciles;
	for (int i = 0; i < ndeciles; i++)
		grid->decile[i] = ml_read_u8(reader);
	for (int i = 0; i < ML_GRID_CUTS; i++)
		grid->cut[i] = i < grid->ncuts ? ml_read_f64(reader) : INFINITY;
	for (int i = 0; i <= grid->ncuts; i++)
		grid->count[i] = ml_read_finite(reader);
	if (!ml_grid_valid(grid))
		ml_corrupt("The counts of a column contradict each other.");
	return grid;
}

/* Row counts, or rates up to 1. */
static double *
load_shares(MlReader *reader, int n, double max)
{
	double	   *values = n > 0 ? ml_read_f64s(reader, n) : palloc0(sizeof(double));

	for (int i = 0; i < n; i++)
		if (!(values[i] >= 0 && values[i] <= max))
			ml_corrupt("A count or a rate of the profile is %g.", values[i]);
	return values;
}

static void
save_predictions(const MlProfile *profile, MlWriter *writer)
{
	ml_write_f64(writer, profile->predicted);
	if (profile->predicted > 0)
	{
		save_grid(profile->prediction, writer);
		ml_write_u32(writer, profile->class_rows ? profile->classes : 0);
		ml_write_f64s(writer, profile->class_rows, profile->class_rows ? profile->classes : 0);
		ml_write_u32(writer, profile->nrates);
		ml_write_f64s(writer, profile->rate, profile->nrates);
	}
	ml_write_u32(writer, profile->nmetrics);
	for (int i = 0; i < profile->nmetrics; i++)
	{
		const MlProfileMetric *m = &profile->metrics[i];

		ml_write_text(writer, m->name);
		ml_write_f64s(writer, (const double[]) {m->value, m->low, m->high}, 3);
		ml_write_u8(writer, m->higher_is_better);
	}
}

static void
load_predictions(MlReader *reader, MlProfile *profile, int classes)
{
	profile->predicted = ml_read_finite(reader);
	if (!(profile->predicted >= 0))
		ml_corrupt("The profile has %g predictions.", profile->predicted);
	if (profile->predicted > 0)
	{
		profile->prediction = load_grid(reader);
		profile->classes = ml_read_u32(reader, Max(classes, 0));
		if (profile->classes != (classes > 2 ? classes : 0))
			ml_corrupt("The profile has %d classes.", profile->classes);
		profile->class_rows = load_shares(reader, profile->classes, INFINITY);
		profile->nrates = ml_read_u32(reader, ML_GRID_BINS);
		if (profile->nrates != 0 && profile->nrates != profile->prediction->ncuts + 1)
			ml_corrupt("The profile has %d rates.", profile->nrates);
		profile->rate = load_shares(reader, profile->nrates, 1);
	}
	profile->nmetrics = ml_read_u32(reader, MAX_METRICS);
	profile->metrics = palloc0(Max(profile->nmetrics, 1) * sizeof(MlProfileMetric));
	for (int i = 0; i < profile->nmetrics; i++)
	{
		MlProfileMetric *m = &profile->metrics[i];

		m->name = ml_read_text(reader);
		if (m->name == NULL)
			ml_corrupt("A metric of the profile has no name.");
		m->value = ml_read_f64(reader);
		m->low = ml_read_f64(reader);
		m->high = ml_read_f64(reader);
		m->higher_is_better = ml_read_u8(reader) != 0;
	}
}

void
ml_profile_save(const MlProfile *profile, MlWriter *writer)
{
	ml_write_u32(writer, profile->ncells);
	ml_write_f64(writer, profile->rows);
	for (int c = 0; c < profile->ncells; c++)
	{
		ml_write_f64(writer, profile->nulls[c]);
		if (profile->grids[c])
			save_grid(profile->grids[c], writer);
		else
		{
			ml_write_u8(writer, profile->levels_exact[c]);
			ml_write_f64s(writer, profile->levels[c], profile->nlevels[c]);
		}
	}
	save_predictions(profile, writer);
}

MlProfile *
ml_profile_load(MlReader *reader, const MlSchema *schema, int classes)
{
	int			ncells = ml_read_u32(reader, INT_MAX);
	MlProfile  *profile;

	if (ncells != schema->ncells || (size_t) ncells > ml_read_left(reader))
		ml_corrupt("There are profiles of %d cells, not %d.", ncells, schema->ncells);
	profile = profile_create(ncells);
	profile->rows = ml_read_finite(reader);
	for (int i = 0; i < schema->ncolumns; i++)
		for (int c = schema->columns[i].first_cell; c < schema->columns[i].first_cell + schema->columns[i].cells; c++)
		{
			CHECK_FOR_INTERRUPTS();
			profile->nulls[c] = ml_read_finite(reader);
			if (!(profile->nulls[c] >= 0))
				ml_corrupt("A column of the profile has %g missing values.", profile->nulls[c]);
			if (schema->columns[i].kind == ML_CATEGORY)
			{
				profile->nlevels[c] = ml_dict_size(schema->columns[i].dict);
				profile->levels_exact[c] = ml_read_u8(reader) != 0;
				profile->levels[c] = load_shares(reader, profile->nlevels[c], INFINITY);
			}
			else
				profile->grids[c] = load_grid(reader);
		}
	load_predictions(reader, profile, classes);
	return profile;
}
