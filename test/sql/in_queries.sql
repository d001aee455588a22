-- Models as ordinary objects (ml_create_view, ml_create_function), as plain SQL (ml_to_sql), and as values in
-- generated columns and indexes: what is allowed to whom, and names that try to be more than names.
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_ml_author;
CREATE ROLE regress_ml_reader;
CREATE SCHEMA work AUTHORIZATION regress_ml_author;
GRANT USAGE ON SCHEMA work TO regress_ml_reader;
CREATE TABLE work.trips AS SELECT i AS id, i % 10 AS km, (i % 7)::float8 AS traffic, (ARRAY['car', 'o''bus', 'b\ike'])[1 + i % 3] AS "by ""means""",
	2.0 * (i % 10) + (i % 7) + CASE i % 3 WHEN 0 THEN 5 ELSE 0 END AS minutes, i % 10 > 4 AS late, (ARRAY['a', 'b', 'c'])[1 + i % 10 / 4] AS band
FROM generate_series(1, 300) i;
ALTER TABLE work.trips OWNER TO regress_ml_author;
-- expressions and values of models are too long, and their last digits too personal, to be printed
CREATE FUNCTION run(query text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE result text; BEGIN EXECUTE query INTO result; RETURN result; END $$;
CREATE FUNCTION index_of(query text) RETURNS text LANGUAGE plpgsql AS
	$$ DECLARE plan json; BEGIN EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan; RETURN (regexp_match(plan::text, '"Index Name": "(\w+)"'))[1]; END $$;
SET ROLE regress_ml_author;
SET search_path = work, public;
SELECT ml_train('minutes', 'trips', target => 'minutes', exclude => '{id,late,band}', algorithm => 'linear') IS NOT NULL;
SELECT ml_train('late', 'trips', target => 'late', exclude => '{id,minutes,band}', algorithm => 'decision_tree') IS NOT NULL;
SELECT ml_train('band', 'trips', target => 'band', exclude => '{id,minutes,late}', algorithm => 'decision_tree') IS NOT NULL;

-- views
SELECT ml_create_view('minutes', 'eta', 'trips');
SELECT id, round(minutes, 2) AS minutes, round(prediction::numeric, 2) AS prediction FROM eta WHERE id <= 3 ORDER BY id;
SELECT ml_create_view('late', 'work."Late ""ones"""', 'SELECT *, 1 AS class, 2 AS probability, 3 AS probability_2 FROM trips -- all');
SELECT id, late, class_2, probability_3 FROM work."Late ""ones""" WHERE id <= 3 ORDER BY id;
SELECT ml_create_view('late', 'late_p', 'trips', 'true');
SELECT id, class, probability FROM late_p WHERE id IN (1, 5) ORDER BY id;
SELECT ml_create_view('band', 'bands', 'trips', security_invoker => false);
SELECT class, min(probability), count(*) FROM bands GROUP BY 1 ORDER BY 1;
-- 14 has no security_invoker
SELECT current_setting('server_version_num')::int >= 150000 AS has_invoker \gset
SELECT relname, reloptions IS NOT DISTINCT FROM CASE WHEN relname <> 'bands' AND :'has_invoker' THEN '{security_invoker=true}'::text[] END AS as_told
	FROM pg_class WHERE relkind = 'v' AND relnamespace = 'work'::regnamespace ORDER BY 1;
-- it replaces its own views only
SELECT ml_create_view('minutes', 'eta', 'SELECT * FROM trips WHERE km > 5');
SELECT min(km) FROM eta;
-- of temporary tables temporary ones
CREATE TEMP TABLE passing AS SELECT * FROM trips WHERE id <= 3;
SELECT ml_create_view('minutes', 'eta_of_passing', 'passing');
SELECT ml_create_view('minutes', 'pg_temp.eta_of_passing', 'SELECT * FROM passing');
SELECT id, round(prediction::numeric, 2) AS prediction FROM eta_of_passing ORDER BY id;
DROP TABLE passing CASCADE;
CREATE VIEW mine AS SELECT 1 AS prediction;
SELECT ml_create_view('minutes', 'mine', 'trips');
SELECT ml_create_view('minutes', 'trips', 'trips');
-- what cannot be
SELECT ml_create_view('minutes', 'bad', 'SELECT id FROM trips');
SELECT ml_create_view('minutes', 'bad', 'SELECT km, traffic::text, "by ""means""" FROM trips');
SELECT ml_create_view('minutes', 'bad', 'trips', 'true');
SELECT ml_create_view('late', 'bad', 'trips', 'maybe');
SELECT ml_create_view('missing', 'bad', 'trips');
SELECT ml_create_view('minutes', 'nowhere.bad', 'trips');
SELECT ml_create_view('minutes', 'pg_catalog.bad', 'trips');
SELECT ml_create_view('minutes', 'a.b.c.d', 'trips');
SELECT ml_create_view('minutes', '', 'trips');
SELECT ml_create_view('minutes', 'bad', NULL);
SELECT ml_create_view('minutes', 'bad', 'SELECT 1; DROP TABLE trips');
SELECT ml_create_view('minutes', 'bad AS SELECT 1; DROP TABLE trips; --', 'trips');

-- functions
SELECT ml_create_function('minutes', 'predict_minutes');
\sf predict_minutes
SELECT sum((predict_minutes(km, traffic, "by ""means""") IS DISTINCT FROM ml_predict('minutes', t))::int) AS different FROM trips t;
EXPLAIN (VERBOSE, COSTS OFF) SELECT predict_minutes(km, traffic, "by ""means""") FROM trips;
SELECT round(predict_minutes(traffic => 2, km => 4, "by ""means""" => NULL)::numeric, 4) = round(ml_predict('minutes', '{"km": 4, "traffic": 2, "by \"means\"": null}'::jsonb)::numeric, 4) AS same;
SELECT ml_create_function('late', 'is_late', output => 'class');
SELECT ml_create_function('band', 'band_of'), ml_create_function('band', 'p_band', class => 'b');
SELECT count(*) FILTER (WHERE is_late(km, traffic, "by ""means""") = late), count(*) FILTER (WHERE band_of(km, traffic, "by ""means""") = band),
	sum(p_band(km, traffic, "by ""means""")) FROM trips;
-- a new version with its columns in another order, and more of them: by name, and what is missing is said
SELECT ml_train('minutes', 'SELECT "by ""means""", traffic, km, minutes FROM trips', target => 'minutes', algorithm => 'linear') IS NOT NULL;
SELECT sum((predict_minutes(km, traffic, "by ""means""") IS DISTINCT FROM ml_predict('minutes', t))::int) AS different FROM trips t;
SELECT ml_train('minutes', 'SELECT km, late, minutes FROM trips', target => 'minutes', algorithm => 'linear') IS NOT NULL;
SELECT predict_minutes(1, 2, 'car');
SELECT ml_create_function('minutes', 'predict_minutes');
SELECT proname, pg_get_function_arguments(oid) FROM pg_proc WHERE proname = 'predict_minutes';
CREATE FUNCTION mine(km integer, late boolean) RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT ml_create_function('minutes', 'mine');
SELECT ml_create_function('minutes', 'bad', output => 'label');
SELECT ml_create_function('minutes', 'bad', output => 'class');
SELECT ml_create_function('band', 'bad', output => 'prediction');
SELECT ml_create_function('band', 'bad', class => 'z');
SELECT ml_create_function('minutes', 'bad() RETURNS int AS ''''; DROP TABLE trips; --');
SELECT ml_predict_columns('minutes', ARRAY['km'], 1, true);
SELECT ml_predict_columns('minutes', ARRAY['km', NULL], 1, true);
SELECT ml_predict_columns('minutes', CASE km WHEN 1 THEN ARRAY['km', 'late'] END, 1, true) FROM trips;
SELECT ml_predict_columns('minutes', NULL::text[], 1);
SELECT ml_create_function('wide', 'bad') FROM ml_train('wide', (SELECT 'SELECT i AS y, ' || string_agg(format('i * %s AS c%s', k, k), ', ') || ' FROM generate_series(1, 30) i'
	FROM generate_series(1, 99) k), target => 'y', algorithm => 'ridge', params => '{"l2": 1}');
SELECT ml_create_function('mean', 'mean') FROM ml_train('mean', 'trips', target => 'minutes', algorithm => 'baseline');

-- others: the model is theirs to use only by grant, whatever they may do with the objects
GRANT SELECT ON trips, eta, bands TO regress_ml_reader;
SET ROLE regress_ml_reader;
SELECT count(prediction) FROM eta;
SELECT count(class) FROM bands;
SELECT predict_minutes(1, true);
SELECT ml_create_view('minutes', 'public.theirs', 'trips');
SELECT ml_create_function('minutes', 'public.theirs');
SELECT ml_to_sql('minutes');
RESET ROLE;
SET ROLE regress_ml_author;
SELECT ml_grant('band', 'regress_ml_reader', 'predict'), ml_grant('minutes', 'regress_ml_reader', 'predict');
REVOKE SELECT ON trips FROM regress_ml_reader;
SET ROLE regress_ml_reader;
SELECT count(class) FROM bands;
SELECT CASE WHEN :'has_invoker' THEN 'eta' ELSE 'trips' END AS denied \gset
SELECT count(*) FROM :denied;
SELECT round(predict_minutes(1, true)::numeric, 3) IS NOT NULL AS predicted;
SELECT ml_to_sql('minutes');
SELECT ml_create_view('band', 'work.theirs', 'trips');
SELECT ml_create_view('band', 'bands', 'SELECT 1 AS km, 2.0::float8 AS traffic, ''car'' AS "by ""means"""');
SELECT ml_create_function('minutes', 'work.theirs');
SET ROLE regress_ml_author;
SELECT ml_grant('minutes', 'regress_ml_reader', 'view');
SET ROLE regress_ml_reader;
SELECT ml_to_sql('minutes') IS NOT NULL AS written;

-- names that try to be more than names
SET ROLE regress_ml_author;
SELECT ml_train(E'x''; DROP TABLE trips; --"$$\\', 'SELECT km AS "k""; DROP TABLE trips; --", traffic AS "$1", "by ""means""" AS "t.''\", minutes FROM trips', target => 'minutes', algorithm => 'linear') IS NOT NULL;
SELECT ml_create_view(E'x''; DROP TABLE trips; --"$$\\', '"v""; DROP TABLE trips; --"', 'SELECT km AS "k""; DROP TABLE trips; --", traffic AS "$1", "by ""means""" AS "t.''\" FROM trips');
SELECT count(prediction) FROM "v""; DROP TABLE trips; --";
SELECT ml_create_function(E'x''; DROP TABLE trips; --"$$\\', '"f""(); DROP TABLE trips; --"');
SELECT "f""(); DROP TABLE trips; --"(1, 2, 'o''bus') IS NOT NULL AS predicted;
SELECT obj_description('"v""; DROP TABLE trips; --"'::regclass);
SELECT run(format('SELECT max(abs(ml_predict(%L, t) - (%s)))::numeric(20, 10) FROM (SELECT km AS "k""; DROP TABLE trips; --", traffic AS "$1", "by ""means""" AS "t.''\" FROM trips) t',
	E'x''; DROP TABLE trips; --"$$\\', ml_to_sql(E'x''; DROP TABLE trips; --"$$\\', 't'))) AS difference;
SELECT run(format('SELECT count(%s) FROM (SELECT km, late FROM trips) "a""; DROP TABLE trips; --"', ml_to_sql('minutes', 'a"; DROP TABLE trips; --')));
SELECT ml_to_sql('late', class => E'''; DROP TABLE trips; --');
SELECT ml_to_sql('late', output => 'label');
SELECT ml_to_sql('minutes', output => 'class');
SELECT ml_to_sql('band');
SELECT ml_to_sql('band', class => 'a', output => 'class');
SELECT ml_to_sql(NULL::text) IS NULL AS nothing;
SELECT count(*) FROM trips;

-- operators and functions of the caller's search_path are not ours
RESET ROLE;
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.ml_predict_columns(text, text[], int, bool) RETURNS float8 LANGUAGE sql AS 'SELECT 666::float8';
CREATE FUNCTION evil.ml_predict(text, work.trips) RETURNS float8 LANGUAGE sql AS 'SELECT 666::float8';
CREATE FUNCTION evil.exp(float8) RETURNS float8 LANGUAGE sql AS 'SELECT 666::float8';
CREATE FUNCTION evil.times(float8, float8) RETURNS float8 LANGUAGE sql AS 'SELECT 666::float8';
CREATE OPERATOR evil.* (FUNCTION = evil.times, LEFTARG = float8, RIGHTARG = float8);
SET ROLE regress_ml_author;
SET search_path = evil, work, public, pg_catalog;
SELECT ml_create_view('minutes', 'work.safe', 'work.trips'), ml_create_function('minutes', 'work.safe');
SELECT count(*) FROM work.safe WHERE prediction = 666;
SELECT safe(1, true) <> 666 AS safe;

-- a model as value is a constant: generated columns and indexes take it
SET search_path = work, public;
SELECT ml_fit('SELECT km::float8 AS km, traffic, minutes FROM trips', target => 'minutes', algorithm => 'linear') AS m \gset
CREATE TABLE stored (km float8, traffic float8, eta float8 GENERATED ALWAYS AS (ml_predict(:'m'::ml_model, km, traffic)) STORED);
INSERT INTO stored SELECT km, traffic FROM trips;
SELECT ml_create_function(:'m'::ml_model, 'eta_of');
SELECT provolatile FROM pg_proc WHERE proname = 'eta_of';
CREATE INDEX stored_eta ON stored (eta_of(km, traffic));
SET enable_seqscan = off;
SELECT index_of('SELECT * FROM stored WHERE eta_of(km, traffic) > 20');
SELECT count(*) FILTER (WHERE eta = eta_of(km, traffic)) = count(*) AS same FROM stored;
CREATE TABLE by_name (km float8, traffic float8, eta float8 GENERATED ALWAYS AS (ml_predict('minutes', km, traffic)) STORED);
CREATE INDEX ON stored (ml_predict('minutes', km, traffic));
CREATE TYPE mode AS ENUM ('walk', 'ride');
SELECT ml_create_function(ml_fit('SELECT km, (ARRAY[''walk'', ''ride'']::mode[])[1 + id % 2] AS mode, minutes FROM trips', target => 'minutes', algorithm => 'linear'), 'eta_mode');
SELECT provolatile FROM pg_proc WHERE proname = 'eta_mode';
SELECT ml_create_function(NULL::ml_model, 'bad');

RESET ROLE;
SET search_path = public;
DROP SCHEMA work, evil CASCADE;
SELECT count(ml_drop(model)) FROM ml.models;
DROP ROLE regress_ml_author, regress_ml_reader;

-- beyond the range of float8: the expression is an error, ml_predict only where the link has no bound
CREATE TABLE far AS SELECT (i % 10) / 10.0::float8 AS x, (i * 7 % 13) / 13000.0::float8 AS z, i % 10 + i * 7 % 5 > 6 AS yes,
	(i % 10 + i * 7 % 5) % 3 AS three, 1 + i % 10 AS n FROM generate_series(1, 200) i;
SELECT count(ml_train(m, 'far', y, algorithm => a, params => ('{"l2": 1' || p || '}')::jsonb, features => '{x,z}', task => t)) AS trained
	FROM (VALUES ('identity', 'n', 'ridge', '', 'regression'), ('three classes', 'three', 'logistic', '', 'classification'),
		('logit', 'yes', 'logistic', '', 'classification'), ('log', 'n', 'glm', ', "family": "poisson"', 'regression'),
		('probit', 'yes', 'glm', ', "family": "binomial", "link": "probit"', 'regression'),
		('cloglog', 'yes', 'glm', ', "family": "binomial", "link": "cloglog"', 'regression'),
		('cauchit', 'yes', 'glm', ', "family": "binomial", "link": "cauchit"', 'regression')) v (m, y, a, p, t);
CREATE FUNCTION outcome(sql text, x text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result float8;
BEGIN
	EXECUTE format('SELECT %s FROM (SELECT %s::float8 AS x, -0.0005::float8 AS z) far', sql, x) INTO result;
	RETURN CASE WHEN abs(result) BETWEEN 1e-290 AND 1e290 THEN round(result::numeric, 6)::text ELSE sign(result) || CASE WHEN abs(result) < 1 THEN ' * least' ELSE ' * greatest' END END;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SELECT m AS model, x, outcome(format('ml_probability(%L, far, %L)', m, class), x) AS ml_probability, outcome(ml_to_sql(m, 'far', class => class), x) AS expression
	FROM (VALUES ('three classes', '1')) v (m, class), unnest('{0.5,1.7e308}'::text[]) x
UNION ALL SELECT m, x, outcome(format('ml_predict(%L, far)', m), x), outcome(ml_to_sql(m, 'far'), x)
	FROM unnest('{identity,logit,log,probit,cloglog,cauchit}'::text[]) m, unnest('{0.5,1.7e308,-1.7e308}'::text[]) x;
-- infinite terms of both signs
SELECT ml_predict('logit', far) FROM (SELECT 1.7e308::float8 AS x, (-sign(c.estimate) * 1.7e308)::float8 AS z FROM ml_coefficients('logit') c WHERE term = 'z') far;
DROP TABLE far;
SELECT count(ml_drop(model)) FROM ml.models;
