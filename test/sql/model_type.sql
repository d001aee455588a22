-- The type ml_model: whatever bytes come, the answer is an error of their own.
\set SHOW_CONTEXT never
SELECT typlen, typalign, typstorage, typinput, typoutput, typreceive, typsend
FROM pg_type WHERE typname = 'ml_model';

-- Not hexadecimal.
SELECT ''::ml_model;
SELECT 'churn'::ml_model;
SELECT '\x4'::ml_model;
SELECT '\x4z'::ml_model;

-- Not a model.
SELECT '\x'::ml_model;
SELECT '\x4d4c4d3100000001'::ml_model;
SELECT ('\x' || repeat('00', 200))::ml_model;
SELECT ('\x4d4c4d3100000000' || repeat('00', 16))::ml_model;
SELECT ('\x4d4c4d3100000001' || repeat('00', 16))::ml_model;

-- From a later version.
SELECT ('\x4d4c4d3100000005' || repeat('00', 16))::ml_model;

-- With a right checksum, so that the body is read.
CREATE FUNCTION model_of(body bytea) RETURNS ml_model LANGUAGE sql AS $$
	SELECT ('\x4d4c4d3100000001' || encode(substr(sha256(body), 1, 16) || body, 'hex'))::ml_model
$$;
CREATE FUNCTION text_of(value text) RETURNS bytea LANGUAGE sql AS $$
	SELECT int4send(octet_length(value)) || convert_to(value, 'UTF8')
$$;
SELECT model_of('');
SELECT model_of('\xffffffff00000001');
SELECT model_of(text_of('no such algorithm') || int4send(1));
SELECT model_of('\x7fffffff');
SELECT model_of('\x00000003610062');
SELECT model_of('\x00000003616280');

-- An error leaves the value that was there.
CREATE TABLE kept (id int, model ml_model);
INSERT INTO kept VALUES (1, NULL);
UPDATE kept SET model = '\x00';
SELECT * FROM kept;

DROP TABLE kept;
DROP FUNCTION model_of, text_of;
