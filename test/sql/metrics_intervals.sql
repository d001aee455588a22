-- The 95 % intervals of ml_evaluate against their formulas, written out in SQL from the rows.
SET client_min_messages = warning;
CREATE TABLE sample AS
SELECT x, x * 2 + z AS y, x + z > 1 AS b, CASE WHEN x + z * 0.5 > 1 THEN 'a' WHEN x > 0.4 THEN 'b' ELSE 'c' END AS c
FROM generate_series(1::bigint, 301) i,
	LATERAL (SELECT (i * 7919 % 1009) / 1009.0::float8 AS x, (i * i * 3 % 1009) / 1009.0::float8 AS z) s;
SELECT task FROM ml_train('interval_y', 'sample', target => 'y', features => '{x}');
SELECT task FROM ml_train('interval_b', 'sample', target => 'b', features => '{x}');
CREATE TABLE regression AS SELECT y, y - ml_predict('interval_y', sample) AS e FROM sample;
CREATE TABLE scored AS SELECT b, ml_predict('interval_b', sample) AS p FROM sample;

-- Half widths: 1.96 times the standard error; r2 and explained variance from each row's influence, wape too.
CREATE TABLE half (metric text, half float8);
INSERT INTO half
SELECT v.* FROM (SELECT avg(y) AS my, avg(e) AS me, avg(e ^ 2) AS mse, var_pop(y) AS vy, var_pop(e) AS ve,
		sum(abs(e)) / sum(abs(y)) AS wape, avg(abs(y)) AS my_abs, count(*) AS n FROM regression) m,
	LATERAL (SELECT stddev(e ^ 2) AS mse, stddev(abs(e)) AS mae, stddev(2 * abs(e) / (abs(y) + abs(y - e))) AS smape,
		sqrt(sum((e ^ 2 - m.mse / vy * (y - my) ^ 2) ^ 2) / (n - 1)) / vy AS r2,
		sqrt(sum(((e - me) ^ 2 - ve / vy * (y - my) ^ 2) ^ 2) / (n - 1)) / vy AS ev,
		sqrt(sum((abs(e) - wape * abs(y)) ^ 2) / (n - 1)) / my_abs AS wape FROM regression) s,
	LATERAL (VALUES ('mse', s.mse), ('rmse', s.mse / (2 * sqrt(m.mse))), ('mae', s.mae), ('smape', s.smape), ('r2', s.r2),
		('explained_variance', s.ev), ('wape', s.wape)) k (metric, sd),
	LATERAL (SELECT k.metric, 1.959963984540054 * sd / sqrt(n)) v;
SELECT metric, abs((ci_high - ci_low) / 2 / half - 1) < 1e-9 AS width, abs((ci_high + ci_low) / 2 - value) < 1e-12 AS centered
FROM ml_evaluate('interval_y', 'sample') JOIN half USING (metric) ORDER BY metric COLLATE "C";
-- Order statistics: ranks floor(n/2 - 1.96 sqrt(n)/2) and ceil(n/2 + 1 + 1.96 sqrt(n)/2) of 301.
SELECT e.ci_low = a[133] AS low, e.ci_high = a[169] AS high
FROM ml_evaluate('interval_y', 'sample') e, (SELECT array_agg(abs(e) ORDER BY abs(e)) AS a FROM regression) r
WHERE metric = 'median_absolute_error';

-- AUC: DeLong's placements by comparing all pairs.
WITH pairs AS (SELECT p.ctid AS i, q.ctid AS j, CASE WHEN p.p > q.p THEN 1 WHEN p.p = q.p THEN 0.5 ELSE 0 END AS v
	FROM scored p, scored q WHERE p.b AND NOT q.b),
	parts AS (SELECT (SELECT variance(v) / count(*) FROM (SELECT avg(v) AS v FROM pairs GROUP BY i) s) +
		(SELECT variance(v) / count(*) FROM (SELECT avg(v) AS v FROM pairs GROUP BY j) s) AS variance)
SELECT abs((ci_high - ci_low) / 2 / (1.959963984540054 * sqrt(variance)) - 1) < 1e-9 AS auc
FROM parts, ml_evaluate('interval_b', 'sample') WHERE metric = 'auc';
-- Means of rows.
SELECT metric, abs((ci_high - ci_low) / 2 / (1.959963984540054 * sd / sqrt(301)) - 1) < 1e-9 AS width
FROM ml_evaluate('interval_b', 'sample') JOIN (SELECT 'log_loss' AS metric, stddev(-ln(CASE WHEN b THEN p ELSE 1 - p END)) AS sd FROM scored
	UNION ALL SELECT 'brier', stddev((b::int - p) ^ 2) FROM scored) s USING (metric) ORDER BY metric COLLATE "C";
-- Wilson: both ends solve (share - end)^2 = z^2 end (1 - end) / n.
SELECT metric, abs((value - ci_low) ^ 2 / (3.841458820694124 * ci_low * (1 - ci_low) / k.n) - 1) < 1e-9 AS low,
	abs((ci_high - value) ^ 2 / (3.841458820694124 * ci_high * (1 - ci_high) / k.n) - 1) < 1e-9 AS high
FROM ml_evaluate('interval_b', 'sample') JOIN (SELECT 'accuracy' AS metric, count(*) AS n FROM scored
	UNION ALL SELECT 'precision', count(*) FROM scored WHERE p > 0.5
	UNION ALL SELECT 'recall', count(*) FROM scored WHERE b) k USING (metric) ORDER BY metric COLLATE "C";
-- The delta method by small changes of each cell of the confusion matrix.
WITH c AS (SELECT b::int * 2 + (p > 0.5)::int AS cell, count(*)::float8 AS n FROM scored GROUP BY 1),
	changed AS (SELECT c.cell, c.n, s.s, r.b, r.p > 0.5 AS h, CASE WHEN r.b::int * 2 + (r.p > 0.5)::int = c.cell THEN 1 + s.s * 1e-4 / c.n ELSE 1 END AS w
		FROM c, (VALUES (-1), (1)) s (s), scored r),
	slopes AS (SELECT n, sum(s * mcc) / 2e-4 AS mcc, sum(s * kappa) / 2e-4 AS kappa, sum(s * f1) / 2e-4 AS f1, sum(s * ba) / 2e-4 AS ba
		FROM (SELECT cell, n, s, ml_mcc(b, h, w) AS mcc, ml_kappa(b, h, w) AS kappa, ml_f1(b, h, w) AS f1, ml_balanced_accuracy(b, h, w) AS ba
			FROM changed GROUP BY cell, n, s) m GROUP BY cell, n),
	errors AS (SELECT v.* FROM (SELECT sum(n * mcc ^ 2) AS mcc, sum(n * kappa ^ 2) AS kappa, sum(n * f1 ^ 2) AS f1, sum(n * ba ^ 2) AS ba FROM slopes) s,
		LATERAL (VALUES ('mcc', mcc), ('kappa', kappa), ('f1', f1), ('balanced_accuracy', ba)) v (metric, variance))
SELECT metric, abs((ci_high - ci_low) / 2 / (1.959963984540054 * sqrt(variance)) - 1) < 1e-5 AS width
FROM ml_evaluate('interval_b', 'sample') JOIN errors USING (metric) ORDER BY metric COLLATE "C";
-- None is made up.
SELECT metric, ci_low, ci_high FROM ml_evaluate('interval_y', 'sample') WHERE metric = 'max_error';
SELECT ml_drop('interval_y'), ml_drop('interval_b');
