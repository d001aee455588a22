-- Writes the golden models of this version into the current directory, in an empty database:
--	cd test/models && psql -X -f make.sql
-- Each file has the model in its first line, then rows as JSON, a bar, and what the model says of the
-- row.  Files of released versions are never written again: later versions must read them and give
-- the same numbers, bit by bit where no link is between.  A new payload format gets files with new names.
\set ON_ERROR_STOP on
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
SET extra_float_digits = 1;
SET max_parallel_workers_per_gather = 0;
SET timezone = 'UTC';
CREATE EXTENSION ml_ext;

-- Rows of every kind of column, with some values missing; no random numbers, the same everywhere.
CREATE TABLE numbers AS
	SELECT i * 0.37 AS x1, ((i * 7919) % 101)::float8 AS x2, ((i * 104729) % 13)::int AS x3,
		3 + 0.5 * i + 0.01 * ((i * 7919) % 101) + ((i * 31) % 7) * 0.3 AS y,
		i % 5 AS count, 1 + i % 3 AS weight,
		CASE WHEN (i * 7919) % 101 + (i * 31) % 40 > 70 THEN 'yes' ELSE 'no' END AS label,
		(ARRAY['blé', 'orge', 'riz'])[1 + ((i * 7919) % 101 + (i * 17) % 60) / 54] AS grain
	FROM generate_series(1, 40) i;
CREATE TABLE mixed AS
	SELECT n.x1, nullif(n.x2, 12) AS x2, n.x3 % 2 = 0 AS flag, (ARRAY['a', 'b"c', 'Größe', NULL])[1 + x3 % 4] AS kind,
		date '2020-02-29' + (37 * x1)::int AS day, timestamptz '2021-03-04 05:06:07+00' + x2 * interval '7 hours' AS at,
		ARRAY[x1, x2, NULL] AS points, n.y, n.label
	FROM numbers n;
CREATE TABLE asked_numbers AS
	SELECT to_jsonb(r) AS r FROM (VALUES (1.5::float8, 20::float8, 3), (NULL, 55, 11), (-7.25, 1e6, NULL)) r (x1, x2, x3);
CREATE TABLE asked_mixed AS
	SELECT to_jsonb(m) - 'y' - 'label' AS r FROM mixed m WHERE x1 < 1.2
	UNION ALL SELECT '{"x1": null, "x2": null, "flag": null, "kind": "unseen", "day": null, "at": null, "points": null}';

-- name, rows asked, rows trained on, and the rest of the call
CREATE TABLE golden (name text, asked text, source text, call text);
INSERT INTO golden VALUES
	('baseline', 'numbers', 'numbers', $$'y', 'baseline', exclude => '{count,weight,label,grain}'$$),
	('baseline_classes', 'numbers', 'numbers', $$'grain', 'baseline', exclude => '{count,weight,label,y}'$$),
	('linear', 'numbers', 'numbers', $$'y', 'linear', exclude => '{count,weight,label,grain}'$$),
	('linear_weighted', 'numbers', 'numbers', $$'y', 'linear', '{"intercept": false}', features => '{x1,x2,x3}', weight => 'weight'$$),
	('linear_mixed', 'mixed', 'mixed', $$'y', 'linear', '{"indicator": true, "scale": "robust"}', exclude => '{label}'$$),
	('ridge', 'mixed', 'mixed', $$'y', 'ridge', '{"l2": 2, "categories": "target", "scale": "minmax"}', exclude => '{label}'$$),
	('lasso', 'numbers', 'numbers', $$'y', 'lasso', '{"lambda": 0.1}', features => '{x1,x2,x3}'$$),
	('elastic_net', 'mixed', 'mixed', $$'y', 'elastic_net', '{"lambda": 0.05, "categories": "frequency"}', exclude => '{label}'$$),
	('logistic', 'mixed', 'mixed', $$'label', 'logistic', '{"l2": 1, "categories": "ordinal", "unseen": "zero"}', exclude => '{y}'$$),
	('logistic_classes', 'numbers', 'numbers', $$'grain', 'logistic', '{"l2": 0.5}', features => '{x1,x2,x3}'$$),
	('glm_poisson', 'numbers', 'numbers', $$'count', 'glm', '{"family": "poisson"}', features => '{x1,x2,x3}'$$),
	('glm_gamma', 'numbers', 'numbers', $$'y', 'glm', '{"family": "gamma", "link": "inverse"}', features => '{x1,x2,x3}'$$),
	('head', 'numbers', 'numbers', $$'y', 'gradient_boosting', '{"n_estimators": 2, "max_depth": 2, "min_child_weight": 1}', features => '{x1,x2,x3}'$$),
	('brief', 'numbers', 'numbers', $$'y', 'gradient_boosting', '{"n_estimators": 2, "max_depth": 2, "min_child_weight": 1}', features => '{x1,x2,x3}'$$),
	('brief_forest_classes', 'numbers', 'numbers', $$'grain', 'random_forest', '{"n_estimators": 3, "max_depth": 3}', features => '{x1,x2,x3}'$$),
	('profiled', 'mixed', 'mixed', $$'label', 'logistic', '{"l2": 1}', exclude => '{y}'$$),
	('glm_binomial', 'numbers', $$SELECT x1, x2, x3, (label = 'yes')::int AS label FROM numbers$$, $$'label', 'glm', '{"family": "binomial", "link": "probit", "l2": 0.1}', features => '{x1,x2,x3}'$$);

CREATE FUNCTION make(source text, call text) RETURNS ml_model LANGUAGE plpgsql AS
	$$ DECLARE m ml_model; BEGIN EXECUTE format('SELECT ml_fit(%L, %s)', source, call) INTO m; RETURN m; END $$;
CREATE TABLE model AS SELECT name, asked, make(source, call) AS m FROM golden;
CREATE VIEW line AS
	SELECT name, 0 AS at, m::text AS line FROM model
	UNION ALL SELECT name, 1, r::text || '|' || coalesce(ml_predict(m, r)::text, '') FROM model, asked_numbers
		WHERE asked = 'numbers' AND name NOT LIKE '%_classes'
	UNION ALL SELECT name, 1, r::text || '|' || coalesce(ml_predict(m, r)::text, '') FROM model, asked_mixed WHERE asked = 'mixed'
	UNION ALL SELECT name, 1, r::text || '|' || ml_probabilities(m, r) FROM model, asked_numbers WHERE name LIKE '%_classes';
\o make.tmp
SELECT format(E'\\o %s.hex\nSELECT line FROM line WHERE name = %L ORDER BY at;', name, name) FROM model;
\o
\i make.tmp
\o
\! rm make.tmp
