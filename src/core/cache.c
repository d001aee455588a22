/*
 * cache.c - models unpacked once per backend.
 *
 * Unpacking costs from microseconds to milliseconds, a hash lookup 50 ns.  An
 * entry is a memory context that holds one unpacked model; it is built as a
 * child of the current context, so that an error throws it away, and handed to
 * the cache when whole (as plancache.c does).  Nothing is built in the cache
 * itself.
 *
 * Keys are immutable: a model given as a value by its content id, one of the
 * catalog by its version id and the table it stands in.  A version is looked
 * at again after an invalidation, and stays when its row is still the same one
 * (tid and xmin, as plpgsql knows its functions).
 *
 * Pins: a reset callback on the caller's context.  Pinned entries are on no
 * list; the others are, most recently used first, and the last ones go when
 * all together exceed ML_CACHE_BYTES.  An entry that is out of date or dropped
 * leaves the hash at once and is freed with its last pin.
 */
#include "core/cache.h"

#include "core/acl.h"
#include "lib/ilist.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

/*
 * Room for the 10,000 small models that one query may well use (5 kB each),
 * and little enough for a server with 100 connections.  A single model that is
 * larger is kept while it is in use.
 */
#define ML_CACHE_BYTES ((Size) 64 * 1024 * 1024)

typedef struct MlCacheKey
{
	Oid			relation;		/* InvalidOid: by content */
	uint8		id[ML_MODEL_ID_SIZE];	/* content id, or the version id and zeros */
} MlCacheKey;

typedef struct MlCacheEntry
{
	MlCacheKey	key;
	MemoryContext cxt;			/* holds this struct, too */
	MlModel    *model;
	Size		bytes;
	bool		listed;			/* in the hash; otherwise freed with the last pin */
	dlist_head	pins;			/* of MlCachePin */
	dlist_node	used;			/* in `unpinned`, when there are no pins */
	uint64		generation;		/* versions: when the row was last looked at */
	ItemPointerData tid;
	TransactionId xmin;
} MlCacheEntry;

typedef struct MlCacheSlot
{
	MlCacheKey	key;
	MlCacheEntry *entry;
} MlCacheSlot;

/* Lives in the context that pins. */
typedef struct MlCachePin
{
	MemoryContextCallback callback;
	MemoryContext until;
	MlCacheEntry *entry;
	dlist_node	node;
} MlCachePin;

static MemoryContext cache_cxt;
static HTAB *cache_hash;
static dlist_head unpinned = DLIST_STATIC_INIT(unpinned);
static Size cache_bytes;		/* of listed entries */

void
ml_cache_init(void)
{
	CacheRegisterRelcacheCallback(ml_catalog_invalidate, (Datum) 0);
}

/* Takes an entry out of the hash, and frees it unless it is pinned. */
static void
forget(MlCacheEntry *entry)
{
	if (entry->listed)
	{
		hash_search(cache_hash, &entry->key, HASH_REMOVE, NULL);
		entry->listed = false;
		cache_bytes -= entry->bytes;
		if (dlist_is_empty(&entry->pins))
			dlist_delete(&entry->used);
	}
	if (dlist_is_empty(&entry->pins))
		MemoryContextDelete(entry->cxt);
}

static void
make_room(void)
{
	while (cache_bytes > ML_CACHE_BYTES && !dlist_is_empty(&unpinned))
		forget(dlist_tail_element(MlCacheEntry, used, &unpinned));
}

/* The pinning context is reset: nothing here can fail. */
static void
release_pin(void *arg)
{
	MlCachePin *pin = arg;
	MlCacheEntry *entry = pin->entry;

	dlist_delete(&pin->node);
	if (!dlist_is_empty(&entry->pins))
		return;
	if (!entry->listed)
		forget(entry);
	else
	{
		dlist_push_head(&unpinned, &entry->used);
		make_room();
	}
}

static const MlModel *
pin_entry(MlCacheEntry *entry, MemoryContext until)
{
	dlist_iter	iter;
	MlCachePin *pin;

	dlist_foreach(iter, &entry->pins)
	{
		if (dlist_container(MlCachePin, node, iter.cur)->until == until)
			return entry->model;
	}
	pin = MemoryContextAlloc(until, sizeof(MlCachePin));
	pin->callback.func = release_pin;
	pin->callback.arg = pin;
	pin->until = until;
	pin->entry = entry;
	if (entry->listed && dlist_is_empty(&entry->pins))
		dlist_delete(&entry->used);
	dlist_push_head(&entry->pins, &pin->node);
	MemoryContextRegisterResetCallback(until, &pin->callback);
	return entry->model;
}

static MlCacheEntry *
find(const MlCacheKey *key)
{
	MlCacheSlot *slot;

	if (cache_hash == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(MlCacheKey), .entrysize = sizeof(MlCacheSlot)};

		if (cache_cxt == NULL)
			cache_cxt = AllocSetContextCreate(CacheMemoryContext, "ml_ext models", ALLOCSET_SMALL_SIZES);
		ctl.hcxt = cache_cxt;
		cache_hash = hash_create("ml_ext models", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	slot = hash_search(cache_hash, key, HASH_FIND, NULL);
	return slot != NULL ? slot->entry : NULL;
}

/* Unpacks a value into an entry that dies with the current context until it is kept. */
static MlCacheEntry *
build(const MlCacheKey *key, struct varlena *value, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlCacheEntry *entry = palloc0(sizeof(MlCacheEntry));

	memcpy(&entry->key, key, sizeof(*key));
	entry->cxt = cxt;
	dlist_init(&entry->pins);
	entry->model = ml_model_unpack(value);
	MemoryContextSwitchTo(old);
	entry->bytes = MemoryContextMemAllocated(cxt, true);
	return entry;
}

static MemoryContext
entry_context(void)
{
	return AllocSetContextCreate(CurrentMemoryContext, "ml_ext model", ALLOCSET_SMALL_SIZES);
}

/* Makes a whole entry the cache's own; after the hash has it nothing can fail. */
static void
keep(MlCacheEntry *entry)
{
	MlCacheSlot *slot = hash_search(cache_hash, &entry->key, HASH_ENTER, NULL);

	slot->entry = entry;
	MemoryContextSetParent(entry->cxt, cache_cxt);
	entry->listed = true;
	cache_bytes += entry->bytes;
	dlist_push_head(&unpinned, &entry->used);
}

const MlModel *
ml_cache_version(int64 version_id, MemoryContext until)
{
	MlCacheKey	key;
	MlCacheEntry *entry;
	MlCatalogVersion row;
	uint64		generation;
	bool		exists;
	struct varlena *value;

	memset(&key, 0, sizeof(key));
	key.relation = ml_catalog_relation();
	memcpy(key.id, &version_id, sizeof(version_id));
	entry = find(&key);
	if (entry != NULL && entry->generation == ml_catalog_generation())
		return pin_entry(entry, until);

	generation = ml_catalog_generation();
	exists = ml_catalog_find_version(version_id, &row);
	entry = find(&key);
	if (entry != NULL)
	{
		if (exists && ItemPointerEquals(&entry->tid, &row.tid) && entry->xmin == row.xmin)
		{
			entry->generation = generation;
			return pin_entry(entry, until);
		}
		forget(entry);
	}

	value = ml_catalog_payload(version_id);
	entry = build(&key, value, entry_context());
	pfree(value);
	if (exists)
	{
		entry->generation = generation;
		entry->tid = row.tid;
		entry->xmin = row.xmin;
	}
	keep(entry);
	pin_entry(entry, until);
	make_room();
	return entry->model;
}

const MlModel *
ml_cache_value(struct varlena *value, MemoryContext until)
{
	struct varlena *flat = (struct varlena *) PG_DETOAST_DATUM(PointerGetDatum(value));
	MlCacheKey	key;
	MlCacheEntry *entry;

	memset(&key, 0, sizeof(key));
	ml_model_id(flat, key.id);
	entry = find(&key);
	if (entry == NULL)
	{
		entry = build(&key, flat, entry_context());
		keep(entry);
	}
	if (flat != value)
		pfree(flat);
	pin_entry(entry, until);
	make_room();
	return entry->model;
}
