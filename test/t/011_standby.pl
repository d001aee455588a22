# A standby predicts with what the primary has committed, in sessions that were open before.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "client_min_messages = error\n");
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub train
{
	my ($k) = @_;
	return $primary->safe_psql('postgres', qq{
		SELECT version FROM ml_train('m', 'SELECT i::float8 AS x, ($k * i)::float8 AS y FROM generate_series(1, 40) i',
			target => 'y', algorithm => 'linear')});
}

$primary->safe_psql('postgres', 'CREATE EXTENSION ml_ext; CREATE TABLE t AS SELECT 10::float8 AS x');
is(train(1), '1', 'trained');
$primary->wait_for_catchup($standby);

my $session = $standby->background_psql('postgres', on_error_stop => 0);

sub ask
{
	my ($query) = @_;
	return scalar $session->query($query);
}

ask(q{PREPARE p AS SELECT round(ml_predict('m', t)::numeric, 6) FROM t});
is(ask('EXECUTE p'), '10.000000', 'the standby predicts');
is(train(2), '2', 'trained again');
$primary->wait_for_catchup($standby);
is(ask('EXECUTE p'), '20.000000', 'an open session follows');
$primary->safe_psql('postgres', q{SELECT ml_promote('m', 1)});
$primary->wait_for_catchup($standby);
is(ask('EXECUTE p'), '10.000000', 'and follows back');
$primary->safe_psql('postgres', q{SELECT ml_drop('m')});
$primary->wait_for_catchup($standby);
is(ask('EXECUTE p'), '', 'a dropped model is gone');
is(ask(q{SELECT count(*) FROM ml.models}), '0', 'in the views too');
my ($ret, $stdout, $stderr) = $standby->psql('postgres', q{SELECT ml_drop('m')});
like($stderr, qr/model "m" does not exist/, 'says that it does not exist');
train(3);
$primary->wait_for_catchup($standby);
my $payload = q{SELECT ml_export('m', 'ml')::jsonb->>'payload'};
is($standby->safe_psql('postgres', $payload), $primary->safe_psql('postgres', $payload), 'a model can be exported there');
($ret, $stdout, $stderr) = $standby->psql('postgres', q{SELECT ml_drop('m')});
like($stderr, qr/read-only transaction|during recovery/, 'nothing can be changed there');

$session->quit;
$standby->stop;
$primary->stop;
done_testing();
