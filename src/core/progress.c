/*
 * progress.c - what view ml.progress shows of a running training.
 *
 * The numbers lie in the backend's own slot of the server's progress array,
 * under a command number that the server does not use: its views do not show
 * it, an abort resets it, and no shared memory of ours is needed.  A command of
 * the server that runs around us (COPY (SELECT ml_train(...)) TO) keeps the slot;
 * so does an outer training.
 */
#include "core/progress.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "core/host.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* "ml" in ASCII: far beyond the server's numbers, which count up from 0. */
#define COMMAND_ML ((ProgressCommandType) 0x6d6c)

enum
{
	PARAM_COMMAND,				/* index into commands */
	PARAM_PHASE,				/* MlPhase */
	PARAM_ROWS,
	PARAM_ITERATION,
	PARAM_OBJECTIVE,			/* the bits of a double */
	PARAM_START					/* TimestampTz */
};

static const char *const commands[] = {"train", "fit", "cv", "evaluate", "compare", "monitor", "retrain", "update", "forget"};

static const char *const phases[] = {
	[ML_PHASE_ANALYZE] = "analyzing source",
	[ML_PHASE_READ] = "reading rows",
	[ML_PHASE_FIT] = "fitting",
	[ML_PHASE_CV] = "cross-validating",
	[ML_PHASE_SCORE] = "scoring holdout",
	[ML_PHASE_STORE] = "storing model",
};

/* Calls of ml_progress_start not yet ended; meaningless unless ours is in the slot. */
static int	depth = 0;

static bool
ours(void)
{
	return MyBEEntry != NULL && MyBEEntry->st_progress_command == COMMAND_ML;
}

static int64
double_bits(double value)
{
	int64		bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static double
bits_double(int64 bits)
{
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

void
ml_progress_start(const char *command, Oid relation)
{
	static const int index[] = {PARAM_COMMAND, PARAM_PHASE, PARAM_OBJECTIVE, PARAM_START};
	int64		values[lengthof(index)];
	int			number = 0;

	if (ours())
	{
		depth++;
		return;
	}
	depth = 1;
	if (MyBEEntry == NULL || MyBEEntry->st_progress_command != PROGRESS_COMMAND_INVALID)
		return;

	while (number < lengthof(commands) && strcmp(commands[number], command) != 0)
		number++;
	if (number == lengthof(commands))
		elog(ERROR, "unknown progress command \"%s\"", command);
	values[0] = number;
	values[1] = ML_PHASE_ANALYZE;
	values[2] = double_bits(NAN);
	values[3] = GetCurrentTimestamp();
	pgstat_progress_start_command(COMMAND_ML, relation);
	if (ours())					/* not with track_activities off */
		pgstat_progress_update_multi_param(lengthof(index), index, values);
}

/* The source, of the outermost training: inner ones are its doing. */
void
ml_progress_relation(Oid relation)
{
	volatile PgBackendStatus *beentry = MyBEEntry;

	if (!ours() || depth > 1)
		return;
	PGSTAT_BEGIN_WRITE_ACTIVITY(beentry);
	beentry->st_progress_command_target = relation;
	PGSTAT_END_WRITE_ACTIVITY(beentry);
}

void
ml_progress_phase(MlPhase phase)
{
	static const int index[] = {PARAM_PHASE, PARAM_ROWS};
	int64		values[] = {phase, 0};

	if (ours())
		pgstat_progress_update_multi_param(lengthof(index), index, values);
}

void
ml_progress_rows(int64 rows)
{
	if (ours())
		pgstat_progress_update_param(PARAM_ROWS, rows);
}

void
ml_progress_iteration(int64 iteration, double objective)
{
	static const int index[] = {PARAM_ITERATION, PARAM_OBJECTIVE};
	int64		values[] = {iteration, double_bits(objective)};

	if (ours())
		pgstat_progress_update_multi_param(lengthof(index), index, values);
}

void
ml_progress_end(void)
{
	if (ours() && --depth <= 0)
		pgstat_progress_end_command();
}

/* As for pg_stat_activity: sessions of own roles, or all for pg_read_all_stats. */
static bool
may_see(const PgBackendStatus *backend)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		has_privs_of_role(GetUserId(), backend->st_userid);
}

ML_FUNCTION(ml_sql_list_progress)
{
	MlResultRows result;
	int			n = pgstat_fetch_stat_numbackends();
	TimestampTz now = GetCurrentTimestamp();

	ml_result_begin(fcinfo, &result);
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *local = ml_local_beentry(i);
		const PgBackendStatus *backend;
		const int64 *param;
		double		objective;
		Interval   *elapsed;
		Datum		values[9];
		bool		nulls[9];

		if (local == NULL)
			continue;
		backend = &local->backendStatus;
		param = backend->st_progress_param;

		/* a slot of another library, or one read between its start and its first numbers */
		if (backend->st_procpid <= 0 || backend->st_progress_command != COMMAND_ML ||
			param[PARAM_COMMAND] < 0 || param[PARAM_COMMAND] >= lengthof(commands) ||
			param[PARAM_PHASE] < ML_PHASE_ANALYZE || param[PARAM_PHASE] > ML_PHASE_STORE ||
			!may_see(backend))
			continue;

		objective = bits_double(param[PARAM_OBJECTIVE]);
		elapsed = palloc0(sizeof(Interval));
		elapsed->time = Max(now - param[PARAM_START], 0);
		memset(nulls, 0, sizeof(nulls));
		values[0] = Int32GetDatum(backend->st_procpid);
		values[1] = ObjectIdGetDatum(backend->st_databaseid);
		values[2] = CStringGetTextDatum(commands[param[PARAM_COMMAND]]);
		nulls[3] = !OidIsValid(backend->st_progress_command_target) || backend->st_databaseid != MyDatabaseId;
		values[3] = ObjectIdGetDatum(backend->st_progress_command_target);
		values[4] = CStringGetTextDatum(phases[param[PARAM_PHASE]]);
		values[5] = Int64GetDatum(param[PARAM_ROWS]);
		values[6] = Int64GetDatum(param[PARAM_ITERATION]);
		nulls[7] = isnan(objective);
		values[7] = Float8GetDatum(objective);
		values[8] = IntervalPGetDatum(elapsed);
		ml_result_add(&result, values, nulls);
	}
	return (Datum) 0;
}
