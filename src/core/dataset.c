/*
 * dataset.c - rows of doubles kept in memory up to a budget, the rest in a
 * temporary file.
 *
 * Rows are collected in chunks of about 1 MB, or the budget, that hold a multiple of
 * ML_TILE_ROWS rows, so that tiles have the same borders whether the rows stay
 * in memory or not, and a training gives the same model either way.  When one
 * more chunk would pass the budget, the last one becomes the buffer through which
 * all further rows go to the file, and later come back, a chunk at a time.
 *
 * Memory belongs to a context of the dataset's own, below the one current at
 * creation; deleting that context closes the file.
 */
#include "core/dataset.h"

#include "core/file.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define CHUNK_BYTES (1024 * 1024)

struct MlDataset
{
	MemoryContext cxt;
	ResourceOwner owner;		/* current at creation: the file is to live as long */
	int			width;
	Size		budget;
	Size		chunk_bytes;
	int			chunk_rows;		/* a multiple of ML_TILE_ROWS */
	int64		rows;
	bool		sealed;

	/* Once spilled, the last chunk is the buffer of the file, the others stay. */
	double	  **chunks;
	int			nchunks;
	int			maxchunks;
	int			filled;			/* rows in the last chunk */

	MlFile	   *file;			/* or NULL: not spilled */
	uint64		file_bytes;
	int64		buffered;		/* number of the chunk of rows that the buffer holds */

	int64		next_row;
};

MlDataset *
ml_dataset_create(int width, Size budget)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml dataset",
											  ALLOCSET_SMALL_SIZES);
	MlDataset  *ds = MemoryContextAllocZero(cxt, sizeof(MlDataset));
	Size		row_bytes = mul_size(Max(width, 1), sizeof(double));
	Size		tiles = Min(CHUNK_BYTES, budget) / (row_bytes * ML_TILE_ROWS);

	ds->cxt = cxt;
	ds->owner = CurrentResourceOwner;
	ds->width = width;
	ds->budget = budget;
	ds->chunk_rows = ML_TILE_ROWS * (int) Max(tiles, 1);
	ds->chunk_bytes = mul_size(row_bytes, ds->chunk_rows);
	return ds;
}

/* Appends the rows of the buffer to the file. */
static void
write_buffer(MlDataset *ds)
{
	Size		bytes = (Size) ds->filled * ds->width * sizeof(double);

	ml_file_write(ds->file, ds->file_bytes, ds->chunks[ds->nchunks - 1], bytes);
	ds->file_bytes += bytes;
}

/* Opens the file; the last chunk becomes its buffer. */
static void
spill(MlDataset *ds)
{
	MemoryContext old = MemoryContextSwitchTo(ds->cxt);

	ds->file = ml_file_open(ds->owner, "training rows");
	MemoryContextSwitchTo(old);
}

/* Makes room for at least one more row in the last chunk. */
static void
next_chunk(MlDataset *ds)
{
	if (ds->nchunks > 0 && ds->filled < ds->chunk_rows)
		return;

	/* One chunk is always there, however small the budget is. */
	if (ds->nchunks > 0 && (Size) (ds->nchunks + 1) * ds->chunk_bytes > ds->budget)
	{
		if (ds->file == NULL)
			spill(ds);
		write_buffer(ds);
		ds->filled = 0;
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

	if (ds->file)
		write_buffer(ds);
	ds->buffered = ds->rows > 0 ? (ds->rows - 1) / ds->chunk_rows : 0;
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
}

/* Reads a chunk of the file into the buffer. */
static void
read_chunk(MlDataset *ds, int64 chunk)
{
	uint64		at = (uint64) (chunk - (ds->nchunks - 1)) * ds->chunk_bytes;
	Size		bytes = (Size) Min((uint64) ds->chunk_bytes, ds->file_bytes - at);

	ds->buffered = -1;
	ml_file_read(ds->file, at, ds->chunks[ds->nchunks - 1], bytes);
	ds->buffered = chunk;
}

int
ml_dataset_next(MlDataset *ds, const double **rows)
{
	int			in_chunk = (int) (ds->next_row % ds->chunk_rows);
	int64		number = ds->next_row / ds->chunk_rows;
	int64		left = ds->rows - ds->next_row;
	int			n;

	Assert(ds->sealed);
	CHECK_FOR_INTERRUPTS();

	if (left <= 0)
		return 0;

	if (ds->file && number >= ds->nchunks - 1)
	{
		if (ds->buffered != number && ds->width > 0)
			read_chunk(ds, number);
		number = ds->nchunks - 1;
	}

	n = (int) Min((int64) ML_TILE_ROWS, left);
	*rows = ds->chunks[number] + (Size) in_chunk * ds->width;
	ds->next_row += n;
	return n;
}

void
ml_dataset_free(MlDataset *ds)
{
	MemoryContextDelete(ds->cxt);
}
