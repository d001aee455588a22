-- ml_verify finds each thing that can be wrong: a superuser breaks one after the other.
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE verify_rows AS SELECT i::float8 AS x, (2 * i + i % 3)::float8 AS y, i % 2 = 0 AS even FROM generate_series(1, 60) i;
CREATE ROLE regress_ml_verify;
SELECT version FROM ml_train('m', 'SELECT x, y FROM verify_rows', target => 'y', algorithm => 'linear', params => '{"keep_state": true}');
SELECT version FROM ml_train('m', 'SELECT x, y FROM verify_rows', target => 'y', algorithm => 'linear', params => '{"keep_state": true}');
SELECT version FROM ml_train('m', 'SELECT x, y FROM verify_rows', target => 'y', algorithm => 'decision_tree');
SELECT version FROM ml_train('c', 'SELECT x, even FROM verify_rows', target => 'even', algorithm => 'logistic');
SELECT ml_set_alias('m', 'prod', 1);
SELECT ml_grant('m', 'regress_ml_verify', 'view');
SELECT count(*) > 0 AS monitored FROM ml_monitor('m', 'verify_rows', 'y');
SELECT ml_log_predictions('m', 1), ml_log_predictions('c', 1);
SELECT count(ml_predict_logged('m', v)) AS logged, count(ml_classify_logged('c', v)) AS labels FROM verify_rows v WHERE x < 4;
SELECT * FROM ml_verify();

-- Damages schema ml, with its constraints out of the way, and shows what is found; then all is as it was.
CREATE FUNCTION found(damage text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	c record;
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		IF damage ~* '^(UPDATE|INSERT|DELETE)' THEN
			FOR c IN SELECT conrelid::regclass AS relation, conname FROM pg_constraint
				WHERE connamespace = 'ml'::regnamespace AND contype IN ('f', 'c', 'u', 'p') ORDER BY contype IN ('u', 'p')
			LOOP
				EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.relation, c.conname);
			END LOOP;
		END IF;
		EXECUTE damage;
		FOR c IN SELECT problem FROM ml_verify() WHERE problem !~ '^constraint' OR damage ~ 'CONSTRAINT' ORDER BY problem COLLATE "C" LOOP
			RETURN NEXT c.problem;
		END LOOP;
		RAISE EXCEPTION USING errcode = 'ML999';
	EXCEPTION WHEN SQLSTATE 'ML999' THEN NULL;
	END;
END $$;

-- models and versions
SELECT found($$UPDATE ml.model SET current_version = 9 WHERE name = 'm'$$);
SELECT found($$UPDATE ml.version SET archived_at = now() WHERE version = 3$$);
SELECT found($$UPDATE ml.model SET last_version = 2 WHERE name = 'm'$$);
SELECT found($$UPDATE ml.model SET history = '{1,1,3,7}' WHERE name = 'm'$$);
SELECT found($$DELETE FROM ml.model WHERE name = 'c'$$);
SELECT found($$INSERT INTO ml.model SELECT * FROM ml.model WHERE name = 'c'$$);
SELECT found($$UPDATE ml.model SET name = 'a@b' WHERE name = 'c'$$);
SELECT found($$UPDATE ml.model SET name = '' WHERE name = 'c'$$);
SELECT found($$INSERT INTO ml.version SELECT * FROM ml.version WHERE version = 2$$);
SELECT found($$UPDATE ml.version SET version = 0 WHERE version = 1 AND model_id = 2$$);
SELECT found($$UPDATE ml.version SET rows_used = rows_used + 1 WHERE version = 2$$);
SELECT found($$UPDATE ml.version SET fingerprint = '\x00' WHERE version = 2$$);
SELECT found($$UPDATE ml.version SET params = '1', info = '[]', lineage = '"x"' WHERE version = 2$$);
SELECT found($$UPDATE ml.version SET lineage = lineage || '{"parent": 2}' WHERE version = 2$$);
SELECT found($$UPDATE ml.version SET lineage = lineage || '{"parent": "none"}' WHERE version = 2$$);
SELECT found($$INSERT INTO ml.training_state VALUES (77, '\x00')$$);
SELECT found($$INSERT INTO ml.training_state SELECT * FROM ml.training_state WHERE version_id = 2$$);
-- what is stored
SELECT found($$UPDATE ml.training_state SET state = substr(state, 1, 30) WHERE version_id = 1$$);
SELECT found($$UPDATE ml.training_state SET state = state || '\x00' WHERE version_id = 1$$);
SELECT found($$UPDATE ml.training_state SET version_id = 3 WHERE version_id = 1$$);
SELECT found($$UPDATE ml.version SET algorithm = 'ridge' WHERE version = 2$$);
SELECT found($$UPDATE ml.version SET task = 'classification' WHERE version = 2$$);
SELECT found($$UPDATE ml.version SET target = NULL WHERE version = 2$$);
SELECT found($$UPDATE ml.version SET target = 'z' WHERE version = 2$$);
-- aliases
SELECT found($$INSERT INTO ml.alias VALUES (1, 'gone', 9)$$);
SELECT found($$UPDATE ml.version SET archived_at = now() WHERE version = 1 AND model_id = 1$$);
SELECT found($$INSERT INTO ml.alias VALUES (1, 'challenger', 3)$$);
SELECT found($$INSERT INTO ml.alias VALUES (1, 'prod', 1)$$);
SELECT found($$INSERT INTO ml.alias VALUES (1, 'champion', 2), (1, 'a@b', 2), (1, '1a', 2), (1, '', 2)$$);
-- roles and privileges
SELECT found($$UPDATE ml.model SET owner = 9::oid WHERE name = 'c'$$);
SELECT found($$UPDATE ml.model SET promoter = 9::oid WHERE name = 'c'$$);
SELECT found($$UPDATE ml.privilege SET grantee = 9::oid$$);
SELECT found($$UPDATE ml.privilege SET model_id = 9$$);
SELECT found($$UPDATE ml.privilege SET privilege = 'all'$$);
SELECT found($$INSERT INTO ml.privilege SELECT * FROM ml.privilege$$);
SELECT found($$DELETE FROM pg_shdepend WHERE refobjid = 'regress_ml_verify'::regrole$$);
-- monitoring
SELECT found($$UPDATE ml.monitoring_row SET model_id = 9$$);
SELECT found($$UPDATE ml.monitoring_row SET version = 9$$);
SELECT found($$UPDATE ml.monitoring_row SET version = 2 WHERE line = 1$$);
SELECT found($$UPDATE ml.monitoring_row SET line = 1 WHERE line = 2$$);
SELECT found($$UPDATE ml.monitoring_row SET subject = 'weather', feature = NULL WHERE line = 1$$);
SELECT found($$UPDATE ml.monitoring_row SET verdict = 'fine' WHERE line = 1$$);
SELECT found($$UPDATE ml.monitoring_row SET n = -1 WHERE line = 1$$);
SELECT found($$UPDATE ml.monitoring_row SET ci_low = 2, ci_high = 1 WHERE line = 1$$);
SELECT found($$UPDATE ml.monitoring_row SET subject = 'feature', feature = NULL WHERE line = 1$$);
-- the log of predictions
SELECT found($$UPDATE ml.prediction_log_setting SET model_id = 9 WHERE model_id = 1$$);
SELECT found($$UPDATE ml.prediction_log_setting SET share = 2 WHERE model_id = 1$$);
SELECT found($$UPDATE ml.prediction_log_setting SET keep = '-1 day' WHERE model_id = 1$$);
SELECT found($$INSERT INTO ml.prediction_log_setting SELECT * FROM ml.prediction_log_setting WHERE model_id = 1$$);
SELECT found($$UPDATE ml.prediction_log_row SET model_id = 9 WHERE log_id = 1$$);
SELECT found($$UPDATE ml.prediction_log_row SET version = 9 WHERE log_id = 1$$);
SELECT found($$UPDATE ml.prediction_log_row SET features = '1' WHERE log_id = 1$$);
SELECT found($$UPDATE ml.prediction_log_row SET prediction = 'NaN' WHERE log_id = 1$$);
SELECT found($$UPDATE ml.prediction_log_row SET prediction = 2 WHERE label IS NOT NULL AND features ->> 'x' = '1'$$);
-- numbers to come
SELECT found($$SELECT setval('ml.model_id_seq', 1)$$);
SELECT found($$SELECT setval('ml.version_id_seq', 1)$$);
SELECT found($$SELECT setval('ml.audit_log_audit_id_seq', 1)$$);
SELECT setval('ml.model_id_seq', 2), setval('ml.version_id_seq', 4), setval('ml.audit_log_audit_id_seq', (SELECT max(audit_id) FROM ml.audit_log));
SELECT found($$UPDATE ml.monitoring_row SET run_id = 9$$);
SELECT found($$UPDATE ml.prediction_log_row SET log_id = 99 WHERE log_id = 1$$);
-- the audit
SELECT found($$UPDATE ml.audit_log SET version = 9 WHERE audit_id = 1$$);
SELECT found($$UPDATE ml.audit_log SET version = 0 WHERE audit_id = 5$$);
SELECT found($$UPDATE ml.audit_log SET action = 'fly' WHERE audit_id = 1$$);
SELECT found($$UPDATE ml.audit_log SET detail = '1' WHERE audit_id = 1$$);
SELECT found($$UPDATE ml.audit_log SET model_id = 999 WHERE audit_id = 5$$);
SELECT found($$DELETE FROM ml.audit_log WHERE model_id = 1 AND version = 2$$);
-- what protects it
SELECT found($$ALTER TABLE ml.model DISABLE TRIGGER catalog_changed$$);
SELECT found($$DROP TRIGGER catalog_truncated ON ml.prediction_log_setting$$);
SELECT found($$ALTER TABLE ml.audit_log ENABLE TRIGGER guard$$);
SELECT found($$ALTER TABLE ml.training_state DISABLE ROW LEVEL SECURITY$$);
SELECT found($$DROP POLICY manage ON ml.prediction_log_row$$);
SELECT found($$CREATE POLICY all_of_it ON ml.version USING (true)$$);
SELECT found($$ALTER VIEW ml.models RESET (security_barrier)$$);
SELECT found($$ALTER TABLE ml.alias DROP CONSTRAINT alias_model_id_version_fkey$$);
SELECT found($$ALTER TABLE ml.monitoring_row OWNER TO regress_ml_verify$$);
SELECT found($$ALTER TABLE ml.audit_log OWNER TO regress_ml_verify$$);
SELECT found($$GRANT SELECT ON ml.version TO PUBLIC$$);
SELECT found($$GRANT INSERT ON ml.models TO PUBLIC$$);
SELECT found($$ALTER FUNCTION ml_drop(text, integer) SECURITY DEFINER$$);
SELECT found($$UPDATE pg_extension SET extconfig = array_remove(extconfig, 'ml.alias'::regclass::oid) WHERE extname = 'ml_ext'$$);
SELECT found($$UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ml.monitoring_row_model'::regclass$$);

-- only for the owner of the extension
SET ROLE regress_ml_verify;
SELECT * FROM ml_verify();
RESET ROLE;
SELECT * FROM ml_verify();
SELECT ml_drop('m'), ml_drop('c');
DROP FUNCTION found;
DROP TABLE verify_rows;
DROP ROLE regress_ml_verify;
