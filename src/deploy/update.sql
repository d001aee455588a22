CREATE FUNCTION ml_update(model text, source text, notes text DEFAULT NULL,
	OUT model text, OUT version integer, OUT rows_read bigint, OUT rows_used bigint, OUT rows_dropped bigint,
	OUT metric text, OUT value double precision, OUT baseline double precision, OUT warnings text[])
AS 'MODULE_PATHNAME', 'ml_sql_update' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_update(text, text, text) IS
'Adds the rows of a source to a model of linear, ridge, lasso or elastic_net that was trained with {"keep_state": true}, without reading the old rows, and keeps the result as a new version. value is the metric of the version before on the new rows, which it had not seen. Imputation, categories and penalties stay what they were. Errors: 55000 without a kept state, or when the columns are too nearly dependent for sums; 55P03 while another session changes the model; 42703, 42804, 22003 as ml_train.';

CREATE FUNCTION ml_forget(model text, source text, others text DEFAULT 'keep',
	OUT model text, OUT version integer, OUT decision text, OUT rows_forgotten bigint, OUT rows_left bigint,
	OUT other_versions integer[], OUT reason text)
AS 'MODULE_PATHNAME', 'ml_sql_forget' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_forget(text, text, text) IS
'Takes the rows of a source, which the model must have learned from, out of it, as if they had never been there, and keeps the result as a new version without training profile. Exact for linear, ridge, lasso and elastic_net trained with {"keep_state": true}; where it cannot be exact (decision stale) nothing changes but that all versions are marked stale, with the reason. other_versions still contain the rows: others says whether to keep, archive or drop them. Delete the rows from your tables, too. Errors: 22023 for a value the model cannot have learned from, 22000 when nothing is left, 55P03 while another session changes the model.';
