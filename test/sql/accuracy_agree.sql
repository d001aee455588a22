-- Ways that must lead to the same model: serial and parallel, in one go and in pieces, weights and repeated rows.
SET client_min_messages = warning;
SET extra_float_digits = 0;

-- pseudo-random numbers in (-1, 1), the same everywhere
CREATE FUNCTION u(i int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
	$$SELECT (('x' || substr(md5(i::text), 1, 8))::bit(32)::bigint + 0.5)::float8 / 2147483648 - 1$$;
CREATE FUNCTION difference(a ml_model, b ml_model, errors bool DEFAULT true) RETURNS float8 LANGUAGE sql AS $$
	SELECT max(greatest(abs(p.estimate - q.estimate) / greatest(abs(q.estimate), 1e-3), CASE WHEN errors THEN abs(p.std_error / q.std_error - 1) END))
	FROM ml_coefficients(a) p JOIN ml_coefficients(b) q
	ON p.term = q.term AND p.class IS NOT DISTINCT FROM q.class$$;

-- ---- serial and parallel; the same bytes when serial ----
CREATE TABLE big AS
	SELECT x1, x2, x3, 1 + 2 * x1 - 3 * x2 + x3 / 2 + u(i + 500001) AS y, u(3 * i) + x1 > 0.3 AS b
	FROM (SELECT i, u(i) AS x1, u(i + 100001) + 1000 AS x2, (i % 17)::float8 AS x3 FROM generate_series(1, 60000) i) s;
ANALYZE big;
CREATE FUNCTION agree(algorithm text, target text, params jsonb,
	OUT algorithm_ text, OUT same_bytes bool, OUT parallel_agrees bool)
LANGUAGE plpgsql AS $$
DECLARE
	a ml_model;
	b ml_model;
	c ml_model;
BEGIN
	PERFORM set_config('max_parallel_workers_per_gather', '0', true);
	a := ml_fit('big', target => target, algorithm => algorithm, params => params, features => '{x1,x2,x3}');
	b := ml_fit('big', target => target, algorithm => algorithm, params => params, features => '{x1,x2,x3}');
	PERFORM set_config('max_parallel_workers_per_gather', '2', true),
		set_config('parallel_setup_cost', '0', true), set_config('parallel_tuple_cost', '0', true),
		set_config('min_parallel_table_scan_size', '0', true);
	c := ml_fit('big', target => target, algorithm => algorithm, params => params, features => '{x1,x2,x3}');
	algorithm_ := algorithm;
	same_bytes := a::text = b::text;
	parallel_agrees := difference(a, c) <= 1e-10;
END$$;
SELECT algorithm_, same_bytes, parallel_agrees FROM (VALUES
	(1, 'linear', 'y', NULL), (2, 'ridge', 'y', '{"l2": 10}'), (3, 'ridge', 'y', '{"l2": "cv"}'),
	(4, 'lasso', 'y', '{"lambda": 0.01}'), (5, 'elastic_net', 'y', '{"lambda": "cv"}'),
	(6, 'logistic', 'b', NULL), (7, 'glm', 'y', NULL)) v(n, algorithm, target, params),
	LATERAL agree(algorithm, target, params::jsonb) ORDER BY n;
-- so do the splits, with any seed: each row falls where its position says, also the first that a process sees
CREATE FUNCTION holdouts(workers int) RETURNS TABLE (seed bigint, n int, value float8) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('max_parallel_workers_per_gather', workers::text, true),
		set_config('parallel_setup_cost', '0', true), set_config('parallel_tuple_cost', '0', true),
		set_config('min_parallel_table_scan_size', '0', true);
	FOR s IN 1 .. 8 LOOP
		PERFORM ml_train('split', 'big', 'y', 'linear', features => '{x1,x2,x3}', seed => s);
	END LOOP;
	RETURN QUERY SELECT v.seed, (v.info->'holdout_rows')::int, v.value FROM ml.versions v WHERE v.model = 'split';
	PERFORM ml_drop('split');
END$$;
CREATE TABLE serial AS SELECT * FROM holdouts(0);
CREATE TABLE parallel AS SELECT * FROM holdouts(2);
SELECT count(*), bool_and(s.n = p.n AND abs(s.value - p.value) < 1e-10) AS same_rows FROM serial s JOIN parallel p USING (seed);
-- the scan is parallel indeed
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT ml_accumulate(ml_spec('linear', columns => '{y,x1,x2,x3}', target => 'y'), y, x1, x2, x3) FROM big;
SELECT difference(ml_finish(ml_accumulate(ml_spec('linear', columns => '{x1,x2,x3,y}', target => 'y'), x1, x2, x3, y)),
	ml_fit('big', target => 'y', algorithm => 'linear', features => '{x1,x2,x3}')) <= 1e-10 AS state_is_fit FROM big;
-- rows of a table as they are stored: columns of other types, out of order, with gaps, missing targets and weights,
-- and as a projection gives them: after a column was dropped, or added with a default
CREATE FUNCTION agree_on(source text, OUT source_ text, OUT observations text, OUT parallel_agrees bool) LANGUAGE plpgsql AS $$
DECLARE
	features text[] := '{x3,x1,flag,x2}';
	a ml_model;
	b ml_model;
BEGIN
	PERFORM set_config('max_parallel_workers_per_gather', '0', true);
	a := ml_fit(source, target => 'y', algorithm => 'linear', features => features, weight => 'w');
	PERFORM set_config('max_parallel_workers_per_gather', '2', true);
	b := ml_fit(source, target => 'y', algorithm => 'linear', features => features, weight => 'w');
	source_ := source;
	observations := (SELECT string_agg(DISTINCT value, ' or ') FROM (SELECT * FROM ml_describe(a) UNION ALL SELECT * FROM ml_describe(b)) d
		WHERE item = 'observations');
	parallel_agrees := difference(a, b) <= 1e-10;
END$$;
CREATE TABLE mixed AS SELECT (x1 * 1000)::numeric(8, 3) AS x1, 'text' || x3 AS t, x2::float4 AS x2, x1 > x3 / 17 AS flag, x3::int AS x3,
	CASE WHEN x3 <> 5 THEN y END AS y, x3::int2 % 4 AS w FROM big;
ANALYZE mixed;
SELECT count(*) AS to_be_used FROM mixed WHERE y IS NOT NULL AND w > 0;
SELECT * FROM agree_on('mixed');
ALTER TABLE mixed ADD COLUMN late int DEFAULT 7;
SELECT * FROM agree_on('mixed');
ALTER TABLE mixed DROP COLUMN t;
SELECT * FROM agree_on('mixed');
-- what is not finite is found by a worker too
\set SHOW_CONTEXT never
SET max_parallel_workers_per_gather = 2;
CREATE TABLE infinite AS SELECT x1, CASE WHEN x3 = 3 THEN 'Infinity' ELSE x3 END AS x3, y FROM big;
ANALYZE infinite;
SELECT ml_fit('infinite', target => 'y', algorithm => 'linear');
\set SHOW_CONTEXT errors
-- far fewer rows than expected: the median is as good as ever
CREATE TABLE fewer WITH (autovacuum_enabled = false) AS SELECT i, exp(3 * u(i)) AS x FROM generate_series(1, 400000) i;
ANALYZE fewer;
DELETE FROM fewer WHERE i > 6000;
SET client_min_messages = error;
SELECT count(*) AS rows, abs(avg((x <= median)::int) - 0.5) < 0.005 AS median
FROM fewer, (SELECT ml_predict(ml_fit('SELECT x, x AS y FROM fewer', target => 'y', algorithm => 'linear'), '{"x": null}'::jsonb) AS median) m;
RESET ALL;
SET client_min_messages = warning;
-- one scan for large tables, passes over collected rows for those that the planner takes for small ones
SELECT difference(ml_fit('SELECT * FROM big', target => 'y', algorithm => 'linear', features => '{x1,x2,x3}'),
	ml_fit('SELECT * FROM big WHERE x1 + 0 >= -1', target => 'y', algorithm => 'linear',
	features => '{x1,x2,x3}')) <= 1e-10 AS streamed_is_collected;

-- ---- states ----
CREATE TABLE daily AS SELECT i % 7 AS day, u(i) AS x1, u(i + 100001) + 100 AS x2, 1 + i % 3 AS w, 1 + 2 * u(i) - 3 * u(i + 100001) + u(3 * i) AS y
	FROM generate_series(1, 3000) i;
CREATE TABLE states AS
	SELECT day, ml_accumulate(ml_spec('linear', columns => '{y,x1,x2}', target => 'y'), y, x1, x2) AS state,
		ml_accumulate(ml_spec('ridge', columns => '{y,x1,x2}', target => 'y', params => '{"l2": 2}', weight => 'w'), y, x1, x2, w) AS ridge,
		ml_accumulate(ml_spec('elastic_net', columns => '{y,x1,x2}', target => 'y', params => '{"lambda": 0.02}'), ARRAY[y, x1, x2]) AS net
	FROM daily GROUP BY day;
SELECT difference(ml_finish(ml_combine(state)), ml_fit('SELECT y, x1, x2 FROM daily', target => 'y', algorithm => 'linear')) <= 1e-10 AS linear,
	difference(ml_finish(ml_combine(ridge)), ml_fit('SELECT y, x1, x2, w FROM daily', target => 'y', algorithm => 'ridge',
		params => '{"l2": 2}', weight => 'w'), false) <= 1e-10 AS ridge,
	difference(ml_finish(ml_combine(net)), ml_fit('SELECT y, x1, x2 FROM daily', target => 'y', algorithm => 'elastic_net',
		params => '{"lambda": 0.02}'), false) <= 1e-10 AS elastic_net
FROM states;
SELECT difference(ml_finish(ml_combine(state)),
	ml_fit('SELECT y, x1, x2 FROM daily WHERE day <> 3', target => 'y', algorithm => 'linear')) <= 1e-10 AS but_one_day
FROM states WHERE day <> 3;
SELECT difference(ml_finish(state),
	ml_fit('SELECT y, x1, x2 FROM daily WHERE day = 3', target => 'y', algorithm => 'linear')) <= 1e-10 AS one_day
FROM states WHERE day = 3;
SELECT difference(ml_finish(ml_combine(state::text::ml_state)), ml_finish(ml_combine(state))) = 0 AS through_text FROM states;

-- ---- weights are repeated rows ----
CREATE TABLE weighted AS
	SELECT x1, x2, c, w, 1 + 2 * x1 - 3 * x2 + e + (c = 'b')::int AS y, 2 * x1 + x2 - 100 + e + 0.5 * (c = 'b')::int > 0 AS b,
		(ARRAY['u', 'v', 'z'])[1 + (floor(3 * abs(u(i + 700001)))::int + (x1 > 0.2)::int) % 3] AS k, floor(exp(1 + x1 + e))::int AS n
	FROM (SELECT i, u(i) AS x1, u(i + 100001) + 100 AS x2, chr(97 + i % 3) AS c, 1 + i % 4 AS w, u(7 * i) AS e FROM generate_series(1, 400) i) s;
CREATE TABLE repeated AS SELECT weighted.* FROM weighted, generate_series(1, w);
SELECT algorithm, target, params, difference(
	ml_fit('SELECT x1, x2, c, w, ' || target || ' FROM weighted', target => target, algorithm => algorithm, params => params::jsonb, weight => 'w'),
	ml_fit('SELECT x1, x2, c, ' || target || ' FROM repeated', target => target, algorithm => algorithm, params => params::jsonb), false) <= 1e-9 AS agree
FROM (VALUES ('linear', 'y', '{}'), ('ridge', 'y', '{"l2": 3}'), ('lasso', 'y', '{"lambda": 0.05}'), ('elastic_net', 'y', '{"lambda": 0.05}'),
	('logistic', 'b', '{}'), ('logistic', 'b', '{"l2": 2}'), ('logistic', 'k', '{}'), ('logistic', 'k', '{"l2": 1}'),
	('glm', 'n', '{"family": "poisson"}'), ('glm', 'n', '{"family": "poisson", "l2": 1}'), ('glm', 'y', '{}')) v(algorithm, target, params);

-- ---- ml_explain adds up; intervals cover ----
SELECT max(abs(e.total - ml_predict(m, d))) < 1e-9 AS linear FROM
	(SELECT ml_fit('SELECT x1, x2, c, y FROM weighted', target => 'y', algorithm => 'linear') AS m) f, weighted d,
	LATERAL (SELECT sum(contribution) AS total FROM ml_explain(m, d)) e;
SELECT max(abs(e.total - ln(ml_predict(m, d) / (1 - ml_predict(m, d))))) < 1e-9 AS logistic FROM
	(SELECT ml_fit('SELECT x1, x2, c, b FROM weighted', target => 'b', algorithm => 'logistic') AS m) f, weighted d,
	LATERAL (SELECT sum(contribution) AS total FROM ml_explain(m, d)) e;
SELECT max(abs(e.total - ln(ml_predict(m, d)))) < 1e-9 AS poisson FROM
	(SELECT ml_fit('SELECT x1, x2, c, n FROM weighted', target => 'n', algorithm => 'glm', params => '{"family": "poisson"}') AS m) f, weighted d,
	LATERAL (SELECT sum(contribution) AS total FROM ml_explain(m, d)) e;
CREATE FUNCTION normal(i int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
	$$SELECT sqrt(-2 * ln((1 + u(i)) / 2)) * cos(pi() * u(i + 900001))$$;
CREATE TABLE noisy AS SELECT i, u(i + 100001) AS x, 3 * u(i + 100001) + normal(i) AS y FROM generate_series(1, 10030) i;
SELECT level, abs(avg((d.y BETWEEN p.low AND p.high)::int) - level) < 0.03 AS covers FROM
	(SELECT ml_fit('SELECT x, y FROM noisy WHERE i <= 2000', target => 'y', algorithm => 'linear') AS m) f, (VALUES (0.5), (0.9), (0.99)) l(level),
	noisy d, LATERAL ml_predict_interval(m, d, level) p WHERE i > 2000 GROUP BY level ORDER BY level;
