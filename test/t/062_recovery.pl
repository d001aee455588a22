# Models after a kill of the whole server in every step of what changes them, and at random moments;
# after recovery to a point in time; values of models through logical replication.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# ---- kills ----

my $node = PostgreSQL::Test::Cluster->new('killed');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nmaintenance_work_mem = 1MB\nmax_connections = 60\n");
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Each model predicts 10 k for x = 10, where k stands in the source of the version that predicts.
sql(q{CREATE EXTENSION ml_ext;
	CREATE TABLE t AS SELECT i, i::float8 AS x, i::float8 AS y FROM generate_series(1, 60) i;
	CREATE TABLE ten AS SELECT 10::float8 AS x, 100::float8 AS y;
	CREATE TABLE spill AS SELECT i, sin(i) AS x, cos(i * 1.7) AS z, sin(i) * 2 + mod(i * 31, 97) / 50.0::float8 AS y FROM generate_series(1, 60000) i;
	CREATE FUNCTION learn(model text, k int, algorithm text DEFAULT 'linear') RETURNS int LANGUAGE sql AS $$
		SELECT version FROM ml_train(model, format('SELECT x, %s * y + %s AS y FROM t', k, CASE model WHEN 'forget' THEN 'i % 3' ELSE '0' END), target => 'y', algorithm => algorithm,
			params => CASE algorithm WHEN 'linear' THEN '{"keep_state": true}'::jsonb END) $$;
	CREATE FUNCTION wait_here() RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN 1; END $$;
	CREATE TABLE document (d text);});

my %change = (
	train => q{SELECT learn('train', 2)},
	create => q{SELECT learn('new', 2)},
	tree => q{SELECT learn('tree', 2, 'decision_tree')},
	promote => q{SELECT ml_promote('promote', 1)},
	rollback => q{SELECT ml_rollback('rollback')},
	retrain => q{SELECT version FROM ml_retrain('retrain', promote => 'always')},
	challenge => q{SELECT version FROM ml_retrain('challenge', promote => 'never')},
	update => q{SELECT version FROM ml_update('update', 'SELECT x, 5 * y AS y FROM t WHERE i < 9')},
	forget => q{SELECT version FROM ml_forget('forget', 'SELECT x, 3 * y + i % 3 AS y FROM t WHERE i IN (30, 31)', others => 'drop')},
	import => q{SELECT version FROM ml_import('import', (SELECT d FROM document))},
	dropped => q{SELECT ml_drop('dropped')},
	one => q{SELECT ml_drop('one', 1)},
	retain => q{SELECT ml_retain('retain', keep => 1)},
	archive => q{SELECT ml_archive('archive', 1)},
	alias => q{SELECT ml_set_alias('alias', 'prod', 1)},
	rename => q{SELECT ml_rename('rename', 'renamed')},
	grant => q{SELECT ml_grant('grant', 'public', 'predict')},
	monitor => q{SELECT count(*) FROM ml_monitor('monitor', 't')},
	log_on => q{SELECT ml_log_predictions('log_on', 1)},
	spill => q{SELECT version FROM ml_train('spill', 'SELECT x, z, y, CASE WHEN i = 55000 THEN wait_here() ELSE sin(i) END AS w FROM spill',
		target => 'y', algorithm => 'ridge', params => '{"l2": 1}', split_by => 'x')});
for my $name (grep { $_ ne 'create' } sort keys %change)
{
	my $algorithm = $name eq 'tree' ? 'decision_tree' : 'linear';
	sql("SELECT learn('$name', 1, '$algorithm'), learn('$name', 4, '$algorithm'), learn('$name', 3, '$algorithm')");
}
sql(q{INSERT INTO document SELECT ml_export('train', 'ml')});

# All that is known of models, and the bits they predict.
my $state = q{SELECT m.name, m.current_version, m.last_version, m.history, v.version, v.archived_at, v.comment, v.stale, a.alias,
		encode(float8send(ml_predict(m.name || '@' || v.version, t)), 'hex'), encode(float8send(ml_predict(m.name, t)), 'hex')
	FROM ml.model m JOIN ml.version v USING (model_id) LEFT JOIN ml.alias a USING (model_id, version), ten t ORDER BY 1, 5, 9;
	SELECT * FROM ml.privileges; SELECT version_id, md5(state) FROM ml.training_state ORDER BY 1; SELECT count(*) FROM ml.monitoring;
	SELECT * FROM ml.prediction_log_setting; SELECT audit_id, action, model, version, detail FROM ml.audit ORDER BY 1};

sub temporary_files { return scalar grep { -f } glob $node->data_dir . '/base/pgsql_tmp/*'; }

# The postmaster and all its children at once; then recovery.
sub kill_server
{
	my $postmaster = $node->{_pid};
	my @pids = ($postmaster, split ' ', `ps -o pid= --ppid $postmaster`);
	kill 'KILL', @pids;
	$node->{_pid} = undef;
	for (1 .. 200) { last if !grep { kill 0, $_ } @pids; usleep(20_000); }
	$node->start;
	return;
}

sub start_psql
{
	my ($in, $out) = ('', '');
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), map { ('-c', $_) } @_ ], \$in, '>&', \$out);
}

# Runs everything at once while a lock keeps it from a step, and kills the server when all wait: there, or
# before their commit. `there` says which must wait for the lock.
sub crash
{
	my ($step, $lock, @there) = @_;
	my $before = sql($state);
	my $holder = start_psql('BEGIN', 'SELECT pg_advisory_xact_lock(7), pg_advisory_xact_lock(8)', $lock ? "LOCK TABLE $lock MODE" : 'SELECT 1', 'SELECT pg_sleep(100)');
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'});
	my @run = map { start_psql("SET application_name = '$_'", 'BEGIN', $change{$_}, 'SELECT pg_advisory_xact_lock(8)') } sort keys %change;
	my $all = keys %change;
	my $waiting = $node->poll_query_until('postgres', qq{SELECT count(*) = $all FROM pg_stat_activity WHERE wait_event_type = 'Lock'});
	ok($waiting, "all wait: $step") or diag(sql(q{SELECT application_name, state, wait_event, query FROM pg_stat_activity}));
	is(sql(q{SELECT string_agg(application_name, ' ' ORDER BY application_name COLLATE "C") FROM pg_stat_activity WHERE wait_event = 'relation'}) || '',
		join(' ', sort @there), '... those that come by') if $lock;
	sql('CHECKPOINT');			# what is half done is on disk
	cmp_ok(temporary_files(), '>', 0, '... with rows in temporary files');
	kill_server();
	eval { $_->finish } for @run, $holder;
	is(sql($state), $before, '... everything is as it was');
	is(sql('SELECT * FROM ml_verify()'), '', '... and nothing broken');
	is(temporary_files(), 0, '... and no file left');
	return;
}

my @all = grep { $_ ne 'spill' } keys %change;
my @training = qw(train create tree retrain challenge update forget import);
crash('reading rows', 't IN ACCESS EXCLUSIVE', qw(train create tree retrain challenge update forget monitor));
crash('locking the model', 'ml.model IN EXCLUSIVE', @all);
crash('adding or removing a version', 'ml.version IN SHARE', @training, qw(one retain archive dropped));
crash('keeping the sums', 'ml.training_state IN SHARE', qw(train create retrain challenge update forget one retain dropped));
crash('promoting', 'ml.model IN SHARE', grep { $_ !~ /^(grant|alias|monitor|log_on)$/ } @all);
crash('naming the version', 'ml.alias IN SHARE', qw(challenge forget alias dropped promote retrain rollback));
crash('writing the audit', 'ml.audit_log IN SHARE', grep { $_ ne 'monitor' } @all);
crash('writing what was found', 'ml.monitoring_row IN SHARE', qw(monitor dropped));
crash('before the commit', '');

# What was committed stays, even if the server dies at once.
my @run = map { start_psql($change{$_}) } grep { $_ ne 'spill' } sort keys %change;
$_->finish for @run;
kill_server();
is(sql(q{SELECT string_agg(name || ' ' || current_version || ' ' || last_version, ', ' ORDER BY name COLLATE "C") FROM ml.model}),
	'alias 3 3, archive 3 3, challenge 3 4, forget 4 4, grant 3 3, import 4 4, log_on 3 3, monitor 3 3, new 1 1, one 3 3, '
	  . 'promote 1 3, renamed 3 3, retain 3 3, retrain 4 4, rollback 2 3, spill 3 3, train 4 4, tree 4 4, update 4 4', 'what was committed is there');
is(sql('SELECT count(*) FROM ml.versions'), '56', '... with the versions that are left');
is(sql('SELECT * FROM ml_verify()'), '', '... and nothing broken');

# At random moments.
my $script = $node->basedir . '/changes.sql';
append_to_file($script, q{\set m random(1, 4)
\set k random(1, 9)
\set what random(1, 9)
\if :what <= 2
SELECT learn('r:m', :k);
\elif :what = 3
SELECT version FROM ml_retrain('r:m', format('SELECT x, %s * y AS y FROM t', :k), promote => 'always');
\elif :what = 4
SELECT version FROM ml_retrain('r:m', format('SELECT x, %s * y AS y FROM t', :k), promote => 'never');
\elif :what = 5
SELECT ml_rollback('r:m');
\elif :what = 6
SELECT ml_promote('r:m@challenger');
\elif :what = 7
SELECT ml_retain('r:m', keep => 3);
\elif :what = 8
SELECT ml_drop('r:m', version) FROM ml.versions WHERE model = 'r:m' AND NOT is_current AND aliases = '{}' ORDER BY version LIMIT 1;
\else
BEGIN; SELECT learn('r:m', :k); SELECT ml_rollback('r:m'); ROLLBACK;
\endif
} =~ s/r:m'/r' || :m/gr);
sql("SELECT learn('r' || i, 1), learn('r' || i, 2) FROM generate_series(1, 4) i");
for my $round (1 .. 4)
{
	my ($in, $out) = ('', '');
	my @pgbench = map { IPC::Run::start([ 'bash', '-c', 'while pgbench -n -c 1 -T 20 -f "$0" "$1" || pg_isready -q; do :; done', $script, $node->connstr('postgres') ], \$in, '>&', \$out) } 1 .. 4;
	usleep(300_000 + rand 900_000);
	kill_server();
	$_->kill_kill for @pgbench;
	is(sql(q{SELECT m.name, m.current_version, v.source, ml_predict(m.name, t) FROM ml.model m JOIN ml.version v ON v.model_id = m.model_id AND v.version = m.current_version, ten t
		WHERE m.name ~ '^r[1-4]' AND round(ml_predict(m.name, t)::numeric, 6) IS DISTINCT FROM 10 * substring(v.source, '(\d+) \* y')::numeric}), '',
		"killed at some moment ($round): every champion predicts what it learned");
	is(sql('SELECT * FROM ml_verify()'), '', '... and nothing is broken');
	is(temporary_files(), 0, '... and no file left');
}
note(sql(q{SELECT 'changes at random moments: ' || string_agg(action || ' ' || n, ', ') FROM (SELECT action, count(*) AS n FROM ml.audit WHERE model ~ '^r[1-4]' GROUP BY 1) a}));
$node->stop;

# ---- recovery to a point in time ----

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical', has_archiving => 1);
$primary->append_conf('postgresql.conf', "client_min_messages = error\n");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION ml_ext; CREATE TABLE t AS SELECT 10::float8 AS x');
$primary->backup('base');

sub train
{
	my ($k) = @_;
	return $primary->safe_psql('postgres', qq{
		SELECT version FROM ml_train('m', 'SELECT i::float8 AS x, ($k * i)::float8 AS y FROM generate_series(1, 40) i',
			target => 'y', algorithm => 'linear')});
}

my $predict = q{SELECT round(ml_predict('m', t)::numeric, 6) FROM t};
is(train(1), '1', 'trained');
is(train(2), '2', 'trained again');
$primary->safe_psql('postgres', q{SELECT ml_promote('m', 1); SELECT pg_create_restore_point('before')});
$primary->safe_psql('postgres', q{SELECT ml_drop('m'); SELECT pg_switch_wal()});
is(train(3), '1', 'dropped and trained anew');
is($primary->safe_psql('postgres', $predict), '30.000000', 'what came later');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');

my $recovered = PostgreSQL::Test::Cluster->new('recovered');
$recovered->init_from_backup($primary, 'base', has_restoring => 1);
$recovered->append_conf('postgresql.conf', "recovery_target_name = 'before'\nrecovery_target_action = 'promote'\n");
$recovered->start;
$recovered->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery did not end';
is($recovered->safe_psql('postgres', $predict), '10.000000', 'the champion of that moment');
is($recovered->safe_psql('postgres', q{SELECT string_agg(version || ' ' || is_current, ', ' ORDER BY version) FROM ml.versions}),
	'1 true, 2 false', 'both versions');
is($recovered->safe_psql('postgres', q{SELECT string_agg(action, ', ' ORDER BY audit_id) FROM ml.audit}),
	'train, train, promote', 'the audit up to then');
is($recovered->safe_psql('postgres', 'SELECT count(*) FROM ml_verify()'), '0', 'nothing is broken');
is($recovered->safe_psql('postgres', q{SELECT version FROM ml_train('m', 'SELECT i::float8 AS x, (4 * i)::float8 AS y
	FROM generate_series(1, 40) i', target => 'y', algorithm => 'linear')}), '3', 'training goes on from there');
$recovered->stop;

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', "client_min_messages = error\n");
$subscriber->start;
my $table = 'CREATE TABLE shipped_model (name text PRIMARY KEY, model ml_model)';
$subscriber->safe_psql('postgres', "CREATE EXTENSION ml_ext; CREATE TABLE t AS SELECT 10::float8 AS x; $table");
my $ship = q{INSERT INTO shipped_model SELECT m.name, v.model FROM ml.model m JOIN ml.version v ON v.model_id = m.model_id
	AND v.version = m.current_version ON CONFLICT (name) DO UPDATE SET model = excluded.model};
$primary->safe_psql('postgres', "$table; $ship; CREATE PUBLICATION models FOR TABLE shipped_model");
my $connection = $primary->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION models CONNECTION '$connection' PUBLICATION models");
$subscriber->wait_for_subscription_sync($primary, 'models');
my $by_value = q{SELECT round(ml_predict(s.model, t)::numeric, 6) FROM shipped_model s, t};
is($subscriber->safe_psql('postgres', $by_value), '30.000000', 'the subscriber predicts with the copied value');
train(5);
$primary->safe_psql('postgres', $ship);
$primary->wait_for_catchup('models');
is($subscriber->safe_psql('postgres', $by_value), '50.000000', 'and follows');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION models');

$subscriber->stop;
$primary->stop;
done_testing();
