-- What a source may be, and what it may not: nothing but one SELECT runs, with the caller's rights, once.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;

\i test/try.sql
CREATE FUNCTION source(text) RETURNS text LANGUAGE sql AS $$
	SELECT try(format('SELECT rows_read, rows_used, features FROM ml_train(%L, %L, ''y'', ''linear'')', 's_' || current_user, $1)) $$;

CREATE TABLE t AS SELECT i AS id, i::float8 / 10 AS x, (i % 7)::float8 AS z, i % 3 = 0 AS b, chr(97 + i % 4) AS c,
	2 * i::float8 / 10 - (i % 7) + (i * 37 % 11) / 10.0::float8 AS y, (i % 5 + 1)::float8 AS w FROM generate_series(1, 200) i;
SELECT version FROM ml_train('m2', 't', 'y', 'linear', features => '{x,z}');
CREATE TABLE victim (a int);
INSERT INTO victim VALUES (1);
CREATE VIEW v AS SELECT * FROM t;
CREATE VIEW vb WITH (security_barrier) AS SELECT * FROM t WHERE id > 10;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM t;
CREATE MATERIALIZED VIEW mv_empty AS SELECT * FROM t WITH NO DATA;
CREATE TEMP TABLE tt AS SELECT * FROM t;
CREATE TABLE part (LIKE t) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (1) TO (100);
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (100) TO (1000);
INSERT INTO part SELECT * FROM t;
CREATE TABLE parent (LIKE t);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent SELECT * FROM t WHERE id <= 50;
INSERT INTO child SELECT * FROM t WHERE id > 50;
CREATE TABLE "we;ird "" tab--le" AS SELECT * FROM t;
CREATE TABLE "Ünï" AS SELECT * FROM t;
CREATE SCHEMA "s.x";
CREATE TABLE "s.x"."t.y" AS SELECT * FROM t;
CREATE SEQUENCE seq;
CREATE INDEX t_i ON t (id);
CREATE TYPE comp AS (a int);
CREATE TABLE "select" AS SELECT * FROM t;
CREATE TABLE none ();
INSERT INTO none DEFAULT VALUES;
CREATE FUNCTION vol() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO victim VALUES (2); RETURN 1; END $$;
CREATE FUNCTION boom(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF i > 150 THEN RAISE EXCEPTION USING errcode = 'P0099', message = 'boom'; END IF; RETURN i; END $$;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE ft (x float8, y float8) SERVER files OPTIONS (program 'seq 200 | sed "s/.*/&,&.5/"', format 'csv');


SELECT source($q$t; drop table victim$q$);
SELECT source($q$t where true; drop table victim$q$);
SELECT source($q$t) as s; drop table victim; --$q$);
SELECT source($q$select 1; select 2$q$);
SELECT source($q$select * from t; drop table victim$q$);
SELECT source($q$select * from t;$q$);
SELECT source($q$select * from t ; -- end$q$);
SELECT source($q$  /* c */ select * from t$q$);
SELECT source($q$-- c
 select * from t$q$);
SELECT source($q$/* a /* nested */ b */ select * from t$q$);
SELECT source($q$/* unterminated select * from t$q$);
SELECT source($q$(select * from t)$q$);
SELECT source($q$((select * from t))$q$);
SELECT source($q$(table t)$q$);
SELECT source($q$table t$q$);
SELECT source($q$TABLE t$q$);
SELECT source($q$TABLE "t"$q$);
SELECT source($q$table(t)$q$);
SELECT source($q$values (1,2),(3,4)$q$);
SELECT source($q$insert into victim values (3) returning a as y$q$);
SELECT source($q$delete from victim$q$);
SELECT source($q$update victim set a=1$q$);
SELECT source($q$with q as (insert into victim values (4) returning a as y) select * from q$q$);
SELECT source($q$with q as (select * from t) select * from q$q$);
SELECT source($q$with recursive r(n) as (select 1 union all select n+1 from r where n<100) select n as x, 2*n as y from r$q$);
SELECT source($q$select * into newtab from t$q$);
SELECT source($q$with q as (select 1 as y) select * into newtab from q$q$);
SELECT source($q$select * from t for update$q$);
SELECT source($q$select vol() as x, * from t$q$);
SELECT source($q$select boom(id) as x2, * from t$q$);
SELECT source($q$select x as x, z as x, y from t$q$);
SELECT source($q$select x as a, z as a, y from t$q$);
SELECT source($q$select y as y, y as y, x from t$q$);
SELECT source($q$select$q$);
SELECT source($q$select from t$q$);
SELECT source($q$none$q$);
SELECT source($q$select 1/0 as y, x from t$q$);
SELECT source($q$select y, x from t where false$q$);
SELECT source($q$select y, x, nope from t$q$);
SELECT source($q$select $1 as y$q$);
SELECT source($q$select y, x from t where id = $1$q$);
SELECT source($q$select 'it''s' as q, y, x from t$q$);
SELECT source($q$select y, x from$q$);
SELECT source($q$selec y from t$q$);
SELECT source($q$explain select 1$q$);
SELECT source($q$copy t to stdout$q$);
SELECT source($q$show all$q$);
SELECT source($q$do $x$begin null; end$x$$q$);
SELECT source($q$v$q$);
SELECT source($q$vb$q$);
SELECT source($q$mv$q$);
SELECT source($q$tt$q$);
SELECT source($q$part$q$);
SELECT source($q$part1$q$);
SELECT source($q$ft$q$);
SELECT source($q$seq$q$);
SELECT source($q$t_i$q$);
SELECT source($q$comp$q$);
SELECT source($q$"we;ird "" tab--le"$q$);
SELECT source($q$"Ünï"$q$);
SELECT source($q$"s.x"."t.y"$q$);
SELECT source($q$select$q$);
SELECT source($q$"select"$q$);
SELECT source($q$select * from "select"$q$);
SELECT source($q$t, t$q$);
SELECT source($q$t t$q$);
SELECT source($q$"t$q$);
SELECT source($q$t.$q$);
SELECT source($q$.t$q$);
SELECT source($q$ t $q$);
SELECT source($q$T$q$);
SELECT source($q$"T"$q$);
SELECT source($q$public.t$q$);
SELECT source($q$"public.t"$q$);
SELECT source($q$pg_temp.tt$q$);
SELECT source($q$only t$q$);
SELECT source($q$t*$q$);
SELECT source($q$select * from t limit 50$q$);
SELECT source($q$select * from t order by y offset 10$q$);
SELECT source($q$select * from t tablesample bernoulli (50) repeatable (3)$q$);
SELECT source($q$select generate_series(1,100) as x, 1.0*generate_series(1,100) as y$q$);
SELECT source($q$select row(x,z) as r, y from t$q$);
SELECT source($q$select t as r, y, x from t$q$);
SELECT source($q$select null as n, y, x from t$q$);
SELECT source($q$select 'lit' as l, y, x from t$q$);
SELECT source($q$select pg_sleep(0) as s, y, x from t$q$);
SELECT source($q$select now() as s, y, x from t$q$);
SELECT source($q$select set_config('work_mem','1MB',false) as s, y, x from t$q$);
SELECT source($q$select * from t--$q$);
SELECT source($q$select * from t/*$q$);
SELECT source($q$select * from (select * from t$q$);
SELECT source($q$select * from t) union (select * from t$q$);
SELECT source($q$select * from t) as q, (select 1 as k$q$);
SELECT source($q$select x,y from t union all select x,y from t$q$);
SELECT source($q$select x,y from t intersect select x,y from t$q$);
SELECT source($q$select count(*) as n, c, avg(y) as y from t group by c$q$);
SELECT source($q$select x, lag(y) over () as y from t$q$);
SELECT source($q$mv_empty$q$);
SELECT source($q$parent$q$);
SELECT source($q$child$q$);
SELECT source($q$only parent$q$);
SELECT source($q$select id, x, y from t group by 1, 2, 3$q$);
SELECT source($q$select * from generate_series(1,50) as g(x), lateral (select x * 2.0 as y) q$q$);
SELECT source($q$select * from (select *, row_number() over (order by id) as rn from t) q$q$);
SELECT source($q$select distinct on (z) x, z, y from t order by z, id$q$);
SELECT source($q$select * from (values (1,2.0),(2,3.0),(3,4.5)) as q(x,y)$q$);
SELECT source($q$select x, y from t cross join (select 1) q$q$);
SELECT source($q$select id, x, y from t for share$q$);
SELECT source($q$select * from (select * from t for update) q$q$);
SELECT source($q$select * from t where id in (select a from victim)$q$);
SELECT source($q$select x, y from t as of$q$);
SELECT source($q$select t.x as "select", t.y from t$q$);
SELECT source($q$select x as "a""b", y from t$q$);
SELECT source($q$select 1 as "?column?", x, y from t$q$);
SELECT source($q$select x, 2, 3, y from t$q$);
SELECT source($q$select repeat('x', 200000) as big, x, y from t$q$);

SELECT * FROM victim;
SELECT to_regclass('newtab');
SELECT source('select vol() as v, x, y from t limit 30');
SELECT count(*) FROM victim WHERE a = 2;

-- many columns: the limits of tables and of queries
SELECT format('CREATE TABLE wide AS SELECT %s, i * 1.0 AS y FROM generate_series(1, 20) i', string_agg('i % ' || n || ' AS c' || n, ', ')) FROM generate_series(2, 1595) n \gexec
SELECT source('wide') ~ '^(\(20,20,|53200)';
SELECT source('select *, 1 as a1, 2 as a2 from wide') ~ '^(\(20,20,|53200)';
SELECT try(format('SELECT features FROM ml_train(''s'', %L, ''y'', ''baseline'')', 'select ' || string_agg('1', ',') || ', 2 as y from generate_series(1, 2000)')) FROM generate_series(1, 1700);

-- ctid and names that look like ours
CREATE TABLE clash AS SELECT i % 13 AS c1, i % 5 AS c2, i * 1.0 AS s, i * 2.0 AS y FROM generate_series(1, 100) i;
SELECT source('clash');
SELECT source('select s.*, ctid from clash s');
SELECT source('select s.s as s, s.y as y from clash s');

-- prepared statements, cursors, parameters, in functions
PREPARE train(text, text) AS SELECT rows_used FROM ml_train($1, $2, 'y', 'ridge', features => '{x}');
EXECUTE train('p', 't');
EXECUTE train('p', 'select * from v where id < 100');
EXECUTE train('p', 'nope');
BEGIN;
DECLARE c CURSOR FOR SELECT rows_used, version FROM ml_train('c', 't', 'y', 'ridge', features => '{x}');
FETCH ALL FROM c;
CLOSE c;
DECLARE c SCROLL CURSOR FOR SELECT metric FROM ml_cv('t', 'y', 'ridge', features => '{x}') ORDER BY metric;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
COMMIT;
SELECT g, m.rows_used FROM generate_series(1, 3) g, LATERAL ml_train('g' || g, 'select * from t where id > ' || g, 'y', 'ridge', features => '{x}') m;
CREATE TABLE kept AS SELECT c, ml_fit(format('select * from t where c = %L', c), 'y', 'ridge', features => '{x}') AS model FROM (SELECT DISTINCT c FROM t ORDER BY c) q;
SELECT count(DISTINCT round(ml_predict(model, t)::numeric, 9)) FROM kept, t WHERE t.id = 7;

-- rows that the caller may not see are not learned from, also through a view
CREATE ROLE ml_reader;
CREATE TABLE guarded AS SELECT * FROM t;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON guarded USING (id <= 40);
CREATE VIEW guarded_view WITH (security_barrier) AS SELECT * FROM guarded;
GRANT SELECT ON guarded, guarded_view TO ml_reader;
SELECT source('guarded');
SET ROLE ml_reader;
SELECT source('guarded');
SELECT source('select * from guarded');
SELECT source('guarded_view');
SELECT source('t');
SELECT source('select * from t');
SELECT source('select g.* from guarded g join t using (id)');
RESET ROLE;

-- a training in a training's source, one that fails there, and one that is undone: each warns for itself
CREATE FUNCTION trains(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF i = 50 THEN
		PERFORM ml_train('inner', 'SELECT x, x * 0 + 7 AS k, y FROM t', 'y', 'linear');
	ELSIF i = 100 THEN
		BEGIN
			PERFORM ml_train('inner', 'SELECT x, 1 / (x - x) AS k, y FROM t', 'y', 'linear');
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	ELSIF i = 150 THEN
		BEGIN
			PERFORM ml_train('inner', 'SELECT x, x * 0 + 8 AS k2, y FROM t', 'y', 'linear');
			RAISE EXCEPTION 'undo';
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END IF;
	RETURN i % 17;
END $$;
SELECT unnest(warnings) FROM ml_train('outer', 'SELECT trains(id) AS t, x, 5 AS const, y FROM t', 'y', 'linear');
SELECT model, version FROM ml.versions WHERE model IN ('inner', 'outer') ORDER BY 1, 2;
SELECT count(*) FROM ml.progress;
CREATE FUNCTION again(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF i = 1 THEN PERFORM ml_train('r', 'SELECT again(id) AS r, x, y FROM t', 'y', 'linear'); END IF;
	RETURN i;
END $$;
SELECT source('SELECT again(id) AS r, x, y FROM t') ~ '^54001';
SELECT source('SELECT ml_predict(''m2'', t) AS p, x, y FROM t');
SELECT count(*) FROM ml.progress;

-- a failed or undone training loses nothing of an earlier model and leaves nothing
SELECT version FROM ml_train('sp', 't', 'y', 'linear', features => '{x}');
CREATE TABLE before AS SELECT id, ml_predict('sp', t) AS p FROM t;
SELECT try($$SELECT 1 FROM ml_train('sp', 'SELECT x, 1 / (id - 190) AS z, y FROM t', 'y')$$);
BEGIN;
SELECT version FROM ml_train('sp', 't', 'y', 'ridge', features => '{z}');
SAVEPOINT a;
SELECT version FROM ml_train('sp', 't', 'nope');
ROLLBACK TO a;
SELECT version FROM ml_train('sp', 't', 'y', 'ridge', features => '{id}');
SELECT ml_drop('sp');
ROLLBACK TO a;
SELECT model, version FROM ml.versions WHERE model = 'sp' ORDER BY 2;
ROLLBACK;
SELECT model, version FROM ml.versions WHERE model = 'sp';
SELECT bool_and(ml_predict('sp', t) = p) FROM t JOIN before USING (id);
SET statement_timeout = 200;
SELECT version FROM ml_train('sp', 'SELECT x, y, pg_sleep(0.1) IS NULL AS s FROM t', 'y');
RESET statement_timeout;
SELECT model, version FROM ml.versions WHERE model = 'sp';
SELECT count(*) FROM ml.progress;

-- where nothing may be written, and in a source that takes the model away or trains it itself
BEGIN READ ONLY;
SELECT version FROM ml_train('sp', 't', 'y');
ROLLBACK;
BEGIN READ ONLY;
SELECT ml_predict(ml_fit('t', 'y', 'linear', features => '{x}'), t) IS NOT NULL, ml_predict('sp', t) IS NOT NULL FROM t LIMIT 1;
SELECT count(*) > 0 FROM ml_cv('t', 'y', 'linear', features => '{x}');
SELECT count(*) > 0 FROM ml_evaluate('sp', 't');
ROLLBACK;
CREATE FUNCTION drops(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF i = 5 THEN PERFORM ml_drop('dropped'); END IF; RETURN i; END $$;
CREATE FUNCTION retrains(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF i = 5 THEN PERFORM ml_train('dropped', 't', 'y', 'ridge', features => '{x}'); END IF; RETURN i; END $$;
SELECT version FROM ml_train('dropped', 't', 'y', 'linear', features => '{x}');
SELECT rows_used FROM ml_train('dropped', 'SELECT drops(id) AS d, x, y FROM t', 'y', 'linear');
SELECT count(*) FROM ml_evaluate('dropped', 'SELECT drops(id) AS d, x, y FROM t') WHERE n = 200;
SELECT try($$SELECT ml_predict('dropped', t) FROM t LIMIT 1$$);
SELECT rows_used FROM ml_train('dropped', 'SELECT retrains(id) AS d, x, y FROM t', 'y', 'linear');
SELECT count(*) FROM ml.versions WHERE model = 'dropped';

-- 540 trainings that succeed, fail and are undone: the backend keeps nothing of them
CREATE FUNCTION loop(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		BEGIN
			CASE i % 6
				WHEN 0 THEN PERFORM ml_train('loop', 't', 'y', 'linear', features => '{x}'); RAISE EXCEPTION 'undo';
				WHEN 1 THEN PERFORM ml_train('loop', 'SELECT x, 1 / (id - 190) AS z, y FROM t', 'y', 'ridge');
				WHEN 2 THEN PERFORM ml_fit('t', 'y', 'lasso', features => '{x,z,c}');
				WHEN 3 THEN PERFORM ml_cv('t', 'b', 'logistic', features => '{x,c}');
				WHEN 4 THEN PERFORM ml_train('loop', 't', 'y', 'linear', '{"l9": 1}');
				ELSE PERFORM count(ml_predict('sp', t)) FROM t; PERFORM ml_train('loop', 'SELECT ''NaN''::float8 AS x, y FROM t', 'y', 'glm');
			END CASE;
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
END $$;
SELECT loop(120);
CREATE TEMP TABLE memory AS SELECT sum(total_bytes) AS bytes FROM pg_backend_memory_contexts;
SELECT loop(420);
SELECT sum(total_bytes) - (SELECT bytes FROM memory) < 500000 FROM pg_backend_memory_contexts;
SELECT name, count(*) FROM pg_backend_memory_contexts WHERE name IN ('ml_ext training', 'ml_ext row', 'ml_ext fold', 'ml_ext grid') GROUP BY 1;
SELECT count(*) FROM ml.versions WHERE model = 'loop';

SELECT ml_drop('s_ml_reader');
DROP OWNED BY ml_reader;
DROP ROLE ml_reader;
