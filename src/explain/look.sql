-- Looking into a model: explain/look.c and explain/attribution.c.

CREATE FUNCTION ml_explain(model text, input record,
						   OUT feature text, OUT value text, OUT contribution float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_explain'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION ml_explain(text, record) IS
	'why the model predicts what it predicts for a row: what each column adds to the line "(base)". All lines add up to the prediction of a regression (before the inverse link, where there is one), to the log-odds of the second of two classes, or to the score of the most likely of more classes.';

CREATE FUNCTION ml_explain(model text, input jsonb,
						   OUT feature text, OUT value text, OUT contribution float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_explain'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION ml_explain(text, jsonb) IS
	'why the model predicts what it predicts for a row: what each column adds to the line "(base)". All lines add up to the prediction of a regression (before the inverse link, where there is one), to the log-odds of the second of two classes, or to the score of the most likely of more classes.';

CREATE FUNCTION ml_explain(model ml_model, input record,
						   OUT feature text, OUT value text, OUT contribution float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_explain'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION ml_explain(ml_model, record) IS
	'why the model predicts what it predicts for a row: what each column adds to the line "(base)". All lines add up to the prediction of a regression (before the inverse link, where there is one), to the log-odds of the second of two classes, or to the score of the most likely of more classes.';

CREATE FUNCTION ml_explain(model ml_model, input jsonb,
						   OUT feature text, OUT value text, OUT contribution float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_explain'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION ml_explain(ml_model, jsonb) IS
	'why the model predicts what it predicts for a row: what each column adds to the line "(base)". All lines add up to the prediction of a regression (before the inverse link, where there is one), to the log-odds of the second of two classes, or to the score of the most likely of more classes.';

CREATE FUNCTION ml_describe(model text, OUT item text, OUT value text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_describe'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 30;
COMMENT ON FUNCTION ml_describe(text) IS
	'what a model is, in pairs of text: algorithm, task, columns, parameters, metrics, and what the algorithm says of its fit Needs the privilege view.';

CREATE FUNCTION ml_describe(model ml_model, OUT item text, OUT value text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_describe'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 30;
COMMENT ON FUNCTION ml_describe(ml_model) IS
	'what a model is, in pairs of text: algorithm, task, columns, parameters, metrics, and what the algorithm says of its fit';

CREATE FUNCTION ml_coefficients(model text, OUT term text, OUT class text, OUT estimate float8, OUT std_error float8,
								OUT statistic float8, OUT p_value float8, OUT ci_low float8, OUT ci_high float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_coefficients'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION ml_coefficients(text) IS
	'the coefficients of a model on the scale of its encoded columns, with standard error, test statistic, p-value and 95 % interval, NULL where undefined; class is NULL unless there are more than two. A model without coefficients is an error (0A000). Needs the privilege view.';

CREATE FUNCTION ml_coefficients(model ml_model, OUT term text, OUT class text, OUT estimate float8, OUT std_error float8,
								OUT statistic float8, OUT p_value float8, OUT ci_low float8, OUT ci_high float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_coefficients'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION ml_coefficients(ml_model) IS
	'the coefficients of a model on the scale of its encoded columns, with standard error, test statistic, p-value and 95 % interval, NULL where undefined; class is NULL unless there are more than two. A model without coefficients is an error (0A000).';

CREATE FUNCTION ml_importance(model text, OUT feature text, OUT importance float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_importance'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION ml_importance(text) IS
	'the share of each column in what the model predicts, largest first; they add up to 1, or are 0 where no column counts. Where the algorithm has no measure of its own, a column''s weight is the standard deviation of its contribution (see ml_explain) over the values of the training: for a number, the coefficient times its standard deviation. Needs the privilege view.';

CREATE FUNCTION ml_importance(model ml_model, OUT feature text, OUT importance float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_importance'
	LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION ml_importance(ml_model) IS
	'the share of each column in what the model predicts, largest first; they add up to 1, or are 0 where no column counts. Where the algorithm has no measure of its own, a column''s weight is the standard deviation of its contribution (see ml_explain) over the values of the training: for a number, the coefficient times its standard deviation.';

CREATE FUNCTION ml_importance(model text, method text, source text DEFAULT NULL, "rows" integer DEFAULT 1000,
							  repeats integer DEFAULT 5, seed bigint DEFAULT 0,
							  OUT feature text, OUT importance float8, OUT sd float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_importance_by'
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20;
COMMENT ON FUNCTION ml_importance(text, text, text, integer, integer, bigint) IS
	'the importance of each column, largest first, by a method: gain, cover or splits (of trees: the share of all that the splits of the column gained, of the rows that came to them, of their number; they add up to 1); permutation (how much worse the main metric of the model, rmse, auc with two classes or log_loss with more, gets when the values of the column are dealt out anew among the rows of the source: mean and standard deviation over the repeats); shap (the mean of the absolute contribution of the column, see ml_explain, over the rows of the source, summed over more than two classes). A source with more rows is sampled by the seed, with a NOTICE. Needs the privilege view. Errors: 0A000 a method that the algorithm does not have, 22023 an unknown one, 42703 column missing.';

CREATE FUNCTION ml_importance(model ml_model, method text, source text DEFAULT NULL, "rows" integer DEFAULT 1000,
							  repeats integer DEFAULT 5, seed bigint DEFAULT 0,
							  OUT feature text, OUT importance float8, OUT sd float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_importance_by'
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20;
COMMENT ON FUNCTION ml_importance(ml_model, text, text, integer, integer, bigint) IS
	'the importance of each column, largest first, by a method: gain, cover or splits (of trees: the share of all that the splits of the column gained, of the rows that came to them, of their number; they add up to 1); permutation (how much worse the main metric of the model, rmse, auc with two classes or log_loss with more, gets when the values of the column are dealt out anew among the rows of the source: mean and standard deviation over the repeats); shap (the mean of the absolute contribution of the column, see ml_explain, over the rows of the source, summed over more than two classes). A source with more rows is sampled by the seed, with a NOTICE. Errors: 0A000 a method that the algorithm does not have, 22023 an unknown one, 42703 column missing.';

CREATE FUNCTION ml_partial_dependence(model text, source text, feature text, grid integer DEFAULT 20, class text DEFAULT NULL,
	"rows" integer DEFAULT 1000, seed bigint DEFAULT 0,
	OUT value text, OUT x float8, OUT of_class text, OUT prediction float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_partial_dependence'
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20;
COMMENT ON FUNCTION ml_partial_dependence(text, text, text, integer, text, integer, bigint) IS
	'how the prediction depends on one feature, as rows to plot: the mean prediction over the rows of the source when all of them have this value of the feature. The grid has values that occur: all if they are few, else at equal steps of rank; the most frequent categories; and NULL where it occurs. value is the value as text, x as a number (of dates: seconds since 1970; NULL for categories). With classes prediction is the probability of the class: the positive one of two, or each of more, unless one is named. A source with more rows is sampled by the seed, with a NOTICE. Needs the privilege predict. Errors: 42703 column or feature missing, 22023 unknown class, 0A000 the feature is an array.';

CREATE FUNCTION ml_partial_dependence(model ml_model, source text, feature text, grid integer DEFAULT 20, class text DEFAULT NULL,
	"rows" integer DEFAULT 1000, seed bigint DEFAULT 0,
	OUT value text, OUT x float8, OUT of_class text, OUT prediction float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_partial_dependence'
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20;
COMMENT ON FUNCTION ml_partial_dependence(ml_model, text, text, integer, text, integer, bigint) IS
	'how the prediction depends on one feature, as rows to plot: the mean prediction over the rows of the source when all of them have this value of the feature. The grid has values that occur: all if they are few, else at equal steps of rank; the most frequent categories; and NULL where it occurs. value is the value as text, x as a number (of dates: seconds since 1970; NULL for categories). With classes prediction is the probability of the class: the positive one of two, or each of more, unless one is named. A source with more rows is sampled by the seed, with a NOTICE. Errors: 42703 column or feature missing, 22023 unknown class, 0A000 the feature is an array.';

CREATE FUNCTION ml_ice(model text, source text, feature text, grid integer DEFAULT 20, class text DEFAULT NULL,
	"rows" integer DEFAULT 100, seed bigint DEFAULT 0,
	OUT "row" bigint, OUT value text, OUT x float8, OUT of_class text, OUT prediction float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_ice'
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000;
COMMENT ON FUNCTION ml_ice(text, text, text, integer, text, integer, bigint) IS
	'how the prediction of each row depends on one feature, as lines to plot (individual conditional expectation): row is the number of the row as the source gave it, prediction what the model says of it with this value of the feature. Grid, value, x and class are those of ml_partial_dependence. A source with more rows is sampled by the seed, with a NOTICE. Needs the privilege predict. Errors: 42703 column or feature missing, 22023 unknown class, 0A000 the feature is an array.';

CREATE FUNCTION ml_ice(model ml_model, source text, feature text, grid integer DEFAULT 20, class text DEFAULT NULL,
	"rows" integer DEFAULT 100, seed bigint DEFAULT 0,
	OUT "row" bigint, OUT value text, OUT x float8, OUT of_class text, OUT prediction float8)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'ml_sql_ice'
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000;
COMMENT ON FUNCTION ml_ice(ml_model, text, text, integer, text, integer, bigint) IS
	'how the prediction of each row depends on one feature, as lines to plot (individual conditional expectation): row is the number of the row as the source gave it, prediction what the model says of it with this value of the feature. Grid, value, x and class are those of ml_partial_dependence. A source with more rows is sampled by the seed, with a NOTICE. Errors: 42703 column or feature missing, 22023 unknown class, 0A000 the feature is an array.';

CREATE FUNCTION ml_explain(model text, input text, OUT feature text, OUT value text, OUT contribution float8)
	RETURNS SETOF record
	LANGUAGE sql STABLE STRICT PARALLEL SAFE ROWS 10
	BEGIN ATOMIC
		SELECT e.feature, e.value, e.contribution FROM ml_explain(model, input::pg_catalog.jsonb) AS e;
	END;
COMMENT ON FUNCTION ml_explain(text, text) IS
	'ml_explain of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_explain(text, jsonb). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_explain(model ml_model, input text, OUT feature text, OUT value text, OUT contribution float8)
	RETURNS SETOF record
	LANGUAGE sql STABLE STRICT PARALLEL SAFE ROWS 10
	BEGIN ATOMIC
		SELECT e.feature, e.value, e.contribution FROM ml_explain(model, input::pg_catalog.jsonb) AS e;
	END;
COMMENT ON FUNCTION ml_explain(ml_model, text) IS
	'ml_explain of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_explain(ml_model, jsonb). Text that is not JSON is an error (22P02).';
