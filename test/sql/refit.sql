-- Parameter refit: what the stored model has learned from.
SET client_min_messages = warning;
CREATE TABLE t AS SELECT i, sin(i) AS x, 2 * sin(i) + cos(i * 3) AS y, (i * 7) % 10 < 3 + 2 * sin(i) AS b FROM generate_series(1, 1000) i;
CREATE TABLE large AS SELECT sin(i) AS x, 2 * sin(i) + cos(i * 3) AS y FROM generate_series(1, 60000) i;
ANALYZE t;
ANALYZE large;
CREATE FUNCTION info(m ml_model, OUT refit text, OUT rows_used text, OUT holdout_rows text, OUT rmse text) LANGUAGE sql AS
$$ SELECT max(value) FILTER (WHERE item = 'refit'), max(value) FILTER (WHERE item = 'rows_used'),
	max(value) FILTER (WHERE item = 'holdout_rows'), round(max(value) FILTER (WHERE item = 'metrics.rmse')::numeric, 6)::text
	FROM ml_describe(m) $$;
CREATE FUNCTION slope(m ml_model) RETURNS numeric LANGUAGE sql AS
$$ SELECT round(estimate::numeric, 9) FROM ml_coefficients(m) WHERE term = 'x' $$;

-- The latest fifth is held out: without a second fit the model is that of the first 800 rows.
SELECT slope(ml_fit('t', 'y', 'ridge', '{"refit": "never"}', '{x}', order_by => 'i'))
	= slope(ml_fit('SELECT * FROM t WHERE i <= 800', 'y', 'ridge', features => '{x}', holdout => 0)) AS of_the_first;
SELECT slope(ml_fit('t', 'y', 'ridge', '{"refit": "always"}', '{x}', order_by => 'i'))
	= slope(ml_fit('t', 'y', 'ridge', features => '{x}', holdout => 0)) AS of_all;
SELECT slope(ml_fit('t', 'b', 'logistic', '{"refit": "never"}', '{x}', order_by => 'i'))
	= slope(ml_fit('SELECT * FROM t WHERE i <= 800', 'b', 'logistic', features => '{x}', holdout => 0)) AS of_the_first;

-- Collected and streamed: the metrics are the same, the model is another one, and it says which.
SELECT refit, (info(ml_fit('t', 'y', 'linear', jsonb_build_object('refit', refit), '{x}'))).*
	FROM unnest('{auto,always,never}'::text[]) refit;
SELECT refit, (info(ml_fit('large', 'y', 'linear', jsonb_build_object('refit', refit)))).*
	FROM unnest('{auto,always,never}'::text[]) refit;
SELECT slope(ml_fit('large', 'y', 'linear')) = slope(ml_fit('large', 'y', 'linear', holdout => 0)) AS of_all,
	slope(ml_fit('large', 'y', 'linear', '{"refit": "never"}')) = slope(ml_fit('large', 'y', 'linear', holdout => 0)) AS of_a_part;

-- Without a holdout there is nothing to refit.
SELECT (info(ml_fit('t', 'y', 'linear', '{"refit": "never"}', '{x}', holdout => 0))).*;
