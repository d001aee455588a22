/*
 * threads.h - pure kernels on several cores of one backend.
 */
#ifndef ML_THREADS_H
#define ML_THREADS_H

extern int	ml_threads;			/* setting ml.threads */

/*
 * Calls task(arg, i) for each i in 0..ntasks-1, once, in no stated order, on up
 * to ml.threads threads, the calling one among them, and returns when all are
 * done.  A task computes on memory that it is given and nothing else: no palloc,
 * no ereport or elog, no server function, no interrupt check, and no BLAS (the
 * serial OpenBLAS takes no locks).  Tasks that run long are to be cut by the
 * caller, who checks for interrupts between two runs.
 */
extern void ml_threads_run(int ntasks, void (*task) (void *arg, int i), void *arg);

#endif
