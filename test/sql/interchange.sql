-- ml_import and ml_export: names, labels, privileges, errors. Numbers are compared with XGBoost in test/t/043_interchange.pl.
\set SHOW_CONTEXT never
\set VERBOSITY default
SET client_min_messages = error;
CREATE TABLE made AS SELECT i::float8 AS x, CASE WHEN i % 5 <> 0 THEN 'c' || i % 4 END AS kind, (i % 7 + CASE i % 4 WHEN 1 THEN 10 ELSE 0 END)::float8 AS y
	FROM generate_series(1, 200) i;
SELECT version FROM ml_train('ours', 'made', target => 'y', algorithm => 'gradient_boosting', params => '{"n_estimators": 5, "max_depth": 2}', holdout => 0);
-- what says which number stands for which category
SELECT ml_export('ours', 'xgboost')::jsonb #>> '{learner,attributes,ml_ext}';
SELECT ml_export('ours', 'xgboost') = ml_export((SELECT model FROM ml.version JOIN ml.model m USING (model_id) WHERE m.name = 'ours'), 'xgboost') AS by_value;

-- read again: the same predictions but for float32, with categories as numbers
SELECT * FROM ml_import('theirs', ml_export('ours', 'xgboost'), target => 'y');
SELECT count(*), max(abs(ml_predict('ours', m) - ml_predict('theirs', jsonb_build_object('x', x, 'kind', right(kind, 1)::int)))) < 1e-5 AS same FROM made m;
SELECT feature, value FROM ml_explain('theirs', '{"x": 3, "kind": null}'::jsonb);
SELECT item, value FROM ml_describe('theirs') WHERE item IN ('algorithm', 'task', 'target', 'features');
SELECT model, version, algorithm, source FROM ml.versions WHERE model = 'theirs';
SELECT version, origin FROM ml_import('theirs', convert_to(ml_export('ours', 'xgboost'), 'UTF8'), features => ARRAY['a', 'b']);
SELECT round(ml_predict('theirs', '{"a": 3, "b": 1}'::jsonb)::numeric, 3) = round(ml_predict('theirs@1', '{"x": 3, "kind": 1}'::jsonb)::numeric, 3) AS renamed;
CREATE TABLE plant AS SELECT i::float8 AS x, CASE WHEN i > 100 THEN 'tall' ELSE 'small' END AS size FROM generate_series(1, 200) i;
SELECT version FROM ml_train('classes', 'plant', target => 'size', algorithm => 'gradient_boosting', params => '{"n_estimators": 3}', holdout => 0);
SELECT task, features FROM ml_import('classes_again', ml_export('classes', 'xgboost'), labels => ARRAY['small', 'tall'], target => 'size');
SELECT ml_classify('classes_again', '{"x": 3}'::jsonb), ml_classify('classes_again', '{"x": 160}'::jsonb);
SELECT metric, value FROM ml_evaluate('classes_again', 'plant') WHERE metric = 'accuracy';

-- arguments
SELECT * FROM ml_import('bad', NULL::text);
SELECT * FROM ml_import(NULL, 'tree');
SELECT * FROM ml_import('', '{}');
SELECT * FROM ml_import('bad', '{}', 'onnx');
SELECT * FROM ml_import('bad', 'onnx');
SELECT * FROM ml_import('bad', '');
SELECT * FROM ml_import('bad', ''::bytea);
SELECT * FROM ml_import('bad', '{}');
SELECT * FROM ml_import('bad', '{"learner": 1', 'xgboost');
SELECT * FROM ml_import('bad', ml_export('ours', 'xgboost'), 'lightgbm');
SELECT * FROM ml_import('bad', ml_export('ours', 'xgboost'), features => ARRAY['a']);
SELECT * FROM ml_import('bad', ml_export('ours', 'xgboost'), features => ARRAY['a', NULL]);
SELECT * FROM ml_import('bad', ml_export('ours', 'xgboost'), features => ARRAY['a', 'a']);
SELECT * FROM ml_import('bad', ml_export('ours', 'xgboost'), features => ARRAY['a', '']);
SELECT * FROM ml_import('bad', ml_export('ours', 'xgboost'), features => ARRAY['a', repeat('b', 64)]);
SELECT * FROM ml_import('bad', ml_export('ours', 'xgboost'), labels => ARRAY['a', 'b']);
SELECT * FROM ml_import('bad', ml_export('classes', 'xgboost'), labels => ARRAY['a', 'b', 'c']);
SELECT * FROM ml_import('bad', replace(ml_export('ours', 'xgboost'), 'reg:squarederror', 'binary:hinge'));
SELECT * FROM ml_import('bad', replace(ml_export('ours', 'xgboost'), 'gbtree"}', 'gblinear"}'));
SELECT * FROM ml_import('bad', replace(ml_export('ours', 'xgboost'), '"num_target":"1"', '"num_target":"2"'));
SELECT * FROM ml_import('bad', replace(ml_export('ours', 'xgboost'), '"num_feature":"2"', '"num_feature":"3000000000"'));
SELECT * FROM ml_import('bad', replace(ml_export('ours', 'xgboost'), '"base_score":"0E0"', '"base_score":"[1,2]"'));
SELECT * FROM ml_import('bad', regexp_replace(ml_export('ours', 'xgboost'), '"left_children":\[1', '"left_children":[0'));
SELECT * FROM ml_import('bad', regexp_replace(ml_export('ours', 'xgboost'), '"left_children":\[1', '"left_children":[4294967297'));
SELECT * FROM ml_import('bad', regexp_replace(ml_export('ours', 'xgboost'), '"categories":\[\d', '"categories":[2147483648'));
SELECT * FROM ml_export('ours', 'lightgbm');
SELECT * FROM ml_export('ours', 'onnx');
SELECT * FROM ml_export('missing', 'xgboost');
SELECT version FROM ml_train('line', 'made', target => 'y', algorithm => 'linear', holdout => 0);
SELECT * FROM ml_export('line', 'xgboost');
SELECT version FROM ml_train('coded', 'made', target => 'y', algorithm => 'gradient_boosting', params => '{"n_estimators": 2, "categories": "one_hot"}', holdout => 0);
SELECT * FROM ml_export('coded', 'xgboost');
SELECT version FROM ml_train('odd', 'SELECT x FROM made', algorithm => 'isolation_forest', params => '{"n_estimators": 2}', holdout => 0);
SELECT * FROM ml_export('odd', 'xgboost');
SET default_transaction_read_only = on;
SELECT * FROM ml_import('bad', '{}');
RESET default_transaction_read_only;

-- memory: a large file against a small budget (how much is in use depends on the server's build)
SET maintenance_work_mem = '8MB';
\set VERBOSITY terse
SELECT * FROM ml_import('bad', '{"learner": [' || repeat('[1],', 3000000) || '1]}');
SELECT * FROM ml_import('bad', replace(ml_export('ours', 'xgboost'), '"num_feature":"2"', '"num_feature":"16000000"'));
\set VERBOSITY default
RESET maintenance_work_mem;

-- who may
CREATE ROLE regress_ml_reader;
SET ROLE regress_ml_reader;
SELECT * FROM ml_export('ours', 'xgboost');
SELECT * FROM ml_import('ours', '{}');
RESET ROLE;
SELECT ml_grant('ours', 'regress_ml_reader', 'predict');
SET ROLE regress_ml_reader;
SELECT * FROM ml_export('ours', 'xgboost');
RESET ROLE;
SELECT ml_grant('ours', 'regress_ml_reader', 'view');
SET ROLE regress_ml_reader;
SELECT length(ml_export('ours', 'xgboost')) > 100 AS exported;
SELECT model, version FROM ml_import('mine', ml_export('ours', 'xgboost'));
SELECT model, version FROM ml_import('ours', ml_export('ours', 'xgboost'));
SELECT ml_drop('mine');
RESET ROLE;
SELECT model FROM ml.models WHERE model IN ('bad', 'mine');

-- the document of ml_ext itself: any algorithm, every bit, where it comes from
SELECT version FROM ml_train('house', 'made', target => 'y', algorithm => 'ridge', notes => 'say "hi"');
CREATE TABLE document AS SELECT ml_export('house', 'ml') AS d;
SELECT key, jsonb_typeof(value) FROM document, jsonb_each(d::jsonb) ORDER BY key;
SELECT key FROM document, jsonb_object_keys(d::jsonb->'provenance') key ORDER BY key COLLATE "C";
SELECT model, version, algorithm, task, features, origin LIKE '"house" version 1, trained by % at %' AS origin FROM document, ml_import('moved', d);
SELECT bool_and(float8send(ml_predict('house', m)) = float8send(ml_predict('moved', m))) AS same, count(*) FROM made m;
SELECT a.model::text = b.model::text AS bytes, a.fingerprint = b.fingerprint AS fingerprint,
	a.source = b.source AND a.rows_used = b.rows_used AND a.seed = b.seed AND a.metric = b.metric AND a.value = b.value
		AND a.baseline = b.baseline AND a.warnings = b.warnings AND a.notes = b.notes AS provenance,
	b.lineage #> '{imported,lineage}' = a.lineage AS lineage, b.lineage #>> '{imported,name}' AS name,
	(b.lineage #>> '{imported,trained_at}')::timestamptz = a.trained_at AS trained_at, b.lineage ? 'recipe' AS recipe
	FROM ml.version a JOIN ml.model ma USING (model_id), ml.version b JOIN ml.model mb USING (model_id)
	WHERE ma.name = 'house' AND mb.name = 'moved';
SELECT action, model, version, detail->>'format' AS format, left(detail->>'origin', 17) AS origin FROM ml.audit WHERE model IN ('house', 'moved') ORDER BY audit_id;
-- white space and the order of keys may change; the bytes in UTF-8; by value; the other kinds of model
SELECT version FROM document, ml_import('moved', jsonb_pretty(d::jsonb));
SELECT version FROM document, ml_import('moved', (SELECT '{' || string_agg(format('%s: %s', to_json(key), value), ', ' ORDER BY key) || '}' FROM jsonb_each(d::jsonb)), 'ml');
SELECT version FROM document, ml_import('moved', convert_to(d, 'UTF8'));
SELECT version, origin FROM ml_import('moved', ml_export((SELECT model FROM ml.version JOIN ml.model m USING (model_id) WHERE m.name = 'house'), 'ml'));
SELECT ml_export('moved', 'ml')::jsonb->>'payload' = d::jsonb->>'payload' AS again FROM document;
SELECT version, algorithm, features, task FROM ml_import('classes_moved', ml_export('classes', 'ml'));
SELECT bool_and(ml_probability('classes', p, 'tall') = ml_probability('classes_moved', p, 'tall')) AS same FROM plant p;
SELECT version, algorithm, task FROM ml_import('odd_moved', ml_export('odd', 'ml'));
SELECT version, algorithm FROM ml_import('theirs_moved', ml_export('theirs', 'ml'));
-- nothing of a document is run
SELECT ml_retrain('moved');
-- damage
CREATE FUNCTION try_import(d text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	PERFORM ml_import('bad', d, 'ml');
	RETURN 'imported';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ' ' || SQLERRM || ' ' || detail;
END $$;
SELECT n, try_import(CASE n
	WHEN 1 THEN jsonb_set(d, '{provenance,rows_used}', '7')
	WHEN 2 THEN jsonb_set(d, '{checksum}', to_jsonb(repeat('0', 64)))
	WHEN 3 THEN jsonb_set(d, '{payload}', to_jsonb(overlay(d->>'payload' PLACING CASE substr(d->>'payload', 200, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 200)))
	WHEN 4 THEN jsonb_set(d, '{payload}', '"?"')
	WHEN 5 THEN jsonb_set(d, '{payload}', '7')
	WHEN 6 THEN d - 'checksum'
	WHEN 7 THEN d || '{"more": 1}'
	WHEN 8 THEN jsonb_set(d, '{ml_ext}', '2')
	WHEN 9 THEN jsonb_set(d, '{provenance}', '[]')
	WHEN 10 THEN jsonb_set(d, '{ml_ext}', '"x"')
	WHEN 11 THEN '[]' END::text) FROM (SELECT d::jsonb AS d FROM document) s, generate_series(1, 11) n ORDER BY n;
SELECT DISTINCT left(try_import(left(d, length(d) * i / 40)), 5) FROM document, generate_series(0, 39) i;
-- with a checksum that is right: what an enemy writes
CREATE FUNCTION forge(d jsonb, provenance jsonb, payload bytea) RETURNS text LANGUAGE SQL AS $$
	SELECT jsonb_build_object('ml_ext', 1, 'payload', replace(encode(payload, 'base64'), E'\n', ''), 'provenance', provenance, 'checksum',
		encode(sha256(convert_to('ml_ext 1' || chr(10) || provenance::text || chr(10), 'UTF8') || payload), 'hex'))::text $$;
SELECT n, try_import(forge(d, p || CASE n WHEN 1 THEN '{"rows_used": -1}' WHEN 2 THEN '{"rows_read": "many"}' WHEN 3 THEN '{"metric": "r2\", \"a\": \""}'
	WHEN 4 THEN '{"warnings": 1}' WHEN 5 THEN '{"warnings": [1]}' WHEN 6 THEN '{"fingerprint": "00"}' WHEN 7 THEN '{"elapsed": 1e30}'
	WHEN 8 THEN '{"notes": {}}' WHEN 9 THEN '{"value": "much"}' WHEN 10 THEN '{"rows_read": 1e300}' ELSE '{}' END::jsonb,
	CASE n WHEN 11 THEN set_byte(b, 100, 255 - get_byte(b, 100)) WHEN 12 THEN substr(b, 1, 30) WHEN 13 THEN '' ELSE b END))
	FROM (SELECT d::jsonb AS d, d::jsonb->'provenance' AS p, decode(d::jsonb->>'payload', 'base64') AS b FROM document) s, generate_series(1, 13) n ORDER BY n;
SELECT version FROM document, ml_import('forged', forge(d::jsonb, '{"source": "SELECT 1; DROP TABLE made", "name": "x''; DROP TABLE made; --", "lineage": {"recipe": {"source": "SELECT 1/0"}}}', decode(d::jsonb->>'payload', 'base64')));
SELECT ml_retrain('forged');
SELECT * FROM document, ml_import('bad', d, features => ARRAY['a']);
SELECT * FROM document, ml_import('bad', d, target => 'y');
SELECT * FROM document, ml_import('bad', '\x7b226d6c5f657874220022'::bytea);
SELECT * FROM document, ml_import('bad', '\x7b226d6c5f65787422ff22'::bytea);
SELECT * FROM ml_verify();
-- who may
SET ROLE regress_ml_reader;
SELECT ml_export('house', 'ml');
RESET ROLE;
SELECT ml_grant('house', 'regress_ml_reader', 'predict');
SET ROLE regress_ml_reader;
SELECT ml_export('house', 'ml');
RESET ROLE;
SELECT ml_grant('house', 'regress_ml_reader', 'view');
SET ROLE regress_ml_reader;
SELECT ml_export('house', 'ml')::jsonb #>> '{provenance,exported_by}' AS exported_by;
SELECT model FROM ml_import('house', ml_export('house', 'ml'));
SELECT model FROM ml_import('mine', ml_export('house', 'ml'));
SELECT role, action, model FROM ml.audit WHERE model IN ('house', 'mine') AND role = 'regress_ml_reader' ORDER BY audit_id;
SELECT ml_drop('mine');
RESET ROLE;
SELECT model FROM ml.models WHERE model IN ('bad', 'mine');
SELECT ml_revoke('house', 'regress_ml_reader', 'predict');
SELECT ml_revoke('ours', 'regress_ml_reader', 'predict');
DROP ROLE regress_ml_reader;
