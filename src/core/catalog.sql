-- Schema ml: named, versioned models, and who may do what with them.
--
-- The tables belong to the role that creates the extension, so that the owner
-- of a database can dump and restore it without being a superuser; his own
-- tables are not under row security for him.  The C code reads and writes them
-- after its own check of privileges.

CREATE SCHEMA ml;
COMMENT ON SCHEMA ml IS 'machine learning: models, their versions and privileges';

CREATE SEQUENCE ml.model_id_seq;
CREATE SEQUENCE ml.version_id_seq;

CREATE TABLE ml.model (
	model_id bigint PRIMARY KEY DEFAULT pg_catalog.nextval('ml.model_id_seq'),
	name name NOT NULL UNIQUE,
	owner regrole NOT NULL,
	current_version integer NOT NULL,
	last_version integer NOT NULL,
	history integer[] NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	promoter regrole,
	comment text,
	CHECK (name::text <> '' AND pg_catalog.strpos(name::text, '@') = 0),
	CHECK (current_version >= 1 AND current_version <= last_version)
);
COMMENT ON TABLE ml.model IS 'one row a model';
COMMENT ON COLUMN ml.model.last_version IS 'highest number given to a version; numbers are never given twice';
COMMENT ON COLUMN ml.model.promoter IS 'role to whose members promotion is reserved; NULL: to those who may manage';
COMMENT ON COLUMN ml.model.history IS 'versions that were current before, the latest last: where ml_rollback goes';

CREATE TABLE ml.version (
	version_id bigint PRIMARY KEY DEFAULT pg_catalog.nextval('ml.version_id_seq'),
	model_id bigint NOT NULL REFERENCES ml.model ON DELETE CASCADE,
	version integer NOT NULL CHECK (version >= 1),
	model @extschema@.ml_model NOT NULL,
	algorithm text NOT NULL,
	task text NOT NULL,
	target text,
	params jsonb,
	info jsonb,
	source text,
	rows_read bigint NOT NULL CHECK (rows_read >= 0),
	rows_used bigint NOT NULL CHECK (rows_used >= 0),
	rows_dropped bigint NOT NULL CHECK (rows_dropped >= 0),
	seed bigint,
	metric text,
	value double precision,
	baseline double precision,
	warnings text[] NOT NULL DEFAULT '{}',
	elapsed interval NOT NULL,
	notes text,
	trained_by regrole NOT NULL,
	trained_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	session_role regrole NOT NULL,
	extension_version text NOT NULL,
	fingerprint bytea CHECK (pg_catalog.octet_length(fingerprint) = 16),
	lineage jsonb NOT NULL DEFAULT '{}',
	archived_at timestamptz,
	stale text,
	comment text,
	UNIQUE (model_id, version)
);
-- A model is mostly doubles, which do not compress: trying to takes a second for 10 MB, deaf to a cancel.
ALTER TABLE ml.version ALTER COLUMN model SET STORAGE EXTERNAL;
COMMENT ON TABLE ml.version IS 'one row a version of a model; of a row only archived_at, stale and comment change';
COMMENT ON COLUMN ml.version.session_role IS 'as whom the session had logged in that trained it';
COMMENT ON COLUMN ml.version.fingerprint IS 'of the rows it learned from, whatever their order; NULL when not known';
COMMENT ON COLUMN ml.version.lineage IS 'recipe (the arguments of ml_train), relation, search_path, columns with types, split, row_security, role, session_role, parent';
COMMENT ON COLUMN ml.version.archived_at IS 'when it was put away: it still predicts when asked for by number';
COMMENT ON COLUMN ml.version.stale IS 'why it should be trained again';

CREATE TABLE ml.training_state (
	version_id bigint PRIMARY KEY REFERENCES ml.version ON DELETE CASCADE,
	state bytea NOT NULL
);
ALTER TABLE ml.training_state ALTER COLUMN state SET STORAGE EXTERNAL;
COMMENT ON TABLE ml.training_state IS
	'of versions trained with keep_state: the sums that ml_update adds rows to and ml_forget takes them from';

CREATE TABLE ml.alias (
	model_id bigint NOT NULL REFERENCES ml.model ON DELETE CASCADE,
	alias name NOT NULL,
	version integer NOT NULL,
	PRIMARY KEY (model_id, alias),
	FOREIGN KEY (model_id, version) REFERENCES ml.version (model_id, version),
	CHECK (alias::text <> '' AND alias::text <> 'champion' AND pg_catalog.strpos(alias::text, '@') = 0
		AND alias::text !~ '^[0-9]')
);
CREATE INDEX alias_version ON ml.alias (model_id, version);
COMMENT ON TABLE ml.alias IS 'names of versions, as in model@alias; challenger stands here when it was chosen by hand';

CREATE TABLE ml.privilege (
	model_id bigint NOT NULL REFERENCES ml.model ON DELETE CASCADE,
	grantee regrole NOT NULL,
	privilege text NOT NULL CHECK (privilege IN ('predict', 'view', 'manage')),
	grantor regrole NOT NULL,
	granted_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	PRIMARY KEY (model_id, grantee, privilege)
);
COMMENT ON TABLE ml.privilege IS 'grants on models; manage includes view, view includes predict';
COMMENT ON COLUMN ml.privilege.grantee IS 'a role, or 0 (shown as -) for PUBLIC';

-- To find what stands in the way of dropping a role.
CREATE INDEX model_owner ON ml.model (owner);
CREATE INDEX model_promoter ON ml.model (promoter) WHERE promoter IS NOT NULL;
CREATE INDEX privilege_grantee ON ml.privilege (grantee);

ALTER SEQUENCE ml.model_id_seq OWNED BY ml.model.model_id;
ALTER SEQUENCE ml.version_id_seq OWNED BY ml.version.version_id;

-- Every change, also one made by hand, restored or replicated, tells all
-- backends at commit that what they remember of models is old.
CREATE FUNCTION ml.catalog_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'ml_sql_catalog_changed' LANGUAGE C;
REVOKE ALL ON FUNCTION ml.catalog_changed() FROM PUBLIC;
COMMENT ON FUNCTION ml.catalog_changed() IS
	'trigger on the tables of schema ml: makes every backend forget what it knows of models, at commit';

CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE ON ml.model
	FOR EACH ROW EXECUTE FUNCTION ml.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE ON ml.version
	FOR EACH ROW EXECUTE FUNCTION ml.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE ON ml.privilege
	FOR EACH ROW EXECUTE FUNCTION ml.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE ON ml.alias
	FOR EACH ROW EXECUTE FUNCTION ml.catalog_changed();
CREATE TRIGGER catalog_truncated AFTER TRUNCATE ON ml.alias
	FOR EACH STATEMENT EXECUTE FUNCTION ml.catalog_changed();
CREATE TRIGGER catalog_truncated AFTER TRUNCATE ON ml.model
	FOR EACH STATEMENT EXECUTE FUNCTION ml.catalog_changed();
CREATE TRIGGER catalog_truncated AFTER TRUNCATE ON ml.version
	FOR EACH STATEMENT EXECUTE FUNCTION ml.catalog_changed();
CREATE TRIGGER catalog_truncated AFTER TRUNCATE ON ml.privilege
	FOR EACH STATEMENT EXECUTE FUNCTION ml.catalog_changed();
ALTER TABLE ml.model ENABLE ALWAYS TRIGGER catalog_changed, ENABLE ALWAYS TRIGGER catalog_truncated;
ALTER TABLE ml.version ENABLE ALWAYS TRIGGER catalog_changed, ENABLE ALWAYS TRIGGER catalog_truncated;
ALTER TABLE ml.alias ENABLE ALWAYS TRIGGER catalog_changed, ENABLE ALWAYS TRIGGER catalog_truncated;
ALTER TABLE ml.privilege ENABLE ALWAYS TRIGGER catalog_changed, ENABLE ALWAYS TRIGGER catalog_truncated;

CREATE FUNCTION ml_has_privilege(model text, privilege text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'ml_sql_has_privilege' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_has_privilege(text, text) IS
	'whether the current user may do something with a model: predict, view (includes predict) or manage (includes view); false for a model that does not exist; 22023 for another privilege';
CREATE FUNCTION ml_has_privilege(model_id bigint, privilege text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'ml_sql_has_privilege_id' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ml_has_privilege(bigint, text) IS
	'the same for a model given by its number in schema ml: for row security and views';

CREATE VIEW ml.models WITH (security_barrier) AS
	SELECT m.name AS model, m.owner, v.task, v.algorithm, v.target, m.current_version,
		(SELECT pg_catalog.count(*) FROM ml.version o WHERE o.model_id = m.model_id) AS versions,
		v.metric, v.value, v.baseline, v.rows_used, pg_catalog.pg_column_size(v.model)::bigint AS bytes,
		v.trained_by, v.trained_at, m.created_at, v.stale, m.comment, m.promoter,
		@extschema@.ml_has_privilege(m.model_id, 'manage') AS may_manage
	FROM ml.model m JOIN ml.version v ON v.model_id = m.model_id AND v.version = m.current_version
	WHERE @extschema@.ml_has_privilege(m.model_id, 'view');
COMMENT ON VIEW ml.models IS 'the models that the current user may view, with their current version';

CREATE VIEW ml.versions WITH (security_barrier) AS
	SELECT m.name AS model, v.version, v.version = m.current_version AS is_current, v.algorithm, v.task,
		v.target, v.params, v.source, v.rows_read, v.rows_used, v.rows_dropped, v.seed, v.metric, v.value,
		v.baseline, v.warnings, v.elapsed, v.notes, pg_catalog.pg_column_size(v.model)::bigint AS bytes, v.info,
		v.trained_by, v.trained_at, v.session_role, v.extension_version,
		ARRAY(SELECT a.alias FROM ml.alias a WHERE a.model_id = v.model_id AND a.version = v.version ORDER BY a.alias) AS aliases,
		v.archived_at, v.stale, v.comment, pg_catalog.encode(v.fingerprint, 'hex') AS fingerprint, v.lineage
	FROM ml.model m JOIN ml.version v ON v.model_id = m.model_id
	WHERE @extschema@.ml_has_privilege(m.model_id, 'view');
COMMENT ON VIEW ml.versions IS 'every version of the models that the current user may view';

CREATE VIEW ml.privileges WITH (security_barrier) AS
	SELECT m.name AS model,
		CASE WHEN p.grantee::oid = 0::oid THEN 'public' ELSE pg_catalog.pg_get_userbyid(p.grantee)::text END AS grantee,
		p.privilege, p.grantor, p.granted_at
	FROM ml.model m JOIN ml.privilege p ON p.model_id = m.model_id
	WHERE @extschema@.ml_has_privilege(m.model_id, 'view');
COMMENT ON VIEW ml.privileges IS 'grants on the models that the current user may view; owners and superusers need none';

CREATE VIEW ml.roles WITH (security_barrier) AS
	SELECT CASE WHEN r.role::oid = 0::oid THEN 'public' ELSE pg_catalog.pg_get_userbyid(r.role)::text END AS role,
		r.has, m.name AS model
	FROM ml.model m,
		LATERAL (SELECT m.owner AS role, 'owner' AS has
			UNION ALL SELECT m.promoter, 'promotion' WHERE m.promoter IS NOT NULL
			UNION ALL SELECT p.grantee, p.privilege FROM ml.privilege p WHERE p.model_id = m.model_id) r
	WHERE @extschema@.ml_has_privilege(m.model_id, 'view');
COMMENT ON VIEW ml.roles IS
	'what roles have of the models that the current user may view: why a role cannot be dropped; see ml_reassign';

ALTER SCHEMA ml OWNER TO @extowner@;
ALTER TABLE ml.model OWNER TO @extowner@;
ALTER TABLE ml.version OWNER TO @extowner@;
ALTER TABLE ml.privilege OWNER TO @extowner@;
ALTER TABLE ml.alias OWNER TO @extowner@;
ALTER TABLE ml.training_state OWNER TO @extowner@;
ALTER VIEW ml.models OWNER TO @extowner@;
ALTER VIEW ml.versions OWNER TO @extowner@;
ALTER VIEW ml.privileges OWNER TO @extowner@;
ALTER VIEW ml.roles OWNER TO @extowner@;

-- Nobody is granted a table; whoever is granted one later sees, through these
-- policies, the models that he may view and changes nothing.
REVOKE ALL ON ml.model, ml.version, ml.privilege, ml.alias, ml.training_state FROM PUBLIC;
REVOKE ALL ON SEQUENCE ml.model_id_seq, ml.version_id_seq FROM PUBLIC;
GRANT USAGE ON SCHEMA ml TO PUBLIC;
GRANT SELECT ON ml.models, ml.versions, ml.privileges, ml.roles TO PUBLIC;

ALTER TABLE ml.model ENABLE ROW LEVEL SECURITY;
ALTER TABLE ml.version ENABLE ROW LEVEL SECURITY;
ALTER TABLE ml.privilege ENABLE ROW LEVEL SECURITY;
ALTER TABLE ml.alias ENABLE ROW LEVEL SECURITY;
ALTER TABLE ml.training_state ENABLE ROW LEVEL SECURITY;	-- and no policy: for its owner alone
CREATE POLICY view ON ml.model FOR SELECT USING (@extschema@.ml_has_privilege(model_id, 'view'));
CREATE POLICY view ON ml.version FOR SELECT USING (@extschema@.ml_has_privilege(model_id, 'view'));
CREATE POLICY view ON ml.alias FOR SELECT USING (@extschema@.ml_has_privilege(model_id, 'view'));
CREATE POLICY view ON ml.privilege FOR SELECT USING (@extschema@.ml_has_privilege(model_id, 'view'));

-- For pg_dump; reading models back needs the roles that own them.
SELECT pg_catalog.pg_extension_config_dump('ml.model', '');
SELECT pg_catalog.pg_extension_config_dump('ml.version', '');
SELECT pg_catalog.pg_extension_config_dump('ml.training_state', '');
SELECT pg_catalog.pg_extension_config_dump('ml.alias', '');
-- A grant to a role that was dropped must not reach the role that has its number elsewhere.
SELECT pg_catalog.pg_extension_config_dump('ml.privilege',
	'WHERE grantee = 0 OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = grantee)');
SELECT pg_catalog.pg_extension_config_dump('ml.model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('ml.version_id_seq', '');
