CREATE FUNCTION ml_verify(payloads boolean DEFAULT true) RETURNS TABLE (problem text)
	AS 'MODULE_PATHNAME', 'ml_sql_verify' LANGUAGE C STRICT;
COMMENT ON FUNCTION ml_verify(boolean) IS
	'what is wrong in schema ml, one row each, and none when all is well: versions, aliases, histories, grants and roles that do not fit together, numbers taken twice, guards switched off and, unless payloads is false, models that cannot be read or are not what their rows say; for the owner of the extension and superusers (42501)';
