/*
 * threads.c - a pool of threads that run one job at a time.
 *
 * A job is a kernel and a count; each thread, the caller too, takes the next
 * number until none is left.  Between jobs the threads wait at a condition variable.
 * They are started with the first job that can use them, with every signal blocked:
 * signals are the business of the thread that started them, which also must not be
 * interrupted by an error while others work (kernels raise none).
 *
 * What a kernel writes is seen by the caller when ml_threads_run returns, and what
 * the caller wrote before is seen by the kernels: both pass the lock.
 */
#include "num/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "ml.h"

int			ml_threads = 1;

static struct
{
	pthread_mutex_t lock;
	pthread_cond_t work;		/* a job has come, or the end */
	pthread_cond_t done;		/* the last helper has left the job */
	pthread_t	threads[ML_MAX_THREADS];
	int			wanted;			/* the setting they were started for */
	int			started;		/* threads beside the caller */
	bool		ending;
	unsigned long job;			/* number of the current job */
	int			busy;			/* helpers that have not left it */

	void		(*kernel) (void *arg, int i);
	void	   *arg;
	int			n;
	int			next;			/* number to be taken next; atomic */
}			pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.done = PTHREAD_COND_INITIALIZER,
	.wanted = 1,
};

static pthread_mutex_t kernels = PTHREAD_MUTEX_INITIALIZER;
static __thread int thread_number = 0;

int
ml_thread_number(void)
{
	return thread_number;
}

static void
take_numbers(void)
{
	int			i;

	while ((i = __atomic_fetch_add(&pool.next, 1, __ATOMIC_RELAXED)) < pool.n)
		pool.kernel(pool.arg, i);
}

static void *
helper(void *arg)
{
	unsigned long seen = 0;

	thread_number = (int) (intptr_t) arg;
	pthread_mutex_lock(&pool.lock);
	for (;;)
	{
		while (pool.job == seen && !pool.ending)
			pthread_cond_wait(&pool.work, &pool.lock);
		if (pool.ending)
			break;
		seen = pool.job;
		pthread_mutex_unlock(&pool.lock);
		take_numbers();
		pthread_mutex_lock(&pool.lock);
		if (--pool.busy == 0)
			pthread_cond_signal(&pool.done);
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

/* Starts helpers for the current setting; with fewer the work takes longer and gives the same. */
static void
start(void)
{
	sigset_t	all;
	sigset_t	before;

	pool.wanted = ml_threads < ML_MAX_THREADS ? ml_threads : ML_MAX_THREADS;
	pool.job = 0;
	pool.ending = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (pool.started < pool.wanted - 1 &&
		   pthread_create(&pool.threads[pool.started], NULL, helper, (void *) (intptr_t) (pool.started + 1)) == 0)
		pool.started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pool.started < pool.wanted - 1)
		ml_warn("only %d of %d threads could be started", pool.started + 1, pool.wanted);
}

void
ml_threads_run(int n, void (*kernel) (void *arg, int i), void *arg)
{
	if (n > 1 && ml_threads != pool.wanted)
	{
		ml_threads_end();
		start();
	}
	if (n <= 1 || pool.started == 0)
	{
		for (int i = 0; i < n; i++)
			kernel(arg, i);
		return;
	}
	pthread_mutex_lock(&pool.lock);
	pool.kernel = kernel;
	pool.arg = arg;
	pool.n = n;
	pool.next = 0;
	pool.busy = pool.started;
	pool.job++;
	pthread_cond_broadcast(&pool.work);
	pthread_mutex_unlock(&pool.lock);
	take_numbers();
	pthread_mutex_lock(&pool.lock);
	while (pool.busy > 0)
		pthread_cond_wait(&pool.done, &pool.lock);
	pthread_mutex_unlock(&pool.lock);
}

void
ml_threads_lock(void)
{
	pthread_mutex_lock(&kernels);
}

void
ml_threads_unlock(void)
{
	pthread_mutex_unlock(&kernels);
}

void
ml_threads_end(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.ending = true;
	pthread_cond_broadcast(&pool.work);
	pthread_mutex_unlock(&pool.lock);
	while (pool.started > 0)
		pthread_join(pool.threads[--pool.started], NULL);
	pool.wanted = 1;
}
