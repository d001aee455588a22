-- Retraining, updating, forgetting: what they do to versions, and who may.
SET client_min_messages = warning;
-- Rows are split by their place, so they are written once: where an UPDATE puts them is the server version's own affair.
CREATE TABLE t AS SELECT i, x1, x2, c, n, 3 * x1 - x2 + ascii(c) * 0.3 + (i * 71 % 89) / 89.0 AS y, x1 + (i * 71 % 89) / 100.0 > 0.8 AS won, g, w
	FROM (SELECT i, (i * 37 % 101) / 101.0::float8 AS x1, (1000 + i * 53 % 97 / 97.0)::float8 AS x2, chr(97 + i % 4) AS c,
		CASE WHEN i % 5 = 0 THEN NULL ELSE (i % 11)::float8 END AS n, i % 40 AS g, 1 + i % 3 AS w FROM generate_series(1, 3000) i) s;
CREATE FUNCTION try(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text; state text; message text; detail text; hint text;
BEGIN
	EXECUTE sql INTO answer;
	RETURN answer;
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN state || ' ' || message || COALESCE(E'\n    ' || NULLIF(detail, ''), '') || COALESCE(E'\n    ' || NULLIF(hint, ''), '');
END $$;
-- Largest relative difference of coefficients; whether the fingerprints agree; largest difference of predictions.
CREATE FUNCTION differ(a text, b text, OUT coefficients boolean, OUT fingerprints boolean, OUT predictions boolean) LANGUAGE sql AS $$
	SELECT max(abs(p.estimate - q.estimate) / greatest(abs(q.estimate), 1e-9)) < 1e-9,
		(SELECT count(DISTINCT fingerprint) = 1 AND bool_and(fingerprint IS NOT NULL) FROM ml.versions WHERE model IN (a, b) AND is_current),
		(SELECT max(abs(ml_predict(a, t) - ml_predict(b, t))) < 1e-9 FROM t WHERE n IS NOT NULL)
	FROM ml_coefficients(a) p JOIN ml_coefficients(b) q USING (term) $$;

-- The same recipe, the same rows: nothing is better, and the first stays.
SELECT version FROM ml_train('m', 'SELECT x1, x2, c, y FROM t WHERE i <= 1000', target => 'y', algorithm => 'linear', holdout => 0.25, seed => 7, notes => 'first');
SELECT version, metric, round(champion::numeric, 4) AS champion, round(challenger::numeric, 4) AS challenger, rows, decision, reason FROM ml_retrain('m');
SELECT version, is_current, aliases, seed, notes, lineage->>'parent' AS parent, lineage->'recipe' = (SELECT lineage->'recipe' FROM ml.versions WHERE version = 1) AS same FROM ml.versions WHERE model = 'm' ORDER BY 1;
-- Other rows: the challenger is better, and the audit says why.
CREATE TABLE later AS SELECT x1, x2, c, 5 * x1 + y + 1000 AS y FROM t;
SELECT version, metric, round(champion::numeric, 3) AS champion, round(challenger::numeric, 3) AS challenger, ci_high < 0 AS better, rows, decision, reason FROM ml_retrain('m', 'later', notes => 'drift');
SELECT version, is_current, aliases, notes FROM ml.versions WHERE model = 'm' ORDER BY 1;
SELECT action, version, detail->'from' AS was, detail->>'by' AS by, detail->>'loss' AS loss, detail->>'reason' AS reason FROM ml.audit ORDER BY audit_id;
-- Never, always, rows of one's own, another metric.
SELECT version, decision, reason FROM ml_retrain('m', 'SELECT x1, x2, c, y FROM t', promote => 'never');
SELECT version, decision, reason FROM ml_retrain('m', 'SELECT * FROM later', promote => 'always', holdout => 0);
SELECT version, metric, rows, decision, reason FROM ml_retrain('m', 'SELECT x1, x2, c, y FROM t', compare_on => 'SELECT * FROM t WHERE i > 2500');
SELECT version, metric, rows, decision, reason FROM ml_retrain('m', 'SELECT x1, c, y FROM t');
SELECT version, metric, rows, decision FROM ml_retrain('m', 'SELECT x1, x2, c, y FROM t', metric => 'mae', holdout => 0.2);
SELECT version FROM ml_train('w', 'SELECT x1, g, won FROM t', target => 'won', algorithm => 'logistic', split_by => 'g');
SELECT metric, rows BETWEEN 500 AND 700 AS rows, decision FROM ml_retrain('w');
SELECT metric, decision FROM ml_retrain('w', metric => 'brier');

-- By hand: without refit the stored challenger is the one measured, and order_by says which rows were held out.
SELECT version FROM ml_train('o', 'SELECT i, x1, c, y FROM t WHERE i <= 1500', target => 'y', algorithm => 'linear', order_by => 'i', params => '{"refit": "never"}');
CREATE TEMP TABLE gate AS SELECT * FROM ml_retrain('o', 'SELECT i, x1, x2, c, y FROM t', promote => 'never', metric => 'mae');
WITH loss AS (SELECT abs(y - ml_predict('o@1', t)) AS b, abs(y - ml_predict('o@2', t)) AS a FROM t WHERE i > 2400)
SELECT count(*) = max(rows) AS rows, abs(avg(b) - max(champion)) < 1e-12 AS champion, abs(avg(a) - max(challenger)) < 1e-12 AS challenger,
	abs(avg(a - b) + 1.6448536269514722 * stddev(a - b) / sqrt(count(*)) - max(ci_high)) < 1e-12 AS ci_high FROM loss, gate;
CREATE TEMP TABLE gate2 AS SELECT * FROM ml_retrain('o', 'SELECT i, x1, x2, c, y FROM t', promote => 'never');
WITH loss AS (SELECT (y - ml_predict('o@1', t)) ^ 2 AS b, (y - ml_predict('o@3', t)) ^ 2 AS a FROM t WHERE i > 2400),
	roots AS (SELECT sqrt(avg(a)) AS ra, sqrt(avg(b)) AS rb FROM loss)
SELECT abs(max(ra) - max(challenger)) < 1e-12 AS challenger, abs(max(rb) - max(champion)) < 1e-12 AS champion,
	abs(max(ra) - max(rb) - 1.6448536269514722 * stddev(a / (2 * ra) - b / (2 * rb)) / sqrt(count(*)) - max(ci_low)) < 1e-12 AS ci_low FROM loss, roots, gate2;

-- Errors.
SELECT try($$SELECT ml_retrain('none')$$);
SELECT try($$SELECT ml_retrain('m@1')$$);
SELECT try($$SELECT ml_retrain('m', promote => 'x''; DROP TABLE t; --')$$);
SELECT try($$SELECT ml_retrain('m', promote => NULL)$$);
SELECT try($$SELECT ml_retrain('m', metric => 'brier')$$);
SELECT try($$SELECT ml_retrain('m', holdout => 2)$$);
SELECT try($$SELECT ml_retrain('m', 't; DROP TABLE t')$$);
SELECT try($$SELECT ml_retrain('m', compare_on => 'nowhere')$$);
SELECT count(*), max(version) FROM ml.versions WHERE model = 'm';

-- New rows without the old ones, and out again.
SELECT version FROM ml_train('u', 'SELECT x1, x2, c, y, w FROM t WHERE i <= 2000', target => 'y', algorithm => 'linear', weight => 'w', params => '{"keep_state": true}');
SELECT version, rows_read, rows_used, rows_dropped, metric, value < baseline AS good, warnings FROM ml_update('u', 'SELECT * FROM t WHERE i > 2000');
SELECT version FROM ml_train('fresh', 'SELECT x1, x2, c, y, w FROM t', target => 'y', algorithm => 'linear', weight => 'w');
SELECT * FROM differ('u', 'fresh');
SELECT version, decision, rows_forgotten, rows_left, other_versions, reason FROM ml_forget('u', 'SELECT * FROM t WHERE i % 10 = 3', others => 'archive');
SELECT version FROM ml_train('fresh', 'SELECT x1, x2, c, y, w FROM t WHERE i % 10 <> 3', target => 'y', algorithm => 'linear', weight => 'w');
SELECT * FROM differ('u', 'fresh');
SELECT version, is_current, archived_at IS NOT NULL AS archived, rows_used, metric, lineage->'update' AS updated, lineage->'forget' AS forgot FROM ml.versions WHERE model = 'u' ORDER BY 1;
SELECT try($$SELECT ml_importance('u')$$);
SELECT version, decision, other_versions FROM ml_forget('u', 'SELECT * FROM t WHERE i % 10 = 4', others => 'drop');
SELECT version FROM ml.versions WHERE model = 'u';
-- Every algorithm that can; the same penalty.
SELECT a, d.* FROM (VALUES ('linear', '{}'), ('ridge', '{"l2": 3}'), ('lasso', '{"lambda": 0.01}'), ('elastic_net', '{"lambda": 0.01}')) v (a, p),
	LATERAL (SELECT version FROM ml_train('a' || a, 'SELECT x1, x2, c, y FROM t', target => 'y', algorithm => a, params => p::jsonb || '{"keep_state": true}')) x,
	LATERAL (SELECT decision FROM ml_forget('a' || a, 'SELECT * FROM t WHERE i > 2500')) y,
	LATERAL (SELECT version FROM ml_train('f' || a, 'SELECT x1, x2, c, y FROM t WHERE i <= 2500', target => 'y', algorithm => a, params => p::jsonb)) z,
	LATERAL differ('a' || a, 'f' || a) d;
SELECT model, stale FROM ml.versions WHERE stale IS NOT NULL;
-- In one scan as well as from collected rows, with a NULL that becomes a constant, and one that is left out.
CREATE TABLE big AS SELECT i, sin(i)::float8 AS a, cos(i * 3)::float8 AS b, (sin(i) + 2 * cos(i * 3) + sin(i * 17) / 3)::float8 AS y FROM generate_series(1, 60000) i;
ANALYZE big;
SELECT version FROM ml_train('s', 'big', target => 'y', algorithm => 'linear', exclude => '{i}', params => '{"keep_state": true}');
SELECT decision, rows_left FROM ml_forget('s', 'SELECT * FROM big WHERE i % 100 = 0');
SELECT version FROM ml_train('sf', 'SELECT * FROM big WHERE i % 100 <> 0', target => 'y', algorithm => 'linear', exclude => '{i}');
SELECT max(abs(p.estimate - q.estimate) / abs(q.estimate)) < 1e-9 AS equal FROM ml_coefficients('s') p JOIN ml_coefficients('sf') q USING (term) WHERE abs(q.estimate) > 1e-3;
SELECT count(DISTINCT fingerprint) FROM ml.versions WHERE is_current AND model IN ('s', 'sf');
SELECT p, y.decision, d.coefficients, d.fingerprints FROM (VALUES ('zero'), ('drop')) v (p),
	LATERAL (SELECT version FROM ml_train('n' || p, 'SELECT n, x1, y FROM t', target => 'y', algorithm => 'linear', params => jsonb_build_object('keep_state', true, 'impute', p))) x,
	LATERAL (SELECT version FROM ml_train('nf' || p, 'SELECT n, x1, y FROM t WHERE i <= 2500', target => 'y', algorithm => 'linear', params => jsonb_build_object('impute', p))) z,
	LATERAL (SELECT decision FROM ml_forget('n' || p, 'SELECT * FROM t WHERE i > 2500')) y,
	LATERAL differ('n' || p, 'nf' || p) d;

-- What cannot be exact says so, and changes nothing else.
SET client_min_messages = error;
SELECT version FROM ml_train('nm', 'SELECT n, x1, y FROM t', target => 'y', algorithm => 'linear', params => '{"keep_state": true}');
SELECT version, decision, reason FROM ml_forget('nm', 'SELECT * FROM t WHERE i > 2500');
SELECT version, decision, reason FROM ml_forget('w', 'SELECT * FROM t WHERE i > 2500');
SELECT version, decision, reason FROM ml_forget('fresh', 'SELECT * FROM t WHERE i > 2500');
SELECT version, decision, reason FROM ml_forget('alinear', $$SELECT * FROM t WHERE c = 'b' AND i <= 2500$$);
SELECT version FROM ml_train('huge', $$SELECT x1 * CASE WHEN i = 1 THEN 1e9 ELSE 1 END AS x1, y FROM t$$, target => 'y', algorithm => 'linear', params => '{"keep_state": true}');
SELECT version, decision, reason FROM ml_forget('huge', $$SELECT x1 * 1e9 AS x1, y FROM t WHERE i = 1$$);
SELECT version FROM ml_train('ill', 'SELECT x1, x1 + x2 * 1e-7 AS z, y FROM t', target => 'y', algorithm => 'linear', params => '{"keep_state": true}');
SELECT version, decision, reason FROM ml_forget('ill', 'SELECT x1, x1 + x2 * 1e-7 AS z, y FROM t WHERE i > 2500');
SELECT try($$SELECT ml_update('ill', 'SELECT x1, x1 + x2 * 1e-7 AS z, y FROM t WHERE i > 2500')$$);
SELECT model, version, stale FROM ml.versions WHERE stale IS NOT NULL ORDER BY 1, 2;
SELECT action, count(*) FROM ml.audit GROUP BY 1 ORDER BY 1;
SET client_min_messages = warning;
SELECT try($$SELECT ml_forget('alinear', 't')$$);
SELECT try($$SELECT ml_forget('alinear', 'SELECT x1, x2, ''zzz'' AS c, y FROM t LIMIT 1')$$);
SELECT try($$SELECT ml_forget('alinear', 't', others => 'x')$$);
SELECT try($$SELECT ml_forget('alinear', NULL)$$);
SELECT try($$SELECT ml_update('fresh', 't')$$);
SELECT try($$SELECT ml_update('w', 't')$$);
SELECT try($$SELECT ml_update('alinear', 'SELECT * FROM t WHERE false')$$);
SELECT try($$SELECT ml_update('alinear', 'SELECT x1, y FROM t')$$);
SELECT try($$SELECT ml_train('z', 't', target => 'won', algorithm => 'logistic', params => '{"keep_state": true}')$$);
SELECT try($$SELECT ml_train('z', 't', target => 'y', algorithm => 'linear', params => '{"keep_state": true, "refit": "never"}')$$);

-- Three roles: the author, another manager, a promoter; and one who may only look.
CREATE ROLE retrain_author; CREATE ROLE retrain_manager; CREATE ROLE retrain_judge; CREATE ROLE retrain_viewer;
GRANT SELECT ON t TO retrain_author, retrain_manager, retrain_judge, retrain_viewer;
SET ROLE retrain_author;
SELECT version FROM ml_train('shared', 'SELECT x1, x2, y FROM t', target => 'y', algorithm => 'linear', params => '{"keep_state": true}');
SELECT ml_grant('shared', 'retrain_manager', 'manage'), ml_grant('shared', 'retrain_viewer', 'view');
SELECT decision FROM ml_retrain('shared');
SET ROLE retrain_viewer;
SELECT try($$SELECT ml_retrain('shared', 't')$$);
SELECT try($$SELECT ml_update('shared', 't')$$);
SELECT try($$SELECT ml_forget('shared', 't')$$);
SELECT try($$SELECT ml_schedule('shared', '* * * * *', 't')$$);
SELECT try($$SELECT ml_unschedule('shared')$$);
SELECT try($$SELECT state FROM ml.training_state$$);
SELECT try($$SELECT ml.retrain_job(model_id, 't', 'always', NULL, NULL, NULL, NULL) FROM (SELECT DISTINCT model_id FROM ml.audit WHERE model = 'shared') m$$);
SET ROLE retrain_judge;
SELECT try($$SELECT ml_retrain('shared', 't')$$);
SELECT try($$SELECT ml_forget('shared', 't')$$);
SET ROLE retrain_manager;
SELECT try($$SELECT ml_retrain('shared')$$);
SELECT decision FROM ml_retrain('shared', 'SELECT x1, x2, y FROM t', promote => 'always');
SELECT decision FROM ml_retrain('shared');
SET ROLE retrain_author;
SELECT try($$SELECT ml_retrain('shared')$$);
-- An update by another role does not make the author's source his own.
SELECT version FROM ml_train('shared', 'SELECT x1, x2, y FROM t', target => 'y', algorithm => 'linear', params => '{"keep_state": true}');
SET ROLE retrain_manager;
SELECT version FROM ml_update('shared', 'SELECT * FROM t WHERE i < 10');
SELECT try($$SELECT ml_retrain('shared')$$);
SET ROLE retrain_author;
SELECT ml_reserve_promotion('shared', 'retrain_judge');
SELECT version, decision, reason FROM ml_retrain('shared', 'SELECT x1, x2, y FROM t', promote => 'always');
SELECT version FROM ml_update('shared', 'SELECT * FROM t WHERE i < 10');
SELECT version, is_current, trained_by FROM ml.versions WHERE model = 'shared' ORDER BY 1;
RESET ROLE;
SELECT try($$SELECT ml_retrain('shared')$$);
SELECT ml_drop('shared') > 0 AS dropped;
DROP OWNED BY retrain_author, retrain_manager, retrain_judge, retrain_viewer;
DROP ROLE retrain_author, retrain_manager, retrain_judge, retrain_viewer;
SELECT count(*) FROM ml.training_state s WHERE NOT EXISTS (SELECT FROM ml.version v WHERE v.version_id = s.version_id);
