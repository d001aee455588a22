/*
 * state.c - ml_state, the transition type of ml_accumulate.
 *
 * Layout, each piece aligned to 8 bytes:
 *
 *   MlState header | carry | parts | fingerprint, summaries | buffers | spec bytes
 *
 * The spec says what is learned (algorithm, parameters, columns); a state
 * without rows *is* a specification, which ml_spec returns.  Parts are disjoint
 * sets of rows with an algorithm state each: one part usually, a holdout and
 * folds when a training wants them from one scan.  Rows wait in a buffer per
 * part until a tile is full; buffers start small and double, so that 10,000
 * groups of 100 rows cost kilobytes each.
 *
 * The value is flat and has no pointer: it can be stored, dumped and sent, and
 * it is updated in place while the executor owns it.  Growing returns a larger
 * copy, which the executor moves into the aggregate's context.
 */
#include "core/state.h"

#include <limits.h>
#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/params.h"
#include "core/registry.h"
#include "core/preprocess.h"

#define STATE_MAGIC 0x6d6c5354	/* "mlST" */
#define STATE_FORMAT 1
#define FIRST_CAPACITY 4
#define BUFFER_SHARE 4			/* of a wide part may be its first buffer: to grow is to copy it all, twice */
#define GROW_ROWS 32			/* buffers double only when they have been filled so often: small groups stay small */
#define MAX_PARTS 101
#define MAX_ROWS (INT64CONST(1) << 53)	/* doubles count so far, and sums of two counts are an int64 */
#define PART_HEADER (offsetof(MlPart, state) / sizeof(double))

/* ---- layout ---- */

static Size
carry_at(const MlState *state)
{
	return MAXALIGN(sizeof(MlState));
}

static Size
parts_at(const MlState *state)
{
	return carry_at(state) + state->ncarry * sizeof(double);
}

static Size
part_bytes(const MlState *state)
{
	return (PART_HEADER + state->part_doubles) * sizeof(double);
}

static Size
profile_at(const MlState *state)
{
	return parts_at(state) + state->nparts * part_bytes(state);
}

static Size
summaries_at(const MlState *state)
{
	return profile_at(state) + ((state->flags & ML_STATE_PROFILE) ? sizeof(MlFingerprint) : 0);
}

static Size
buffers_at(const MlState *state)
{
	return summaries_at(state) +
		((state->flags & ML_STATE_PROFILE) ? state->ncells * sizeof(MlSummary) : 0);
}

static int
row_doubles(const MlState *state)
{
	return state->ncells + 1 + ((state->flags & ML_STATE_WEIGHT) != 0) +
		((state->flags & ML_STATE_OFFSET) != 0);
}

static Size
spec_at(const MlState *state)
{
	return buffers_at(state) +
		(Size) state->nparts * state->capacity * row_doubles(state) * sizeof(double);
}

static Size
state_bytes(const MlState *state)
{
	return spec_at(state) + MAXALIGN(state->spec_size);
}

MlPart *
ml_state_part(const MlState *state, int part)
{
	return (MlPart *) ((char *) state + parts_at(state) + part * part_bytes(state));
}

MlSummary *
ml_state_summary(const MlState *state, int cell)
{
	return (MlSummary *) ((char *) state + summaries_at(state)) + cell;
}

MlFingerprint *
ml_state_fingerprint(const MlState *state)
{
	Assert(state->flags & ML_STATE_PROFILE);
	return (MlFingerprint *) ((char *) state + profile_at(state));
}

/* The buffer of a part: features row by row, then targets, weights, offsets. */
static double *
part_buffer(const MlState *state, int part)
{
	return (double *) ((char *) state + buffers_at(state)) +
		(Size) part * state->capacity * row_doubles(state);
}

/*
 * ---- spec ----
 *
 * Written small, since each of 10,000 groups carries one: parameters as they
 * were given, column types only as kinds.
 */

static void
write_spec(const MlSpec *spec, MlWriter *w)
{
	ml_write_text(w, spec->algorithm->name);
	ml_write_u32(w, spec->task);
	ml_write_text(w, spec->given ? JsonbToCString(NULL, &spec->given->root, VARSIZE(spec->given)) : NULL);
	ml_write_u32(w, spec->schema->ncolumns);
	for (int i = 0; i < spec->schema->ncolumns; i++)
	{
		ml_write_text(w, spec->schema->columns[i].name);
		ml_write_u8(w, spec->schema->columns[i].kind);
	}
	ml_write_text(w, spec->target);
	ml_write_text(w, spec->weight);
	ml_write_text(w, spec->offset);
	ml_write_u32(w, spec->target_at);
}

/* Fills in everything that follows from algorithm, parameters and schema. */
static void
complete_spec(MlSpec *spec)
{
	int			p = spec->schema->ncells;
	const char **names = palloc(Max(p, 1) * sizeof(char *));
	bool	   *scaled = palloc(Max(p, 1) * sizeof(bool));
	MlCoreParams core;

	spec->params = palloc0(Max(spec->algorithm->params_size, 1));
	ml_params_parse(spec->given, spec->algorithm->name, ml_core_params, &core,
					spec->algorithm->params, spec->params);
	ml_core_params_settle(&core, spec->algorithm);
	spec->params_json = ml_params_to_jsonb(ml_core_params, &core, spec->algorithm->params, spec->params);
	for (int i = 0; i < p; i++)
	{
		names[i] = spec->schema->columns[i].name;
		scaled[i] = core.scale != ML_SCALE_NONE && spec->schema->columns[i].kind != ML_BOOLEAN;
	}
	spec->problem.task = spec->task;
	spec->problem.p = p;
	spec->problem.names = names;
	spec->problem.scaled = scaled;
	spec->problem.params = spec->params;
}

static MlSpec *
read_spec(MlReader *r)
{
	MlSpec	   *spec = palloc0(sizeof(MlSpec));
	char	   *text = ml_read_text(r);
	MlSchema   *schema = palloc0(sizeof(MlSchema));

	if (text == NULL)
		ml_corrupt("state names no algorithm");
	spec->algorithm = ml_registry_find(text, false);
	spec->task = ml_read_u32(r, UINT32_MAX);
	text = ml_read_text(r);
	if (spec->task != ML_REGRESSION || (spec->task & spec->algorithm->tasks) == 0 ||
		!(spec->algorithm->flags & ML_SINGLE_PASS))
		ml_corrupt("state has a task that its algorithm lacks");
	if (text)
		spec->given = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	schema->ncolumns = ml_read_u32(r, MaxTupleAttributeNumber);
	schema->columns = palloc0(Max(schema->ncolumns, 1) * sizeof(MlColumn));
	for (int i = 0; i < schema->ncolumns; i++)
	{
		MlColumn   *col = &schema->columns[i];

		col->name = ml_read_text(r);
		col->type = "double precision";
		col->kind = ml_read_u8(r);
		col->cells = 1;
		col->first_cell = i;
		if (col->name == NULL ||
			(col->kind != ML_NUMBER && col->kind != ML_BOOLEAN))
			ml_corrupt("state has an impossible column");
	}
	schema->ncells = schema->ncolumns;
	spec->schema = schema;
	spec->target = ml_read_text(r);
	spec->target_type = "double precision";
	spec->weight = ml_read_text(r);
	spec->offset = ml_read_text(r);
	spec->target_at = ml_read_u32(r, schema->ncolumns);
	if (ml_read_left(r) != 0)
		ml_corrupt("state has bytes behind its specification");
	if (spec->target == NULL || spec->target_type == NULL)
		ml_corrupt("state names no target");
	complete_spec(spec);
	return spec;
}

MlState *
ml_spec_state(const MlSpec *spec)
{
	MlWriter	w;
	MlState		head = {0};
	MlState    *state;

	ml_writer_init(&w);
	write_spec(spec, &w);
	head.magic = STATE_MAGIC;
	head.format = STATE_FORMAT;
	head.flags = spec->flags;
	head.spec_size = w.buf.len;
	head.spec_hash = DatumGetUInt64(hash_any_extended((unsigned char *) w.buf.data, w.buf.len, 0));
	head.ncells = spec->schema->ncells;
	head.nparts = Max(spec->nparts, 1);
	head.part_doubles = spec->algorithm->state_size(&spec->problem);
	head.ncarry = spec->problem.ncarry;
	head.seed = spec->seed;
	head.pass = spec->problem.pass;
	head.level = spec->level;
	head.holdout = spec->holdout;
	ml_budget_check(state_bytes(&head), "the training state");
	state = ml_alloc_zeroed(state_bytes(&head));
	*state = head;
	SET_VARSIZE(state, state_bytes(&head));
	memcpy((char *) state + spec_at(state), w.buf.data, w.buf.len);
	if (head.ncarry > 0)
		memcpy((char *) state + carry_at(state), spec->problem.carry, head.ncarry * sizeof(double));
	for (int i = 0; spec->algorithm->init && i < head.nparts; i++)
		spec->algorithm->init(&spec->problem, ml_state_part(state, i)->state);
	for (int i = 0; (head.flags & ML_STATE_PROFILE) && i < head.ncells; i++)
		ml_summary_init(ml_state_summary(state, i), i);
	return state;
}

MlSpec *
ml_state_spec(const MlState *state)
{
	MlReader	r;
	MlSpec	   *spec;

	ml_reader_init(&r, (const char *) state + spec_at(state), state->spec_size);
	spec = read_spec(&r);
	spec->flags = state->flags;
	spec->nparts = state->nparts;
	spec->holdout = state->holdout;
	spec->seed = state->seed;
	spec->hash = state->spec_hash;
	spec->size = state->spec_size;
	spec->part_doubles = state->part_doubles;
	spec->problem.pass = state->pass;
	spec->problem.ncarry = state->ncarry;
	if (state->ncarry > 0)
	{
		double	   *carry = palloc(state->ncarry * sizeof(double));

		memcpy(carry, (char *) state + carry_at(state), state->ncarry * sizeof(double));
		spec->problem.carry = carry;
	}
	return spec;
}

bool
ml_state_has_spec(const MlState *state, const MlSpec *spec)
{
	/* The hash stands for the bytes, but memory must be safe from who finds another text for it. */
	return state->spec_hash == spec->hash && state->flags == spec->flags &&
		state->spec_size == spec->size && state->part_doubles == spec->part_doubles &&
		state->nparts == spec->nparts && state->ncells == spec->schema->ncells &&
		state->pass == spec->problem.pass && state->ncarry == spec->problem.ncarry;
}

/* ---- rows ---- */

void
ml_reject_value(const char *column, double value)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("column \"%s\" contains %s", column,
					isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"),
			 errhint("Filter such rows out in the source, or replace the value by NULL.")));
}

void
ml_reject_weight(const char *column, double weight)
{
	if (weight < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("weight %g in column \"%s\" is negative", weight, column)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("weight %g in column \"%s\" is too large", weight, column),
			 errdetail("The largest weight is %g.", ML_MAX_WEIGHT),
			 errhint("Divide all weights by the same number.")));
}

/* Moments of a tile's targets, merged into those of the part (Chan, Golub, LeVeque 1979). */
static void
add_target(MlPart *part, const MlTile *tile)
{
	double		w = 0;
	double		sum = 0;
	double		m2 = 0;
	double		mean;
	double		d;

	for (int i = 0; i < tile->n; i++)
	{
		double		wi = tile->w ? tile->w[i] : 1.0;

		w += wi;
		sum += wi * (tile->y[i] - tile->y[0]);
	}
	mean = tile->y[0] + sum / w;
	for (int i = 0; i < tile->n; i++)
		m2 += (tile->w ? tile->w[i] : 1.0) * (tile->y[i] - mean) * (tile->y[i] - mean);
	d = mean - part->y_mean;
	part->y_m2 += m2 + d * d * part->w * w / (part->w + w);
	part->w += w;
	part->y_mean += d * w / part->w;
}

/* Folds n buffered rows into moments of the target and the algorithm's state. */
static void
flush_part(const MlSpec *spec, MlState *state, int number)
{
	MlPart	   *part = ml_state_part(state, number);
	double	   *x = part_buffer(state, number);
	MlTile		tile = {0};
	const double *y = x + (Size) state->capacity * state->ncells;

	tile.n = (int) part->buffered;
	if (tile.n == 0)
		return;
	tile.x = x;
	tile.y = y;
	if (state->flags & ML_STATE_WEIGHT)
		tile.w = y + state->capacity;
	if (state->flags & ML_STATE_OFFSET)
		tile.offset = y + (Size) state->capacity * (tile.w ? 2 : 1);
	CHECK_FOR_INTERRUPTS();		/* a combination flushes up to a hundred parts */
	add_target(part, &tile);
	if (state->flags & ML_STATE_PROFILE)
	{
		ml_fingerprint_rows(ml_state_fingerprint(state), x, tile.n, state->ncells, state->ncells, tile.y, tile.w, 1);
		ml_summaries_add(ml_state_summary(state, 0), state->ncells, x, tile.n, state->ncells, state->level);
	}
	CHECK_FOR_INTERRUPTS();
	spec->algorithm->accumulate(&spec->problem, part->state, &tile);
	part->n += tile.n;
	part->buffered = 0;
}

void
ml_state_flush(const MlSpec *spec, MlState *state)
{
	for (int i = 0; i < state->nparts; i++)
		flush_part(spec, state, i);
	if (state->flags & ML_STATE_PROFILE)
		ml_summaries_settle(ml_state_summary(state, 0), state->ncells);
}

/* A copy with larger buffers. */
static MlState *
grow(MlState *state, uint32 capacity)
{
	MlState		head = *state;
	MlState    *larger;
	int			row = row_doubles(state);

	head.capacity = capacity;
	larger = ml_alloc_zeroed(state_bytes(&head));
	ml_copy(larger, state, buffers_at(state));
	larger->capacity = capacity;
	SET_VARSIZE(larger, state_bytes(larger));
	memcpy((char *) larger + spec_at(larger), (char *) state + spec_at(state), state->spec_size);
	for (int i = 0; i < state->nparts; i++)
	{
		int			n = (int) ml_state_part(state, i)->buffered;
		const double *from = part_buffer(state, i);
		double	   *to = part_buffer(larger, i);

		memcpy(to, from, (Size) n * state->ncells * sizeof(double));
		for (int j = state->ncells; j < row; j++)
			memcpy(to + (Size) j * capacity, from + (Size) j * state->capacity, n * sizeof(double));
	}
	return larger;
}

/* Rows of the first buffer. */
static uint32
first_capacity(const MlState *state)
{
	uint32		capacity = FIRST_CAPACITY;

	while (capacity < ML_TILE_ROWS &&
		   (Size) 2 * capacity * row_doubles(state) * BUFFER_SHARE <= state->part_doubles)
		capacity *= 2;
	return capacity;
}

static int
choose_part(const MlState *state, double u)
{
	double		rest;

	if (state->nparts == 1)
		return 0;
	if (u < state->holdout)
		return 0;
	if (state->nparts == 2)
		return 1;				/* a division costs a tenth of a row */
	rest = (u - state->holdout) / (1 - state->holdout) * (state->nparts - 1);
	return 1 + Min((int) rest, (int) state->nparts - 2);
}

MlState *
ml_state_add(const MlSpec *spec, MlState *state, const double *cells, bool finite, double u)
{
	int			k = state->ncells;
	int			width = row_doubles(state);
	double		w = (state->flags & ML_STATE_WEIGHT) ? cells[k + 1] : 1.0;
	int			number;
	int			at;
	MlPart	   *part;
	double	   *buffer;

	state->rows_read++;
	if (w == 0 || (!finite && !ml_cells_finite(cells + k, width - k)))
	{
		state->rows_no_target++;
		return state;
	}
	if (!finite)
	{
		state->rows_missing++;
		return state;
	}
	number = choose_part(state, u);
	part = ml_state_part(state, number);
	if (part->buffered >= state->capacity)
	{
		flush_part(spec, state, number);
		if (state->capacity == 0 ||
			(state->capacity < ML_TILE_ROWS && part->n >= (double) GROW_ROWS * state->capacity))
		{
			state = grow(state, state->capacity == 0 ? first_capacity(state) : state->capacity * 2);
			part = ml_state_part(state, number);
		}
	}
	at = (int) part->buffered;
	buffer = part_buffer(state, number);
	memcpy(buffer + (Size) at * k, cells, k * sizeof(double));
	for (int j = k; j < width; j++)
		buffer[(Size) j * state->capacity + at] = cells[j];
	part->buffered = at + 1;
	return state;
}

/* What a state says of its rows may be invented. */
static void
add_rows(int64 *count, int64 more)
{
	if (more > MAX_ROWS - *count)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("states of more than %lld rows cannot be combined", (long long) MAX_ROWS)));
	*count += more;
}

void
ml_state_merge(const MlSpec *spec, MlState *state, const MlState *from)
{
	MlState    *other = (MlState *) from;
	bool		waiting = false;

	if (!ml_state_has_spec(state, spec) || !ml_state_has_spec(other, spec))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("states of different specifications cannot be combined"),
				 errdetail("One is for algorithm \"%s\" and target \"%s\".",
						   spec->algorithm->name, spec->target)));
	for (int i = 0; i < from->nparts; i++)
		waiting |= ml_state_part(from, i)->buffered > 0;
	if (waiting)
	{
		other = ml_alloc_copy(from, VARSIZE(from));
		ml_state_flush(spec, other);
	}
	ml_state_flush(spec, state);
	add_rows(&state->rows_read, other->rows_read);
	add_rows(&state->rows_no_target, other->rows_no_target);
	add_rows(&state->rows_missing, other->rows_missing);
	for (int i = 0; i < state->nparts; i++)
	{
		MlPart	   *a = ml_state_part(state, i);
		MlPart	   *b = ml_state_part(other, i);
		double		w = a->w + b->w;
		double		d = b->y_mean - a->y_mean;

		CHECK_FOR_INTERRUPTS();
		if (b->n == 0)
			continue;
		a->y_mean += d * b->w / w;
		a->y_m2 += b->y_m2 + d * d * a->w * b->w / w;
		a->w = w;
		a->n += b->n;
		spec->algorithm->combine(&spec->problem, a->state, b->state, 1.0);
	}
	if (state->flags & ML_STATE_PROFILE)
		ml_fingerprint_add(ml_state_fingerprint(state), ml_state_fingerprint(other), false);
	for (int c = 0; (state->flags & ML_STATE_PROFILE) && c < state->ncells; c++)
		ml_summary_merge(ml_state_summary(state, c), ml_state_summary(other, c));
	if (waiting)
		pfree(other);
}

/* ---- the type ---- */

/*
 * Everything that reading relies on; bytes come from outside.  The states of a
 * running training (several parts, a later pass, a profile) never do.
 */
static void
check_state(const MlState *state, Size size)
{
	MlSpec	   *spec;

	if (size < sizeof(MlState) || state->magic != STATE_MAGIC)
		ml_corrupt("not an ml_state value");
	if (state->format != STATE_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("state has format %u, this version reads up to %d", state->format, STATE_FORMAT)));
	if (state->spec_size > size || state->ncells > MaxTupleAttributeNumber ||
		state->nparts < 1 || state->nparts > MAX_PARTS || state->capacity > ML_TILE_ROWS ||
		state->part_doubles > size || state->ncarry > size || state->flags > 0x0f ||
		state->rows_read < 0 || state->rows_no_target < 0 || state->rows_missing < 0 ||
		state->rows_read > MAX_ROWS || state->rows_no_target > MAX_ROWS || state->rows_missing > MAX_ROWS ||
		!(state->holdout >= 0 && state->holdout < 1))
		ml_corrupt("state has an impossible header");
	if (state->nparts != 1 || state->pass != 0 || state->ncarry != 0 || state->level != 0 ||
		(state->flags & ~(ML_STATE_WEIGHT | ML_STATE_OFFSET)) != 0)
		ml_corrupt("state is part of a training");
	if (state_bytes(state) != size)
		ml_corrupt("state has %zu bytes, its header needs %zu", size, state_bytes(state));
	if (DatumGetUInt64(hash_any_extended((unsigned char *) state + spec_at(state), state->spec_size, 0)) != state->spec_hash)
		ml_corrupt("state has a damaged specification");
	spec = ml_state_spec(state);
	if (ml_params_wants_cv(spec->algorithm->params, spec->params) ||
		((state->flags & ML_STATE_WEIGHT) && spec->weight == NULL) ||
		((state->flags & ML_STATE_OFFSET) && spec->offset == NULL))
		ml_corrupt("state has an impossible specification");
	if (spec->schema->ncells != state->ncells ||
		spec->algorithm->state_size(&spec->problem) != state->part_doubles)
		ml_corrupt("state does not fit its specification");
	for (int i = 0; i < state->nparts; i++)
	{
		const MlPart *part = ml_state_part(state, i);
		const double *value = (const double *) part;

		if (!(part->buffered >= 0 && part->buffered <= state->capacity) ||
			part->buffered != floor(part->buffered) ||
			!(part->n >= 0 && part->n <= MAX_ROWS) || !(part->w >= 0))
			ml_corrupt("state has impossible counts");
		for (Size j = 0; j < PART_HEADER + state->part_doubles; j++)
			if (!isfinite(value[j]))
				ml_corrupt("state has a number that is not finite");
	}
	for (const double *v = (const double *) ((const char *) state + buffers_at(state));
		 (const char *) v < (const char *) state + spec_at(state); v++)
		if (!isfinite(*v))
			ml_corrupt("state has a number that is not finite");
}

MlState *
ml_state_detoast(Datum value)
{
	return (MlState *) PG_DETOAST_DATUM(value);
}

static MlState *
state_from_bytes(const char *data, Size size)
{
	MlState    *state = palloc0(Max(size + VARHDRSZ, sizeof(MlState)));

	memcpy(VARDATA(state), data, size);
	SET_VARSIZE(state, size + VARHDRSZ);
	check_state(state, size + VARHDRSZ);
	return state;
}

/* Numbers are in the machine's byte order: the magic word refuses those of another. */
ML_FUNCTION(ml_sql_state_in)
{
	bytea	   *raw = DatumGetByteaPP(DirectFunctionCall1(byteain, PG_GETARG_DATUM(0)));

	PG_RETURN_POINTER(state_from_bytes(VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw)));
}

ML_FUNCTION(ml_sql_state_out)
{
	bytea	   *raw = PG_GETARG_BYTEA_P(0);

	return DirectFunctionCall1(byteaout, PointerGetDatum(raw));
}

ML_FUNCTION(ml_sql_state_recv)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			size = buf->len - buf->cursor;
	const char *data = pq_getmsgbytes(buf, size);

	PG_RETURN_POINTER(state_from_bytes(data, size));
}

ML_FUNCTION(ml_sql_state_send)
{
	PG_RETURN_BYTEA_P(PG_GETARG_BYTEA_P_COPY(0));
}
