# A hundred sessions predict, in all ways there are, while versions are trained, promoted, rolled back,
# retrained and dropped: each statement gets its numbers from one whole version, and none fails.
# ML_TEST_SECONDS says how long (15).  Then: a model among 10,000 is found like one among 10.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{ML_TEST_SECONDS} || 15;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nmax_connections = 150\nmax_parallel_workers_per_gather = 0\n");
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Every version predicts k (x + 1000 z), with its own k, so that parts of two versions never make 1010 k.
# Versions of m differ in their columns.
sql(q{CREATE EXTENSION ml_ext;
	CREATE TABLE t AS SELECT sin(i)::float8 * 50 AS x, cos(i * 1.7)::float8 * 9 AS z, sin(i * 3.1)::float8 AS w FROM generate_series(1, 60) i;
	CREATE TABLE r AS SELECT 10::float8 AS x, 1::float8 AS z, 5::float8 AS w, i FROM generate_series(1, 3) i;
	CREATE FUNCTION source(k int, w boolean) RETURNS text LANGUAGE sql AS $$
		SELECT format('SELECT x, z%s, %s * (x + 1000 * z) AS y FROM t', CASE WHEN w THEN ', w' END, k) $$;
	CREATE FUNCTION change(model text, what int, k int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		CASE
			WHEN what <= 3 THEN PERFORM ml_train(model, source(k, model = 'm' AND k % 2 = 0), target => 'y', algorithm => 'linear');
			WHEN what = 4 THEN PERFORM ml_retrain(model, source(k, model = 'm' AND k % 2 = 0), promote => 'always');
			WHEN what = 5 THEN PERFORM ml_retrain(model, source(k, model = 'm' AND k % 2 = 0), promote => 'never');
			WHEN what = 6 THEN PERFORM ml_promote(model || '@challenger');
			WHEN what = 7 THEN PERFORM ml_rollback(model);
			WHEN what = 8 THEN PERFORM ml_retain(model, keep => 1);
			WHEN what = 9 THEN	-- at once, so that what was planned is gone
				PERFORM ml_train(model, source(k, model = 'm' AND k % 2 = 0), target => 'y', algorithm => 'linear');
				PERFORM ml_retain(model, keep => 1);
			ELSE PERFORM ml_drop(v.model::text, v.version) FROM ml.versions v WHERE v.model = change.model AND NOT v.is_current AND v.aliases = '{}' LIMIT 1;
		END CASE;
	EXCEPTION
		-- no challenger, no history, changed or locked by another session meanwhile
		WHEN undefined_object OR object_not_in_prerequisite_state OR object_in_use OR lock_not_available THEN NULL;
	END $$;
	SELECT change('m', 1, 1), change('f', 1, 1);
	SELECT ml_create_function('f', 'predict_f'), ml_create_view('m', 'v', 'SELECT x, z, w, i FROM r');
	CREATE FUNCTION whole(numbers float8[]) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	DECLARE
		k float8 := numbers[1] / 1010;
		n float8;
	BEGIN
		FOREACH n IN ARRAY numbers LOOP
			IF n IS NULL OR abs(n - numbers[1]) > 1e-6 OR abs(k - round(k)) > 1e-9 OR round(k) NOT BETWEEN 1 AND 99 THEN
				RAISE 'not of one version: %', numbers;
			END IF;
		END LOOP;
		RETURN round(k);
	END $$;
	CREATE FUNCTION in_body() RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		n float8[];
	BEGIN
		SELECT array_agg(ml_predict('m', r)) INTO n FROM r;
		RETURN whole(n);
	END $$;});

my %ask = (
	columns => q{SELECT whole(array_agg(a) || array_agg(b) || array_agg(c)) FROM (SELECT ml_predict('m', r) AS a, ml_predict('m@champion', r) AS b,
		(SELECT ml_predict('m', o) FROM r o WHERE o.i = r.i) AS c FROM r) s;},
	function => q{SELECT whole(array_agg(predict_f(x, z)) || array_agg(ml_predict('f', r)) || array_agg(ml_predict('f', r.x, r.z))) FROM r;},
	view => q{SELECT whole(array_agg(a.prediction) || array_agg(b.prediction)) FROM v a JOIN v b USING (i);},
	variable => q{SELECT whole(array_agg(ml_predict(n, to_jsonb(r))) || array_agg(ml_predict('f', r))) FROM r, unnest(ARRAY['f', 'f']) n;},
	body => q{SELECT in_body();},
	cursor => "BEGIN;\nDECLARE c CURSOR FOR SELECT whole(ARRAY[ml_predict('m', r), ml_predict('m', r)]) FROM r;\n\\sleep 2 ms\nFETCH ALL FROM c;\nCOMMIT;",
	repeatable => "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT whole(array_agg(ml_predict('m', r))) FROM r;\n\\sleep 2 ms\nSELECT whole(array_agg(ml_predict('m', r))) FROM r;\nCOMMIT;");
my $dir = $node->basedir;
my @files;
for my $name (sort keys %ask)
{
	append_to_file("$dir/$name.sql", "$ask{$name}\n");
	push @files, '-f', "$dir/$name.sql";
}
append_to_file("$dir/change.sql", "\\set what random(1, 10)\n\\set k random(1, 99)\n\\set m random(0, 1)\nSELECT change(CASE :m WHEN 0 THEN 'm' ELSE 'f' END, :what, :k);\n");

# What is a failed transaction to pgbench from 15 on, and no error, says its reason only when asked.
my @verbose = sql('SHOW server_version_num') >= 150000 ? '--verbose-errors' : ();
sub start_pgbench
{
	my ($out, $options, @arguments) = @_;
	my $in = '';
	local $ENV{PGOPTIONS} = $options;
	return IPC::Run::start([ 'pgbench', '-n', '-j', '2', '-T', $seconds, @verbose, @arguments, $node->connstr('postgres') ], \$in, '>&', $out);
}

my %sessions = (simple => 33, prepared => 34, extended => 31, parallel => 2);
my (%out, %run);
my $forced = sql(q{SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')});	# its name from 16 on
for my $mode (sort keys %sessions)
{
	$out{$mode} = '';
	$run{$mode} = start_pgbench(\$out{$mode}, $mode eq 'parallel' ? "-c $forced=on -c max_parallel_workers_per_gather=1" : '',
		'-c', $sessions{$mode}, '-M', $mode eq 'parallel' ? 'simple' : $mode, @files);
}
my $changes = '';
my $changing = start_pgbench(\$changes, '', '-c', '4', '-f', "$dir/change.sql");
my $asked = 0;
for my $mode (sort keys %run)
{
	ok($run{$mode}->finish, "$sessions{$mode} $mode sessions predict while models change") or diag($out{$mode});
	unlike($out{$mode}, qr/ERROR|aborted|number of failed transactions: [1-9]/, '... without an error');
	$asked += $1 if $out{$mode} =~ /transactions actually processed: (\d+)/;
}
ok($changing->finish, 'and who changes them has no error that is not his own') or diag($changes);
cmp_ok($asked, '>', 100, 'predictions were made');
note("$asked transactions of 100 sessions in $seconds s; " . sql(q{SELECT string_agg(action || ' ' || n, ', ' ORDER BY action)
	FROM (SELECT action, count(*) AS n FROM ml.audit GROUP BY 1) a}));
is(sql('SELECT * FROM ml_verify()'), '', 'nothing is broken');

# ---- 10,000 models ----

# Pages that a session touches to plan and run a prediction, as the first one of its life, and as the fourth of a prepared statement.
sub pages
{
	my $explain = q{EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, FORMAT JSON)};
	my @plans = split /^(?=\[)/m, sql(qq{PREPARE p AS SELECT ml_predict('f', r) FROM r; $explain EXECUTE p; EXECUTE p; EXECUTE p; $explain EXECUTE p});
	return map { my $n = 0; $n += $1 while /"Shared (?:Hit|Read) Blocks": (\d+)/g; $n } grep { /Blocks/ } @plans;
}
sub latency
{
	my ($out) = run_command([ 'pgbench', '-n', '-c', '1', @_, '-f', "$dir/function.sql", $node->connstr('postgres') ]);
	return $out =~ /latency average = ([0-9.]+)/ ? $1 : 'unknown';
}

sql('VACUUM ml.model; VACUUM ml.version; VACUUM ml.privilege; VACUUM ml.alias; VACUUM ml.audit_log');
my @few = pages();
my @few_ms = (latency('-M', 'prepared', '-t', 300), latency('-C', '-t', 30));
sql(q{INSERT INTO ml.model (name, owner, current_version, last_version) SELECT 'copy ' || i, m.owner, 1, 1 FROM ml.model m, generate_series(1, 10000) i WHERE m.name = 'f';
	INSERT INTO ml.version (model_id, version, model, algorithm, task, target, rows_read, rows_used, rows_dropped, elapsed, trained_by, session_role, extension_version, trained_at)
		SELECT c.model_id, 1, v.model, v.algorithm, v.task, v.target, 1, 1, 0, '0', v.trained_by, v.session_role, v.extension_version, '2020-01-01'
		FROM ml.model c, ml.version v JOIN ml.model m ON m.model_id = v.model_id AND v.version = m.current_version WHERE m.name = 'f' AND c.name LIKE 'copy %';
	VACUUM ANALYZE ml.model; VACUUM ANALYZE ml.version} =~ s/;\s*VACUUM.*//sr);
sql('VACUUM ANALYZE ml.model');
sql('VACUUM ANALYZE ml.version');
my @many = pages();
my @many_ms = (latency('-M', 'prepared', '-t', 300), latency('-C', '-t', 30));
is(scalar @many, 2, 'two plans measured');
cmp_ok($many[0], '<=', $few[0] + 12, "10,000 models: the first prediction of a session touches $few[0] pages before, $many[0] after: one level of some indexes");
cmp_ok($many[1], '<=', $few[1], "... and one of a prepared statement $few[1] and $many[1]");
note("ms for a prepared prediction: $few_ms[0] and $many_ms[0]; with a new session each: $few_ms[1] and $many_ms[1]");

$node->stop;
done_testing();
