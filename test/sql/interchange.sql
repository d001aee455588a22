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

-- memory: a large file against a small budget
SET maintenance_work_mem = '8MB';
SELECT * FROM ml_import('bad', '{"learner": [' || repeat('[1],', 3000000) || '1]}');
SELECT * FROM ml_import('bad', replace(ml_export('ours', 'xgboost'), '"num_feature":"2"', '"num_feature":"16000000"'));
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
SELECT ml_revoke('ours', 'regress_ml_reader', 'predict');
DROP ROLE regress_ml_reader;
