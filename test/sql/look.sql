-- Looking into models: what they are, why they predict what they predict, what counts.
SET client_min_messages = error;
CREATE TABLE garden (id int, a float8, b int, c text, d date, y float8, answer text, kind text);
INSERT INTO garden
	SELECT i, a, b, c, date '2024-01-01' + i, 100 + a + 2 * b + CASE c WHEN 'red' THEN 10 WHEN 'green' THEN 20 ELSE 30 END,
		CASE WHEN a + b + (i * 3) % 7 > 14 THEN 'yes' ELSE 'no' END, (ARRAY['x','y','z'])[1 + (i * i + b) % 3]
	FROM (SELECT i, (i * 7) % 13 AS a, (i * 5) % 11 AS b, (ARRAY['red','green','blue'])[1 + i % 3] AS c
		FROM generate_series(1, 120) i) s;
SELECT model FROM ml_train('grow', 'garden', target => 'y', algorithm => 'linear', features => '{a,b,c}', holdout => 0);
SELECT model FROM ml_train('reply', 'garden', target => 'answer', algorithm => 'logistic', features => '{a,b}', holdout => 0);
SELECT model FROM ml_train('sort', 'garden', target => 'kind', algorithm => 'logistic', features => '{a,b,c,d}', holdout => 0);
SELECT model FROM ml_train('plain', 'garden', target => 'y', algorithm => 'baseline', holdout => 0);
SELECT model FROM ml_train('noisy', $$ SELECT a, y + (id * 31) % 17 AS y FROM garden $$, target => 'y', algorithm => 'linear', holdout => 0);
RESET client_min_messages;

-- explanations add up to the prediction
SELECT id, feature, value FROM garden g, ml_explain('grow', g) WHERE id IN (1, 2) ORDER BY id, feature COLLATE "C";
SELECT count(*), max(abs(total - ml_predict('grow', g))) < 1e-9 AS adds_up
	FROM garden g, LATERAL (SELECT sum(contribution) AS total FROM ml_explain('grow', g)) e;
SELECT count(*), max(abs(total - ln(p / (1 - p)))) < 1e-9 AS adds_up
	FROM garden g, LATERAL (SELECT sum(contribution) AS total FROM ml_explain('reply', g)) e,
		LATERAL (SELECT ml_predict('reply', g) AS p OFFSET 0) q;
-- for more classes: the log of the probability against the geometric mean of all
SELECT count(*), max(abs(total - (ln(p) - mean))) < 1e-9 AS adds_up
	FROM garden g, LATERAL (SELECT sum(contribution) AS total FROM ml_explain('sort', g)) e,
		LATERAL (SELECT ml_probability('sort', g, ml_classify('sort', g)) AS p OFFSET 0) q,
		LATERAL (SELECT avg(ln(value::float8)) AS mean FROM jsonb_each_text(ml_probabilities('sort', g))) m;
-- a contribution is the effect against the mean: none over all rows
SELECT feature, abs(avg(contribution)) < 1e-6 AS balanced, round(max(contribution - low)::numeric, 6) AS spread
	FROM garden g, ml_explain('grow', g), LATERAL (SELECT min(e.contribution) AS low FROM garden h, ml_explain('grow', h) e
		WHERE e.feature = ml_explain.feature AND e.feature <> '(base)') l
	WHERE feature IN ('a', 'b') GROUP BY feature ORDER BY feature;
SELECT feature, value FROM ml_explain('grow', '{"a": 1, "b": null, "c": "red"}'::jsonb);
SELECT count(*) FROM ml_explain('grow', NULL::garden);
SELECT e.* FROM ml_explain('grow', ROW(1)) e;

-- intervals
SELECT count(*), bool_and(i.low < p AND p < i.high) AS around, bool_and(wide.high - wide.low > i.high - i.low) AS wider
	FROM garden g, ml_predict_interval('noisy', g) i, ml_predict_interval('noisy', g, 0.99) wide,
		LATERAL (SELECT ml_predict('noisy', g) AS p OFFSET 0) q;
SELECT avg((y + (id * 31) % 17 BETWEEN low AND high)::int) BETWEEN 0.9 AND 1 AS covers FROM garden g, ml_predict_interval('noisy', g, 0.95);
SELECT (ml_predict_interval('noisy', '{"a": 3}'::jsonb)).low < (ml_predict_interval('noisy', '{"a": 3}'::jsonb)).high AS json;
SELECT ml_predict_interval('noisy', ROW(1)::record, 1);
SELECT ml_predict_interval('sort', g) FROM garden g;

-- coefficients
SELECT term, class, round(estimate::numeric, 6) AS estimate FROM ml_coefficients('grow');
SELECT count(*), bool_and(std_error > 0 AND p_value BETWEEN 0 AND 1 AND ci_low < estimate AND estimate < ci_high) AS complete FROM ml_coefficients('noisy');
SELECT class, count(*) FROM ml_coefficients('sort') GROUP BY class ORDER BY class;
SELECT count(*), count(class) FROM ml_coefficients('reply');

-- importance
SELECT feature, round(importance::numeric, 3) AS share FROM ml_importance('grow');
SELECT round(sum(importance)::numeric, 9), count(*), min(importance) >= 0 FROM ml_importance('sort');
-- a number's weight is its coefficient times its standard deviation
SELECT abs(i.importance / j.importance - stddev(g.a) / (2 * stddev(g.b))) < 1e-6
	FROM garden g, ml_importance('grow') i, ml_importance('grow') j WHERE i.feature = 'a' AND j.feature = 'b'
	GROUP BY i.importance, j.importance;

-- description
SELECT item, value FROM ml_describe('reply')
	WHERE item IN ('algorithm', 'task', 'target', 'target type', 'classes', 'positive class', 'features', 'feature columns', 'encoded columns');
SELECT count(*) > 10 AS says_much, count(*) FILTER (WHERE item LIKE 'parameter.%') > 0 AS parameters FROM ml_describe('grow');
SELECT value FROM ml_describe('grow') WHERE item = 'algorithm';

-- models as values say the same
CREATE TABLE shelf AS SELECT m.name, v.model FROM ml.version v JOIN ml.model m USING (model_id) WHERE m.name IN ('grow', 'plain');
SELECT (SELECT jsonb_agg(to_jsonb(d)) FROM ml_describe(model) d) = (SELECT jsonb_agg(to_jsonb(d)) FROM ml_describe('grow') d) AS describe,
	(SELECT jsonb_agg(to_jsonb(d)) FROM ml_coefficients(model) d) = (SELECT jsonb_agg(to_jsonb(d)) FROM ml_coefficients('grow') d) AS coefficients,
	(SELECT jsonb_agg(to_jsonb(d)) FROM ml_importance(model) d) = (SELECT jsonb_agg(to_jsonb(d)) FROM ml_importance('grow') d) AS importance,
	(SELECT sum(contribution) FROM garden g, ml_explain(model, g) WHERE id = 5) = (SELECT sum(contribution) FROM garden g, ml_explain('grow', g) WHERE id = 5) AS explain
	FROM shelf WHERE name = 'grow';

-- who may look: predict is not enough
CREATE ROLE regress_ml_looker;
SELECT ml_grant('noisy', 'regress_ml_looker', 'predict');
SET ROLE regress_ml_looker;
SELECT count(*) FROM ml_explain('noisy', '{"a": 1}'::jsonb);
\set VERBOSITY sqlstate
SELECT count(*) FROM ml_coefficients('noisy');
SELECT count(*) FROM ml_describe('noisy');
SELECT count(*) FROM ml_importance('noisy');
SELECT count(*) FROM ml_coefficients('grow');
SELECT count(*) FROM ml_describe('grow');
SELECT count(*) FROM ml_importance('grow');
RESET ROLE;
SELECT ml_grant('noisy', 'regress_ml_looker', 'view');
SET ROLE regress_ml_looker;
SELECT count(*) FROM ml_coefficients('noisy');
SELECT count(*) > 0 FROM ml_describe('noisy');
SELECT count(*) FROM ml_importance('noisy');
RESET ROLE;
SELECT ml_revoke('noisy', 'regress_ml_looker', 'view');
SELECT ml_revoke('noisy', 'regress_ml_looker', 'predict');
DROP ROLE regress_ml_looker;
\set VERBOSITY default
SELECT ml_coefficients('absent');
SELECT term, round(estimate::numeric, 6) FROM ml_coefficients('plain');
SELECT count(*) FROM ml_importance('plain');
