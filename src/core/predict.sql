-- Models applied to rows: core/predict.c, and the planner's part in core/support.c.
--
-- STABLE, also for a model given as value: how text is compared and how a
-- timestamptz is read can change with the server, and a name with the catalog.

CREATE FUNCTION ml_predict_support(internal)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'ml_sql_predict_support'
	LANGUAGE C STRICT;
COMMENT ON FUNCTION ml_predict_support(internal) IS
	'planner support: passes the columns of the row that the model needs instead of the whole row';

CREATE FUNCTION ml_predict(model text, input record)
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_predict'
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	SUPPORT ml_predict_support;
COMMENT ON FUNCTION ml_predict(text, record) IS
	'the value that the model predicts for a row; with two classes, the probability of the second. A model of more classes is an error (22023): use ml_classify or ml_probabilities. The model: a name, name@version or name@alias. The row''s columns are found by name: others are ignored, a missing one is an error (42703). NULL for a NULL row.';

CREATE FUNCTION ml_predict(model text, input jsonb)
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_predict'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict(text, jsonb) IS
	'the value that the model predicts for a row; with two classes, the probability of the second. A model of more classes is an error (22023): use ml_classify or ml_probabilities. The model: a name, name@version or name@alias. The object''s keys are the names of the columns; each column must be there, as null where the value is unknown.';

CREATE FUNCTION ml_predict(model text, VARIADIC numbers float8[])
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_predict'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict(text, VARIADIC float8[]) IS
	'the value that the model predicts for a row; with two classes, the probability of the second. A model of more classes is an error (22023): use ml_classify or ml_probabilities. The model: a name, name@version or name@alias. The values stand in the order of the model''s columns, NULL for an unknown one; another count of them is an error (22023), and so is a column that is not a number (42804).';

CREATE FUNCTION ml_predict(model ml_model, input record)
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_predict'
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	SUPPORT ml_predict_support;
COMMENT ON FUNCTION ml_predict(ml_model, record) IS
	'the value that the model predicts for a row; with two classes, the probability of the second. A model of more classes is an error (22023): use ml_classify or ml_probabilities. The row''s columns are found by name: others are ignored, a missing one is an error (42703). NULL for a NULL row.';

CREATE FUNCTION ml_predict(model ml_model, input jsonb)
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_predict'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict(ml_model, jsonb) IS
	'the value that the model predicts for a row; with two classes, the probability of the second. A model of more classes is an error (22023): use ml_classify or ml_probabilities. The object''s keys are the names of the columns; each column must be there, as null where the value is unknown.';

CREATE FUNCTION ml_predict(model ml_model, VARIADIC numbers float8[])
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_predict'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict(ml_model, VARIADIC float8[]) IS
	'the value that the model predicts for a row; with two classes, the probability of the second. A model of more classes is an error (22023): use ml_classify or ml_probabilities. The values stand in the order of the model''s columns, NULL for an unknown one; another count of them is an error (22023), and so is a column that is not a number (42804).';

CREATE FUNCTION ml_predict_columns(version bigint, model text, names text[], VARIADIC columns "any")
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_predict'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict_columns(bigint, text, text[], VARIADIC "any") IS
	'ml_predict as the planner writes it: the number of the version that the name of the model meant then, the name, and the columns of that version with their names. Where the name means another version when it runs, and that has no other columns, it predicts.';

CREATE FUNCTION ml_predict_columns(model text, names text[], VARIADIC columns "any")
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_predict'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict_columns(text, text[], VARIADIC "any") IS
	'ml_predict of the model that the name means when it runs, of columns given one by one with their names: what ml_create_function writes. Names that the model does not know are ignored, a missing one is an error (42703).';

CREATE FUNCTION ml_predict_columns(model ml_model, VARIADIC columns "any")
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_predict'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict_columns(ml_model, VARIADIC "any") IS
	'ml_predict as the planner writes it: the columns of the model, each as an argument, in its order';

CREATE FUNCTION ml_classify(model text, input record)
	RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_classify'
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	SUPPORT ml_predict_support;
COMMENT ON FUNCTION ml_classify(text, record) IS
	'the most likely class of a row, as the table of the training had it. A regression is an error (22023). The model: a name, name@version or name@alias. The row''s columns are found by name: others are ignored, a missing one is an error (42703). NULL for a NULL row.';

CREATE FUNCTION ml_classify(model text, input jsonb)
	RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_classify'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_classify(text, jsonb) IS
	'the most likely class of a row, as the table of the training had it. A regression is an error (22023). The model: a name, name@version or name@alias. The object''s keys are the names of the columns; each column must be there, as null where the value is unknown.';

CREATE FUNCTION ml_classify(model ml_model, input record)
	RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_classify'
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	SUPPORT ml_predict_support;
COMMENT ON FUNCTION ml_classify(ml_model, record) IS
	'the most likely class of a row, as the table of the training had it. A regression is an error (22023). The row''s columns are found by name: others are ignored, a missing one is an error (42703). NULL for a NULL row.';

CREATE FUNCTION ml_classify(model ml_model, input jsonb)
	RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_classify'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_classify(ml_model, jsonb) IS
	'the most likely class of a row, as the table of the training had it. A regression is an error (22023). The object''s keys are the names of the columns; each column must be there, as null where the value is unknown.';

CREATE FUNCTION ml_classify_columns(version bigint, model text, names text[], VARIADIC columns "any")
	RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_classify'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_classify_columns(bigint, text, text[], VARIADIC "any") IS
	'ml_classify as the planner writes it: the number of the version that the name of the model meant then, the name, and the columns of that version with their names. Where the name means another version when it runs, and that has no other columns, it predicts.';

CREATE FUNCTION ml_classify_columns(model text, names text[], VARIADIC columns "any")
	RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_classify'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_classify_columns(text, text[], VARIADIC "any") IS
	'ml_classify of the model that the name means when it runs, of columns given one by one with their names: what ml_create_function writes. Names that the model does not know are ignored, a missing one is an error (42703).';

CREATE FUNCTION ml_classify_columns(model ml_model, VARIADIC columns "any")
	RETURNS text
	AS 'MODULE_PATHNAME', 'ml_sql_classify'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_classify_columns(ml_model, VARIADIC "any") IS
	'ml_classify as the planner writes it: the columns of the model, each as an argument, in its order';

CREATE FUNCTION ml_probability(model text, input record, class text)
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_probability'
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	SUPPORT ml_predict_support;
COMMENT ON FUNCTION ml_probability(text, record, text) IS
	'the probability, 0 to 1, that a row is of the class. A class that the model does not know is an error (22023). The model: a name, name@version or name@alias. The row''s columns are found by name: others are ignored, a missing one is an error (42703). NULL for a NULL row.';

CREATE FUNCTION ml_probability(model text, input jsonb, class text)
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_probability'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_probability(text, jsonb, text) IS
	'the probability, 0 to 1, that a row is of the class. A class that the model does not know is an error (22023). The model: a name, name@version or name@alias. The object''s keys are the names of the columns; each column must be there, as null where the value is unknown.';

CREATE FUNCTION ml_probability(model ml_model, input record, class text)
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_probability'
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	SUPPORT ml_predict_support;
COMMENT ON FUNCTION ml_probability(ml_model, record, text) IS
	'the probability, 0 to 1, that a row is of the class. A class that the model does not know is an error (22023). The row''s columns are found by name: others are ignored, a missing one is an error (42703). NULL for a NULL row.';

CREATE FUNCTION ml_probability(model ml_model, input jsonb, class text)
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_probability'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_probability(ml_model, jsonb, text) IS
	'the probability, 0 to 1, that a row is of the class. A class that the model does not know is an error (22023). The object''s keys are the names of the columns; each column must be there, as null where the value is unknown.';

CREATE FUNCTION ml_probability_columns(version bigint, model text, class text, names text[], VARIADIC columns "any")
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_probability'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_probability_columns(bigint, text, text, text[], VARIADIC "any") IS
	'ml_probability as the planner writes it: the number of the version that the name of the model meant then, the name, and the columns of that version with their names. Where the name means another version when it runs, and that has no other columns, it predicts.';

CREATE FUNCTION ml_probability_columns(model text, class text, names text[], VARIADIC columns "any")
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_probability'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_probability_columns(text, text, text[], VARIADIC "any") IS
	'ml_probability of the model that the name means when it runs, of columns given one by one with their names: what ml_create_function writes. Names that the model does not know are ignored, a missing one is an error (42703).';

CREATE FUNCTION ml_probability_columns(model ml_model, class text, VARIADIC columns "any")
	RETURNS float8
	AS 'MODULE_PATHNAME', 'ml_sql_probability'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_probability_columns(ml_model, text, VARIADIC "any") IS
	'ml_probability as the planner writes it: the columns of the model, each as an argument, in its order';

CREATE FUNCTION ml_probabilities(model text, input record)
	RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_probabilities'
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	SUPPORT ml_predict_support;
COMMENT ON FUNCTION ml_probabilities(text, record) IS
	'an object with the probability of each class of a row; they add up to 1. A regression is an error (22023). The model: a name, name@version or name@alias. The row''s columns are found by name: others are ignored, a missing one is an error (42703). NULL for a NULL row.';

CREATE FUNCTION ml_probabilities(model text, input jsonb)
	RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_probabilities'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_probabilities(text, jsonb) IS
	'an object with the probability of each class of a row; they add up to 1. A regression is an error (22023). The model: a name, name@version or name@alias. The object''s keys are the names of the columns; each column must be there, as null where the value is unknown.';

CREATE FUNCTION ml_probabilities(model ml_model, input record)
	RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_probabilities'
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	SUPPORT ml_predict_support;
COMMENT ON FUNCTION ml_probabilities(ml_model, record) IS
	'an object with the probability of each class of a row; they add up to 1. A regression is an error (22023). The row''s columns are found by name: others are ignored, a missing one is an error (42703). NULL for a NULL row.';

CREATE FUNCTION ml_probabilities(model ml_model, input jsonb)
	RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_probabilities'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_probabilities(ml_model, jsonb) IS
	'an object with the probability of each class of a row; they add up to 1. A regression is an error (22023). The object''s keys are the names of the columns; each column must be there, as null where the value is unknown.';

CREATE FUNCTION ml_probabilities_columns(version bigint, model text, names text[], VARIADIC columns "any")
	RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_probabilities'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_probabilities_columns(bigint, text, text[], VARIADIC "any") IS
	'ml_probabilities as the planner writes it: the number of the version that the name of the model meant then, the name, and the columns of that version with their names. Where the name means another version when it runs, and that has no other columns, it predicts.';

CREATE FUNCTION ml_probabilities_columns(model ml_model, VARIADIC columns "any")
	RETURNS jsonb
	AS 'MODULE_PATHNAME', 'ml_sql_probabilities'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_probabilities_columns(ml_model, VARIADIC "any") IS
	'ml_probabilities as the planner writes it: the columns of the model, each as an argument, in its order';

CREATE FUNCTION ml_predict_interval(model text, input record, level float8 DEFAULT 0.95,
									OUT low float8, OUT high float8)
	RETURNS record
	AS 'MODULE_PATHNAME', 'ml_sql_predict_interval'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict_interval(text, record, float8) IS
	'the interval that holds the value of a row with probability level, 0 to 1: of a new observation where the algorithm knows its spread, otherwise of the mean (ml_describe says which). A model that has no intervals is an error (0A000).';

CREATE FUNCTION ml_predict_interval(model text, input jsonb, level float8 DEFAULT 0.95,
									OUT low float8, OUT high float8)
	RETURNS record
	AS 'MODULE_PATHNAME', 'ml_sql_predict_interval'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict_interval(text, jsonb, float8) IS
	'the interval that holds the value of a row with probability level, 0 to 1: of a new observation where the algorithm knows its spread, otherwise of the mean (ml_describe says which). A model that has no intervals is an error (0A000).';

CREATE FUNCTION ml_predict_interval(model ml_model, input record, level float8 DEFAULT 0.95,
									OUT low float8, OUT high float8)
	RETURNS record
	AS 'MODULE_PATHNAME', 'ml_sql_predict_interval'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict_interval(ml_model, record, float8) IS
	'the interval that holds the value of a row with probability level, 0 to 1: of a new observation where the algorithm knows its spread, otherwise of the mean (ml_describe says which). A model that has no intervals is an error (0A000).';

CREATE FUNCTION ml_predict_interval(model ml_model, input jsonb, level float8 DEFAULT 0.95,
									OUT low float8, OUT high float8)
	RETURNS record
	AS 'MODULE_PATHNAME', 'ml_sql_predict_interval'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_predict_interval(ml_model, jsonb, float8) IS
	'the interval that holds the value of a row with probability level, 0 to 1: of a new observation where the algorithm knows its spread, otherwise of the mean (ml_describe says which). A model that has no intervals is an error (0A000).';

/*
 * Rows as JSON in a text.  With them the type of a literal and of a driver's
 * untyped parameter is text; without them such calls would be ambiguous (42725).
 */
CREATE FUNCTION ml_predict(model text, input text)
	RETURNS float8
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN ml_predict(model, input::pg_catalog.jsonb);
COMMENT ON FUNCTION ml_predict(text, text) IS
	'ml_predict of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_predict(text, jsonb). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_classify(model text, input text)
	RETURNS text
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN ml_classify(model, input::pg_catalog.jsonb);
COMMENT ON FUNCTION ml_classify(text, text) IS
	'ml_classify of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_classify(text, jsonb). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_probability(model text, input text, class text)
	RETURNS float8
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN ml_probability(model, input::pg_catalog.jsonb, class);
COMMENT ON FUNCTION ml_probability(text, text, text) IS
	'ml_probability of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_probability(text, jsonb, text). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_probabilities(model text, input text)
	RETURNS jsonb
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN ml_probabilities(model, input::pg_catalog.jsonb);
COMMENT ON FUNCTION ml_probabilities(text, text) IS
	'ml_probabilities of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_probabilities(text, jsonb). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_predict_interval(model text, input text, level float8 DEFAULT 0.95,
									OUT low float8, OUT high float8)
	RETURNS record
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	BEGIN ATOMIC
		SELECT i.low, i.high FROM ml_predict_interval(model, input::pg_catalog.jsonb, level) AS i;
	END;
COMMENT ON FUNCTION ml_predict_interval(text, text, float8) IS
	'ml_predict_interval of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_predict_interval(text, jsonb, float8). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_predict(model ml_model, input text)
	RETURNS float8
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN ml_predict(model, input::pg_catalog.jsonb);
COMMENT ON FUNCTION ml_predict(ml_model, text) IS
	'ml_predict of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_predict(ml_model, jsonb). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_classify(model ml_model, input text)
	RETURNS text
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN ml_classify(model, input::pg_catalog.jsonb);
COMMENT ON FUNCTION ml_classify(ml_model, text) IS
	'ml_classify of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_classify(ml_model, jsonb). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_probability(model ml_model, input text, class text)
	RETURNS float8
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN ml_probability(model, input::pg_catalog.jsonb, class);
COMMENT ON FUNCTION ml_probability(ml_model, text, text) IS
	'ml_probability of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_probability(ml_model, jsonb, text). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_probabilities(model ml_model, input text)
	RETURNS jsonb
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN ml_probabilities(model, input::pg_catalog.jsonb);
COMMENT ON FUNCTION ml_probabilities(ml_model, text) IS
	'ml_probabilities of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_probabilities(ml_model, jsonb). Text that is not JSON is an error (22P02).';

CREATE FUNCTION ml_predict_interval(model ml_model, input text, level float8 DEFAULT 0.95,
									OUT low float8, OUT high float8)
	RETURNS record
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	BEGIN ATOMIC
		SELECT i.low, i.high FROM ml_predict_interval(model, input::pg_catalog.jsonb, level) AS i;
	END;
COMMENT ON FUNCTION ml_predict_interval(ml_model, text, float8) IS
	'ml_predict_interval of a row whose values are given as JSON in a text, which is what a literal without a type becomes: otherwise as ml_predict_interval(ml_model, jsonb, float8). Text that is not JSON is an error (22P02).';
