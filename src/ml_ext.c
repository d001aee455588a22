/*
 * ml_ext.c - what happens when the library is loaded.
 */
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "core/cache.h"
#include "core/registry.h"
#include "num/blas.h"
#include "num/threads.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	DefineCustomIntVariable("ml.threads",
							"Sets the number of threads that a training may use inside its backend.",
							"The model does not depend on it.",
							&ml_threads, 1, 1, ML_MAX_THREADS, PGC_USERSET, 0, NULL, NULL, NULL);
	/* loaded once by the server, it costs its sessions nothing */
	if (process_shared_preload_libraries_in_progress)
		(void) ml_blas_load();
	ml_registry_check();
	ml_cache_init();
}
