/*
 * window.c - stops a commit between the moment from which snapshots see it and the
 * moment in which it sends its messages: as long as the file exists that commit_window.file
 * names.  FILE.open says that it has come so far.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static char *file;

static void
committed(XactEvent event, void *arg)
{
	char		open[MAXPGPATH];
	FILE	   *mark;

	if (event != XACT_EVENT_COMMIT || !TransactionIdIsValid(GetTopTransactionIdIfAny()) || file[0] == '\0' || access(file, F_OK) != 0)
		return;
	snprintf(open, sizeof(open), "%s.open", file);
	mark = fopen(open, "w");
	if (mark != NULL)
		fclose(mark);
	while (access(file, F_OK) == 0)
		pg_usleep(1000);
}

void
_PG_init(void)
{
	DefineCustomStringVariable("commit_window.file", "", NULL, &file, "", PGC_USERSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(committed, NULL);
}
