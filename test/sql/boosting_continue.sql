-- Parameter "continue": more rounds on an existing model.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE rows AS SELECT i, (i * 7919 % 1000) / 100.0 AS a, sin(i) AS b, CASE WHEN i % 11 > 0 THEN chr(97 + i * 31 % 7) END AS k,
	CASE WHEN i % 13 > 0 THEN cos(i * 3.1)::float8 END AS d, 3 * sin(i * 7919 % 1000 / 100.0) + sin(i) * (i * 31 % 7) AS y,
	sin(i) * (i * 31 % 7) > 1 AS yes, 'c' || i % 4 AS class FROM generate_series(1, 3000) i;

-- 10 and then 20 rounds on the same rows are 30 rounds
CREATE FUNCTION train(model text, target text, params text, source text DEFAULT 'rows') RETURNS text LANGUAGE sql AS $$
	SELECT format('version %s, %s features, %s rows', version, features, rows_used) FROM ml_train(model, source, target => target,
		algorithm => 'gradient_boosting', params => params::jsonb, features => '{a,b,k,d}', holdout => 0) $$;
SELECT train('once_' || t, t, '{"n_estimators": 30}'), train('twice_' || t, t, '{"n_estimators": 10}') FROM unnest(ARRAY['y', 'yes', 'class']) t;
SELECT train('twice_' || t, t, format('{"n_estimators": 20, "continue": "twice_%s"}', t)) FROM unnest(ARRAY['y', 'yes', 'class']) t;
SELECT max(abs(ml_predict('once_y', r) - ml_predict('twice_y', r))) < 1e-12 AS same, max(abs(ml_predict('once_y', r) - ml_predict('twice_y@1', r))) > 0.1 AS other,
	max(abs(ml_predict('once_yes', r) - ml_predict('twice_yes', r))) < 1e-12 AS same, max(abs(ml_probability('once_class', r, 'c2') - ml_probability('twice_class', r, 'c2'))) < 1e-12 AS same FROM rows r;
SELECT value FROM ml_describe('twice_y') WHERE item = 'rounds';
SELECT version, params ->> 'continue' AS continued, lineage -> 'continued' AS lineage, lineage -> 'parent' AS parent FROM ml.versions WHERE model = 'twice_y' ORDER BY version;

-- from a version, on new rows: categories that it does not know, some of its classes, its target by default
SELECT train('new', 'y', '{"n_estimators": 5, "continue": "twice_y@1"}', 'SELECT a, b, ''new'' AS k, d, y, i FROM rows WHERE i > 2000');
SELECT train('new_class', NULL, '{"n_estimators": 5, "continue": "twice_class"}', 'SELECT * FROM rows WHERE class IN (''c1'', ''c3'')');
SELECT count(*) AS classes FROM jsonb_object_keys((SELECT ml_probabilities('new_class', r) FROM rows r LIMIT 1));
SELECT train('new_yes', 'yes', '{"n_estimators": 5, "continue": "twice_yes"}', 'SELECT * FROM rows WHERE yes');
SELECT avg(ml_predict('new_yes', r)) > avg(ml_predict('twice_yes', r)) AS more FROM rows r;

-- what does not go together
SELECT train('new', 'class', '{"continue": "twice_class"}', 'SELECT a, b, k, d, ''other'' AS class FROM rows');
SELECT train('new', 'yes', '{"continue": "twice_y"}');
SELECT train('new', 'y', '{"continue": "none"}');
SELECT train('new', 'y', '{"continue": 1}');
SELECT train('new', 'y', '{"continue": "twice_y", "categories": "one_hot"}');
SELECT train('new', 'y', '{"continue": "twice_y", "base_score": 1}');
SELECT train('new', 'y', '{"continue": "twice_y", "objective": "absolute"}');
SELECT 1 FROM ml_train('new', 'SELECT a, b, d, y FROM rows', 'y', 'gradient_boosting', '{"continue": "twice_y"}');
SELECT 1 FROM ml_train('new', 'rows', 'y', 'gradient_boosting', '{"continue": "twice_y"}', exclude => '{k}');
SELECT 1 FROM ml_train('new', 'SELECT a::text, b, k, d, y FROM rows', 'y', 'gradient_boosting', '{"continue": "twice_y"}');
SELECT 1 FROM ml_cv('rows', 'y', 'gradient_boosting', '{"continue": "twice_y"}');
SELECT 1 FROM ml_train('line', 'rows', 'y', 'linear', features => '{a,b}');
SELECT train('new', 'y', '{"continue": "line"}');
CREATE ROLE continue_user;
GRANT SELECT ON rows TO continue_user;
SELECT ml_grant('twice_y', 'continue_user', 'predict');
SET ROLE continue_user;
SELECT ml_fit('rows', 'y', 'gradient_boosting', '{"continue": "twice_y"}', features => '{a,b,k,d}') IS NULL;
SELECT ml_fit('rows', 'y', 'gradient_boosting', '{"continue": "once_y"}', features => '{a,b,k,d}') IS NULL;
RESET ROLE;
SELECT ml_grant('twice_y', 'continue_user', 'view');
SET ROLE continue_user;
SELECT ml_fit('rows', 'y', 'gradient_boosting', '{"continue": "twice_y"}', features => '{a,b,k,d}') IS NULL;
RESET ROLE;
SELECT count(*) FROM (SELECT ml_drop(model) FROM ml.models WHERE model ~ '_|new|line') d;
DROP TABLE rows;
DROP FUNCTION train;
DROP ROLE continue_user;
