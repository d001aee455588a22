-- The audit: what every function leaves in it, who sees it, and that nobody rewrites it.
SET client_min_messages = error;
CREATE ROLE audit_ann; CREATE ROLE audit_vic; CREATE ROLE audit_sam; CREATE ROLE audit_boss;
CREATE TABLE t AS SELECT i::float8 AS x, (2 * i + i % 3)::float8 AS y FROM generate_series(1, 40) i;
GRANT SELECT ON t TO PUBLIC;
GRANT audit_boss TO audit_ann;

SET SESSION AUTHORIZATION audit_ann;
SELECT version FROM ml_train('m', 't', target => 'y');
SELECT version FROM ml_train('m', 't', target => 'y', algorithm => 'gradient_boosting');
SELECT ml_rollback('m');
SELECT ml_promote('m', 2);
SELECT ml_promote('m', 2);
SELECT ml_set_alias('m', 'prod', 1);
SELECT ml_set_alias('m', 'prod', NULL);
SELECT ml_comment('m', 'a "quoted" \ text');
SELECT ml_comment('m@2', NULL);
SELECT ml_archive('m', 1);
SELECT ml_unarchive('m', 1);
SELECT ml_grant('m', 'audit_vic', 'view');
SELECT ml_grant('m', 'audit_vic', 'view');
SELECT ml_grant('m', 'public', 'predict');
SELECT ml_revoke('m', 'public', 'predict');
SELECT ml_revoke('m', 'public', 'predict');
SELECT length(ml_export('m', 'xgboost')) > 0 AS exported;
SELECT ml_import('n', ml_export('m', 'xgboost'), target => 'y') IS NOT NULL AS imported;
SELECT lineage FROM ml.versions WHERE model = 'n';
SELECT ml_rename('m', 'q');
SELECT ml_rename('q', 'm');
SELECT ml_drop('m', 1);
SELECT version FROM ml_train('m', 't', target => 'y');
SELECT version FROM ml_train('m', 't', target => 'y');
SELECT ml_retain('m', keep => 1);
SELECT ml_reserve_promotion('m', 'audit_boss');
SET ROLE audit_boss;
SELECT ml_reserve_promotion('m', NULL);
RESET ROLE;
SELECT ml_reassign('audit_ann', 'audit_boss');
-- What fails or is rolled back was never done.
SELECT ml_promote('m', 77);
BEGIN; SELECT ml_comment('m', 'gone'); ROLLBACK;
SELECT role, session_role, action, model, version, detail - 'value' AS detail, restored, model_id = min(model_id) OVER () AS first
	FROM ml.audit ORDER BY audit_id;
SELECT bool_and(at BETWEEN now() - interval '1 hour' AND clock_timestamp()) AS times FROM ml.audit;
RESET SESSION AUTHORIZATION;
-- No row in a read-only transaction, and so no export either.
BEGIN READ ONLY;
SELECT ml_export('n', 'xgboost');
ROLLBACK;

-- Who sees what.
SET ROLE audit_vic;
SELECT model, count(*) > 0 FROM ml.audit GROUP BY 1 ORDER BY 1;
SET ROLE audit_sam;
SELECT count(*) FROM ml.audit;
RESET ROLE;
SELECT ml_drop('m');
SET ROLE audit_vic;
SELECT count(*) FROM ml.audit;
-- Of a model that is gone those see rows who did it.
SET ROLE audit_ann;
SELECT count(*) > 10 AS own, bool_and(role = 'audit_ann') AS only FROM ml.audit WHERE model = 'm';
RESET ROLE;
SELECT DISTINCT role FROM ml.audit WHERE action = 'drop' AND version IS NULL ORDER BY 1;
-- A role that gets the name of another later is another one.
ALTER ROLE audit_ann RENAME TO audit_old;
CREATE ROLE audit_ann;
SET ROLE audit_ann;
SELECT count(*) FROM ml.audit WHERE model = 'm';
RESET ROLE;
DROP ROLE audit_ann;
ALTER ROLE audit_old RENAME TO audit_ann;

-- Nobody but a superuser changes a row, whatever he was granted.
SET ROLE audit_ann;
INSERT INTO ml.audit_log (role, role_id, session_role, action, model_id, model) VALUES ('audit_vic', 1, 'x', 'drop', 1, 'm');
UPDATE ml.audit_log SET role = 'audit_vic';
DELETE FROM ml.audit_log;
TRUNCATE ml.audit_log;
UPDATE ml.audit SET role = 'audit_vic';
RESET ROLE;
GRANT ALL ON ml.audit_log TO audit_ann;
GRANT ALL ON SEQUENCE ml.audit_log_audit_id_seq TO audit_ann;
SET ROLE audit_ann;
INSERT INTO ml.audit_log (role, role_id, session_role, action, model_id, model) VALUES ('audit_vic', 1, 'x', 'drop', 1, 'm')
	RETURNING restored;
INSERT INTO ml.audit_log (role, role_id, session_role, action, model_id, model, restored)
	VALUES ('audit_vic', 1, 'x', 'drop', 1, 'm', false) RETURNING restored;
UPDATE ml.audit_log SET role = 'audit_vic';
DELETE FROM ml.audit_log;
TRUNCATE ml.audit_log;
ALTER TABLE ml.audit_log DISABLE TRIGGER ALL;
RESET ROLE;
REVOKE ALL ON ml.audit_log FROM audit_ann;
REVOKE ALL ON SEQUENCE ml.audit_log_audit_id_seq FROM audit_ann;
SELECT ml.audit_guard();
DELETE FROM ml.audit_log WHERE restored RETURNING action;
SELECT * FROM ml_verify();
-- An index with somebody's code in it is not filled by everybody's trainings.
CREATE INDEX trap ON ml.audit_log ((lower(action)));
SELECT ml_comment('n', 'x');
DROP INDEX ml.trap;
SELECT ml_comment('n', 'x');

SELECT count(ml_drop(name)) FROM ml.model;
REVOKE audit_boss FROM audit_ann;
DROP ROLE audit_ann, audit_vic, audit_sam, audit_boss;
