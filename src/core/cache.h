/*
 * cache.h - models unpacked once per backend, least recently used first out.
 */
#ifndef ML_CACHE_H
#define ML_CACHE_H

#include "core/catalog.h"
#include "core/model.h"

/*
 * A model of the catalog, by immutable version, or one given as a value, by its
 * content id.  Pinned until `until` is reset or deleted; the cache may forget an
 * entry earlier but frees it only then.  No privilege check.
 */
extern const MlModel *ml_cache_version(int64 version_id, MemoryContext until);
extern const MlModel *ml_cache_value(struct varlena *value, MemoryContext until);

/*
 * The same, brief (model.h) or not, if it is at hand, even if the version has been dropped; NULL when it is not, or is
 * none of that model.
 */
extern const MlModel *ml_cache_kept(int64 version_id, int64 model_id, bool brief, MemoryContext until);

/* A version that is there, or was when the query began, or is at hand; NULL as above. */
extern const MlModel *ml_cache_readable(int64 version_id, int64 model_id, bool brief, MemoryContext until);

extern void ml_cache_init(void);	/* at load: the invalidation callback */

#endif
