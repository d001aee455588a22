CREATE FUNCTION ml_compare(model text, source text, versions integer[] DEFAULT NULL)
RETURNS TABLE (version integer, metric text, value double precision, ci_low double precision, ci_high double precision,
	difference double precision, difference_low double precision, difference_high double precision, n bigint)
AS 'MODULE_PATHNAME', 'ml_sql_compare' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_compare(text, text, integer[]) IS
'Versions of a model on the same rows: each metric with its 95 % interval, and its difference from the version that the model''s name stands for (the first rows), with a 95 % interval, paired by row: by the delta method, for auc by DeLong''s; none for median_absolute_error, max_error and auc of more than two classes. versions: NULL for all that are not archived. n: rows used. Needs the privilege predict. Errors: 42703 column missing, 22023 a class that the model does not know or versions with different targets.';
