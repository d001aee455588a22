# Models after recovery to a point in time; values of models through logical replication.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

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
