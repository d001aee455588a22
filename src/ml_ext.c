/*
 * ml_ext.c - what happens when the library is loaded.
 */
#include "core/compat.h"

#include "miscadmin.h"

#include "core/cache.h"
#include "core/registry.h"
#include "num/blas.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	/* loaded once by the server, it costs its sessions nothing */
	if (process_shared_preload_libraries_in_progress)
		(void) ml_blas_load();
	ml_registry_check();
	ml_cache_init();
}
