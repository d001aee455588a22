/*
 * encode.h - from raw cells to the encoded row x[p] that an algorithm sees.
 *
 * An encoder is learned from summaries and dictionaries of the training rows
 * and stored in the model, so that raw rows go in at prediction.
 */
#ifndef ML_ENCODE_H
#define ML_ENCODE_H

#include "core/schema.h"
#include "num/sketch.h"

/* NATIVE leaves values as they are; AUTO is one of the others, once the algorithm is known. */
typedef enum MlImpute
{
	ML_IMPUTE_MEDIAN, ML_IMPUTE_MEAN, ML_IMPUTE_ZERO, ML_IMPUTE_ERROR, ML_IMPUTE_DROP, ML_IMPUTE_NATIVE,
	ML_IMPUTE_AUTO				/* in no model */
} MlImpute;
typedef enum MlScale { ML_SCALE_AUTO, ML_SCALE_NONE, ML_SCALE_STANDARDIZE, ML_SCALE_MINMAX, ML_SCALE_ROBUST } MlScale;
typedef enum MlCategories { ML_ONE_HOT, ML_ORDINAL, ML_FREQUENCY, ML_TARGET, ML_CATEGORIES_NATIVE, ML_CATEGORIES_AUTO } MlCategories;
typedef enum MlLevels { ML_LEVELS_AUTO, ML_LEVELS_ALL, ML_LEVELS_REFERENCE } MlLevels;
typedef enum MlUnseen { ML_UNSEEN_ZERO, ML_UNSEEN_ERROR } MlUnseen;

/* What one column becomes. */
typedef enum MlCode
{
	ML_CODE_NUMBER = 1,			/* each cell: impute, then (x - center) / scale */
	ML_CODE_ONE_HOT,			/* one 0/1 column per kept level */
	ML_CODE_TABLE,				/* one column: value looked up per level (ordinal, frequency, target) */
	ML_CODE_DATE,				/* days, month, day of week; with time: hour */
	ML_CODE_LEVEL				/* one column: number of the level, NaN for NULL and unseen */
} MlCode;

typedef struct MlEncoding
{
	MlCode		code;
	int			first;			/* first encoded column */
	int			width;			/* encoded columns */
	bool		indicator;		/* the last one says that the value was missing */
	MlImpute	impute;
	double	   *fill;			/* per cell */
	double	   *center;			/* per cell; 0 without scaling */
	double	   *scale;			/* per cell; 1 without scaling */
	int			nlevels;		/* categories: size of the dictionary */
	int		   *slot;			/* ONE_HOT: level -> offset in the column's block, -1: all zero;
								 * LEVEL: level -> its number among those seen in training, -1: not seen */
	int			null_slot;		/* ONE_HOT: likewise for NULL */
	double	   *value;			/* TABLE: level -> number */
	double		null_value;		/* TABLE: for NULL */
	double		unseen_value;	/* TABLE: for a level not seen in training */
	int			unseen_slot;	/* ONE_HOT: -1, or the slot of "other" */
	bool		unseen_error;
	int			run;			/* set by ml_encoder_prepare: number columns from here without indicator, ... */
	int			run_cells;		/* ... their cells, ... */
	bool		run_scaled;		/* ... whether any is scaled, ... */
	bool		run_missing;	/* ... and whether NaN stays NaN */
} MlEncoding;

typedef struct MlEncoder
{
	const MlSchema *schema;
	MlEncoding *columns;		/* one per schema column */
	int			p;				/* encoded columns in all */
	char	  **names;			/* p: "carat", "cut=Ideal", "age is null", "when.month" */
	int		   *source;			/* p: schema column */
	bool	   *numeric;		/* p: a number that a standardizing penalty counts in sd units; false: 0/1 */
	double	   *run_center;		/* p: set by ml_encoder_prepare when a run is scaled */
	double	   *run_scale;
} MlEncoder;

/*
 * To be called on an encoder that was put together, not loaded, once all of it
 * is set: finds the runs of number columns.  ml_encode is right without, but
 * slower.  Allocates in the current context.
 */
extern void ml_encoder_prepare(MlEncoder *encoder);

/*
 * Encodes n rows of cells (`stride` doubles apart) into x, n x p, row-major.
 * No allocation.  NaN stands only where impute is NATIVE, infinity nowhere.
 * Returns false when a row has a value that the policy forbids;
 * ml_encode_error then says which (22004, 22023) for that row.
 */
extern bool ml_encode(const MlEncoder *encoder, const double *cells, int stride, int n, double *x);
extern void ml_encode_error(const MlEncoder *encoder, const double *cells) ML_NORETURN;

/* Levels of an encoded column with ML_CODE_LEVEL, 0 for any other. */
extern int	ml_encoder_levels(const MlEncoder *encoder, int j);

/* One that passes numbers and booleans through; fill per cell, NULL: zeros. */
extern MlEncoder *ml_encoder_plain(const MlSchema *schema, MlImpute impute, const double *fill);

extern void ml_encoder_save(const MlEncoder *encoder, MlWriter *writer);	/* schema and dictionaries too */
extern MlEncoder *ml_encoder_load(MlReader *reader);	/* in the current context */

#endif
