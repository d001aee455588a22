-- Keeping named models.  They take a model's name; whoever may not manage it gets
-- 42704 when he has no privilege on it at all, 42501 otherwise.

CREATE FUNCTION ml_drop(model text, version integer DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_drop' LANGUAGE C;
COMMENT ON FUNCTION ml_drop(text, integer) IS
	'drops a model with all its versions and grants, or one version (''name@3'' or version => 3) that is neither the current one nor named by an alias (55006); returns how many versions were dropped';

CREATE FUNCTION ml_rename(model text, new_name text) RETURNS void
	AS 'MODULE_PATHNAME', 'ml_sql_rename' LANGUAGE C;
COMMENT ON FUNCTION ml_rename(text, text) IS
	'gives a model another name; 42710 when it is taken, 42602 when it cannot be a name';

CREATE FUNCTION ml_promote(model text, version integer DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_promote' LANGUAGE C;
COMMENT ON FUNCTION ml_promote(text, integer) IS
	'makes a version (a number, or ''name@challenger'') the current one; returns its number; 42704 when there is none, 55000 when it is archived, 42501 where promotion is reserved to others';

CREATE FUNCTION ml_rollback(model text) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_rollback' LANGUAGE C;
COMMENT ON FUNCTION ml_rollback(text) IS
	'makes the version current that was so before the last training or promotion, and so on backwards; returns its number; 55000 when there is none, 42501 where promotion is reserved to others';

CREATE FUNCTION ml_grant(model text, role text, privilege text) RETURNS void
	AS 'MODULE_PATHNAME', 'ml_sql_grant' LANGUAGE C;
COMMENT ON FUNCTION ml_grant(text, text, text) IS
	'lets a role, or ''public'', predict with, view (includes predict) or manage (includes view) a model; 42704 for a role that does not exist, 22023 for another privilege';

CREATE FUNCTION ml_revoke(model text, role text, privilege text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'ml_sql_revoke' LANGUAGE C;
COMMENT ON FUNCTION ml_revoke(text, text, text) IS
	'takes a granted privilege, and those that include it, away from a role or ''public''; false when nothing was granted';

CREATE FUNCTION ml_set_alias(model text, alias text, version integer) RETURNS void
	AS 'MODULE_PATHNAME', 'ml_sql_set_alias' LANGUAGE C;
COMMENT ON FUNCTION ml_set_alias(text, text, integer) IS
	'lets model@alias stand for a version, or, with NULL as the version, for nothing; ''challenger'' is one that can be set, ''champion'' is not (ml_promote); 42602 for what can be no alias, 42704 no such version or alias, 55000 an archived version, 42501 where promotion is reserved to others';

CREATE FUNCTION ml_archive(model text, version integer DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_archive' LANGUAGE C;
COMMENT ON FUNCTION ml_archive(text, integer) IS
	'puts a version away: it still predicts when asked for by number, but is no challenger and cannot be promoted; returns its number; 55006 for the current version and those that an alias names';

CREATE FUNCTION ml_unarchive(model text, version integer DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_unarchive' LANGUAGE C;
COMMENT ON FUNCTION ml_unarchive(text, integer) IS
	'takes a version back out of the archive; returns its number';

CREATE FUNCTION ml_comment(model text, comment text) RETURNS void
	AS 'MODULE_PATHNAME', 'ml_sql_comment' LANGUAGE C;
COMMENT ON FUNCTION ml_comment(text, text) IS
	'says something about a model, or about a version of it (''name@3''), that ml.models and ml.versions show; NULL removes it';

CREATE FUNCTION ml_retain(model text, keep integer DEFAULT NULL, older_than interval DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_retain' LANGUAGE C;
COMMENT ON FUNCTION ml_retain(text, integer, interval) IS
	'drops versions that are not among the newest keep, and are older than older_than where both are given; never the current one or one that an alias names; returns how many; 22004 when neither is given';

CREATE FUNCTION ml_reserve_promotion(model text, role text) RETURNS void
	AS 'MODULE_PATHNAME', 'ml_sql_reserve_promotion' LANGUAGE C;
COMMENT ON FUNCTION ml_reserve_promotion(text, text) IS
	'from now on only members of the role decide which version the name and its aliases stand for, and nobody promotes what he has trained himself; a training adds a challenger; for the owner to give away, and for members of the role to change or, with NULL, to give back; 42501 for others';

CREATE FUNCTION ml_reassign(old_role text, new_role text) RETURNS integer
	AS 'MODULE_PATHNAME', 'ml_sql_reassign' LANGUAGE C STRICT;
COMMENT ON FUNCTION ml_reassign(text, text) IS
	'gives all models of a role, and promotions reserved to it, to another role, and takes its grants away, so that it can be dropped; returns how many models it had something of; 42501 without the privileges of both roles';
