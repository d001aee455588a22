/*
 * threads.h - pure kernels in a few threads.
 *
 * A kernel allocates nothing, raises nothing, calls neither BLAS nor the server,
 * and takes less than 50 ms, so that a cancel can be let through between calls.
 * Threads are started with every signal blocked and wait passively.
 */
#ifndef ML_THREADS_H
#define ML_THREADS_H

#define ML_MAX_THREADS 64

extern int	ml_threads;			/* the setting ml.threads; 1 unless the caller wants more */

/* Calls kernel(arg, i) for i in 0..n-1, shared among ml_threads threads (the caller is one); returns when all are done. */
extern void ml_threads_run(int n, void (*kernel) (void *arg, int i), void *arg);

/* The number of the thread a kernel runs in, 0..ml_threads-1: for scratch space of its own. */
extern int	ml_thread_number(void);

/* Around what kernels write to the same place: one of them at a time, for microseconds. */
extern void ml_threads_lock(void);
extern void ml_threads_unlock(void);

/* Ends the threads that wait for work; called when the training is over, also after an error. */
extern void ml_threads_end(void);

#endif
