-- Trainings at the edges: labels too large for a mean, classes without a row, sources without row
-- positions under a parallel plan, and what a source must not be able to run or to require.
SET client_min_messages = error;

-- two labels whose mean cannot tell them apart
CREATE TABLE huge AS SELECT (i * 7 % 11)::float8 AS x, 9007199254740990 + i % 2 AS y FROM generate_series(1, 2000) i;
SELECT features, rows_used FROM ml_train('huge', 'huge', 'y', task => 'classification', algorithm => 'baseline');
SELECT ml_probabilities('huge', h) FROM huge h LIMIT 1;

-- a class whose rows all weigh nothing is none
CREATE TABLE weightless AS SELECT (i * 7 % 11)::float8 AS x, CASE WHEN i > 60 THEN 'c' WHEN i % 2 = 0 THEN 'a' ELSE 'b' END AS y,
	(i <= 60)::int AS w FROM generate_series(1, 70) i;
SELECT rows_used FROM ml_train('weightless', 'weightless', 'y', weight => 'w', algorithm => 'baseline', params => '{"class_weight": "balanced"}');
SELECT ml_probabilities('weightless', r) FROM weightless r LIMIT 1;

-- nor is one whose rows all have a missing value, where such rows are dropped
UPDATE weightless SET x = NULL, w = 1 WHERE y = 'c';
SELECT rows_used FROM ml_train('weightless', 'weightless', 'y', algorithm => 'logistic', params => '{"impute": "drop", "l2": 1}');

-- folds of a view, where a parallel plan knows no row's position
CREATE TABLE wide AS SELECT (i % 1009)::float8 AS a, (i % 7)::float8 AS b, (i % 1009 + 2 * (i % 7) + i % 3)::float8 AS y
	FROM generate_series(1, 60000) i;
ANALYZE wide;
CREATE VIEW wide_view AS SELECT * FROM wide;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT metric, cardinality("values") AS folds, round(mean::numeric, 2) AS mean FROM ml_cv('wide_view', 'y', algorithm => 'linear', folds => 4);
SELECT rows_used FROM ml_train('wide', 'wide_view', 'y', algorithm => 'ridge', params => '{"l2": "cv"}', holdout => 0);

-- a function of the aggregate's name and of nearer types is not called for it
CREATE FUNCTION ml_accumulate(ml_state, tid, oid, float8, float8, float8) RETURNS ml_state LANGUAGE plpgsql AS
	$$BEGIN RAISE EXCEPTION 'run as %', current_user; END$$;
CREATE FUNCTION ml_accumulate(ml_state, record) RETURNS ml_state LANGUAGE plpgsql AS
	$$BEGIN RAISE EXCEPTION 'run as %', current_user; END$$;
SELECT rows_used FROM ml_train('wide', 'wide', 'y', algorithm => 'linear');
DROP FUNCTION ml_accumulate(ml_state, tid, oid, float8, float8, float8), ml_accumulate(ml_state, record);

-- nor is the cast of a type that is merely called vector
CREATE SCHEMA stranger;
CREATE TYPE stranger.vector AS (x float4);
CREATE FUNCTION stranger.cast(stranger.vector) RETURNS float4[] LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'run as %', current_user; END$$;
CREATE CAST (stranger.vector AS float4[]) WITH FUNCTION stranger.cast(stranger.vector);
CREATE TABLE stranger.row AS SELECT ROW(i)::stranger.vector AS v, i AS x, 2.0 * i AS y FROM generate_series(1, 40) i;
SELECT features, warnings[1] FROM ml_train('stranger', 'stranger.row', 'y', algorithm => 'linear');

-- whoever may read only some columns trains on those
CREATE ROLE regress_ml_columns;
GRANT SELECT (a, y) ON wide TO regress_ml_columns;
SET ROLE regress_ml_columns;
SELECT features FROM ml_train('columns', 'wide', 'y', features => '{a}', algorithm => 'glm');
SELECT features FROM ml_train('columns', 'wide', 'y', algorithm => 'glm');
SELECT ml_drop('columns');
RESET ROLE;
REVOKE ALL ON wide FROM regress_ml_columns;
DROP ROLE regress_ml_columns;

-- Numbers and dates that came as text, spellings of one value, and codes that are neither.
CREATE TABLE as_text AS SELECT
	CASE WHEN i % 50 = 0 THEN 'N/A' ELSE (i % 13)::text END AS units,
	to_char(1000 + i * 7.5, 'FM9,999.00') AS amount,
	replace((i % 97 / 10.0)::numeric(4,1)::text, '.', ',') AS share,
	(DATE '2024-01-01' + i % 60)::text AS day,
	to_char(DATE '2024-01-01' + i % 60, 'DD.MM.YYYY HH24:MI') AS at,
	(ARRAY['Rome', 'Paris', 'rome ', 'Oslo'])[1 + i % 4] AS city,
	lpad((i % 40)::text, 5, '0') AS zip,
	format('10.0.%s.%s', i % 5, i % 17) AS host,
	(i % 4)::text AS quarter,
	format('v1.%s.0', i % 20) AS release,
	3.0 * (i % 13) + i % 5 AS y
FROM generate_series(1, 400) i;
SELECT unnest(warnings) FROM ml_train('as_text', 'as_text', 'y', algorithm => 'ridge');
SELECT unnest(warnings) FROM ml_train('as_text', 'SELECT share, units FROM as_text', 'units', algorithm => 'baseline');
SELECT ml_train('as_text', 'SELECT share, amount FROM as_text', 'amount');
-- The alias of the row is a column.
SELECT ml_train('alias', 'SELECT i % 7 AS x, i % 3 AS z, i::float8 AS y FROM generate_series(1, 30) i', 'y', algorithm => 'linear') IS NOT NULL AS trained;
SELECT ml_predict('alias', x) FROM (VALUES (1, 2)) AS x (x, z);
SELECT ml_predict('alias', x.*) IS NOT NULL AS predicted FROM (VALUES (1, 2)) AS x (x, z);
-- Two values that are numbers by their type: a regression, which says so.
SET client_min_messages = notice;
SELECT task FROM ml_train('flag', 'SELECT i % 7 AS x, (i % 2)::float8 AS y FROM generate_series(1, 60) i', 'y');
SELECT task FROM ml_train('flag', 'SELECT i % 7 AS x, (i % 2)::float8 AS y FROM generate_series(1, 60) i', 'y', task => 'regression', algorithm => 'linear');

-- Numbers at the ends of the range of a double: an error with a reason, or a model that can be read and says nothing infinite.
CREATE TABLE ends AS
	SELECT sin(i) AS a, cos(i * i) AS b, i % 3 AS c, (i % 2)::float8 AS bit, sin(i) + cos(3 * i) AS y
	FROM generate_series(1, 40) AS i;
CREATE FUNCTION at_the_ends(algorithm text, params jsonb, x float8, y float8, w float8) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	of text := format('SELECT a * %L::float8 AS a, b, c, %s * %L::float8 AS y, %L::float8 AS w FROM ends', x,
		CASE WHEN algorithm = 'logistic' OR params ->> 'family' = 'binomial' THEN 'bit' WHEN params ->> 'family' IN ('gamma', 'poisson') THEN '(1 + c)' ELSE 'y' END,
		CASE WHEN algorithm = 'logistic' OR params ->> 'family' = 'binomial' THEN 1 ELSE y END, w);
	model ml_model;
	bad text;
BEGIN
	model := ml_fit(of, 'y', algorithm, params, features => '{a,b,c}', weight => 'w', holdout => 0,
					task => CASE algorithm WHEN 'logistic' THEN 'classification' ELSE 'regression' END);
	EXECUTE format('SELECT string_agg(term, $2) FROM (
			SELECT term FROM ml_coefficients($1) WHERE $3 IN (abs(estimate), std_error, abs(statistic)) OR $4 IN (estimate, std_error, p_value)
			UNION ALL SELECT $5 FROM (%s) AS t WHERE NOT abs(ml_predict($1, t)) < $3) AS found', of)
		INTO bad USING model, ', ', 'Infinity'::float8, 'NaN'::float8, 'prediction';
	RETURN bad;
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END
$$;
SET client_min_messages = error;
SELECT algorithm, params, x, y, w, at_the_ends(algorithm, params, x, y, w)
FROM (VALUES ('linear', '{}'::jsonb), ('ridge', '{"l2": "cv"}'), ('ridge', '{"l2": 1}'), ('elastic_net', '{"lambda": "cv"}'), ('logistic', '{}'), ('logistic', '{"l2": 1}'),
		('glm', '{"family": "gaussian", "intercept": false}'), ('glm', '{"family": "binomial", "link": "cloglog"}'), ('glm', '{"family": "poisson", "link": "identity"}'),
		('glm', '{"family": "gamma"}')) AS a(algorithm, params),
	unnest('{1,1e300,1e-310}'::float8[]) AS x, unnest('{1,1e150,5e-324}'::float8[]) AS y, unnest('{1,5e-324}'::float8[]) AS w
WHERE at_the_ends(algorithm, params, x, y, w) IS NOT NULL;
RESET client_min_messages;

-- A choice is said with the parameters that make it, a model that knows nothing is called so, and a name in capitals is found.
SELECT value < baseline AS useless, array_length(warnings, 1) FROM ml_train('noise', $$SELECT i * 7919 % 101 AS x, i * 104729 % 3 = 0 AS y FROM generate_series(1, 1000) i$$, 'y');
SELECT value > baseline AS useful, warnings FROM ml_train('knows', $$SELECT i AS x, i + i % 3 > 60 AS y FROM generate_series(1, 120) i$$, 'y');
CREATE TABLE "Capitals" AS SELECT i AS x, 2 * i AS y FROM generate_series(1, 9) i;
SELECT ml_fit('Capitals', 'y');
SELECT ml_fit('public.Capitals', 'y');
SELECT ml_fit('Capital', 'y');
DROP TABLE "Capitals";

-- Columns whose squares underflow or overflow are named, whatever the algorithm; short of that nothing is lost.
CREATE FUNCTION scaled(algorithm text, params jsonb, by float8) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT round((estimate * by)::numeric, 9) FROM ml_coefficients(
		ml_fit(format('SELECT a * %L::float8 AS a, b, c, %s AS y FROM ends', by, CASE algorithm WHEN 'logistic' THEN 'bit > 0' ELSE 'y' END),
			   'y', algorithm, params, holdout => 0)) WHERE term = 'a');
EXCEPTION WHEN data_exception THEN
	RETURN SQLERRM;
END
$$;
SELECT algorithm, params, scaled(algorithm, params, by) = scaled(algorithm, params, 1) AS same, message, count(*)
FROM (VALUES ('linear', '{}'::jsonb), ('ridge', '{"l2": 1}'), ('lasso', '{"lambda": 0.01}'), ('elastic_net', '{"lambda": "cv"}'),
		('logistic', '{}'), ('logistic', '{"l1": 1}'), ('glm', '{}'), ('glm', '{"l2": 1}')) AS a(algorithm, params),
	unnest('{1e-310,1e-300,1e-170,1e-150,1e-144,1e-100,1e100,1e150,1e160,1e300}'::float8[]) AS by,
	LATERAL (SELECT substring(scaled(algorithm, params, by) FROM '[^0-9.-].*') AS message) AS m
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- Many classes without a penalty: at the maximum of the likelihood probabilities add up, over the rows, to what was seen, times each
-- column, too.  A column that depends on others is left out, weights count as rows, and standard errors are there.
CREATE TABLE many AS
	SELECT i, format('c%s', floor(13 * (0.5 + 0.3 * sin(i * 1.7) + 0.19 * cos(i * i * 0.37)))::int) AS y, 1 + i % 3 AS w,
		sin(i * 1.7) + cos(i * 0.9) AS x1, cos(i * i * 0.37) AS x2, sin(i * 0.3) AS x3, sin(i * i * 0.11) AS x4, cos(i * 0.77) AS x5,
		sin(i * 2.9) AS x6, cos(i * 5.1) AS x7, sin(i * 0.013) AS x8, cos(i * 0.57) AS x9, sin(i * i * 0.7) AS x10,
		sin(i * 0.3) + 2 * cos(i * 0.77) AS x11, cos(i * i * 0.05) AS x12, sin(i * 0.71) AS x13, cos(i * 1.3) AS x14, sin(i * 1.9) AS x15
	FROM generate_series(1, 4000) AS i;
SELECT count(DISTINCT y) AS classes FROM many;
SELECT warnings FROM ml_train('many', 'many', 'y', 'logistic', exclude => '{i}', weight => 'w', holdout => 0);
SELECT value FROM ml_describe('many') WHERE item = 'stop';
SELECT round(max(abs(score))::numeric, 5) AS largest_score
FROM (SELECT p.key, j, sum(m.w * x[j] * (p.value::float8 - (p.key = m.y)::int)) AS score
	FROM (SELECT *, ARRAY[1, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15] AS x, ml_probabilities('many', many) AS probabilities FROM many) AS m,
		jsonb_each_text(m.probabilities) AS p, generate_series(1, 16) AS j
	GROUP BY p.key, j) AS scores;
SELECT count(*) AS coefficients, count(estimate) AS estimated, count(std_error) AS with_error FROM ml_coefficients('many');

-- A count that is a power of two to the last digit: converged, with standard errors.
SELECT term, abs(estimate - v) < 1e-14 AS exact, std_error IS NOT NULL AS known
FROM ml_coefficients(ml_fit('SELECT k AS x, 2 ^ k AS y FROM generate_series(0, 10) k', 'y', 'glm', '{"family": "poisson"}', holdout => 0)) c
	JOIN (VALUES ('(intercept)', 0::float8), ('x', ln(2::float8))) t (term, v) USING (term);
