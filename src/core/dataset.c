/*
 * dataset.c - rows of doubles kept in memory up to a budget, beyond it in a
 * temporary file.
 *
 * Rows are collected in chunks of about 1 MB that hold a multiple of
 * ML_TILE_ROWS rows, so that tiles have the same borders whether the rows stay
 * in memory or not, and a training gives the same model either way.  The chunk
 * that would pass the budget makes all chunks move to a BufFile; from then on
 * one chunk is kept as the buffer for writing and later for reading.
 *
 * Memory belongs to a context of the dataset's own, below the one current at
 * creation.  The file belongs to the resource owner current at creation: an
 * error closes and removes it with the (sub)transaction, otherwise
 * ml_dataset_free does.
 */
#include "core/dataset.h"

#include <unistd.h>

#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#define CHUNK_BYTES (1024 * 1024)

struct MlDataset
{
	MemoryContext cxt;
	ResourceOwner owner;
	int			width;
	Size		budget;
	Size		chunk_bytes;
	int			chunk_rows;		/* a multiple of ML_TILE_ROWS */
	int64		rows;
	bool		sealed;

	/* In memory: all chunks.  Spilled: chunks[0] alone, the buffer. */
	double	  **chunks;
	int			nchunks;
	int			maxchunks;
	int			filled;			/* rows in the last chunk */

	BufFile    *file;			/* NULL until spilled */

	/* Reading. */
	int64		next_row;
	int64		buffered;		/* spilled: rows of the file read so far */
};

MlDataset *
ml_dataset_create(int width, Size budget)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml dataset",
											  ALLOCSET_SMALL_SIZES);
	MlDataset  *ds = MemoryContextAllocZero(cxt, sizeof(MlDataset));
	Size		row_bytes = mul_size(Max(width, 1), sizeof(double));
	Size		tiles = CHUNK_BYTES / (row_bytes * ML_TILE_ROWS);

	ds->cxt = cxt;
	ds->owner = CurrentResourceOwner;
	ds->width = width;
	ds->budget = budget;
	ds->chunk_rows = ML_TILE_ROWS * (int) Max(tiles, 1);
	ds->chunk_bytes = mul_size(row_bytes, ds->chunk_rows);
	return ds;
}

static void
write_chunk(MlDataset *ds, double *chunk, int rows)
{
	BufFileWrite(ds->file, chunk, (Size) rows * ds->width * sizeof(double));
}

/* Moves every chunk to a file and keeps the first as the buffer. */
static void
spill(MlDataset *ds)
{
	MemoryContext old_cxt = MemoryContextSwitchTo(ds->cxt);
	ResourceOwner old_owner = CurrentResourceOwner;

	CurrentResourceOwner = ds->owner;
	ds->file = BufFileCreateTemp(false);
	CurrentResourceOwner = old_owner;
	MemoryContextSwitchTo(old_cxt);

	for (int i = 0; i < ds->nchunks; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_chunk(ds, ds->chunks[i], ds->chunk_rows);
		if (i > 0)
			pfree(ds->chunks[i]);
	}
	ds->nchunks = 1;
	ds->filled = 0;
}

/* Makes room for at least one more row in the last chunk. */
static void
next_chunk(MlDataset *ds)
{
	if (ds->nchunks > 0 && ds->filled < ds->chunk_rows)
		return;

	if (ds->file != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		write_chunk(ds, ds->chunks[0], ds->chunk_rows);
		ds->filled = 0;
		return;
	}

	/* One chunk is always there, however small the budget is. */
	if (ds->nchunks > 0 && (Size) (ds->nchunks + 1) * ds->chunk_bytes > ds->budget)
	{
		spill(ds);
		return;
	}

	if (ds->nchunks == ds->maxchunks)
	{
		int			max = Max(16, 2 * ds->maxchunks);
		double	  **chunks = MemoryContextAllocHuge(ds->cxt, (Size) max * sizeof(double *));

		if (ds->nchunks > 0)
		{
			memcpy(chunks, ds->chunks, ds->nchunks * sizeof(double *));
			pfree(ds->chunks);
		}
		ds->chunks = chunks;
		ds->maxchunks = max;
	}
	ds->chunks[ds->nchunks] = MemoryContextAllocHuge(ds->cxt, ds->chunk_bytes);
	ds->nchunks++;
	ds->filled = 0;
}

void
ml_dataset_append(MlDataset *ds, const double *rows, int n)
{
	Assert(!ds->sealed);

	while (n > 0)
	{
		int			take;

		next_chunk(ds);
		take = Min(n, ds->chunk_rows - ds->filled);
		if (ds->width > 0)
			memcpy(ds->chunks[ds->nchunks - 1] + (Size) ds->filled * ds->width, rows,
				   (Size) take * ds->width * sizeof(double));
		ds->filled += take;
		ds->rows += take;
		rows += (Size) take * ds->width;
		n -= take;
	}
}

void
ml_dataset_seal(MlDataset *ds)
{
	Assert(!ds->sealed);

	if (ds->file != NULL && ds->filled > 0)
		write_chunk(ds, ds->chunks[0], ds->filled);
	ds->sealed = true;
	ml_dataset_rewind(ds);
}

int64
ml_dataset_rows(const MlDataset *ds)
{
	return ds->rows;
}

bool
ml_dataset_spilled(const MlDataset *ds)
{
	return ds->file != NULL;
}

void
ml_dataset_rewind(MlDataset *ds)
{
	Assert(ds->sealed);

	ds->next_row = 0;
	ds->buffered = 0;
	if (ds->file != NULL && BufFileSeek(ds->file, 0, 0, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rewind temporary file of training rows")));
}

/* Reads the next chunk of the file into the buffer. */
static void
read_chunk(MlDataset *ds)
{
	int			rows = (int) Min((int64) ds->chunk_rows, ds->rows - ds->buffered);
	Size		want = (Size) rows * ds->width * sizeof(double);
	Size		got = BufFileRead(ds->file, ds->chunks[0], want);

	if (got != want)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read temporary file of training rows: read only %zu of %zu bytes",
						got, want)));
	ds->buffered += rows;
}

int
ml_dataset_next(MlDataset *ds, const double **rows)
{
	int			in_chunk = (int) (ds->next_row % ds->chunk_rows);
	int64		left = ds->rows - ds->next_row;
	double	   *chunk;
	int			n;

	Assert(ds->sealed);
	CHECK_FOR_INTERRUPTS();

	if (left <= 0)
		return 0;

	if (ds->file != NULL)
	{
		if (in_chunk == 0)
			read_chunk(ds);
		chunk = ds->chunks[0];
	}
	else
		chunk = ds->chunks[ds->next_row / ds->chunk_rows];

	n = (int) Min((int64) ML_TILE_ROWS, left);
	*rows = chunk + (Size) in_chunk * ds->width;
	ds->next_row += n;
	return n;
}

void
ml_dataset_free(MlDataset *ds)
{
	if (ds->file != NULL)
		BufFileClose(ds->file);
	MemoryContextDelete(ds->cxt);
}
