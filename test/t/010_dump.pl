# Models survive pg_dump and pg_restore, made by a superuser or by the owner of the
# database who is none: same names, versions, grants and numbers, bit for bit.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nextra_float_digits = 3\n");
$node->start;

$node->safe_psql('postgres', q{
	CREATE ROLE boss LOGIN; CREATE ROLE "Data Person" LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE gone;
	CREATE DATABASE source OWNER boss;
	CREATE DATABASE by_superuser OWNER boss;
	CREATE DATABASE by_owner OWNER boss;
});

# The database's owner makes the extension: trusted.
$node->safe_psql('source', q{
	CREATE EXTENSION ml_ext;
	CREATE TABLE t AS SELECT i, sqrt(i)::float8 AS x, ln(i)::float8 AS z, (i % 7)::text AS c,
		(3.1 * sqrt(i) - ln(i) + (i % 7) / 3.0)::float8 AS y FROM generate_series(1, 500) i;
	GRANT SELECT ON t TO PUBLIC;
	GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC;
}, extra_params => [ '-U', 'boss' ]);
$node->safe_psql('source', q{
	SELECT ml_train('price', 't', target => 'y');
	SELECT ml_train('price', 'SELECT * FROM t WHERE i > 100', target => 'y');
	SELECT ml_train('price', 'SELECT x, z, y FROM t', target => 'y', notes => 'fewer columns');
	SELECT ml_promote('price', 2);
	SELECT ml_drop('price', 1);
	SELECT ml_grant('price', 'reader', 'predict');
	SELECT ml_grant('price', 'public', 'view');
}, extra_params => [ '-U', 'Data Person' ]);
# A grant whose role is gone (which takes a superuser to hide it from DROP ROLE) is not carried to a cluster where its number may be another role's.
$node->safe_psql('source', q{SELECT ml_grant('price', 'gone', 'manage'); DELETE FROM pg_shdepend WHERE refobjid = 'gone'::regrole; DROP ROLE gone;});
is($node->safe_psql('source', q{SELECT count(*) FROM ml.privilege}), '3', 'a grant without a role');

$node->safe_psql('source', q{SELECT ml_train('Größe', 't', target => 'y')}, extra_params => [ '-U', 'boss' ]);

my $predictions = q{
	SELECT i, float8send(ml_predict('price', t)), float8send(ml_predict('price@3', t)) FROM t ORDER BY i};
my %rows = (
	models => q{SELECT to_jsonb(m) - 'bytes' FROM ml.models m ORDER BY model},
	versions => q{SELECT to_jsonb(v) - 'bytes' FROM ml.versions v ORDER BY model, version},
	privileges => q{SELECT * FROM ml.privileges WHERE grantee NOT LIKE 'unknown%' ORDER BY 1, 2, 3},
	bytes => q{SELECT version_id, md5(model::text) FROM ml.version ORDER BY 1},
	history => q{SELECT name, current_version, last_version, history FROM ml.model ORDER BY name},
	tables => q{SELECT relname, relowner::regrole, relrowsecurity, relacl FROM pg_class
		WHERE relnamespace = 'ml'::regnamespace AND relkind IN ('r', 'v', 'S') ORDER BY 1},
	predictions => $predictions,
);

sub check
{
	my ($db, $what) = @_;
	for my $name (sort keys %rows)
	{
		# The tables belong to whoever made the extension: here the superuser who restored.
		next if $name eq 'tables' && $db eq 'by_superuser';
		my $want = $node->safe_psql('source', $rows{$name});
		isnt($want, '', "there are $name to compare");
		is($node->safe_psql($db, $rows{$name}), $want, "$what: same $name");
	}
	is($node->safe_psql($db, q{SELECT count(*) FROM ml.privilege}), '2', "$what: no grant without a role");
	is($node->safe_psql($db, $predictions, extra_params => [ '-U', 'reader' ]),
		$node->safe_psql('source', $predictions), "$what: a grantee predicts the same");
	my ($ret, $out, $err) = $node->psql($db, q{SELECT ml_drop('price')}, extra_params => [ '-U', 'reader' ]);
	like($err, qr/permission denied for model "price"/, "$what: a grantee may do no more");
	($ret, $out, $err) = $node->psql($db, q{SELECT ml_predict('Größe', t) FROM t}, extra_params => [ '-U', 'reader' ]);
	like($err, qr/model "Größe" does not exist/, "$what: what was hidden is hidden");
	is($node->safe_psql($db, q{SELECT version FROM ml_train('price', 't', target => 'y')},
			extra_params => [ '-U', 'Data Person' ]), '4', "$what: training goes on where it was");
	is($node->safe_psql($db, q{SELECT version FROM ml_train('new', 't', target => 'y')},
			extra_params => [ '-U', 'Data Person' ]), '1', "$what: new models are new");
}

my $dir = $node->basedir;
for my $case ([ 'by_superuser', 'superuser', [] ], [ 'by_owner', 'owner of the database', [ '-U', 'boss' ] ])
{
	my ($db, $what, $who) = @$case;
	$node->command_ok([ 'pg_dump', @$who, '-Fc', '-f', "$dir/$db.dump", 'source' ], "$what: pg_dump");
	$node->command_ok([ 'pg_restore', @$who, '--exit-on-error', '-d', $db, "$dir/$db.dump" ], "$what: pg_restore");
	check($db, $what);
}

$node->safe_psql('postgres', 'DROP DATABASE source');	# its grant without a role is an error to ml_verify
$node->stop;
done_testing();
