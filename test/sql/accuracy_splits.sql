-- The holdout: balanced, stratified by label, whole groups, the latest rows; folds likewise.
SET client_min_messages = warning;
CREATE FUNCTION u(i int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
	$$SELECT (('x' || substr(md5(i::text), 1, 8))::bit(32)::bigint + 0.5)::float8 / 2147483648 - 1$$;
CREATE FUNCTION said(m ml_model, VARIADIC items text[]) RETURNS TABLE (item text, value numeric) LANGUAGE sql AS
	$$SELECT d.item, round(d.value::numeric, 6) FROM ml_describe(m) d WHERE d.item = ANY (items)$$;

-- rows that repeat: still one in five
SELECT * FROM said(ml_fit('SELECT (i % 2)::float8 AS y, (i % 5)::float8 AS x FROM generate_series(1, 10000) i', target => 'y',
	algorithm => 'linear', task => 'regression'), 'holdout_rows');

-- 1 % positives: the same share in both parts, so the dummy's scores are those of a coin of 0.01
CREATE TABLE rare AS SELECT u(i) AS x, i % 100 = 0 AS b FROM generate_series(1, 20000) i;
SELECT * FROM said(ml_fit('rare', target => 'b', algorithm => 'logistic'), 'holdout_rows', 'baseline.log_loss', 'baseline.brier');
SELECT round(-(0.01 * ln(0.01) + 0.99 * ln(0.99)), 6) AS log_loss, 0.01 * 0.99 AS brier;
-- three labels, one of them rare, in folds: each fold has its share of each
CREATE TABLE labels AS SELECT u(i) AS x, CASE WHEN i % 100 = 0 THEN 'rare' WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END AS label
	FROM generate_series(1, 2000) i;
SELECT metric, round(sd::numeric, 9) AS sd FROM ml_cv('labels', 'label', algorithm => 'baseline') WHERE metric = 'log_loss';

-- groups: what is learned of a group is of no use on other groups
CREATE TABLE grouped AS SELECT 'g' || i % 50 AS g, 'g' || i % 50 AS of, 10 * u(i % 50 + 1) AS y, u(i + 100001) AS x FROM generate_series(1, 5000) i;
SELECT value < 0.000001 AS known_groups FROM said(ml_fit('grouped', target => 'y', algorithm => 'linear', exclude => '{of}'), 'metrics.rmse');
SELECT max(value) FILTER (WHERE item = 'metrics.rmse') > 1 AS new_groups, max(value) FILTER (WHERE item = 'holdout_rows') AS holdout_rows
	FROM said(ml_fit('grouped', target => 'y', algorithm => 'linear', split_by => 'of'), 'metrics.rmse', 'holdout_rows');
SELECT metric, mean > 1 AS new_groups FROM ml_cv('grouped', 'y', algorithm => 'linear', split_by => 'of') WHERE metric = 'rmse';

-- time: the last fifth is 1 where all before is 0
CREATE TABLE timed AS SELECT i AS t, (i > 800)::int::float8 AS y, u(i) AS x FROM generate_series(1, 1000) i ORDER BY u(3 * i);
SELECT * FROM said(ml_fit('timed', target => 'y', algorithm => 'baseline', order_by => 't', task => 'regression'),
	'holdout_rows', 'metrics.mae', 'metrics.rmse');

-- another seed, another split; the same seed, the same
SELECT a = b AS same, a <> c AS other FROM (SELECT
	(SELECT value FROM said(ml_fit('SELECT x, y FROM timed', target => 'y', algorithm => 'linear', task => 'regression'), 'metrics.rmse')) AS a,
	(SELECT value FROM said(ml_fit('SELECT x, y FROM timed', target => 'y', algorithm => 'linear', task => 'regression', seed => 0), 'metrics.rmse')) AS b,
	(SELECT value FROM said(ml_fit('SELECT x, y FROM timed', target => 'y', algorithm => 'linear', task => 'regression', seed => 1), 'metrics.rmse')) AS c) s;

-- a fold's score is that of a model fitted on the other folds, encoder and all: groups make the folds known
CREATE TABLE folds AS
	SELECT i % 5 AS fold, x1, x2, c, 1 + 2 * x1 - x2 + e AS y, x1 + e > 0 AS b, floor(exp(1 + x1 + e))::int AS n
	FROM (SELECT i, u(i) AS x1, u(i + 100001) AS x2, chr(97 + i % 3) AS c, u(i + 200001) AS e FROM generate_series(1, 1000) i) s;
CREATE FUNCTION by_hand(algorithm text, target text, params jsonb, measure text) RETURNS float8[] LANGUAGE sql AS $$
	SELECT array_agg(e.value ORDER BY e.value) FROM generate_series(0, 4) fold,
		LATERAL (SELECT ml_fit(format('SELECT x1, x2, c, %I FROM folds WHERE fold <> %s', target, fold), target => target,
			algorithm => algorithm, params => params) AS m) f,
		LATERAL ml_evaluate(m, format('SELECT x1, x2, c, %I FROM folds WHERE fold = %s', target, fold)) e
	WHERE e.metric = measure$$;
CREATE FUNCTION by_cv(algorithm text, target text, params jsonb, measure text) RETURNS float8[] LANGUAGE sql AS $$
	SELECT (SELECT array_agg(v ORDER BY v) FROM unnest("values") v)
	FROM ml_cv(format('SELECT fold, x1, x2, c, %I FROM folds', target), target, algorithm, params, folds => 5, split_by => 'fold')
	WHERE metric = measure$$;
SELECT algorithm, target, measure, (SELECT max(abs(a - b)) < 1e-12 AND count(*) = 5
	FROM unnest(by_cv(algorithm, target, params::jsonb, measure), by_hand(algorithm, target, params::jsonb, measure)) v(a, b)) AS agree
FROM (VALUES ('linear', 'y', '{}', 'rmse'), ('ridge', 'y', '{"l2": 5}', 'mae'), ('lasso', 'y', '{"lambda": 0.05}', 'rmse'),
	('logistic', 'b', '{}', 'log_loss'), ('logistic', 'b', '{"l2": 3}', 'auc'), ('glm', 'n', '{"family": "poisson"}', 'rmse'))
	v(algorithm, target, params, measure);
