-- Charts and reports: what stands in them, who may see them, and texts that want to be markup.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE TABLE report_data AS SELECT i AS id, (i * 37 % 101)::float8 AS a, (i * 53 % 97)::float8 AS b,
	(i * 37 % 101) + (i * 71 % 89) > 90 AS won,
	(ARRAY['red', 'green', 'blue'])[1 + ((i * 37 % 101) + (i * 13 % 40)) / 47 % 3] AS colour,
	2 * (i * 37 % 101) - (i * 53 % 97) + (i * 71 % 13) AS amount FROM generate_series(1, 600) i;
SELECT metric FROM ml_train('won', 'report_data', target => 'won', algorithm => 'logistic', exclude => '{id,colour,amount}');
SELECT metric FROM ml_train('colour', 'report_data', target => 'colour', algorithm => 'random_forest', exclude => '{id,won,amount}', params => '{"n_estimators": 20}');
SELECT metric FROM ml_train('amount', 'report_data', target => 'amount', algorithm => 'decision_tree', exclude => '{id,won,colour}', task => 'regression');
SELECT metric FROM ml_train('sums', 'report_data', target => 'amount', algorithm => 'linear', exclude => '{id,won,colour}', task => 'regression', holdout => 0);

-- every kind that a model has, of the holdout and of a source
CREATE FUNCTION kinds(model text, source text) RETURNS TABLE (kind text, top text) LANGUAGE sql AS $$
	SELECT k, (SELECT string_agg(key, ' ' ORDER BY key) FROM jsonb_object_keys(ml_plot(model, k, source)) key)
	FROM unnest(CASE model WHEN 'amount' THEN '{residuals,distribution}'::text[] ELSE '{roc,pr,calibration,confusion,distribution}' END
		|| CASE WHEN source IS NULL THEN '{importance,versions}'::text[] ELSE '{}' END) k $$;
SELECT * FROM kinds('won', NULL);
SELECT * FROM kinds('won', 'report_data');
SELECT count(*) FROM kinds('colour', NULL) a, kinds('colour', 'report_data') b;
SELECT * FROM kinds('amount', NULL);
SELECT * FROM kinds('amount', 'report_data');
SELECT ml_plot('won', 'roc', 'report_data')->>'$schema';

-- the numbers are those of the aggregates
WITH p AS (SELECT row_number() OVER () AS i, (v->>'x')::float8 AS x, (v->>'y')::float8 AS y
	FROM jsonb_array_elements(ml_plot('won', 'roc', 'report_data')->'data'->'values') v),
	area AS (SELECT sum((q.x - p.x) * (p.y + q.y) / 2) AS auc FROM p JOIN p q ON q.i = p.i + 1)
SELECT abs(auc - (SELECT ml_auc(won, ml_predict('won', d)) FROM report_data d)) < 0.005 AS same_area,
	(SELECT count(*) <= 202 FROM p) AS bounded FROM area;
SELECT (SELECT jsonb_agg((v->>'n')::int) FROM jsonb_array_elements(ml_plot('colour', 'confusion', 'report_data')->'data'->'values') v)
	= (SELECT jsonb_agg(c.n::int) FROM unnest((SELECT ml_confusion(colour, ml_classify('colour', d)) FROM report_data d)) c) AS same_matrix;
SELECT (SELECT jsonb_agg(round((v->>'y')::numeric, 5)) FROM jsonb_array_elements(ml_plot('won', 'calibration', 'report_data')->'data'->'values') v)
	= (SELECT jsonb_agg(round(c.observed::numeric, 5)) FROM unnest((SELECT ml_calibration(won, ml_predict('won', d)) FROM report_data d)) c
		WHERE c.n > 0) AS same_bins;
SELECT (SELECT sum((v->>'n')::int) FROM jsonb_array_elements(ml_plot('amount', 'residuals', 'report_data')->'data'->'values') v) AS rows_of_residuals,
	(SELECT sum((v->>'n')::int) FROM jsonb_array_elements(ml_plot('won', 'distribution')->'data'->'values') v)
	= (SELECT (info->>'holdout_rows')::int FROM ml.versions WHERE model = 'won') AS holdout;
-- in any order of the rows
SELECT ml_plot('amount', 'residuals', 'SELECT * FROM report_data ORDER BY id')->'data'
	= ml_plot('amount', 'residuals', 'SELECT * FROM report_data ORDER BY id DESC')->'data' AS same;
-- without the target there are predictions
SELECT ml_plot('won', 'distribution', 'SELECT a, b FROM report_data')->'encoding' ? 'color' AS coloured;
SELECT ml_plot(model, 'roc', 'report_data')->'data' = ml_plot('won', 'roc', 'report_data')->'data' AS same_data
	FROM (SELECT ml_fit('report_data', 'won', algorithm => 'logistic', exclude => '{id,colour,amount}') AS model) f;

-- how a model was learned: at most 128 points, and where the objective on rows kept apart was least
SELECT metric FROM ml_train('boosted', 'report_data', target => 'amount', algorithm => 'gradient_boosting', exclude => '{id,won,colour}', task => 'regression',
	params => '{"n_estimators": 400, "early_stopping": 400, "learning_rate": 0.1}');
WITH v AS (SELECT v->>'of' AS of, (v->>'iterations')::int AS i, (v->>'objective')::float8 AS o FROM jsonb_array_elements(ml_plot('boosted', 'learning')->'data'->'values') v)
SELECT of, count(*) BETWEEN 64 AND 128 AS bounded, max(i) >= 399 AS last, bool_and(i % 4 = 0 OR i = 400) AS even, (array_agg(o ORDER BY i))[1] > 5 * min(o) AS falls FROM v GROUP BY of ORDER BY of;
SELECT l->'best' = ml_plot('boosted', 'learning')->'layer'->0->'data'->'values'->0->'x' AS dashed FROM (SELECT info->'learning' AS l FROM ml.versions WHERE model = 'boosted') s;
SELECT jsonb_array_length(ml_plot('won', 'learning')->'data'->'values') > 2 AS passes, jsonb_array_length(ml_plot('won', 'learning')->'layer') AS layers;
-- whole iterations, steps that end, batches of one hour by their run, those of days by their time
SELECT i.n, ml_plot(m, 'learning')->'layer'->0->'encoding'->'x'->'axis' AS axis
	FROM (SELECT n, ml_fit('report_data', 'won', algorithm => 'gradient_boosting', features => '{a,b}', params => format('{"n_estimators": %s}', n)::jsonb) AS m FROM unnest('{3,40}'::int[]) n) i;
SELECT v->>'low' = v->>'high' AS ends, v->'n' AS n
	FROM (SELECT ml_plot('amount', 'distribution')->'data'->'values'->-1 AS v) s;
SELECT count(*) > 0 AS monitored FROM ml_monitor('amount', 'report_data');
SELECT count(*) > 0 AS monitored FROM ml_monitor('amount', 'SELECT * FROM report_data WHERE id > 100');
SELECT ml_plot('amount', 'drift')->'layer'->1->'encoding'->'x'->>'field' AS x;
UPDATE ml.monitoring_row SET at = at - interval '3 days' WHERE run_id = (SELECT min(run_id) FROM ml.monitoring WHERE model = 'amount');
SELECT ml_plot('amount', 'drift')->'layer'->1->'encoding'->'x'->>'field' AS x;
SELECT ml_plot('sums', 'learning');
SELECT ml_plot('won', 'learning', 'report_data');
SELECT count(*) FROM ml_describe('won') WHERE item ~ 'learning';
SELECT ml_drop('boosted');

-- what there is not
SELECT ml_plot('won', 'pie');
SELECT ml_plot('won', NULL);
SELECT ml_plot(NULL::text, 'roc');
SELECT ml_plot('won', 'residuals');
SELECT ml_plot('amount', 'roc');
SELECT ml_plot('won', 'drift');
SELECT ml_plot('won', 'versions', 'report_data');
SELECT ml_plot('sums', 'residuals');
SELECT ml_plot('sums', 'versions');
SELECT ml_plot('won', 'roc', 'SELECT a, b FROM report_data');
SELECT ml_plot('won', 'roc', 'SELECT a, b, NULL::boolean AS won FROM report_data');
SELECT ml_plot(model, 'versions') FROM (SELECT ml_fit('report_data', 'won', algorithm => 'logistic', exclude => '{id,colour,amount}') AS model) f;

-- who may
CREATE ROLE regress_ml_reader;
CREATE ROLE regress_ml_caller;
GRANT SELECT ON report_data TO regress_ml_caller;
SELECT ml_grant('won', 'regress_ml_caller', 'predict'), ml_grant('won', 'regress_ml_reader', 'view');
SET ROLE regress_ml_caller;
SELECT jsonb_typeof(ml_plot('won', 'roc', 'report_data'));
SELECT ml_plot('won', 'roc');
SELECT ml_plot('won', 'importance', 'report_data');
SELECT ml_report('won');
SELECT ml_plot('colour', 'roc', 'report_data');
SELECT ml_report('colour');
SET ROLE regress_ml_reader;
SELECT jsonb_typeof(ml_plot('won', 'roc')), length(ml_report('won')) > 800000 AS page;
SELECT ml_plot('won', 'roc', 'report_data');
SELECT ml_report('won', 'report_data');
-- operators of somebody's schema are not used
RESET ROLE;
CREATE SCHEMA trap;
CREATE FUNCTION trap.equal(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT 1 / 0 = 1';
CREATE OPERATOR trap.= (FUNCTION = trap.equal, LEFTARG = name, RIGHTARG = text);
SET search_path = trap, public, pg_catalog;
SELECT length(ml_report('won')) > 800000 AS page;
RESET search_path;

-- texts that want to be markup
CREATE TABLE "report</script><script>alert(1)</script>" AS SELECT i AS "x<img src=a onerror=alert(2)>", (i % 7)::text || '</script><!--' AS "c]]>&""'",
	CASE WHEN i * 13 % 29 > 14 THEN '</script><script>alert(3)</script>' ELSE U&'<b>\2028\00e9\+01F600''"' END AS "</title>"
	FROM generate_series(1, 300) i;
SELECT metric FROM ml_train('<script>alert(4)</script>', '"report</script><script>alert(1)</script>"', target => '</title>', algorithm => 'random_forest',
	params => '{"n_estimators": 5}', notes => '</p><script>alert(5)</script>');
SELECT ml_comment('<script>alert(4)</script>', '<!-- <script>alert(6)</script>');
SELECT ml_rename('<script>alert(4)</script>', 'x</title><script>alert(7)');
CREATE TEMP TABLE page AS SELECT ml_report('x</title><script>alert(7)', 'SELECT *, ''</code><script>alert(8)</script>'' FROM "report</script><script>alert(1)</script>"') AS html;
SELECT octet_length(html) = length(html) AND html !~ '[^\x01-\x7e]' AS ascii,
	(SELECT count(*) FROM regexp_matches(html, '<script>', 'g')) AS scripts,
	(SELECT count(*) FROM regexp_matches(html, '<script type="application/json" data-chart="chart-[a-z]+">', 'g')) AS charts,
	(SELECT count(*) FROM regexp_matches(html, '<script', 'g')) AS opened,
	(SELECT count(*) FROM regexp_matches(html, '</script>', 'g')) AS closed,
	(SELECT count(*) FROM regexp_matches(split_part(html, '<script>', 1), '<img|<b>[^0-9]|<!--|</title>x|</p><script>alert', 'g')) AS broken FROM page;
SELECT count(*) AS specifications, bool_and(jsonb_typeof(m[1]::jsonb) = 'object') AS whole
	FROM page, regexp_matches(html, '<script type="application/json"[^>]*>([^<]*)</script>', 'g') m;
SELECT regexp_replace(html, '^.*http-equiv="Content-Security-Policy" content="([^"]*)".*$', '\1') ~
	'^default-src ''none''; base-uri ''none''; form-action ''none''; script-src( ''sha256-[A-Za-z0-9+/=]{44}''){4}; style-src ''sha256-[A-Za-z0-9+/=]{44}''$' AS policy FROM page;
SELECT string_agg(m[1], ', ') AS sections FROM page, regexp_matches(html, '<h2 id="([a-z]+)">', 'g') m;

SELECT ml_drop(m) FROM unnest('{won,colour,amount,sums,x</title><script>alert(7)}'::text[]) m;
DROP TABLE report_data, "report</script><script>alert(1)</script>";
DROP SCHEMA trap CASCADE;
DROP ROLE regress_ml_reader, regress_ml_caller;
-- a model that has forgotten rows keeps no summaries of the features, but what its sums tell of their importance
CREATE TABLE sums AS SELECT i::float8 AS x, (i % 7)::float8 AS z, chr(97 + i * 7 % 3) AS c, 3.0 * i + i % 7 + i * 7 % 3 * 40 AS y FROM generate_series(1, 300) i;
SELECT metric FROM ml_train('sums', 'sums', target => 'y', algorithm => 'ridge', params => '{"keep_state": true}');
SELECT model FROM ml_forget('sums', 'SELECT * FROM sums WHERE x > 290');
SELECT metric FROM ml_train('left', 'SELECT * FROM sums WHERE x <= 290', target => 'y', algorithm => 'ridge');
SELECT f.feature, abs(f.importance - l.importance) < 0.002 AS same FROM ml_importance('sums') f JOIN ml_importance('left') l USING (feature) ORDER BY 1;
SELECT jsonb_array_length(ml_plot('sums', 'importance')->'data'->'values') AS bars;
SELECT strpos(ml_report('sums'), 'Importance of the features') > 0 AS importance, strpos(ml_report('sums'), '</html>') > 0 AS whole;
SELECT model FROM ml_update('sums', 'SELECT * FROM sums WHERE x > 290');
SELECT metric FROM ml_train('left', 'sums', target => 'y', algorithm => 'ridge');
SELECT f.feature, abs(f.importance - l.importance) < 0.002 AS same FROM ml_importance('sums') f JOIN ml_importance('left') l USING (feature) ORDER BY 1;
SELECT ml_drop(m) FROM unnest('{sums,left}'::text[]) m;
DROP TABLE sums;
