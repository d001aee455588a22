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
 * catalog by its version id, the table it stands in, and whether it is brief (model.h).  A version is looked
 * at again after an invalidation, and stays when its row is still the same one
 * (tid and xmin, as plpgsql knows its functions).
 *
 * Whoever retrains a model every minute does not fill the cache with its past:
 * when a version is loaded, versions of the same model that nobody uses or has asked
 * for since the last change of the catalog leave.  Whoever drops models and makes others does
 * not either: with each version loaded, the two that were used least recently and not
 * looked at since that change are looked at, and leave if their rows are gone.
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
 * Little enough for a server with 100 connections, and room for some 1,800
 * linear models of twenty features, which take 35 kB each.  A single model that
 * is larger is kept while it is in use.
 */
#define ML_CACHE_BYTES ((Size) 64 * 1024 * 1024)

#define LOOKED_AT 2				/* more than the one that came, so that the dropped ones get fewer */

typedef struct MlCacheKey
{
	Oid			relation;		/* InvalidOid: by content */
	uint8		id[ML_MODEL_ID_SIZE];	/* content id; or the version id, whether it is brief, and zeros */
} MlCacheKey;

#define BRIEF_AT sizeof(int64)

typedef struct MlCacheEntry
{
	MlCacheKey	key;
	MemoryContext cxt;			/* holds this struct, too */
	MlModel    *model;
	Size		bytes;
	bool		listed;			/* in the hash; otherwise freed with the last pin */
	dlist_head	pins;			/* of MlCachePin */
	dlist_node	used;			/* in `unpinned`, when there are no pins */
	/* Only of versions: */
	uint64		generation;		/* when the row was last looked at */
	ItemPointerData tid;
	TransactionId xmin;
	int64		of_model;
	int64		model_id;		/* the same; 0: not among the siblings */
	dlist_node	sibling;
} MlCacheEntry;

typedef struct MlCacheSlot
{
	MlCacheKey	key;
	MlCacheEntry *entry;
} MlCacheSlot;

/* The cached versions of one model. */
typedef struct MlCacheModelKey
{
	int64		model_id;
	int64		relation;
} MlCacheModelKey;

typedef struct MlCacheModel
{
	MlCacheModelKey key;
	dlist_head	versions;
} MlCacheModel;

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
static HTAB *cache_models;
static dlist_head unpinned = DLIST_STATIC_INIT(unpinned);
static Size cache_bytes;		/* of listed entries */

void
ml_cache_init(void)
{
	CacheRegisterRelcacheCallback(ml_catalog_invalidate, (Datum) 0);
}

static MlCacheModel *
find_model(Oid relation, int64 model_id, HASHACTION action)
{
	MlCacheModelKey key = {model_id, relation};
	bool		found;
	MlCacheModel *model = hash_search(cache_models, &key, action, &found);

	if (action == HASH_ENTER && !found)
		dlist_init(&model->versions);
	return model;
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
		if (entry->model_id != 0)
		{
			MlCacheModel *model = find_model(entry->key.relation, entry->model_id, HASH_FIND);

			dlist_delete(&entry->sibling);
			if (dlist_is_empty(&model->versions))
				find_model(entry->key.relation, entry->model_id, HASH_REMOVE);
		}
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

static void
create_cache(void)
{
	HASHCTL		ctl = {.keysize = sizeof(MlCacheModelKey), .entrysize = sizeof(MlCacheModel)};

	if (cache_cxt == NULL)
		cache_cxt = AllocSetContextCreate(CacheMemoryContext, "ml_ext cache", ALLOCSET_SMALL_SIZES);
	ctl.hcxt = cache_cxt;
	if (cache_models == NULL)
		cache_models = hash_create("ml_ext cached models", 64, &ctl,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.keysize = sizeof(MlCacheKey);
	ctl.entrysize = sizeof(MlCacheSlot);
	cache_hash = hash_create("ml_ext cached versions", 64, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static MlCacheEntry *
find(const MlCacheKey *key)
{
	MlCacheSlot *slot;

	if (cache_hash == NULL)
		create_cache();
	slot = hash_search(cache_hash, key, HASH_FIND, NULL);
	return slot != NULL ? slot->entry : NULL;
}

/*
 * Unpacks a value, or the head of a version, into an entry that dies with the current context until it is kept.
 * A value is checked whole: whoever asks for its id must get this content.
 */
static MlCacheEntry *
build(const MlCacheKey *key, struct varlena *value, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlCacheEntry *entry = palloc0(sizeof(MlCacheEntry));

	memcpy(&entry->key, key, sizeof(*key));
	entry->cxt = cxt;
	dlist_init(&entry->pins);
	entry->model = OidIsValid(key->relation) && key->id[BRIEF_AT] ? ml_model_unpack_head(value) : ml_model_unpack(value);
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

/* Puts a version beside the others of its model, and sends those away that nobody uses any more. */
static void
join_siblings(MlCacheEntry *entry, const MlCatalogVersion *row)
{
	MlCacheModel *model = find_model(entry->key.relation, row->model_id, HASH_ENTER);
	dlist_mutable_iter iter;

	entry->model_id = row->model_id;
	dlist_push_head(&model->versions, &entry->sibling);
	dlist_foreach_modify(iter, &model->versions)
	{
		MlCacheEntry *other = dlist_container(MlCacheEntry, sibling, iter.cur);

		if (other != entry && other->generation != ml_catalog_generation() && dlist_is_empty(&other->pins))
			forget(other);
	}
}

/* The version in the cache that was used least recently and not looked at since the catalog changed. */
static MlCacheEntry *
oldest_doubtful(void)
{
	static uint64 none_left = 0;	/* since this change of the catalog */
	dlist_iter	iter;

	if (none_left == ml_catalog_generation())
		return NULL;
	dlist_reverse_foreach(iter, &unpinned)
	{
		MlCacheEntry *entry = dlist_container(MlCacheEntry, used, iter.cur);

		if (entry->model_id != 0 && entry->generation != ml_catalog_generation())
			return entry;
	}
	none_left = ml_catalog_generation();
	return NULL;
}

/* Sends away some of the versions that have been dropped. */
static void
look_for_dropped(void)
{
	for (int i = 0; i < LOOKED_AT; i++)
	{
		MlCacheEntry *entry = oldest_doubtful();
		uint64		generation = ml_catalog_generation();
		MlCatalogVersion row;
		MlCacheKey	key;
		int64		version_id;
		bool		exists;

		if (entry == NULL)
			return;
		memcpy(&key, &entry->key, sizeof(key));
		memcpy(&version_id, key.id, sizeof(version_id));
		exists = key.relation == ml_catalog_relation() && ml_catalog_find_version(version_id, &row);
		/* reading the catalog runs the server's code, which may have used the cache */
		entry = find(&key);
		if (entry == NULL)
			continue;
		if (exists && ItemPointerEquals(&entry->tid, &row.tid) && entry->xmin == row.xmin)
			entry->generation = generation;
		else
			forget(entry);
	}
}

static void
version_key(MlCacheKey *key, int64 version_id, bool brief)
{
	memset(key, 0, sizeof(*key));
	key->relation = ml_catalog_relation();
	memcpy(key->id, &version_id, sizeof(version_id));
	key->id[BRIEF_AT] = brief;
}

/*
 * Pins a version, of that model unless model_id is 0.  NULL: it is of another one, or neither the newest
 * snapshot nor the active one has it; an entry stays then for whoever has begun with it.
 */
static const MlModel *
find_or_load(int64 version_id, int64 model_id, bool brief, MemoryContext until)
{
	MlCacheKey	key;
	MlCacheEntry *entry;
	MlCatalogVersion row;
	uint64		generation = ml_catalog_generation();
	int64		of_model;
	bool		exists;
	struct varlena *value;

	version_key(&key, version_id, brief);
	entry = find(&key);
	if (entry != NULL && model_id != 0 && entry->of_model != model_id)
		return NULL;
	if (entry != NULL && entry->generation == ml_catalog_generation())
		return pin_entry(entry, until);

	exists = ml_catalog_find_version(version_id, &row);
	entry = find(&key);
	if (exists && entry != NULL && ItemPointerEquals(&entry->tid, &row.tid) && entry->xmin == row.xmin)
	{
		entry->generation = generation;
		return pin_entry(entry, until);
	}

	look_for_dropped();
	value = ml_catalog_value_if_any(version_id, model_id, brief, &of_model);
	if (value == NULL)
		return NULL;
	if ((entry = find(&key)) != NULL)
		forget(entry);
	entry = build(&key, value, entry_context());
	pfree(value);
	entry->of_model = of_model;
	if (exists)
	{
		entry->generation = generation;
		entry->tid = row.tid;
		entry->xmin = row.xmin;
	}
	keep(entry);
	if (exists)
		join_siblings(entry, &row);
	pin_entry(entry, until);
	make_room();
	return entry->model;
}

const MlModel *
ml_cache_version(int64 version_id, MemoryContext until)
{
	const MlModel *model = find_or_load(version_id, 0, false, until);

	if (model == NULL)
		ml_catalog_version_missing(version_id);
	return model;
}

const MlModel *
ml_cache_readable(int64 version_id, int64 model_id, bool brief, MemoryContext until)
{
	const MlModel *kept = ml_cache_kept(version_id, model_id, brief, until);
	const MlModel *model = find_or_load(version_id, model_id, brief, until);

	return model != NULL ? model : kept;
}

const MlModel *
ml_cache_kept(int64 version_id, int64 model_id, bool brief, MemoryContext until)
{
	MlCacheKey	key;
	MlCacheEntry *entry;

	version_key(&key, version_id, brief);
	entry = find(&key);
	return entry != NULL && entry->of_model == model_id ? pin_entry(entry, until) : NULL;
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
