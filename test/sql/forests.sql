-- Trees that are grown independently: edges, warnings, errors, samples and anomalies.
SET client_min_messages = error;
CREATE FUNCTION try(q text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text;
BEGIN
	EXECUTE q INTO r;
	RETURN 'ok ' || coalesce(r, 'NULL');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- a step function of two columns: one tree finds it, category and missing values included
CREATE TABLE steps AS
	SELECT i % 10 AS a, (ARRAY['red','green','blue'])[1 + i % 3] AS color, CASE WHEN i % 7 > 0 THEN i % 7 END AS b,
		(CASE WHEN i % 10 < 4 THEN 1 ELSE 5 END) + (CASE WHEN i % 3 = 1 THEN 10 ELSE 0 END) +
		(CASE WHEN i % 7 = 0 THEN 100 ELSE 0 END) AS y
	FROM generate_series(1, 2100) i;
SELECT a.name, round(sqrt(avg((y - ml_predict(m, s)) ^ 2))::numeric, 6) AS rmse
FROM (VALUES ('decision_tree'), ('random_forest'), ('extra_trees')) a (name),
	LATERAL ml_fit('SELECT * FROM steps', 'y', algorithm => a.name, task => 'regression', params => CASE a.name
		WHEN 'decision_tree' THEN '{}' ELSE '{"n_estimators": 20, "max_features": 1}' END::jsonb) m, steps s
GROUP BY 1 ORDER BY 1;

-- pruning: a greater penalty leaves a smaller tree
SELECT alpha, (SELECT value FROM ml_describe(m) WHERE item = 'leaves') AS leaves
FROM (VALUES (0), (1), (5), (1000)) v (alpha), LATERAL ml_fit('SELECT * FROM steps', 'y', algorithm => 'decision_tree',
	task => 'regression', params => jsonb_build_object('ccp_alpha', alpha)) m ORDER BY 1;

-- the same seed gives the same bytes, another seed others; a tree has no seed
SELECT a.name, md5(m1::text) = md5(m2::text) AS same, md5(m1::text) = md5(m3::text) AS other
FROM (VALUES ('random_forest'), ('extra_trees')) a (name),
	LATERAL ml_fit('SELECT * FROM steps', 'y', algorithm => a.name, task => 'regression', params => '{"n_estimators": 5}', seed => 1) m1,
	LATERAL ml_fit('SELECT * FROM steps', 'y', algorithm => a.name, task => 'regression', params => '{"n_estimators": 5}', seed => 1) m2,
	LATERAL ml_fit('SELECT * FROM steps', 'y', algorithm => a.name, task => 'regression', params => '{"n_estimators": 5}', seed => 2) m3
ORDER BY 1;

-- "auto" is the default
SELECT md5(m1::text) = md5(m2::text) AS same
FROM ml_fit('SELECT * FROM steps', 'color', algorithm => 'random_forest', params => '{"n_estimators": 5}') m1,
	ml_fit('SELECT * FROM steps', 'color', algorithm => 'random_forest', params => '{"n_estimators": 5, "max_features": "auto"}') m2;

-- out of bag
SELECT item, round(value::numeric, 1) FROM ml_describe((SELECT ml_fit('SELECT * FROM steps', 'y', algorithm => 'random_forest',
	task => 'regression'))) WHERE item LIKE 'out-of-bag%';

-- errors
SELECT try($q$SELECT ml_fit('steps', 'y', algorithm => 'decision_tree', task => 'regression', params => '{"criterion": "gini"}')$q$);
SELECT try($q$SELECT ml_fit('steps', 'color', algorithm => 'random_forest', params => '{"criterion": "squared"}')$q$);
SELECT try($q$SELECT ml_fit('steps', 'color', algorithm => 'random_forest', params => '{"max_features": "some"}')$q$);
SELECT try($q$SELECT ml_fit('steps', 'color', algorithm => 'random_forest', params => '{"n_estimators": 0}')$q$);
SELECT try($q$SELECT ml_fit('steps', 'y', algorithm => 'isolation_forest')$q$);

-- one row, one class, nothing but constants, zero weights
CREATE TABLE few (x float8, c text, y float8, w float8);
INSERT INTO few VALUES (1, 'a', 2, 1);
-- the trainer refuses, before an algorithm is asked, what has no variation
SELECT a, try(format($q$SELECT ml_predict(ml_fit('SELECT x, y FROM few', 'y', algorithm => %L, task => 'regression', holdout => 0), f) FROM few f$q$, a)) AS number,
	try(format($q$SELECT ml_classify(ml_fit('SELECT x, c FROM few', 'c', algorithm => %L, holdout => 0), f) FROM few f$q$, a)) AS class
FROM unnest('{decision_tree,random_forest,extra_trees}'::text[]) a;
SELECT try($q$SELECT ml_predict(ml_fit('SELECT x FROM few', algorithm => 'isolation_forest'), f) FROM few f$q$);
INSERT INTO few SELECT 1, 'b', i, 0 FROM generate_series(1, 20) i;
SELECT a, try(format($q$SELECT round(ml_predict(ml_fit('SELECT x, y FROM few', 'y', algorithm => %L, task => 'regression', holdout => 0), f)::numeric, 3) FROM few f LIMIT 1$q$, a)) AS constant,
	try(format($q$SELECT ml_predict(ml_fit('SELECT x, y, w FROM few', 'y', algorithm => %L, task => 'regression', weight => 'w', holdout => 0), f) FROM few f LIMIT 1$q$, a)) AS one_weight
FROM unnest('{decision_tree,extra_trees}'::text[]) a;

-- 300 classes, 100,000 categories
CREATE TABLE many AS SELECT 'class ' || i % 300 AS c, i % 300 + 0.5 AS x, 'level ' || i AS l, (i % 2)::float8 AS y, i % 2 AS z
	FROM generate_series(1, 100000) i;
SELECT round(avg((ml_classify(m, t) = c)::int), 3) FROM ml_fit('SELECT c, x FROM many LIMIT 6000', 'c', algorithm => 'decision_tree') m,
	(SELECT c, x FROM many LIMIT 600) t;
SELECT a, try(format($q$SELECT round(avg(ml_predict(m, t))::numeric, 1) FROM ml_fit('SELECT l, z, y FROM (SELECT * FROM many UNION ALL SELECT * FROM many) d',
	'y', algorithm => %L, task => 'regression', params => '{"max_depth": 4}') m, (SELECT * FROM many LIMIT 1000) t$q$, a))
FROM unnest('{decision_tree,extra_trees}'::text[]) a;

-- a stranger among others
CREATE TABLE crowd AS SELECT (i % 97) / 97.0 AS x, (i % 89) / 89.0 AS y, (ARRAY['a','b'])[1 + i % 2] AS c FROM generate_series(1, 2000) i;
INSERT INTO crowd VALUES (9, 9, 'z'), (NULL, 0.5, 'a');
SELECT x, y, c FROM crowd t, ml_fit('crowd', algorithm => 'isolation_forest') m ORDER BY ml_predict(m, t) DESC LIMIT 1;

-- with few rows one tree tells all values apart, however many: two rows at the end of a column
SELECT sum((ml_classify(m, t) <> c)::int) AS wrong FROM (SELECT i AS x, CASE WHEN i > 4998 THEN 'rare' ELSE 'usual' END AS c FROM generate_series(1, 5000) i) t,
	ml_fit($q$SELECT i AS x, CASE WHEN i > 4998 THEN 'rare' ELSE 'usual' END AS c FROM generate_series(1, 5000) i$q$, 'c',
		algorithm => 'decision_tree', params => '{"max_depth": 1}', holdout => 0) m;

-- of columns that part the rows as well it takes one by its seed, not always the first
CREATE TABLE twins AS SELECT i AS a, i AS b, CASE WHEN i > 5 THEN 'high' ELSE 'low' END AS c FROM generate_series(1, 10) i;
SELECT count(DISTINCT ml_classify(ml_fit('twins', 'c', algorithm => 'decision_tree', holdout => 0, seed => s), '{"a": 10, "b": 1}'::jsonb)) AS answers
FROM generate_series(1, 20) s;

-- a category is as likely to be tried as one of its levels would: with eight a share of 0.3 means nearly always
CREATE TABLE eights AS SELECT 'l' || i % 8 AS a, 'l' || i / 8 % 8 AS b, 'l' || i / 64 % 8 AS c, 'l' || (i + i / 8) % 8 AS d, i % 8 < 2 AS y
	FROM generate_series(0, 511) i;
SELECT max(abs(ml_predict(m, t) - y::int)) AS error FROM eights t, ml_fit('eights', 'y', algorithm => 'random_forest',
	params => '{"n_estimators": 20, "max_depth": 1, "max_features": 0.3, "bootstrap": false}', holdout => 0) m;

-- unless max_bin says how many
SELECT b AS max_bin, sum((ml_classify(m, t) <> c)::int) > 0 AS wrong
FROM unnest(ARRAY['1024', '5000', '"auto"', NULL]) b, (SELECT i AS x, CASE WHEN i > 4998 THEN 'rare' ELSE 'usual' END AS c FROM generate_series(1, 5000) i) t,
	ml_fit($q$SELECT i AS x, CASE WHEN i > 4998 THEN 'rare' ELSE 'usual' END AS c FROM generate_series(1, 5000) i$q$, 'c',
		algorithm => 'decision_tree', params => format('{"max_depth": 1, "max_bin": %s}', coalesce(b, 'null'))::jsonb, holdout => 0) m
GROUP BY 1 ORDER BY 1;
SELECT algorithm, default_value, min FROM ml.parameters WHERE name = 'max_bin' AND algorithm IN ('decision_tree', 'random_forest') ORDER BY 1;
SELECT try($q$SELECT ml_fit('steps', 'color', algorithm => 'decision_tree', params => '{"max_bin": 0}')$q$);
SELECT try($q$SELECT ml_fit('steps', 'color', algorithm => 'random_forest', params => '{"max_bin": "auto"}')$q$);

-- a threshold is half way between the values of the node, not of all rows, and the very middle goes left
CREATE TABLE gaps AS SELECT i AS x, 'all' AS part, 5.0 AS y FROM generate_series(1, 10) i UNION ALL SELECT 3, 'some', 50 UNION ALL SELECT 7, 'some', 70;
CREATE TABLE gaps_tree AS SELECT ml_fit('gaps', 'y', algorithm => 'decision_tree', holdout => 0) AS m;
SELECT x, round(ml_predict(m, jsonb_build_object('x', x, 'part', 'some'))::numeric, 3) AS y FROM gaps_tree, unnest('{4.9,5,5.1}'::float8[]) x;
SELECT d.item, d.value FROM gaps_tree, ml_describe(m) d WHERE d.item LIKE 'rule%' ORDER BY 1;

-- that of extra_trees is anywhere between
SELECT x, abs(ml_predict(m, jsonb_build_object('x', x)) - x / 10) < 0.05 AS near FROM unnest('{1,3,5,9}'::float8[]) x,
	ml_fit('SELECT 10 * i AS x, i::float8 AS y FROM generate_series(0, 1) i', 'y', algorithm => 'extra_trees', params => '{"n_estimators": 1000}', holdout => 0) m;

-- missing values that say everything are told apart in few rows, too
SELECT count(*) FILTER (WHERE ml_classify(m, t) <> c) AS wrong FROM (SELECT CASE WHEN i % 4 > 0 THEN i END AS x, CASE WHEN i % 4 > 0 THEN 'known' ELSE 'not' END AS c FROM generate_series(1, 20) i) t,
	ml_fit($q$SELECT CASE WHEN i % 4 > 0 THEN i END AS x, CASE WHEN i % 4 > 0 THEN 'known' ELSE 'not' END AS c FROM generate_series(1, 20) i$q$, 'c',
		algorithm => 'decision_tree', holdout => 0) m;
-- in a part of the rows a few of them go with most others, many where they belong; with counts, rows of many classes, and entropy
SELECT target, criterion, nulls, ml_classify(m, '{"b": 0, "x": null}'::jsonb) = 'yes' AS belong
FROM (VALUES ('c', 'gini'), ('c', 'entropy'), ('k', 'gini'), ('k', 'entropy')) v (target, criterion), unnest('{5,40}'::int[]) nulls,
	LATERAL (SELECT ml_fit(format($q$SELECT 0 AS b, NULLIF(i, 0) AS x, CASE WHEN i = 0 OR i > 100 THEN 'yes' ELSE 'no' END AS %I
			FROM (SELECT generate_series(1, 150) UNION ALL SELECT 0 FROM generate_series(1, %s)) s (i)
		UNION ALL SELECT 1, i, CASE %L WHEN 'c' THEN 'no' ELSE 'class ' || i %% 10 END FROM generate_series(1, 250) i$q$, target, nulls, target), target,
		algorithm => 'decision_tree', params => format('{"max_depth": 2, "criterion": "%s"}', criterion)::jsonb, holdout => 0) AS m) f
ORDER BY 1, 2, 3;
SELECT nulls, ml_predict(m, '{"b": 0, "x": null}'::jsonb) > 5 AS belong
FROM unnest('{5,40}'::int[]) nulls,
	LATERAL (SELECT ml_fit(format($q$SELECT 0 AS b, NULLIF(i, 0) AS x, CASE WHEN i = 0 OR i > 100 THEN 10.0 ELSE 0 END AS y
			FROM (SELECT generate_series(1, 150) UNION ALL SELECT 0 FROM generate_series(1, %s)) s (i)
		UNION ALL SELECT 1, i, 1000 FROM generate_series(1, 250) i$q$, nulls), 'y', algorithm => 'decision_tree', params => '{"max_depth": 2}', holdout => 0) AS m) f
ORDER BY 1;
