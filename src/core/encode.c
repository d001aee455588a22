/*
 * encode.c - from raw cells to the encoded row, and an encoder's bytes.
 *
 * What the members of MlEncoding hold, by code:
 *
 * NUMBER   fill, center, scale: one per cell.  NULL arrays: nothing is filled
 *          (a missing value is an error), no scaling.
 * DATE     fill, center, scale: one per part (days, month, dow, hour), the
 *          indicator not counted; center and scale may be NULL.  Days count
 *          from 2000-01-01 with the time as fraction, month is 1..12, dow 0..6
 *          with Sunday 0, hour 0..23 with the minutes as fraction; timestamptz
 *          in UTC.  A column of type date has no hour.
 * ONE_HOT  slot: per level; null_slot, unseen_slot; the indicator's column is
 *          no slot.
 * TABLE    value: per level; null_value, unseen_value.
 * LEVEL    slot: per level.
 *
 * With impute NATIVE a missing number or date is NaN in each encoded column (and
 * a missing category under TABLE), for algorithms that take it as it is.
 *
 * With `indicator`, the last column of the block is 1 when a cell was missing
 * and 0 otherwise.  impute ERROR and DROP make a missing value an error under
 * every code.
 *
 * Neighbouring number columns without indicator form a run that is copied or
 * scaled at once; a row of a run that has a missing or infinite value goes the
 * long way.  An encoder lives in one memory context and goes with it.
 */
#include "core/encode.h"

#include <float.h>
#include <limits.h>
#include <math.h>

#include "utils/datetime.h"
#include "utils/timestamp.h"

#define MAX_ENCODED (INT_MAX / 16)

/* ---- encoding ---- */

/* Encoded columns of a date's parts. */
static int
date_parts(MlKind kind)
{
	return kind == ML_DATE ? 3 : 4;
}

static bool
forbids_missing(const MlEncoding *e)
{
	return e->impute == ML_IMPUTE_ERROR || e->impute == ML_IMPUTE_DROP;
}

static bool
encode_number(const MlEncoding *e, int cells, const double *cell, double *x)
{
	bool		missing = false;

	for (int i = 0; i < cells; i++)
	{
		double		v = cell[i];

		if (!(fabs(v) <= DBL_MAX))
		{
			if (!isnan(v) || forbids_missing(e) || (e->fill == NULL && e->impute != ML_IMPUTE_NATIVE))
				return false;
			missing = true;
			if (e->impute == ML_IMPUTE_NATIVE)
			{
				x[i] = v;
				continue;
			}
			v = e->fill[i];
		}
		x[i] = e->scale ? (v - e->center[i]) / e->scale[i] : v;
		if (!(fabs(x[i]) <= DBL_MAX))
			return false;
	}
	if (e->indicator)
		x[e->width - 1] = missing;
	return true;
}

static bool
encode_date(const MlEncoding *e, MlKind kind, double seconds, double *x)
{
	int			parts = date_parts(kind);
	bool		missing = isnan(seconds);

	if (missing && e->impute == ML_IMPUTE_NATIVE)
	{
		for (int i = 0; i < parts; i++)
			x[i] = seconds;
	}
	else if (missing)
	{
		if (forbids_missing(e) || e->fill == NULL)
			return false;
		memcpy(x, e->fill, parts * sizeof(double));
	}
	else
	{
		double		days = seconds / SECS_PER_DAY;
		double		day = floor(days);
		int			year,
					month,
					dom;

		/* Beyond the range of every date type; infinity too. */
		if (!(fabs(day) < INT_MAX - POSTGRES_EPOCH_JDATE))
			return false;
		j2date((int) day + POSTGRES_EPOCH_JDATE, &year, &month, &dom);
		x[0] = days;
		x[1] = month;
		x[2] = j2day((int) day + POSTGRES_EPOCH_JDATE);
		if (parts > 3)
			x[3] = (seconds - day * SECS_PER_DAY) / SECS_PER_HOUR;
	}
	if (e->scale)
	{
		for (int i = 0; i < parts; i++)
			x[i] = (x[i] - e->center[i]) / e->scale[i];
	}
	if (e->indicator)
		x[e->width - 1] = missing;
	return true;
}

/* A code that the encoder knows; a dictionary may have grown since. */
static bool
known_level(const MlEncoding *e, double cell)
{
	return cell >= 0 && cell < e->nlevels;
}

static bool
encode_one_hot(const MlEncoding *e, double cell, double *x)
{
	int			slot;

	memset(x, 0, e->width * sizeof(double));
	if (isnan(cell))
	{
		if (forbids_missing(e))
			return false;
		slot = e->null_slot;
		if (e->indicator)
			x[e->width - 1] = 1;
	}
	else if (known_level(e, cell))
		slot = e->slot[(int) cell];
	else if (e->unseen_error)
		return false;
	else
		slot = e->unseen_slot;
	if (slot >= 0)
		x[slot] = 1;
	return true;
}

static bool
encode_table(const MlEncoding *e, double cell, double *x)
{
	bool		missing = isnan(cell);

	if (missing)
	{
		if (forbids_missing(e))
			return false;
		x[0] = e->impute == ML_IMPUTE_NATIVE ? cell : e->null_value;
	}
	else if (known_level(e, cell))
		x[0] = e->value[(int) cell];
	else if (e->unseen_error)
		return false;
	else
		x[0] = e->unseen_value;
	if (e->indicator)
		x[e->width - 1] = missing;
	return true;
}

static bool
encode_level(const MlEncoding *e, double cell, double *x)
{
	bool		missing = isnan(cell);
	int			slot = -1;

	if (missing && forbids_missing(e))
		return false;
	if (!missing && known_level(e, cell))
		slot = e->slot[(int) cell];
	if (!missing && slot < 0 && e->unseen_error)
		return false;
	x[0] = slot >= 0 ? slot : (double) NAN;
	if (e->indicator)
		x[e->width - 1] = missing;
	return true;
}

static bool
encode_column(const MlEncoding *e, const MlColumn *column, const double *cells, double *x)
{
	const double *cell = cells + column->first_cell;

	switch (e->code)
	{
		case ML_CODE_NUMBER:
			return encode_number(e, column->cells, cell, x + e->first);
		case ML_CODE_ONE_HOT:
			return encode_one_hot(e, *cell, x + e->first);
		case ML_CODE_TABLE:
			return encode_table(e, *cell, x + e->first);
		case ML_CODE_DATE:
			return encode_date(e, column->kind, *cell, x + e->first);
		case ML_CODE_LEVEL:
			return encode_level(e, *cell, x + e->first);
	}
	return false;
}

/*
 * Whether no number is NaN or infinite: adding one to an exponent of all ones
 * sets the sign bit.  Integer arithmetic, since compilers vectorize that.
 */
static inline bool
all_finite(const double *values, Size n)
{
	uint64		overflow = 0;

	for (Size i = 0; i < n; i++)
	{
		uint64		bits;

		memcpy(&bits, &values[i], sizeof(bits));
		overflow |= (bits & UINT64CONST(0x7FF0000000000000)) + UINT64CONST(0x0010000000000000);
	}
	return (overflow >> 63) == 0;
}

/* Whether no number is infinite: of what has an exponent of all ones, the others are NaN. */
static inline bool
none_infinite(const double *values, Size n)
{
	bool		infinite = false;

	for (Size i = 0; i < n; i++)
	{
		uint64		bits;

		memcpy(&bits, &values[i], sizeof(bits));
		infinite |= (bits << 1) == UINT64CONST(0xFFE0000000000000);
	}
	return !infinite;
}

/* Copies or scales a run; false when a result is not finite, or missing where it must not be. */
static inline bool
encode_run(const MlEncoder *encoder, const MlEncoding *e, const double *restrict cells,
		   double *restrict x)
{
	if (e->run_scaled)
	{
		const double *restrict center = encoder->run_center + e->first;
		const double *restrict scale = encoder->run_scale + e->first;

		for (int i = 0; i < e->run_cells; i++)
			x[i] = (cells[i] - center[i]) / scale[i];
	}
	else
		memcpy(x, cells, e->run_cells * sizeof(double));
	return e->run_missing ? none_infinite(x, e->run_cells) : all_finite(x, e->run_cells);
}

static bool
encode_row(const MlEncoder *encoder, const double *cells, double *x)
{
	const MlSchema *schema = encoder->schema;
	int			i = 0;

	while (i < schema->ncolumns)
	{
		const MlEncoding *e = &encoder->columns[i];

		if (e->run > 0 && encode_run(encoder, e, cells + schema->columns[i].first_cell, x + e->first))
		{
			i += e->run;
			continue;
		}
		if (!encode_column(e, &schema->columns[i], cells, x))
			return false;
		i++;
	}
	return true;
}

bool
ml_encode(const MlEncoder *encoder, const double *cells, int stride, int n, double *x)
{
	bool		ok = true;

	/* Numbers alone, and nothing between the rows: one block. */
	if (stride == encoder->p && encoder->schema->ncolumns > 0 &&
		encoder->columns[0].run == encoder->schema->ncolumns && !encoder->columns[0].run_scaled &&
		(encoder->columns[0].run_missing ? none_infinite(cells, (Size) n * stride)
		 : all_finite(cells, (Size) n * stride)))
	{
		memcpy(x, cells, (Size) n * stride * sizeof(double));
		return true;
	}

	for (int i = 0; i < n; i++)
		ok &= encode_row(encoder, cells + (Size) i * stride, x + (Size) i * encoder->p);
	return ok;
}

/* ---- errors ---- */

/* "x", or "x[3]" for an element. */
static char *
cell_name(const MlColumn *column, int i)
{
	return column->kind == ML_ARRAY ? psprintf("%s[%d]", column->name, i + 1) : column->name;
}

static void
cell_error(const MlEncoding *e, const MlColumn *column, int i, double cell)
{
	if (isnan(cell))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("column \"%s\" is null", cell_name(column, i)),
				 errdetail("The model has no replacement for missing values of this column.")));
	if (isinf(cell))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("column \"%s\" has the value %s", cell_name(column, i),
						cell > 0 ? "Infinity" : "-Infinity"),
				 errdetail("The model takes finite values.")));
	if (column->kind == ML_CATEGORY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has a value that the training rows did not have",
						column->name),
				 errdetail("The model was trained to refuse unseen categories.")));
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("column \"%s\" has the value %g, which is out of range",
					cell_name(column, i), cell)));
}

void
ml_encode_error(const MlEncoder *encoder, const double *cells)
{
	const MlSchema *schema = encoder->schema;
	double	   *x = palloc(Max(encoder->p, 1) * sizeof(double));

	for (int i = 0; i < schema->ncolumns; i++)
	{
		const MlColumn *column = &schema->columns[i];
		const MlEncoding *e = &encoder->columns[i];
		const double *cell = cells + column->first_cell;
		bool		fills = e->impute == ML_IMPUTE_NATIVE || (!forbids_missing(e) && e->fill != NULL);
		int			bad = 0;

		if (encode_column(e, column, cells, x))
			continue;
		/* Of an array's cells, the first that is missing or infinite, raw or scaled. */
		for (int k = column->cells - 1; k >= 0 && e->code == ML_CODE_NUMBER; k--)
		{
			if (isinf(cell[k]) || (isnan(cell[k]) && !fills) ||
				(e->scale && isinf((cell[k] - e->center[k]) / e->scale[k])))
				bad = k;
		}
		cell_error(e, column, bad, cell[bad]);
	}
	elog(ERROR, "row can be encoded");
}

/* ---- runs ---- */

/* Encoded columns before the indicator. */
static int
block_size(const MlEncoding *e)
{
	return e->width - (e->indicator ? 1 : 0);
}

/* Whether there is a scaling that changes anything. */
static bool
is_scaled(const MlEncoding *e)
{
	if (e->scale == NULL)
		return false;
	for (int i = 0; i < block_size(e); i++)
	{
		if (e->center[i] != 0 || e->scale[i] != 1)
			return true;
	}
	return false;
}

/* The scaling of runs by encoded column, 0 and 1 where there is none. */
static void
collect_scaling(MlEncoder *encoder)
{
	Size		size = (Size) encoder->p * sizeof(double);

	encoder->run_center = palloc_extended(size, MCXT_ALLOC_HUGE);
	encoder->run_scale = palloc_extended(size, MCXT_ALLOC_HUGE);
	for (int i = 0; i < encoder->p; i++)
	{
		encoder->run_center[i] = 0;
		encoder->run_scale[i] = 1;
	}
	for (int i = 0; i < encoder->schema->ncolumns; i++)
	{
		const MlEncoding *e = &encoder->columns[i];

		if (e->scale == NULL)
			continue;
		memcpy(encoder->run_center + e->first, e->center, block_size(e) * sizeof(double));
		memcpy(encoder->run_scale + e->first, e->scale, block_size(e) * sizeof(double));
	}
}

void
ml_encoder_prepare(MlEncoder *encoder)
{
	const MlSchema *schema = encoder->schema;
	bool		scaled = false;

	for (int i = schema->ncolumns - 1; i >= 0; i--)
	{
		MlEncoding *e = &encoder->columns[i];
		const MlColumn *column = &schema->columns[i];
		const MlEncoding *next = i + 1 < schema->ncolumns ? e + 1 : NULL;

		e->run = e->run_cells = 0;
		e->run_scaled = e->run_missing = false;
		if (e->code != ML_CODE_NUMBER || e->indicator)
			continue;
		e->run = 1;
		e->run_cells = column->cells;
		e->run_scaled = is_scaled(e);
		e->run_missing = e->impute == ML_IMPUTE_NATIVE;
		if (next && next->run > 0 && next->first == e->first + e->width &&
			next->run_missing == e->run_missing &&
			column[1].first_cell == column->first_cell + column->cells)
		{
			e->run += next->run;
			e->run_cells += next->run_cells;
			e->run_scaled |= next->run_scaled;
		}
		scaled |= e->run_scaled;
	}
	if (scaled)
		collect_scaling(encoder);
}

/* ---- bytes ---- */

static void
save_numbers(MlWriter *writer, const double *values, int n)
{
	ml_write_u8(writer, values != NULL);
	if (values != NULL)
		ml_write_f64s(writer, values, n);
}

static double *
load_numbers(MlReader *reader, int n)
{
	uint8_t		present = ml_read_u8(reader);

	if (present > 1)
		ml_corrupt("Flag of an array is %d.", present);
	return present ? ml_read_f64s(reader, n) : NULL;
}

static bool
load_bool(MlReader *reader)
{
	uint8_t		value = ml_read_u8(reader);

	if (value > 1)
		ml_corrupt("Truth value is %d.", value);
	return value == 1;
}

static char *
load_name(MlReader *reader)
{
	char	   *name = ml_read_text(reader);

	if (name == NULL)
		ml_corrupt("A name is missing.");
	return name;
}

/* A slot is -1 or an offset below `slots`. */
static int
load_slot(MlReader *reader, int slots)
{
	return (int) ml_read_u32(reader, slots) - 1;
}

static void
save_column(const MlColumn *column, MlWriter *writer)
{
	ml_write_text(writer, column->name);
	ml_write_text(writer, column->type);
	ml_write_u8(writer, column->kind);
	ml_write_u32(writer, column->cells);
	if (column->kind == ML_CATEGORY)
	{
		int			n = ml_dict_size(column->dict);

		ml_write_u32(writer, n);
		for (int code = 0; code < n; code++)
			ml_write_text(writer, ml_dict_get(column->dict, code, NULL));
	}
}

static MlDict *
load_dict(MlReader *reader)
{
	/* A value takes four bytes at least, so the count is bounded by the input. */
	int			n = ml_read_u32(reader, Min(ml_read_left(reader) / 4, MAX_ENCODED));
	MlDict	   *dict = ml_dict_create(CurrentMemoryContext);

	for (int code = 0; code < n; code++)
	{
		char	   *value = load_name(reader);

		if (ml_dict_intern(dict, value, strlen(value)) != code)
			ml_corrupt("A category is listed twice.");
		pfree(value);
	}
	return dict;
}

static void
load_column(MlReader *reader, MlColumn *column, int first_cell)
{
	column->name = load_name(reader);
	column->type = load_name(reader);
	column->kind = ml_read_u8(reader);
	if (column->kind < ML_NUMBER || column->kind > ML_ARRAY)
		ml_corrupt("Column kind is %d.", column->kind);
	column->first_cell = first_cell;
	column->cells = ml_read_u32(reader, MAX_ENCODED);
	if (column->cells < 1 || (column->kind != ML_ARRAY && column->cells != 1))
		ml_corrupt("Column has %d cells.", column->cells);
	/* No encoded array is smaller than its cells, and none takes less than a byte. */
	if (column->cells > ml_read_left(reader) || column->cells > MAX_ENCODED - first_cell)
		ml_corrupt("Column has %d cells.", column->cells);
	column->dict = column->kind == ML_CATEGORY ? load_dict(reader) : NULL;
}

static void
save_encoding(const MlEncoding *e, const MlColumn *column, MlWriter *writer)
{
	int			parts = block_size(e);

	ml_write_u8(writer, e->code);
	ml_write_u32(writer, e->width);
	ml_write_u8(writer, e->indicator);
	ml_write_u8(writer, e->impute);
	ml_write_u8(writer, e->unseen_error);
	switch (e->code)
	{
		case ML_CODE_NUMBER:
		case ML_CODE_DATE:
			save_numbers(writer, forbids_missing(e) || e->impute == ML_IMPUTE_NATIVE ? NULL : e->fill, parts);
			save_numbers(writer, is_scaled(e) ? e->center : NULL, parts);
			save_numbers(writer, is_scaled(e) ? e->scale : NULL, parts);
			break;
		case ML_CODE_ONE_HOT:
			ml_write_u32(writer, e->nlevels);
			for (int level = 0; level < e->nlevels; level++)
				ml_write_u32(writer, e->slot[level] + 1);
			ml_write_u32(writer, e->null_slot + 1);
			ml_write_u32(writer, e->unseen_slot + 1);
			break;
		case ML_CODE_TABLE:
			ml_write_u32(writer, e->nlevels);
			ml_write_f64s(writer, e->value, e->nlevels);
			ml_write_f64(writer, e->null_value);
			ml_write_f64(writer, e->unseen_value);
			break;
		case ML_CODE_LEVEL:
			ml_write_u32(writer, e->nlevels);
			for (int level = 0; level < e->nlevels; level++)
				ml_write_u32(writer, e->slot[level] + 1);
			break;
	}
}

/* The width that code and kind call for, the indicator not counted; -1: any. */
static int
expected_parts(const MlEncoding *e, const MlColumn *column)
{
	switch (e->code)
	{
		case ML_CODE_NUMBER:
			if (column->kind == ML_CATEGORY)
				break;
			return column->cells;
		case ML_CODE_DATE:
			if (column->kind != ML_DATE && column->kind != ML_TIMESTAMP &&
				column->kind != ML_TIMESTAMPTZ)
				break;
			return date_parts(column->kind);
		case ML_CODE_ONE_HOT:
			if (column->kind != ML_CATEGORY)
				break;
			return -1;
		case ML_CODE_TABLE:
		case ML_CODE_LEVEL:
			if (column->kind != ML_CATEGORY)
				break;
			return 1;
	}
	ml_corrupt("Column \"%s\" of kind %d has encoding %d.", column->name, column->kind, e->code);
}

static void
load_levels(MlReader *reader, MlEncoding *e, const MlColumn *column)
{
	e->nlevels = ml_read_u32(reader, ml_dict_size(column->dict));
	if (e->code == ML_CODE_TABLE)
	{
		e->value = ml_read_f64s(reader, e->nlevels);
		e->null_value = ml_read_finite(reader);
		e->unseen_value = ml_read_finite(reader);
		return;
	}
	if (e->nlevels > ml_read_left(reader) / 4)
		ml_corrupt("Column \"%s\" has %d levels.", column->name, e->nlevels);
	e->slot = palloc_extended(Max(e->nlevels, 1) * sizeof(int), MCXT_ALLOC_HUGE);
	for (int level = 0; level < e->nlevels; level++)
		e->slot[level] = load_slot(reader, e->code == ML_CODE_LEVEL ? e->nlevels : block_size(e));
	if (e->code == ML_CODE_LEVEL)
		return;
	e->null_slot = load_slot(reader, block_size(e));
	e->unseen_slot = load_slot(reader, block_size(e));
}

static void
load_encoding(MlReader *reader, MlEncoding *e, const MlColumn *column, int first)
{
	int			parts;

	memset(e, 0, sizeof(MlEncoding));
	e->null_slot = e->unseen_slot = -1;
	e->first = first;
	e->code = ml_read_u8(reader);
	/* Every encoded column has a name further on. */
	e->width = ml_read_u32(reader, Min(ml_read_left(reader), MAX_ENCODED - first));
	e->indicator = load_bool(reader);
	e->impute = ml_read_u8(reader);
	if (e->impute > ML_IMPUTE_NATIVE)
		ml_corrupt("Column \"%s\" has imputation %d.", column->name, e->impute);
	e->unseen_error = load_bool(reader);

	parts = expected_parts(e, column);
	if (block_size(e) < 0 || (parts >= 0 && block_size(e) != parts))
		ml_corrupt("Column \"%s\" has %d encoded columns.", column->name, e->width);

	if (column->kind == ML_CATEGORY)
	{
		load_levels(reader, e, column);
		return;
	}
	e->fill = load_numbers(reader, parts);
	e->center = load_numbers(reader, parts);
	e->scale = load_numbers(reader, parts);
	if ((e->center == NULL) != (e->scale == NULL))
		ml_corrupt("Column \"%s\" has half a scaling.", column->name);
	for (int i = 0; e->scale != NULL && i < parts; i++)
	{
		if (e->scale[i] == 0)
			ml_corrupt("Column \"%s\" is scaled by zero.", column->name);
	}
}

void
ml_encoder_save(const MlEncoder *encoder, MlWriter *writer)
{
	const MlSchema *schema = encoder->schema;

	ml_write_u32(writer, schema->ncolumns);
	for (int i = 0; i < schema->ncolumns; i++)
	{
		save_column(&schema->columns[i], writer);
		save_encoding(&encoder->columns[i], &schema->columns[i], writer);
	}
	for (int i = 0; i < encoder->p; i++)
	{
		ml_write_text(writer, encoder->names[i]);
		ml_write_u8(writer, encoder->numeric[i]);
	}
}

/* What is known of each encoded column. */
static void
load_columns(MlReader *reader, MlEncoder *encoder)
{
	Size		n = Max(encoder->p, 1);

	encoder->names = palloc_extended(n * sizeof(char *), MCXT_ALLOC_HUGE);
	encoder->source = palloc_extended(n * sizeof(int), MCXT_ALLOC_HUGE);
	encoder->numeric = palloc_extended(n * sizeof(bool), MCXT_ALLOC_HUGE);
	for (int i = 0; i < encoder->p; i++)
	{
		encoder->names[i] = load_name(reader);
		encoder->numeric[i] = load_bool(reader);
	}
	for (int i = 0; i < encoder->schema->ncolumns; i++)
	{
		for (int k = 0; k < encoder->columns[i].width; k++)
			encoder->source[encoder->columns[i].first + k] = i;
	}
}

MlEncoder *
ml_encoder_load(MlReader *reader)
{
	MlEncoder  *encoder = palloc0(sizeof(MlEncoder));
	MlSchema   *schema = palloc0(sizeof(MlSchema));
	/* A column takes more than sixteen bytes. */
	int			n = ml_read_u32(reader, Min(ml_read_left(reader) / 16, MAX_ENCODED));

	schema->ncolumns = n;
	schema->columns = palloc_extended((Size) Max(n, 1) * sizeof(MlColumn),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	encoder->schema = schema;
	encoder->columns = palloc_extended((Size) Max(n, 1) * sizeof(MlEncoding),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < n; i++)
	{
		load_column(reader, &schema->columns[i], schema->ncells);
		schema->ncells += schema->columns[i].cells;
		load_encoding(reader, &encoder->columns[i], &schema->columns[i], encoder->p);
		encoder->p += encoder->columns[i].width;
	}

	if (encoder->p > ml_read_left(reader) / 5)
		ml_corrupt("Encoder has %d encoded columns.", encoder->p);
	load_columns(reader, encoder);
	ml_encoder_prepare(encoder);
	return encoder;
}

int
ml_encoder_levels(const MlEncoder *encoder, int j)
{
	const MlEncoding *e = &encoder->columns[encoder->source[j]];
	int			levels = 0;

	if (e->code != ML_CODE_LEVEL || j != e->first)
		return 0;
	for (int level = 0; level < e->nlevels; level++)
		levels = Max(levels, e->slot[level] + 1);
	return levels;
}

MlEncoder *
ml_encoder_plain(const MlSchema *schema, MlImpute impute, const double *fill)
{
	int			p = schema->ncells;
	MlEncoder  *enc = palloc0(sizeof(MlEncoder));

	enc->schema = schema;
	enc->p = p;
	enc->columns = palloc0(Max(p, 1) * sizeof(MlEncoding));
	enc->names = palloc0(Max(p, 1) * sizeof(char *));
	enc->source = palloc0(Max(p, 1) * sizeof(int));
	enc->numeric = palloc0(Max(p, 1) * sizeof(bool));
	for (int i = 0; i < p; i++)
	{
		MlEncoding *e = &enc->columns[i];

		e->code = ML_CODE_NUMBER;
		e->first = i;
		e->width = 1;
		e->impute = impute;
		e->fill = palloc0(sizeof(double));
		e->center = palloc0(sizeof(double));
		e->scale = palloc0(sizeof(double));
		e->fill[0] = fill ? fill[i] : 0;
		e->scale[0] = 1;
		e->null_slot = e->unseen_slot = -1;
		enc->names[i] = schema->columns[i].name;
		enc->source[i] = i;
		enc->numeric[i] = schema->columns[i].kind == ML_NUMBER;
	}
	ml_encoder_prepare(enc);
	return enc;
}
