-- Keeping named models.  They take a model's name; whoever may not manage it gets
-- 42704 when he has no privilege on it at all, 42501 otherwise.

CREATE FUNCTION ml_drop(model text, version integer DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_drop' LANGUAGE C;
COMMENT ON FUNCTION ml_drop(text, integer) IS
	'drops a model with all its versions and grants, or one version (''name@3'' or version => 3) that is not the current one (55006); returns how many versions were dropped';

CREATE FUNCTION ml_rename(model text, new_name text) RETURNS void
	AS 'MODULE_PATHNAME', 'ml_sql_rename' LANGUAGE C;
COMMENT ON FUNCTION ml_rename(text, text) IS
	'gives a model another name; 42710 when it is taken, 42602 when it cannot be a name';

CREATE FUNCTION ml_promote(model text, version integer DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_promote' LANGUAGE C;
COMMENT ON FUNCTION ml_promote(text, integer) IS
	'makes a version (a number, or ''name@challenger'') the current one; returns its number; 42704 when there is none';

CREATE FUNCTION ml_rollback(model text) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_rollback' LANGUAGE C;
COMMENT ON FUNCTION ml_rollback(text) IS
	'makes the version current that was so before the last training or promotion, and so on backwards; returns its number; 55000 when there is none';

CREATE FUNCTION ml_grant(model text, role text, privilege text) RETURNS void
	AS 'MODULE_PATHNAME', 'ml_sql_grant' LANGUAGE C;
COMMENT ON FUNCTION ml_grant(text, text, text) IS
	'lets a role, or ''public'', predict with, view (includes predict) or manage (includes view) a model; 42704 for a role that does not exist, 22023 for another privilege';

CREATE FUNCTION ml_revoke(model text, role text, privilege text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'ml_sql_revoke' LANGUAGE C;
COMMENT ON FUNCTION ml_revoke(text, text, text) IS
	'takes a granted privilege, and those that include it, away from a role or ''public''; false when nothing was granted';
