-- What is measured on the holdout is a model of the training rows alone; and what a training in one scan says.
SET client_min_messages = error;

-- Classes, categories and a column change with time: whatever the earlier rows do not show, the measured model cannot know.
CREATE TABLE drift AS SELECT i AS at, sin(i * 7.3) AS x,
	CASE WHEN i > 820 AND i % 3 = 0 THEN 'late' WHEN i % 4 < 2 THEN 'a' ELSE 'b' END AS k,
	CASE WHEN i > 850 THEN i % 5 ELSE 3 END AS later,
	CASE WHEN i % 17 = 0 THEN NULL ELSE cos(i * 3.1) + (i > 800)::int END AS z,
	sin(i * 7.3) + cos(i * 1.3) + (i % 4)::float8 / 4 > CASE WHEN i > 800 THEN -0.5 ELSE 1.2 END AS y
FROM generate_series(1, 1000) i;
-- in the same places, for what is drawn by them
CREATE TABLE early AS SELECT * FROM drift WHERE at <= 800;
CREATE FUNCTION measured(given jsonb, encoding text) RETURNS TABLE (metric text, agrees boolean) LANGUAGE plpgsql AS $$
BEGIN
	given := given || jsonb_build_object('categories', encoding);
	PERFORM ml_train('drift', 'drift', 'y', 'logistic', given, order_by => 'at');
	RETURN QUERY SELECT e.metric, abs(e.value - m.value::float8) < 1e-6 AND abs(e.baseline - b.value::float8) < 1e-9
		FROM ml.versions v, jsonb_each_text(v.info->'metrics') m, jsonb_each_text(v.info->'baseline') b,
			ml_evaluate(ml_fit('early', 'y', 'logistic', given, exclude => '{at}', holdout => 0),
				'SELECT * FROM drift WHERE at > 800') e
		WHERE v.model = 'drift' AND v.is_current AND m.key = e.metric AND b.key = e.metric;
END $$;
SELECT count(*) > 5 AS several, bool_and(agrees) FROM measured('{"l2": 1, "class_weight": "balanced"}', 'one_hot');
SELECT count(*) > 5 AS several, bool_and(agrees) FROM measured('{"l2": 1}', 'one_hot');
SELECT count(*) > 5 AS several, bool_and(agrees) FROM measured('{"l2": 1, "class_weight": "balanced"}', 'target');
SELECT count(*) > 5 AS several, bool_and(agrees) FROM measured('{"l2": 1, "class_weight": "balanced"}', 'frequency');

-- The final model weighs the classes of all rows.
SELECT max(abs(a.estimate - b.estimate)) < 1e-6 FROM ml_coefficients('drift') a JOIN
	ml_coefficients(ml_fit('drift', 'y', 'logistic', '{"l2": 1, "class_weight": "balanced", "categories": "frequency"}',
		exclude => '{at}', holdout => 0)) b USING (term);

-- One scan: the metrics that sums can give, and a warning of columns that number the rows.
CREATE TABLE numbered AS SELECT i AS id, sin(i) AS x, 2 * sin(i) + cos(i * 1.7) AS y, 1.0 AS w FROM generate_series(1, 60000) i;
ANALYZE numbered;
SELECT metric, warnings FROM ml_train('numbered', 'numbered', 'y', 'linear', exclude => '{w}');
SELECT jsonb_object_keys(info->'metrics') FROM ml.versions WHERE model = 'numbered';
SET client_min_messages = warning;
SELECT count(*) FROM ml_cv('numbered', 'y', algorithm => 'linear', exclude => '{w}', repeats => 2);

-- Weights that cannot be summed are named at once.
SELECT rows_used FROM ml_train('heavy', 'SELECT x, y, 1e100::float8 AS w FROM numbered', 'y', 'linear', weight => 'w');
SELECT rows_used FROM ml_train('heavy', 'SELECT x, y, 2e100::float8 AS w FROM numbered', 'y', 'linear', weight => 'w');
UPDATE numbered SET w = 1e101 WHERE id = 40000;
SELECT rows_used FROM ml_train('heavy', 'numbered', 'y', 'linear', weight => 'w');
SELECT ml_finish(ml_accumulate(ml_spec('linear', '{y,x}', 'y', weight => 'w'), y, x, w)) IS NULL FROM numbered;
