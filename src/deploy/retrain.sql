CREATE FUNCTION ml_retrain(model text, source text DEFAULT NULL, promote text DEFAULT 'if_better',
	holdout double precision DEFAULT NULL, metric text DEFAULT NULL, compare_on text DEFAULT NULL, notes text DEFAULT NULL,
	OUT model text, OUT version integer, OUT metric text, OUT champion double precision, OUT challenger double precision,
	OUT difference double precision, OUT ci_low double precision, OUT ci_high double precision, OUT rows bigint,
	OUT decision text, OUT reason text)
AS 'MODULE_PATHNAME', 'ml_sql_retrain' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_retrain(text, text, text, double precision, text, text, text) IS
'Trains a model again by the recipe of its current version (all arguments of ml_train) on the rows that there are today, as a new version with the alias challenger. Both are measured on the same rows: the new holdout, or compare_on (a source of rows that neither has seen, measured with the stored versions). promote: if_better (the challenger becomes current when its loss is lower by a one-sided paired test at 5 %), always or never. metric: rmse or mae, log_loss or brier; ci_low and ci_high: 90 % interval of the difference challenger - champion. decision: promoted or kept, with the reason. Errors: 42501 when the source is another role''s and not given, 55000 when the model was imported and the source is not given, 55P03 while another session retrains the model, 55000 without a recipe, and those of ml_train.';
