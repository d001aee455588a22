/*
 * fit.c - everything that happens over collected rows: splitting, the passes of an algorithm, penalties, scoring.
 *
 * States and carries of finished passes are freed as it goes.  An algorithm with `fit` works in a context
 * of its own, so that all of the budget is its, and what it leaves behind goes when its model is no longer needed.
 */
#include "train/train.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "core/progress.h"
#include "core/registry.h"
#include "core/state.h"
#include "eval/curves.h"
#include "eval/metrics.h"
#include "num/threads.h"

#define EXACT_SPLIT_ROWS (128 * 1024)	/* classes smaller than their share of this are cut exactly */
#define FOLD_SALT 0x5f01d	/* inner folds; repeats of ml_cv are small numbers */
#define CV_FOLDS 10				/* when a penalty is "cv" */
#define GRID_FOLDS 5
#define GRID_SIZE 13			/* l1, l2 = 1e-4 ... 1e4 for algorithms without a path of their own */

/* ---- rows ---- */

void
ml_rows_start(MlTraining *t)
{
	t->reading = t->rows;
	ml_dataset_rewind(t->reading);
}

/* Another uniform number of the row, independent of the one it is split by. */
static double
second_uniform(double u, uint64 salt)
{
	return ml_split_uniform((uint64) (u * 0x1p53), salt);
}

int
ml_row_fold(double u, int folds)
{
	return (int) (second_uniform(u, FOLD_SALT) * folds);
}

static int
row_class(const MlTraining *t, double y)
{
	int			low = 0;
	int			high = t->classes - 1;

	if (t->class_of)
		return t->class_of[(int) y];
	if (t->classes == 2)
		return y == t->label_value[1];
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (t->label_value[middle] < y)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

double
ml_row_target(const MlTraining *t, const double *row)
{
	double		y = row[t->at_y];

	return t->classes > 0 ? row_class(t, y) : y;
}

double
ml_row_weight(const MlTraining *t, const double *row)
{
	double		w = t->at_w >= 0 ? row[t->at_w] : 1.0;

	return t->class_weight ? w * t->class_weight[row_class(t, row[t->at_y])] : w;
}

/* What a row is split by: its place in time, or its uniform number, mixed anew for each repeat. */
static double
split_key(const MlTraining *t, const double *row, int at_u, int at_order)
{
	if (at_order >= 0)
		return row[at_order];
	return t->repeat == 0 ? row[at_u] : second_uniform(row[at_u], t->repeat);
}

/* The part a row belongs to. */
static int
row_part(const MlTraining *t, const MlSplit *split, double y, double key)
{
	const double *bound = split->bound;
	int			part = 0;

	if (t->classes > 0 && t->at_order < 0)
		bound += (Size) row_class(t, y) * split->nparts;
	while (part < split->nparts - 1 && key >= bound[part])
		part++;
	return part;
}

static bool
passes(const MlTraining *t, const MlMask *mask, const double *row, int at_y, int at_u, int at_order)
{
	int			part;

	if (mask == NULL)
		return true;
	if (mask->folds > 0)
	{
		if ((ml_row_fold(row[at_u], mask->folds) == mask->fold) != mask->fold_inside)
			return false;
	}
	if (mask->split == NULL)
		return true;
	part = row_part(t, mask->split, row[at_y], split_key(t, row, at_u, at_order));
	if (mask->before)
		return part > mask->part;
	return (part == mask->part) == mask->inside;
}

/* Whether impute = drop leaves the row out. */
static bool
has_missing(const MlTraining *t, const double *stored)
{
	for (int j = 0; j < t->schema->ncells; j++)
		if (isnan(stored[t->stored[j]]))
			return true;
	return false;
}

int
ml_rows_next(MlTraining *t, const MlMask *mask, MlRowView *view)
{
	const double *rows;
	int			got;
	int			shift = t->stored_width - t->width;
	int			at_y = t->at_y + shift;
	int			at_order = t->at_order >= 0 ? t->at_order + shift : -1;
	bool		drop = t->core.impute == ML_IMPUTE_DROP;

	if (shift != 0 && view->remapped == NULL)
		view->remapped = ml_alloc((size_t) ML_TILE_ROWS * t->width, sizeof(double));
	while ((got = ml_dataset_next(t->reading, &rows)) > 0)
	{
		int			n = 0;

		for (int i = 0; i < got; i++)
		{
			const double *row = rows + (Size) i * t->stored_width;

			if (mask && !passes(t, mask, row, at_y, t->at_u + shift, at_order))
				continue;
			if (drop && has_missing(t, row))
				continue;
			if (shift != 0)
			{
				double	   *to = view->remapped + (Size) n * t->width;

				for (int j = 0; j < t->width; j++)
					to[j] = row[t->stored[j]];
				row = to;
			}
			view->row[n++] = row;
		}
		if (n > 0)
			return n;
	}
	return 0;
}

/* ---- splits ---- */

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Bounds at the cumulated shares of sorted keys; equal keys (groups) stay together. */
static void
cut_sorted(double *keys, Size n, int nparts, const double *shares, double *bound)
{
	double		share = 0;
	Size		distinct = 0;

	for (Size i = 0; i < n; i++)
		if (i == 0 || keys[i] != keys[i - 1])
			keys[distinct++] = keys[i];
	for (int p = 0; p < nparts; p++)
	{
		Size		k;

		share += shares[p];
		k = (Size) rint(share * distinct);
		if (p == nparts - 1 || k >= distinct)
			bound[p] = get_float8_infinity();
		else
			bound[p] = k == 0 ? keys[0] : keys[k - 1] / 2 + keys[k] / 2;
		if (k > 0 && k < distinct && bound[p] <= keys[k - 1])
			bound[p] = keys[k];
	}
}

MlSplit *
ml_training_split(MlTraining *t, int nparts, const double *shares)
{
	MlSplit    *split = palloc0(sizeof(MlSplit));
	int			strata = t->classes > 0 && t->at_order < 0 && t->split_column < 0 ? t->classes : 1;
	int			blocks = t->classes > 0 && t->at_order < 0 ? t->classes : 1;
	Size		limit = t->at_order >= 0 ? SIZE_MAX : EXACT_SPLIT_ROWS / strata;
	MlRowView	view = {{0}};
	double	  **keys = palloc0(strata * sizeof(double *));
	Size	   *n = palloc0(strata * sizeof(Size));
	bool		exact = false;
	int			got;

	split->nparts = nparts;
	split->bound = palloc(sizeof(double) * nparts * blocks);
	for (int s = 0; s < strata; s++)
	{
		Size		rows = strata > 1 ? (Size) t->class_rows[s] : (Size) t->rows_used + t->rows_missing;

		if (rows <= limit)
		{
			keys[s] = ml_alloc(Max(rows, 1), sizeof(double));
			exact = true;
		}
	}
	ml_rows_start(t);
	while (exact && (got = ml_rows_next(t, NULL, &view)) > 0)
		for (int i = 0; i < got; i++)
		{
			const double *row = view.row[i];
			int			s = strata > 1 ? (int) ml_row_target(t, row) : 0;

			if (keys[s])
				keys[s][n[s]++] = split_key(t, row, t->at_u, t->at_order);
		}
	for (int s = 0; s < strata; s++)
	{
		double	   *bound = split->bound + (Size) s * nparts;
		double		share = 0;

		if (keys[s])
		{
			qsort(keys[s], n[s], sizeof(double), compare_doubles);
			cut_sorted(keys[s], n[s], nparts, shares, bound);
			ml_free(keys[s]);
			continue;
		}
		for (int p = 0; p < nparts; p++)
			bound[p] = p == nparts - 1 ? get_float8_infinity() : (share += shares[p]);
	}
	for (int b = 1; b < blocks && strata == 1; b++)
		memcpy(split->bound + (Size) b * nparts, split->bound, nparts * sizeof(double));
	return split;
}

/* ---- passes ---- */

/* Encoded tiles of the rows that a mask lets through. */
typedef struct TileReader
{
	MlTraining *t;
	const MlMask *mask;
	const MlEncoder *enc;
	MlOutOfFold *oof;
	const MlProblem *problem;	/* NULL: unscaled */
	MlRowView	view;			/* rows of the tile */
	double	   *block;			/* their cells, one behind the other */
	bool		plain;			/* the encoded columns are the cells */
	double	   *x;
	double	   *y;
	double	   *w;
	double	   *offset;
	double	   *u;
	double	   *group;
	double	   *inverse;		/* 1 / scale */
} TileReader;

/* Whether encoded columns are the stored numbers, so that their summaries can be used. */
static bool
plain_numbers(const MlTraining *t, const MlEncoder *enc)
{
	if (enc->p != t->schema->ncells || t->core.scale == ML_SCALE_MINMAX || t->core.scale == ML_SCALE_ROBUST)
		return false;
	for (int i = 0; i < t->schema->ncolumns; i++)
		if (enc->columns[i].code != ML_CODE_NUMBER)
			return false;
	for (int c = 0; c < t->schema->ncells; c++)
		if (t->summaries[c].nulls > 0 && t->core.impute != ML_IMPUTE_NATIVE)
			return false;
	return true;
}

static void
reader_open(TileReader *r, MlTraining *t, const MlMask *mask, const MlEncoder *enc)
{
	memset(r, 0, sizeof(*r));
	r->t = t;
	r->mask = mask;
	r->enc = enc;
	r->plain = plain_numbers(t, enc);
	if (!r->plain)
		r->block = ml_alloc((size_t) ML_TILE_ROWS * Max(t->schema->ncells, 1), sizeof(double));
	r->x = ml_alloc((size_t) ML_TILE_ROWS * Max(enc->p, 1), sizeof(double));
	r->y = palloc(ML_TILE_ROWS * sizeof(double));
	r->w = palloc(ML_TILE_ROWS * sizeof(double));
	r->offset = palloc(ML_TILE_ROWS * sizeof(double));
	r->u = palloc(ML_TILE_ROWS * sizeof(double));
	r->group = palloc(ML_TILE_ROWS * sizeof(double));
}

/* Cells into encoded columns; an error names the first row that the policy forbids. */
static void
encode_rows(TileReader *r, int n)
{
	int			ncells = r->t->schema->ncells;

	for (int i = 0; i < n; i++)
		memcpy(r->block + (Size) i * ncells, r->view.row[i], ncells * sizeof(double));
	if (ml_encode(r->enc, r->block, ncells, n, r->x))
		return;
	for (int i = 0; i < n; i++)
		if (!ml_encode(r->enc, r->view.row[i], ncells, 1, r->x))
			ml_encode_error(r->enc, r->view.row[i]);
}

/* Numbers that need no encoding, standardized on the way when wanted. */
static void
copy_rows(TileReader *r, int n)
{
	int			p = r->enc->p;
	const double *restrict center = r->inverse ? r->problem->center : NULL;
	const double *restrict inverse = r->inverse;

	for (int i = 0; i < n; i++)
	{
		const double *restrict row = r->view.row[i];
		double	   *restrict x = r->x + (Size) i * p;

		if (center == NULL)
			memcpy(x, row, p * sizeof(double));
		else
			for (int j = 0; j < p; j++)
				x[j] = (row[j] - center[j]) * inverse[j];
	}
}

static void
standardize(const TileReader *r, int n)
{
	int			p = r->problem->p;
	const double *restrict center = r->problem->center;
	const double *restrict inverse = r->inverse;

	for (int i = 0; i < n; i++)
	{
		double	   *restrict x = r->x + (Size) i * p;

		for (int j = 0; j < p; j++)
			x[j] = (x[j] - center[j]) * inverse[j];
	}
}

static bool
reader_next(void *reader, MlTile *tile)
{
	TileReader *r = reader;
	MlTraining *t = r->t;
	int			n = ml_rows_next(t, r->mask, &r->view);
	bool		weighted = t->at_w >= 0 || t->class_weight;

	if (n == 0)
		return false;
	if (r->plain)
		copy_rows(r, n);
	else
		encode_rows(r, n);
	for (int i = 0; i < n; i++)
	{
		const double *row = r->view.row[i];

		r->y[i] = ml_row_target(t, row);
		if (weighted)
			r->w[i] = ml_row_weight(t, row);
		if (t->at_offset >= 0)
			r->offset[i] = row[t->at_offset];
		if (t->at_group >= 0)
			r->group[i] = row[t->at_group];
		r->u[i] = row[t->at_key];
		if (r->oof)
			ml_out_of_fold_row(t, r->enc, r->oof, row, r->x + (Size) i * r->enc->p);
	}
	if (r->inverse && !r->plain)
		standardize(r, n);
	tile->n = n;
	tile->x = r->x;
	tile->y = r->y;
	tile->w = weighted ? r->w : NULL;
	tile->offset = t->at_offset >= 0 ? r->offset : NULL;
	tile->u = r->u;
	tile->group = t->at_group >= 0 ? r->group : NULL;
	return true;
}

static void
check_scale(const MlEncoder *enc, int j, double center, double variance, bool varies)
{
	if (!isfinite(center) || !isfinite(variance))
		ml_fail_data("values of column \"%s\" are too large to be standardized", enc->names[j]);
	if (varies && variance < 1e-290)	/* smaller squares have lost digits, in the end all of them */
		ml_fail_data("the squares of column \"%s\" underflow: multiply it by a power of ten first", enc->names[j]);
}

/* From the summaries of all rows: good enough to condition a problem without penalty. */
static void
scales_from_summaries(const MlTraining *t, const MlEncoder *enc, double *center, double *scale)
{
	for (int j = 0; j < enc->p; j++)
	{
		double		variance = ml_summary_variance(&t->summaries[j], true);

		check_scale(enc, j, t->summaries[j].mean, variance, t->summaries[j].min < t->summaries[j].max);
		center[j] = t->summaries[j].mean;
		scale[j] = variance > 0 ? sqrt(variance) : 1;
	}
}

/*
 * Mean and population standard deviation of each encoded column (1 when constant), in one pass.
 * A weight counts as so many rows; the weight of a class is no property of the columns.
 */
static void
learn_scales(TileReader *r, double *center, double *scale)
{
	int			p = r->enc->p;
	double	   *shift = palloc0(Max(p, 1) * 3 * sizeof(double));
	double	   *s1 = shift + p;
	double	   *s2 = s1 + p;
	double		n = 0;
	MlTile		tile;

	ml_rows_start(r->t);
	while (reader_next(r, &tile))
	{
		if (n == 0)
			memcpy(shift, tile.x, p * sizeof(double));
		for (int i = 0; i < tile.n; i++)
		{
			double		w = r->t->at_w >= 0 ? r->view.row[i][r->t->at_w] : 1;

			for (int j = 0; j < p; j++)
			{
				double		d = tile.x[(Size) i * p + j] - shift[j];

				s1[j] += w * d;
				s2[j] += w * d * d;
			}
			n += w;
		}
	}
	for (int j = 0; j < p && n > 0; j++)
	{
		double		mean = s1[j] / n;
		double		variance = s2[j] / n - mean * mean;

		check_scale(r->enc, j, shift[j] + mean, fmax(variance, s2[j] / n), s1[j] != 0 || s2[j] != 0);
		center[j] = shift[j] + mean;
		scale[j] = variance > 0 && s2[j] / n * 1e-14 < variance ? sqrt(variance) : 1;
	}
	pfree(shift);
}

static void
set_problem(MlTraining *t, MlFit *fit, const void *params)
{
	bool	   *scaled = palloc0(Max(fit->encoder->p, 1) * sizeof(bool));

	for (int j = 0; j < fit->encoder->p; j++)
		scaled[j] = fit->encoder->numeric[j] &&
			(t->core.scale == ML_SCALE_AUTO || t->core.scale == ML_SCALE_STANDARDIZE);
	fit->problem.task = t->task;
	fit->problem.p = fit->encoder->p;
	fit->problem.classes = t->classes;
	fit->problem.names = (const char *const *) fit->encoder->names;
	fit->problem.scaled = scaled;
	fit->problem.seed = (uint64) t->request.seed;
	fit->problem.params = params;
	if (t->algorithm->flags & ML_NATIVE)
	{
		int		   *levels = palloc0(Max(fit->encoder->p, 1) * sizeof(int));

		for (int j = 0; j < fit->encoder->p; j++)
			levels[j] = ml_encoder_levels(fit->encoder, j);
		fit->problem.levels = levels;
	}
	ml_constraints_set(t, fit->encoder, params, &fit->problem);
}

/* The dummy's prediction, from a tile: mean, or class shares (sums until the end of the pass). */
static void
prior_add(const TileReader *r, MlFit *fit, const MlTile *tile)
{
	const MlTraining *t = r->t;

	for (int i = 0; i < tile->n; i++)
	{
		double		w = t->at_w >= 0 ? r->view.row[i][t->at_w] : 1;

		fit->prior_weight += w;
		if (t->classes > 0)
			fit->prior[(int) tile->y[i]] += w;
		else
			fit->prior[0] += (tile->y[i] - fit->prior[0]) * w / fit->prior_weight;
	}
}

static void
prior_finish(const MlTraining *t, MlFit *fit)
{
	for (int k = 0; k < t->classes; k++)
		fit->prior[k] /= fit->prior_weight;
	if (t->classes == 2)
		fit->prior[0] = fit->prior[1];
}

/*
 * Runs passes over `from` until the algorithm is done.  A pass has a context of its
 * own, which goes when nothing of it is needed any more: many passes must not add up.
 */
static void
run_passes(TileReader *r, MlDataset *from, MlFit *fit, double *carry, size_t ncarry)
{
	const MlAlgorithm *algorithm = r->t->algorithm;
	MlProblem  *problem = &fit->problem;
	MemoryContext old = CurrentMemoryContext;
	MemoryContext carry_cxt = NULL;
	MlResult	result;
	MlStep		step;

	problem->pass = 0;
	problem->carry = carry;
	problem->ncarry = ncarry;
	fit->prior = palloc0(Max(r->t->classes, 1) * sizeof(double));
	fit->prior_weight = 0;
	do
	{
		MemoryContext pass_cxt = AllocSetContextCreate(old, "ml_ext pass", ALLOCSET_DEFAULT_SIZES);
		double	   *state;
		MlTile		tile;

		MemoryContextSwitchTo(pass_cxt);
		state = ml_alloc(algorithm->state_size(problem), sizeof(double));
		if (algorithm->init)
			algorithm->init(problem, state);
		MemoryContextSwitchTo(old);
		r->t->reading = from;
		ml_dataset_rewind(from);
		while (reader_next(r, &tile))
		{
			algorithm->accumulate(problem, state, &tile);
			if (problem->pass == 0)
				prior_add(r, fit, &tile);
		}
		if (r->t->core.keep_state && r->mask == NULL && problem->pass == 0 && from == r->t->rows)
		{
			fit->nstate = algorithm->state_size(problem);
			fit->state = ml_alloc(fit->nstate, sizeof(double));
			memcpy(fit->state, state, fit->nstate * sizeof(double));
		}
		memset(&result, 0, sizeof(result));
		result.objective = get_float8_nan();
		MemoryContextSwitchTo(pass_cxt);
		step = algorithm->finish(problem, state, &result);
		ml_learning_add(fit->learning, problem->pass, result.objective, get_float8_nan());
		ml_free(state);
		MemoryContextSwitchTo(old);
		if (step == ML_AGAIN && result.carry == problem->carry)
			MemoryContextDelete(pass_cxt);	/* an algorithm may keep its carry in place */
		else if (step == ML_AGAIN)
		{
			if (carry_cxt)
				MemoryContextDelete(carry_cxt);
			carry_cxt = pass_cxt;
		}
		problem->pass++;
		problem->carry = result.carry;
		problem->ncarry = result.ncarry;
		ml_progress_iteration(problem->pass, result.objective);
	} while (step == ML_AGAIN);
	prior_finish(r->t, fit);
	fit->model = result.model;
	fit->carry = result.carry;
	fit->ncarry = result.ncarry;
	fit->passes = problem->pass;
	fit->stop = result.stop;
	fit->converged = result.converged;
}

/* Coefficients from a sample, as a start for all rows; nothing when they are no good. */
static void
warm_start(TileReader *r, MlFit *fit, double **carry, size_t *ncarry)
{
	MlWarnings	quiet = {CurrentMemoryContext, NIL, true};
	MlFit		sample = *fit;

	sample.learning = NULL;
	if (!(r->t->algorithm->flags & ML_WARM_START) || r->t->sample == NULL ||
		ml_dataset_rows(r->t->sample) > r->t->rows_used / 4)
		return;
	ml_warnings_push(&quiet);
	PG_TRY();
	{
		run_passes(r, r->t->sample, &sample, NULL, 0);
	}
	PG_FINALLY();
	{
		ml_warnings_pop(&quiet);
	}
	PG_END_TRY();
	if (sample.converged && quiet.messages == NIL)
	{
		*carry = sample.carry;
		*ncarry = sample.ncarry;
	}
}

static void
set_scales(TileReader *r, MlFit *fit, const void *params)
{
	MlTraining *t = r->t;
	int			p = Max(fit->encoder->p, 1);
	double	   *center = palloc0(p * sizeof(double));
	double	   *scale = palloc0(p * sizeof(double));

	if (((r->mask == NULL && t->at_w < 0) || !ml_params_penalized(t->algorithm->params, params)) &&
		plain_numbers(t, fit->encoder))
		scales_from_summaries(t, fit->encoder, center, scale);
	else
		learn_scales(r, center, scale);
	r->inverse = palloc(p * sizeof(double));
	for (int j = 0; j < fit->encoder->p; j++)
		r->inverse[j] = 1 / scale[j];
	fit->problem.center = center;
	fit->problem.scale = scale;
	r->problem = &fit->problem;
}

/* ---- an algorithm that reads the rows itself ---- */

typedef struct FitRows
{
	MlData		data;
	TileReader *reader;
	MemoryContext cxt;			/* of the reader: nothing of ours on the algorithm's budget */
} FitRows;

static void
fit_rewind(MlData *data)
{
	ml_rows_start(((FitRows *) data)->reader->t);
}

static bool
fit_next(MlData *data, MlTile *tile)
{
	FitRows    *rows = (FitRows *) data;
	MemoryContext old = MemoryContextSwitchTo(rows->cxt);
	bool		got = reader_next(rows->reader, tile);

	MemoryContextSwitchTo(old);
	return got;
}

/* How many rows the mask lets through, and the dummy's prediction; without a pass when both are known. */
static uint64
count_rows(TileReader *r, MlFit *fit)
{
	const MlTraining *t = r->t;
	uint64		rows = 0;
	MlTile		tile = {0};

	fit->prior = palloc0(Max(t->classes, 1) * sizeof(double));
	fit->prior_weight = 0;
	if (r->mask == NULL && t->at_w < 0 && t->rows_missing == 0)
	{
		fit->prior_weight = t->rows_used;
		for (int k = 0; k < t->classes; k++)
			fit->prior[k] = t->class_rows[k];
		if (t->classes == 0)
			fit->prior[0] = t->y_summary->mean;
		return t->rows_used;
	}
	ml_rows_start(r->t);
	tile.y = r->y;
	while ((tile.n = ml_rows_next(r->t, r->mask, &r->view)) > 0)
	{
		for (int i = 0; i < tile.n; i++)
			r->y[i] = ml_row_target(t, r->view.row[i]);
		prior_add(r, fit, &tile);
		rows += tile.n;
	}
	return rows;
}

static void
run_fit(TileReader *r, MlFit *fit)
{
	FitRows		rows = {{0, fit_rewind, fit_next}, r, CurrentMemoryContext};
	MlResult	result = {0};
	MlLearning *outer;

	rows.data.rows = count_rows(r, fit);
	prior_finish(r->t, fit);
	if (rows.data.rows == 0)
		ml_fail_data("no rows to learn from");
	result.objective = get_float8_nan();
	fit_rewind(&rows.data);
	fit->cxt = AllocSetContextCreate(rows.cxt, "ml_ext fit", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(fit->cxt);
	outer = ml_learning_start(fit->learning);
	PG_TRY();
	{
		r->t->algorithm->fit(&fit->problem, &rows.data, &result);
	}
	PG_FINALLY();
	{
		ml_threads_end();
		ml_learning_start(outer);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(rows.cxt);
	fit->model = result.model;
	if (result.ncarry > 0)
		fit->carry = ml_alloc_copy(result.carry, result.ncarry * sizeof(double));
	fit->ncarry = result.ncarry;
	fit->passes = 1;
	fit->stop = result.stop;
	fit->converged = result.converged;
	fit->outside = result.outside;
}

void
ml_fit_free(MlFit *fit)
{
	if (fit->cxt != NULL)
		MemoryContextDelete(fit->cxt);
	fit->cxt = NULL;
	fit->model = NULL;
}

MlFit *
ml_fit_rows(MlTraining *t, const MlMask *mask, const void *params, const MlFit *start)
{
	MlFit	   *fit = palloc0(sizeof(MlFit));
	TileReader	r;
	double	   *carry = NULL;
	size_t		ncarry = 0;

	fit->learning = ml_learning_create();
	ml_balance_classes(t, mask);
	fit->encoder = t->start ? t->start->encoder : ml_learn_encoder(t, mask);
	set_problem(t, fit, params);
	fit->problem.start = t->start ? t->start->fit : NULL;
	fit->problem.draft = mask != NULL && !t->keep_measured;
	reader_open(&r, t, mask, fit->encoder);
	if (ml_any_target_encoding(t))
	{
		if (t->classes > 2)
			ml_fail_param("categories => \"target\" needs a number or two classes as target, not %d classes",
						  t->classes);
		r.oof = ml_learn_out_of_fold(t, mask, fit->encoder);
	}
	if (t->algorithm->flags & ML_STANDARDIZED)
		set_scales(&r, fit, params);
	if (t->algorithm->fit)
	{
		fit->problem.carry = start ? start->carry : NULL;
		fit->problem.ncarry = start ? start->ncarry : 0;
		run_fit(&r, fit);
	}
	else
	{
		if (start && start->carry && start->problem.p == fit->problem.p && start->converged)
		{
			carry = start->carry;
			ncarry = start->ncarry;
		}
		else
			warm_start(&r, fit, &carry, &ncarry);
		run_passes(&r, t->rows, fit, carry, ncarry);
	}
	if (r.oof)
		ml_out_of_fold_free(t, r.oof);
	return fit;
}

/* ---- penalties by cross-validation ---- */

/* The mask, narrowed to the rows inside or outside one of the inner folds. */
static MlMask
inner_mask(const MlMask *mask, int folds, int fold, bool inside)
{
	MlMask		inner = {0};

	if (mask)
		inner = *mask;
	inner.folds = folds;
	inner.fold = fold;
	inner.fold_inside = inside;
	return inner;
}

/* States of the folds, for algorithms that choose from them. */
static const void *
choose_from_states(MlTraining *t, const MlMask *mask)
{
	const MlAlgorithm *algorithm = t->algorithm;
	MlFit		fit = {0};
	double	   *states[CV_FOLDS];

	fit.encoder = ml_learn_encoder(t, mask);
	set_problem(t, &fit, t->params);
	for (int f = 0; f < CV_FOLDS; f++)
	{
		MlMask		fold = inner_mask(mask, CV_FOLDS, f, true);
		TileReader	r;
		MlTile		tile;

		states[f] = ml_alloc(algorithm->state_size(&fit.problem), sizeof(double));
		if (algorithm->init)
			algorithm->init(&fit.problem, states[f]);
		reader_open(&r, t, &fold, fit.encoder);
		ml_rows_start(t);
		while (reader_next(&r, &tile))
			algorithm->accumulate(&fit.problem, states[f], &tile);
	}
	return algorithm->choose(&fit.problem, states, CV_FOLDS);
}

/* Squared error or log loss of one prediction. */
static double
row_loss(const MlTraining *t, double y, const double *out)
{
	double		p;

	if (t->classes == 0)
		return (y - out[0]) * (y - out[0]);
	p = t->classes == 2 ? (y == 1 ? out[0] : 1 - out[0]) : out[(int) y];
	return -log(Max(p, 1e-15));
}

double
ml_row_losses(MlTraining *t, const MlMask *train, const MlMask *test, const void *params,
			  double *loss, int room, int *n)
{
	MlFit	   *fit = ml_fit_rows(t, train, params, NULL);
	MlAhead    *ahead;
	TileReader	r;
	MlTile		tile;
	double		sum = 0;

	*n = 0;
	reader_open(&r, t, test, fit->encoder);
	ahead = ml_ahead_begin(t, fit, reader_next, &r);
	while (reader_next(&r, &tile))
		for (int i = 0; i < tile.n; i++)
		{
			const double *out = ml_ahead_row(ahead, tile.x + (Size) i * fit->encoder->p);
			double		of_row = (tile.w ? tile.w[i] : 1) * row_loss(t, tile.y[i], out);

			sum += of_row;
			if (*n < room)
				loss[(*n)++] = of_row;
		}
	ml_ahead_end(ahead);
	return sum;
}

/* Over all folds, of any number of rows. */
static double
grid_loss(MlTraining *t, const MlMask *mask, const void *params)
{
	double		sum = 0;

	for (int f = 0; f < GRID_FOLDS; f++)
	{
		MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext grid", ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(cxt);
		MlMask		train = inner_mask(mask, GRID_FOLDS, f, false);
		MlMask		test = inner_mask(mask, GRID_FOLDS, f, true);
		int			none;

		sum += ml_row_losses(t, &train, &test, params, NULL, 0, &none);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
	}
	return sum;
}

/* The best of a grid of powers of ten, each tried by cross-validation. */
static const void *
choose_from_grid(MlTraining *t, const MlMask *mask)
{
	char	   *params = palloc(t->algorithm->params_size);
	double	   *penalty = NULL;
	double		best = 0;
	double		best_loss = get_float8_infinity();
	MlWarnings	quiet = {CurrentMemoryContext, NIL, true};

	memcpy(params, t->params, t->algorithm->params_size);
	for (const MlParam *p = t->algorithm->params; p->name; p++)
		if (p->type == ML_PARAM_PENALTY && isnan(*(double *) (params + p->offset)))
		{
			if (penalty)
				ml_fail_param("only one penalty can be chosen by cross-validation at a time");
			penalty = (double *) (params + p->offset);
		}
	ml_warnings_push(&quiet);
	PG_TRY();
	{
		for (int i = 0; i < GRID_SIZE; i++)
		{
			double		loss;

			*penalty = pow(10, -4 + 8.0 * i / (GRID_SIZE - 1));
			loss = grid_loss(t, mask, params);
			if (loss < best_loss)
			{
				best_loss = loss;
				best = *penalty;
			}
		}
	}
	PG_FINALLY();
	{
		ml_warnings_pop(&quiet);
	}
	PG_END_TRY();
	*penalty = best;
	return params;
}

const void *
ml_choose_params(MlTraining *t, const MlMask *mask)
{
	if (!ml_params_wants_cv(t->algorithm->params, t->params))
		return t->params;
	ml_progress_phase(ML_PHASE_CV);
	if (t->algorithm->choose && (t->algorithm->flags & ML_SUBTRACTS))
		return choose_from_states(t, mask);
	return choose_from_grid(t, mask);
}

/* ---- scoring ---- */

void
ml_score_rows(MlTraining *t, const MlMask *mask, const MlFit *fit, const double *dummy,
			  MlMetrics *model, MlMetrics *baseline)
{
	MlAhead    *ahead;
	TileReader	r;
	MlTile		tile;

	reader_open(&r, t, mask, fit->encoder);
	ahead = ml_ahead_begin(t, fit, reader_next, &r);
	while (reader_next(&r, &tile))
		for (int i = 0; i < tile.n; i++)
		{
			const double *row = r.view.row[i];
			const double *out = ml_ahead_row(ahead, tile.x + (Size) i * fit->encoder->p);
			double		w = t->at_w >= 0 ? row[t->at_w] : 1;

			ml_metrics_add(model, tile.y[i], out, w);
			ml_metrics_add(baseline, tile.y[i], dummy, w);
			if (t->scored)
				ml_scored_add(t->scored, tile.y[i], out);
			if (t->duel)
				ml_rival_add(t->rival, t, tile.y[i], out, row + t->at_rival, w, row[t->at_u]);
			if (t->curves)
				ml_curves_add(t->curves, tile.y[i], out, w, row[t->at_key >= 0 ? t->at_key : t->at_u]);
		}
	ml_ahead_end(ahead);
}
