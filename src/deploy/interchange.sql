-- Models of other libraries: deploy/interchange.c.

CREATE FUNCTION ml_import(model text, data text, format text DEFAULT NULL, features text[] DEFAULT NULL,
						  target text DEFAULT NULL, labels text[] DEFAULT NULL,
						  OUT model text, OUT version integer, OUT algorithm text, OUT task text, OUT features integer,
						  OUT origin text)
	AS 'MODULE_PATHNAME', 'ml_sql_import' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_import(text, text, text, text[], text, text[]) IS
	'Keeps a model of another database (the document of ml_export(model, ''ml'')) or of another library (XGBoost''s JSON or LightGBM''s text) under a name: a new version if the name exists. features, labels: names of its columns and classes, in its order, where they differ from those in the model (f0, f1, ...; 0, 1, ...); target: column to measure it by. Categories are given as the numbers they had there. What a document of ml_ext says of itself is kept in lineage, under imported; it has its names, so features, target and labels cannot be given (22023). Errors: 22P02 not such a model, XX001 a damaged one, 0A000 a kind of it that is not supported, 22023 no such format, 53200 larger than maintenance_work_mem allows.';

CREATE FUNCTION ml_import(model text, data bytea, format text DEFAULT NULL, features text[] DEFAULT NULL,
						  target text DEFAULT NULL, labels text[] DEFAULT NULL,
						  OUT model text, OUT version integer, OUT algorithm text, OUT task text, OUT features integer,
						  OUT origin text)
	AS 'MODULE_PATHNAME', 'ml_sql_import' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_import(text, bytea, text, text[], text, text[]) IS
	'Keeps a model of another database (the document of ml_export(model, ''ml'') in UTF-8) or of another library (XGBoost''s UBJSON or JSON) under a name: a new version if the name exists. features, labels: names of its columns and classes, in its order, where they differ from those in the model (f0, f1, ...; 0, 1, ...); target: column to measure it by. Categories are given as the numbers they had there. What a document of ml_ext says of itself is kept in lineage, under imported; it has its names, so features, target and labels cannot be given (22023). Errors: 22P02 not such a model, XX001 a damaged one, 0A000 a kind of it that is not supported, 22023 no such format, 53200 larger than maintenance_work_mem allows.';

CREATE FUNCTION ml_export(model text, format text) RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_export' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_export(text, text) IS
	'A model as text. ''ml'': a JSON document with the bytes of any model, its provenance and a SHA-256 checksum, for ml_import of another database. ''xgboost'': a tree model as JSON that XGBoost loads. Which number stands for which category and class is said in its attribute ml_ext. Needs the privilege view, and is written to the audit. Errors: 0A000 a model that the format cannot hold, 54000 one of more than 192 MB for ''ml'', 22023 no such format.';

CREATE FUNCTION ml_export(model ml_model, format text) RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_export' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_export(ml_model, text) IS
	'A model as text. ''ml'': a JSON document with the bytes of any model, its provenance and a SHA-256 checksum, for ml_import of another database. ''xgboost'': a tree model as JSON that XGBoost loads. Which number stands for which category and class is said in its attribute ml_ext. Errors: 0A000 a model that the format cannot hold, 54000 one of more than 192 MB for ''ml'', 22023 no such format.';
