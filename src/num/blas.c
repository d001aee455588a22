/*
 * blas.c - OpenBLAS, loaded when it is needed first.
 *
 * Loading it resolves 15,000 symbols, each looked for in the server and all its
 * libraries before: 10 to 15 ms, which every new session would pay that only
 * predicts, and every parallel worker.  So the extension is not linked to it.
 *
 * The serial variant starts no thread.  Another one starts them as it is loaded:
 * with all signals blocked, so that they can never run the server's handlers,
 * and then they are ended.
 */
#include "num/blas.h"

#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>

#include "ml.h"

const MlBlas *ml_blas_loaded;

static void
stop_threads(void *library)
{
	void		(*set_num_threads) (int);
	int			(*shutdown) (void);

	/* looked up at run time, for a BLAS without them */
	*(void **) &set_num_threads = dlsym(library, "openblas_set_num_threads");
	*(void **) &shutdown = dlsym(library, "blas_thread_shutdown_");
	if (set_num_threads != NULL)
		set_num_threads(1);
	if (shutdown != NULL)
		shutdown();
}

const MlBlas *
ml_blas_load(void)
{
	static MlBlas blas;
	static const struct
	{
		const char *name;
		size_t		at;
	}			functions[] = {
		{"dgemm_", offsetof(MlBlas, dgemm)},
		{"dsyrk_", offsetof(MlBlas, dsyrk)},
		{"dgemv_", offsetof(MlBlas, dgemv)},
		{"ddot_", offsetof(MlBlas, ddot)},
		{"daxpy_", offsetof(MlBlas, daxpy)},
		{"dpotrf_", offsetof(MlBlas, dpotrf)},
		{"dpotrs_", offsetof(MlBlas, dpotrs)},
		{"dpotri_", offsetof(MlBlas, dpotri)},
		{"dtrtri_", offsetof(MlBlas, dtrtri)},
		{"dlauum_", offsetof(MlBlas, dlauum)},
		{"dtrsm_", offsetof(MlBlas, dtrsm)},
		{"dtrmm_", offsetof(MlBlas, dtrmm)},
		{"dtpqrt2_", offsetof(MlBlas, dtpqrt2)},
		{"dtprfb_", offsetof(MlBlas, dtprfb)},
	};
	sigset_t	all;
	sigset_t	before;
	void	   *library;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	library = dlopen(ML_BLAS_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
	if (library != NULL)
		stop_threads(library);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (library == NULL)
		ml_fail_library("could not load OpenBLAS: %s", dlerror());
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
	{
		void	   *function = dlsym(library, functions[i].name);

		if (function == NULL)
			ml_fail_library("library \"%s\" has no function \"%s\"", ML_BLAS_LIBRARY, functions[i].name);
		*(void **) ((char *) &blas + functions[i].at) = function;
	}
	ml_blas_loaded = &blas;
	return ml_blas_loaded;
}
