-- Every type of column as a feature, as a target, NULL and never seen; what cannot be used says so.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
SET extra_float_digits = 0;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';

\i test/try.sql

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN positive AS numeric(10, 2) CHECK (VALUE > 0);
CREATE DOMAIN positive2 AS positive;
CREATE DOMAIN code AS varchar(4);
CREATE DOMAIN vec AS float8[];

-- One feature of 60 rows made from i, y = i % 7: which terms a linear model gets, that rows, jsonb and rows
-- with other columns around predict alike, what a NULL gives, and the prediction for the first row.
CREATE FUNCTION feature(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE terms text; same text; nulls text; used text;
BEGIN
	DROP TABLE IF EXISTS f;
	EXECUTE format('CREATE TABLE f AS SELECT %s AS c, (i %% 7)::float8 AS y FROM generate_series(1, 60) i', expression);
	BEGIN
		EXECUTE $q$SELECT concat(rows_used, ' rows') FROM ml_train('f', 'f', 'y', 'ridge', features => '{c}', holdout => 0)$q$ INTO used;
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE || ' ' || SQLERRM;
	END;
	SELECT string_agg(term, ' ' ORDER BY term COLLATE "C") FROM ml_coefficients('f') WHERE term <> '(intercept)' INTO terms;
	SELECT string_agg(DISTINCT (ml_predict('f', f) = ml_predict('f', to_jsonb(f)) AND
		ml_predict('f', f) = ml_predict('f', (SELECT x FROM (SELECT 'extra' AS before, f.c, NULL::int AS after) x)))::text, ',')
	FROM f INTO same;
	EXECUTE 'SELECT round(ml_predict(''f'', x)::numeric, 4) FROM (SELECT NULL::' ||
		(SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'f'::regclass AND attname = 'c') || ' AS c) x' INTO nulls;
	RETURN concat_ws('; ', used, left(terms, 120), 'alike ' || same, 'NULL ' || nulls,
		'first ' || (SELECT round(ml_predict('f', f)::numeric, 4) FROM f LIMIT 1));
END $$;

SELECT e || E'\n    ' || feature(e) FROM unnest(ARRAY[
	'(i % 7)::smallint', '(i % 7)::int', '(i % 7)::bigint', '(i % 7)::real', '(i % 7)::float8', '(i % 7)::numeric',
	'(i % 7 + 0.5)::numeric(12, 4)', '1e30::numeric * (i % 7)', '(i % 7)::oid', '(i % 7)::money',
	'i % 7 > 3', 'chr(97 + i % 7)', 'chr(97 + i % 7)::varchar(3)', 'chr(97 + i % 7)::char(5)', 'chr(97 + i % 7)::name',
	'chr(97 + i % 7)::"char"', $q$('{sad,ok,happy}'::mood[])[1 + i % 3]$q$,
	$q$('00000000-0000-0000-0000-00000000000' || i % 7)::uuid$q$, '(''10.0.0.'' || i % 7)::inet',
	'date ''2024-01-01'' + i', 'timestamp ''2024-01-01'' + i * interval ''5 hours''',
	'timestamptz ''2024-01-01 00:00+00'' + i * interval ''5 hours''', 'i * interval ''1 day''',
	'time ''00:00'' + i * interval ''10 min''', '(time ''00:00'' + i * interval ''10 min'')::timetz',
	'ARRAY[i % 7, i % 3]', 'ARRAY[i % 7, i % 3]::real[]', 'ARRAY[i % 7, i % 3]::numeric[]', 'ARRAY[i % 7, NULL]::float8[]',
	'ARRAY[chr(97 + i % 7)]', 'ARRAY[i % 2 = 0]', 'ARRAY[[i % 7, 1], [2, i % 3]]', '''{}''::float8[]',
	'array_fill(1.0, ARRAY[1 + i % 2])', '(i % 7 + 1)::positive', '(i % 7 + 1)::positive2', 'chr(97 + i % 7)::code',
	'ARRAY[i % 7, i % 3]::vec', '(i, i % 7)::pair', 'to_jsonb(i % 7)', 'to_json(i % 7)', 'int4range(i, i + 7)',
	'''\x00''::bytea', 'point(i, i % 7)', 'B''101''', '''a b''::tsvector', 'NULL',
	'NULL::float8', 'NULL::text', 'CASE WHEN i % 5 > 0 THEN i % 7 END', 'CASE WHEN i % 5 > 0 THEN chr(97 + i % 7) END',
	'CASE WHEN i % 5 > 0 THEN i % 7 > 3 END', 'CASE WHEN i % 5 > 0 THEN date ''2024-01-01'' + i END',
	'date ''infinity''', 'CASE i WHEN 1 THEN timestamp ''-infinity'' ELSE now()::timestamp END', '1e400::numeric', '''NaN''::numeric',
	'''NaN''::real', 'ARRAY[''Infinity'']::float8[]', '(ARRAY[9223372036854775807, -9223372036854775808])[1 + i % 2]']) e;

-- Not named, a column of a type that cannot be used is left out with a warning.
CREATE TABLE mixed AS SELECT i % 7 AS c, point(i, i) AS p, '\x00'::bytea AS b, 1::money AS m, (i % 7)::float8 AS y
FROM generate_series(1, 60) i;
SELECT unnest(warnings) FROM ml_train('mixed', 'mixed', 'y', 'ridge', holdout => 0);
SELECT features FROM ml_train('mixed', 'mixed', 'y', 'ridge', holdout => 0);

-- Other types than in training, at prediction.
CREATE TABLE numbers AS SELECT (i % 7)::int AS n, chr(97 + i % 3) AS c, i % 2 = 0 AS b, date '2024-01-01' + i AS d,
	ARRAY[i % 5, i % 3]::float8[] AS a, (i % 7)::float8 AS y FROM generate_series(1, 60) i;
SELECT features FROM ml_train('numbers', 'numbers', 'y', 'ridge', holdout => 0);
CREATE TEMP TABLE one AS SELECT * FROM numbers WHERE n = 3 LIMIT 1;
CREATE TEMP VIEW other AS SELECT column1 AS changed, replace('SELECT round(ml_predict(''numbers'', x)::numeric, 6) FROM (SELECT '
	|| CASE column1 WHEN 'n' THEN column2 ELSE 'n' END || ' AS n, ' || CASE column1 WHEN 'c' THEN column2 ELSE 'c' END || ' AS c, '
	|| CASE column1 WHEN 'b' THEN column2 ELSE 'b' END || ' AS b, ' || CASE column1 WHEN 'd' THEN column2 ELSE 'd' END || ' AS d, '
	|| CASE column1 WHEN 'a' THEN column2 ELSE 'a' END || ' AS a FROM one) x', '  ', ' ') AS sql, column2 AS given
FROM (VALUES ('', ''), ('n', 'n::smallint'), ('n', 'n::bigint'), ('n', 'n::numeric(9,3)'), ('n', 'n::real'), ('n', 'n::positive'),
	('n', 'n::text'), ('n', '(n > 0)'), ('n', 'd'), ('n', '''NaN''::float8'), ('n', '1e308::float8'), ('n', 'NULL::text'), ('n', 'NULL'),
	('c', 'c::varchar(9)'), ('c', 'c::char(9)'), ('c', 'c::name'), ('c', 'c::code'), ('c', '5'), ('c', '''never seen'''), ('c', '''A'''),
	('c', ''''''), ('c', 'NULL::text'), ('c', 'point(1,1)'), ('c', 'repeat(''x'', 100000)'), ('b', 'b::int'), ('b', '2'), ('b', '''yes'''),
	('b', 'NULL::boolean'), ('d', 'd::timestamp'), ('d', 'd::timestamptz'), ('d', '''2024-01-05'''), ('d', '5'), ('d', 'date ''infinity'''),
	('d', 'date ''4713-01-01 BC'''), ('a', 'a::real[]'), ('a', 'a::int[]'), ('a', 'ARRAY[1.0]'), ('a', 'ARRAY[1.0, NULL]'), ('a', 'NULL::float8[]'),
	('a', '1.0'), ('a', 'ARRAY[[1.0, 2.0]]')) v;
SELECT concat_ws(' ', changed, given, '->', try(sql)) FROM other;

-- A column that is not there; in jsonb as well, which also says how it must be written.
SELECT try('SELECT ml_predict(''numbers'', x) FROM (SELECT n, c, b, d FROM one) x');
SELECT try('SELECT ml_predict(''numbers'', x) FROM (SELECT n AS "N", c, b, d, a FROM one) x');
SELECT j || ' -> ' || try(format('SELECT round(ml_predict(''numbers'', %L::jsonb)::numeric, 6)', j)) FROM unnest(ARRAY[
	'{"n": 3, "c": "a", "b": true, "d": "2024-01-04", "a": [3, 0]}', '{"n": 3.0, "c": "a", "b": 1, "d": "2024-01-04", "a": [3, 0], "more": [{}]}',
	'{"n": "3", "c": "a", "b": true, "d": "2024-01-04", "a": [3, 0]}', '{"n": 3, "c": {}, "b": true, "d": "2024-01-04", "a": [3, 0]}',
	'{"n": 3, "c": "a", "b": "true", "d": "2024-01-04", "a": [3, 0]}', '{"n": 3, "c": "a", "b": true, "d": "tomorrowish", "a": [3, 0]}',
	'{"n": 3, "c": "a", "b": true, "d": 17, "a": [3, 0]}', '{"n": 3, "c": "a", "b": true, "d": "2024-01-04", "a": [3]}',
	'{"n": 3, "c": "a", "b": true, "d": "2024-01-04", "a": [3, "x"]}', '{"n": 3, "c": "a", "b": true, "d": "2024-01-04", "a": 3}',
	'{"n": 3, "c": "a", "b": true, "d": "2024-01-04"}', '{"n": null, "c": null, "b": null, "d": null, "a": null}', '{}', '[]', '3', '"x"', 'null', 'true']) j;

-- Targets: task, classes, and the label as it was in the table.
CREATE FUNCTION target(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	DROP TABLE IF EXISTS f;
	EXECUTE format('CREATE TABLE f AS SELECT (i %% 7)::float8 AS x, %s AS y FROM generate_series(1, 60) i', expression);
	BEGIN
		EXECUTE $q$SELECT task, algorithm, rows_used FROM ml_train('f', 'f', 'y', holdout => 0)$q$ INTO r;
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE || ' ' || SQLERRM;
	END;
	IF r.task = 'regression' THEN
		RETURN concat_ws(' ', r, 'mean', (SELECT round(avg(ml_predict('f', f))::numeric, 3) FROM f));
	END IF;
	RETURN concat_ws(' ', r, (SELECT string_agg(DISTINCT ml_classify('f', f), ',') FROM f), (SELECT left(string_agg(k, ',' ORDER BY k COLLATE "C"), 90)
		FROM jsonb_object_keys((SELECT ml_probabilities('f', f) FROM f LIMIT 1)) k), 'all real ' || (SELECT bool_and(ml_classify('f', f) IN
			(SELECT coalesce(to_jsonb(g.y) #>> '{}', '') FROM f g)) FROM f));
END $$;
SELECT e || E'\n    ' || target(e) FROM unnest(ARRAY[
	'i % 7 > 3', 'CASE WHEN i % 9 > 0 THEN i % 7 > 3 END', '(i % 7 > 3)::int', '(i % 7 > 3)::int::smallint', '(i % 7 > 3)::int::bigint', '(i % 7)',
	'(i % 7 > 3)::int::real', '(i % 7 > 3)::int::numeric', '(i % 7)::numeric', '(i % 7 + 1)::positive', '(i % 7)::money',
	'chr(97 + (i % 7) / 3)', 'chr(97 + (i % 7) / 3)::char(4)', 'chr(97 + (i % 7) / 3)::name', '('' '' || chr(97 + (i % 7) / 3))',
	'CASE WHEN i % 7 > 3 THEN '''' ELSE ''full'' END', '(''{sad,ok,happy}''::mood[])[1 + (i % 7) / 3]', '(''00000000-0000-0000-0000-00000000000'' || (i % 7) / 3)::uuid',
	'date ''2024-01-01'' + i % 7', 'timestamp ''2024-01-01'' + i * interval ''1 hour''', 'i * interval ''1 hour''', 'point(i, i)', 'ARRAY[i]', 'to_jsonb(i)',
	'NULL::float8', 'NULL::text', 'NULL::boolean', '''one''', 'i::text', '(i % 2) * 9007199254740993', '9007199254740992 + i % 2']) e;
SELECT try($$SELECT task, rows_used FROM ml_train('n', 'SELECT i % 7 AS x, (i % 3 + 0.5)::numeric AS y FROM generate_series(1, 60) i', 'y', 'logistic')$$);
SELECT ml_classify('n', q) FROM (SELECT 2 AS x) q;
SELECT try($$SELECT task FROM ml_train('n', 'SELECT i % 7 AS x, i * 1.1 AS y FROM generate_series(1, 60) i', 'y', 'logistic')$$);
