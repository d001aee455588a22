-- The corpus of bad input with the tree methods: an answer that is right or an error that says what to do.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;

\i test/try.sql

-- The same training with each algorithm, with a few small trees; isolation_forest has no target.
CREATE FUNCTION each(source text, target text, options text DEFAULT '', params jsonb DEFAULT '{}',
	algorithms text DEFAULT 'decision_tree random_forest extra_trees gradient_boosting isolation_forest') RETURNS SETOF text LANGUAGE sql AS $$
	SELECT a || ': ' || try(format($q$SELECT rows_read, rows_used, rows_dropped FROM ml_train(%L, %L, %s algorithm => %L, params => %L %s)$q$,
		't_' || a, source, CASE WHEN a = 'isolation_forest' THEN '' ELSE format('target => %L,', target) END, a,
		params || CASE WHEN a = 'decision_tree' THEN '{}' ELSE '{"n_estimators": 5}' END::jsonb, options))
	FROM unnest(string_to_array(algorithms, ' ')) a
$$;

-- Predictions of all models for a table: how many there are, and whether all are finite.
CREATE FUNCTION predictions(source text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE a text; n record;
BEGIN
	FOREACH a IN ARRAY '{decision_tree,random_forest,extra_trees,gradient_boosting,isolation_forest}'::text[] LOOP
		EXECUTE format('SELECT count(*) AS n, bool_and(abs(p) < 1e300) AS finite FROM (SELECT ml_predict(%L, s) AS p FROM %s s) p', 't_' || a, source) INTO n;
		RETURN NEXT a || ': ' || n;
	END LOOP;
END $$;

\i test/data/bad_input/load.sql

-- nulls: a NULL target is never trained on, a missing feature goes where the trees learned
SELECT each('nulls', 'y');
SELECT predictions('nulls');
SELECT each('SELECT x1, x2, all_null, colour, y > 1 AS high FROM nulls', 'high');
SELECT predictions('(SELECT *, NULL::bool AS high FROM nulls)');
SELECT each('nulls', 'y', ', features => ''{all_null}''');
SELECT each('nulls', 'all_null', algorithms => 'decision_tree gradient_boosting');

-- NaN and infinity: refused unless a policy says otherwise
SELECT each('nan_inf', 'y');
SELECT each('nan_inf', 'y', ', exclude => ''{y}''', algorithms => 'isolation_forest');
SELECT each('SELECT x1, x2, y FROM nan_inf WHERE abs(y) < 1e300', 'y', params => '{"nonfinite": "drop"}');
SELECT each('SELECT x1, x2, y FROM nan_inf WHERE abs(y) < 1e300', 'y', params => '{"nonfinite": "null"}');
SELECT try($$SELECT ml_predict('t_random_forest', n) FROM nan_inf n WHERE x1 = 'inf' LIMIT 1$$);
SELECT try($$SELECT ml_predict('t_gradient_boosting', '{"x1": "NaN", "x2": 1}'::jsonb)$$);

-- no rows, one row, one class, nothing that varies
SELECT each('zero_rows', 'y');
SELECT each('one_row', 'y');
SELECT each('one_row', 'y', ', features => ''{x1}''');
SELECT each('one_row', 'colour');
SELECT each('one_class', 'y', algorithms => 'decision_tree random_forest extra_trees gradient_boosting');
SELECT each('SELECT const_num, const_text, y FROM constant_columns', 'y', ', exclude => ''{y}''', algorithms => 'isolation_forest');
SELECT each('SELECT const_num, const_text, y FROM constant_columns', 'y', algorithms => 'decision_tree random_forest extra_trees gradient_boosting');
SELECT each('SELECT const_num, const_text, x, const_y FROM constant_columns', 'const_y');
SELECT bool_and(abs(ml_predict('t_decision_tree', c) - 3.25) < 1e-9), bool_and(abs(ml_predict('t_random_forest', c) - 3.25) < 1e-9),
	bool_and(abs(ml_predict('t_extra_trees', c) - 3.25) < 1e-9), bool_and(abs(ml_predict('t_gradient_boosting', c) - 3.25) < 1e-9) FROM constant_columns c;

-- two rows, a row for each of two classes
SELECT each('SELECT x1, y FROM nulls WHERE row_id <= 2', 'y');
SELECT each('SELECT i AS x, i = 1 AS y FROM generate_series(1, 2) i', 'y');

-- copies of columns, separated classes, magnitudes
SELECT each('collinear', 'y');
SELECT predictions('collinear');
SELECT each('separation', 'y', ', exclude => ''{row_id}''');
SELECT bool_and(ml_predict('t_gradient_boosting', s) BETWEEN 0 AND 1), ml_accuracy(s.y::text, ml_classify('t_decision_tree', s)) FROM separation s;
SELECT each('quasi_separation', 'y', ', exclude => ''{row_id}''');
SELECT predictions('quasi_separation');
SELECT each('huge_magnitude', 'y', ', features => ''{x}''');
SELECT predictions('huge_magnitude');
SELECT each('SELECT x, CASE WHEN row_id % 2 = 0 THEN 1e308 ELSE -1e308 END AS y FROM huge_magnitude', 'y', ', features => ''{x}''');
SELECT each('SELECT CASE row_id % 3 WHEN 0 THEN 1.7e308 WHEN 1 THEN -1.7e308 ELSE 5e-324 END AS x, row_id % 3 AS y FROM huge_magnitude', 'y', ', task => ''regression''',
	algorithms => 'decision_tree random_forest extra_trees gradient_boosting');
SELECT each('SELECT CASE row_id % 3 WHEN 0 THEN 1.7e308 WHEN 1 THEN -1.7e308 ELSE 5e-324 END AS x FROM huge_magnitude', NULL, algorithms => 'isolation_forest');
SELECT predictions('(SELECT 1e308::float8 AS x UNION ALL SELECT -1.7e308)');
SELECT each('offset_1e9', 'y', ', features => ''{x}'', holdout => 0');
SELECT corr(ml_predict('t_gradient_boosting', o), y) > 0.8, corr(ml_predict('t_decision_tree', o), y) > 0.999 FROM offset_1e9 o;

-- texts, names and categories
SELECT each('mixed_types', 'y', ', features => ''{x_text}''');
SELECT each('duplicate_header', 'y', ', task => ''regression''', algorithms => 'decision_tree random_forest extra_trees gradient_boosting');
SELECT each('duplicate_header', NULL, algorithms => 'isolation_forest');
SELECT each('unicode_names', 'y', ', exclude => ''{row_id}''');
SELECT feature FROM ml_importance('t_random_forest') ORDER BY feature COLLATE "C";
SELECT each('SELECT cat, y::float8 AS y FROM unicode_categories', 'y', ', features => ''{cat}'', holdout => 0');
SELECT count(*) > 0 FROM ml_describe('t_decision_tree');
SELECT each('many_categories', 'y', ', exclude => ''{row_id}''');
SELECT each('many_categories', 'y', ', features => ''{id_text}''');
SELECT ml_predict('t_gradient_boosting', '{"id_text": "never seen"}'::jsonb) = ml_predict('t_gradient_boosting', '{"id_text": "nor this"}'::jsonb);
SELECT each('many_categories', 'id_text', algorithms => 'decision_tree gradient_boosting');
SELECT each('long_text', 'label', ', features => ''{txt}''');
SELECT predictions('long_text');
SELECT each('wide_1600', 'y', params => '{"max_depth": 3}', algorithms => 'decision_tree random_forest extra_trees gradient_boosting');
SELECT each('wide_1600', 'y', algorithms => 'isolation_forest');

-- labels in any type
SELECT each(format('SELECT x, %I AS y FROM labels', t), 'y', ', task => ''classification'', holdout => 0', algorithms => 'decision_tree gradient_boosting')
	FROM unnest(ARRAY['as_bool', 'as_yes_no', 'as_1_2', 'as_pm1', 'with_null', 'as_float']) t;
SELECT each('SELECT x, rare AS y FROM labels', 'y', algorithms => 'decision_tree random_forest extra_trees gradient_boosting');
SELECT each('timeseries', 'y');
SELECT each('SELECT ts, y FROM timeseries WHERE abs(y) < 1e300', 'y');

-- 300 classes: each leaf of a forest has their shares
SET maintenance_work_mem = '512MB';
CREATE TABLE classes AS SELECT i % 300 AS x, sin(i) AS z, 'c' || i % 300 AS y FROM generate_series(1, 6000) i;
SELECT each('classes', 'y', ', holdout => 0', algorithms => 'decision_tree random_forest extra_trees');
SELECT each('classes', 'y', ', holdout => 0', params => '{"max_depth": 3}', algorithms => 'gradient_boosting');
SELECT avg((ml_classify('t_decision_tree', c) = y)::int), avg((ml_classify('t_random_forest', c) = y)::int) > 0.9,
	avg((ml_classify('t_gradient_boosting', c) = y)::int) > 0.5 FROM classes c;
SELECT try($$SELECT round(sum(p.value::float8)::numeric, 9) FROM classes c, jsonb_each_text(ml_probabilities('t_gradient_boosting', c)) p WHERE c.x = 7 AND c.z = sin(7)$$);
SELECT each('SELECT x, i AS y FROM (SELECT sin(i) AS x, i FROM generate_series(1, 3000) i) t', 'y', ', task => ''classification''', algorithms => 'random_forest gradient_boosting');

RESET maintenance_work_mem;

-- 100,000 categories: encoded by the target in other rows, for many classes by frequency; one more is refused
CREATE TABLE categories AS SELECT 'k' || i % 100000 AS k, sin(i) AS x, i % 100000 % 7 AS y, 'c' || i % 3 AS y3 FROM generate_series(1, 200000) i;
SELECT each('categories', 'y', ', features => ''{k,x}'', task => ''regression''', params => '{"max_depth": 4}', algorithms => 'decision_tree random_forest extra_trees gradient_boosting');
SELECT each('categories', 'y3', ', features => ''{k,x}''', params => '{"max_depth": 4}', algorithms => 'decision_tree random_forest extra_trees gradient_boosting');
SELECT each('categories', 'y3', ', features => ''{k,x}''', algorithms => 'isolation_forest');
SELECT each('SELECT k, x, y FROM categories UNION ALL SELECT ''another'', 0, 0', 'y', ', features => ''{k,x}''', algorithms => 'gradient_boosting isolation_forest');

-- rows that none of the trees has seen: NULL everywhere, a row without a column, another type
SELECT each('nulls', 'y', ', features => ''{x1,x2,colour}''');
SELECT predictions('(SELECT NULL::float8 AS x1, NULL::float8 AS x2, NULL::text AS colour)');
SELECT predictions('(SELECT 1e300 AS x1, -1e300 AS x2, ''never seen''::text AS colour)');
SELECT try($$SELECT ml_predict('t_gradient_boosting', r) FROM (SELECT 1.0 AS x1) r$$);
SELECT try($$SELECT ml_predict('t_gradient_boosting', r) FROM (SELECT 'x'::text AS x1, 1.0 AS x2, 'red' AS colour) r$$);
