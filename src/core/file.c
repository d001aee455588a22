/*
 * file.c - temporary files of the server, for rows and matrices past the budget.
 *
 * They count against temp_file_limit, lie in temp_tablespaces, and show in
 * EXPLAIN (BUFFERS) as temporary blocks.
 *
 * A file has a memory context of its own, below the one current at its creation;
 * deleting that context closes the file.  The file is also known to a resource
 * owner, which closes it when a (sub)transaction fails; whichever comes first, the
 * other must not touch the file again.
 */
#include "core/file.h"

#include "commands/tablespace.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#define STEP_BYTES ((Size) 1 << 20)	/* between two looks for a cancel */

struct MlFile
{
	MemoryContext cxt;
	ResourceOwner owner;
	File		file;			/* 0: closed */
	const char *what;
	MemoryContextCallback on_delete;
};

/* Called when any resource owner lets go; ours has just closed the file. */
static void
owner_released(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	MlFile	   *file = arg;

	if (phase == RESOURCE_RELEASE_AFTER_LOCKS && CurrentResourceOwner == file->owner)
		file->file = 0;
}

static void
context_deleted(void *arg)
{
	MlFile	   *file = arg;

	UnregisterResourceReleaseCallback(owner_released, file);
	if (file->file > 0)
		FileClose(file->file);
	file->file = 0;
}

MlFile *
ml_file_open(ResourceOwner owner, const char *what)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml temporary file",
											  ALLOCSET_SMALL_SIZES);
	MlFile	   *file = MemoryContextAllocZero(cxt, sizeof(MlFile));
	ResourceOwner old_owner = CurrentResourceOwner;

	file->cxt = cxt;
	file->owner = owner;
	file->what = what;
	PrepareTempTablespaces();
	RegisterResourceReleaseCallback(owner_released, file);
	file->on_delete.func = context_deleted;
	file->on_delete.arg = file;
	MemoryContextRegisterResetCallback(cxt, &file->on_delete);
	CurrentResourceOwner = owner;
	file->file = OpenTemporaryFile(false);
	CurrentResourceOwner = old_owner;
	return file;
}

MlFile *
ml_file_create(void)
{
	return ml_file_open(CurrentResourceOwner, "training data");
}

void
ml_file_write(MlFile *file, uint64_t at, const void *bytes, size_t size)
{
	const char *from = bytes;

	while (size > 0)
	{
		int			step = (int) Min(size, STEP_BYTES);
		int			written;

		CHECK_FOR_INTERRUPTS();
		errno = 0;
		written = FileWrite(file->file, (char *) from, step, (off_t) at, WAIT_EVENT_BUFFILE_WRITE);
		if (written != step)
		{
			/* a short write without an error means that the disk is full */
			if (written >= 0 || errno == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write temporary file of %s: %m", file->what)));
		}
		pgBufferUsage.temp_blks_written += step / BLCKSZ;
		from += step;
		at += step;
		size -= step;
	}
}

void
ml_file_read(MlFile *file, uint64_t at, void *bytes, size_t size)
{
	char	   *to = bytes;

	while (size > 0)
	{
		int			step = (int) Min(size, STEP_BYTES);
		int			got;

		CHECK_FOR_INTERRUPTS();
		got = FileRead(file->file, to, step, (off_t) at, WAIT_EVENT_BUFFILE_READ);
		if (got < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read temporary file of %s: %m", file->what)));
		if (got != step)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("could not read temporary file of %s: read only %d of %d bytes",
							file->what, got, step)));
		pgBufferUsage.temp_blks_read += step / BLCKSZ;
		to += step;
		at += step;
		size -= step;
	}
}

void
ml_file_close(MlFile *file)
{
	MemoryContextDelete(file->cxt);
}
