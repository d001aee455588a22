/*
 * ahead.c - predictions of a fit's own model.
 *
 * Where the model is in memory a row is predicted when its turn comes.  A model outside of
 * memory is read once for many rows: they are predicted ahead, as many at a time as an
 * eighth of the budget holds, and the predictions wait in a dataset.
 */
#include "train/train.h"

#include "core/dataset.h"
#include "core/host.h"

#define AHEAD_SHARE 8

struct MlAhead
{
	MlTraining *t;
	const MlFit *fit;
	int			p;
	int			outputs;
	double	   *out;			/* of one row */
	MlDataset  *predicted;		/* NULL: the model is in memory */
	const double *tile;			/* of predicted */
	int			tile_rows;
	int			at;
	size_t		room;			/* of the rows to be predicted at once */
	size_t		n;
	double	   *x;
	double	   *y;
};

static void
predict_gathered(MlAhead *a)
{
	a->t->algorithm->predict_rows(a->fit->model, a->x, a->n, a->y);
	ml_dataset_append(a->predicted, a->y, (int) a->n);
	a->n = 0;
}

MlAhead *
ml_ahead_begin(MlTraining *t, const MlFit *fit, bool (*next) (void *reader, MlTile *tile), void *reader)
{
	MlAhead    *a = palloc0(sizeof(MlAhead));
	Size		row;
	MlTile		tile;

	a->t = t;
	a->fit = fit;
	a->p = fit->encoder->p;
	a->outputs = t->classes > 2 ? t->classes : 1;
	a->out = palloc(a->outputs * sizeof(double));
	ml_rows_start(t);
	if (!fit->outside)
		return a;
	row = (a->p + a->outputs) * sizeof(double);
	a->room = Min(ml_budget_bytes() / AHEAD_SHARE / row, (Size) t->rows_used) + ML_TILE_ROWS;
	a->x = ml_alloc(a->room, a->p * sizeof(double));
	a->y = ml_alloc(a->room, a->outputs * sizeof(double));
	a->predicted = ml_dataset_create(a->outputs, ml_budget_bytes() / AHEAD_SHARE);
	while (next(reader, &tile))
	{
		if (a->n + tile.n > a->room)
			predict_gathered(a);
		memcpy(a->x + a->n * a->p, tile.x, sizeof(double) * a->p * tile.n);
		a->n += tile.n;
	}
	predict_gathered(a);
	ml_free(a->x);
	ml_free(a->y);
	ml_dataset_seal(a->predicted);
	ml_dataset_rewind(a->predicted);
	ml_rows_start(t);
	return a;
}

const double *
ml_ahead_row(MlAhead *a, const double *x)
{
	if (a->predicted == NULL)
	{
		a->t->algorithm->predict(a->fit->model, x, a->out);
		return a->out;
	}
	if (a->at == a->tile_rows)
	{
		a->tile_rows = ml_dataset_next(a->predicted, &a->tile);
		a->at = 0;
	}
	return a->tile + (Size) a->at++ * a->outputs;
}

void
ml_ahead_end(MlAhead *a)
{
	if (a->predicted)
		ml_dataset_free(a->predicted);
	pfree(a->out);
	pfree(a);
}
