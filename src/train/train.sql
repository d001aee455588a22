-- Training, measuring, cross-validation.

CREATE FUNCTION ml_train(
	model text, source text, target text DEFAULT NULL, algorithm text DEFAULT NULL, params jsonb DEFAULT NULL,
	features text[] DEFAULT NULL, exclude text[] DEFAULT NULL, task text DEFAULT NULL, weight text DEFAULT NULL,
	holdout double precision DEFAULT 0.2, split_by text DEFAULT NULL, order_by text DEFAULT NULL,
	seed bigint DEFAULT 0, notes text DEFAULT NULL,
	OUT model text, OUT version int, OUT algorithm text, OUT task text, OUT rows_read bigint, OUT rows_used bigint,
	OUT rows_dropped bigint, OUT features int, OUT metric text, OUT value double precision,
	OUT baseline double precision, OUT warnings text[], OUT elapsed interval)
AS 'MODULE_PATHNAME', 'ml_sql_train' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_train(text, text, text, text, jsonb, text[], text[], text, text, double precision, text, text, bigint, text) IS
'Trains a model on a source (a relation name or one SELECT, read with your rights), measures it on a holdout that it has not seen, fits it again on all rows (parameter refit) and keeps it under a name: a new version if the name exists. value is the main metric on the holdout, baseline that of a model that ignores the features. Without target only algorithms of task anomaly learn; nothing is held out or measured then. holdout: share of rows, by seed; split_by keeps equal values together; order_by holds out the latest. Errors: 42704 no such algorithm, 42703 no such column, 42804 unusable type, 22023 wrong parameter, 22003 NaN or infinity, 22000 nothing to learn from, 53200 budget.';

CREATE FUNCTION ml_fit(
	source text, target text DEFAULT NULL, algorithm text DEFAULT NULL, params jsonb DEFAULT NULL,
	features text[] DEFAULT NULL, exclude text[] DEFAULT NULL, task text DEFAULT NULL, weight text DEFAULT NULL,
	holdout double precision DEFAULT 0.2, split_by text DEFAULT NULL, order_by text DEFAULT NULL, seed bigint DEFAULT 0)
RETURNS ml_model
AS 'MODULE_PATHNAME', 'ml_sql_fit' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_fit(text, text, text, jsonb, text[], text[], text, text, double precision, text, text, bigint) IS
'As ml_train, but returns the model as a value and keeps nothing. The same rows, seed and parameters give the same bytes when the plan is serial.';

CREATE FUNCTION ml_cv(
	source text, target text DEFAULT NULL, algorithm text DEFAULT NULL, params jsonb DEFAULT NULL,
	folds int DEFAULT 5, repeats int DEFAULT 1, features text[] DEFAULT NULL, exclude text[] DEFAULT NULL,
	task text DEFAULT NULL, weight text DEFAULT NULL, split_by text DEFAULT NULL, order_by text DEFAULT NULL,
	seed bigint DEFAULT 0)
RETURNS TABLE (metric text, mean double precision, sd double precision, "values" double precision[], baseline double precision)
AS 'MODULE_PATHNAME', 'ml_sql_cv' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_cv(text, text, text, jsonb, int, int, text[], text[], text, text, text, text, bigint) IS
'Cross-validation: mean and standard deviation of each metric over the folds, beside a model that ignores the features. Everything that is learned - imputation, scaling, categories, penalties given as "cv" - is learned without the fold it is measured on. With order_by each fold is predicted from earlier rows only. Large tables of numbers under a linear method give rmse, mse and r2 from one scan.';

CREATE FUNCTION ml_evaluate(model text, source text)
RETURNS TABLE (metric text, value double precision, ci_low double precision, ci_high double precision, baseline double precision, n bigint)
AS 'MODULE_PATHNAME', 'ml_sql_evaluate' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_evaluate(text, text) IS
'Metrics of a named model on the rows of a source that has the columns it was trained on and its target: value, 95 % interval where an honest one is known, the metric of a model that ignores the features, and the rows used. Needs the privilege predict. Errors: 42703 column missing, 22023 a class that the model does not know.';

CREATE FUNCTION ml_evaluate(model ml_model, source text)
RETURNS TABLE (metric text, value double precision, ci_low double precision, ci_high double precision, baseline double precision, n bigint)
AS 'MODULE_PATHNAME', 'ml_sql_evaluate_value' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_evaluate(ml_model, text) IS 'As ml_evaluate(text, text), for a model given as a value.';
