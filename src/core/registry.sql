-- What can be trained, with which parameters, and what is being trained right now.

CREATE FUNCTION ml.list_algorithms(OUT name text, OUT summary text, OUT tasks text[], OUT parameters text[])
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'ml_sql_list_algorithms'
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION ml.list_algorithms() IS 'the rows of view ml.algorithms';

CREATE FUNCTION ml.list_parameters(OUT algorithm text, OUT name text, OUT type text, OUT default_value text,
	OUT min float8, OUT max float8, OUT choices text[], OUT help text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'ml_sql_list_parameters'
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION ml.list_parameters() IS 'the rows of view ml.parameters';

CREATE FUNCTION ml.list_progress(OUT pid integer, OUT datid oid, OUT command text, OUT relation oid, OUT phase text,
	OUT rows bigint, OUT iteration bigint, OUT objective float8, OUT elapsed interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'ml_sql_list_progress'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION ml.list_progress() IS
	'the rows of view ml.progress: sessions of roles that the caller is a member of, and all for pg_read_all_stats';

CREATE VIEW ml.algorithms AS
	SELECT name, summary, tasks, parameters FROM ml.list_algorithms();
COMMENT ON VIEW ml.algorithms IS 'algorithms that ml_train knows: tasks they solve and names of their parameters';

CREATE VIEW ml.parameters AS
	SELECT algorithm, name, type, default_value, min, max, choices, help FROM ml.list_parameters();
COMMENT ON VIEW ml.parameters IS
	'parameters of each algorithm with their ranges; where algorithm is null: of the preprocessing, valid for all';
COMMENT ON COLUMN ml.parameters.type IS
	'boolean, integer, number, penalty (a number or "cv": chosen by cross-validation), choice, column';
COMMENT ON COLUMN ml.parameters.min IS 'smallest valid number; null: no limit';
COMMENT ON COLUMN ml.parameters.max IS 'greatest valid number; null: no limit';

CREATE VIEW ml.progress AS
	SELECT p.pid, p.datid, d.datname, p.command, p.relation::pg_catalog.regclass AS relation, p.phase, p.rows,
		p.iteration, p.objective, p.elapsed
	FROM ml.list_progress() AS p LEFT JOIN pg_catalog.pg_database AS d ON d.oid = p.datid;
COMMENT ON VIEW ml.progress IS
	'one row per session that is training, cross-validating or evaluating, as far as the caller may see its activity';
COMMENT ON COLUMN ml.progress.relation IS 'the source, when it is a relation of the current database';
COMMENT ON COLUMN ml.progress.rows IS 'rows read so far in this phase';
COMMENT ON COLUMN ml.progress.objective IS 'value that the algorithm minimises, after its last iteration; null: none yet';

GRANT SELECT ON ml.algorithms, ml.parameters, ml.progress TO PUBLIC;
