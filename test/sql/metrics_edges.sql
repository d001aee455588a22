-- What metrics do at the edges: undefined, skipped, refused; and rows to plot.
-- No rows, or none without NULL: NULL.
SELECT ml_rmse(y, p), ml_auc(b, p), ml_accuracy(t, t), ml_log_loss(t, j), ml_metrics(y, p) AS metrics, ml_metrics(t, j) AS classes,
	ml_confusion(t, t) AS confusion, ml_roc(b, p) AS roc, ml_calibration(b, p) AS calibration
FROM (VALUES (NULL::float8, 1::float8, NULL::boolean, NULL::text, NULL::jsonb)) v (y, p, b, t, j);
SELECT ml_rmse(y, p), ml_metrics(y, p) FROM (SELECT 1::float8 AS y, 1::float8 AS p WHERE false) s;
SELECT ml_mae(y, p), ml_mae(y, p, w) AS weighted, ml_metrics(y, p) -> 'rows' AS rows
FROM (VALUES (1::float8, 2::float8, 1::float8), (NULL, 7, 1), (3, NULL, 1), (4, 9, NULL)) v (y, p, w);
-- A weight of 0 is no row, but not no rows at all.
SELECT ml_mae(1, 2, 0), ml_metrics(1::float8, 2, 0), ml_accuracy('a'::text, 'a', 0), ml_log_loss(true, 0.5, 0);

-- Undefined metrics are NULL, with a reason in ml_metrics.
SELECT ml_metrics(y, p) FROM (VALUES (1::float8, 2::float8)) v (y, p);
SELECT ml_metrics(y, p) FROM (VALUES (0.5::float8, 2::float8), (0.5, 3), (0.5, 4)) v (y, p);
SELECT ml_metrics(y, p), ml_mape(y, p), ml_wape(y, p), ml_r2(y, p), ml_explained_variance(y, p)
FROM (VALUES (0::float8, 2::float8), (0, 0)) v (y, p);
SELECT ml_metrics(b, p) - 'log_loss' AS metrics, ml_auc(b, p), ml_pr_auc(b, p), ml_roc(b, p), ml_precision(b, p), ml_recall(b, p), ml_f1(b, p), ml_mcc(b, p), ml_kappa(b, p)
FROM (VALUES (false, 0.25::float8), (false, 0.5)) v (b, p);
SELECT ml_metrics(b, p) - 'log_loss' AS metrics FROM (VALUES (true, 0.75::float8), (true, 1)) v (b, p);
SELECT ml_metrics(b, p) - 'log_loss' AS metrics FROM (VALUES (true, 0.25::float8), (false, 0.5)) v (b, p);
SELECT ml_metrics(t, t) FROM (VALUES ('a'::text)) v (t);
SELECT ml_metrics(t, j) - 'log_loss' AS metrics FROM (VALUES ('a'::text, '{"a": 0.5, "b": 0.25, "c": 0.25}'::jsonb), ('b', '{"a": 0.5, "b": 0.5}')) v (t, j);
SELECT key, value = 'null' AS is_null, m -> 'undefined' ->> key AS reason
FROM (SELECT ml_metrics(y, p) AS m FROM (VALUES (1e200::float8, 1::float8), (2e200, 3)) v (y, p)) s, jsonb_each(m)
WHERE key <> 'undefined' ORDER BY key COLLATE "C";

-- Scores at the threshold and in ties; -0 is 0; clipped probabilities.
SELECT ml_accuracy(true, 0.5::float8) AS half, ml_accuracy(true, 0.5000001::float8) AS above;
SELECT ml_auc(b, s) FROM (VALUES (true, 0::float8), (false, '-0')) v (b, s);
SELECT ml_auc(y, s), ml_pr_auc(y, s) FROM (VALUES (1, -3.5::float8), (0, -1e300), (1, 1e300), (0, 2)) v (y, s);
SELECT round(ml_log_loss(true, 0::float8)::numeric, 10), round(ml_log_loss('a'::text, '{"b": 1}'::jsonb)::numeric, 10);
-- A class that early rows did not name had probability 0 there.
SELECT ml_auc(t, j) = ml_auc(t, j || CASE WHEN j ? 'c' THEN '{}' ELSE '{"c": 0}' END::jsonb) AS same, ml_auc(t, j)
FROM (VALUES ('a'::text, '{"a": 0.5, "b": 0.5}'::jsonb), ('b', '{"a": 0.25, "b": 0.75}'), ('a', '{"a": 0.5, "b": 0.5}'),
	('c', '{"a": 0.25, "b": 0.5, "c": 0.25}'), ('b', '{"a": 0.25, "b": 0.25, "c": 0.5}')) v (t, j);
-- A mean 1e9 times the standard deviation costs no digits.
SELECT round(ml_r2(1e9 + i % 5, 1e9 + i % 5 + 0.5 * (i % 2))::numeric, 12) AS r2,
	round(ml_explained_variance(1e9 + i % 5, 1e9 + i % 5 + 0.5 * (i % 2))::numeric, 12) AS explained
FROM generate_series(1, 10000) i;

-- Rows to plot.
SELECT p.* FROM unnest((SELECT ml_roc(b, s) FROM (VALUES (true, 0.9::float8), (true, 0.8), (false, 0.7), (true, 0.6), (false, 0.6),
	(false, 0.2)) v (b, s))) p;
SELECT c.* FROM unnest((SELECT ml_confusion(a, p) FROM (VALUES ('cat'::text, 'dog'::text), ('cat', 'cat'), ('Ape', 'cat'),
	('dog', 'dog'), ('dog', 'dog'), ('', 'cat')) v (a, p))) c;
SELECT c.* FROM unnest((SELECT ml_confusion(b, p, w) FROM (VALUES (true, 0.75::float8, 0.5::float8), (false, 0.5, 2)) v (b, p, w))) c;
SELECT b.* FROM unnest((SELECT ml_calibration(y, p, 4) FROM (VALUES (0, 0::float8), (1, 0.25), (0, 0.5), (1, 0.75), (1, 1)) v (y, p))) b;

-- Refused.
SELECT ml_rmse(1, 'NaN');
SELECT ml_mae('-Infinity', 1);
SELECT ml_auc(true, 'NaN'::float8);
SELECT ml_auc(true, 'Infinity'::float8);
SELECT ml_log_loss(true, 1.5);
SELECT ml_metrics(true, -0.1::float8);
SELECT ml_accuracy(true, 'NaN'::float8);
SELECT ml_rmse(1, 2, -1);
SELECT ml_f1('a'::text, 'b', 'NaN'::float8);
SELECT ml_auc(2, 0.5);
SELECT ml_precision('a'::text, 'b', 'binary');
SELECT ml_precision(a, a, a) FROM (VALUES ('macro'::text), ('micro')) v (a);
SELECT ml_calibration(true, 0.5, 0);
SELECT ml_calibration(true, 0.5, n) FROM generate_series(1, 2) n;
SELECT ml_log_loss('a'::text, '[0.5, 0.5]'::jsonb);
SELECT ml_log_loss('a'::text, '{"a": "0.5"}'::jsonb);
SELECT ml_log_loss('a'::text, '{"a": 0.5}'::jsonb);
SELECT ml_auc('a'::text, '{"a": 2}'::jsonb);
SELECT ml_accuracy(i::text, i::text) FROM generate_series(1, 1025) i;
SELECT ml_median_absolute_error(1e308, -1e308);
-- Functions of states called by hand, and states that are none.
SELECT ml_metric_regression_rmse('');
SELECT ml_metric_regression_rmse('\x0102');
SELECT ml_metric_labels_f1(decode(repeat('ff', 200), 'hex'));
SELECT ml_metric_sums_combine(ml_metric_regression_add('', 1, 2), ml_metric_probability_add('', true, 0.5));
SELECT ml_metric_regression_rmse(ml_metric_sums_combine(ml_metric_regression_add('', 1, 2), ml_metric_regression_add('', 1, 4)));

-- Every object says what it is for.
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE p.proname LIKE 'ml\_metric%' AND (obj_description(p.oid, 'pg_proc') IS NULL OR p.proparallel <> 's' OR p.provolatile <> 'i');

-- A large offset costs no digits: sums are about the first value, and those of workers are moved to it.
-- The witness is numeric, exact for whole numbers; a power of two as unit changes no digit.
CREATE TABLE offsets AS
	SELECT v.*, i * 7919 % 1009 - 500 AS y, (i * 104729 % 997 - 480) / 4 AS d, 1 + i % 3 AS w
	FROM (VALUES (1e6::float8, 20), (1e6, 30), (1e9, 10), (1e9, 20)) AS v(start, power), generate_series(1, 3000) AS i;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
WITH exact AS (
	SELECT start, power, sum(w * y * y) - sum(w * y) ^ 2::numeric / sum(w) AS total,
		sum(w * d * d) AS rest, sum(w * d * d) - sum(w * d) ^ 2::numeric / sum(w) AS about_mean
	FROM offsets GROUP BY start, power)
SELECT start, power, (ml_r2(start + y * 2::float8 ^ -power, start + (y + d) * 2::float8 ^ -power, w) / (1 - rest / total) - 1)::numeric(20, 12) AS r2,
	(ml_explained_variance(start + y * 2::float8 ^ -power, start + (y + d) * 2::float8 ^ -power, w) / (1 - about_mean / total) - 1)::numeric(20, 12) AS explained_variance
FROM offsets JOIN exact USING (start, power) GROUP BY start, power, total, rest, about_mean ORDER BY start, power;
-- States whose first values differ.
SELECT ml_metric_regression_r2(ml_metric_sums_combine(
		ml_metric_regression_add(ml_metric_regression_add('', 10, 11), 12, 12),
		ml_metric_regression_add(ml_metric_regression_add('', -5, -4), 7, 7))) AS apart,
	ml_r2(y, p) AS together
FROM (VALUES (10, 11), (12, 12), (-5, -4), (7, 7)) AS v(y, p);
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;

-- Bytes of a state changed one by one: an answer or an error of these, never a crash.
DO $$
DECLARE
	labels bytea := ml_metric_labels_add(ml_metric_labels_add('', 'a', 'b'), 'ccc', 'a');
	sums bytea := ml_metric_calibration_add('', true, 0.5, 3);
	changed bytea;
BEGIN
	FOR i IN 0 .. length(labels) - 1 LOOP
		FOREACH changed IN ARRAY ARRAY[set_byte(labels, i, 255), set_byte(labels, i, 127), set_byte(labels, i, 0), substr(labels, 1, i)] LOOP
			BEGIN
				PERFORM ml_metric_labels_confusion(changed), ml_metric_labels_metrics(changed),
					ml_metric_labels_combine(changed, labels), ml_metric_labels_combine(labels, changed),
					ml_metric_labels_add(changed, 'd', 'ccc'), ml_metric_booleans_add(changed, true, false);
			EXCEPTION WHEN data_corrupted OR invalid_parameter_value OR character_not_in_repertoire THEN
			END;
		END LOOP;
	END LOOP;
	FOR i IN 0 .. length(sums) - 1 LOOP
		FOREACH changed IN ARRAY ARRAY[set_byte(sums, i, 255), set_byte(sums, i, 127), set_byte(sums, i, 0), substr(sums, 1, i)] LOOP
			BEGIN
				PERFORM ml_metric_calibration_bins(changed), ml_metric_sums_combine(sums, changed),
					ml_metric_calibration_add(changed, false, 1, 3), ml_metric_regression_add(changed, 1, 2);
			EXCEPTION WHEN data_corrupted OR invalid_parameter_value THEN
			END;
		END LOOP;
	END LOOP;
END
$$;
