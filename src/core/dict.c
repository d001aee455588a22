/*
 * dict.c - the values of a category column, numbered in order of appearance.
 *
 * Open addressing with linear probing over the 64-bit hashes of the bytes.
 * Values are compared byte for byte: no collation, so that a model means the
 * same in every database.  All memory comes from the context given at creation
 * and goes with it; bytes lie in arenas that double from 1 kB to 64 kB, a value
 * too large for that has a piece of its own.
 */
#include "core/schema.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#define ARENA_MIN 1024
#define ARENA_MAX (64 * 1024)

typedef struct DictEntry
{
	uint64		hash;
	char	   *bytes;			/* NUL-terminated */
	int			len;
} DictEntry;

struct MlDict
{
	MemoryContext cxt;
	int			n;
	int			max;			/* entries allocated */
	DictEntry  *entries;		/* by code */
	uint32		mask;			/* table size - 1, at least twice max */
	uint32	   *table;			/* code + 1, or 0: empty */
	char	   *arena;
	Size		arena_left;
	Size		arena_size;
	Size		bytes;			/* memory held */
};

static void *
dict_alloc(MlDict *dict, Size size)
{
	dict->bytes += size;
	return MemoryContextAllocHuge(dict->cxt, size);
}

static void
dict_table(MlDict *dict)
{
	Size		size = (Size) dict->max * 2 * sizeof(uint32);

	dict->mask = (uint32) dict->max * 2 - 1;
	dict->table = dict_alloc(dict, size);
	memset(dict->table, 0, size);
}

MlDict *
ml_dict_create(MemoryContext cxt)
{
	MlDict	   *dict = MemoryContextAllocZero(cxt, sizeof(MlDict));

	dict->cxt = cxt;
	dict->bytes = sizeof(MlDict);
	dict->max = 16;
	dict->entries = dict_alloc(dict, dict->max * sizeof(DictEntry));
	dict_table(dict);
	dict->arena_size = ARENA_MIN / 2;
	return dict;
}

/* The table's place of a value: its own, or the empty one where it belongs. */
static uint32
dict_probe(const MlDict *dict, uint64 hash, const char *bytes, int len)
{
	uint32		at = (uint32) hash & dict->mask;

	while (dict->table[at] != 0)
	{
		const DictEntry *e = &dict->entries[dict->table[at] - 1];

		if (e->hash == hash && e->len == len && memcmp(e->bytes, bytes, len) == 0)
			break;
		at = (at + 1) & dict->mask;
	}
	return at;
}

static uint64
dict_hash(const char *bytes, int len)
{
	return hash_bytes_extended((const unsigned char *) bytes, len, 0);
}

int
ml_dict_find(const MlDict *dict, const char *bytes, int len)
{
	return (int) dict->table[dict_probe(dict, dict_hash(bytes, len), bytes, len)] - 1;
}

static void
dict_grow(MlDict *dict)
{
	DictEntry  *entries = dict->entries;

	/* Codes are ints and the table is indexed by 32 bits. */
	if (dict->max >= (1 << 29))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a category column has more than %d distinct values", dict->max)));

	dict->bytes -= dict->max * sizeof(DictEntry) + (Size) dict->max * 2 * sizeof(uint32);
	pfree(dict->table);
	dict->max *= 2;
	dict->entries = dict_alloc(dict, (Size) dict->max * sizeof(DictEntry));
	memcpy(dict->entries, entries, (Size) dict->n * sizeof(DictEntry));
	pfree(entries);

	dict_table(dict);
	for (int code = 0; code < dict->n; code++)
	{
		uint32		at = (uint32) dict->entries[code].hash & dict->mask;

		while (dict->table[at] != 0)
			at = (at + 1) & dict->mask;
		dict->table[at] = code + 1;
	}
}

static char *
dict_keep(MlDict *dict, const char *bytes, int len)
{
	Size		need = (Size) len + 1;
	char	   *copy;

	if (need > ARENA_MIN)
		copy = dict_alloc(dict, need);
	else
	{
		if (need > dict->arena_left)
		{
			dict->arena_size = Min(dict->arena_size * 2, (Size) ARENA_MAX);
			dict->arena = dict_alloc(dict, dict->arena_size);
			dict->arena_left = dict->arena_size;
		}
		copy = dict->arena;
		dict->arena += need;
		dict->arena_left -= need;
	}
	memcpy(copy, bytes, len);
	copy[len] = '\0';
	return copy;
}

int
ml_dict_intern(MlDict *dict, const char *bytes, int len)
{
	uint64		hash = dict_hash(bytes, len);
	uint32		at = dict_probe(dict, hash, bytes, len);
	DictEntry  *e;

	if (dict->table[at] != 0)
		return (int) dict->table[at] - 1;

	if (dict->n == dict->max)
	{
		dict_grow(dict);
		at = dict_probe(dict, hash, bytes, len);
	}
	e = &dict->entries[dict->n];
	e->hash = hash;
	e->len = len;
	e->bytes = dict_keep(dict, bytes, len);
	dict->table[at] = ++dict->n;
	return dict->n - 1;
}

int
ml_dict_size(const MlDict *dict)
{
	return dict->n;
}

const char *
ml_dict_get(const MlDict *dict, int code, int *len)
{
	const DictEntry *e = &dict->entries[code];

	Assert(code >= 0 && code < dict->n);
	if (len != NULL)
		*len = e->len;
	return e->bytes;
}

Size
ml_dict_bytes(const MlDict *dict)
{
	return dict->bytes;
}
