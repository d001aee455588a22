-- Metrics: aggregates over actual and predicted values.
--
-- Every aggregate skips rows in which an argument is NULL, gives NULL for no rows,
-- and is parallel safe.  Definitions are scikit-learn's; what is not defined for
-- the rows seen is NULL, and ml_metrics tells the reason.

CREATE TYPE ml_roc_point AS (threshold float8, false_positive_rate float8, true_positive_rate float8);
COMMENT ON TYPE ml_roc_point IS 'a point of a ROC curve: the rates among rows whose score is at least the threshold';
CREATE TYPE ml_confusion_cell AS (actual text, predicted text, n float8);
COMMENT ON TYPE ml_confusion_cell IS 'a cell of a confusion matrix: rows, or their weight, with these labels';
CREATE TYPE ml_calibration_bin AS (low float8, high float8, n bigint, predicted float8, observed float8);
COMMENT ON TYPE ml_calibration_bin IS 'rows with low < probability <= high (the first bin with 0): how many, mean probability, share of positives';

-- ---- states: what the aggregates are made of ----

CREATE FUNCTION ml_metric_regression_add(state bytea, actual float8, predicted float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_regression_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_add(state bytea, actual float8, predicted float8) IS 'adds a row to the sums of regression metrics';
CREATE FUNCTION ml_metric_regression_add(state bytea, actual float8, predicted float8, weight float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_regression_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_add(state bytea, actual float8, predicted float8, weight float8) IS 'adds a row to the sums of regression metrics, weighted';
CREATE FUNCTION ml_metric_probability_add(state bytea, actual boolean, probability float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_probability_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_probability_add(state bytea, actual boolean, probability float8) IS 'adds a row to the sums of log loss and Brier score';
CREATE FUNCTION ml_metric_probability_add(state bytea, actual boolean, probability float8, weight float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_probability_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_probability_add(state bytea, actual boolean, probability float8, weight float8) IS 'adds a row to the sums of log loss and Brier score, weighted';
CREATE FUNCTION ml_metric_probability_add(state bytea, actual integer, probability float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_probability_add_int' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_probability_add(state bytea, actual integer, probability float8) IS 'adds a row, actual 0 or 1, to the sums of log loss and Brier score';
CREATE FUNCTION ml_metric_probability_add(state bytea, actual integer, probability float8, weight float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_probability_add_int' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_probability_add(state bytea, actual integer, probability float8, weight float8) IS 'adds a row, actual 0 or 1, to the sums of log loss and Brier score, weighted';
CREATE FUNCTION ml_metric_class_loss_add(state bytea, actual text, probabilities jsonb) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_class_loss_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_class_loss_add(state bytea, actual text, probabilities jsonb) IS 'adds a row to the sums of the log loss of many classes';
CREATE FUNCTION ml_metric_class_loss_add(state bytea, actual text, probabilities jsonb, weight float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_class_loss_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_class_loss_add(state bytea, actual text, probabilities jsonb, weight float8) IS 'adds a row to the sums of the log loss of many classes, weighted';
CREATE FUNCTION ml_metric_calibration_add(state bytea, actual boolean, probability float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_calibration_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_calibration_add(state bytea, actual boolean, probability float8) IS 'adds a row to the sums of one of 10 bins';
CREATE FUNCTION ml_metric_calibration_add(state bytea, actual boolean, probability float8, bins integer) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_calibration_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_calibration_add(state bytea, actual boolean, probability float8, bins integer) IS 'adds a row to the sums of its bin';
CREATE FUNCTION ml_metric_calibration_add(state bytea, actual boolean, probability float8, bins integer, weight float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_calibration_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_calibration_add(state bytea, actual boolean, probability float8, bins integer, weight float8) IS 'adds a row to the sums of its bin, weighted';
CREATE FUNCTION ml_metric_calibration_add(state bytea, actual integer, probability float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_calibration_add_int' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_calibration_add(state bytea, actual integer, probability float8) IS 'adds a row to the sums of one of 10 bins';
CREATE FUNCTION ml_metric_calibration_add(state bytea, actual integer, probability float8, bins integer) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_calibration_add_int' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_calibration_add(state bytea, actual integer, probability float8, bins integer) IS 'adds a row to the sums of its bin';
CREATE FUNCTION ml_metric_calibration_add(state bytea, actual integer, probability float8, bins integer, weight float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_calibration_add_int' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_calibration_add(state bytea, actual integer, probability float8, bins integer, weight float8) IS 'adds a row to the sums of its bin, weighted';
CREATE FUNCTION ml_metric_sums_combine(state bytea, other bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_sums_combine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_sums_combine(state bytea, other bytea) IS 'adds two states of sums';
CREATE FUNCTION ml_metric_labels_add(state bytea, actual text, predicted text) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_labels_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_add(state bytea, actual text, predicted text) IS 'adds a row to a confusion matrix';
CREATE FUNCTION ml_metric_labels_add(state bytea, actual text, predicted text, weight float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_labels_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_add(state bytea, actual text, predicted text, weight float8) IS 'adds a row to a confusion matrix, weighted';
CREATE FUNCTION ml_metric_labels_add_average(state bytea, actual text, predicted text, average text) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_labels_add_average' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_add_average(state bytea, actual text, predicted text, average text) IS 'adds a row to a confusion matrix that remembers how to average';
CREATE FUNCTION ml_metric_labels_add_average(state bytea, actual text, predicted text, weight float8, average text) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_labels_add_average' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_add_average(state bytea, actual text, predicted text, weight float8, average text) IS 'adds a row to a confusion matrix that remembers how to average, weighted';
CREATE FUNCTION ml_metric_booleans_add(state bytea, actual boolean, predicted boolean) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_booleans_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_booleans_add(state bytea, actual boolean, predicted boolean) IS 'adds a row to a confusion matrix of two classes';
CREATE FUNCTION ml_metric_booleans_add(state bytea, actual boolean, predicted boolean, weight float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_booleans_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_booleans_add(state bytea, actual boolean, predicted boolean, weight float8) IS 'adds a row to a confusion matrix of two classes, weighted';
CREATE FUNCTION ml_metric_threshold_add(state bytea, actual boolean, probability float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_threshold_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_threshold_add(state bytea, actual boolean, probability float8) IS 'adds a row, predicted true above 0.5, to a confusion matrix of two classes';
CREATE FUNCTION ml_metric_threshold_add(state bytea, actual boolean, probability float8, weight float8) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_threshold_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_threshold_add(state bytea, actual boolean, probability float8, weight float8) IS 'adds a row, predicted true above 0.5, to a confusion matrix of two classes, weighted';
CREATE FUNCTION ml_metric_labels_combine(state bytea, other bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_labels_combine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_combine(state bytea, other bytea) IS 'adds two confusion matrices';
CREATE FUNCTION ml_metric_scores_add(state internal, actual boolean, score float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_scores_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_scores_add(state internal, actual boolean, score float8) IS 'adds a row to the scores';
CREATE FUNCTION ml_metric_scores_add(state internal, actual boolean, score float8, weight float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_scores_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_scores_add(state internal, actual boolean, score float8, weight float8) IS 'adds a row to the scores, weighted';
CREATE FUNCTION ml_metric_scores_add(state internal, actual integer, score float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_scores_add_int' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_scores_add(state internal, actual integer, score float8) IS 'adds a row, actual 0 or 1, to the scores';
CREATE FUNCTION ml_metric_scores_add(state internal, actual integer, score float8, weight float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_scores_add_int' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_scores_add(state internal, actual integer, score float8, weight float8) IS 'adds a row, actual 0 or 1, to the scores, weighted';
CREATE FUNCTION ml_metric_errors_add(state internal, actual float8, predicted float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_errors_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_errors_add(state internal, actual float8, predicted float8) IS 'adds a row to the absolute errors';
CREATE FUNCTION ml_metric_errors_add(state internal, actual float8, predicted float8, weight float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_errors_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_errors_add(state internal, actual float8, predicted float8, weight float8) IS 'adds a row to the absolute errors, weighted';
CREATE FUNCTION ml_metrics_add(state internal, actual float8, predicted float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_metrics_add_regression' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metrics_add(state internal, actual float8, predicted float8) IS 'adds a row to all regression metrics';
CREATE FUNCTION ml_metrics_add(state internal, actual float8, predicted float8, weight float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_metrics_add_regression' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metrics_add(state internal, actual float8, predicted float8, weight float8) IS 'adds a row to all regression metrics, weighted';
CREATE FUNCTION ml_metrics_add(state internal, actual boolean, probability float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_metrics_add_binary' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metrics_add(state internal, actual boolean, probability float8) IS 'adds a row to all metrics of two classes';
CREATE FUNCTION ml_metrics_add(state internal, actual boolean, probability float8, weight float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_metrics_add_binary' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metrics_add(state internal, actual boolean, probability float8, weight float8) IS 'adds a row to all metrics of two classes, weighted';
CREATE FUNCTION ml_metric_classes_add(state internal, actual text, probabilities jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_classes_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_classes_add(state internal, actual text, probabilities jsonb) IS 'adds a row to all metrics of many classes';
CREATE FUNCTION ml_metric_classes_add(state internal, actual text, probabilities jsonb, weight float8) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_classes_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_classes_add(state internal, actual text, probabilities jsonb, weight float8) IS 'adds a row to all metrics of many classes, weighted';
CREATE FUNCTION ml_metric_held_combine(state internal, other internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_held_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_held_combine(state internal, other internal) IS 'adds two states of scores or metrics';
CREATE FUNCTION ml_metric_held_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_held_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_held_serialize(state internal) IS 'a state of scores or metrics for another process';
CREATE FUNCTION ml_metric_held_deserialize(bytes bytea, state internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_held_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_held_deserialize(bytes bytea, state internal) IS 'a state of scores or metrics from another process';
CREATE FUNCTION ml_metric_classes_combine(state internal, other internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_classes_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_classes_combine(state internal, other internal) IS 'adds two states of metrics of many classes';
CREATE FUNCTION ml_metric_classes_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME', 'ml_sql_classes_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_classes_serialize(state internal) IS 'a state of metrics of many classes for another process';
CREATE FUNCTION ml_metric_classes_deserialize(bytes bytea, state internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_classes_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_classes_deserialize(bytes bytea, state internal) IS 'a state of metrics of many classes from another process';
CREATE FUNCTION ml_metric_regression_rmse(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_regression_rmse' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_rmse(state bytea) IS 'rmse from the sums';
CREATE FUNCTION ml_metric_regression_mse(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_regression_mse' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_mse(state bytea) IS 'mse from the sums';
CREATE FUNCTION ml_metric_regression_mae(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_regression_mae' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_mae(state bytea) IS 'mae from the sums';
CREATE FUNCTION ml_metric_regression_r2(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_regression_r2' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_r2(state bytea) IS 'r2 from the sums';
CREATE FUNCTION ml_metric_regression_mape(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_regression_mape' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_mape(state bytea) IS 'mape from the sums';
CREATE FUNCTION ml_metric_regression_smape(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_regression_smape' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_smape(state bytea) IS 'smape from the sums';
CREATE FUNCTION ml_metric_regression_wape(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_regression_wape' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_wape(state bytea) IS 'wape from the sums';
CREATE FUNCTION ml_metric_regression_max_error(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_regression_max_error' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_max_error(state bytea) IS 'max_error from the sums';
CREATE FUNCTION ml_metric_regression_explained_variance(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_regression_explained_variance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_regression_explained_variance(state bytea) IS 'explained_variance from the sums';
CREATE FUNCTION ml_metric_probability_log_loss(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_probability_log_loss' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_probability_log_loss(state bytea) IS 'log_loss from the sums';
CREATE FUNCTION ml_metric_probability_brier(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_probability_brier' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_probability_brier(state bytea) IS 'brier from the sums';
CREATE FUNCTION ml_metric_calibration_bins(state bytea) RETURNS ml_calibration_bin[]
	AS 'MODULE_PATHNAME', 'ml_sql_calibration_bins' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_calibration_bins(state bytea) IS 'the bins from their sums';
CREATE FUNCTION ml_metric_labels_accuracy(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_labels_accuracy' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_accuracy(state bytea) IS 'accuracy from the confusion matrix';
CREATE FUNCTION ml_metric_labels_balanced_accuracy(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_labels_balanced_accuracy' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_balanced_accuracy(state bytea) IS 'balanced_accuracy from the confusion matrix';
CREATE FUNCTION ml_metric_labels_precision(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_labels_precision' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_precision(state bytea) IS 'precision from the confusion matrix';
CREATE FUNCTION ml_metric_labels_recall(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_labels_recall' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_recall(state bytea) IS 'recall from the confusion matrix';
CREATE FUNCTION ml_metric_labels_f1(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_labels_f1' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_f1(state bytea) IS 'f1 from the confusion matrix';
CREATE FUNCTION ml_metric_labels_mcc(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_labels_mcc' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_mcc(state bytea) IS 'mcc from the confusion matrix';
CREATE FUNCTION ml_metric_labels_kappa(state bytea) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_labels_kappa' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_kappa(state bytea) IS 'kappa from the confusion matrix';
CREATE FUNCTION ml_metric_labels_confusion(state bytea) RETURNS ml_confusion_cell[]
	AS 'MODULE_PATHNAME', 'ml_sql_labels_confusion' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_confusion(state bytea) IS 'the cells of the confusion matrix';
CREATE FUNCTION ml_metric_labels_metrics(state bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_labels_metrics' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_labels_metrics(state bytea) IS 'all metrics from the confusion matrix';
CREATE FUNCTION ml_metric_scores_auc(state internal) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_scores_auc' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_scores_auc(state internal) IS 'auc from the scores';
CREATE FUNCTION ml_metric_scores_pr_auc(state internal) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_scores_pr_auc' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_scores_pr_auc(state internal) IS 'pr_auc from the scores';
CREATE FUNCTION ml_metric_scores_roc(state internal) RETURNS ml_roc_point[]
	AS 'MODULE_PATHNAME', 'ml_sql_scores_roc' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_scores_roc(state internal) IS 'the ROC curve from the scores';
CREATE FUNCTION ml_metric_errors_median(state internal) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_errors_median' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_errors_median(state internal) IS 'the median of the absolute errors';
CREATE FUNCTION ml_metrics_values(state internal) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_metrics_values' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metrics_values(state internal) IS 'all metrics from their state';
CREATE FUNCTION ml_metric_classes_auc(state internal) RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_classes_auc' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_classes_auc(state internal) IS 'macro AUC from the scores of each class';
CREATE FUNCTION ml_metric_classes_values(state internal) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_classes_values' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_metric_classes_values(state internal) IS 'all metrics of many classes from their state';

-- ---- regression ----

CREATE AGGREGATE ml_rmse(actual float8, predicted float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_rmse, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_rmse(actual float8, predicted float8) IS 'root of the mean squared error, in the units of the target. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_rmse(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_rmse, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_rmse(actual float8, predicted float8, weight float8) IS 'root of the mean squared error, in the units of the target. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_mse(actual float8, predicted float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_mse, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mse(actual float8, predicted float8) IS 'mean squared error. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_mse(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_mse, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mse(actual float8, predicted float8, weight float8) IS 'mean squared error. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_mae(actual float8, predicted float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_mae, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mae(actual float8, predicted float8) IS 'mean absolute error, in the units of the target. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_mae(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_mae, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mae(actual float8, predicted float8, weight float8) IS 'mean absolute error, in the units of the target. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_r2(actual float8, predicted float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_r2, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_r2(actual float8, predicted float8) IS 'R², 1 - sum of squared errors / sum of squares about the mean. NULL with fewer than two rows or when the actual values are all equal. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_r2(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_r2, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_r2(actual float8, predicted float8, weight float8) IS 'R², 1 - sum of squared errors / sum of squares about the mean. NULL with fewer than two rows or when the actual values are all equal. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_mape(actual float8, predicted float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_mape, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mape(actual float8, predicted float8) IS 'mean of |error| / |actual|, a fraction: 0.1 is 10 %. NULL when an actual value is zero. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_mape(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_mape, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mape(actual float8, predicted float8, weight float8) IS 'mean of |error| / |actual|, a fraction: 0.1 is 10 %. NULL when an actual value is zero. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_smape(actual float8, predicted float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_smape, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_smape(actual float8, predicted float8) IS 'mean of 2 |error| / (|actual| + |predicted|), a fraction between 0 and 2; a row with both 0 counts as 0. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_smape(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_smape, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_smape(actual float8, predicted float8, weight float8) IS 'mean of 2 |error| / (|actual| + |predicted|), a fraction between 0 and 2; a row with both 0 counts as 0. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_wape(actual float8, predicted float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_wape, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_wape(actual float8, predicted float8) IS 'sum of |error| / sum of |actual|, a fraction. NULL when all actual values are zero. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_wape(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_wape, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_wape(actual float8, predicted float8, weight float8) IS 'sum of |error| / sum of |actual|, a fraction. NULL when all actual values are zero. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_max_error(actual float8, predicted float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_max_error, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_max_error(actual float8, predicted float8) IS 'largest absolute error; weights only leave out rows of weight 0. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_max_error(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_max_error, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_max_error(actual float8, predicted float8, weight float8) IS 'largest absolute error; weights only leave out rows of weight 0. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_explained_variance(actual float8, predicted float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_explained_variance, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_explained_variance(actual float8, predicted float8) IS '1 - variance of the errors / variance of the actual values. NULL with fewer than two rows or when the actual values are all equal. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_explained_variance(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_regression_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_regression_explained_variance, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_explained_variance(actual float8, predicted float8, weight float8) IS '1 - variance of the errors / variance of the actual values. NULL with fewer than two rows or when the actual values are all equal. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_median_absolute_error(actual float8, predicted float8) (
	SFUNC = ml_metric_errors_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_errors_median, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_median_absolute_error(actual float8, predicted float8) IS 'median absolute error; with weights that are not all 1, the smallest error at which half of the weight is reached. Exact; beyond work_mem it uses temporary files. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_median_absolute_error(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metric_errors_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_errors_median, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_median_absolute_error(actual float8, predicted float8, weight float8) IS 'median absolute error; with weights that are not all 1, the smallest error at which half of the weight is reached. Exact; beyond work_mem it uses temporary files. Error 22023: NaN or infinity, negative weight.';

-- ---- two classes: scores and probabilities ----

CREATE AGGREGATE ml_auc(actual boolean, score float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_auc(actual boolean, score float8) IS 'area under the ROC curve: the chance that a positive row scores higher than a negative one, ties counting a half. Any finite score. NULL when all rows are of one class. Exact; beyond work_mem it uses temporary files. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_pr_auc(actual boolean, score float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_pr_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_pr_auc(actual boolean, score float8) IS 'average precision: the sum over falling scores of precision times the step in recall (no interpolation). NULL without positive rows. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_roc(actual boolean, score float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_roc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_roc(actual boolean, score float8) IS 'ROC curve as an array of points, from (0, 0) at threshold Infinity to (1, 1); collinear points are left out. Rows to plot: SELECT p.* FROM unnest((SELECT ml_roc(actual, score) FROM t)) p. NULL when all rows are of one class. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_log_loss(actual boolean, probability float8) (
	SFUNC = ml_metric_probability_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_log_loss, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_log_loss(actual boolean, probability float8) IS 'mean of -ln(probability given to what happened), probabilities clipped to 2.2e-16 .. 1 - 2.2e-16 (the spacing of doubles at 1). Both classes are known, so rows of one class are enough. Error 22023: probability outside 0 .. 1, NaN, negative weight.';
CREATE AGGREGATE ml_brier(actual boolean, probability float8) (
	SFUNC = ml_metric_probability_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_brier, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_brier(actual boolean, probability float8) IS 'Brier score: mean of (actual - probability)², actual being 0 or 1. Error 22023: probability outside 0 .. 1, NaN, negative weight.';
CREATE AGGREGATE ml_auc(actual boolean, score float8, weight float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_auc(actual boolean, score float8, weight float8) IS 'area under the ROC curve: the chance that a positive row scores higher than a negative one, ties counting a half. Any finite score. NULL when all rows are of one class. Exact; beyond work_mem it uses temporary files. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_pr_auc(actual boolean, score float8, weight float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_pr_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_pr_auc(actual boolean, score float8, weight float8) IS 'average precision: the sum over falling scores of precision times the step in recall (no interpolation). NULL without positive rows. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_roc(actual boolean, score float8, weight float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_roc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_roc(actual boolean, score float8, weight float8) IS 'ROC curve as an array of points, from (0, 0) at threshold Infinity to (1, 1); collinear points are left out. Rows to plot: SELECT p.* FROM unnest((SELECT ml_roc(actual, score) FROM t)) p. NULL when all rows are of one class. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_log_loss(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_probability_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_log_loss, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_log_loss(actual boolean, probability float8, weight float8) IS 'mean of -ln(probability given to what happened), probabilities clipped to 2.2e-16 .. 1 - 2.2e-16 (the spacing of doubles at 1). Both classes are known, so rows of one class are enough. Error 22023: probability outside 0 .. 1, NaN, negative weight.';
CREATE AGGREGATE ml_brier(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_probability_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_brier, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_brier(actual boolean, probability float8, weight float8) IS 'Brier score: mean of (actual - probability)², actual being 0 or 1. Error 22023: probability outside 0 .. 1, NaN, negative weight.';
CREATE AGGREGATE ml_calibration(actual boolean, probability float8) (
	SFUNC = ml_metric_calibration_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_calibration_bins, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_calibration(actual boolean, probability float8) IS 'calibration curve as an array of bins of equal width (10 unless given, at most 1000), empty ones left out. Rows to plot: SELECT b.* FROM unnest((SELECT ml_calibration(actual, probability, 10) FROM t)) b. Error 22023: probability outside 0 .. 1, NaN, negative weight, number of bins.';
CREATE AGGREGATE ml_calibration(actual boolean, probability float8, bins integer) (
	SFUNC = ml_metric_calibration_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_calibration_bins, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_calibration(actual boolean, probability float8, bins integer) IS 'calibration curve as an array of bins of equal width (10 unless given, at most 1000), empty ones left out. Rows to plot: SELECT b.* FROM unnest((SELECT ml_calibration(actual, probability, 10) FROM t)) b. Error 22023: probability outside 0 .. 1, NaN, negative weight, number of bins.';
CREATE AGGREGATE ml_calibration(actual boolean, probability float8, bins integer, weight float8) (
	SFUNC = ml_metric_calibration_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_calibration_bins, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_calibration(actual boolean, probability float8, bins integer, weight float8) IS 'calibration curve as an array of bins of equal width (10 unless given, at most 1000), empty ones left out. Rows to plot: SELECT b.* FROM unnest((SELECT ml_calibration(actual, probability, 10) FROM t)) b. Error 22023: probability outside 0 .. 1, NaN, negative weight, number of bins.';
CREATE AGGREGATE ml_auc(actual integer, score float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_auc(actual integer, score float8) IS 'area under the ROC curve: the chance that a positive row scores higher than a negative one, ties counting a half. Any finite score. NULL when all rows are of one class. Exact; beyond work_mem it uses temporary files. Actual is 0 or 1, else error 22023. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_pr_auc(actual integer, score float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_pr_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_pr_auc(actual integer, score float8) IS 'average precision: the sum over falling scores of precision times the step in recall (no interpolation). NULL without positive rows. Actual is 0 or 1, else error 22023. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_roc(actual integer, score float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_roc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_roc(actual integer, score float8) IS 'ROC curve as an array of points, from (0, 0) at threshold Infinity to (1, 1); collinear points are left out. Rows to plot: SELECT p.* FROM unnest((SELECT ml_roc(actual, score) FROM t)) p. NULL when all rows are of one class. Actual is 0 or 1, else error 22023. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_log_loss(actual integer, probability float8) (
	SFUNC = ml_metric_probability_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_log_loss, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_log_loss(actual integer, probability float8) IS 'mean of -ln(probability given to what happened), probabilities clipped to 2.2e-16 .. 1 - 2.2e-16 (the spacing of doubles at 1). Both classes are known, so rows of one class are enough. Error 22023: probability outside 0 .. 1, NaN, negative weight. Actual is 0 or 1, else error 22023.';
CREATE AGGREGATE ml_brier(actual integer, probability float8) (
	SFUNC = ml_metric_probability_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_brier, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_brier(actual integer, probability float8) IS 'Brier score: mean of (actual - probability)², actual being 0 or 1. Error 22023: probability outside 0 .. 1, NaN, negative weight. Actual is 0 or 1, else error 22023.';
CREATE AGGREGATE ml_auc(actual integer, score float8, weight float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_auc(actual integer, score float8, weight float8) IS 'area under the ROC curve: the chance that a positive row scores higher than a negative one, ties counting a half. Any finite score. NULL when all rows are of one class. Exact; beyond work_mem it uses temporary files. Actual is 0 or 1, else error 22023. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_pr_auc(actual integer, score float8, weight float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_pr_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_pr_auc(actual integer, score float8, weight float8) IS 'average precision: the sum over falling scores of precision times the step in recall (no interpolation). NULL without positive rows. Actual is 0 or 1, else error 22023. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_roc(actual integer, score float8, weight float8) (
	SFUNC = ml_metric_scores_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metric_scores_roc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_roc(actual integer, score float8, weight float8) IS 'ROC curve as an array of points, from (0, 0) at threshold Infinity to (1, 1); collinear points are left out. Rows to plot: SELECT p.* FROM unnest((SELECT ml_roc(actual, score) FROM t)) p. NULL when all rows are of one class. Actual is 0 or 1, else error 22023. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_log_loss(actual integer, probability float8, weight float8) (
	SFUNC = ml_metric_probability_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_log_loss, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_log_loss(actual integer, probability float8, weight float8) IS 'mean of -ln(probability given to what happened), probabilities clipped to 2.2e-16 .. 1 - 2.2e-16 (the spacing of doubles at 1). Both classes are known, so rows of one class are enough. Error 22023: probability outside 0 .. 1, NaN, negative weight. Actual is 0 or 1, else error 22023.';
CREATE AGGREGATE ml_brier(actual integer, probability float8, weight float8) (
	SFUNC = ml_metric_probability_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_brier, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_brier(actual integer, probability float8, weight float8) IS 'Brier score: mean of (actual - probability)², actual being 0 or 1. Error 22023: probability outside 0 .. 1, NaN, negative weight. Actual is 0 or 1, else error 22023.';
CREATE AGGREGATE ml_calibration(actual integer, probability float8) (
	SFUNC = ml_metric_calibration_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_calibration_bins, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_calibration(actual integer, probability float8) IS 'calibration curve as an array of bins of equal width (10 unless given, at most 1000), empty ones left out. Rows to plot: SELECT b.* FROM unnest((SELECT ml_calibration(actual, probability, 10) FROM t)) b. Actual is 0 or 1, else error 22023. Error 22023: probability outside 0 .. 1, NaN, negative weight, number of bins.';
CREATE AGGREGATE ml_calibration(actual integer, probability float8, bins integer) (
	SFUNC = ml_metric_calibration_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_calibration_bins, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_calibration(actual integer, probability float8, bins integer) IS 'calibration curve as an array of bins of equal width (10 unless given, at most 1000), empty ones left out. Rows to plot: SELECT b.* FROM unnest((SELECT ml_calibration(actual, probability, 10) FROM t)) b. Actual is 0 or 1, else error 22023. Error 22023: probability outside 0 .. 1, NaN, negative weight, number of bins.';
CREATE AGGREGATE ml_calibration(actual integer, probability float8, bins integer, weight float8) (
	SFUNC = ml_metric_calibration_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_calibration_bins, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_calibration(actual integer, probability float8, bins integer, weight float8) IS 'calibration curve as an array of bins of equal width (10 unless given, at most 1000), empty ones left out. Rows to plot: SELECT b.* FROM unnest((SELECT ml_calibration(actual, probability, 10) FROM t)) b. Actual is 0 or 1, else error 22023. Error 22023: probability outside 0 .. 1, NaN, negative weight, number of bins.';

-- ---- labels ----

CREATE AGGREGATE ml_accuracy(actual text, predicted text) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_accuracy(actual text, predicted text) IS 'share of rows predicted right. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_accuracy(actual boolean, predicted boolean) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_accuracy(actual boolean, predicted boolean) IS 'share of rows predicted right.';
CREATE AGGREGATE ml_accuracy(actual boolean, probability float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_accuracy(actual boolean, probability float8) IS 'share of rows predicted right. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_accuracy(actual text, predicted text, weight float8) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_accuracy(actual text, predicted text, weight float8) IS 'share of rows predicted right. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_accuracy(actual boolean, predicted boolean, weight float8) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_accuracy(actual boolean, predicted boolean, weight float8) IS 'share of rows predicted right.';
CREATE AGGREGATE ml_accuracy(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_accuracy(actual boolean, probability float8, weight float8) IS 'share of rows predicted right. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_balanced_accuracy(actual text, predicted text) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_balanced_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_balanced_accuracy(actual text, predicted text) IS 'mean of the recall of the classes that occur among the actual values. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_balanced_accuracy(actual boolean, predicted boolean) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_balanced_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_balanced_accuracy(actual boolean, predicted boolean) IS 'mean of the recall of the classes that occur among the actual values.';
CREATE AGGREGATE ml_balanced_accuracy(actual boolean, probability float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_balanced_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_balanced_accuracy(actual boolean, probability float8) IS 'mean of the recall of the classes that occur among the actual values. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_balanced_accuracy(actual text, predicted text, weight float8) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_balanced_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_balanced_accuracy(actual text, predicted text, weight float8) IS 'mean of the recall of the classes that occur among the actual values. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_balanced_accuracy(actual boolean, predicted boolean, weight float8) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_balanced_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_balanced_accuracy(actual boolean, predicted boolean, weight float8) IS 'mean of the recall of the classes that occur among the actual values.';
CREATE AGGREGATE ml_balanced_accuracy(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_balanced_accuracy, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_balanced_accuracy(actual boolean, probability float8, weight float8) IS 'mean of the recall of the classes that occur among the actual values. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_precision(actual text, predicted text) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_precision, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_precision(actual text, predicted text) IS 'of the rows predicted as a class, the share that is of it. Averaged over all classes that occur, each counting the same (macro); a class without predicted or actual rows counts as 0. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_precision(actual boolean, predicted boolean) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_precision, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_precision(actual boolean, predicted boolean) IS 'of the rows predicted as a class, the share that is of it. Of the class true. NULL when nothing was predicted true.';
CREATE AGGREGATE ml_precision(actual boolean, probability float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_precision, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_precision(actual boolean, probability float8) IS 'of the rows predicted as a class, the share that is of it. Of the class true. NULL when nothing was predicted true. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_precision(actual text, predicted text, average text) (
	SFUNC = ml_metric_labels_add_average, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_precision, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_precision(actual text, predicted text, average text) IS 'of the rows predicted as a class, the share that is of it. average: ''macro'' (classes count the same), ''weighted'' (by their actual rows) or ''micro'' (from the totals: the accuracy). At most 1024 different labels (54000).';
CREATE AGGREGATE ml_precision(actual text, predicted text, weight float8) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_precision, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_precision(actual text, predicted text, weight float8) IS 'of the rows predicted as a class, the share that is of it. Averaged over all classes that occur, each counting the same (macro); a class without predicted or actual rows counts as 0. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_precision(actual boolean, predicted boolean, weight float8) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_precision, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_precision(actual boolean, predicted boolean, weight float8) IS 'of the rows predicted as a class, the share that is of it. Of the class true. NULL when nothing was predicted true.';
CREATE AGGREGATE ml_precision(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_precision, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_precision(actual boolean, probability float8, weight float8) IS 'of the rows predicted as a class, the share that is of it. Of the class true. NULL when nothing was predicted true. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_precision(actual text, predicted text, weight float8, average text) (
	SFUNC = ml_metric_labels_add_average, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_precision, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_precision(actual text, predicted text, weight float8, average text) IS 'of the rows predicted as a class, the share that is of it. average: ''macro'' (classes count the same), ''weighted'' (by their actual rows) or ''micro'' (from the totals: the accuracy). At most 1024 different labels (54000).';
CREATE AGGREGATE ml_recall(actual text, predicted text) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_recall, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_recall(actual text, predicted text) IS 'of the rows of a class, the share predicted as it. Averaged over all classes that occur, each counting the same (macro); a class without predicted or actual rows counts as 0. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_recall(actual boolean, predicted boolean) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_recall, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_recall(actual boolean, predicted boolean) IS 'of the rows of a class, the share predicted as it. Of the class true. NULL when no actual value is true.';
CREATE AGGREGATE ml_recall(actual boolean, probability float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_recall, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_recall(actual boolean, probability float8) IS 'of the rows of a class, the share predicted as it. Of the class true. NULL when no actual value is true. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_recall(actual text, predicted text, average text) (
	SFUNC = ml_metric_labels_add_average, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_recall, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_recall(actual text, predicted text, average text) IS 'of the rows of a class, the share predicted as it. average: ''macro'' (classes count the same), ''weighted'' (by their actual rows) or ''micro'' (from the totals: the accuracy). At most 1024 different labels (54000).';
CREATE AGGREGATE ml_recall(actual text, predicted text, weight float8) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_recall, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_recall(actual text, predicted text, weight float8) IS 'of the rows of a class, the share predicted as it. Averaged over all classes that occur, each counting the same (macro); a class without predicted or actual rows counts as 0. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_recall(actual boolean, predicted boolean, weight float8) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_recall, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_recall(actual boolean, predicted boolean, weight float8) IS 'of the rows of a class, the share predicted as it. Of the class true. NULL when no actual value is true.';
CREATE AGGREGATE ml_recall(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_recall, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_recall(actual boolean, probability float8, weight float8) IS 'of the rows of a class, the share predicted as it. Of the class true. NULL when no actual value is true. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_recall(actual text, predicted text, weight float8, average text) (
	SFUNC = ml_metric_labels_add_average, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_recall, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_recall(actual text, predicted text, weight float8, average text) IS 'of the rows of a class, the share predicted as it. average: ''macro'' (classes count the same), ''weighted'' (by their actual rows) or ''micro'' (from the totals: the accuracy). At most 1024 different labels (54000).';
CREATE AGGREGATE ml_f1(actual text, predicted text) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_f1, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_f1(actual text, predicted text) IS 'harmonic mean of precision and recall. Averaged over all classes that occur, each counting the same (macro); a class without predicted or actual rows counts as 0. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_f1(actual boolean, predicted boolean) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_f1, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_f1(actual boolean, predicted boolean) IS 'harmonic mean of precision and recall. Of the class true. NULL when no value is true, neither actual nor predicted.';
CREATE AGGREGATE ml_f1(actual boolean, probability float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_f1, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_f1(actual boolean, probability float8) IS 'harmonic mean of precision and recall. Of the class true. NULL when no value is true, neither actual nor predicted. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_f1(actual text, predicted text, average text) (
	SFUNC = ml_metric_labels_add_average, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_f1, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_f1(actual text, predicted text, average text) IS 'harmonic mean of precision and recall. average: ''macro'' (classes count the same), ''weighted'' (by their actual rows) or ''micro'' (from the totals: the accuracy). At most 1024 different labels (54000).';
CREATE AGGREGATE ml_f1(actual text, predicted text, weight float8) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_f1, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_f1(actual text, predicted text, weight float8) IS 'harmonic mean of precision and recall. Averaged over all classes that occur, each counting the same (macro); a class without predicted or actual rows counts as 0. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_f1(actual boolean, predicted boolean, weight float8) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_f1, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_f1(actual boolean, predicted boolean, weight float8) IS 'harmonic mean of precision and recall. Of the class true. NULL when no value is true, neither actual nor predicted.';
CREATE AGGREGATE ml_f1(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_f1, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_f1(actual boolean, probability float8, weight float8) IS 'harmonic mean of precision and recall. Of the class true. NULL when no value is true, neither actual nor predicted. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_f1(actual text, predicted text, weight float8, average text) (
	SFUNC = ml_metric_labels_add_average, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_f1, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_f1(actual text, predicted text, weight float8, average text) IS 'harmonic mean of precision and recall. average: ''macro'' (classes count the same), ''weighted'' (by their actual rows) or ''micro'' (from the totals: the accuracy). At most 1024 different labels (54000).';
CREATE AGGREGATE ml_mcc(actual text, predicted text) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_mcc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mcc(actual text, predicted text) IS 'Matthews correlation coefficient, -1 .. 1. NULL when the actual or the predicted values are all of one class. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_mcc(actual boolean, predicted boolean) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_mcc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mcc(actual boolean, predicted boolean) IS 'Matthews correlation coefficient, -1 .. 1. NULL when the actual or the predicted values are all of one class.';
CREATE AGGREGATE ml_mcc(actual boolean, probability float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_mcc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mcc(actual boolean, probability float8) IS 'Matthews correlation coefficient, -1 .. 1. NULL when the actual or the predicted values are all of one class. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_mcc(actual text, predicted text, weight float8) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_mcc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mcc(actual text, predicted text, weight float8) IS 'Matthews correlation coefficient, -1 .. 1. NULL when the actual or the predicted values are all of one class. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_mcc(actual boolean, predicted boolean, weight float8) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_mcc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mcc(actual boolean, predicted boolean, weight float8) IS 'Matthews correlation coefficient, -1 .. 1. NULL when the actual or the predicted values are all of one class.';
CREATE AGGREGATE ml_mcc(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_mcc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_mcc(actual boolean, probability float8, weight float8) IS 'Matthews correlation coefficient, -1 .. 1. NULL when the actual or the predicted values are all of one class. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_kappa(actual text, predicted text) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_kappa, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_kappa(actual text, predicted text) IS 'Cohen''s kappa, agreement beyond chance. NULL when actual and predicted are one and the same class throughout. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_kappa(actual boolean, predicted boolean) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_kappa, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_kappa(actual boolean, predicted boolean) IS 'Cohen''s kappa, agreement beyond chance. NULL when actual and predicted are one and the same class throughout.';
CREATE AGGREGATE ml_kappa(actual boolean, probability float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_kappa, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_kappa(actual boolean, probability float8) IS 'Cohen''s kappa, agreement beyond chance. NULL when actual and predicted are one and the same class throughout. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_kappa(actual text, predicted text, weight float8) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_kappa, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_kappa(actual text, predicted text, weight float8) IS 'Cohen''s kappa, agreement beyond chance. NULL when actual and predicted are one and the same class throughout. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_kappa(actual boolean, predicted boolean, weight float8) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_kappa, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_kappa(actual boolean, predicted boolean, weight float8) IS 'Cohen''s kappa, agreement beyond chance. NULL when actual and predicted are one and the same class throughout.';
CREATE AGGREGATE ml_kappa(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_kappa, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_kappa(actual boolean, probability float8, weight float8) IS 'Cohen''s kappa, agreement beyond chance. NULL when actual and predicted are one and the same class throughout. A row is predicted true if its probability is above 0.5; exactly 0.5 is false. Error 22023: probability outside 0 .. 1.';
CREATE AGGREGATE ml_confusion(actual text, predicted text) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_confusion, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_confusion(actual text, predicted text) IS 'confusion matrix as an array of cells, with all pairs of labels, sorted. Rows to show: SELECT c.* FROM unnest((SELECT ml_confusion(actual, predicted) FROM t)) c. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_confusion(actual boolean, predicted boolean) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_confusion, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_confusion(actual boolean, predicted boolean) IS 'confusion matrix as an array of cells, with all pairs of labels, sorted. Rows to show: SELECT c.* FROM unnest((SELECT ml_confusion(actual, predicted) FROM t)) c.';
CREATE AGGREGATE ml_confusion(actual boolean, probability float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_confusion, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_confusion(actual boolean, probability float8) IS 'confusion matrix as an array of cells, predicted true if the probability is above 0.5, with all pairs of labels, sorted. Rows to show: SELECT c.* FROM unnest((SELECT ml_confusion(actual, predicted) FROM t)) c.';
CREATE AGGREGATE ml_confusion(actual text, predicted text, weight float8) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_confusion, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_confusion(actual text, predicted text, weight float8) IS 'confusion matrix as an array of cells, with all pairs of labels, sorted. Rows to show: SELECT c.* FROM unnest((SELECT ml_confusion(actual, predicted) FROM t)) c. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_confusion(actual boolean, predicted boolean, weight float8) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_confusion, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_confusion(actual boolean, predicted boolean, weight float8) IS 'confusion matrix as an array of cells, with all pairs of labels, sorted. Rows to show: SELECT c.* FROM unnest((SELECT ml_confusion(actual, predicted) FROM t)) c.';
CREATE AGGREGATE ml_confusion(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metric_threshold_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_confusion, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_confusion(actual boolean, probability float8, weight float8) IS 'confusion matrix as an array of cells, predicted true if the probability is above 0.5, with all pairs of labels, sorted. Rows to show: SELECT c.* FROM unnest((SELECT ml_confusion(actual, predicted) FROM t)) c.';

-- ---- many classes: probabilities ----

CREATE AGGREGATE ml_log_loss(actual text, probabilities jsonb) (
	SFUNC = ml_metric_class_loss_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_log_loss, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_log_loss(actual text, probabilities jsonb) IS 'mean of -ln(probability given to what happened), probabilities clipped to 2.2e-16 .. 1 - 2.2e-16, then made to add up to 1. probabilities: one number a class, such as {"yes": 0.7, "no": 0.3}; a class not named has 0. Error 22023: probabilities outside 0 .. 1 or not adding up to 1 within 1e-5.';
CREATE AGGREGATE ml_auc(actual text, probabilities jsonb) (
	SFUNC = ml_metric_classes_add, STYPE = internal, COMBINEFUNC = ml_metric_classes_combine,
	SERIALFUNC = ml_metric_classes_serialize, DESERIALFUNC = ml_metric_classes_deserialize,
	FINALFUNC = ml_metric_classes_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_auc(actual text, probabilities jsonb) IS 'AUC of each class against the rest, plain mean over the classes. NULL when a class has no actual rows. probabilities: one number a class, such as {"yes": 0.7, "no": 0.3}; a class not named has 0. Error 22023: probabilities outside 0 .. 1 or not adding up to 1 within 1e-5.';
CREATE AGGREGATE ml_log_loss(actual text, probabilities jsonb, weight float8) (
	SFUNC = ml_metric_class_loss_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_sums_combine,
	FINALFUNC = ml_metric_probability_log_loss, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_log_loss(actual text, probabilities jsonb, weight float8) IS 'mean of -ln(probability given to what happened), probabilities clipped to 2.2e-16 .. 1 - 2.2e-16, then made to add up to 1. probabilities: one number a class, such as {"yes": 0.7, "no": 0.3}; a class not named has 0. Error 22023: probabilities outside 0 .. 1 or not adding up to 1 within 1e-5.';
CREATE AGGREGATE ml_auc(actual text, probabilities jsonb, weight float8) (
	SFUNC = ml_metric_classes_add, STYPE = internal, COMBINEFUNC = ml_metric_classes_combine,
	SERIALFUNC = ml_metric_classes_serialize, DESERIALFUNC = ml_metric_classes_deserialize,
	FINALFUNC = ml_metric_classes_auc, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_auc(actual text, probabilities jsonb, weight float8) IS 'AUC of each class against the rest, plain mean over the classes. NULL when a class has no actual rows. probabilities: one number a class, such as {"yes": 0.7, "no": 0.3}; a class not named has 0. Error 22023: probabilities outside 0 .. 1 or not adding up to 1 within 1e-5.';

-- ---- all metrics of a kind ----

CREATE AGGREGATE ml_metrics(actual float8, predicted float8) (
	SFUNC = ml_metrics_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metrics_values, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual float8, predicted float8) IS 'all regression metrics: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_metrics(actual boolean, probability float8) (
	SFUNC = ml_metrics_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metrics_values, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual boolean, probability float8) IS 'all metrics of two classes, labels by probability above 0.5: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing. Error 22023: probability outside 0 .. 1, negative weight.';
CREATE AGGREGATE ml_metrics(actual boolean, predicted boolean) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_metrics, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual boolean, predicted boolean) IS 'all metrics of two predicted classes: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing.';
CREATE AGGREGATE ml_metrics(actual text, predicted text) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_metrics, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual text, predicted text) IS 'all metrics of predicted labels, macro averages: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_metrics(actual text, probabilities jsonb) (
	SFUNC = ml_metric_classes_add, STYPE = internal, COMBINEFUNC = ml_metric_classes_combine,
	SERIALFUNC = ml_metric_classes_serialize, DESERIALFUNC = ml_metric_classes_deserialize,
	FINALFUNC = ml_metric_classes_values, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual text, probabilities jsonb) IS 'all metrics of many classes, label = most probable (of several, the first by its bytes), macro averages: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing. probabilities: one number a class, such as {"yes": 0.7, "no": 0.3}; a class not named has 0. Error 22023: probabilities outside 0 .. 1 or not adding up to 1 within 1e-5.';
CREATE AGGREGATE ml_metrics(actual float8, predicted float8, weight float8) (
	SFUNC = ml_metrics_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metrics_values, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual float8, predicted float8, weight float8) IS 'all regression metrics: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing. Error 22023: NaN or infinity, negative weight.';
CREATE AGGREGATE ml_metrics(actual boolean, probability float8, weight float8) (
	SFUNC = ml_metrics_add, STYPE = internal, COMBINEFUNC = ml_metric_held_combine,
	SERIALFUNC = ml_metric_held_serialize, DESERIALFUNC = ml_metric_held_deserialize,
	FINALFUNC = ml_metrics_values, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual boolean, probability float8, weight float8) IS 'all metrics of two classes, labels by probability above 0.5: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing. Error 22023: probability outside 0 .. 1, negative weight.';
CREATE AGGREGATE ml_metrics(actual boolean, predicted boolean, weight float8) (
	SFUNC = ml_metric_booleans_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_metrics, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual boolean, predicted boolean, weight float8) IS 'all metrics of two predicted classes: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing.';
CREATE AGGREGATE ml_metrics(actual text, predicted text, weight float8) (
	SFUNC = ml_metric_labels_add, STYPE = bytea, INITCOND = '', COMBINEFUNC = ml_metric_labels_combine,
	FINALFUNC = ml_metric_labels_metrics, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual text, predicted text, weight float8) IS 'all metrics of predicted labels, macro averages: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing. At most 1024 different labels (54000).';
CREATE AGGREGATE ml_metrics(actual text, probabilities jsonb, weight float8) (
	SFUNC = ml_metric_classes_add, STYPE = internal, COMBINEFUNC = ml_metric_classes_combine,
	SERIALFUNC = ml_metric_classes_serialize, DESERIALFUNC = ml_metric_classes_deserialize,
	FINALFUNC = ml_metric_classes_values, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_metrics(actual text, probabilities jsonb, weight float8) IS 'all metrics of many classes, label = most probable (of several, the first by its bytes), macro averages: {"rows": n, metric: value, ...}; an undefined metric is null, with the reason under "undefined". Rows of weight 0 count for nothing. probabilities: one number a class, such as {"yes": 0.7, "no": 0.3}; a class not named has 0. Error 22023: probabilities outside 0 .. 1 or not adding up to 1 within 1e-5.';
