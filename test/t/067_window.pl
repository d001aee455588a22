# What sessions predict in the moment in which snapshots already see another session's commit, but its messages have
# not come yet, and after it.  window.c keeps the committer there as long as the test looks.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $work = PostgreSQL::Test::Utils::tempdir_short;
my ($include, $cc) = map { chomp(my $line = `$ENV{PG_CONFIG} --$_`); $line } qw(includedir-server cc);
system_or_bail(split(' ', $cc), '-shared', '-fPIC', "-I$include", '-o', "$work/window.so", 'test/t/window.c');

my $node = PostgreSQL::Test::Cluster->new('window');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nautovacuum = off\n");
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Version k predicts 10 k.
sql(q{CREATE EXTENSION ml_ext;
	CREATE TABLE ten AS SELECT 10::float8 AS x, 'm' AS name;
	CREATE FUNCTION learn(model text, k int) RETURNS int LANGUAGE sql AS $$
		SELECT version FROM ml_train(model, format('SELECT i::float8 AS x, (%s * i)::float8 AS y FROM generate_series(1, 40) i', k), target => 'y', algorithm => 'linear') $$;
	CREATE FUNCTION asked() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN round(ml_predict('m', '{"x": 10}'::jsonb)::numeric, 3); END $$;
	SELECT learn('m', 1);});

# Everybody has predicted before, so that something is remembered; `transaction`, `repeatable` and `cursor` are in a transaction.
my %begin = (plain => '', transaction => 'BEGIN;', repeatable => 'BEGIN ISOLATION LEVEL REPEATABLE READ;', cursor => 'BEGIN;');
my %session = map { $_ => $node->background_psql('postgres', on_error_stop => 0) } keys %begin;
my %query = (
	constant => q{SELECT round(ml_predict('m', t)::numeric, 3) FROM ten t;},
	prepared => 'EXECUTE p;',
	name => q{SELECT round(ml_predict(name, t)::numeric, 3) FROM ten t;},
	plpgsql => 'SELECT asked();',
	version => q{SELECT round(ml_predict('m@1', t)::numeric, 3) FROM ten t;},
	alias => q{SELECT round(ml_predict('m@prod', t)::numeric, 3) FROM ten t;});

sub ask
{
	my ($who, $query) = @_;
	my $session = $session{$who};
	$session->query('SAVEPOINT s;') if $begin{$who} ne '';
	my $got = $session->query($query);
	if ($session->{stderr} =~ /ERROR: *(.*)/) { $got = $1; $session->query('ROLLBACK TO s;') if $begin{$who} ne ''; }
	$session->{stderr} = '';
	return $got;
}
sub start
{
	foreach my $who (keys %session)
	{
		$session{$who}->query("ROLLBACK;") if $begin{$who} ne '';
		$session{$who}->{stderr} = '';
		$session{$who}->query("DEALLOCATE ALL; SET plan_cache_mode = force_generic_plan; PREPARE p AS $query{constant}; $begin{$who}");
		ask($who, $query{$_}) foreach sort keys %query;
	}
	$session{cursor}->query(q{DECLARE c CURSOR FOR SELECT round(ml_predict('m', t)::numeric, 3) FROM ten t, generate_series(1, 9); FETCH 1 FROM c;});
}

# Runs the change, calls the function while its commit is held, and ends it.
sub hold
{
	my ($change, $look) = @_;
	my ($file, $in, $out) = ("$work/hold", '', '');
	append_to_file($file, '');
	my $committer = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', "LOAD '$work/window.so'",
		'-c', "SET commit_window.file = '$file'", '-c', $change ], \$in, '>&', \$out);
	for (1 .. 1800) { last if -e "$file.open"; usleep(100_000); }
	ok(-e "$file.open", "the commit is held: $change") or diag($out);
	$look->();
	unlink $file, "$file.open";
	IPC::Run::finish($committer);
	return;
}

# Runs the change, and looks while its commit is held, and again after it.  Once the message has come, a name never
# means a model that is dropped, whatever the snapshot; `after` is what it means then under the old one,
# but in an expression of PL/pgSQL, which keeps what it has found as long as the snapshot is the same.
sub change
{
	my ($what, $change, $wanted, $old, %also) = @_;
	my @queries = @{ $also{queries} // [ qw(constant prepared name plpgsql) ] };
	my $old_name = $old;
	start();
	my $look = sub {
		my ($when) = @_;
		foreach my $query (@queries)
		{
			is(ask('plain', $query{$query}), $wanted, "$what: $query, $when");
			is(ask('transaction', $query{$query}), $wanted, "... in an open transaction");
			is(ask('repeatable', $query{$query}), $query eq 'plpgsql' ? $old : $old_name, "... under the snapshot of before");
		}
		is(ask('cursor', 'FETCH 1 FROM c;'), $old, "$what: an open cursor, $when") if !$also{queries};
	};
	hold($change, sub { $look->('while its message is on the way'); });
	$old_name = $also{after} // $old;
	$look->('after it');
	return;
}

change('a new version', q{SELECT learn('m', 2)}, '20.000', '10.000');
change('promotion', q{SELECT ml_promote('m', 1)}, '10.000', '20.000');
change('rollback', q{SELECT ml_rollback('m')}, '20.000', '10.000');
change('another model of that name', q{BEGIN; SELECT ml_drop('m'); SELECT learn('m', 5); COMMIT}, '50.000', '20.000', after => '50.000');
sql(q{SELECT learn('n', 7)});
change('models that exchange names', q{BEGIN; SELECT ml_rename('m', 'o'); SELECT ml_rename('n', 'm'); COMMIT}, '70.000', '50.000', after => '70.000');
sql(q{SELECT ml_drop('m'); SELECT ml_rename('o', 'm')});

# Privileges: a grant that is seen counts; one that is revoked is gone when the message has come, also for an
# expression of PL/pgSQL that finds the snapshot of the moment before again.
{
	my $missing = 'model "m" does not exist';
	sql('CREATE ROLE reader; GRANT SELECT ON ten TO reader');
	$session{$_}->query('ROLLBACK;') foreach grep { $begin{$_} ne '' } keys %session;
	$session{$_}->query('SET ROLE reader;') foreach keys %session;
	$session{transaction}->query('BEGIN;');
	is(ask('plain', $query{constant}), $missing, 'no privilege');
	is(ask('transaction', $query{plpgsql}), $missing, '... in PL/pgSQL');
	hold(q{SELECT ml_grant('m', 'reader', 'predict')}, sub {
		is(ask('plain', $query{constant}), '50.000', 'a grant that is seen');
		is(ask('transaction', $query{plpgsql}), '50.000', '... in PL/pgSQL');
	});
	$session{repeatable}->query('BEGIN ISOLATION LEVEL REPEATABLE READ;');
	is(ask('repeatable', $query{plpgsql}), '50.000', '... under one snapshot');
	hold(q{SELECT ml_revoke('m', 'reader', 'predict')}, sub { ask($_, $query{plpgsql}) foreach qw(transaction repeatable); });
	is(ask('plain', $query{constant}), $missing, 'revoked');
	is(ask('transaction', $query{plpgsql}), $missing, '... in PL/pgSQL');
	is(ask('repeatable', $query{plpgsql}), $missing, '... under one snapshot');
	$session{$_}->query('ROLLBACK;') foreach qw(transaction repeatable);
	$session{$_}->query('RESET ROLE;') foreach keys %session;
}

# Own changes that are rolled back to a savepoint leave the numbers of the snapshot as they are.
sql(q{SELECT learn('m', 8)});
foreach my $query (qw(constant name plpgsql))
{
	my $one = $session{plain};
	$one->query('BEGIN ISOLATION LEVEL REPEATABLE READ;');
	is($one->query($query{$query}), '80.000', "$query: before the savepoint");
	$one->query(q{SAVEPOINT s; SELECT ml_promote('m', 1);});
	is($one->query($query{$query}), '50.000', '... behind it');
	$one->query('ROLLBACK TO s;');
	is($one->query($query{$query}), '80.000', '... and rolled back');
	$one->query('ROLLBACK;');
}

# One statement asks for 'm' before and after another session has given the name away.
sql(q{SELECT learn('n', 9); SELECT learn('between', 1); CREATE TABLE asking AS SELECT i, 10::float8 AS x, (ARRAY['m', 'between', 'm'])[i] AS name FROM generate_series(1, 3) i;
	CREATE FUNCTION pause(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF i = 2 THEN PERFORM pg_advisory_xact_lock(67); END IF; RETURN i; END $$;});
foreach my $change (q{SELECT ml_rename('m', 'o'); SELECT ml_rename('n', 'm')}, q{SELECT ml_drop('m')})
{
	my ($in, $out) = ('', '');
	my $wanted = sql('SELECT round(ml_predict(name, t)::numeric, 3) FROM asking t WHERE i = 1');
	$session{transaction}->query('BEGIN; SELECT pg_advisory_xact_lock(67);');
	my $asking = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{SELECT pause(i), round(ml_predict(name, t)::numeric, 3) FROM asking t} ], \$in, '>&', \$out);
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) or die 'nobody waits';
	sql("BEGIN; $change; COMMIT");
	$session{transaction}->query('COMMIT;');
	IPC::Run::finish($asking);
	is(join(' ', $out =~ /^[13]\|(.*)$/mg), "$wanted $wanted", "one statement means one model: $change");
	sql(q{SELECT learn('n', 4)});
}
sql(q{SELECT learn('m', 5)});
sql(q{SELECT learn('m', 6); SELECT ml_set_alias('m', 'prod', 2)});
change('an alias', q{SELECT ml_set_alias('m', 'prod', 1)}, '50.000', '60.000', queries => ['alias']);
change('a version that is dropped', q{SELECT ml_set_alias('m', 'prod', NULL); SELECT ml_drop('m', 1)}, 'model "m" has no version 1', '50.000', queries => ['version']);
change('a model that is dropped', q{SELECT ml_drop('m')}, 'model "m" does not exist', '60.000', after => 'model "m" does not exist');
$_->quit foreach values %session;
done_testing();
