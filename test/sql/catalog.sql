-- Named models and their versions: training, promoting, rolling back, renaming, dropping.
-- Version k of a model learns y = k * x, so a prediction for x = 10 says which one it was.
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE catalog_row AS SELECT 10::float8 AS x;
CREATE FUNCTION learn(model text, k int) RETURNS int LANGUAGE sql AS $$
	SELECT version FROM ml_train(model, format('SELECT i::float8 AS x, (%s * i)::float8 AS y FROM generate_series(1, 40) i', k),
		target => 'y', algorithm => 'linear') $$;
CREATE FUNCTION ask(model text) RETURNS numeric LANGUAGE sql AS $$
	SELECT round(ml_predict(model, r)::numeric, 6) FROM catalog_row r $$;

SELECT learn('m', 1), ask('m');
SELECT learn('m', 2), learn('m', 3);
SELECT ask('m'), ask('m@1'), ask('m@2'), ask('m@3'), ask('m@champion'), ask('m@challenger');
SELECT model, owner = current_user::regrole AS mine, algorithm, task, target, current_version, versions, may_manage
	FROM ml.models WHERE model = 'm';
SELECT pg_size_pretty(m.bytes) = pg_size_pretty(v.bytes) FROM ml.models m JOIN ml.versions v USING (model) WHERE model = 'm' AND is_current;
SELECT model, version, is_current, algorithm, rows_read, rows_dropped, trained_by = current_user::regrole AS mine,
	extension_version = (SELECT extversion FROM pg_extension WHERE extname = 'ml_ext') AS release
	FROM ml.versions WHERE model = 'm' ORDER BY version;

-- promote, roll back
SELECT ml_promote('m', 1), ml_promote('m', 1);
SELECT ask('m'), ask('m@challenger');
SELECT ml_promote('m@challenger');
SELECT ml_rollback('m');
SELECT ask('m');
SELECT ml_rollback('m');
SELECT ml_rollback('m');
SELECT current_version, last_version, history FROM ml.model WHERE name = 'm';

-- numbers are never given twice
SELECT ml_drop('m', 3);
SELECT learn('m', 5);
SELECT ask('m'), ask('m@4');
SELECT ask('m@3');

-- a prepared statement notices
PREPARE p AS SELECT round(ml_predict('m', r)::numeric, 6) FROM catalog_row r;
EXECUTE p;
SELECT ml_promote('m', 1);
EXECUTE p;

-- whatever is rolled back never happened
BEGIN;
SELECT learn('m', 7), learn('other', 8);
SELECT ask('m'), ask('other');
SAVEPOINT s;
SELECT ml_promote('m', 2);
EXECUTE p;
ROLLBACK TO s;
EXECUTE p;
ROLLBACK;
EXECUTE p;
SELECT ask('other');
SELECT count(*) FROM ml.versions WHERE model IN ('m', 'other');

-- rename
SELECT learn('taken', 1);
SELECT ml_rename('m', 'taken');
SELECT ml_rename('m', 'Größe "x" é');
SELECT ask('m');
SELECT ask('Größe "x" é');
SELECT ml_rename('Größe "x" é', 'm');

-- names and arguments that cannot be
SELECT learn('', 1);
SELECT learn('a@b', 1);
SELECT learn(repeat('n', 64), 1);
SELECT learn(repeat('n', 63), 1);
SELECT ml_drop(repeat('n', 63));
SELECT ask('m@');
SELECT ask('m@0');
SELECT ask('m@99999999999');
SELECT ask('m@best');
SELECT ask('m@42');
SELECT ask('taken@challenger');
SELECT ask('missing');
SELECT ask('missing@3');
SELECT ml_promote('m');
SELECT ml_promote('m', 42);
SELECT ml_promote('m', 0);
SELECT ml_promote('m@1', 2);
SELECT ml_promote('taken@challenger');
SELECT ml_promote(NULL, 1);
SELECT ml_rollback('m@1');
SELECT ml_rename('m', NULL);
SELECT ml_rename('m', 'a@b');
SELECT ml_grant('m', 'public', 'read');
SELECT ml_grant('m', 'no such role', 'view');
SELECT ml_grant('m@1', 'public', 'view');
SELECT ml_grant('m', NULL, 'view');
SELECT ml_has_privilege('m', 'own');

-- drop
SELECT ml_drop('m@1');
SELECT ml_drop('m', 42);
SELECT ml_drop('m@2');
SELECT history FROM ml.model WHERE name = 'm';
SELECT ml_drop('m'), ml_drop('taken');
SELECT ml_drop('m');
SELECT count(*) FROM ml.model;
SELECT count(*) FROM ml.version;
SELECT count(*) FROM ml.privilege;

-- changes by hand are noticed as well
SELECT learn('h', 1), learn('h', 2);
SELECT ask('h');
UPDATE ml.model SET current_version = 1 WHERE name = 'h';
SELECT ask('h');
UPDATE ml.version SET model = (SELECT model FROM ml.version WHERE version = 2) WHERE version = 1;
SELECT ask('h');
TRUNCATE ml.model CASCADE;
SELECT ask('h');

-- tables that were altered are refused
SELECT learn('h', 1);
ALTER TABLE ml.model RENAME COLUMN owner TO possessor;
SELECT ask('h');
ALTER TABLE ml.model RENAME COLUMN possessor TO owner;
ALTER TABLE ml.version DROP CONSTRAINT version_pkey CASCADE;
SELECT ask('h');
ALTER TABLE ml.version ADD PRIMARY KEY (version_id);
SELECT ml_drop('h');

-- the extension goes and comes back in one session: numbers start again, nothing is remembered
DROP FUNCTION learn, ask;
DEALLOCATE p;
SELECT version FROM ml_train('m', 'SELECT i::float8 AS x, (3 * i)::float8 AS y FROM generate_series(1, 40) i',
	target => 'y', algorithm => 'linear');
SELECT round(ml_predict('m', r)::numeric, 6) FROM catalog_row r;
SET client_min_messages = warning;
DROP EXTENSION ml_ext;
CREATE SCHEMA ml;
CREATE EXTENSION ml_ext;
DROP SCHEMA ml;
CREATE EXTENSION ml_ext;
SET client_min_messages = error;
SELECT round(ml_predict('m', r)::numeric, 6) FROM catalog_row r;
SELECT version FROM ml_train('m', 'SELECT i::float8 AS x, (4 * i)::float8 AS y FROM generate_series(1, 40) i',
	target => 'y', algorithm => 'linear');
SELECT round(ml_predict('m', r)::numeric, 6) FROM catalog_row r;
SELECT ml_drop('m');
DROP TABLE catalog_row;
