/*
 * server.c - what the code that reads models needs of a server, for programs outside of it.
 *
 * Memory comes from malloc, each piece by itself, so that the address sanitizer sees its ends; it is
 * freed by fuzz_reset.  Errors jump to PG_exception_stack.  An error without an SQLSTATE ("cannot
 * happen"), and a request that the server would refuse as too large, abort: those are findings.
 * JSON is taken as it stands when it looks like an object: the server's own parser is not tested here.
 */
#include "server.h"

#include <stdarg.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#undef palloc0

sigjmp_buf *PG_exception_stack = NULL;
ErrorContextCallback *error_context_stack = NULL;
volatile sig_atomic_t InterruptPending = false;
int			maintenance_work_mem = 65536;
int			work_mem = 4096;

static MemoryContextData context = {.type = T_AllocSetContext};
MemoryContext CurrentMemoryContext = &context;

int			fuzz_sqlstate = 0;
char		fuzz_message[1024];

/* ---- memory ---- */

typedef struct Piece
{
	struct Piece *next;
	struct Piece *prev;
	Size		size;
	MemoryContext context;		/* where GetMemoryChunkContext looks for it before version 16 */
} Piece;

static Piece pieces = {&pieces, &pieces, 0, NULL};

static void *
get(Size size, int flags)
{
	Piece	   *piece;

	if (size > ((flags & MCXT_ALLOC_HUGE) ? MaxAllocHugeSize : MaxAllocSize))
	{
		fprintf(stderr, "memory request of %zu bytes\n", size);
		abort();
	}
	piece = (flags & MCXT_ALLOC_ZERO) ? calloc(1, sizeof(Piece) + size) : malloc(sizeof(Piece) + size);
	if (piece == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	piece->size = size;
	piece->context = &context;
	piece->next = pieces.next;
	piece->prev = &pieces;
	piece->next->prev = piece->prev->next = piece;
	return piece + 1;
}

void
pfree(void *pointer)
{
	Piece	   *piece = (Piece *) pointer - 1;

	piece->next->prev = piece->prev;
	piece->prev->next = piece->next;
	free(piece);
}

void
fuzz_reset(void)
{
	while (context.reset_cbs != NULL)
	{
		MemoryContextCallback *callback = context.reset_cbs;

		context.reset_cbs = callback->next;
		callback->func(callback->arg);
	}
	while (pieces.next != &pieces)
		pfree(pieces.next + 1);
}

Size GetMemoryChunkSpace(void *pointer) { return ((Piece *) pointer - 1)->size; }
/* One context is all of them; a child's memory goes with it, at fuzz_reset. */
MemoryContext AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size min, Size first, Size max) { return &context; }
void MemoryContextDelete(MemoryContext cxt) {}
#if PG_VERSION_NUM >= 160000
MemoryContext GetMemoryChunkContext(void *pointer) { return &context; }
#endif
void *palloc(Size size) { return get(size, 0); }
void *palloc0(Size size) { return get(size, MCXT_ALLOC_ZERO); }
void *palloc_extended(Size size, int flags) { return get(size, flags); }
void *MemoryContextAlloc(MemoryContext cxt, Size size) { return get(size, 0); }
void *MemoryContextAllocZero(MemoryContext cxt, Size size) { return get(size, MCXT_ALLOC_ZERO); }
void *MemoryContextAllocZeroAligned(MemoryContext cxt, Size size) { return get(size, MCXT_ALLOC_ZERO); }
void *MemoryContextAllocHuge(MemoryContext cxt, Size size) { return get(size, MCXT_ALLOC_HUGE); }
void *MemoryContextAllocExtended(MemoryContext cxt, Size size, int flags) { return get(size, flags); }

void
MemoryContextRegisterResetCallback(MemoryContext cxt, MemoryContextCallback *callback)
{
	callback->next = cxt->reset_cbs;
	cxt->reset_cbs = callback;
}

/*
 * The hash of memory in use by context: there is one context here, so one entry
 * behind its key is the whole table.
 */
struct HTAB
{
	bool		used;
	union
	{
		MemoryContext key;
		char		entry[64];
	}			slot;
};

HTAB *
hash_create(const char *name, long nelem, const HASHCTL *info, int flags)
{
	static HTAB table;

	Assert(info->entrysize <= sizeof(table.slot.entry));
	return &table;
}

void *
hash_search(HTAB *table, const void *key, HASHACTION action, bool *found)
{
	if (!table->used && action != HASH_ENTER)
		return NULL;
	if (!table->used)
		table->slot.key = *(MemoryContext const *) key;
	table->used = action != HASH_REMOVE;
	return &table->slot;
}

/* A new piece of the size given: nobody here grows what he did not just make. */
void *
repalloc(void *pointer, Size size)
{
	Piece	   *piece = (Piece *) pointer - 1;

	piece = realloc(piece, sizeof(Piece) + size);
	piece->size = size;
	piece->next->prev = piece->prev->next = piece;
	return piece + 1;
}

char *
pnstrdup(const char *text, Size size)
{
	Size		length = strnlen(text, size);
	char	   *copy = palloc(length + 1);

	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *pstrdup(const char *text) { return pnstrdup(text, strlen(text)); }

/* ---- errors ---- */

bool
errstart(int elevel, const char *domain)
{
	fuzz_sqlstate = 0;
	fuzz_message[0] = '\0';
	return elevel >= ERROR;
}

bool errstart_cold(int elevel, const char *domain) { return errstart(elevel, domain); }
int errcode(int sqlstate) { return fuzz_sqlstate = sqlstate; }

/* Formats, so that wrong arguments are found too. */
#define MESSAGE(name) \
	int name(const char *format,...) \
	{ \
		size_t		used = strlen(fuzz_message); \
		va_list		args; \
		va_start(args, format); \
		vsnprintf(fuzz_message + used, sizeof(fuzz_message) - used, format, args); \
		va_end(args); \
		return 0; \
	}
MESSAGE(errmsg)
MESSAGE(errmsg_internal)
MESSAGE(errdetail)
MESSAGE(errdetail_internal)
MESSAGE(errhint)

void
pg_re_throw(void)
{
	siglongjmp(*PG_exception_stack, 1);
}

void
errfinish(const char *file, int line, const char *function)
{
	if (fuzz_sqlstate == 0 || PG_exception_stack == NULL)
	{
		fprintf(stderr, "error without SQLSTATE: %s\n", fuzz_message);
		abort();
	}
	pg_re_throw();
}

ErrorData *
CopyErrorData(void)
{
	ErrorData  *error = palloc0(sizeof(ErrorData));

	error->sqlerrcode = fuzz_sqlstate;
	error->message = pstrdup(fuzz_message);
	return error;
}

void FlushErrorState(void) {}
void ProcessInterrupts(void) {}

/* ---- text ---- */

int GetDatabaseEncoding(void) { return PG_UTF8; }
char *pg_any_to_server(const char *text, int length, int encoding) { return unconstify(char *, text); }
char *pg_server_to_any(const char *text, int length, int encoding) { return unconstify(char *, text); }

bool
pg_verify_mbstr(int encoding, const char *text, int length, bool no_error)
{
	return pg_encoding_verifymbstr(encoding, text, length) == length;
}

/* ---- values ---- */

struct varlena *pg_detoast_datum_packed(struct varlena *value) { return value; }
struct varlena *pg_detoast_datum(struct varlena *value) { return value; }

/* The argument is the text itself: see above.  It is kept behind an object's header. */
Datum
jsonb_in(PG_FUNCTION_ARGS)
{
	const char *text = (const char *) fcinfo;
	Size		size = offsetof(Jsonb, root.children) + strlen(text) + 1;
	Jsonb	   *value;

	if (text[0] != '{')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "json")));
	value = palloc0(size);
	SET_VARSIZE(value, size);
	value->root.header = JB_FOBJECT;
	strcpy((char *) value->root.children, text);
	return PointerGetDatum(value);
}

/* Called for jsonb_in alone. */
Datum
DirectFunctionCall1Coll(PGFunction function, Oid collation, Datum arg)
{
	if (function != jsonb_in)
		abort();
	return jsonb_in((FunctionCallInfo) DatumGetPointer(arg));
}

char *
JsonbToCString(StringInfo out, JsonbContainer *in, int estimated_len)
{
	return pstrdup((char *) in->children);
}

char *
float8out_internal(double number)
{
	return psprintf("%.17g", number);
}

List *
lappend(List *list, void *datum)
{
	if (list == NIL)
	{
		list = palloc0(sizeof(List));
		list->type = T_List;
		list->elements = palloc(sizeof(ListCell));
	}
	else
		list->elements = repalloc(list->elements, (list->length + 1) * sizeof(ListCell));
	list->elements[list->length++].ptr_value = datum;
	return list;
}

/* ---- dates (Fliegel and van Flandern 1968) ---- */

void
j2date(int julian, int *year, int *month, int *day)
{
	int64		l = (int64) julian + 68569;
	int64		n = 4 * l / 146097;
	int64		i;
	int64		j;

	l -= (146097 * n + 3) / 4;
	i = 4000 * (l + 1) / 1461001;
	l += 31 - 1461 * i / 4;
	j = 80 * l / 2447;
	*day = (int) (l - 2447 * j / 80);
	l = j / 11;
	*month = (int) (j + 2 - 12 * l);
	*year = (int) (100 * (n - 49) + i + l);
}

int
j2day(int julian)
{
	int			day = (julian + 1) % 7;

	return day < 0 ? day + 7 : day;
}
