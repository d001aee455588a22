-- Who may do what with a model, and what the others learn of it: nothing.
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_ml_owner;
CREATE ROLE regress_ml_user;
CREATE ROLE regress_ml_team;
CREATE ROLE regress_ml_member IN ROLE regress_ml_team;
GRANT CREATE ON SCHEMA public TO regress_ml_owner;

CREATE TABLE privilege_row AS SELECT 10::float8 AS x;
GRANT SELECT ON privilege_row TO PUBLIC;
CREATE FUNCTION learn(model text, k int) RETURNS int LANGUAGE sql AS $$
	SELECT version FROM ml_train(model, format('SELECT i::float8 AS x, (%s * i)::float8 AS y FROM generate_series(1, 40) i', k),
		target => 'y', algorithm => 'linear') $$;
CREATE FUNCTION ask(model text) RETURNS numeric LANGUAGE sql AS $$
	SELECT round(ml_predict(model, r)::numeric, 6) FROM privilege_row r $$;

SET ROLE regress_ml_owner;
SELECT learn('secret', 1), ask('secret');

-- without a grant every answer is that of a missing model
SET ROLE regress_ml_user;
SELECT ask('secret');
SELECT ask('missing');
SELECT ask('secret@1');
SELECT ask('secret@7');
SELECT count(*) FROM ml_describe('secret');
SELECT ml_drop('secret');
SELECT ml_rename('secret', 'mine');
SELECT ml_promote('secret', 1);
SELECT ml_rollback('secret');
SELECT ml_grant('secret', 'regress_ml_user', 'manage');
SELECT ml_revoke('secret', 'regress_ml_owner', 'view');
SELECT ml_has_privilege('secret', 'predict'), ml_has_privilege('missing', 'predict');
SELECT count(*) FROM ml.models;
SELECT count(*) FROM ml.versions;
SELECT count(*) FROM ml.privileges;
-- but for the name itself, which is taken
SELECT learn('secret', 2);
-- the tables are closed
SELECT count(*) FROM ml.model;
SELECT model FROM ml.version;
SELECT * FROM ml.privilege;
INSERT INTO ml.privilege (model_id, grantee, privilege, grantor) VALUES (1, 'regress_ml_user', 'manage', 'regress_ml_user');
SELECT nextval('ml.version_id_seq');
SELECT ml.catalog_changed();

-- predict
SET ROLE regress_ml_owner;
SELECT ml_grant('secret', 'regress_ml_user', 'predict');
SET ROLE regress_ml_user;
SELECT ask('secret');
SELECT count(*) FROM ml_describe('secret');
SELECT ml_promote('secret', 1);
SELECT ml_has_privilege('secret', 'predict') AS predict, ml_has_privilege('secret', 'view') AS view;
SELECT count(*) FROM ml.models;
PREPARE p AS SELECT round(ml_predict('secret', r)::numeric, 6) FROM privilege_row r;
EXECUTE p;
SET ROLE regress_ml_member;
EXECUTE p;
SET ROLE regress_ml_user;

-- view
SET ROLE regress_ml_owner;
SELECT ml_grant('secret', 'regress_ml_user', 'view');
SET ROLE regress_ml_user;
SELECT count(*) > 0 AS described FROM ml_describe('secret');
SELECT model, may_manage FROM ml.models;
SELECT model, version FROM ml.versions;
SELECT model, grantee, privilege, grantor FROM ml.privileges ORDER BY 2, 3;
SELECT ml_drop('secret');
SELECT ml_grant('secret', 'regress_ml_user', 'manage');
SELECT learn('secret', 2);

-- manage, by membership
SET ROLE regress_ml_owner;
SELECT ml_grant('secret', 'regress_ml_team', 'manage');
SET ROLE regress_ml_member;
SELECT learn('secret', 2);
SELECT version, trained_by FROM ml.versions WHERE model = 'secret' ORDER BY version;
SELECT owner FROM ml.models WHERE model = 'secret';
SELECT ml_promote('secret', 1);

-- revoke takes what includes the privilege, too
SET ROLE regress_ml_owner;
SELECT ml_revoke('secret', 'regress_ml_user', 'predict');
SELECT ml_revoke('secret', 'regress_ml_user', 'predict');
SELECT ml_revoke('secret', 'regress_ml_team', 'view');
SET ROLE regress_ml_user;
EXECUTE p;
SELECT ask('secret');
SET ROLE regress_ml_member;
SELECT ask('secret');

-- public
SET ROLE regress_ml_owner;
SELECT ml_grant('secret', 'public', 'view');
SELECT grantee, privilege FROM ml.privileges;
SET ROLE regress_ml_user;
SELECT ask('secret');
SELECT model FROM ml.models;
SET ROLE regress_ml_owner;
SELECT ml_revoke('secret', 'public', 'predict');
SET ROLE regress_ml_user;
SELECT ask('secret');

-- whoever is let near the tables still sees only his models, and changes nothing
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE ON ml.model, ml.version, ml.privilege TO regress_ml_user;
SET ROLE regress_ml_user;
SELECT count(*) FROM ml.model;
SELECT count(*) FROM ml.version;
SELECT count(*) FROM ml.privilege;
UPDATE ml.model SET owner = 'regress_ml_user';
DELETE FROM ml.version;
INSERT INTO ml.privilege (model_id, grantee, privilege, grantor) VALUES (1, 'regress_ml_user', 'manage', 'regress_ml_user');
RESET ROLE;
REVOKE ALL ON ml.model, ml.version, ml.privilege FROM regress_ml_user;

-- a leaky function learns nothing through the views
CREATE FUNCTION leak(name) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
	BEGIN RAISE WARNING 'saw %', $1; RETURN true; END $$;
SET ROLE regress_ml_user;
SET client_min_messages = warning;
SELECT count(*) FROM ml.models WHERE leak(model);
SELECT count(*) FROM ml.versions WHERE leak(model);
SET client_min_messages = error;
RESET ROLE;

-- a model read by a definer's function needs the definer's privilege only
SET ROLE regress_ml_owner;
CREATE FUNCTION ask_as_owner() RETURNS numeric LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
	SELECT ask('secret') $$;
SET ROLE regress_ml_user;
SELECT ask_as_owner();

-- training reads as the caller
RESET ROLE;
CREATE TABLE private_rows AS SELECT i::float8 AS x, i::float8 AS y FROM generate_series(1, 40) i;
SET ROLE regress_ml_user;
SELECT version FROM ml_train('spy', 'private_rows', target => 'y', algorithm => 'linear');
SELECT version FROM ml_train('spy', 'SELECT model_id::float8 AS x, current_version::float8 AS y FROM ml.model', target => 'y');

-- a superuser and the owner's members may all
RESET ROLE;
SELECT ask('secret'), ml_has_privilege('secret', 'manage');
GRANT regress_ml_owner TO regress_ml_user;
SET ROLE regress_ml_user;
SELECT ask('secret'), ml_has_privilege('secret', 'manage');
SELECT ml_drop('secret');

RESET ROLE;
DROP FUNCTION learn, ask, leak, ask_as_owner;
DROP TABLE privilege_row, private_rows;
REVOKE CREATE ON SCHEMA public FROM regress_ml_owner;
DROP ROLE regress_ml_owner, regress_ml_user, regress_ml_member, regress_ml_team;
