-- Everyday data that breaks a careless implementation without a word.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;

\i test/try.sql

-- few positives: the holdout has its share of them with every seed, and the same seed gives the same split
CREATE TABLE rare AS SELECT i AS id, (i * 37 % 101)::float8 AS x, i % 100 = 0 AS y FROM generate_series(1, 1000) i;
SELECT count(value) FROM generate_series(1, 20) s, LATERAL ml_train('r', 'rare', 'y', 'baseline', seed => s);
SELECT count(value) FROM generate_series(1, 20) s, LATERAL ml_train('r', 'SELECT x, y FROM rare WHERE id <= 500', 'y', 'logistic', '{"l2": 1}', seed => s);
SELECT count(DISTINCT value) FROM generate_series(1, 5) s, LATERAL ml_train('r', 'rare', 'y', 'logistic', '{"l2": 1}', features => '{x}', seed => 7);
SELECT cardinality(array_remove("values", NULL)) FROM ml_cv('rare', 'y', 'logistic', '{"l2": 1}', features => '{x}', folds => 10) WHERE metric = 'auc';

-- mean and standard deviation over the folds, not the best of them; the same again with the same seed
CREATE TABLE d AS SELECT i AS id, i::float8 AS x, chr(97 + i % 5) AS c, i * 2.5 + i % 5 + (i * 37 % 101) / 5.0::float8 AS y FROM generate_series(1, 300) i;
SELECT abs(mean - avg) < 1e-12 * avg, abs(sd - stddev) < 1e-9 * avg, cardinality(v), baseline > mean FROM (SELECT mean, sd, "values" AS v, baseline,
	(SELECT avg(x) FROM unnest("values") x), (SELECT stddev(x) FROM unnest("values") x) FROM ml_cv('d', 'y', 'ridge', features => '{x,c}', repeats => 2) WHERE metric = 'rmse') q;
SELECT count(DISTINCT "values") FROM generate_series(1, 3) s, LATERAL ml_cv('d', 'y', 'ridge', features => '{x,c}', seed => 5) WHERE metric = 'rmse';
SELECT count(DISTINCT "values") FROM generate_series(1, 3) s, LATERAL ml_cv('d', 'y', 'ridge', features => '{x,c}', seed => s) WHERE metric = 'rmse';

-- no cap and no lost row: each is used or counted with its reason
SELECT rows_read, rows_used, rows_dropped FROM ml_train('n', 'SELECT i % 1000 AS x, CASE WHEN i % 1000 > 0 THEN i * 1.5 END AS y, CASE WHEN i % 500 > 0 THEN 1 END AS w
	FROM generate_series(1, 60000) i', 'y', 'linear', weight => 'w');
SELECT rows_read, rows_used, rows_dropped FROM ml_train('n', 'SELECT i % 1000 AS x, i % 7 > 3 AS y FROM generate_series(1, 60000) i', 'y', 'logistic');

-- what reads a table is not immutable
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend e ON e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
WHERE p.proname ~ '^ml_' AND p.provolatile = 'i' AND 'text'::regtype = p.proargtypes[0] AND p.proargnames[1] = 'model';
SELECT DISTINCT provolatile FROM pg_proc WHERE proname IN ('ml_predict', 'ml_classify', 'ml_probability', 'ml_explain');

-- a model that was rolled back is not in the cache
SELECT version FROM ml_train('k', 'd', 'y', 'linear', features => '{x}');
SELECT round(ml_predict('k', d)::numeric, 6) AS was FROM d WHERE id = 10 \gset
BEGIN;
SELECT version FROM ml_train('k', 'SELECT x, -y AS y FROM d', 'y', 'linear', features => '{x}');
SELECT round(ml_predict('k', d)::numeric, 6) = :was FROM d WHERE id = 10;
ROLLBACK;
SELECT round(ml_predict('k', d)::numeric, 6) = :was FROM d WHERE id = 10;
BEGIN;
SELECT ml_drop('k');
SELECT try($$SELECT ml_predict('k', d) FROM d LIMIT 1$$);
ROLLBACK;
SELECT round(ml_predict('k', d)::numeric, 6) = :was FROM d WHERE id = 10;

-- NULL is no class
SELECT rows_used FROM ml_train('l', 'SELECT x, CASE WHEN id % 3 > 0 THEN (x > 150)::text END AS y FROM d', 'y', 'logistic', '{"l2": 1}');
SELECT string_agg(k, ',' ORDER BY k) FROM (SELECT ml_probabilities('l', d) AS p FROM d LIMIT 1) q, jsonb_object_keys(p) k;

-- exactly linear in seconds since 1970
CREATE TABLE clock AS SELECT 1700000000 + i * 60 AS seconds, timestamptz '2023-11-14 22:13:20+00' + i * interval '1 minute' AS t, 5.0::float8 + 0.25 * i AS y FROM generate_series(0, 999) i;
SELECT algorithm, value < 1e-6 FROM unnest('{linear,glm}'::text[]) a, LATERAL ml_train('c_' || a, 'clock', 'y', a, features => '{seconds}');
SELECT abs(estimate * 60 / 0.25 - 1) < 1e-9 FROM ml_coefficients('c_linear') WHERE term = 'seconds';
SELECT abs(estimate * 60 / 0.25 - 1) < 1e-9 FROM ml_coefficients('c_glm') WHERE term = 'seconds';
SELECT abs(ml_predict('c_linear', s) - 5.0) < 1e-4 FROM (SELECT 1700000000 AS seconds) s;
SELECT value < 1e-5 FROM ml_train('c', 'clock', 'y', 'linear', features => '{t}');

-- an intercept beside all the dummies
CREATE TABLE dummies AS SELECT (i % 4 = 0)::int AS a, (i % 4 = 1)::int AS b, (i % 4 = 2)::int AS c, (i % 4 = 3)::int AS d, (i % 4) * 10 + (i * 37 % 11) / 10.0::float8 AS y
FROM generate_series(1, 400) i;
SELECT value < 1, warnings FROM ml_train('dd', 'dummies', 'y', 'linear');
SELECT max(abs(ml_predict('dd', x) - m)) < 1e-9 FROM (SELECT *, avg(y) OVER (PARTITION BY a, b, c) AS m FROM dummies) x;
SELECT try($$SELECT round(value::numeric, 1) <= 1 FROM ml_train('dd', 'dummies', 'y', 'ridge', '{"l2": 1e-9}')$$);

-- without intercept, R² is one minus the residual share of the sum of squares, as R's
SELECT rows_used FROM ml_train('ni', 'SELECT x, y FROM d', 'y', 'linear', '{"intercept": false}', holdout => 0);
SELECT abs(r.value::float8 - (1 - s.sse / s.syy)) < 1e-9 FROM ml_describe('ni') r,
	(SELECT sum((y - ml_predict('ni', d)) ^ 2) AS sse, sum(y ^ 2) AS syy FROM d) s WHERE r.item IN ('r2', 'r squared', 'R²');

-- sizes that overflow or do not fit are an error that names the setting
SELECT left(try($$SELECT 1 FROM ml_train('big', 'SELECT array_fill(i::float8, ARRAY[50000]) AS a, i * 1.0 AS y FROM generate_series(1, 12) i', 'y', 'ridge', holdout => 0)$$), 5);
SELECT left(try($$SELECT 1 FROM ml_train('big', 'SELECT ''k'' || i AS c, i * 1.0 AS y FROM generate_series(1, 30000) i', 'y', 'ridge', '{"max_categories": 100000}', features => '{c}', holdout => 0)$$), 5);
SELECT try($$SELECT 1 FROM ml_train('big', 'SELECT i % 10 AS x, i * 1.0 AS y FROM generate_series(1, 100) i', 'y', 'elastic_net', '{"n_lambda": 2000000000}')$$);
SET maintenance_work_mem = '1MB';
SELECT try($$SELECT rows_used FROM ml_train('big', 'SELECT i % 10 AS x, i % 7 AS z, i * 1.0 AS y, i % 2 AS b FROM generate_series(1, 30000) i', 'y', 'ridge', features => '{x,z}')$$);
SELECT try($$SELECT rows_used FROM ml_train('big', 'SELECT i % 10 AS x, i % 7 AS z, i % 2 = 0 AS b FROM generate_series(1, 30000) i', 'b', 'logistic')$$);
SET temp_file_limit = '64kB';
SELECT left(try($$SELECT rows_used FROM ml_train('big', 'SELECT i % 10 AS x, i % 7 AS z, i % 2 = 0 AS b FROM generate_series(1, 300000) i', 'b', 'logistic')$$), 5);
RESET temp_file_limit;
RESET maintenance_work_mem;
SELECT count(*) FROM pg_ls_tmpdir() WHERE name LIKE 'pgsql_tmp' || pg_backend_pid() || '.%';

-- groups: rows of one group stay together, and too few groups are said
SET client_min_messages = warning;
SELECT rows_used, value FROM ml_train('gr', 'SELECT x, y, 1 AS g FROM d', 'y', 'linear', split_by => 'g');
SELECT metric, cardinality(array_remove("values", NULL)) BETWEEN 1 AND 5 FROM ml_cv('d', 'y', 'linear', split_by => 'c', folds => 10, seed => 1) WHERE metric = 'rmse';
SELECT metric, cardinality("values") FROM ml_cv('SELECT x, y, id % 50 AS g FROM d', 'y', 'linear', split_by => 'g', folds => 5) WHERE metric = 'rmse';
SELECT metric, cardinality("values") FROM ml_cv('d', 'y', 'linear', features => '{c}', order_by => 'x') WHERE metric = 'rmse';
