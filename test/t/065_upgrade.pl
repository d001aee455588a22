# pg_upgrade from an older major version keeps models: every row of schema ml, bit-equal predictions, who
# may do what, and objects that predict; by copying and by linking.  Needs both versions with ml_ext
# installed: ML_TEST_OLD names directories like /usr/lib/postgresql/15, else what lies beside the new
# version and in /usr/lib/postgresql is taken.
use strict;
use warnings;
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($new_major) = `$ENV{PG_CONFIG} --version` =~ /(\d+)/;
my $new_prefix = dirname(`$ENV{PG_CONFIG} --bindir`);

# What an installation's pg_config says.
sub told
{
	my ($prefix, $what) = @_;
	my $answer = -x "$prefix/bin/pg_config" ? `"$prefix/bin/pg_config" --$what` : '';
	chomp $answer;
	return $answer;
}
sub usable
{
	my ($prefix) = @_;
	my ($major) = told($prefix, 'version') =~ /(\d+)/;
	return $major && $major < $new_major && -x "$prefix/bin/postgres" && -e told($prefix, 'sharedir') . '/extension/ml_ext.control';
}
my %seen;
my @old = grep { !$seen{ (told($_, 'version') =~ /(\d+)/)[0] }++ } grep { usable($_) }
	defined $ENV{ML_TEST_OLD} ? split(/[:\s]+/, $ENV{ML_TEST_OLD}) : (glob(dirname($new_prefix) . '/*'), glob('/usr/lib/postgresql/*'));
if (!@old)
{
	my $reason = "no PostgreSQL older than $new_major with ml_ext was found, nothing was upgraded; ML_TEST_OLD names one";
	diag($reason);
	plan skip_all => $reason;
}

my $roles = q{CREATE ROLE boss LOGIN; CREATE ROLE "Data Person" LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE team; CREATE ROLE max LOGIN IN ROLE team;
	CREATE ROLE approver LOGIN; CREATE ROLE stranger LOGIN; CREATE DATABASE owned OWNER boss;};
my @regression = qw(baseline decision_tree elastic_net extra_trees glm gradient_boosting lasso linear random_forest ridge);
my @classification = qw(decision_tree gradient_boosting logistic random_forest);
my $table = q{
	CREATE TYPE mood AS ENUM ('good', 'bad');
	CREATE TABLE t AS SELECT i, sqrt(i)::float8 AS x, CASE WHEN i % 9 > 0 THEN ln(i)::numeric(8, 4) END AS z, (i % 7)::text AS c,
		(ARRAY['good', 'bad']::mood[])[1 + i % 2] AS m, date '2024-01-01' + i AS d,
		(3.1 * sqrt(i) - ln(i) + (i % 7) / 3.0)::float8 AS y, (ARRAY['red', 'green', 'blue'])[1 + (i + i / 100) % 3] AS label, i % 3 = 0 AS yes
		FROM generate_series(1, 400) i;
	GRANT SELECT ON t TO PUBLIC;
	GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC;
};

# In a database: all kinds of rows in schema ml, and objects that use models.
sub fill
{
	my ($node, $db, $maker) = @_;
	my $as = sub {
		my ($role, $sql) = @_;
		$node->safe_psql($db, "SET client_min_messages = error;\n$sql", extra_params => [ '-U', $role ]);
	};
	$as->($maker, "CREATE EXTENSION ml_ext; $table");
	$as->('Data Person', join "\n", (map { "SELECT ml_train('r_$_', 't', target => 'y', algorithm => '$_', exclude => '{i,label,yes}');" } @regression),
		(map { "SELECT ml_train('c_$_', 't', target => 'label', algorithm => '$_', exclude => '{i}');" } @classification), q{
		SELECT ml_train('odd', 't', algorithm => 'isolation_forest', features => '{x,z,c}');
		SELECT ml_train('price', 't', target => 'y', algorithm => 'linear', features => '{x,c,m}');
		SELECT ml_train('price', 't', target => 'y', algorithm => 'ridge', features => '{x,z,d}', notes => 'second');
		SELECT ml_train('price', 'SELECT x, z, y FROM t WHERE i > 50', target => 'y', algorithm => 'linear');
		SELECT ml_train('price', 't', target => 'y', algorithm => 'linear', features => '{x}');
		SELECT ml_promote('price', 2);
		SELECT ml_archive('price', 4);
		SELECT ml_set_alias('price', 'stable', 1);
		SELECT ml_set_alias('price', 'challenger', 3);
		SELECT ml_comment('price', 'of houses');
		SELECT ml_grant('price', 'reader', 'predict');
		SELECT ml_grant('price', 'team', 'manage');
		SELECT ml_grant('odd', 'public', 'view');
		SELECT ml_reserve_promotion('price', 'approver');
		SELECT ml_train('sums', 'SELECT x, y FROM t WHERE i <= 300', target => 'y', algorithm => 'linear', params => '{"keep_state": true}');
		SELECT count(*) FROM ml_monitor('price', 'SELECT * FROM t WHERE i > 100', actual => 'y');
		SELECT ml_log_predictions('price', 1.0);
		SELECT sum(ml_predict_logged('price', t)) FROM t WHERE i <= 20;
		SELECT ml_create_view('price', 'priced', 't');
		SELECT ml_create_function('price', 'price_of');
		SELECT ml_train('gone', 't', target => 'y', algorithm => 'linear', features => '{x}'); SELECT ml_drop('gone');
		CREATE TABLE mine AS SELECT 'line'::text AS name, ml_fit('t', 'y', algorithm => 'linear', features => '{x}') AS model;
		CREATE TABLE sums AS SELECT i % 4 AS part, ml_accumulate(ml_spec('linear', columns => '{y,x}', target => 'y'), y, x) AS state FROM t GROUP BY 1;
		CREATE VIEW best AS SELECT i, ml_predict('price', t) AS price FROM t;
	});
	$as->('Data Person', sprintf(q{CREATE TABLE stock (x float8, worth float8 GENERATED ALWAYS AS (ml_predict('%s'::ml_model, x)) STORED);
		INSERT INTO stock (x) SELECT generate_series(1, 50)}, $node->safe_psql($db, 'SELECT model FROM mine')));
	return;
}

my $all = 'r_' . join(' r_', @regression) . ' odd price price@1 price@3 price@4 price@stable sums';
my %kept = (
	predictions => 'SELECT i, ' . join(', ', map { "float8send(ml_predict('$_', t))" } split / /, $all) . ' FROM t ORDER BY i',
	classes => 'SELECT i, ' . join(', ', map { "ml_classify('c_$_', t), ml_probabilities('c_$_', t)" } @classification) . ' FROM t ORDER BY i',
	explained => q{SELECT i, e FROM t, ml_explain('r_gradient_boosting', t) e WHERE i % 40 = 0 ORDER BY i, e::text},
	champion => q{SELECT name, current_version, last_version, history, owner, promoter, comment FROM ml.model ORDER BY name},
	rows_of => q{SELECT 'model', m::text FROM ml.model m UNION ALL SELECT 'version', v::text FROM ml.version v UNION ALL SELECT 'state', md5(s::text)
		FROM ml.training_state s UNION ALL SELECT 'alias', a::text FROM ml.alias a UNION ALL SELECT 'privilege', p::text FROM ml.privilege p
		UNION ALL SELECT 'audit', a::text FROM ml.audit_log a UNION ALL SELECT 'watch', w::text FROM ml.monitoring_row w
		UNION ALL SELECT 'log', l::text FROM ml.prediction_log_row l UNION ALL SELECT 'logged', s::text FROM ml.prediction_log_setting s ORDER BY 1, 2},
	of_tables => q{SELECT c.relname, c.relowner::regrole, c.relrowsecurity, (SELECT string_agg(format('%s %s', CASE a.grantee WHEN 0 THEN 'public'
		ELSE a.grantee::regrole::text END, lower(a.privilege_type)), ', ' ORDER BY a.grantee, a.privilege_type) FROM aclexplode(coalesce(c.relacl,
		acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a WHERE a.privilege_type <> 'MAINTAIN'), e.extname FROM pg_class c LEFT JOIN (pg_depend d JOIN pg_extension e
		ON e.oid = d.refobjid) ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' WHERE c.relnamespace = 'ml'::regnamespace
		AND c.relkind IN ('r', 'v', 'S') ORDER BY 1},
	functions => q{SELECT p.oid::regprocedure::text, provolatile, proparallel, prosupport, proacl FROM pg_proc p WHERE proname ~ '^ml_' ORDER BY 1},
	sequences => q{SELECT s.last_value, v.last_value, a.last_value FROM ml.model_id_seq s, ml.version_id_seq v, ml.audit_log_audit_id_seq a},
	values => q{SELECT i, float8send(ml_predict(m.model, t.x)) FROM mine m, t ORDER BY i},
	states => q{SELECT c.term, float8send(c.estimate) FROM (SELECT ml_finish(ml_combine(state ORDER BY part)) AS model FROM sums) s, ml_coefficients(s.model) c ORDER BY 1},
	generated => q{SELECT x, float8send(worth) FROM stock ORDER BY x},
	views => q{SELECT b::text, p::text FROM best b JOIN priced p USING (i) ORDER BY i},
	typed => q{SELECT i, float8send(price_of(x, z, d)) FROM t ORDER BY i},
	watched => q{SELECT * FROM ml.monitoring ORDER BY run_id, line},
);

sub answers
{
	my ($node, $db) = @_;
	return map { $_ => $node->safe_psql($db, "SET timezone = 'UTC';\n$kept{$_}") } keys %kept;
}

# The same questions to the upgraded cluster; then life goes on.
sub check
{
	my ($node, $db, $what, $before, $maker) = @_;
	my $ask = sub {
		my ($role, $sql) = @_;
		my ($status, $out, $err) = $node->psql($db, "SET client_min_messages = error;\n$sql", extra_params => [ '-U', $role ]);
		return $status == 0 ? $out : $err;
	};
	my %after = answers($node, $db);
	foreach my $name (sort keys %kept)
	{
		isnt($before->{$name}, '', "$what: there are $name");
		ok($after{$name} eq $before->{$name}, "$what: same $name") or is($after{$name}, $before->{$name});
	}

	# The server forgets what it must know of roles; docs/moving.md says what to do.
	my $super = $node->safe_psql('postgres', 'SELECT current_user');
	like($ask->($super, 'SELECT * FROM ml_verify()'), qr/^role "Data Person" can be dropped although models need it/m, "$what: what is missing is told");
	unlike($ask->($super, 'SELECT * FROM ml_verify()'), qr/^(?!role ".*" can be dropped although models need it)./m, "$what: and nothing else is");
	$node->safe_psql($db, q{SELECT ml_reassign(role, role) FROM (SELECT DISTINCT role FROM ml.roles WHERE role <> 'public') r});
	is($ask->($super, 'SELECT * FROM ml_verify()'), '', "$what: ml_verify finds nothing");
	like($ask->($super, 'DROP ROLE team'), qr/role "team" cannot be dropped because some objects depend on it/, "$what: a role that has a grant is kept");
	is($ask->($maker, 'SELECT count(*) FROM ml_verify()'), '0', "$what: nor does the extension's owner");

	is($ask->('reader', 'SELECT md5(string_agg(ml_predict(\'price\', t)::text, \' \' ORDER BY i)) FROM t'),
		$ask->($super, 'SELECT md5(string_agg(ml_predict(\'price\', t)::text, \' \' ORDER BY i)) FROM t'), "$what: a grantee predicts");
	like($ask->('reader', q{SELECT ml_describe('price')}), qr/permission denied for model "price"/, "$what: and may do no more");
	is($ask->('max', q{SELECT count(*), count(*) FILTER (WHERE may_manage) FROM ml.models}), '2|1', "$what: a member of the group manages");
	is($ask->('stranger', q{SELECT string_agg(model, ' ') FROM ml.models}), 'odd', "$what: PUBLIC sees what it was granted");
	like($ask->('stranger', q{SELECT * FROM ml.version}), qr/permission denied/, "$what: and no table");
	$node->safe_psql($db, 'GRANT SELECT ON ml.model TO stranger');
	is($ask->('stranger', q{SELECT string_agg(name, ' ') FROM ml.model}), 'odd', "$what: row security works");
	like($ask->('Data Person', q{SELECT ml_promote('price', 3)}), qr/promotion of model "price" is reserved/, "$what: promotion is still reserved");
	is($ask->('Data Person', q{SELECT version FROM ml_train('price', 't', target => 'y', features => '{x,z,d}')}), '5', "$what: training goes on");
	is($ask->('Data Person', q{SELECT version FROM ml_train('new', 't', target => 'y', features => '{x}')}), '1', "$what: new models are new");
	is($ask->('approver', q{SELECT ml_promote('price', 5)}), '5', "$what: who may, promotes");
	is($ask->('approver', q{SELECT ml_rollback('price')}), '2', "$what: and takes it back");
	is($ask->('Data Person', q{SELECT decision IS NOT NULL FROM ml_retrain('r_linear', 't')}), 't', "$what: a recipe is repeated");
	is($ask->('Data Person', q{SELECT count(*) FROM ml_update('sums', 'SELECT x, y FROM t WHERE i > 300')}), '1', "$what: kept sums take rows");
	is($ask->('Data Person', q{SELECT count(*) > 0 FROM ml_monitor('price', 't')}), 't', "$what: batches are watched");
	is($ask->('Data Person', q{SELECT length(ml_report('price')) > 100000}), 't', "$what: there is a report");
	is($ask->('Data Person', q{SELECT string_agg(DISTINCT action, ' ' ORDER BY action) FROM ml.audit WHERE restored}), '', "$what: the audit was not touched");
	like($ask->('Data Person', q{DELETE FROM ml.audit_log}), qr/permission denied/, "$what: nor can it be");
	is($ask->($super, 'SELECT * FROM ml_verify()'), '', "$what: ml_verify finds nothing after that");
	return;
}

sub fresh
{
	my ($name, %how) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, %how);
	$node->init(extra => [ '--data-checksums', '--locale=C.UTF-8', '--encoding=UTF8' ], force_initdb => 1);
	$node->append_conf('postgresql.conf', "fsync = off\nextra_float_digits = 3\n");
	return $node;
}

sub upgrade
{
	my ($prefix, $old, $new, @more) = @_;
	chdir($new->basedir) or die $!;
	return run_log([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', "$prefix/bin", '-B', "$new_prefix/bin",
			'-s', $new->host, '-p', $old->port, '-P', $new->port, @more ]);
}

# Whether the two servers can do it at all: minor releases of an older version may write what the newer one's do not know yet.
sub servers_can
{
	my ($prefix, $major) = @_;
	my $old = fresh("plain_$major", install_path => $prefix);
	$old->start;
	$old->safe_psql('postgres', 'CREATE TABLE plain (a int)');
	$old->stop;
	return upgrade($prefix, $old, fresh("plain_new_$major"));
}

foreach my $prefix (@old)
{
	my ($major) = told($prefix, 'version') =~ /(\d+)/;
	my $old = fresh("old_$major", install_path => $prefix);
	$old->start;
	note($old->safe_psql('postgres', 'SELECT version()'));
	$old->safe_psql('postgres', $roles);
	my %before;
	my %maker = (postgres => $old->safe_psql('postgres', 'SELECT current_user'), owned => 'boss');
	foreach my $db (sort keys %maker)
	{
		fill($old, $db, $maker{$db});
		$before{$db} = { answers($old, $db) };
		is($old->safe_psql($db, 'SELECT count(*) FROM ml_verify()'), '0', "$major: all is well in $db");
	}
	$old->stop;

	foreach my $mode ('copy', 'link')
	{
		my $new = fresh("new_${major}_$mode");
		my $done = upgrade($prefix, $old, $new, $mode eq 'link' ? ('--link') : ());
		if (!$done && !servers_can($prefix, $major))
		{
		  SKIP:
			{
				my $reason = told($prefix, 'version') . " cannot be upgraded to $new_major, with or without ml_ext: " . told($new_prefix, 'version');
				diag($reason);
				skip $reason, 1;
			}
			last;
		}
		ok($done, "$major to $new_major by $mode: pg_upgrade") or last;
		$new->start;
		foreach my $db (sort keys %maker)
		{
			check($new, $db, "$major to $new_major by $mode, $db", $before{$db}, $maker{$db});
		}
		$new->stop;
	}
}
done_testing();
