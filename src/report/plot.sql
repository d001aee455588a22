-- Charts and reports: report/plot.c, report/report.c.

CREATE FUNCTION ml_plot(model text, kind text, source text DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_plot' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_plot(text, text, text) IS
	'a chart as a Vega-Lite 5 specification with its data inside. Kinds: roc, pr, calibration, confusion (classes), residuals (numbers), distribution (of the predictions), importance, learning (the objective by iteration), drift (what ml_monitor found), versions (the main metric of each). Of the rows of the source, where one is given, else of the holdout as the model keeps it; importance with a source is permutation importance. A curve has at most 202 points, 52 of the holdout. Needs the privilege predict with a source (view for importance), view without. Errors: 22023 no such kind, 0A000 a kind that the model has not, 55000 the model keeps nothing of a holdout, 42703 column missing.';
CREATE FUNCTION ml_plot(model ml_model, kind text, source text DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_plot' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_plot(ml_model, text, text) IS
	'As ml_plot(text, text, text), for a model given as a value, which has neither versions nor drift.';

CREATE FUNCTION ml_report(model text, source text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_report' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_report(text, text) IS
	'what is known of a model as one HTML page that loads nothing from anywhere: purpose, data, quality against the baseline with 95 % intervals, charts with the tables they are drawn from, training, history, monitoring, warnings. Quality and charts are of the rows of the source, where one is given, else of the holdout. All of it is ASCII, about 1 MB. Needs the privilege view. Errors: 58P01 the files of Vega are not installed, 42703 column missing.';
