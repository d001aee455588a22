CREATE FUNCTION ml_schedule(model text, cron text, source text DEFAULT NULL, promote text DEFAULT 'if_better',
	holdout double precision DEFAULT NULL, metric text DEFAULT NULL, compare_on text DEFAULT NULL, notes text DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'ml_sql_schedule' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_schedule(text, text, text, text, double precision, text, text, text) IS
'Has pg_cron call ml_retrain with these arguments, as the current user, at the times that cron says (''0 3 * * 1'': Mondays at three); replaces the schedule that this user has for the model. Returns the job''s number. The job survives ml_rename, and takes itself away when the model is gone. Errors: 55000 without pg_cron in this database, 42501 without the right to use it or to manage the model, 22023 for what pg_cron does not take as a schedule.';

CREATE FUNCTION ml_unschedule(model text) RETURNS boolean
AS 'MODULE_PATHNAME', 'ml_sql_unschedule' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_unschedule(text) IS
'Ends the schedule that the current user has for a model; false when there is none.';

CREATE FUNCTION ml.retrain_job(model_id bigint, source text, promote text, holdout double precision, metric text,
	compare_on text, notes text) RETURNS void
AS 'MODULE_PATHNAME', 'ml_sql_retrain_job' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml.retrain_job(bigint, text, text, double precision, text, text, text) IS
'what the jobs of ml_schedule call: ml_retrain for the model with this number, whatever its name is by now; ends the job when the model is gone';

CREATE FUNCTION ml.scheduled(OUT model_id bigint, OUT model name, OUT job_id bigint, OUT role name, OUT cron text,
	OUT command text, OUT active boolean, OUT last_start timestamptz, OUT last_status text, OUT last_message text) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'ml_sql_scheduled' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION ml.scheduled() IS
'the jobs of ml_schedule that pg_cron shows to the current user, for models that he may view; none without pg_cron';

CREATE VIEW ml.schedules AS
	SELECT model, role, cron, active, last_start, last_status, last_message, job_id, command FROM ml.scheduled() ORDER BY model, role;
COMMENT ON VIEW ml.schedules IS 'models that are retrained by pg_cron, as far as it shows its jobs to the current user, and how the last run ended';
ALTER VIEW ml.schedules OWNER TO @extowner@;
GRANT SELECT ON ml.schedules TO PUBLIC;
