# Threads, memory and kills: one thread in a backend, memory that neither grows with the rows nor from one training
# to the next, budgets that end in clear errors, and a killed backend that costs nothing but itself.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/status';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"client_min_messages = error\nrestart_after_crash = on\nmax_parallel_workers_per_gather = 0\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION ml_ext;
CREATE TABLE t AS SELECT sin(i) AS x1, cos(i * 1.7) AS x2, i % 7 AS x3, 2 * sin(i) + cos(i * 0.9) AS y, i % 5 < 2 + sin(i) AS b,
	(ARRAY['a', 'b', 'c'])[1 + i % 3] AS k FROM generate_series(1, 3000) i;
CREATE FUNCTION status(key text) RETURNS int LANGUAGE sql AS
	$$ SELECT substring(pg_read_file('/proc/self/status') FROM key || E':\\s+(\\d+)')::int $$;
SQL

# ---- threads ----

is($node->safe_psql('postgres', <<'SQL'), "1\n1\n1\n1", 'a backend has one thread: after loading, training, cross-validation and prediction');
LOAD 'ml_ext';
SELECT status('Threads');
SELECT version AS v1 FROM ml_train('one', 't', 'y', 'linear') \gset
SELECT version AS v1 FROM ml_train('two', 't', 'k', 'logistic') \gset
SELECT version AS v1 FROM ml_train('three', 't', 'y', 'elastic_net') \gset
SELECT status('Threads');
SELECT count(*) AS n FROM ml_cv('t', 'y', 'ridge', '{"l2": "cv"}') \gset
SELECT status('Threads');
SELECT sum(ml_predict('one', t)) AS s FROM t \gset
SELECT status('Threads');
SQL

# ---- a session that goes on and on ----

my $cycle = <<'SQL';
SELECT version AS v FROM ml_train('cycle', 't', 'y', 'linear', features => '{x1,x2,k}') \gset
SELECT version AS v FROM ml_train('cycle_b', 'SELECT * FROM t LIMIT 300', 'b', 'logistic', exclude => '{y}') \gset
SELECT sum(ml_predict('cycle', t)) AS s, sum(ml_predict('cycle_b', t)) AS s2 FROM t \gset
SELECT ml_drop('cycle') AS d, ml_drop('cycle_b') AS d2 \gset
SQL
my $measure = "SELECT status('RssAnon'), sum(total_bytes) / 1024 AS kb FROM pg_backend_memory_contexts;\n";
my $out = $node->safe_psql('postgres', "SELECT set_config('search_path', 'public, pg_catalog', false) AS p \\gset\n"
	. $cycle x 60 . $measure . $cycle x 440 . $measure);
my ($rss1, $contexts1, $rss2, $contexts2) = split /[|\n]/, $out;
cmp_ok($contexts2, '<', $contexts1 + 256, "memory contexts after 60 and after 500 cycles: $contexts1 and $contexts2 kB");
cmp_ok($rss2, '<', $rss1 + 2048, "resident after 60 and after 500 cycles: $rss1 and $rss2 kB");

# ---- memory does not depend on the rows ----

foreach my $algorithm ('linear', 'ridge')
{
	my ($before, $after) = split /\n/, $node->safe_psql('postgres', <<"SQL");
CREATE TEMP TABLE many AS SELECT sin(i) AS x1, cos(i) AS x2, random() AS x3, sin(i) * 2 AS y FROM generate_series(1, 1000000) i;
SELECT count(*) AS n FROM many \\gset
LOAD 'ml_ext';
SELECT status('VmHWM');
SELECT version AS v FROM ml_train('many', 'many', 'y', '$algorithm') \\gset
SELECT status('VmHWM');
SQL
	cmp_ok($after - $before, '<', 65536, "$algorithm on a million rows takes at most 64 MB: " . ($after - $before) . ' kB');
}

# ---- budgets ----

my ($in_memory, $spilled, $parts) = split /\n/, $node->safe_psql('postgres', <<'SQL');
CREATE TABLE large AS SELECT sin(i) AS x1, cos(i * 1.7) AS x2, sin(i * 0.3) AS x3, sin(i * 3.1) AS x4, cos(i * 0.9) AS x5, i % 3 = 0 AS b
	FROM generate_series(1, 60000) i;
SET maintenance_work_mem = '256MB';
SELECT encode(sha256(ml_fit('large', 'b', 'logistic')::text::bytea), 'hex');
SET maintenance_work_mem = '1MB';
SELECT encode(sha256(ml_fit('large', 'b', 'logistic')::text::bytea), 'hex');
SELECT count(*) FROM pg_ls_tmpdir();
SQL
is($spilled, $in_memory, 'rows that went to a file make the same model, byte by byte');
is($parts, '0', 'and the file is gone');
sub state_of
{
	my ($settings, $sql) = @_;
	my $state = $node->safe_psql('postgres', "$settings;\n\\set ON_ERROR_STOP off\n$sql \\g /dev/null\n\\echo :SQLSTATE");
	return $state;
}
is(state_of("SET maintenance_work_mem = '1MB'; SET temp_file_limit = '1MB'", "SELECT version FROM ml_train('m', 'large', 'b', 'logistic');"),
	'53400', 'a file beyond temp_file_limit is refused');
is(state_of("SET maintenance_work_mem = '1MB'", "SELECT version FROM ml_train('m',
	'SELECT (SELECT array_agg(sin(i * k)) FROM generate_series(1, 600) k) AS x, sin(i) AS y FROM generate_series(1, 50) i', 'y', 'linear');"),
	'53200', 'columns that do not fit maintenance_work_mem are refused');
is($node->safe_psql('postgres', "SELECT count(*) FROM ml.models WHERE model = 'm'"), '0', 'and nothing is stored');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'nor left in a file');

# ---- killed ----

my $before = $node->safe_psql('postgres', "SELECT sum(ml_predict('one', t)), sum((ml_probabilities('two', t)->>'a')::float8), sum(ml_predict('three', t)) FROM t");
foreach my $workers (0, 2)
{
	my $endless = 'SELECT sin(i) AS x1, cos(i * 1.7) AS x2, sin(j * 0.3) AS x3, (i + j) % 3 = 0 AS b FROM generate_series(1, 10000) i, generate_series(1, 10000) j';
	my $train = "SELECT version FROM ml_train('one', 't', 'y', 'ridge'); SELECT version FROM ml_train('m', '$endless', 'b', 'logistic')";
	my ($in, $out, $err) = ('', '', '');
	my $h = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'),
		'-c', "SET maintenance_work_mem = '1MB'; SET max_parallel_workers_per_gather = $workers", '-c', "BEGIN; $train" ], \$in, \$out, \$err);
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM ml.progress, pg_ls_tmpdir() WHERE rows > 50000 AND size > 0)") or die "the training does not run: $err";
	my $pid = $node->safe_psql('postgres', 'SELECT pid FROM ml.progress');
	kill 'KILL', $pid;
	eval { IPC::Run::finish($h) };
	MlVerify::wait_for_restart($node);
	is($node->safe_psql('postgres', "SELECT sum(ml_predict('one', t)), sum((ml_probabilities('two', t)->>'a')::float8), sum(ml_predict('three', t)) FROM t"),
		$before, "after a kill ($workers workers) the models predict what they predicted");
	is($node->safe_psql('postgres', 'SELECT * FROM ml_verify()'), '', 'and nothing is broken');
	is($node->safe_psql('postgres', "SELECT count(*), (SELECT count(*) FROM ml.progress), (SELECT count(*) FROM pg_ls_tmpdir()),
		(SELECT count(*) FROM ml.versions WHERE model = 'one') FROM ml.models WHERE model = 'm'"), '0|0|0|1', 'and nothing of the training is left');
	is($node->safe_psql('postgres', "SELECT version FROM ml_train('after$workers', 't', 'y', 'linear')"), '1', 'trainings go on');
}
$node->stop;
is(join(' ', glob($node->data_dir . '/base/pgsql_tmp/*')), '', 'no temporary file is left');
done_testing();
