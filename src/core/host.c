/*
 * host.c - what the core does for algorithms (the end of ml.h) in a backend.
 *
 * Memory: ml_alloc takes from CurrentMemoryContext and counts, for each context,
 * what it has given out there; ml_free takes it off, and the count goes when the
 * context is reset.  The
 * limit holds for one context, so that unpacked models in the cache take
 * nothing away from a training.
 *
 * Warnings: sinks are a stack; one is forgotten when the (sub)transaction that
 * set it aborts, since its memory goes then.
 *
 * Bytes: network order.  Text is UTF-8 whatever the database's encoding, so that
 * a model can be moved to a database with another one.
 */
#include "core/host.h"

#include <math.h>
#include <unistd.h>
#ifndef WIN32
#include <sys/mman.h>
#endif

#include "access/xact.h"
#include "core/progress.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#define TEXT_IS_NULL 0xFFFFFFFFu

/* ---- memory ---- */

/* Bytes given out in one context.  A cache of models has thousands of contexts: hence a hash. */
typedef struct Charge
{
	MemoryContext cxt;			/* key */
	Size		bytes;
} Charge;

static HTAB *charges;

static void
charge_forget(void *cxt)
{
	MemoryContext key = cxt;

	hash_search(charges, &key, HASH_REMOVE, NULL);
}

/* The charge of a context, or NULL. */
static Charge *
charge_find(MemoryContext cxt)
{
	return charges ? hash_search(charges, &cxt, HASH_FIND, NULL) : NULL;
}

static void
charge_add(Size bytes)
{
	Charge	   *charge = charge_find(CurrentMemoryContext);

	if (charge == NULL)
	{
		MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));

		if (charges == NULL)
		{
			HASHCTL		ctl = {.keysize = sizeof(MemoryContext), .entrysize = sizeof(Charge)};

			charges = hash_create("ml_ext memory in use", 64, &ctl, HASH_ELEM | HASH_BLOBS);
		}
		charge = hash_search(charges, &CurrentMemoryContext, HASH_ENTER, NULL);
		charge->bytes = 0;
		callback->func = charge_forget;
		callback->arg = CurrentMemoryContext;
		MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	}
	charge->bytes += bytes;
}

Size
ml_budget_bytes(void)
{
	return (Size) maintenance_work_mem * 1024;
}

void
ml_budget_check(Size bytes, const char *what)
{
	Charge	   *charge = charge_find(CurrentMemoryContext);
	Size		used = charge ? charge->bytes : 0;
	Size		budget = ml_budget_bytes();

	if (bytes > budget || used > budget - bytes)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("memory budget exceeded by %s", what),
				 errdetail("%zu kB are needed and %zu kB are in use, but maintenance_work_mem allows %zu kB.",
						   bytes / 1024 + (bytes % 1024 != 0), used / 1024, budget / 1024),
				 errhint("Raise maintenance_work_mem to at least %zu MB.", (used + bytes) / (1024 * 1024) + 1)));
}

void *
ml_alloc(size_t count, size_t size)
{
	Size		bytes;
	void	   *memory;

	if (size != 0 && count > MaxAllocHugeSize / size)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("memory request is too large"),
				 errdetail("%zu items of %zu bytes were asked for.", count, size)));
	bytes = count * size;
	ml_budget_check(bytes, "training");
	memory = ml_alloc_zeroed(bytes);
	charge_add(GetMemoryChunkSpace(memory));	/* what ml_free can find out, too */
	return memory;
}

void
ml_free(void *pointer)
{
	Charge	   *charge = charge_find(GetMemoryChunkContext(pointer));

	if (charge)
		charge->bytes -= Min(charge->bytes, GetMemoryChunkSpace(pointer));
	pfree(pointer);
}

size_t
ml_memory_left(void)
{
	Charge	   *charge = charge_find(CurrentMemoryContext);
	Size		used = charge ? charge->bytes : 0;
	Size		budget = ml_budget_bytes();

	return used < budget ? budget - used : 0;
}

/* What a cancel waits for: the first touch of 4 MB takes two milliseconds. */
#define TOUCH_BYTES ((Size) 4 << 20)

void *
ml_alloc_zeroed(Size bytes)
{
	char	   *memory = MemoryContextAllocExtended(CurrentMemoryContext, bytes, MCXT_ALLOC_HUGE);

	for (Size at = 0; at < bytes; at += TOUCH_BYTES)
	{
		if (at > 0)
			CHECK_FOR_INTERRUPTS();
		memset(memory + at, 0, Min(bytes - at, TOUCH_BYTES));
	}
	return memory;
}

void *
ml_alloc_copy(const void *from, Size bytes)
{
	char	   *memory = MemoryContextAllocExtended(CurrentMemoryContext, bytes, MCXT_ALLOC_HUGE);

	ml_copy(memory, from, bytes);
	return memory;
}

void
ml_copy(void *to, const void *from, size_t bytes)
{
	for (Size at = 0; at < bytes; at += TOUCH_BYTES)
	{
		if (at > 0)
			CHECK_FOR_INTERRUPTS();
		memcpy((char *) to + at, (const char *) from + at, Min(bytes - at, TOUCH_BYTES));
	}
}

/* ---- messages ---- */

/*
 * The sinks of trainings within trainings, the current one last.  A source may
 * call a function that trains, too, and that may fail in a subtransaction while
 * the outer training goes on: then its sinks go, without a look at their memory,
 * which the abort has freed before it tells us.
 */
typedef struct SinkEntry
{
	MlWarnings *sink;
	SubTransactionId subxact;
} SinkEntry;

#define MAX_SINKS 64

static SinkEntry sinks[MAX_SINKS];
static int	nsinks = 0;

/* printf into palloc'd text. */
static char *format_message(const char *format, va_list args) pg_attribute_printf(1, 0);

static char *
format_message(const char *format, va_list args)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		copy;
		int			needed;

		va_copy(copy, args);
		needed = appendStringInfoVA(&buf, format, copy);
		va_end(copy);
		if (needed == 0)
			return buf.data;
		enlargeStringInfo(&buf, needed);
	}
}

static void
sink_xact_end(XactEvent event, void *arg)
{
	nsinks = 0;
}

static void
sink_subxact_end(SubXactEvent event, SubTransactionId subxact, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (nsinks > 0 && sinks[nsinks - 1].subxact >= subxact)
		nsinks--;
}

void
ml_warnings_push(MlWarnings *sink)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(sink_xact_end, NULL);
		RegisterSubXactCallback(sink_subxact_end, NULL);
		registered = true;
	}
	if (nsinks == MAX_SINKS)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("trainings are nested too deeply"),
				 errdetail("A source trained another model, and so on.")));
	sinks[nsinks].sink = sink;
	sinks[nsinks].subxact = GetCurrentSubTransactionId();
	nsinks++;
}

void
ml_warnings_pop(const MlWarnings *sink)
{
	int			n = nsinks;

	while (n > 0 && sinks[n - 1].sink != sink)
		n--;
	if (n > 0)
		nsinks = n - 1;
}

void
ml_warn(const char *format,...)
{
	va_list		args;
	char	   *message;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);

	if (nsinks > 0)
	{
		MlWarnings *current_sink = sinks[nsinks - 1].sink;
		MemoryContext old;
		ListCell   *lc;

		foreach(lc, current_sink->messages)
		{
			if (strcmp(lfirst(lc), message) == 0)
				return;
		}
		old = MemoryContextSwitchTo(current_sink->cxt);
		current_sink->messages = lappend(current_sink->messages, pstrdup(message));
		MemoryContextSwitchTo(old);
		if (current_sink->quiet)
			return;
	}
	ereport(WARNING, (errcode(ERRCODE_WARNING), errmsg_internal("%s", message)));
}

void
ml_fail_data(const char *format,...)
{
	va_list		args;
	char	   *message;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg_internal("%s", message)));
}

void
ml_fail_param(const char *format,...)
{
	va_list		args;
	char	   *message;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg_internal("%s", message)));
}

void
ml_fail_library(const char *format,...)
{
	va_list		args;
	char	   *message;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FILE), errmsg_internal("%s", message)));
}

void
ml_corrupt(const char *format,...)
{
	va_list		args;
	char	   *message;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored model data is corrupted"),
			 errdetail_internal("%s", message)));
}

void
ml_malformed(const char *format,...)
{
	va_list		args;
	char	   *message;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("the model to be imported cannot be read"),
			 errdetail_internal("%c%s.", pg_toupper((unsigned char) message[0]), message + 1)));
}

void
ml_unsupported(const char *format,...)
{
	va_list		args;
	char	   *message;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("not supported: %s", message)));
}

void
ml_check_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

void
ml_report_iteration(int iteration, double objective)
{
	ml_progress_iteration(iteration, objective);
	CHECK_FOR_INTERRUPTS();
}

/* ---- the learning curve of a fit ---- */

static MlLearning *curve;

MlLearning *
ml_learning_create(void)
{
	MlLearning *learning = palloc0(sizeof(MlLearning));

	learning->every = 1;
	learning->least = get_float8_infinity();
	return learning;
}

/* The place of a new last point. */
static int
learning_place(MlLearning *l)
{
	int			kept = 0;

	if (l->n > 0 && l->point[l->n - 1].iterations % l->every != 0)
		return l->n - 1;
	if (l->n < ML_LEARNING_ROOM)
		return l->n++;
	l->every *= 2;
	for (int i = 0; i < l->n; i++)
		if (l->point[i].iterations % l->every == 0)
			l->point[kept++] = l->point[i];
	l->n = kept + 1;
	return kept;
}

void
ml_learning_add(MlLearning *l, int iterations, double objective, double held_out)
{
	int			at = l ? l->n - 1 : 0;

	if (l == NULL || (isnan(objective) && isnan(held_out)))
		return;
	if (l->n == 0 || l->point[at].iterations != iterations)
	{
		at = learning_place(l);
		l->point[at].iterations = iterations;
		l->point[at].objective = l->point[at].held_out = get_float8_nan();
	}
	if (!isnan(objective))
		l->point[at].objective = objective;
	if (!isnan(held_out))
		l->point[at].held_out = held_out;
	if (held_out < l->least)
	{
		l->least = held_out;
		l->best = iterations;
	}
}

MlLearning *
ml_learning_start(MlLearning *learning)
{
	MlLearning *was = curve;

	curve = learning;
	return was;
}

void
ml_report_learning(int iterations, double objective, double held_out)
{
	ml_learning_add(curve, iterations, objective, held_out);
}

static void
learning_number(StringInfo out, double value)
{
	if (isfinite(value))
		appendStringInfo(out, ", %.9g", value);
	else
		appendStringInfoString(out, ", null");
}

char *
ml_learning_json(const MlLearning *l)
{
	StringInfoData s;

	if (l == NULL || l->n < 2)
		return NULL;
	initStringInfo(&s);
	appendStringInfo(&s, "{\"best\": %s, \"points\": [", isinf(l->least) ? "null" : psprintf("%d", l->best));
	for (int i = 0; i < l->n; i++)
	{
		appendStringInfo(&s, "%s[%d", i > 0 ? ", " : "", l->point[i].iterations);
		learning_number(&s, l->point[i].objective);
		learning_number(&s, l->point[i].held_out);
		appendStringInfoChar(&s, ']');
	}
	appendStringInfoString(&s, "]}");
	return s.data;
}

/* ---- rows of a fit ---- */

uint64_t
ml_data_rows(const MlData *data)
{
	return data->rows;
}

void
ml_data_rewind(MlData *data)
{
	data->rewind(data);
}

bool
ml_data_next(MlData *data, MlTile *tile)
{
	CHECK_FOR_INTERRUPTS();
	return data->next(data, tile);
}

/* ---- writing bytes ---- */

void
ml_writer_init(MlWriter *writer)
{
	initStringInfo(&writer->buf);
	writer->rest = -1;
}

void
ml_write_u8(MlWriter *writer, uint8_t value)
{
	appendStringInfoCharMacro(&writer->buf, (char) value);
}

void
ml_write_u32(MlWriter *writer, uint32_t value)
{
	uint32		net = pg_hton32(value);

	appendBinaryStringInfo(&writer->buf, (char *) &net, sizeof(net));
}

void
ml_write_u64(MlWriter *writer, uint64_t value)
{
	uint64		net = pg_hton64(value);

	appendBinaryStringInfo(&writer->buf, (char *) &net, sizeof(net));
}

void
ml_write_f64(MlWriter *writer, double value)
{
	uint64_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	ml_write_u64(writer, bits);
}

void
ml_write_f64s(MlWriter *writer, const double *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if ((i & 0xffff) == 0xffff)
			CHECK_FOR_INTERRUPTS();
		ml_write_f64(writer, values[i]);
	}
}

void
ml_write_rest(MlWriter *writer)
{
	writer->rest = writer->buf.len;
}

void
ml_write_u32s(MlWriter *writer, const uint32_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if ((i & 0xffff) == 0xffff)
			CHECK_FOR_INTERRUPTS();
		ml_write_u32(writer, values[i]);
	}
}

void
ml_write_bytes(MlWriter *writer, const void *bytes, size_t size)
{
	if (size > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%zu bytes cannot be written at once", size)));
	appendBinaryStringInfo(&writer->buf, bytes, (int) size);
}

void
ml_write_text(MlWriter *writer, const char *value)
{
	char	   *utf8;
	size_t		len;

	if (value == NULL)
	{
		ml_write_u32(writer, TEXT_IS_NULL);
		return;
	}
	utf8 = pg_server_to_any(value, strlen(value), PG_UTF8);
	len = strlen(utf8);
	ml_write_u32(writer, (uint32_t) len);
	appendBinaryStringInfo(&writer->buf, utf8, (int) len);
	if (utf8 != value)
		pfree(utf8);
}

/* ---- reading bytes: nothing is believed ---- */

void
ml_reader_init(MlReader *reader, const char *data, size_t size)
{
	reader->data = data;
	reader->size = size;
	reader->at = 0;
	reader->rest = SIZE_MAX;
	reader->brief = false;
}

bool
ml_read_rest(MlReader *reader)
{
	if (reader->rest != SIZE_MAX && reader->at != reader->rest)
		ml_corrupt("What a prediction needs ends at byte %zu, not %zu.", reader->at, reader->rest);
	reader->rest = SIZE_MAX;
	return !reader->brief;
}

size_t
ml_read_left(const MlReader *reader)
{
	return reader->size - reader->at;
}

/* The next `bytes` bytes, which are consumed. */
static const char *
take(MlReader *reader, size_t bytes)
{
	const char *here = reader->data + reader->at;

	if (bytes > ml_read_left(reader))
		ml_corrupt("%zu bytes were expected at byte %zu, but only %zu are left.",
				   bytes, reader->at, ml_read_left(reader));
	reader->at += bytes;
	return here;
}

uint8_t
ml_read_u8(MlReader *reader)
{
	return (uint8_t) *take(reader, 1);
}

uint32_t
ml_read_u32(MlReader *reader, uint32_t max)
{
	uint32		net;

	memcpy(&net, take(reader, sizeof(net)), sizeof(net));
	net = pg_ntoh32(net);
	if (net > max)
		ml_corrupt("The number %u before byte %zu is greater than %u.", net, reader->at, max);
	return net;
}

uint64_t
ml_read_u64(MlReader *reader)
{
	uint64		net;

	memcpy(&net, take(reader, sizeof(net)), sizeof(net));
	return pg_ntoh64(net);
}

double
ml_read_f64(MlReader *reader)
{
	uint64_t	bits = ml_read_u64(reader);
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

double
ml_read_finite(MlReader *reader)
{
	double		value = ml_read_f64(reader);

	if (!isfinite(value))
		ml_corrupt("The number before byte %zu is not finite.", reader->at);
	return value;
}

#define NUMBERS_AT_ONCE 65536	/* between two looks at interrupts */

/* The next `count` numbers of `size` bytes each. */
static const char *
take_numbers(MlReader *reader, size_t count, size_t size)
{
	if (count > ml_read_left(reader) / size)
		ml_corrupt("%zu numbers were expected at byte %zu, but only %zu bytes are left.",
				   count, reader->at, ml_read_left(reader));
	return take(reader, count * size);
}

void
ml_read_finites(MlReader *reader, double *values, size_t count)
{
	const uint64 infinite = UINT64CONST(0x7ff0000000000000);
	const char *from = take_numbers(reader, count, sizeof(double));
	size_t		start = reader->at - count * sizeof(double);

	for (size_t done = 0, n; done < count; done += n)
	{
		bool		bad = false;

		CHECK_FOR_INTERRUPTS();
		n = Min(count - done, NUMBERS_AT_ONCE);
		for (size_t i = done; i < done + n; i++)
		{
			uint64		bits;

			memcpy(&bits, from + i * sizeof(bits), sizeof(bits));
			bits = pg_ntoh64(bits);
			bad |= (bits & infinite) == infinite;
			memcpy(&values[i], &bits, sizeof(bits));
		}
		for (size_t i = done; bad && i < done + n; i++)
			if (!isfinite(values[i]))
				ml_corrupt("The number before byte %zu is not finite.", start + (i + 1) * sizeof(double));
	}
}

double *
ml_read_f64s(MlReader *reader, size_t count)
{
	double	   *values;

	if (count > ml_read_left(reader) / sizeof(double))
		ml_corrupt("%zu numbers were expected at byte %zu, but only %zu bytes are left.",
				   count, reader->at, ml_read_left(reader));
	values = palloc_extended(count * sizeof(double), MCXT_ALLOC_HUGE);
	ml_read_finites(reader, values, count);
	return values;
}

void
ml_read_u32s(MlReader *reader, uint32_t *values, size_t count)
{
	ml_copy(values, take_numbers(reader, count, sizeof(uint32)), count * sizeof(uint32));
	for (size_t i = 0; i < count; i++)
		values[i] = pg_ntoh32(values[i]);
}

/*
 * Memory that is about to be written.  One call of the kernel for all of its pages costs a third of a fault for
 * each of them, which is what the first prediction of a large model waits for most.
 */
#define TOUCH_LEAST ((Size) 64 * 1024)

static void *
touched(void *memory, Size bytes)
{
#ifdef MADV_POPULATE_WRITE
	Size		page = sysconf(_SC_PAGESIZE);
	char	   *at = (char *) TYPEALIGN(page, memory);
	char	   *end = (char *) TYPEALIGN_DOWN(page, (char *) memory + bytes);

	for (; bytes >= TOUCH_LEAST && at < end; at += TOUCH_BYTES)
	{
		CHECK_FOR_INTERRUPTS();
		if (madvise(at, Min((Size) (end - at), TOUCH_BYTES), MADV_POPULATE_WRITE) != 0)
			break;				/* an old kernel: they come one by one then */
	}
#endif
	return memory;
}

/* A node of a tree, the widest thing that few bytes become, is 36 bytes of 4. */
#define ROOM_PER_BYTE 64

void *
ml_read_room(const MlReader *reader, size_t count, size_t size)
{
	size_t		most = Min(ml_read_left(reader), MaxAllocHugeSize / ROOM_PER_BYTE) * ROOM_PER_BYTE;

	if (size != 0 && count > most / size)
		ml_corrupt("%zu items of %zu bytes cannot come from the %zu bytes left at byte %zu.",
				   count, size, ml_read_left(reader), reader->at);
	return touched(MemoryContextAllocExtended(CurrentMemoryContext, count * size, MCXT_ALLOC_HUGE), count * size);
}

char *
ml_read_text(MlReader *reader)
{
	size_t		start = reader->at;
	uint32_t	len = ml_read_u32(reader, UINT32_MAX);
	const char *bytes;
	char	   *utf8;
	char	   *text;

	if (len == TEXT_IS_NULL)
		return NULL;
	bytes = take(reader, len);
	if (memchr(bytes, 0, len) != NULL)
		ml_corrupt("The text at byte %zu contains a zero byte.", start);
	utf8 = pnstrdup(bytes, len);
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return utf8;			/* such a database takes bytes as they are */
	if (!pg_verify_mbstr(PG_UTF8, utf8, (int) len, true))
		ml_corrupt("The text at byte %zu is not valid UTF-8.", start);
	text = pg_any_to_server(utf8, (int) len, PG_UTF8);
	if (text != utf8)
		pfree(utf8);
	return text;
}

/* ---- rows for people ---- */

void
ml_row_text(MlRows *rows, const char *item, const char *value)
{
	rows->items = lappend(rows->items, pstrdup(item));
	rows->values = lappend(rows->values, value ? pstrdup(value) : NULL);
}

void
ml_row_number(MlRows *rows, const char *item, double value)
{
	rows->items = lappend(rows->items, pstrdup(item));
	rows->values = lappend(rows->values, float8out_internal(value));
}

void
ml_result_begin(FunctionCallInfo fcinfo, MlResultRows *result)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;
	Oid			type;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) || !(rsinfo->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));

	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, &type, &result->desc) == TYPEFUNC_SCALAR)
	{
		result->desc = CreateTemplateTupleDesc(1);
		TupleDescInitEntry(result->desc, 1, "value", type, -1, 0);
	}
	else if (result->desc == NULL)
		elog(ERROR, "return type must be a row type");
	result->store = tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
										  false, work_mem);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = result->store;
	rsinfo->setDesc = result->desc;
	MemoryContextSwitchTo(old);
}

void
ml_result_add(MlResultRows *result, const Datum *values, const bool *nulls)
{
	tuplestore_putvalues(result->store, result->desc, unconstify(Datum *, values),
						 unconstify(bool *, nulls));
}
