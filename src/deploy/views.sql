-- Models as ordinary objects: deploy/views.c.

CREATE FUNCTION ml_create_view(model text, view_name text, source text, class text DEFAULT NULL,
							   security_invoker boolean DEFAULT NULL) RETURNS regclass
	AS 'MODULE_PATHNAME', 'ml_sql_create_view' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_create_view(text, text, text, text, boolean) IS
	'Makes a view, as CREATE VIEW would, of all columns of a source (relation or one SELECT) and of what the model predicts for each row: prediction, or class and probability (of that class, or of the one named). A new column whose name is taken gets a number behind it. Whoever reads it needs predict on the model, and with security_invoker (the default from PostgreSQL 15 on) what the source needs; without, the owner''s rights on the source count. Replaces only views that it made. Errors: 42P07 another relation of that name, 42703 and 42804 a source without a column of the model or with one of another type, 22023 no such class, 0A000 security_invoker before 15.';

CREATE FUNCTION ml_create_function(model text, function_name text, output text DEFAULT NULL, class text DEFAULT NULL)
	RETURNS regprocedure
	AS 'MODULE_PATHNAME', 'ml_sql_create_function' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_create_function(text, text, text, text) IS
	'Makes a function with the model''s columns as arguments, by their names and types, that gives the prediction: float8 (of two classes the probability of the second; with class, of that one), or with output ''class'', the default for more than two classes, the class in the type of the target. The planner replaces its calls by its body. Replaces only functions that it made. Errors: 42723 another function with these arguments, 54023 more columns than a function can have arguments, 42704 a type that no longer exists, 22023 no such output or class.';

CREATE FUNCTION ml_create_function(model ml_model, function_name text, output text DEFAULT NULL, class text DEFAULT NULL)
	RETURNS regprocedure
	AS 'MODULE_PATHNAME', 'ml_sql_create_function' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_create_function(ml_model, text, text, text) IS
	'The same of a model given as value, which stands in the function: it is IMMUTABLE, unless an argument is an enum, and can be used in generated columns and indexes. The class is given in the type of the target, whose input must be immutable for that, too. Errors: as for a model given by name.';
