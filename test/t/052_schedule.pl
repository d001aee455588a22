# Retraining by pg_cron: a job of an ordinary role fires, retrains after the data have drifted,
# and leaves its trace; what is written into a job is data; a job whose model is gone ends itself.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\n");
$node->start;
my $sharedir = `$ENV{PG_CONFIG} --sharedir`;
chomp $sharedir;

$node->safe_psql('postgres', q{
	CREATE EXTENSION ml_ext;
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
	GRANT CREATE ON SCHEMA public TO alice;
});
sub as
{
	my ($role, $sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return $status == 0 ? $out : $err;
}
as('alice', q{
	CREATE TABLE "t'; DROP" AS SELECT i, sin(i)::float8 AS x, (2 * sin(i) + cos(i * 7) / 10)::float8 AS y FROM generate_series(1, 500) i;
	SELECT ml_train('it''s', '"t''; DROP"', target => 'y', algorithm => 'linear', exclude => '{i}');
});
like(as('alice', q{SELECT ml_schedule('it''s', '* * * * *')}), qr/extension "pg_cron" is not installed.*HINT/s, 'without pg_cron');
is(as('alice', q{SELECT count(*) FROM ml.schedules}), '0', 'the view without pg_cron');
like(as('alice', q{SELECT decision FROM ml_retrain('it''s', '"t''; DROP"')}), qr/^kept$/, 'by hand without pg_cron');

if (!-e "$sharedir/extension/pg_cron.control")
{
	diag('pg_cron is not there: install postgresql-NN-cron');
	fail('pg_cron is installed');
	done_testing();
	exit;
}
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\ncron.use_background_workers = on\n");
$node->restart;
$node->safe_psql('postgres', q{CREATE EXTENSION pg_cron});
like(as('alice', q{SELECT ml_schedule('it''s', '* * * * *', '"t''; DROP"')}), qr/permission denied to schedule jobs.*GRANT USAGE/s,
	'needs the right to use pg_cron');
$node->safe_psql('postgres', q{GRANT USAGE ON SCHEMA cron TO alice, bob});

# Injection and other nonsense.
like(as('alice', q{SELECT ml_schedule('it''s', '''; DROP TABLE x; --', '"t''''; DROP"')}), qr/invalid schedule/, 'a schedule is data');
like(as('alice', q{SELECT ml_schedule('it''s', 'never', '"t''; DROP"')}), qr/invalid schedule/, 'no schedule');
like(as('alice', q{SELECT ml_schedule('it''s', '* * * * *', '"t''; DROP"', promote => 'x''); DROP TABLE y; --')}),
	qr/is not valid for argument "promote"/, 'promote is checked');
like(as('bob', q{SELECT ml_schedule('it''s', '* * * * *', 't')}), qr/does not exist/, 'who has no privilege sees no model');
$node->safe_psql('postgres', q{SELECT ml_grant('it''s', 'bob', 'view')});
like(as('bob', q{SELECT ml_schedule('it''s', '* * * * *', 't')}), qr/permission denied for model/, 'who may look cannot schedule');
as('alice', q{SELECT ml_train('other', '"t''; DROP"', target => 'y', algorithm => 'linear', exclude => '{i}')});

# The job.
my $note = q{it''s ''); SELECT 1/0; --};
like(as('alice', qq{SELECT ml_schedule('it''s', '* * * * *', '"t''; DROP"', notes => '$note')}), qr/^\d+$/, 'a job');
is(as('alice', q{SELECT model, role, cron, active FROM ml.schedules}), q{it's|alice|* * * * *|t}, 'the view shows it');
is(as('bob', q{SELECT count(*) FROM ml.schedules}), '0', 'others do not see it');
is(as('bob', q{SELECT ml_unschedule('it''s')}), 'f', 'nor can they end it');
is(as('alice', q{SELECT ml_schedule('other', '* * * * *', '"t''; DROP"') IS NOT NULL}), 't', 'another model');
as('alice', q{SELECT ml_drop('other')});
as('alice', q{SELECT ml_rename('it''s', 'renamed')});
as('alice', q{INSERT INTO "t'; DROP" SELECT i, sin(i), -3 * sin(i) + cos(i * 7) / 10 FROM generate_series(501, 3000) i});
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM ml.audit WHERE action = 'promote'}), 'it fires');
is(as('alice', q{SELECT version, is_current, trained_by, notes FROM ml.versions WHERE is_current}),
	qq{3|t|alice|it's '); SELECT 1/0; --}, 'a new current version by the role of the job');
is(as('alice', q{SELECT action, role, version, detail->>'from' FROM ml.audit WHERE action IN ('retrain', 'promote') AND version = 3 ORDER BY audit_id}),
	"retrain|alice|3|\npromote|alice|3|1", 'the audit tells it');
ok($node->poll_query_until('postgres', q{SELECT last_status = 'succeeded' FROM ml.schedules}), 'the view tells how it went')
	or diag($node->safe_psql('postgres', 'SELECT * FROM cron.job_run_details'));
is($node->safe_psql('postgres', q{SELECT count(*) FROM cron.job}), '1', 'a job whose model is gone ends itself');
is(as('alice', q{SELECT ml_unschedule('renamed')}), 't', 'unscheduled');
is(as('alice', q{SELECT count(*) FROM ml.schedules}), '0', 'and gone');
is(as('alice', q{SELECT string_agg(action, ' ' ORDER BY audit_id) FROM ml.audit WHERE action LIKE '%schedule' AND model <> 'other'}), 'schedule unschedule', 'audited');
is(as('alice', q{SELECT ml_unschedule('renamed')}), 'f', 'there is no more');

# A crash in the middle of a retraining leaves everything as it was.
my $before = $node->safe_psql('postgres', q{SELECT model_id, current_version, last_version, history FROM ml.model});
my ($in, $out, $err) = ('', '', '');
my $h = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
	q{BEGIN; SELECT version FROM ml_retrain('renamed', '"t''; DROP"', promote => 'always'); SELECT pg_sleep(100)} ],
	\$in, \$out, \$err);
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'object' AND classid = 'ml.model'::regclass AND mode = 'ShareUpdateExclusiveLock'}), 'under way');
like(as('alice', q{SELECT ml_retrain('renamed', '"t''; DROP"')}), qr/is already being retrained/, 'a second one at once is refused');
$node->stop('immediate');
$h->finish;
$node->start;
is($node->safe_psql('postgres', q{SELECT model_id, current_version, last_version, history FROM ml.model}), $before, 'a crash undoes it');
is($node->safe_psql('postgres', q{SELECT count(*) FROM ml_verify()}), '0', 'the registry is whole');
is(as('alice', q{SELECT decision FROM ml_retrain('renamed', '"t''; DROP"', promote => 'always')}), 'promoted', 'and it can be done again');

$node->stop;
done_testing();
