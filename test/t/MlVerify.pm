# Loaded by test/run before every TAP test: whenever a test stops a server, and for those that still
# run at its end, ml_verify must find nothing in any database with the extension.  A test that leaves
# a server broken on purpose says so: $node->{ml_broken} = 1.
package MlVerify;
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();
use Test::More ();
use Time::HiRes ();

my @nodes;

sub verify
{
	my ($node) = @_;
	return if $node->{ml_broken} || !defined $node->{_pid};
	my ($status, $databases) = $node->psql('postgres', 'SELECT datname FROM pg_database WHERE datallowconn');
	return if $status != 0;		# stopped or recovering from a crash of the test's making
	for my $database (split /\n/, $databases)
	{
		my (undef, $call) = $node->psql($database, q{SELECT format('SELECT * FROM %s.ml_verify()', extnamespace::regnamespace)
			FROM pg_extension WHERE extname = 'ml_ext'});
		next if $call eq '';
		my (undef, $out, $err) = $node->psql($database, "SET client_min_messages = error; $call");
		Test::More::fail("ml_verify finds in database $database of " . $node->name . ": $out$err") if "$out$err" ne '';
	}
	return;
}

# Waits until the server has started again after a process of it was killed.  (poll_query_until dies when psql, refused, is gone
# before it was given the query.)
sub wait_for_restart
{
	my ($node) = @_;
	my $wanted = ++$node->{ml_restarts};
	for (1 .. 1800)
	{
		my $restarts = () = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /all server processes terminated; reinitializing/g;
		return if $restarts >= $wanted && system('pg_isready', '-q', '-d', $node->connstr('postgres')) == 0;
		Time::HiRes::usleep(100_000);
	}
	die 'the server did not start again';
}

{
	no warnings 'redefine';
	my $new = \&PostgreSQL::Test::Cluster::new;
	my $stop = \&PostgreSQL::Test::Cluster::stop;
	my $done = \&Test::More::done_testing;

	*PostgreSQL::Test::Cluster::new = sub { my $node = $new->(@_); push @nodes, $node; return $node; };
	*PostgreSQL::Test::Cluster::stop = sub { verify($_[0]); goto &$stop; };
	*Test::More::done_testing = sub { verify($_) for @nodes; goto &$done; };
}

1;
