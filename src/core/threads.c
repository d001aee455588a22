/*
 * threads.c - pure kernels on several cores of one backend.
 *
 * Threads live for one run: starting one costs some 20 microseconds, a pool
 * would have to be rebuilt after fork and watched at exit.  Every signal is
 * blocked in them, so that the server's handlers run in the main thread alone.
 * Waiting is pthread_join: nobody spins.
 */
#include "core/compat.h"

#include <pthread.h>
#include <signal.h>

#include "core/threads.h"

#define MAX_THREADS 64			/* also the upper limit of ml.threads */

int			ml_threads = 1;

typedef struct Run
{
	int			ntasks;
	int			next;			/* the first task that nobody has taken */
	void		(*task) (void *arg, int i);
	void	   *arg;
} Run;

static void *
work(void *run_arg)
{
	Run		   *run = run_arg;
	int			i;

	while ((i = __atomic_fetch_add(&run->next, 1, __ATOMIC_RELAXED)) < run->ntasks)
		run->task(run->arg, i);
	return NULL;
}

void
ml_threads_run(int ntasks, void (*task) (void *arg, int i), void *arg)
{
	Run			run = {ntasks, 0, task, arg};
	pthread_t	threads[MAX_THREADS];
	int			wanted = Min(Min(ml_threads, MAX_THREADS), ntasks) - 1;
	int			started = 0;
	sigset_t	all;
	sigset_t	before;

	if (wanted > 0)
	{
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		/* where the system refuses a thread, those that run do the work of all */
		while (started < wanted && pthread_create(&threads[started], NULL, work, &run) == 0)
			started++;
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	work(&run);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}
