-- States: trainings in progress, as values that can be kept and combined.

CREATE FUNCTION ml_spec(algorithm text, columns text[], target text, params jsonb DEFAULT NULL, weight text DEFAULT NULL)
RETURNS ml_state AS 'MODULE_PATHNAME', 'ml_sql_spec' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION ml_spec(text, text[], text, jsonb, text) IS
'An empty state: what ml_accumulate is to learn. columns: the names of the values in the order in which ml_accumulate will get them, the target among them; the value of weight, if named, comes last. Errors: 42704 no such algorithm, 42703 target not among the columns, 22023 wrong parameter, 0A000 the algorithm reads rows more than once.';

CREATE FUNCTION ml_accumulate_step(ml_state, ml_state, VARIADIC "any")
RETURNS ml_state AS 'MODULE_PATHNAME', 'ml_sql_accumulate' LANGUAGE C PARALLEL SAFE;
COMMENT ON FUNCTION ml_accumulate_step(ml_state, ml_state, VARIADIC "any") IS 'Transition function of ml_accumulate.';

CREATE FUNCTION ml_accumulate_array_step(ml_state, ml_state, double precision[])
RETURNS ml_state AS 'MODULE_PATHNAME', 'ml_sql_accumulate' LANGUAGE C PARALLEL SAFE;
COMMENT ON FUNCTION ml_accumulate_array_step(ml_state, ml_state, double precision[]) IS 'Transition function of ml_accumulate over arrays.';

CREATE FUNCTION ml_state_combine(ml_state, ml_state)
RETURNS ml_state AS 'MODULE_PATHNAME', 'ml_sql_state_combine' LANGUAGE C PARALLEL SAFE;
COMMENT ON FUNCTION ml_state_combine(ml_state, ml_state) IS 'Combine function of ml_accumulate and transition function of ml_combine.';

CREATE AGGREGATE ml_accumulate(ml_state, VARIADIC "any") (
	SFUNC = ml_accumulate_step, STYPE = ml_state, COMBINEFUNC = ml_state_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_accumulate(ml_state, VARIADIC "any") IS
'Learns from rows: the specification (from ml_spec), then the values of its columns in their order and, if it names one, the weight; numbers or booleans, at most 98. Rows with a NULL are left out and counted. Errors: 22003 NaN or infinity, 22023 wrong number of values or a negative weight.';

CREATE AGGREGATE ml_accumulate(ml_state, double precision[]) (
	SFUNC = ml_accumulate_array_step, STYPE = ml_state, COMBINEFUNC = ml_state_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_accumulate(ml_state, double precision[]) IS
'The same with all values of a row in one array: for more than 98 columns, and for distributed engines that push down aggregates with exact argument types.';

CREATE AGGREGATE ml_combine(ml_state) (
	SFUNC = ml_state_combine, STYPE = ml_state, COMBINEFUNC = ml_state_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE ml_combine(ml_state) IS
'One state that has learned from the rows of all given ones (of days, regions, shards), as if they had been read in one go. Error: 22023 if their specifications differ.';

CREATE FUNCTION ml_finish(ml_state)
RETURNS ml_model AS 'MODULE_PATHNAME', 'ml_sql_finish' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_finish(ml_state) IS
'The model of a state. It has no holdout metrics: see ml_evaluate. Errors: 22000 no rows or nothing that can be learned.';
