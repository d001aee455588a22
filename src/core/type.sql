-- The types: a training state and a model, each one value.

CREATE TYPE ml_state;

CREATE FUNCTION ml_state_in(cstring) RETURNS ml_state
AS 'MODULE_PATHNAME', 'ml_sql_state_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION ml_state_out(ml_state) RETURNS cstring
AS 'MODULE_PATHNAME', 'ml_sql_state_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION ml_state_recv(internal) RETURNS ml_state
AS 'MODULE_PATHNAME', 'ml_sql_state_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION ml_state_send(ml_state) RETURNS bytea
AS 'MODULE_PATHNAME', 'ml_sql_state_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE ml_state (
	INPUT = ml_state_in,
	OUTPUT = ml_state_out,
	RECEIVE = ml_state_recv,
	SEND = ml_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE ml_state IS 'what a training has learned from some rows so far: keep it, combine it, finish it to a model';
COMMENT ON FUNCTION ml_state_in(cstring) IS 'I/O: \x and hexadecimal digits; every byte is checked';
COMMENT ON FUNCTION ml_state_out(ml_state) IS 'I/O: \x and hexadecimal digits';
COMMENT ON FUNCTION ml_state_recv(internal) IS 'I/O: every byte is checked';
COMMENT ON FUNCTION ml_state_send(ml_state) IS 'I/O';

CREATE TYPE ml_model;

CREATE FUNCTION ml_model_in(cstring) RETURNS ml_model
AS 'MODULE_PATHNAME', 'ml_sql_model_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION ml_model_out(ml_model) RETURNS cstring
AS 'MODULE_PATHNAME', 'ml_sql_model_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION ml_model_recv(internal) RETURNS ml_model
AS 'MODULE_PATHNAME', 'ml_sql_model_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION ml_model_send(ml_model) RETURNS bytea
AS 'MODULE_PATHNAME', 'ml_sql_model_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE ml_model (
	INPUT = ml_model_in,
	OUTPUT = ml_model_out,
	RECEIVE = ml_model_recv,
	SEND = ml_model_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = external
);

COMMENT ON TYPE ml_model IS 'a trained model, self-contained: raw rows go in, predictions come out';
COMMENT ON FUNCTION ml_model_in(cstring) IS 'I/O: \x and hexadecimal digits; every byte is checked (XX001 when damaged, 0A000 when written by a newer version)';
COMMENT ON FUNCTION ml_model_out(ml_model) IS 'I/O: \x and hexadecimal digits';
COMMENT ON FUNCTION ml_model_recv(internal) IS 'I/O: every byte is checked, as by ml_model_in';
COMMENT ON FUNCTION ml_model_send(ml_model) IS 'I/O';
