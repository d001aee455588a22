-- The life of a model: lineage, aliases, archive, comments, retention, reserved promotion,
-- roles that leave, comparison; seen by its owner (ann), a promoter (pam), a manager (max),
-- a viewer (vic), a user (una) and a stranger (sam).
SET client_min_messages = warning;
CREATE ROLE reg_ann; CREATE ROLE reg_approvers; CREATE ROLE reg_pam IN ROLE reg_approvers; CREATE ROLE reg_max;
CREATE ROLE reg_vic; CREATE ROLE reg_una; CREATE ROLE reg_sam; CREATE ROLE reg_team; GRANT reg_team TO reg_max;
CREATE TABLE t AS SELECT i, sin(i * 1.3)::float8 AS a, cos(i * 2.1)::float8 AS b, (i % 7)::float8 AS c,
	CASE i % 3 WHEN 0 THEN 'x' WHEN 1 THEN 'y' END AS d,
	(sin(i * 1.3) + 0.5 * cos(i * 2.1) + sin(i * i * 0.37) > 0.2) AS yes,
	sin(i * 1.3) * 3 + (i % 7) + sin(i * i * 0.37) AS r FROM generate_series(1, 3000) i;
GRANT SELECT ON t TO PUBLIC;
SET ROLE reg_ann;
SELECT version FROM ml_train('m', 't', target => 'yes', features => '{a,b}', seed => 5, notes => 'first',
	params => '{"l2": 2}', holdout => 0.3);
SELECT version FROM ml_train('m', 'SELECT * FROM t', target => 'yes', features => '{a,c,d}', algorithm => 'logistic');
SELECT version FROM ml_train('m', 't', target => 'yes', features => '{a,b,c,d}');

-- Lineage: the recipe, the columns, the split, who and how.
SELECT version, lineage -> 'recipe' AS recipe FROM ml.versions ORDER BY 1;
SELECT version, lineage ->> 'relation' AS relation, lineage -> 'columns' AS columns, lineage -> 'split' AS split,
	lineage -> 'row_security' AS rls, lineage -> 'parent' AS parent, lineage ->> 'role' AS role, rows_read, rows_used
	FROM ml.versions ORDER BY 1;
SELECT lineage ->> 'session_role' = session_user AS session, session_role::text = session_user AS also,
	extension_version = (SELECT extversion FROM pg_extension WHERE extname = 'ml_ext') AS version FROM ml.versions WHERE version = 1;

-- Fingerprints: the order of rows does not matter, their values, number and columns do.
SELECT version FROM ml_train('f', 't', target => 'r', features => '{a,d}');
SELECT version FROM ml_train('f', 'SELECT * FROM t ORDER BY d, b DESC', target => 'r', features => '{a,d}');
SELECT version FROM ml_train('f', 'SELECT a, d, r, 0 AS zero FROM t', target => 'r', algorithm => 'decision_tree');
SELECT version FROM ml_train('f', 'SELECT * FROM t WHERE i > 1', target => 'r', features => '{a,d}');
SELECT version FROM ml_train('f', 'SELECT a + CASE i WHEN 7 THEN 1e-9 ELSE 0 END AS a, d, r FROM t', target => 'r', features => '{a,d}');
SELECT version FROM ml_train('f', 'SELECT a, CASE i WHEN 7 THEN ''x'' ELSE d END AS d, r FROM t', target => 'r', features => '{a,d}');
SELECT version FROM ml_train('f', 'SELECT * FROM t UNION ALL (SELECT * FROM t LIMIT 1)', target => 'r', features => '{a,d}');
SELECT version, fingerprint = first_value(fingerprint) OVER (ORDER BY version) AS as_first,
	length(fingerprint) AS digits FROM ml.versions WHERE model = 'f' ORDER BY 1;
SELECT count(DISTINCT fingerprint) FROM ml.versions WHERE model = 'f';
-- One scan, with or without workers, sums up the same.
RESET ROLE;
CREATE TABLE big AS SELECT (i * 7919 % 100003)::float8 AS x, sin(i)::float8 AS z, (3 * sin(i) + i % 13)::float8 AS y
	FROM generate_series(1, 60000) i;
ANALYZE big;
SELECT version FROM ml_train('s', 'big', target => 'y');
SET parallel_setup_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_tuple_cost = 0;
SELECT version FROM ml_train('s', 'big', target => 'y');
RESET parallel_setup_cost; RESET min_parallel_table_scan_size; RESET parallel_tuple_cost;
SELECT version FROM ml_train('s', 'big', target => 'y', params => '{"nonfinite": "drop"}');
SELECT count(*), count(DISTINCT fingerprint) FROM ml.versions WHERE model = 's';
DROP TABLE big;
-- Row security in force is noted: also behind a view, not for the owner of the table.
CREATE TABLE secret AS SELECT * FROM t;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON secret USING (i % 2 = 0);
GRANT SELECT ON secret TO reg_ann;
SELECT version FROM ml_train('rls', 'secret', target => 'r', features => '{a}');
SELECT ml_grant('rls', 'reg_ann', 'manage');
SET ROLE reg_ann;
SELECT version FROM ml_train('rls', 'secret', target => 'r', features => '{a}');
SELECT version FROM ml_train('rls', 'WITH w AS (SELECT * FROM secret) SELECT a, r FROM w', target => 'r');
SELECT version FROM ml_train('rls', 't', target => 'r', features => '{a}');
SELECT version, lineage -> 'row_security' AS row_security, rows_used FROM ml.versions WHERE model = 'rls' ORDER BY 1;

-- Aliases.
CREATE TEMP VIEW asked AS SELECT round(ml_predict('m', t)::numeric, 6) AS champion, round(ml_predict('m@1', t)::numeric, 6) AS one,
	round(ml_predict('m@2', t)::numeric, 6) AS two FROM t WHERE i = 5;
SELECT * FROM asked;
SELECT ml_set_alias('m', 'prod', 1);
PREPARE prod AS SELECT round(ml_predict('m@prod', t)::numeric, 6) FROM t WHERE i = 5;
EXECUTE prod;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE prod;
SELECT ml_set_alias('m', 'prod', 2);
EXECUTE prod;
BEGIN; SELECT ml_set_alias('m', 'prod', 1); EXECUTE prod; ROLLBACK;
EXECUTE prod;
SELECT model, version, aliases, is_current FROM ml.versions WHERE model = 'm' ORDER BY 2;
SELECT round(ml_predict('m@challenger', t)::numeric, 6) FROM t WHERE i = 5;
SELECT ml_set_alias('m', 'challenger', 1);
SELECT round(ml_predict('m@challenger', t)::numeric, 6) FROM t WHERE i = 5;
SELECT ml_promote('m@challenger');
SELECT round(ml_predict('m@challenger', t)::numeric, 6) FROM t WHERE i = 5;
SELECT ml_promote('m@prod');
SELECT ml_rollback('m');
SELECT ml_set_alias('m', 'challenger', 1);
SELECT ml_set_alias('m', 'champion', 1);
SELECT ml_set_alias('m', '3x', 1);
SELECT ml_set_alias('m', '', 1);
SELECT ml_set_alias('m', 'a@b', 1);
SELECT ml_set_alias('m', repeat('x', 64), 1);
SELECT ml_set_alias('m', 'x', 9);
SELECT ml_set_alias('m', 'x', 0);
SELECT ml_set_alias('m', 'x', NULL);
SELECT ml_set_alias('m', NULL, 1);
SELECT ml_set_alias('m@2', 'x', 1);
SELECT ml_set_alias('m', 'Ünïcode "x"''; DROP TABLE t; --', 1);
SELECT round(ml_predict('m@Ünïcode "x"''; DROP TABLE t; --', t)::numeric, 6) FROM t WHERE i = 5;
SELECT ml_set_alias('m', 'Ünïcode "x"''; DROP TABLE t; --', NULL);
SELECT ml_predict('m@nobody', t) FROM t WHERE i = 5;
SELECT ml_drop('m@prod');
SELECT ml_archive('m@prod');

-- Archive.
SELECT ml_archive('m', 1);
SELECT version FROM ml_train('m', 't', target => 'yes', features => '{a}');
SELECT ml_archive('m', 3);
SELECT ml_archive('m@3');
SELECT round(ml_predict('m@3', t)::numeric, 6) FROM t WHERE i = 5;
SELECT version, is_current, archived_at IS NOT NULL AS archived FROM ml.versions WHERE model = 'm' ORDER BY 1;
SELECT ml_promote('m', 3);
SELECT ml_set_alias('m', 'old', 3);
SELECT ml_archive('m', 4);
SELECT ml_archive('m');
SELECT ml_archive('m', 99);
SELECT ml_rollback('m');
SELECT ml_rollback('m');
SELECT ml_unarchive('m', 3);
SELECT ml_unarchive('m', 3);
SELECT ml_promote('m', 3);
SELECT ml_promote('m', 4);

-- Comments.
SELECT ml_comment('m', 'does it say yes?');
SELECT ml_comment('m@2', 'with c''s and "d"');
SELECT comment FROM ml.models WHERE model = 'm';
SELECT version, comment FROM ml.versions WHERE model = 'm' AND comment IS NOT NULL;
SELECT ml_comment('m', NULL);
SELECT ml_comment('m@77', 'x');
SELECT comment FROM ml.models WHERE model = 'm';

-- Retention: neither the current version nor one with an alias goes.
SELECT ml_retain('f');
SELECT ml_retain('f', -1);
SELECT ml_set_alias('f', 'golden', 2);
SELECT ml_retain('f', keep => 3, older_than => '1 hour');
SELECT ml_retain('f', keep => 3);
SELECT version, aliases FROM ml.versions WHERE model = 'f' ORDER BY 1;
SELECT ml_retain('f', older_than => '0');
SELECT version, aliases FROM ml.versions WHERE model = 'f' ORDER BY 1;
SELECT ml_rollback('f');

-- Comparison: the same rows; differences from the champion.  Values are those of ml_evaluate.
SELECT version, metric, round(value::numeric, 6) AS value, round(difference::numeric, 6) AS difference,
	round(difference_low::numeric, 6) AS low, round(difference_high::numeric, 6) AS high, n
	FROM ml_compare('m', 'SELECT * FROM t WHERE i > 1000', '{2,1,4,2}')
	WHERE metric IN ('auc', 'log_loss', 'brier', 'accuracy', 'f1');
SELECT bool_and(c.value IS NOT DISTINCT FROM e.value AND c.ci_low IS NOT DISTINCT FROM e.ci_low
	AND c.ci_high IS NOT DISTINCT FROM e.ci_high AND c.n = e.n), count(*)
	FROM ml_compare('m', 't', '{1}') c JOIN ml_evaluate('m@1', 't') e USING (metric) WHERE c.version = 1;
SELECT version, count(*) FROM ml_compare('m', 't') GROUP BY 1 ORDER BY 1;
SELECT DISTINCT version, n FROM ml_compare('m@1', 'SELECT a, b, c, d, CASE WHEN i > 10 THEN yes END AS yes FROM t', '{}') ORDER BY 1;
SELECT version FROM ml_train('g', 't', target => 'r', features => '{a,b}');
SELECT version FROM ml_train('g', 't', target => 'r', features => '{a,c}');
SELECT version, metric, round(value::numeric, 6) AS value, round(difference::numeric, 6) AS difference,
	round(difference_low::numeric, 6) AS low, round(difference_high::numeric, 6) AS high, n
	FROM ml_compare('g', 't', '{1}') WHERE metric IN ('rmse', 'mse', 'mae', 'r2');
-- The interval of a difference is what the same by hand gives.
SELECT round(avg(d)::numeric, 9) = round(min(c.difference)::numeric, 9) AS mean,
	round((avg(d) - 1.959963984540054 * stddev(d) / sqrt(count(*)))::numeric, 9) = round(min(c.difference_low)::numeric, 9) AS low
	FROM (SELECT (r - ml_predict('g@1', t)) ^ 2 - (r - ml_predict('g@2', t)) ^ 2 AS d FROM t) x,
		ml_compare('g', 't', '{1}') c WHERE c.version = 1 AND c.metric = 'mse';
SELECT version FROM ml_train('g', 't', target => 'c', features => '{a,b}');
SELECT * FROM ml_compare('g', 't');
SELECT * FROM ml_compare('g', 't', '{9}');
SELECT * FROM ml_compare('g', 't', '{NULL}');
SELECT * FROM ml_compare('m', 'SELECT a, yes FROM t', '{2}');
SELECT * FROM ml_compare(NULL, 't');
SELECT count(*) FROM ml_compare('m', 'SELECT * FROM t WHERE false', '{1}');

-- Privileges: each function, each role.
SELECT ml_grant('m', 'reg_team', 'manage'), ml_grant('m', 'reg_vic', 'view'), ml_grant('m', 'reg_una', 'predict');
CREATE FUNCTION pg_temp.try(role text) RETURNS TABLE (call text, answer text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	FOREACH call IN ARRAY ARRAY['ml_set_alias(''m'', ''mine'', 1)', 'ml_archive(''m'', 1)', 'ml_unarchive(''m'', 1)',
		'ml_comment(''m'', ''c'')', 'ml_retain(''m'', 100)', 'ml_reserve_promotion(''m'', ''reg_approvers'')', 'ml_promote(''m'', 1)',
		'count(*) FROM ml_compare(''m'', ''t'', ''{1}'')', 'count(*) FROM ml_verify(false)', 'ml_reassign(''reg_ann'', ''reg_sam'')',
		'count(*) > 0 FROM ml.audit WHERE model = ''m''', 'count(*) > 0 FROM ml.roles WHERE model = ''m''',
		'count(*) FROM ml.alias', 'count(*) FROM ml.audit_log'] LOOP
		BEGIN
			EXECUTE 'SELECT ' || call INTO answer;
			answer := coalesce(nullif(answer, ''), 'done');
			RAISE EXCEPTION USING errcode = 'ZZZZZ';
		EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN NULL; WHEN OTHERS THEN answer := sqlstate || ': ' || sqlerrm;
		END;
		RETURN NEXT;
	END LOOP;
END $$;
RESET ROLE;
CREATE TABLE answers (role text, call text, answer text);
INSERT INTO answers SELECT 'ann', * FROM pg_temp.try('reg_ann');
INSERT INTO answers SELECT 'max', * FROM pg_temp.try('reg_max');
INSERT INTO answers SELECT 'vic', * FROM pg_temp.try('reg_vic');
INSERT INTO answers SELECT 'una', * FROM pg_temp.try('reg_una');
INSERT INTO answers SELECT 'sam', * FROM pg_temp.try('reg_sam');
SELECT call, role, answer FROM answers ORDER BY call, array_position('{ann,max,vic,una,sam}', role);
-- A member that does not inherit gets the group's rights by SET ROLE only.
-- Up to 15 the role inherits or not, later the membership, which takes it from the role when granted.
REVOKE reg_team FROM reg_max; ALTER ROLE reg_max NOINHERIT; GRANT reg_team TO reg_max;
SET ROLE reg_max;
SELECT ml_comment('m', 'as max');
RESET ROLE; SET ROLE reg_team;
SELECT ml_comment('m', 'as the team');
RESET ROLE; REVOKE reg_team FROM reg_max; ALTER ROLE reg_max INHERIT; GRANT reg_team TO reg_max;

-- Reserved promotion.
SET SESSION AUTHORIZATION reg_max;
SELECT version FROM ml_train('m', 't', target => 'yes', features => '{a,b,d}');
SELECT ml_rollback('m');
RESET SESSION AUTHORIZATION; SET ROLE reg_ann;
SELECT ml_reserve_promotion('m', 'nobody_at_all');
SELECT ml_reserve_promotion('m', 'reg_approvers');
SELECT promoter FROM ml.models WHERE model = 'm';
RESET ROLE; SET SESSION AUTHORIZATION reg_max;
SELECT version FROM ml_train('m', 't', target => 'yes', features => '{a,d}');
SELECT version, is_current, session_role FROM ml.versions WHERE model = 'm' AND version > 3 ORDER BY 1;
SELECT ml_promote('m', 6);
SELECT ml_rollback('m');
SELECT ml_set_alias('m', 'prod', 6);
SELECT ml_rename('m', 'n');
SELECT ml_drop('m');
SELECT ml_reserve_promotion('m', NULL);
SELECT ml_set_alias('m', 'challenger', 6);
RESET SESSION AUTHORIZATION; SET ROLE reg_ann;
SELECT ml_reserve_promotion('m', NULL);
SELECT ml_promote('m', 6);
RESET ROLE; GRANT reg_approvers TO reg_max; SET SESSION AUTHORIZATION reg_max;
SELECT ml_promote('m', 6);
SET ROLE reg_approvers;
SELECT ml_promote('m', 6);
RESET SESSION AUTHORIZATION; REVOKE reg_approvers FROM reg_max; SET SESSION AUTHORIZATION reg_pam;
SELECT ml_promote('m@challenger');
SELECT ml_rollback('m');
SELECT ml_set_alias('m', 'prod', 6);
SELECT ml_comment('m', 'pam may decide, not manage');
SELECT ml_reserve_promotion('m', NULL);
SELECT ml_promote('m', 6);
RESET SESSION AUTHORIZATION;

-- Roles that leave.
DROP ROLE reg_vic;
DROP OWNED BY reg_vic;
DROP ROLE reg_vic;
SELECT ml_revoke('m', 'reg_vic', 'predict');
DROP ROLE reg_vic;
SET ROLE reg_una;
DROP OWNED BY reg_una;
RESET ROLE;
REASSIGN OWNED BY reg_ann TO reg_sam;
DROP OWNED BY reg_ann;
DROP ROLE reg_ann;
SELECT * FROM ml.roles WHERE role LIKE 'reg_%' ORDER BY 1, 2, 3;
SET ROLE reg_ann;
SELECT ml_reassign('reg_ann', 'reg_sam');
RESET ROLE;
SELECT ml_reassign('nobody_at_all', 'reg_sam');
SELECT ml_reassign('99999', 'reg_sam');
SELECT ml_reassign('reg_ann', 'reg_sam');
SELECT ml_reassign('reg_una', 'reg_sam'), ml_reassign('reg_approvers', 'reg_sam');
SELECT * FROM ml.roles WHERE role LIKE 'reg_%' ORDER BY 1, 2, 3;
DROP ROLE reg_ann; DROP ROLE reg_una; DROP ROLE reg_approvers;
-- Renamed, a role stays the same one.
ALTER ROLE reg_sam RENAME TO reg_sue;
SELECT DISTINCT owner FROM ml.models WHERE model <> 's' ORDER BY 1;
SELECT * FROM ml_verify();

-- What a superuser can break by hand, ml_verify finds.
BEGIN;
SET LOCAL session_replication_role = replica;
ALTER TABLE ml.privilege DISABLE TRIGGER catalog_changed;
UPDATE ml.model SET current_version = 1, last_version = 1 WHERE name = 'f';
UPDATE ml.model SET history = '{4,4,77}' WHERE name = 'm';
UPDATE ml.version SET algorithm = 'ridge' WHERE version = 1 AND model_id = (SELECT model_id FROM ml.model WHERE name = 'g');
UPDATE ml.version SET archived_at = now() WHERE version = 6 AND model_id = (SELECT model_id FROM ml.model WHERE name = 'm');
INSERT INTO ml.privilege SELECT model_id, 4000000000, 'predict', owner FROM ml.model WHERE name = 'm';
ALTER TABLE ml.version DISABLE ROW LEVEL SECURITY;
SELECT regexp_replace(problem, 'number \d+', 'number N') AS problem FROM ml_verify() WHERE problem !~ '^audit row' ORDER BY 1;
ROLLBACK;
-- A row for a role that does not exist cannot even come in by accident.
UPDATE ml.model SET owner = 4000000000 WHERE name = 'f';

-- A search path with traps changes nothing.
CREATE SCHEMA trap;
CREATE FUNCTION trap.array_remove(integer[], integer) RETURNS integer[] LANGUAGE sql AS 'SELECT NULL::integer[]';
CREATE FUNCTION trap.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
CREATE FUNCTION trap.eq(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR trap.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = trap.eq);
CREATE TABLE trap.model AS SELECT 1 AS model_id;
SET search_path = trap, pg_catalog, public;
SELECT ml_archive('m', 1), ml_unarchive('m', 1), ml_retain('m', 100), ml_set_alias('m', 'prod', 2), ml_promote('m', 2);
SELECT count(*) FROM ml_verify();
SELECT count(*) FROM ml_compare('m', 'public.t', '{1}');
RESET search_path;

-- Texts that would be SQL are text.
SELECT ml_comment('m', '''); DROP TABLE t; --');
SELECT ml_rename('f', 'x''); DROP TABLE t; --');
SELECT ml_comment('x''); DROP TABLE t; --', '"'), ml_rename('x''); DROP TABLE t; --', 'f');
SELECT ml_reserve_promotion('m', 'x"; DROP TABLE t; --');
SELECT ml_reassign('0; DROP TABLE t', 'reg_sue');
SELECT * FROM ml_compare('m', 't; DROP TABLE t');
SELECT count(*) FROM t;

SELECT count(ml_drop(name)) > 0 FROM ml.model;
SELECT count(*) FROM ml.alias;
DROP OWNED BY reg_sue, reg_pam, reg_max, reg_team CASCADE;
DROP ROLE reg_sue, reg_pam, reg_max, reg_team;
