/*
 * threads.c - every number is worked on once, whatever the count of threads; threads end; signals
 * stay with the one who started them.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "host.h"
#include "num/threads.h"

#define ITEMS 10000

static int	hits[ITEMS];
static int	number_of[ML_MAX_THREADS];
static int	unblocked;

static void
kernel(void *arg, int i)
{
	sigset_t	set;

	hits[i] += *(int *) arg;
	__atomic_fetch_add(&number_of[ml_thread_number()], 1, __ATOMIC_RELAXED);
	if (ml_thread_number() == 0)
		return;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	if (!sigismember(&set, SIGINT) || !sigismember(&set, SIGUSR1) || !sigismember(&set, SIGALRM))
		__atomic_fetch_add(&unblocked, 1, __ATOMIC_RELAXED);
}

/* Threads of this process; -1 where the system does not say. */
static int
count_threads(void)
{
	DIR		   *dir = opendir("/proc/self/task");
	int			n = -2;

	if (dir == NULL)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int
count_numbers(void)
{
	int			sum = 0;

	for (int k = 0; k < ml_threads; k++)
		sum += number_of[k];
	return sum;
}

int
main(void)
{
	static const int settings[] = {1, 2, 5, 3, 1, 64};
	int			step = 1;
	int			runs = 0;

	for (size_t s = 0; s < sizeof(settings) / sizeof(settings[0]); s++)
	{
		int			wrong = 0;

		ml_threads = settings[s];
		for (int k = 0; k < ML_MAX_THREADS; k++)
			number_of[k] = 0;
		for (int run = 0; run < 50; run++)
			ml_threads_run(ITEMS, kernel, &step);
		runs += 50;
		for (int i = 0; i < ITEMS; i++)
			wrong += hits[i] != runs;
		ml_test_ok(wrong == 0, "%d threads: every number once a run", ml_threads);
		ml_test_ok(count_numbers() == 50 * ITEMS, "%d threads: thread numbers are below it", ml_threads);
		ml_test_ok(count_threads() == ml_threads || count_threads() < 0, "%d threads: as many in the process", ml_threads);
	}
	ml_test_ok(unblocked == 0, "helpers have their signals blocked");
	ml_threads_run(0, kernel, &step);
	ml_threads_run(1, kernel, &step);
	ml_test_ok(hits[0] == runs + 1, "nothing, and one number");
	ml_threads_end();
	ml_test_ok(count_threads() == 1 || count_threads() < 0, "one thread after the end");
	ml_threads_end();
	ml_threads_run(2, kernel, &step);
	ml_test_ok(hits[1] == runs + 1, "works again after the end");
	ml_threads_end();
	return ml_test_done();
}
