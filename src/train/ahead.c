/*
 * ahead.c - predictions of a fit's own model.
 *
 * Where the model is in memory a tile is predicted when its turn comes.  A model outside of
 * memory is read once for many rows: they are predicted ahead, as many at a time as an
 * eighth of the budget holds, and the predictions wait in a dataset.
 */
#include "train/train.h"

#include "core/dataset.h"
#include "core/host.h"
#include "num/threads.h"

#define AHEAD_SHARE 8
#define SLICE_ROWS 64			/* of a thread: a tile has four */

struct MlAhead
{
	MlTraining *t;
	const MlFit *fit;
	bool		(*next) (void *reader, MlTile *tile);
	void	   *reader;
	int			p;
	int			outputs;
	double	   *out;			/* of a tile */
	const MlTile *rows;			/* that tile */
	MlDataset  *predicted;		/* NULL: the model is in memory */
	const double *tile;			/* of predicted */
	int			tile_rows;
	int			at;
	size_t		room;			/* of the rows to be predicted at once */
	size_t		n;
	double	   *x;
	double	   *y;
	MemoryContextCallback ended;	/* by an error */
};

static void
end_threads(void *arg)
{
	ml_threads_end();
}

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
	a->next = next;
	a->reader = reader;
	a->p = fit->encoder->p;
	a->outputs = t->classes > 2 ? t->classes : 1;
	a->out = palloc(ML_TILE_ROWS * a->outputs * sizeof(double));
	a->ended.func = end_threads;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &a->ended);
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

/* A kernel: the rows of a slice. */
static void
predict_slice(void *arg, int slice)
{
	MlAhead    *a = arg;
	int			end = Min((slice + 1) * SLICE_ROWS, a->rows->n);

	for (int i = slice * SLICE_ROWS; i < end; i++)
		a->t->algorithm->predict(a->fit->model, a->rows->x + (Size) i * a->p, a->out + (Size) i * a->outputs);
}

const double *
ml_ahead_next(MlAhead *a, MlTile *tile)
{
	if (!a->next(a->reader, tile))
		return NULL;
	if (a->predicted == NULL)
	{
		int			slices = (tile->n + SLICE_ROWS - 1) / SLICE_ROWS;

		a->rows = tile;
		/* sums of products are not worth a thread's attention */
		if (a->t->algorithm->fit != NULL)
			ml_threads_run(slices, predict_slice, a);
		else
			for (int s = 0; s < slices; s++)
				predict_slice(a, s);
		return a->out;
	}
	for (int i = 0; i < tile->n; i++)
	{
		if (a->at == a->tile_rows)
		{
			a->tile_rows = ml_dataset_next(a->predicted, &a->tile);
			a->at = 0;
		}
		memcpy(a->out + (Size) i * a->outputs, a->tile + (Size) a->at++ * a->outputs, a->outputs * sizeof(double));
	}
	return a->out;
}

void
ml_ahead_end(MlAhead *a)
{
	if (a->predicted)
		ml_dataset_free(a->predicted);
	pfree(a->out);
	ml_threads_end();			/* the rest goes with its memory context, whose callback it has */
}
