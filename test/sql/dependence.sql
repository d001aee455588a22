-- What counts in a model and how a prediction depends on a column: ml_importance by a method,
-- ml_partial_dependence, ml_ice, the rules of a tree.
\set SHOW_CONTEXT never
SET client_min_messages = error;
-- Written once: categories that are equally frequent come in the order of the rows.
CREATE TABLE meadow AS SELECT *, 3 * a + CASE c WHEN 'red' THEN 40 ELSE 0 END + coalesce(b, 20) AS y,
	CASE WHEN a > 8 THEN 'x' WHEN c = 'red' THEN 'y' ELSE 'z' END AS kind, CASE WHEN a > 6 AND c <> 'red' THEN 'yes' ELSE 'no' END AS yes FROM (
	SELECT i AS id, ((i * 7) % 13)::float8 AS a, CASE WHEN i % 10 > 0 THEN ((i * 5) % 11)::float8 END AS b,
		(ARRAY['red','green','blue'])[1 + i % 3] AS c, date '2024-01-01' + i % 5 AS d, i % 2 = 0 AS flag
	FROM generate_series(1, 300) i) s;
SELECT model FROM ml_train('tree', 'meadow', target => 'y', algorithm => 'decision_tree', features => '{a,b,c}', params => '{"max_depth": 2}', holdout => 0);
SELECT model FROM ml_train('kinds', 'meadow', target => 'kind', algorithm => 'decision_tree', features => '{a,b,c,flag}', holdout => 0);
SELECT model FROM ml_train('boost', 'meadow', target => 'y', algorithm => 'gradient_boosting', features => '{a,b,c,d,flag}', params => '{"n_estimators": 30}', holdout => 0);
SELECT model FROM ml_train('boosts', 'meadow', target => 'yes', algorithm => 'gradient_boosting', features => '{a,b,c}', params => '{"n_estimators": 10}', holdout => 0);
SELECT model FROM ml_train('many', 'meadow', target => 'kind', algorithm => 'gradient_boosting', features => '{a,b,c}', params => '{"n_estimators": 10}', holdout => 0);
SELECT model FROM ml_train('odd', 'meadow', algorithm => 'isolation_forest', features => '{a,b}', params => '{"n_estimators": 20}');
SELECT model FROM ml_train('line', 'meadow', target => 'y', algorithm => 'linear', features => '{a,c}', holdout => 0);
SELECT model FROM ml_train('nothing', 'meadow', target => 'y', algorithm => 'baseline', holdout => 0);
RESET client_min_messages;

-- rules
SELECT item, value FROM ml_describe('tree') WHERE item ~ '^(rule|trees|depth|leaves|objective)';
SELECT item, value FROM ml_describe('kinds') WHERE item ~ '^rule';
-- a leaf is the mean of its rows
SELECT count(*) AS rows, max(abs(ml_predict('tree', m) - r.value)) < 1e-3 AS as_predicted
	FROM meadow m, LATERAL (SELECT avg(n.y) AS value FROM meadow n WHERE ml_predict('tree', n) = ml_predict('tree', m)) r;

-- contributions add up to the margin, whatever the outputs and what is missing
SELECT count(*), max(abs(total - ml_predict('boost', m))) < 1e-9 AS adds_up
	FROM meadow m, LATERAL (SELECT sum(contribution) AS total FROM ml_explain('boost', m)) e;
SELECT count(*), max(abs(1 / (1 + exp(-total)) - ml_predict('boosts', m))) < 1e-9 AS adds_up
	FROM meadow m, LATERAL (SELECT sum(contribution) AS total FROM ml_explain('boosts', m)) e;
SELECT count(*), max(abs(total - ml_probability('kinds', m, ml_classify('kinds', m)))) < 1e-9 AS adds_up
	FROM meadow m, LATERAL (SELECT sum(contribution) AS total FROM ml_explain('kinds', m)) e;
-- the deeper a row lies, the less strange it is
SELECT corr(total, ml_predict('odd', m)) < -0.9 AS mean_depth
	FROM meadow m, LATERAL (SELECT sum(contribution) AS total FROM ml_explain('odd', m)) e;

-- importance
SELECT method, count(*), round(sum(importance)::numeric, 9) AS total, min(importance) >= 0 AS shares
	FROM unnest('{gain,cover,splits}'::text[]) method, ml_importance('boost', method) GROUP BY method ORDER BY method;
SELECT bool_and(i.importance = j.importance) AS as_before FROM ml_importance('boost') i JOIN ml_importance('boost', 'gain') j USING (feature);
SELECT feature, round(importance::numeric, 6) AS share, sd FROM ml_importance('tree', 'splits');
-- a column that the model does not use loses nothing, one that it uses much
SELECT feature, importance > 5 AS large, importance > 0 AS used, sd > 0 AS varies FROM ml_importance('tree', 'permutation', 'meadow');
SELECT feature, importance > 0 AS used FROM ml_importance('line', 'permutation', 'SELECT a, c, y FROM meadow') ORDER BY feature;
SELECT feature, importance > 0 AS used FROM ml_importance('kinds', 'permutation', 'meadow', repeats => 3) ORDER BY feature;
SELECT i.feature, i.importance = j.importance AS same_seed, i.importance <> k.importance AS other_seed
	FROM ml_importance('line', 'permutation', 'meadow', repeats => 2) i JOIN ml_importance('line', 'permutation', 'meadow', repeats => 2) j USING (feature)
		JOIN ml_importance('line', 'permutation', 'meadow', repeats => 2, seed => 1) k USING (feature) ORDER BY 1;
SELECT feature, sd FROM ml_importance('line', 'permutation', 'meadow', repeats => 1) WHERE sd IS NOT NULL;
-- mean |SHAP| is the mean of what ml_explain says
SELECT i.feature, abs(i.importance - avg(abs(e.contribution))) < 1e-9 AS mean
	FROM ml_importance('boost', 'shap', 'meadow') i, meadow m, ml_explain('boost', m) e WHERE e.feature = i.feature
	GROUP BY i.feature, i.importance ORDER BY 1;
SELECT count(*), min(importance) > 0 AS counts FROM ml_importance('odd', 'shap', 'meadow', rows => 50);
SELECT count(*) FROM ml_importance('many', 'shap', 'meadow', rows => 20);
SELECT count(*) FROM ml_importance((SELECT ml_fit('meadow', 'y', algorithm => 'ridge', features => '{a,b}')), 'shap', 'meadow');

-- partial dependence: on a line it is the line
SELECT value, x, of_class, round(prediction::numeric, 6) AS prediction FROM ml_partial_dependence('line', 'meadow', 'a', grid => 3);
SELECT value, x FROM ml_partial_dependence('line', 'meadow', 'c');
SELECT regr_slope(prediction, x) BETWEEN 2.5 AND 3.5 AS slope, count(*) FROM ml_partial_dependence('boost', 'meadow', 'a');
SELECT value, x FROM ml_partial_dependence('boost', 'meadow', 'd', grid => 3) ORDER BY x;
SELECT value, x FROM ml_partial_dependence('boost', 'meadow', 'flag');
-- numbers that are no time
SELECT value, x FROM ml_partial_dependence('boost', 'SELECT a * 1e300 AS a, b, c, d, flag FROM meadow', 'a', grid => 2) ORDER BY x;
SELECT value, x FROM ml_partial_dependence('boost', 'meadow', 'b', grid => 4);
SELECT value FROM ml_partial_dependence('boost', 'meadow', 'c', grid => 2);
SELECT max(abs(p.prediction - q.mean)) < 1e-9 AS is_the_mean
	FROM ml_partial_dependence('boost', 'meadow', 'a', rows => 100, seed => 3) p
		JOIN (SELECT value, avg(prediction) AS mean FROM ml_ice('boost', 'meadow', 'a', seed => 3) GROUP BY value) q USING (value);
SELECT count(*), count(DISTINCT "row"), count(DISTINCT value), bool_and(of_class IS NULL) FROM ml_ice('boost', 'meadow', 'a', grid => 5, rows => 7);
-- ICE is the model on the changed row
SELECT max(abs(i.prediction - ml_predict('boost', jsonb_build_object('a', i.x, 'b', m.b, 'c', m.c, 'd', m.d, 'flag', m.flag)))) < 1e-12 AS same, count(*)
	FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM meadow) m
		JOIN ml_ice('boost', 'SELECT * FROM meadow ORDER BY id', 'a', grid => 4, rows => 25) i ON i."row" = m.n;
-- classes
SELECT of_class, count(*), bool_and(prediction BETWEEN 0 AND 1) FROM ml_partial_dependence('boosts', 'meadow', 'a', grid => 3) GROUP BY 1;
SELECT round(sum(p.prediction + q.prediction)::numeric, 9), count(*) FROM ml_partial_dependence('boosts', 'meadow', 'a', 3, 'no') p JOIN ml_partial_dependence('boosts', 'meadow', 'a', 3) q USING (value);
SELECT value, count(*), round(sum(prediction)::numeric, 9) AS total FROM ml_partial_dependence('kinds', 'meadow', 'c') GROUP BY 1 ORDER BY value COLLATE "C";
SELECT DISTINCT of_class FROM ml_ice('many', 'meadow', 'c', class => 'y', rows => 3);

-- what cannot be had
SELECT * FROM ml_importance('line', 'gain');
SELECT * FROM ml_importance('odd', 'permutation', 'meadow');
SELECT * FROM ml_importance('tree', 'weight');
SELECT * FROM ml_importance('tree', 'gain', 'meadow');
SELECT * FROM ml_importance('tree', 'shap');
SELECT * FROM ml_importance('tree', NULL);
SELECT * FROM ml_importance('tree', 'shap', 'meadow', rows => 0);
SELECT * FROM ml_importance('tree', 'permutation', 'SELECT * FROM meadow WHERE false');
SELECT * FROM ml_importance('boosts', 'permutation', $$SELECT * FROM meadow WHERE yes = 'no'$$);
SELECT * FROM ml_importance('kinds', 'permutation', $$SELECT a, b, c, flag, 'w' AS kind FROM meadow$$);
SELECT * FROM ml_importance('tree', 'shap', 'SELECT a, b FROM meadow');
SELECT * FROM ml_partial_dependence('tree', 'meadow', 'id');
SELECT * FROM ml_partial_dependence('tree', 'meadow', 'a', grid => 1);
SELECT * FROM ml_partial_dependence('tree', 'meadow', 'a', class => 'x');
SELECT * FROM ml_partial_dependence('kinds', 'meadow', 'a', class => 'w');
SELECT * FROM ml_ice('tree', NULL, 'a');
SELECT * FROM ml_ice('missing', 'meadow', 'a');

-- another role: the model by privilege, the rows by its own
SET client_min_messages = error;
CREATE ROLE regress_ml_reader;
SET ROLE regress_ml_reader;
SELECT count(*) FROM ml_importance('tree', 'splits');
SELECT count(*) FROM ml_ice('tree', 'meadow', 'a');
RESET ROLE;
SELECT ml_grant('tree', 'regress_ml_reader', 'predict');
SET ROLE regress_ml_reader;
SELECT count(*) FROM ml_partial_dependence('tree', 'SELECT 1::float8 AS a, 2::float8 AS b, ''red'' AS c', 'a');
SELECT count(*) FROM ml_ice('tree', 'meadow', 'a');
SELECT count(*) FROM ml_importance('tree', 'splits');
RESET ROLE;
SELECT ml_grant('tree', 'regress_ml_reader', 'view');
SET ROLE regress_ml_reader;
SELECT count(*) FROM ml_importance('tree', 'splits');
SELECT count(*) FROM ml_importance('tree', 'permutation', 'meadow');
RESET ROLE;
GRANT SELECT ON meadow TO regress_ml_reader;
SET ROLE regress_ml_reader;
SELECT count(*) FROM ml_importance('tree', 'permutation', 'meadow');
RESET ROLE;
SELECT count(ml_drop(m)) FROM unnest('{tree,kinds,boost,boosts,many,odd,line,nothing}'::text[]) m;
DROP TABLE meadow;
DROP ROLE regress_ml_reader;
