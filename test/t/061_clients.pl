# The same short job through the drivers that people use (test/clients, docs/clients.md): train, score with bound
# parameters in a prepared statement, read a prediction view and jsonb, get an error with its SQLSTATE, cancel a
# training; the numbers are psql's to the last bit.  A driver that is missing is skipped, unless ML_TEST_CLIENTS, which
# ./check sets, names a package of it.  At the end moving between databases with psycopg2.
use strict;
use warnings;
use File::Temp qw(tempdir);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $python = '/usr/bin/python3';
my $jar = '/usr/share/java/postgresql.jar';
my $folder = tempdir(CLEANUP => 1);
# What R's driver says of an error: no SQLSTATE.
my %plain = (error => qr/^ERROR:  model "missing" does not exist$/, cancel => qr/^ERROR:  canceling statement due to statement timeout$/);
my @clients = (
	{ name => 'psql', probe => [ 'psql', '-V' ], run => [ 'bash', 'test/clients/psql.sh' ], packages => [] },
	{ name => 'psycopg2', probe => [ $python, '-c', 'import psycopg2' ], run => [ $python, 'test/clients/psycopg2_client.py' ],
		packages => ['python3-psycopg2'], types => 'int str Decimal float bool' },
	{ name => 'psycopg', probe => [ $python, '-c', 'import psycopg' ], run => [ $python, 'test/clients/psycopg_client.py' ],
		packages => ['python3-psycopg'], types => 'int str Decimal float bool' },
	{ name => 'JDBC', probe => [ 'sh', '-c', "javac -version && test -e $jar" ], run => [ 'java', '-cp', $jar, 'test/clients/Jdbc.java' ],
		packages => [ 'libpostgresql-jdbc-java', 'default-jdk-headless' ],
		types => 'java.lang.Integer java.lang.String java.math.BigDecimal java.lang.Double java.lang.Boolean' },
	# SQL_INTEGER, SQL_LONGVARCHAR, SQL_NUMERIC, SQL_DOUBLE as SQL_FLOAT, a boolean as SQL_VARCHAR
	{ name => 'ODBC', probe => [ 'sh', '-c', "odbcinst -q -d -n 'PostgreSQL Unicode' && echo '#include <sqlext.h>' | gcc -E - -o $folder/probe" ],
		build => [ 'gcc', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-o', "$folder/odbc", 'test/clients/odbc.c', '-lodbc', '-lpthread' ],
		run => ["$folder/odbc"], packages => [ 'odbc-postgresql', 'unixodbc-dev' ], types => '4 -1 2 6 12' },
	{ name => 'node', probe => [ 'node', '-e', 'require("pg")' ], run => [ 'node', 'test/clients/node.js' ], packages => ['node-pg'],
		types => 'number string string number boolean' },
	{ name => 'R', probe => [ 'Rscript', '-e', 'library(RPostgreSQL)' ], run => [ 'Rscript', 'test/clients/rpostgresql.R' ],
		packages => ['r-cran-rpostgresql'], types => 'integer character numeric numeric logical', plain => 1 });
my %promised = map { $_ => 1 } split ' ', $ENV{ML_TEST_CLIENTS} // '';
my %known = map { $_ => 1 } map { @{ $_->{packages} } } @clients;
is(join(' ', grep { !$known{$_} } sort keys %promised), '', 'ML_TEST_CLIENTS names packages of drivers');

# Clients come as an ordinary role, with a password, over TCP.
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nfsync = off\nlisten_addresses = '127.0.0.1'\n"
	. "password_encryption = 'scram-sha-256'\n");
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf', "local all all trust\nhost all client 127.0.0.1/32 scram-sha-256\n");
$node->start;
my $password = join '', map { ('a' .. 'z')[rand 26] } 1 .. 20;
$node->safe_psql('postgres', "CREATE ROLE client LOGIN PASSWORD '$password'; CREATE DATABASE work OWNER client");
$node->safe_psql('work', 'CREATE EXTENSION ml_ext; GRANT CREATE ON SCHEMA public TO client');
my %server = (PGHOST => '127.0.0.1', PGPORT => $node->port, PGUSER => 'client', PGPASSWORD => $password, PGDATABASE => 'work', HOME => $folder);

# Runs a program as the client; its status, output and errors.
sub run_client
{
	my @command = @_;
	my ($out, $err) = ('', '');
	local @ENV{ keys %server } = values %server;
	my $status = eval { IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(300)) };
	$err .= $@ if $@;
	return ($status, $out, $err);
}

# Lines "key, tab, fields", by key.  What follows on further lines belongs to a message, and is left out.
sub parse
{
	my %lines;
	foreach my $line (split /\n/, $_[0])
	{
		my ($key, @fields) = split /\t/, $line;
		push @{ $lines{$key} }, \@fields if defined $key && $key =~ /^[a-z]+$/;
	}
	return \%lines;
}

sub sql { return $node->safe_psql('work', $_[0]) }

# How many pairs of texts are not the same value; float8 is compared by its bytes.
sub different
{
	my ($type, @pairs) = @_;
	my $compare = $type eq 'float8' ? 'float8send(a::float8) = float8send(b::float8)' : "a::$type = b::$type";
	my $values = join ', ', map { "(\$v\$$_->[0]\$v\$, \$v\$$_->[1]\$v\$)" } @pairs;
	return sql("SELECT count(*) FILTER (WHERE NOT ($compare)) FROM (VALUES $values) t(a, b)");
}

# The numbers of scores, a new row and the view, as one list: what they are of, and the number.
sub numbers
{
	my ($lines) = @_;
	return ((map { [ join(' ', 'score', $_->[0] + 0, $_->[1]), $_->[2] ] } @{ $lines->{score} }),
		(map { [ 'new', $_->[0] ] } @{ $lines->{new} }),
		(map { [ join(' ', 'view', @$_[ 0, 1 ], $_->[2] + 0, $_->[4] =~ /^[t1]/i ? 1 : 0), $_->[3] ] } @{ $lines->{view} }));
}

run_client('psql', '-X', '-q', '-f', 'test/data/load.sql');
my ($status, $out, $err) = run_client('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', 'test/clients/setup.sql');
ok($status, 'the table, a model, a view and a function are there') or diag("$out$err");
my @expected;
my $metrics;

foreach my $client (@clients)
{
	my $name = $client->{name};
	my $demanded = !@{ $client->{packages} } || grep { $promised{$_} } @{ $client->{packages} };
	if (!$demanded && !(run_client(@{ $client->{probe} }))[0])
	{
	  SKIP: { skip "$name: @{ $client->{packages} } not installed", 1 }
		next;
	}
	my $versions = sql("SELECT count(*) FROM ml.versions WHERE model = 'stone'");
	($status, $out, $err) = run_client(@{ $client->{build} }) if $client->{build};
	($status, $out, $err) = run_client(@{ $client->{run} });
	ok($status, "$name: the client ran to its end") or diag("$out\n$err");
	my $lines = parse($out);

	is(join(' ', @{ $lines->{train}[0] // [] }[ 1, 2 ]), 'ridge 2000', "$name: trained with parameters");
	my @numbers = numbers($lines);
	@expected = @numbers if $name eq 'psql';
	$metrics //= $lines->{metrics}[0][0];
	is_deeply([ map { $_->[0] } @numbers ], [ map { $_->[0] } @expected ], "$name: rows of the prepared statement and of the view");
	cmp_ok(scalar @numbers, '>', 500, "$name: many of them");
	is(@numbers == @expected && different('float8', map { [ $numbers[$_][1], $expected[$_][1] ] } 0 .. $#numbers), '0',
		"$name: their predictions are psql's to the last bit");
	is(join(' ', @{ $lines->{types}[0] // [] }), $client->{types}, "$name: columns have their types") if $client->{types};
	is(different('jsonb', [ $lines->{metrics}[0][0] // 'null', $metrics ]), '0', "$name: metrics");
	is(different('float8', [ $lines->{metrics}[0][1], sql("SELECT '$metrics'::jsonb->>'rmse'") ]), '0', "$name: a number out of jsonb")
	  if defined $lines->{metrics}[0][1];
	if ($client->{plain})
	{
		like($lines->{$_}[0][0], $plain{$_}, "$name: $_, by its message") foreach ('error', 'cancel');
	}
	else
	{
		is($lines->{error}[0][0], '42704', "$name: an error has its SQLSTATE");
		like($lines->{error}[0][1], qr/model "missing" does not exist/, "$name: and its message");
		is($lines->{cancel}[0][0], '57014', "$name: a training is cancelled");
		like($lines->{cancel}[0][1], qr/canceling statement due to user request/, "$name: by the client");
	}
	is(sql("SELECT count(*) - $versions FROM ml.versions WHERE model = 'stone'"), '1', "$name: one more version, none of the cancelled training");
}
is(sql('SELECT count(*) FROM ml.progress'), '0', 'no training is left');

# The page shows parts of these files.
my %files = (sh => 'psql.sh', python => 'psycopg_client.py psycopg2_client.py', java => 'Jdbc.java', c => 'odbc.c', js => 'node.js', r => 'rpostgresql.R');
my $page = slurp_file('docs/clients.md');
my $shown = 0;
while ($page =~ /^```(\w+)\n(.*?)^```/msg)
{
	my ($language, $block) = ($1, $2);
	next unless $files{$language};
	my $squeeze = sub { join "\n", map { s/^\s+//r } split /\n/, $_[0] };
	my $all = join "\n", map { $squeeze->(slurp_file("test/clients/$_")) } split / /, $files{$language};
	ok(index($all, $squeeze->($block)) >= 0, 'docs/clients.md shows what was run: ' . ($block =~ /^\s*(.*)/)[0]);
	$shown++;
}
cmp_ok($shown, '>=', 6, 'an example for each client');

SKIP:
{
	skip 'psycopg2: python3-psycopg2 not installed, nothing moved with it', 1
	  unless $promised{'python3-psycopg2'} || (run_client($python, '-c', 'import psycopg2'))[0];
	$node->safe_psql('postgres', 'CREATE EXTENSION ml_ext; CREATE DATABASE other');
	$node->safe_psql('other', 'CREATE EXTENSION ml_ext');
	($out, $err) = run_command([ $python, 'test/t/clients_psycopg2.py', $node->connstr('postgres'), $node->connstr('other') ]);
	my @lines = split /\n/, $out;
	is(scalar @lines, 9, 'the client ran to its end') or diag("$out\n$err");
	foreach my $line (@lines)
	{
		my ($ok, $what) = $line =~ /^(ok|not ok) (.*)$/;
		is($ok, 'ok', "psycopg2: $what");
	}
}

$node->stop;
done_testing();
