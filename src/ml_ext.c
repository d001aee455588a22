/*
 * ml_ext.c - what happens when the library is loaded.
 */
#include "core/compat.h"

#include <dlfcn.h>

#include "core/cache.h"
#include "core/registry.h"
#include "num/threads.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/*
 * Leaves this process one thread.  The serial OpenBLAS never starts another;
 * its pthread variant has done so already when it was loaded, with the server's
 * signal handlers in them.  Looked up at run time, for a BLAS without them.
 */
static void
stop_blas_threads(void)
{
	void		(*set_num_threads) (int);
	int			(*shutdown) (void);

	*(void **) &set_num_threads = dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
	*(void **) &shutdown = dlsym(RTLD_DEFAULT, "blas_thread_shutdown_");
	if (set_num_threads != NULL)
		set_num_threads(1);
	if (shutdown != NULL)
		shutdown();
}

void
_PG_init(void)
{
	stop_blas_threads();
	DefineCustomIntVariable("ml.threads",
							"Sets the number of threads that a training may use inside its backend.",
							"The model does not depend on it.",
							&ml_threads, 1, 1, ML_MAX_THREADS, PGC_USERSET, 0, NULL, NULL, NULL);
	ml_registry_check();
	ml_cache_init();
}
