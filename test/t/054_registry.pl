# What happens to the registry when the server dies in the middle of things, when the database is
# dumped and restored by an owner without further rights, when roles leave and when there are
# 10,000 models.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use IPC::Run;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nrestart_after_crash = on\n");
$node->start;

my $train = q{SELECT version FROM ml_train('m', 'SELECT x, y FROM t', target => 'y', algorithm => 'linear')};

sub sql { return $node->safe_psql('postgres', $_[0]); }
my $super = sql('SELECT current_user');

sub fails
{
	my ($db, $user, $sql, $message, $name) = @_;
	my ($ret, $out, $err) = $node->psql($db, $sql, extra_params => [ '-U', $user ]);
	like($err, $message, $name);
}

# ---- crashes ----

sql(q{CREATE EXTENSION ml_ext;
	CREATE TABLE t AS SELECT i::float8 AS x, (2 * i + i % 3)::float8 AS y FROM generate_series(1, 400) i;
	CREATE TABLE armed (step text);
	CREATE FUNCTION wait_here(step text) RETURNS float8 LANGUAGE plpgsql AS $$
		BEGIN IF EXISTS (SELECT FROM public.armed a WHERE a.step = $1) THEN PERFORM pg_catalog.pg_sleep(60); END IF; RETURN 1; END $$;
	CREATE FUNCTION wait_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM public.wait_here(tg_argv[0]); RETURN new; END $$;
	CREATE VIEW slow AS SELECT x, y, CASE WHEN x = 300 THEN wait_here('read') ELSE sin(x) END AS w FROM t;});
sql($train) for 1 .. 2;
sql(qq{CREATE TRIGGER a1 BEFORE INSERT ON ml.version FOR EACH ROW EXECUTE FUNCTION wait_trigger('before version');
	CREATE TRIGGER z1 AFTER INSERT ON ml.version FOR EACH ROW EXECUTE FUNCTION wait_trigger('after version');
	CREATE TRIGGER a2 BEFORE UPDATE ON ml.model FOR EACH ROW EXECUTE FUNCTION wait_trigger('before model');
	CREATE TRIGGER z2 AFTER UPDATE ON ml.model FOR EACH ROW EXECUTE FUNCTION wait_trigger('after model');
	CREATE TRIGGER a3 BEFORE INSERT ON ml.model FOR EACH ROW EXECUTE FUNCTION wait_trigger('new model');
	CREATE TRIGGER a4 BEFORE INSERT ON ml.alias FOR EACH ROW EXECUTE FUNCTION wait_trigger('alias');
	CREATE TRIGGER a5 BEFORE UPDATE ON ml.version FOR EACH ROW EXECUTE FUNCTION wait_trigger('archive')});

my $state = q{SELECT m.name, m.current_version, m.last_version, m.history, v.version, v.archived_at IS NULL, a.alias,
	(SELECT count(*) FROM ml.audit) FROM ml.model m JOIN ml.version v USING (model_id) LEFT JOIN ml.alias a USING (model_id, version) ORDER BY 1, 5};

# Kills the backend that sleeps in a step, and looks at what is there after recovery.
sub crash
{
	my ($step, $statement) = @_;
	my $before = sql($state);

	sql("TRUNCATE armed; INSERT INTO armed VALUES ('$step')");
	my ($in, $out) = ('', '');
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $statement ], \$in, '>&', \$out);
	my $pid = '';
	for (my $i = 0; $i < 200 && $pid eq ''; $i++)
	{
		$pid = sql(q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
		usleep(50_000) if $pid eq '';
	}
	kill 'KILL', $pid if $pid ne '';
	eval { $run->finish; };
	MlVerify::wait_for_restart($node) if $pid ne '';
	sql('TRUNCATE armed');
	isnt($pid, '', "a crash in step: $step");
	is(sql($state), $before, '... leaves models, versions, aliases and the audit as they were');
	is(sql('SELECT * FROM ml_verify()'), '', '... and nothing broken');
}

crash('read', q{SELECT * FROM ml_train('m', 'slow', target => 'y', features => '{x,w}')});
crash('read', q{SELECT * FROM ml_train('m', 'SELECT * FROM slow', target => 'y', algorithm => 'gradient_boosting')});
crash('before version', $train);
crash('after version', $train);
crash('before model', $train);
crash('after model', $train);
crash('commit', qq{BEGIN; $train; SELECT wait_here('commit'); COMMIT});
crash('new model', q{SELECT * FROM ml_train('n', 't', target => 'y')});
crash('before model', q{SELECT ml_promote('m', 1)});
crash('after model', q{SELECT ml_promote('m', 1)});
crash('commit', q{BEGIN; SELECT ml_promote('m', 1); SELECT wait_here('commit'); COMMIT});
crash('commit', q{BEGIN; SELECT ml_rollback('m'); SELECT wait_here('commit'); COMMIT});
crash('commit', q{BEGIN; SELECT ml_rename('m', 'other'); SELECT wait_here('commit'); COMMIT});
crash('alias', q{SELECT ml_set_alias('m', 'prod', 1)});
crash('archive', q{SELECT ml_archive('m', 1)});
is(sql($train), '3', 'then a training works, and no number was lost');
is(sql('SELECT * FROM ml_verify()'), '', 'and nothing is broken');
sql('DROP TRIGGER a1 ON ml.version; DROP TRIGGER z1 ON ml.version; DROP TRIGGER a2 ON ml.model; DROP TRIGGER z2 ON ml.model;
	DROP TRIGGER a3 ON ml.model; DROP TRIGGER a4 ON ml.alias; DROP TRIGGER a5 ON ml.version');

# ---- an owner without further rights: install, audit, dump, restore ----

sql('CREATE ROLE boss LOGIN; CREATE ROLE ds LOGIN; CREATE ROLE user1; CREATE ROLE approvers; CREATE DATABASE d OWNER boss; CREATE DATABASE e OWNER boss');
sub boss { return $node->safe_psql($_[0], $_[1], extra_params => [ '-U', 'boss' ]); }
boss('d', q{CREATE EXTENSION ml_ext; CREATE TABLE t AS SELECT i::float8 AS x, (2 * i)::float8 AS y FROM generate_series(1, 40) i; GRANT SELECT ON t TO PUBLIC});
$node->safe_psql('d', q{SELECT version FROM ml_train('m', 't', target => 'y'); SELECT version FROM ml_train('m', 't', target => 'y');
	SELECT ml_grant('m', 'user1', 'predict'); SELECT ml_set_alias('m', 'prod', 1); SELECT ml_archive('m@challenger') WHERE false;
	SELECT ml_comment('m@1', 'first'); SELECT ml_reserve_promotion('m', 'approvers')}, extra_params => [ '-U', 'ds' ]);
is(boss('d', 'SELECT * FROM ml_verify()'), '', 'the owner of the database finds all well');
is(boss('d', "SELECT relowner::regrole::text = 'boss' FROM pg_class WHERE oid = 'ml.audit_log'::regclass"), 'f', 'the audit is not his');
fails('d', 'boss', $_, qr/permission denied|must be owner|cannot drop|requires it/, "he cannot: $_")
	for 'UPDATE ml.audit_log SET role = NULL', 'DELETE FROM ml.audit_log', 'TRUNCATE ml.audit_log', 'DROP TABLE ml.audit_log',
	'ALTER TABLE ml.audit_log DISABLE TRIGGER ALL', 'DROP TRIGGER guard ON ml.audit_log', 'ALTER EXTENSION ml_ext DROP TABLE ml.audit_log',
	'CREATE TRIGGER mine BEFORE INSERT ON ml.audit_log FOR EACH ROW EXECUTE FUNCTION ml.audit_guard()',
	'CREATE INDEX ON ml.audit_log (action)', 'ALTER TABLE ml.audit_log OWNER TO boss', 'CREATE OR REPLACE FUNCTION ml.audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$';
boss('d', q{ALTER SCHEMA ml RENAME TO was; CREATE SCHEMA ml; CREATE TABLE ml.audit_log AS SELECT 1 AS x; ALTER EXTENSION ml_ext ADD TABLE ml.audit_log});
fails('d', $super, $train, qr/does not belong to extension/, 'another schema is no way around it');
boss('d', q{ALTER EXTENSION ml_ext DROP TABLE ml.audit_log; DROP SCHEMA ml CASCADE; ALTER SCHEMA was RENAME TO ml});

my $dump = $node->basedir . '/dump.sql';
my $look = q{SELECT name, owner, promoter, current_version FROM ml.model; SELECT version, trained_by, session_role, fingerprint, lineage, comment FROM ml.version ORDER BY 1;
	SELECT * FROM ml.alias; SELECT grantee, privilege, grantor FROM ml.privilege ORDER BY 1; SELECT audit_id, at, role, action, version, detail FROM ml.audit_log ORDER BY 1};
$node->command_ok([ 'pg_dump', '-U', 'boss', '-f', $dump, '-d', 'd' ], 'he dumps');
$node->command_ok([ 'psql', '-X', '-q', '-U', 'boss', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', 'e' ], 'he restores');
is(boss('e', $look), boss('d', $look), 'and all is there, the audit too');
is(boss('e', 'SELECT DISTINCT restored FROM ml.audit_log'), 't', 'whose rows say that they were restored');
is(boss('e', 'SELECT * FROM ml_verify()'), '', 'nothing is broken');
$node->safe_psql('e', q{SELECT version FROM ml_train('m', 't', target => 'y')}, extra_params => [ '-U', 'ds' ]);
is(boss('e', 'SELECT current_version, last_version FROM ml.model'), '2|3', 'trainings go on, promotion stays reserved');

# ---- roles that leave, seen from another database ----

fails('postgres', $super, 'DROP ROLE user1', qr/1 object in database d\n.*1 object in database e/s, 'a role with a grant elsewhere cannot be dropped');
sql('DROP DATABASE e');
$node->safe_psql('d', q{SELECT ml_revoke('m', 'user1', 'predict')});
sql('DROP ROLE user1');
pass('and can when it is gone');
# As after pg_upgrade, which does not know what the rows mean.
$node->safe_psql('d', "DELETE FROM pg_shdepend WHERE objid = 'ml.roles'::regclass");
like($node->safe_psql('d', 'SELECT * FROM ml_verify(false)'), qr/role "(ds|approvers)" can be dropped although models need it/, 'what is not known is reported');
$node->safe_psql('d', q{SELECT ml_reassign('ds', 'ds'), ml_reassign('approvers', 'approvers')});
is($node->safe_psql('d', 'SELECT * FROM ml_verify()'), '', 'and mended');
fails('postgres', $super, 'DROP ROLE ds', qr/cannot be dropped/, 'so that the role stays');
# A role that is gone all the same: nobody gets what it had.
$node->safe_psql('d', q{DELETE FROM pg_shdepend WHERE objid = 'ml.roles'::regclass; DELETE FROM pg_authid WHERE rolname = 'ds';
	CREATE ROLE ds LOGIN});
fails('d', 'ds', q{SELECT ml_comment('m', 'mine')}, qr/model "m" does not exist/, 'a new role of the same name has nothing');
like($node->safe_psql('d', 'SELECT * FROM ml_verify(false)'), qr/belongs to role number \d+, which does not exist/, 'a missing owner is reported');
my $number = $node->safe_psql('d', 'SELECT owner::oid FROM ml.model');
fails('d', 'ds', "SELECT ml_reassign('$number', 'ds')", qr/permission denied/, 'not for everybody to take');
is($node->safe_psql('d', "SELECT ml_reassign('$number', 'ds')"), '1', 'a superuser gives it to somebody');
is($node->safe_psql('d', "SELECT ml_reassign('approvers', 'approvers')"), '1', 'and protects the other one again');
is($node->safe_psql('d', 'SELECT * FROM ml_verify()'), '', 'then all is well');
boss('d', 'DROP EXTENSION ml_ext CASCADE');
sql('DROP ROLE ds; DROP ROLE approvers');
pass('without the extension roles can be dropped');

# ---- 10,000 models ----

sub scans { return sql(q{SELECT pg_stat_force_next_flush()}) . sql(q{SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relid IN ('ml.model'::regclass, 'ml.version'::regclass, 'ml.privilege'::regclass, 'ml.alias'::regclass)}); }
sql(q{SELECT ml_set_alias('m', 'prod', 2)});
sql(q{
	INSERT INTO ml.model (name, owner, current_version, last_version) SELECT 'copy ' || i, m.owner, 3, 3 FROM ml.model m, generate_series(1, 10000) i WHERE m.name = 'm';
	INSERT INTO ml.version (model_id, version, model, algorithm, task, target, rows_read, rows_used, rows_dropped, elapsed, trained_by, session_role, extension_version, trained_at)
		SELECT c.model_id, v.version, v.model, v.algorithm, v.task, v.target, 1, 1, 0, '0', v.trained_by, v.session_role, v.extension_version, '2020-01-01'
		FROM ml.model c, ml.version v JOIN ml.model m USING (model_id) WHERE m.name = 'm' AND c.name LIKE 'copy %';
	ANALYZE ml.model; ANALYZE ml.version});
is(sql('SELECT count(*) FROM ml.model'), '10001', 'there are 10,000 models');
my $many = q{SELECT count(ml_predict(n, r)) FROM (SELECT 1::float8 AS x) r, unnest(ARRAY['m', 'm@1', 'm@prod', 'm@challenger', 'copy 9999', 'copy 5@2']) n};
my $before = scans();
is(sql($many), '6', 'predictions by name, number and alias');
is(scans(), $before, 'find their models by index, without reading the tables');
is(sql(q{SELECT count(*) FROM ml_verify(false)}), '0', 'and all is well among them');

$node->stop;
done_testing();
