# The owner of a database made the extension and so owns its tables.  What he does to them
# must not give him the rights of those who train and predict, nor crash their backends.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\n");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE boss LOGIN; CREATE DATABASE d OWNER boss');

my $train = q{SELECT version FROM ml_train('m', 'SELECT i::float8 AS x, (2 * i)::float8 AS y FROM generate_series(1, 40) i',
	target => 'y', algorithm => 'linear')};
my $ask = q{SELECT round(ml_predict('m', r)::numeric, 6) FROM (SELECT 10::float8 AS x) r};

sub boss { return $node->safe_psql('d', $_[0], extra_params => [ '-U', 'boss' ]); }

sub fails
{
	my ($sql, $message, $name) = @_;
	my ($ret, $out, $err) = $node->psql('d', $sql);
	like($err, $message, $name);
	is($node->safe_psql('d', 'SELECT 1'), '1', 'and the server lives');
}

boss(q{
	CREATE SCHEMA "Mixed Case";
	CREATE EXTENSION ml_ext SCHEMA "Mixed Case";
	ALTER DATABASE d SET search_path = "$user", public, "Mixed Case";
	CREATE TABLE seen (who name, path text);
	CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.seen VALUES (current_user, current_setting('search_path')); RETURN new; END $$;
	CREATE TRIGGER spy BEFORE INSERT ON ml.version FOR EACH ROW EXECUTE FUNCTION spy();
	CREATE SCHEMA trap;
	CREATE FUNCTION trap.array_append(int[], int) RETURNS int[] LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.seen VALUES (current_user, 'trap'); RETURN $1; END $$;
});
is($node->safe_psql('d', $train), '1', 'a superuser trains');
is($node->safe_psql('d', 'SET search_path = trap, pg_catalog, "Mixed Case";' . $train), '2', 'and again');
is($node->safe_psql('d', 'SELECT DISTINCT * FROM seen'), 'boss|pg_catalog, pg_temp',
	'a trigger runs as the owner, with a fixed path, and the path of the session changes nothing');
is($node->safe_psql('d', "BEGIN; SAVEPOINT s; $train; ROLLBACK TO s; SELECT current_user = session_user, current_setting('search_path'); ROLLBACK"),
	qq{3\nt|"\$user", public, "Mixed Case"}, 'user and path come back');

boss(q{DROP TRIGGER spy ON ml.version;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
	CREATE TRIGGER refuse BEFORE INSERT ON ml.version FOR EACH ROW EXECUTE FUNCTION refuse();});
is($node->safe_psql('d', qq{DO \$\$ BEGIN PERFORM version FROM ml_train('m', 'SELECT i::float8 AS x, i::float8 AS y
	FROM generate_series(1, 40) i', target => 'y'); EXCEPTION WHEN raise_exception THEN NULL; END \$\$;
	SELECT current_user = session_user, current_setting('search_path')}),
	qq{t|"\$user", public, "Mixed Case"}, 'also after a caught error inside');
boss('DROP TRIGGER refuse ON ml.version');

boss('ALTER TABLE ml.version RENAME COLUMN model TO model_was; ALTER TABLE ml.version ADD COLUMN model bigint DEFAULT 5');
fails($ask, qr/table "ml.version" is not as extension "ml_ext" made it/, 'a column of another type is refused');
boss('ALTER TABLE ml.version DROP COLUMN model; ALTER TABLE ml.version RENAME COLUMN model_was TO model');
is($node->safe_psql('d', $ask), '20.000000', 'put right, it works');

boss('ALTER TABLE ml.model ALTER COLUMN owner DROP NOT NULL; UPDATE ml.model SET owner = NULL');
fails($ask, qr/table "ml.model" is not as extension "ml_ext" made it/, 'NULL where none can be is refused');
boss(q{UPDATE ml.model SET owner = 'boss'});

boss('ALTER TABLE ml.version RENAME TO version_was; CREATE VIEW ml.version AS SELECT 1 AS version_id');
fails($ask, qr/table "ml.version" does not belong to extension "ml_ext"/, 'another table of that name is refused');
boss('DROP VIEW ml.version; ALTER TABLE ml.version_was RENAME TO version');

boss('UPDATE ml.version SET model_id = model_id WHERE false; ALTER TABLE ml.version DROP CONSTRAINT version_pkey CASCADE');
is($node->safe_psql('d', $ask), '20.000000', 'without its index it is only slower');

boss('ALTER SCHEMA ml RENAME TO ml_was; CREATE SCHEMA ml');
fails($ask, qr/schema "ml" does not belong to extension "ml_ext"/, 'another schema of that name is refused');

$node->{ml_broken} = 1;
$node->stop;
done_testing();
