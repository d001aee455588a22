/*
 * dataset.h - rows of doubles in memory up to the budget, those beyond it in a
 * temporary file that is read back in blocks, in sequence.
 */
#ifndef ML_DATASET_H
#define ML_DATASET_H

#include "core/compat.h"
#include "ml.h"

typedef struct MlDataset MlDataset;

/* `width` doubles a row.  Memory comes from the current context; all goes with it, the file too. */
extern MlDataset *ml_dataset_create(int width, Size budget);
extern void ml_dataset_append(MlDataset *ds, const double *rows, int n);
extern void ml_dataset_seal(MlDataset *ds);	/* no appends after this */
extern int64 ml_dataset_rows(const MlDataset *ds);
extern bool ml_dataset_spilled(const MlDataset *ds);

/*
 * Walks the rows in the order they came: sets *rows to up to ML_TILE_ROWS rows
 * and returns how many, 0 at the end.  Valid until the next call.  Checks for
 * interrupts.  Rows may be changed in place only when not spilled.
 */
extern void ml_dataset_rewind(MlDataset *ds);
extern int	ml_dataset_next(MlDataset *ds, const double **rows);
extern void ml_dataset_free(MlDataset *ds);

#endif
