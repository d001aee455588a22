# Training, prediction and moving through a real driver: psycopg2 (Debian python3-psycopg2, /usr/bin/python3).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION ml_ext; CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION ml_ext');

my ($out, $err) = run_command([ '/usr/bin/python3', 'test/t/clients_psycopg2.py', $node->connstr('postgres'), $node->connstr('other') ]);
my @lines = split /\n/, $out;
is(scalar @lines, 9, 'the client ran to its end') or diag("$out\n$err");
foreach my $line (@lines)
{
	my ($ok, $what) = $line =~ /^(ok|not ok) (.*)$/;
	is($ok, 'ok', "psycopg2: $what");
}

$node->stop;
done_testing();
