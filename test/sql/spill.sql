-- Rows beyond maintenance_work_mem go to a temporary file: same model, no file left, whatever happens.
\set VERBOSITY terse
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE spill AS
SELECT i, sin(i) AS x1, cos(i * 1.7) AS x2, mod(i * 7919, 1013) AS x3, 'k' || i % 5 AS c,
       sin(i) * 2 + mod(i * 31, 97) / 50.0::float8 AS y
FROM generate_series(1, 60000) i;
CREATE VIEW spill_broken AS SELECT i, x1, x2, x3, c, y / (CASE WHEN i = 59999 THEN 0 ELSE 1 END) AS y FROM spill;
CREATE FUNCTION fit() RETURNS float8 LANGUAGE sql AS
$$ SELECT value FROM ml_train('spill', 'spill', target => 'y', algorithm => 'ridge', params => '{"l2": 1}', split_by => 'i', seed => 1) $$;

SET maintenance_work_mem = '1GB';
CREATE TABLE result AS SELECT fit() AS value;
SET maintenance_work_mem = '1MB';
SELECT fit() = value AS same FROM result;

-- a limit of the server holds
SET temp_file_limit = '1MB';
\set VERBOSITY sqlstate
SELECT fit();
\set VERBOSITY terse
RESET temp_file_limit;

-- errors while rows are in the file, in subtransactions and out of them
DO $$
BEGIN
	FOR k IN 1..3 LOOP
		BEGIN
			PERFORM ml_train('spill', 'spill_broken', target => 'y', split_by => 'i');
		EXCEPTION WHEN division_by_zero THEN
			RAISE WARNING 'division by zero';
		END;
		IF fit() IS DISTINCT FROM (SELECT value FROM result) THEN
			RAISE WARNING 'another model';
		END IF;
	END LOOP;
END $$;
SELECT * FROM ml_train('spill', 'spill_broken', target => 'y', split_by => 'i');
SET statement_timeout = '150ms';
SELECT * FROM ml_train('spill', 'SELECT s.* FROM spill s, generate_series(1, 100000)', target => 'y', split_by => 'i');
RESET statement_timeout;
SELECT fit() = value AS same FROM result;
SELECT count(*) AS files FROM pg_ls_tmpdir();

SELECT ml_drop('spill');
DROP FUNCTION fit();
DROP VIEW spill_broken;
DROP TABLE spill, result;

-- What a fold takes does not add up over the folds: 300 of them in 6 MB.
SET maintenance_work_mem = '6MB';
SET max_parallel_workers_per_gather = 0;
DO $$ BEGIN EXECUTE 'CREATE TABLE folds AS SELECT ' || (SELECT string_agg('sin(i * ' || j || '.37) AS x' || j, ', ')
	FROM generate_series(1, 60) j) || ', cos(i * 0.9) AS y FROM generate_series(1, 60000) i'; END $$;
ANALYZE folds;
SELECT metric, round(mean::numeric, 4) AS mean, cardinality("values") AS n
	FROM ml_cv('folds', 'y', 'linear', folds => 100, repeats => 3);
