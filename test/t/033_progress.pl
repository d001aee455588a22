# ml.progress shows a running training to other sessions: to its own role, to pg_read_all_stats and to superusers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nlog_min_messages = panic\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION ml_ext;
CREATE ROLE trainer LOGIN;
CREATE ROLE stranger LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
SQL

my $source = 'SELECT sin(i) AS x1, cos(j) AS x2, (i + j) % 3 = 0 AS b FROM generate_series(1, 10000) i, generate_series(1, 10000) j';
my ($in, $out, $err) = ('', '', '');
my $h = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . ' user=trainer',
	'-c', "SELECT version FROM ml_train('m', '$source', 'b', 'logistic')" ], \$in, \$out, \$err);
ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM ml.progress WHERE command = 'train' AND phase = 'reading rows' AND rows > 10000)"),
	'a superuser sees command, phase and rows');
sub sees { return $node->safe_psql('postgres', $_[1], extra_params => [ '-U', $_[0] ]); }
my $question = "SELECT count(*) FROM ml.progress WHERE phase = 'reading rows' AND rows > 0 AND datname = 'postgres'";
is(sees('trainer', $question), '1', 'so does the role that trains, from another session');
is(sees('watcher', $question), '1', 'and one that may read all statistics');
is(sees('stranger', $question), '0', 'but no other role');
is(sees('stranger', "SELECT count(*) FROM ml.progress WHERE phase IS NOT NULL OR rows IS NOT NULL OR elapsed IS NOT NULL"),
	'0', 'which learns nothing at all');
ok($node->safe_psql('postgres', "SELECT elapsed >= interval '0' AND elapsed < interval '10 minutes' FROM ml.progress"), 'elapsed is a time');
my $rows = $node->safe_psql('postgres', 'SELECT rows FROM ml.progress');
ok($node->poll_query_until('postgres', "SELECT rows > $rows FROM ml.progress"), 'rows go on');
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(pid) FROM ml.progress');
IPC::Run::finish($h);
like($err, qr/canceling statement due to user request/, 'it is cancelled');
is($node->safe_psql('postgres', 'SELECT count(*) FROM ml.progress'), '0', 'and no longer shown');
$node->stop;
done_testing();
