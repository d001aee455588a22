-- Models applied to rows of every shape, and what the planner makes of it.
SET client_min_messages = error;
CREATE TABLE flowers (gone int, id int PRIMARY KEY, a float8, b int, c text, note text DEFAULT 'n',
	y float8, answer text, kind text);
ALTER TABLE flowers DROP COLUMN gone;
INSERT INTO flowers
	SELECT i, a, b, c, 'n', 100 + a + 2 * b + CASE c WHEN 'red' THEN 10 WHEN 'green' THEN 20 ELSE 30 END,
		CASE WHEN a + b + (i * 3) % 7 > 14 THEN 'yes' ELSE 'no' END, (ARRAY['x','y','z'])[1 + (i * i + b) % 3]
	FROM (SELECT i, (i * 7) % 13 AS a, (i * 5) % 11 AS b, (ARRAY['red','green','blue'])[1 + i % 3] AS c
		FROM generate_series(1, 120) i) s;
ANALYZE flowers;
CREATE TABLE shifted AS SELECT a, b, c, y + 1000 AS y FROM flowers;

SELECT model, version FROM ml_train('size', 'flowers', target => 'y', algorithm => 'linear', features => '{a,b,c}');
SELECT model, version FROM ml_train('answer', 'flowers', target => 'answer', algorithm => 'logistic', features => '{a,b}');
SELECT model, version FROM ml_train('kind', 'flowers', target => 'kind', algorithm => 'logistic', features => '{a,b}');
RESET client_min_messages;

-- The calls of a plan, version numbers left out.
CREATE FUNCTION calls(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
		IF line ~ 'ml_' THEN
			RETURN NEXT btrim(regexp_replace(line, '''\d+''::bigint', 'version', 'g'));
		END IF;
	END LOOP;
END $$;

-- What the model must say of a row, and whether it does.
CREATE FUNCTION truth(a float8, b float8, c text) RETURNS float8 LANGUAGE sql IMMUTABLE AS
	$$ SELECT 100 + a + 2 * b + CASE c WHEN 'red' THEN 10 WHEN 'green' THEN 20 ELSE 30 END $$;
CREATE FUNCTION near(p float8, q float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS
	$$ SELECT abs(p - q) < 1e-6 $$;

-- a table, with a dropped column
SELECT count(*), bool_and(near(ml_predict('size', f), f.y)) FROM flowers f;
SELECT calls($$ SELECT ml_predict('size', f) FROM flowers f $$);
SELECT calls($$ SELECT ml_predict('size'::varchar, f) FROM flowers f WHERE ml_predict('size@1', f) > 5 $$);

-- a view, also under other names
CREATE VIEW doubled AS SELECT id, a * 2 AS a, b, c FROM flowers;
SELECT count(*), bool_and(near(ml_predict('size', d), truth(a, b, c))) FROM doubled d;
SELECT count(*), bool_and(near(ml_predict('size', d), truth(x, y, z))) FROM doubled AS d(i, x, y, z);
SELECT calls($$ SELECT ml_predict('size', d) FROM doubled AS d(i, x, y, z) $$);

-- a subquery, pulled up or not
SELECT count(*), bool_and(near(ml_predict('size', s), truth(a, b, c)))
	FROM (SELECT b, a + 1 AS a, upper(c) AS loud, c FROM flowers) s;
SELECT calls($$ SELECT ml_predict('size', s) FROM (SELECT b, a + 1 AS a, upper(c), c FROM flowers) s $$);
SELECT calls($$ SELECT ml_predict('size', s) FROM (SELECT b, a + 1 AS a, upper(c), c FROM flowers OFFSET 0) s $$);

-- a join under one name
SELECT count(*), bool_and(near(ml_predict('size', j), truth(a, b, c)))
	FROM ((SELECT id, a, b FROM flowers) l JOIN (SELECT id, c FROM flowers) r USING (id)) AS j;
SELECT calls($$ SELECT ml_predict('size', j) FROM (flowers JOIN (SELECT 1 AS k) k ON true) AS j $$);

-- a CTE, VALUES, a record function, a table function
WITH s AS MATERIALIZED (SELECT * FROM flowers)
	SELECT count(*), bool_and(near(ml_predict('size', s), y)) FROM s;
SELECT calls($$ WITH s AS MATERIALIZED (SELECT * FROM flowers) SELECT ml_predict('size', s) FROM s $$);
SELECT round(ml_predict('size', s)::numeric, 6) FROM (VALUES (1.5, 2, 'red'), (2.5, 3, 'blue')) s(a, b, c);
CREATE FUNCTION few() RETURNS SETOF record LANGUAGE sql VOLATILE AS 'SELECT a, b, c FROM flowers';
SELECT count(*), bool_and(near(ml_predict('size', s), truth(a, b, c))) FROM few() s(a float8, b int, c text);
SELECT calls($$ SELECT ml_predict('size', s) FROM few() s(a float8, b int, c text) $$);
CREATE FUNCTION all_flowers() RETURNS SETOF flowers LANGUAGE plpgsql AS
	$$ BEGIN RETURN QUERY SELECT * FROM flowers; END $$;
SELECT count(*), bool_and(near(ml_predict('size', s), y)) FROM all_flowers() s;
SELECT calls($$ SELECT ml_predict('size', s) FROM all_flowers() s $$);

-- partitions of other layout and types, and their rows as the parent's
CREATE TABLE parts (id int, c varchar(10), a numeric, b bigint) PARTITION BY RANGE (id);
CREATE TABLE part1 (b bigint, junk text, a numeric, id int, c varchar(10));
ALTER TABLE part1 DROP COLUMN junk;
ALTER TABLE parts ATTACH PARTITION part1 FOR VALUES FROM (1) TO (50);
CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (50) TO (1000);
INSERT INTO parts SELECT id, c, a, b FROM flowers;
SELECT count(*), bool_and(near(ml_predict('size', p), truth(a::float8, b, c))) FROM parts p;
SELECT count(*), bool_and(near(ml_predict('size', p), truth(a::float8, b, c))) FROM part1 p;
SELECT count(*), bool_and(near(ml_predict('size', p::parts), truth(a::float8, b, c))) FROM part1 p;
SELECT calls($$ SELECT ml_predict('size', p::parts) FROM part1 p $$);

-- a composite type, a domain over it, a generated column, a column added later
CREATE TYPE flower AS (a float8, b int, c text);
CREATE DOMAIN checked AS flower CHECK ((VALUE).a >= 0);
SELECT round(ml_predict('size', ROW(1, 2, 'red')::flower)::numeric, 6),
	round(ml_predict('size', ROW(1, 2, 'red')::checked)::numeric, 6);
SELECT calls($$ SELECT ml_predict('size', ROW(a, b, c)::flower), ml_predict('size', ROW(a, b, c)::checked) FROM flowers $$);
CREATE TABLE made (x float8, a float8 GENERATED ALWAYS AS (x * 2) STORED, c text);
INSERT INTO made VALUES (1, DEFAULT, 'red');
ALTER TABLE made ADD COLUMN b int DEFAULT 5;
SELECT near(ml_predict('size', m), truth(2, 5, 'red')) FROM made m;
SELECT near(ml_predict('size', m), truth(2, 5, 'red')) FROM made m LEFT JOIN (VALUES (1)) v(x) USING (x);
DO $$
DECLARE
	r made;
BEGIN
	SELECT * INTO r FROM made;
	RAISE NOTICE '%', near(ml_predict('size', r), truth(2, 5, 'red'));
END $$;

-- no row, no prediction; NULL fields are filled as in training
SELECT ml_predict('size', NULL::flowers) IS NULL AS no_row, ml_predict('size', NULL::jsonb) IS NULL AS no_json,
	ml_predict(NULL::text, ROW(1)) IS NULL AS no_model,
	ml_predict('size', ROW(NULL, NULL, NULL)::flower) IS NULL AS empty_row;
SELECT i, near(ml_predict('size', f), f.y) FROM (VALUES (1), (900)) v(i) LEFT JOIN flowers f ON f.id = v.i ORDER BY i;
SELECT i, near(ml_predict('size', f), f.y) FROM flowers f RIGHT JOIN (VALUES (1), (900)) v(i) ON f.id = v.i ORDER BY i;
SELECT i, ml_predict('size', d) IS NULL AS none FROM (VALUES (1), (900)) v(i) LEFT JOIN doubled d ON d.id = v.i ORDER BY i;
SELECT i, ml_predict('size', d) IS NULL AS none FROM (VALUES (1), (900)) v(i)
	LEFT JOIN (SELECT * FROM doubled OFFSET 0) d ON d.id = v.i ORDER BY i;
SELECT calls($$ SELECT ml_predict('size', f) FROM (VALUES (1), (900)) v(i) LEFT JOIN flowers f ON f.id = v.i $$);
SELECT calls($$ SELECT ml_predict('size', f) FROM flowers f LEFT JOIN (VALUES (1), (900)) v(i) ON f.id = v.i $$);
SELECT count(*), count(p), count(id) FROM
	(SELECT id, ml_predict('size', f) AS p FROM flowers f GROUP BY GROUPING SETS ((id, f), ())) s;
SELECT count(*), count(p) FROM (SELECT ml_predict('size', f) AS p FROM flowers f GROUP BY f) s;
SELECT count(*), count(p) FROM (SELECT ml_predict('size', f) AS p FROM flowers f GROUP BY id) s;

-- in subqueries of every kind
SELECT count(*), bool_and(near(p, y)) FROM flowers f, LATERAL (SELECT ml_predict('size', f) AS p OFFSET 0) l;
SELECT count(*), bool_and(near(p, y)) FROM (SELECT (SELECT ml_predict('size', f) FROM generate_series(1, 1)) AS p, y FROM flowers f) s;
SELECT count(*), bool_and(near(p, y)) FROM
	(SELECT (SELECT p FROM generate_series(1, 1) g, LATERAL (SELECT g, ml_predict('size', f) AS p OFFSET 0) z) AS p, y
		FROM flowers f) s;
SELECT count(*) FROM flowers f WHERE EXISTS (SELECT FROM flowers g WHERE g.id = f.id AND near(ml_predict('size', g), f.y));
SELECT count(*), bool_and(near(ml_predict('size', s), truth(a, b, c)))
	FROM (SELECT a, b, c FROM flowers UNION ALL SELECT a, b, c FROM doubled) s;

-- what a statement changes, and returns
INSERT INTO flowers VALUES (1, 1, 2, 'red') ON CONFLICT (id) DO UPDATE SET note = round(ml_predict('size', excluded)::numeric, 6)::text
	RETURNING note, near(ml_predict('size', flowers), y);
UPDATE made SET x = 2 RETURNING near(ml_predict('size', made), truth(4, 5, 'red'));

-- fields with side effects are not left out
CREATE SEQUENCE counted;
CREATE TYPE numbered AS (n bigint, a float8, b int);
SELECT calls($$ SELECT ml_predict('answer', ROW(id, a, b)::numbered), ml_predict('answer', ROW(nextval('counted'), a, b)::numbered) FROM flowers $$);
SELECT near(ml_predict('answer', s), ml_predict('answer', 1, 2)) FROM (SELECT nextval('counted') AS n, 1 AS a, 2 AS b) s;
SELECT nextval('counted');

-- numbers and jsonb
SELECT near(ml_predict('answer', a, b), ml_predict('answer', f)) AS numbers,
	near(ml_predict('answer', VARIADIC ARRAY[a, b]), ml_predict('answer', f)) AS list,
	near(ml_predict('answer', to_jsonb(f)), ml_predict('answer', f)) AS json,
	near(ml_predict('answer', VARIADIC ARRAY[NULL, b]), ml_predict('answer', '{"a": null}'::jsonb || jsonb_build_object('b', b))) AS unknown
	FROM flowers f WHERE id = 7;
SELECT near(ml_predict('size', to_jsonb(f)), y) FROM flowers f WHERE id = 7;

-- classes
SELECT calls($$ SELECT ml_classify('answer', f), ml_probability('answer', f, note), ml_probabilities('answer', f) FROM flowers f $$);
SELECT count(*), bool_and(ml_predict('answer', f) BETWEEN 0 AND 1) AS is_probability,
	bool_and(ml_predict('answer', f) = ml_probability('answer', f, 'yes')) AS of_second,
	bool_and(near(ml_probability('answer', f, 'no') + ml_probability('answer', f, 'yes'), 1)) AS sum,
	bool_and(ml_classify('answer', f) = CASE WHEN ml_predict('answer', f) > 0.5 THEN 'yes' ELSE 'no' END) AS label,
	bool_and((ml_probabilities('answer', f) ->> 'yes')::float8 = ml_predict('answer', f)) AS object,
	avg((ml_classify('answer', f) = answer)::int) > 0.8 AS learned
	FROM flowers f;
SELECT count(*), bool_and(near(ml_probability('kind', f, 'x') + ml_probability('kind', f, 'y') + ml_probability('kind', f, 'z'), 1)) AS sum,
	bool_and(ml_probability('kind', f, ml_classify('kind', f)) >= 1.0 / 3) AS most_likely,
	bool_and(ml_probabilities('kind', f) = ml_probabilities('kind', to_jsonb(f))) AS json
	FROM flowers f;
SELECT ml_probability('answer', f, NULL) IS NULL FROM flowers f WHERE id = 1;

-- plans follow the model
PREPARE one AS SELECT round(ml_predict('size', f)::numeric, 6) FROM flowers f WHERE id = 3;
PREPARE any_model(text) AS SELECT round(ml_predict($1, f)::numeric, 6) FROM flowers f WHERE id = 3;
SET plan_cache_mode = force_generic_plan;
EXECUTE one;
EXECUTE any_model('size');
SELECT version FROM ml_train('size', 'shifted', target => 'y', algorithm => 'linear', features => '{c,b,a}');
EXECUTE one;
EXECUTE any_model('size');
SELECT calls($$ SELECT ml_predict('size', f), ml_predict('size@1', f) FROM flowers f $$);
SELECT ml_rollback('size');
EXECUTE one;
EXECUTE any_model('size');
BEGIN;
SELECT ml_promote('size', 2);
EXECUTE one;
EXECUTE any_model('size');
ROLLBACK;
EXECUTE one;
EXECUTE any_model('size');
BEGIN;
SELECT ml_drop('size');
EXECUTE one;
ROLLBACK;
EXECUTE one;
RESET plan_cache_mode;

-- so do expressions of PL/pgSQL, within one transaction
CREATE FUNCTION of_record(f flowers) RETURNS numeric LANGUAGE plpgsql AS
	$$ BEGIN RETURN round(ml_predict('size', f)::numeric, 6); END $$;
CREATE FUNCTION of_fields(f flowers) RETURNS numeric LANGUAGE plpgsql AS
	$$ BEGIN RETURN round(ml_predict('size', ROW(f.a, f.b, f.c)::flower)::numeric, 6); END $$;
CREATE FUNCTION of_value(m ml_model, f flowers) RETURNS numeric LANGUAGE plpgsql AS
	$$ BEGIN RETURN round(ml_predict(m, f)::numeric, 6); END $$;
BEGIN;
SELECT of_record(f), of_fields(f) FROM flowers f WHERE id = 3;
SELECT ml_promote('size', 2);
SELECT of_record(f), of_fields(f) FROM flowers f WHERE id = 3;
SELECT ml_rollback('size');
SELECT of_record(f), of_fields(f) FROM flowers f WHERE id = 3;
ROLLBACK;

-- models as values: one a row, plain, compressed or toasted
CREATE TABLE kept (k int PRIMARY KEY, model ml_model);
INSERT INTO kept SELECT v.version, v.model FROM ml.version v JOIN ml.model m USING (model_id) WHERE m.name = 'size';
ALTER TABLE kept ALTER model SET STORAGE EXTERNAL;
INSERT INTO kept SELECT k + 2, (model::text)::ml_model FROM kept WHERE k <= 2;
SELECT f.id, k, near(ml_predict(model, f), y + CASE WHEN k % 2 = 0 THEN 1000 ELSE 0 END)
	FROM kept, flowers f WHERE f.id < 3 ORDER BY f.id, k;
SELECT k, of_value(model, f) FROM kept, flowers f WHERE id = 3 ORDER BY k;
SELECT count(*), bool_and(near(ml_predict((SELECT model FROM kept WHERE k = 1), f), y)) FROM flowers f;
SELECT regexp_replace(calls(format('SELECT ml_predict(%L::ml_model, f) FROM flowers f', model)), '''.x[0-9a-f]*''', 'bytes')
	FROM kept WHERE k = 1;
CREATE FUNCTION of_constant(m ml_model) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	result boolean;
BEGIN
	EXECUTE format('SELECT bool_and(near(ml_predict(%L::ml_model, f), y)) FROM flowers f', m) INTO result;
	RETURN result;
END $$;
SELECT k, of_constant(model) FROM kept ORDER BY k;

-- more columns than a function has arguments
SET client_min_messages = error;
CREATE TABLE wide (y float8);
DO $$
BEGIN
	EXECUTE (SELECT format('ALTER TABLE wide %s', string_agg(format('ADD c%s float8', i), ', ')) FROM generate_series(1, 120) i);
	EXECUTE (SELECT format('INSERT INTO wide SELECT 5 + i, %s FROM generate_series(1, 200) i',
		string_agg(format('(i * %s) %% 211', i), ', ')) FROM generate_series(1, 120) i);
END $$;
SELECT model FROM ml_train('wide', 'wide', target => 'y', algorithm => 'ridge', params => '{"l2": 1}');
RESET client_min_messages;
SELECT calls($$ SELECT ml_predict('wide', w) FROM wide w $$);
SELECT count(*), bool_and(near(ml_predict('wide', w), ml_predict('wide', to_jsonb(w)))) FROM wide w;

-- privileges: of the model, at planning and when the plan runs
CREATE ROLE regress_ml_user;
CREATE ROLE regress_ml_other;
GRANT SELECT ON flowers TO regress_ml_user, regress_ml_other;
SELECT ml_grant('size', 'regress_ml_user', 'predict');
SET ROLE regress_ml_user;
SELECT bool_and(near(ml_predict('size', f), y)) FROM flowers f;
PREPARE theirs AS SELECT bool_and(near(ml_predict('size', f), y)) FROM flowers f;
SET plan_cache_mode = force_generic_plan;
EXECUTE theirs;
SET ROLE regress_ml_other;
SELECT calls($$ SELECT ml_predict('size', f) FROM flowers f $$);
\set VERBOSITY sqlstate
EXECUTE theirs;
SELECT ml_predict('size', f) FROM flowers f;
SELECT ml_classify('answer', f) FROM flowers f;
SELECT ml_probability('answer', f, 'yes') FROM flowers f;
SELECT ml_probabilities('answer', to_jsonb(f)) FROM flowers f;
SELECT ml_predict('answer', 1, 2);
SELECT * FROM ml_explain('answer', ROW(1, 2));
SELECT ml_predict_interval('answer', ROW(1, 2));
SELECT ml_predict_columns(n, 'size', '{a,b,c}', 1::float8, 2, 'red'::text) FROM generate_series(1::bigint, 1) n;
RESET ROLE;
SELECT ml_revoke('size', 'regress_ml_user', 'predict');
SET ROLE regress_ml_user;
EXECUTE theirs;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION ml_predict(text, record) FROM PUBLIC;
SET ROLE regress_ml_user;
SELECT ml_predict('size', f) FROM flowers f;
RESET ROLE;
GRANT EXECUTE ON FUNCTION ml_predict(text, record) TO PUBLIC;
RESET plan_cache_mode;
DROP OWNED BY regress_ml_user, regress_ml_other;
DROP ROLE regress_ml_user, regress_ml_other;

-- errors: the same whether or not the planner knows the row
\set VERBOSITY default
SELECT ml_predict('nothing', f) FROM flowers f;
SELECT ml_predict('size', s) FROM (SELECT a, c FROM flowers) s;
SELECT calls($$ SELECT ml_predict('size', s) FROM (SELECT a, c FROM flowers) s $$);
SELECT ml_predict('size', s) FROM (SELECT a, b, c, 1 AS a FROM flowers) s;
SELECT ml_predict('size', s) FROM (SELECT a, c, '\x00'::bytea AS b FROM flowers) s;
SELECT ml_predict('size', s) FROM flowers f LEFT JOIN (SELECT id, a, c, '\x00'::bytea AS b FROM flowers OFFSET 0) s USING (id);
SELECT ml_predict('size', ROW(1, 2, 'red'));
SELECT ml_predict('size', 1, 2, 3);
SELECT ml_predict('answer', 1);
SELECT ml_predict('answer', 1, 2, 3);
SELECT ml_predict('answer', '{"a": 1}'::jsonb);
SELECT ml_predict('answer', '[1, 2]'::jsonb);
SELECT ml_predict('answer', '{"a": 1, "b": [2]}'::jsonb);
SELECT ml_predict('kind', f) FROM flowers f;
SELECT ml_classify('size', f) FROM flowers f;
SELECT ml_probability('answer', f, 'perhaps') FROM flowers f;
SELECT ml_predict_interval('size', f, 95) FROM flowers f;

-- the planner's functions by hand
SELECT ml_predict_columns(model, 1::float8, 2, 'red'::text) IS NOT NULL, ml_predict_columns(NULL::ml_model, 1, 2) IS NULL FROM kept WHERE k = 1;
SELECT ml_predict_columns(model, 1::float8, 2) FROM kept WHERE k = 1;
SELECT ml_predict_columns(model, VARIADIC ARRAY[1, 2, 3]) FROM kept WHERE k = 1;
SELECT ml_predict_columns(model, 1, 2, 'red') FROM kept WHERE k = 1;
SELECT ml_predict_columns(model, 1, ROW(2), 'red'::text) FROM kept WHERE k = 1;
SELECT ml_predict_columns(model, 1, '2'::bytea, 'red'::text) FROM kept WHERE k = 1;
SELECT ml_classify_columns(model, 1, 2, 'red'::text) FROM kept WHERE k = 1;
\set VERBOSITY sqlstate
SELECT ml_predict_columns(-1, 'missing', '{a,b}', 1, 2);
-- what the planner writes, by hand: the name decides, not the number
SELECT ml_predict_columns(NULL::bigint, 'size', '{a}', 1) IS NULL AS a, ml_predict_columns(1, NULL, '{a}', 1) IS NULL AS b;
SELECT ml_predict_columns(-1, 'size', '{c,b,a}', 'red'::text, 2, 1.5) = ml_predict('size', ROW(1.5, 2, 'red')::flower) AS same;
SELECT ml_predict_columns(-1, 'size', '{a,b}', 1, 2);
SELECT ml_predict_columns(-1, 'size', NULL, 1, 2);
SELECT ml_predict_columns(-1, 'size', '{a,b}', 1);

-- Rows as JSON in a literal without a type, and in an untyped parameter.
SELECT ml_predict('size', '{"a": 1.5, "b": 2, "c": "red"}') = ml_predict('size', '{"a": 1.5, "b": 2, "c": "red"}'::jsonb) AS predict,
	ml_classify('kind', '{"a": 1.5, "b": 2}') = ml_classify('kind', '{"a": 1.5, "b": 2}'::jsonb) AS classify,
	ml_probability('answer', '{"a": 1.5, "b": 2}', 'yes') = ml_probability('answer', '{"a": 1.5, "b": 2}'::jsonb, 'yes') AS probability,
	ml_probabilities('kind', '{"a": 1.5, "b": 2}') = ml_probabilities('kind', '{"a": 1.5, "b": 2}'::jsonb) AS probabilities,
	ml_predict_interval('size', '{"a": 1.5, "b": 2, "c": "red"}') = ml_predict_interval('size', '{"a": 1.5, "b": 2, "c": "red"}'::jsonb) AS interval,
	(SELECT array_agg(e) FROM ml_explain('size', '{"a": 1.5, "b": 2, "c": "red"}') e) =
	(SELECT array_agg(e) FROM ml_explain('size', '{"a": 1.5, "b": 2, "c": "red"}'::jsonb) e) AS explain;
PREPARE untyped AS SELECT ml_predict($1, $2) = ml_predict('size', ROW(1.5, 2, 'red')::flower) AS same;
EXECUTE untyped('size', '{"a": 1.5, "b": 2, "c": "red"}');
SELECT ml_predict('size', '{"a": 1.5');
SELECT ml_predict('size', NULL) IS NULL AS null;
