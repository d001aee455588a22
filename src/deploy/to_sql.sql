-- Models as plain SQL: deploy/to_sql.c.

CREATE FUNCTION ml_to_sql(model text, alias text DEFAULT NULL, class text DEFAULT NULL, output text DEFAULT 'prediction')
	RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_to_sql' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_to_sql(text, text, text, text) IS
	'The model as one SQL expression over the columns of a row, for servers without the extension; alias: of that row in the query, if it has one. It gives what ml_predict gives, to 1e-12; with class, the probability of that class; with output ''class'', what ml_classify gives. NULL for rows that ml_predict refuses. Needs the privilege view. Errors: 54000 a model that is too large, 0A000 an algorithm that cannot be written so, 22023 no such class or output.';

CREATE FUNCTION ml_to_sql(model ml_model, alias text DEFAULT NULL, class text DEFAULT NULL, output text DEFAULT 'prediction')
	RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_to_sql' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_to_sql(ml_model, text, text, text) IS
	'The model as one SQL expression over the columns of a row, for servers without the extension; alias: of that row in the query, if it has one. It gives what ml_predict gives, to 1e-12; with class, the probability of that class; with output ''class'', what ml_classify gives. NULL for rows that ml_predict refuses. Errors: 54000 a model that is too large, 0A000 an algorithm that cannot be written so, 22023 no such class or output.';
