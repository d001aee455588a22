-- What each encoder option does, against the same encoding written out in SQL: both ways give the same model.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;

CREATE TABLE raw AS SELECT i AS id, CASE WHEN i % 7 > 0 THEN (i * 37 % 101)::float8 / 10 END AS x,
	(i * 53 % 97)::float8 AS z, CASE WHEN i % 9 > 0 THEN chr(97 + (i * i % 11) % 6) END AS c,
	i % 4 = 0 AS b, (i * 37 % 101)::float8 / 5 + i % 6 + (i * 31 % 17)::float8 / 10 AS y, (1 + i % 3)::float8 AS w
FROM generate_series(1, 300) i;

-- Largest difference of the predictions of two fits; `params` encodes in one, `by_hand` (a SELECT list over raw) in the other.
CREATE FUNCTION differs(params text, features text, by_hand text, hand_features text, hand_params text DEFAULT NULL,
	algorithm text DEFAULT 'ridge', target text DEFAULT 'y') RETURNS text LANGUAGE plpgsql AS $$
DECLARE d float8;
BEGIN
	DROP TABLE IF EXISTS hand;
	EXECUTE 'CREATE TABLE hand AS SELECT id, y, b, w, ' || by_hand || ' FROM raw';
	EXECUTE format($q$SELECT max(abs(ml_predict(m.a, raw) - ml_predict(m.b, hand))) FROM raw JOIN hand USING (id),
		(SELECT ml_fit('raw', %7$L, %6$L, %1$L, features => %2$L, holdout => 0) AS a,
			ml_fit('hand', %7$L, %6$L, %3$L, features => %4$L, holdout => 0) AS b OFFSET 0) m$q$,
		params, features, hand_params, hand_features, NULL, algorithm, target) INTO d;
	RETURN CASE WHEN d < 1e-9 THEN 'same' ELSE 'differs by ' || d END;
END $$;

\i test/try.sql

-- impute and indicator
SELECT 'median', differs('{"impute": "median"}', '{x,z}', 'coalesce(x, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM raw)) AS x, z', '{x,z}');
SELECT 'mean', differs('{"impute": "mean"}', '{x,z}', 'coalesce(x, (SELECT avg(x) FROM raw)) AS x, z', '{x,z}');
SELECT 'zero', differs('{"impute": "zero"}', '{x,z}', 'coalesce(x, 0) AS x, z', '{x,z}');
SELECT 'indicator', differs('{"indicator": true, "impute": "zero", "scale": "none"}', '{x,z}', 'coalesce(x, 0) AS x, (x IS NULL)::int AS n, z', '{x,z,n}', '{"scale": "none"}');
SELECT 'error', try($$SELECT rows_used FROM ml_train('m', 'raw', 'y', 'ridge', '{"impute": "error"}', features => '{x,z}')$$);
SELECT 'drop', try($$SELECT rows_read, rows_used, rows_dropped FROM ml_train('m', 'raw', 'y', 'ridge', '{"impute": "drop"}', features => '{x,z}')$$);
SELECT 'drop', try($$SELECT ml_predict('m', raw) FROM raw WHERE x IS NULL LIMIT 1$$);
SELECT 'drop is a filter', max(abs(ml_predict('m', raw) - ml_predict(f.m, raw))) < 1e-9
FROM raw, (SELECT ml_fit('SELECT * FROM raw WHERE x IS NOT NULL', 'y', 'ridge', features => '{x,z}') AS m OFFSET 0) f WHERE x IS NOT NULL;
SELECT 'error at prediction', try($$SELECT rows_used FROM ml_train('m', 'SELECT * FROM raw WHERE x IS NOT NULL', 'y', 'ridge', '{"impute": "error"}', features => '{x,z}')$$),
	try($$SELECT ml_predict('m', raw) FROM raw WHERE x IS NULL LIMIT 1$$);
-- a NULL where training had none still gets a number
SELECT 'new null', abs(ml_predict(m, n) - ml_predict(m, a)) < 0.05 FROM (SELECT ml_fit('SELECT z, y FROM raw', 'y', 'ridge') AS m OFFSET 0) f,
	(SELECT NULL::float8 AS z) n, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY z) AS z FROM raw) a;

-- scale: in which units the penalty counts (ridge), and values that a penalized fit sees
SELECT 'standardize', differs('{"scale": "standardize", "l2": 50}', '{z}', '(z - (SELECT avg(z) FROM raw)) / (SELECT stddev_pop(z) FROM raw) AS z', '{z}', '{"scale": "none", "l2": 50}');
SELECT 'auto', differs('{"l2": 50}', '{z}', '(z - (SELECT avg(z) FROM raw)) / (SELECT stddev_pop(z) FROM raw) AS z', '{z}', '{"scale": "none", "l2": 50}');
SELECT 'minmax', differs('{"scale": "minmax", "l2": 50}', '{z}', '(z - (SELECT min(z) FROM raw)) / (SELECT max(z) - min(z) FROM raw) AS z', '{z}', '{"scale": "none", "l2": 50}');
SELECT 'robust', differs('{"scale": "robust", "l2": 50}', '{z}', '(z - (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY z) FROM raw)) / (SELECT percentile_cont(0.75) WITHIN GROUP (ORDER BY z) - percentile_cont(0.25) WITHIN GROUP (ORDER BY z) FROM raw) AS z', '{z}', '{"scale": "none", "l2": 50}');

-- categories
SELECT 'one_hot, all', differs(NULL, '{c}', '(c=''a'')::int a, (c=''b'')::int b1, (c=''c'')::int c1, (c=''d'')::int d, (c=''e'')::int e, (c=''f'')::int f, (c IS NULL)::int n', '{a,b1,c1,d,e,f,n}', '{"scale": "none", "impute": "zero"}');
SELECT 'one_hot, reference', differs('{"levels": "reference"}', '{c}', '(c=''b'')::int b1, (c=''c'')::int c1, (c=''d'')::int d, (c=''e'')::int e, (c=''f'')::int f, (c IS NULL)::int n', '{b1,c1,d,e,f,n}', '{"scale": "none", "impute": "zero"}');
SELECT 'linear drops the first', string_agg(term, ' ' ORDER BY term COLLATE "C") FROM (SELECT ml_fit('raw', 'y', 'linear', features => '{c}') AS m) f, ml_coefficients(m);
SELECT 'kept and other', string_agg(term, ' ' ORDER BY term COLLATE "C") FROM (SELECT ml_fit('raw', 'y', 'ridge', '{"max_categories": 2}', features => '{c}') AS m) f, ml_coefficients(m);
SELECT c, count(*) FROM raw GROUP BY c ORDER BY count(*) DESC, c COLLATE "C";
SELECT 'ordinal', differs('{"categories": "ordinal"}', '{c}', 'CASE WHEN c IS NULL THEN -1 ELSE dense_rank() OVER (ORDER BY c COLLATE "C") - 1 END AS c', '{c}');
SELECT 'frequency', differs('{"categories": "frequency"}', '{c}', 'count(*) OVER (PARTITION BY c) / 300.0 AS c', '{c}');
-- target: at prediction, the category's mean drawn to the overall one by 20 rows; a linear model of it is a line through them
SELECT 'target', abs(corr(ml_predict(m, s), v))::numeric(10, 9), count(DISTINCT v) FROM (SELECT ml_fit('raw', 'y', 'linear', '{"categories": "target"}', features => '{c}') AS m OFFSET 0) f,
	(SELECT c, (sum(y) + 20 * (SELECT avg(y) FROM raw)) / (count(*) + 20) AS v FROM raw GROUP BY c) s;
SELECT 'target, unseen', abs(ml_predict(m, s) - avg) < 0.5 FROM (SELECT ml_fit('raw', 'y', 'linear', '{"categories": "target"}', features => '{c}') AS m OFFSET 0) f,
	(SELECT 'never'::text AS c) s, (SELECT avg(y) FROM raw) a;
SELECT 'target, classes', try($$SELECT rows_used FROM ml_train('m', 'SELECT c, z, (id % 3)::text AS y FROM raw', 'y', 'logistic', '{"categories": "target"}')$$);

-- Labels that have nothing to do with 2,000 categories: what an encoding that looks at its own row gains is a leak.
CREATE TABLE noise AS SELECT i AS id, 'k' || (hashint4(i) & 2047) AS c, (hashint4(i + 1000000) & 1) = 1 AS b, (hashint4(i + 2000000) & 1023)::float8 AS y
FROM generate_series(1, 8000) i;
SELECT 'no leak, regression', value > 0.99 * baseline FROM ml_train('m', 'noise', 'y', 'linear', '{"categories": "target"}', features => '{c}', seed => 3);
SELECT 'no leak, classes', value BETWEEN 0.45 AND 0.55 FROM ml_train('m', 'noise', 'b', 'logistic', '{"categories": "target"}', features => '{c}', seed => 3);
SELECT 'no leak in training', abs(estimate) < 0.5 FROM (SELECT ml_fit('noise', 'y', 'linear', '{"categories": "target"}', features => '{c}') AS m) f, ml_coefficients(m) WHERE term = 'c';
SELECT 'no leak in cv', mean > 0.99 * baseline FROM ml_cv('noise', 'y', 'linear', '{"categories": "target"}', features => '{c}') WHERE metric = 'rmse';
-- and where they have, it is learned
SELECT 'learned', value < 0.2 * baseline FROM ml_train('m', 'SELECT k AS c, (hashtext(k) & 1023) + (id % 10) AS y FROM (SELECT id, left(c, 3) AS k FROM noise) q', 'y', 'linear', '{"categories": "target"}');

-- unseen categories
SELECT 'unseen zero is the reference', ml_predict(m, s) = ml_predict(m, r) FROM (SELECT ml_fit('SELECT c, y FROM raw WHERE c IS NOT NULL', 'y', 'linear') AS m OFFSET 0) f,
	(SELECT 'never'::text AS c) s, (SELECT 'a'::text AS c) r;
SELECT 'unseen other', ml_predict(m, s) = ml_predict(m, r) FROM (SELECT ml_fit('raw', 'y', 'ridge', '{"max_categories": 2}', features => '{c}') AS m OFFSET 0) f,
	(SELECT 'never'::text AS c) s, (SELECT 'f'::text AS c) r;
SELECT 'unseen error', rows_used FROM ml_train('u', 'raw', 'y', 'ridge', '{"unseen": "error"}', features => '{c}');
SELECT try($$SELECT ml_predict('u', s) FROM (SELECT 'never'::text AS c) s$$);
SELECT try($$SELECT ml_predict('u', '{"c": "never"}'::jsonb)$$);
SELECT try($$SELECT round(ml_predict('u', s)::numeric, 4) FROM (SELECT NULL::text AS c) s$$);
SELECT 'unseen error, ordinal', rows_used FROM ml_train('u', 'raw', 'y', 'ridge', '{"unseen": "error", "categories": "ordinal"}', features => '{c}');
SELECT try($$SELECT ml_predict('u', s) FROM (SELECT 'never'::text AS c) s$$);

-- nonfinite
CREATE TABLE wild AS SELECT id, CASE id WHEN 5 THEN 'NaN' WHEN 6 THEN 'Infinity' WHEN 7 THEN '-Infinity' ELSE z END::float8 AS z, y FROM raw;
SELECT try($$SELECT rows_used FROM ml_train('w', 'wild', 'y', 'ridge', features => '{z}')$$);
SELECT try($$SELECT rows_read, rows_used, rows_dropped FROM ml_train('w', 'wild', 'y', 'ridge', '{"nonfinite": "drop"}', features => '{z}')$$);
SELECT try($$SELECT rows_read, rows_used, rows_dropped FROM ml_train('w', 'wild', 'y', 'ridge', '{"nonfinite": "null"}', features => '{z}')$$);
SELECT 'as null', max(abs(ml_predict(m1, raw) - ml_predict(m2, raw))) < 1e-9 FROM raw, (SELECT ml_fit('wild', 'y', 'ridge', '{"nonfinite": "null"}', features => '{z}') AS m1,
	ml_fit('SELECT CASE WHEN id NOT IN (5, 6, 7) THEN z END AS z, y FROM wild', 'y', 'ridge', features => '{z}') AS m2 OFFSET 0) f;
SELECT id, try(format('SELECT ml_predict(''w'', wild) BETWEEN 0 AND 30 FROM wild WHERE id = %s', id)) FROM wild WHERE id BETWEEN 4 AND 7 ORDER BY id;
SELECT try($$SELECT rows_used FROM ml_train('w', 'SELECT z, CASE id WHEN 1 THEN ''NaN'' ELSE y END::float8 AS y FROM raw', 'y', 'ridge', '{"nonfinite": "drop"}')$$);

-- class_weight: as weights that give each class the same sum
SELECT 'balanced', max(abs(ml_predict(m1, raw) - ml_predict(m2, raw))) < 1e-6 FROM raw, (SELECT ml_fit('raw', 'b', 'logistic', '{"class_weight": "balanced"}', features => '{z,y}', holdout => 0) AS m1,
	ml_fit('SELECT *, 300.0 / (2 * count(*) OVER (PARTITION BY b)) AS k FROM raw', 'b', 'logistic', features => '{z,y}', weight => 'k', holdout => 0) AS m2 OFFSET 0) f;
SELECT try($$SELECT rows_used FROM ml_train('w', 'raw', 'y', 'ridge', '{"class_weight": "balanced"}')$$);
SELECT try($$SELECT rows_used FROM ml_train('w', 'raw', 'w', params => '{"class_weight": "balanced"}')$$);

-- weights: as rows that come so often
SELECT 'weights repeat rows', max(abs(ml_predict(m1, raw) - ml_predict(m2, raw))) < 1e-9 FROM raw, (SELECT
	ml_fit('SELECT raw.* FROM raw, generate_series(1, w::int)', 'y', 'linear', '{"impute": "zero"}', features => '{z,c,x}', holdout => 0) AS m1,
	ml_fit('raw', 'y', 'linear', '{"impute": "zero"}', features => '{z,c,x}', weight => 'w', holdout => 0) AS m2 OFFSET 0) f;

-- dates: days, month, day of week, hour
SELECT 'timestamp', max(abs(ml_predict(a, s) - ml_predict(b, s))) < 1e-9 FROM (SELECT *, extract(epoch FROM t) / 86400 AS days, extract(month FROM t)::int AS month,
	extract(dow FROM t)::int AS dow, extract(hour FROM t)::int + extract(minute FROM t) / 60 AS hour FROM (SELECT timestamp '2023-11-05 07:30' + id * interval '31 hours' AS t, y FROM raw) q) s,
	(SELECT ml_fit('SELECT timestamp ''2023-11-05 07:30'' + id * interval ''31 hours'' AS t, y FROM raw', 'y', 'ridge') AS a, ml_fit('SELECT extract(epoch FROM t) / 86400 AS days,
	extract(month FROM t)::int AS month, extract(dow FROM t)::int AS dow, extract(hour FROM t)::int + extract(minute FROM t) / 60 AS hour, y
	FROM (SELECT timestamp ''2023-11-05 07:30'' + id * interval ''31 hours'' AS t, y FROM raw) q', 'y', 'ridge') AS b OFFSET 0) f;
SELECT term FROM (SELECT ml_fit('SELECT timestamp ''2023-11-05 07:30'' + id * interval ''31 hours'' AS t, y FROM raw', 'y', 'ridge') AS m) f, ml_coefficients(m);
