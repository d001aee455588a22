-- The corpus of bad input: every case ends in an answer that is right or in an error that says what to do.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;

\i test/try.sql

-- The same training with each algorithm.
CREATE FUNCTION each(source text, target text, options text DEFAULT '', algorithms text DEFAULT 'baseline linear ridge lasso elastic_net glm')
RETURNS SETOF text LANGUAGE sql AS $$
	SELECT a || ': ' || try(format($q$SELECT rows_read, rows_used, rows_dropped FROM ml_train(%L, %L, %L, %L %s)$q$, 'm_' || a, source, target, a, options))
	FROM unnest(string_to_array(algorithms, ' ')) a
$$;

\i test/data/bad_input/load.sql

-- nulls: a NULL target is never trained on, a NULL feature gets a value, a column of NULLs is named
SELECT each('nulls', 'y');
SELECT each('SELECT x1, x2, all_null, colour, y > 1 AS y FROM nulls', 'y', algorithms => 'baseline logistic');
SELECT count(*), count(y), count(ml_predict('m_linear', n)), bool_and(ml_predict('m_linear', n) BETWEEN -20 AND 20),
	count(ml_predict('m_logistic', n)), count(ml_classify('m_logistic', n)) FROM nulls n;
SELECT unnest(warnings) FROM ml_train('m', 'nulls', 'y', 'ridge');
SELECT try($$SELECT 1 FROM ml_train('m', 'nulls', 'y', 'ridge', features => '{all_null}')$$);
SELECT try($$SELECT 1 FROM ml_train('m', 'nulls', 'all_null', 'ridge')$$);
SELECT metric, n FROM ml_evaluate('m_linear', 'nulls') WHERE metric = 'rmse';

-- NaN and infinity
SELECT each('nan_inf', 'y');
SELECT each('SELECT x1, x2, y > 0 AS y FROM nan_inf', 'y', algorithms => 'logistic');
SELECT try($$SELECT 1 FROM ml_cv('nan_inf', 'y', 'ridge')$$);
SELECT try($$SELECT 1 FROM ml_evaluate('m_linear', 'SELECT x1, x2, 1 AS row_id, NULL::float8 AS all_null, NULL::text AS colour, y FROM nan_inf')$$);
SELECT try($$SELECT rows_read, rows_used, rows_dropped FROM ml_train('m', 'SELECT x1, x2, y FROM nan_inf WHERE abs(y) < 1e300', 'y', 'ridge', '{"nonfinite": "drop"}')$$);
SELECT count(*), count(*) FILTER (WHERE abs(x1) < 1e300 AND abs(x2) < 1e300) FROM nan_inf WHERE abs(y) < 1e300;
SELECT try($$SELECT ml_rmse(x1, y) FROM nan_inf$$);
SELECT try($$SELECT ml_auc(y > 0, x1) FROM nan_inf$$);

-- no rows
SELECT each('zero_rows', 'y');
SELECT each('SELECT x1, colour, y > 0 AS y FROM zero_rows', 'y', algorithms => 'baseline logistic');
SELECT try($$SELECT 1 FROM ml_cv('zero_rows', 'y', 'ridge')$$);
SELECT count(ml_predict('m_linear', n)) FROM nulls n WHERE false;
SELECT metric, value, baseline, n FROM ml_evaluate('m_linear', 'SELECT * FROM nulls WHERE false') WHERE metric IN ('rmse', 'r2');
SELECT ml_rmse(x1, y), ml_r2(x1, y), ml_auc(y > 0, x1), ml_accuracy(colour, colour), ml_log_loss(y > 0, x1), ml_f1(colour, colour) FROM zero_rows;
SELECT ml_metrics(y, x1) ->> 'rmse', ml_metrics(y, x1) -> 'undefined' ->> 'rmse', ml_metrics(colour, colour) ->> 'accuracy', ml_confusion(colour, colour), ml_roc(y > 0, x1) FROM zero_rows;

-- one row
SELECT each('one_row', 'y');
SELECT each('one_row', 'colour', algorithms => 'baseline logistic');
SELECT try($$SELECT rows_used, value FROM ml_train('m', 'one_row', 'y', 'linear', '{"intercept": false}', features => '{x1}')$$);
SELECT term, estimate, std_error, p_value FROM ml_coefficients('m');
SELECT ml_predict('m', o) FROM one_row o;
SELECT try($$SELECT 1 FROM ml_cv('one_row', 'y', 'baseline')$$);
SELECT ml_rmse(x1, y), ml_r2(x1, y), ml_auc(true, x1) FROM one_row;
SELECT ml_metrics(y, x1) -> 'undefined' FROM one_row;

-- one class
SELECT each('one_class', 'y', algorithms => 'baseline logistic');
SELECT try($$SELECT 1 FROM ml_cv('one_class', 'y', 'logistic')$$);
SELECT ml_auc(y = 'yes', x1), ml_metrics(y = 'yes', 0.5) -> 'undefined' ->> 'auc' FROM one_class;

-- constant columns and a constant target
SELECT unnest(warnings) FROM ml_train('m', 'constant_columns', 'y', 'linear', exclude => '{row_id}');
SELECT each('constant_columns', 'const_y');
SELECT bool_and(abs(ml_predict('m_baseline', c) - 3.25) < 1e-9), bool_and(abs(ml_predict('m_linear', c) - 3.25) < 1e-9), bool_and(abs(ml_predict('m_ridge', c) - 3.25) < 1e-9),
	bool_and(abs(ml_predict('m_lasso', c) - 3.25) < 1e-9), bool_and(abs(ml_predict('m_glm', c) - 3.25) < 1e-9) FROM constant_columns c;
SELECT metric, value FROM ml_evaluate('m_linear', 'constant_columns') WHERE metric = 'r2';
SELECT metric, mean FROM ml_cv('constant_columns', 'const_y', 'ridge') WHERE metric IN ('r2', 'explained_variance');
SELECT try($$SELECT value FROM ml_train('m', 'SELECT x, y FROM constant_columns', 'y', 'ridge', '{"scale": "minmax"}')$$) NOT LIKE '2%';
SELECT try($$SELECT value IS NOT NULL FROM ml_train('m', 'SELECT x, const_num, y FROM constant_columns', 'y', 'linear', '{"intercept": false, "scale": "robust"}')$$);

-- collinear columns: as without them
SELECT rows_used FROM ml_train('m2', 'collinear', 'y', 'linear', features => '{x1,x2}', holdout => 0);
SELECT each('collinear', 'y', ', exclude => ''{row_id}'', holdout => 0');
SELECT max(abs(ml_predict('m_linear', c) - ml_predict('m2', c))) < 1e-6, max(abs(ml_predict('m_glm', c) - ml_predict('m2', c))) < 1e-6 FROM collinear c;
SELECT unnest(warnings) FROM ml_train('m', 'collinear', 'y', 'linear', exclude => '{row_id}');
SELECT unnest(warnings) FROM ml_train('m', 'collinear', 'y', 'glm', exclude => '{row_id}');
SELECT term, estimate IS NULL AS left_out FROM ml_coefficients('m_linear') ORDER BY term COLLATE "C";
SELECT rows_used FROM ml_train('m2', 'SELECT *, y > 1 AS b FROM collinear', 'b', 'logistic', features => '{x1,x2}', holdout => 0);
SELECT rows_used FROM ml_train('m', 'SELECT *, y > 1 AS b FROM collinear', 'b', 'logistic', exclude => '{row_id,y}', holdout => 0);
SELECT max(abs(ml_predict('m', c) - ml_predict('m2', c))) < 1e-6 FROM collinear c;

-- separated classes
SELECT unnest(warnings) FROM ml_train('m', 'separation', 'y', 'logistic', features => '{x1,noise}', holdout => 0);
SELECT bool_and(ml_predict('m', s) BETWEEN 0 AND 1), ml_accuracy(s.y::text, ml_classify('m', s)) FROM separation s;
SELECT warnings FROM ml_train('m', 'separation', 'y', 'logistic', '{"l2": 1}', features => '{x1,noise}', holdout => 0);
SELECT bool_and(ml_predict('m', s) BETWEEN 0 AND 1), ml_accuracy(s.y::text, ml_classify('m', s)) FROM separation s;
SELECT warnings FROM ml_train('m', 'separation', 'y', exclude => '{row_id}');
SELECT unnest(warnings) FROM ml_train('m', 'quasi_separation', 'y', 'logistic', features => '{level,x}', holdout => 0);
SELECT bool_and(ml_predict('m', s) BETWEEN 0 AND 1) FROM quasi_separation s;
SELECT warnings FROM ml_train('m', 'quasi_separation', 'y', 'logistic', '{"l2": 1}', features => '{level,x}', holdout => 0);

-- magnitude and offset
SELECT each('huge_magnitude', 'y', ', features => ''{x}''', 'linear ridge lasso glm');
SELECT each('SELECT x, y > 30 AS y FROM huge_magnitude', 'y', ', features => ''{x}''', 'logistic');
SELECT try($$SELECT ml_rmse(x, y) FROM huge_magnitude$$), try($$SELECT ml_r2(y, x) FROM huge_magnitude$$);
SELECT each('offset_1e9', 'y', ', features => ''{x}'', holdout => 0', 'linear ridge lasso glm');
SELECT abs(estimate / 500 - 1) < 0.001 FROM ml_coefficients('m_linear') WHERE term = 'x';
SELECT abs(estimate / 500 - 1) < 0.001 FROM ml_coefficients('m_glm') WHERE term = 'x';
SELECT corr(ml_predict('m_linear', o), y) > 0.9999 FROM offset_1e9 o;

-- text that looks like numbers in part is a category
SELECT features, task FROM ml_train('m', 'mixed_types', 'y', 'ridge', features => '{x_text}');
SELECT count(*) FROM ml_coefficients('m') WHERE term LIKE 'x_text=%';
SELECT count(DISTINCT x_text) FROM mixed_types;
SELECT unnest(warnings) FROM ml_train('m', 'mixed_types', 'y', 'ridge', exclude => '{row_id}');

-- names that differ only by case
SELECT features FROM ml_train('m', 'duplicate_header', 'y', 'ridge', features => '{a,A}');
SELECT term FROM ml_coefficients('m');
SELECT count(DISTINCT round(ml_predict('m', d)::numeric, 6)) FROM duplicate_header d;
SELECT ml_predict('m', '{"a": 1, "A": 3}'::jsonb) = ml_predict('m', '{"a": 3, "A": 1}'::jsonb), try($$SELECT ml_predict('m', '{"a": 1}'::jsonb)$$);

-- names
SELECT features FROM ml_train('m', 'unicode_names', 'y', 'ridge', exclude => '{row_id}', holdout => 0);
SELECT features FROM ml_train('m2', 'unicode_names', 'y', 'ridge', features => (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = 'unicode_names'::regclass AND attnum > 0 AND attname NOT IN ('row_id', 'y')), holdout => 0);
SELECT max(abs(ml_predict('m', u) - ml_predict('m2', u))), max(abs(ml_predict('m', u) - ml_predict('m', to_jsonb(u)))) FROM unicode_names u;
SELECT term FROM ml_coefficients('m') WHERE term <> '(intercept)' EXCEPT SELECT attname FROM pg_attribute WHERE attrelid = 'unicode_names'::regclass;
SELECT term FROM ml_coefficients('m') ORDER BY term COLLATE "C";
SELECT feature FROM ml_explain('m', (SELECT u FROM unicode_names u LIMIT 1)) ORDER BY feature COLLATE "C";

-- categories, byte for byte
SELECT features FROM ml_train('m', 'SELECT cat, y::float8 AS y FROM unicode_categories', 'y', 'ridge', features => '{cat}', holdout => 0);
SELECT count(DISTINCT cat COLLATE "C"), (SELECT count(*) FROM ml_coefficients('m') WHERE term LIKE 'cat=%'), (SELECT count(DISTINCT term COLLATE "C") FROM ml_coefficients('m')) FROM unicode_categories;
SELECT try($$SELECT rows_used FROM ml_train('m', 'SELECT cat, y::float8 AS y FROM unicode_categories', 'y', 'ridge', '{"categories": "target"}', features => '{cat}')$$);

-- 5,000 categories in 5,000 rows
SELECT unnest(warnings) FROM ml_train('m', 'many_categories', 'y', 'ridge', exclude => '{row_id}', params => '{"l2": 2}') WHERE false;
SELECT try($$SELECT 1 FROM ml_train('m', 'many_categories', 'y', 'ridge', exclude => '{row_id}')$$);
SELECT unnest(warnings) FROM ml_train('m', 'many_categories', 'y', 'ridge', features => '{id_text}');
SELECT ml_predict('m', '{"id_text": "never seen"}'::jsonb) = ml_predict('m', '{"id_text": "nor this"}'::jsonb);
SELECT try($$SELECT rows_used FROM ml_train('m', 'many_categories', 'y', 'ridge', '{"categories": "target"}', features => '{id_text}')$$);
SELECT try($$SELECT 1 FROM ml_train('m', 'many_categories', 'id_text')$$);

-- long texts
SELECT max(length(txt)) FROM long_text;
SELECT try($$SELECT rows_used FROM ml_train('m', 'long_text', 'label', 'logistic', '{"l2": 1}', features => '{txt}')$$);
SELECT bool_and(ml_predict('m', l) BETWEEN 0 AND 1) FROM long_text l;
SELECT try($$SELECT rows_used FROM ml_train('m', 'long_text', 'txt', 'logistic', features => '{label}')$$);

-- 1,600 columns
SELECT regexp_replace(each('wide_1600', 'y', algorithms => 'linear ridge lasso logistic'), '[0-9]+ (kB|MB)', 'N \1', 'g');
SET maintenance_work_mem = '1GB';
SELECT features, rows_used FROM ml_train('m', 'wide_1600', 'y', 'ridge', '{"l2": 10}', task => 'regression', holdout => 0);
SELECT count(ml_predict('m', w)) FROM wide_1600 w;
SELECT try($$SELECT ml_predict('m', w) FROM (SELECT f1, f2 FROM wide_1600) w LIMIT 1$$);
RESET maintenance_work_mem;

-- the same labels in other types give the same model
CREATE TABLE label_types AS SELECT t, (SELECT rows_used FROM ml_train('l_' || t, format('SELECT x, %I AS y FROM labels', t), 'y', 'logistic', holdout => 0))
FROM unnest(ARRAY['as_bool', 'as_yes_no', 'as_1_2', 'as_pm1', 'with_null']) t;
SELECT * FROM label_types;
SELECT max(abs(ml_predict('l_as_bool', l) - ml_predict('l_as_yes_no', l))), max(abs(ml_predict('l_as_bool', l) - ml_predict('l_as_1_2', l))),
	max(abs(ml_predict('l_as_bool', l) - ml_predict('l_as_pm1', l))) FROM labels l;
SELECT t, (SELECT string_agg(DISTINCT ml_classify('l_' || t, l), ',') FROM labels l), (SELECT value FROM ml_describe('l_' || t) WHERE item LIKE 'positive%') FROM label_types;
SELECT task FROM ml_train('m', 'SELECT x, as_float AS y FROM labels', 'y');
SELECT rows_used FROM ml_train('m', 'SELECT x, as_float AS y FROM labels', 'y', 'logistic', holdout => 0);
SELECT max(abs(ml_predict('l_as_bool', l) - ml_predict('m', l))), string_agg(DISTINCT ml_classify('m', l), ',') FROM labels l;
SELECT try($$SELECT rows_used FROM ml_train('m', 'SELECT x, rare AS y FROM labels', 'y', 'logistic')$$);
SELECT unnest(warnings) FROM ml_train('m', 'SELECT x, rare AS y FROM labels', 'y', 'logistic');
SELECT try($$SELECT count(*) FROM ml_cv('SELECT x, rare AS y FROM labels', 'y', 'logistic')$$);
SELECT try($$SELECT count(*) FROM ml_evaluate('l_as_yes_no', 'SELECT x, ''maybe'' AS y FROM labels')$$);

-- a time series is a table like another: its NULLs and infinities are refused or dropped as anywhere
SELECT each('timeseries', 'y', algorithms => 'linear ridge');
SELECT try($$SELECT rows_read, rows_used, rows_dropped FROM ml_train('m', 'SELECT * FROM timeseries WHERE abs(y) < 1e300', 'y', 'ridge')$$);
