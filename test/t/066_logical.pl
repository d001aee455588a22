# The tables of schema ml through logical replication, as docs/moving.md says: a subscriber with roles of other numbers
# predicts bit by bit what the publisher does, in sessions that were open before; who may do what there; own models
# beside the copied ones; what stops a subscription, and how it goes on; the subscriber alone when the publisher is gone.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
foreach my $node ($publisher, $subscriber)
{
	$node->append_conf('postgresql.conf', "client_min_messages = error\nfsync = off\nextra_float_digits = 3\nwal_retrieve_retry_interval = 100ms\n");
	$node->start;
}

sub as
{
	my ($node, $role, $sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return $status == 0 ? $out : $err;
}
sub there { return $publisher->safe_psql('postgres', $_[0]); }
sub here { return $subscriber->safe_psql('postgres', $_[0]); }
sub here_fails { my ($status, $out, $err) = $subscriber->psql('postgres', $_[0]); return $status ? $err : ''; }

# Waits until the subscriber has all that was committed at the publisher.
sub arrive { $publisher->wait_for_catchup('models'); return; }

my $roles = q{CREATE ROLE author LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE team; CREATE ROLE max LOGIN IN ROLE team;
	CREATE ROLE approver LOGIN; CREATE ROLE stranger LOGIN; CREATE EXTENSION ml_ext;};
my $table = q{CREATE TABLE t AS SELECT i, sqrt(i)::float8 AS x, CASE WHEN i % 9 > 0 THEN ln(i)::float8 END AS z, (i % 7)::text AS c,
		(3.1 * sqrt(i) - ln(i) + (i % 7) / 3.0)::float8 AS y, (ARRAY['red', 'green', 'blue'])[1 + (i + i / 100) % 3] AS label
		FROM generate_series(1, 300) i;
	GRANT SELECT ON t TO PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC;};
there("$roles $table");
here("CREATE ROLE somebody; CREATE ROLE nobody; $roles $table");
isnt(there(q{SELECT 'author'::regrole::oid}), here(q{SELECT 'author'::regrole::oid}), 'roles have other numbers here than there');

is(as($publisher, 'author', q{
	SELECT ml_train('price', 't', target => 'y', algorithm => 'linear', features => '{x,c}');
	SELECT ml_train('price', 't', target => 'y', algorithm => 'gradient_boosting', features => '{x,z,c}');
	SELECT ml_train('price', 't', target => 'y', algorithm => 'ridge', features => '{x,z}');
	SELECT ml_train('colour', 't', target => 'label', algorithm => 'random_forest', features => '{x,z,c}');
	SELECT ml_train('sums', 'SELECT x, y FROM t WHERE i <= 200', target => 'y', algorithm => 'linear', params => '{"keep_state": true}');
	SELECT ml_set_alias('price', 'stable', 1);
	SELECT ml_grant('price', 'reader', 'predict');
	SELECT ml_grant('price', 'team', 'manage');
	SELECT ml_grant('colour', 'public', 'view');
	SELECT ml_reserve_promotion('price', 'approver');
	SELECT count(*) FROM ml_monitor('price', 't', actual => 'y')} =~ s/ml_train\(/version FROM ml_train(/gr) =~ /^\d/, 1, 'models there');

# ---- as docs/moving.md says ----

my ($section) = slurp_file('docs/moving.md') =~ /^## Logical replication[^\n]*\n(.*?)(?=^## |\z)/ms;
my ($publish, $subscribe, $alone) = $section =~ /^```postgresql\n(.*?)^```/msg;
my $connection = $publisher->connstr . ' dbname=';
$subscribe =~ s/CONNECTION '[^']*'/CONNECTION '${connection}postgres'/ or die $subscribe;
there($publish);
here($subscribe);
$subscriber->wait_for_subscription_sync($publisher, 'models');

my %same = (
	predictions => 'SELECT i, ' . join(', ', map { "float8send(ml_predict('$_', t))" } qw(price price@1 price@2 price@stable sums)) . ' FROM t ORDER BY i',
	classes => q{SELECT i, ml_classify('colour', t), ml_probabilities('colour', t) FROM t ORDER BY i},
	rows_of => q{SELECT 'model', m::text FROM ml.model m UNION ALL SELECT 'version', v::text FROM ml.version v UNION ALL SELECT 'state', md5(s::text)
		FROM ml.training_state s UNION ALL SELECT 'alias', a::text FROM ml.alias a UNION ALL SELECT 'privilege', p::text FROM ml.privilege p
		UNION ALL SELECT 'watch', w::text FROM ml.monitoring_row w ORDER BY 1, 2},
	models => 'SELECT * FROM ml.models ORDER BY 1',
	versions => 'SELECT * FROM ml.versions ORDER BY 1, 2',
	privileges => 'SELECT * FROM ml.privileges ORDER BY 1, 2, 3',
	roles => 'SELECT * FROM ml.roles ORDER BY 1, 2, 3',
	audit => 'SELECT audit_id, at, role, session_role, action, model, version, detail FROM ml.audit ORDER BY 1',
	monitoring => 'SELECT * FROM ml.monitoring ORDER BY run_id, line',
);
sub compare
{
	my ($what) = @_;
	foreach my $name (sort keys %same)
	{
		my ($want, $got) = (there("SET timezone = 'UTC'; $same{$name}"), here("SET timezone = 'UTC'; $same{$name}"));
		isnt($want, '', "$what: there are $name");
		ok($got eq $want, "$what: same $name") or is($got, $want);
	}
	is(here('SELECT * FROM ml_verify()'), '', "$what: nothing is broken");
	return;
}
compare('first copy');
is(here('SELECT DISTINCT restored FROM ml.audit'), 't', 'copied rows of the audit are marked');
is(there('SELECT DISTINCT restored FROM ml.audit'), 'f', 'those there are not');

# ---- who may do what ----

is(as($subscriber, 'reader', q{SELECT md5(string_agg(ml_predict('price', t)::text, ' ' ORDER BY i)) FROM t}),
	there(q{SELECT md5(string_agg(ml_predict('price', t)::text, ' ' ORDER BY i)) FROM t}), 'a grantee predicts');
like(as($subscriber, 'reader', q{SELECT ml_describe('price')}), qr/permission denied for model "price"/, 'and may do no more');
is(as($subscriber, 'max', q{SELECT string_agg(model, ' ' ORDER BY model) FROM ml.models WHERE may_manage}), 'price', 'a member of the group manages');
is(as($subscriber, 'stranger', q{SELECT string_agg(model, ' ') FROM ml.models}), 'colour', 'PUBLIC sees what it was granted');
like(as($subscriber, 'stranger', q{SELECT * FROM ml.version}), qr/permission denied/, 'and no table');
here('GRANT SELECT ON ml.model TO stranger');
is(as($subscriber, 'stranger', q{SELECT string_agg(name, ' ') FROM ml.model}), 'colour', 'row security works');
like(as($subscriber, 'author', q{SELECT ml_promote('price', 1)}), qr/promotion of model "price" is reserved/, 'promotion is reserved');
like(here_fails("DROP ROLE $_"), qr/role "$_" cannot be dropped because some objects depend on it/, "role $_ is needed") foreach qw(author reader team approver);

# ---- sessions that are open follow ----

sub train
{
	my ($k, $model) = @_;
	$model //= 'm';
	return as($publisher, 'author', qq{SELECT version FROM ml_train('$model', 'SELECT i::float8 AS x, ($k * i)::float8 AS y
		FROM generate_series(1, 40) i', target => 'y', algorithm => 'linear')});
}
here('CREATE TABLE ten AS SELECT 10::float8 AS x; GRANT SELECT ON ten TO PUBLIC');
my %session = map { $_ => $subscriber->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', $_ ]) } qw(author reader);
my $predict = q{round(ml_predict('m', ten)::numeric, 6) FROM ten};
foreach my $session (values %session)
{
	$session->query("PREPARE p AS SELECT $predict");
	$session->query(q{CREATE TEMP TABLE price AS SELECT 1; SELECT ml_predict('price', t) FROM t LIMIT 1});
}
sub says
{
	my ($role, $want, $what, $query) = @_;
	arrive();
	my $session = $session{$role};
	my $got = $session->query($query // 'EXECUTE p');
	$got = $session->{stderr} if $got eq '' && $want ne '';
	$session->{stderr} = '';
	like($got, ref $want ? $want : qr/^\Q$want\E$/, $what);
	return;
}
is(train(1), '1', 'trained there');
says('author', '10.000000', 'a model that was not there before');
says('reader', qr/model "m" does not exist/, '... is not for everybody');
is(train(2), '2', 'trained again there');
says('author', '20.000000', 'a new version');
there(q{SELECT ml_promote('m', 1)});
says('author', '10.000000', 'promoted');
there(q{SELECT ml_rollback('m')});
says('author', '20.000000', 'rolled back');
there(qq{BEGIN; SELECT ml_promote('m', 1); SELECT ml_grant('m', 'reader', 'predict'); ROLLBACK});
says('author', '20.000000', 'what was not committed there');
there(q{SELECT ml_grant('m', 'reader', 'predict')});
says('reader', '20.000000', 'granted');
there(q{SELECT ml_revoke('m', 'reader', 'predict')});
says('reader', qr/model "m" does not exist/, 'revoked');
there(q{SELECT ml_set_alias('m', 'prod', 1)});
my $prod = q{SELECT round(ml_predict('m@prod', ten)::numeric, 6) FROM ten};
says('author', '10.000000', 'an alias', $prod);
there(q{SELECT ml_set_alias('m', 'prod', 2)});
says('author', '20.000000', '... moved', $prod);
there(q{SELECT ml_set_alias('m', 'spare', 1); TRUNCATE ml.alias; SELECT ml_set_alias('m', 'prod', 1)});
says('author', '10.000000', '... truncated, and made anew', $prod);
says('author', qr/model "m" has no alias "spare"/, '... or not', q{SELECT ml_predict('m@spare', ten) FROM ten});
there(q{SELECT ml_rename('m', 'n')});
says('author', qr/model "m" does not exist/, 'renamed');
there(q{SELECT ml_rename('n', 'm')});
says('author', '20.000000', '... and back');
there(q{SELECT ml_reassign('author', 'max')});
says('author', qr/model "m" does not exist/, 'given to somebody else');
like(here(q{SELECT ml_verify()}), qr/^$/, '... who cannot be dropped');
there(q{SELECT ml_reassign('max', 'author')});
there(q{SELECT ml_set_alias('price', 'stable', 1); SELECT ml_archive('price', 2); SELECT ml_comment('price', 'of houses');
	SELECT count(*) FROM ml_update('sums', 'SELECT x, y FROM t WHERE i > 200'); SELECT ml_set_alias('m', 'prod', NULL); SELECT ml_drop('m', 1)});
arrive();
compare('after changes');
there(q{SELECT ml_drop('m')});
says('author', qr/model "m" does not exist/, 'dropped');
$_->quit foreach values %session;

# ---- what stops a subscription, and how it goes on ----

# What the subscriber's log says from now on, until that appears.
sub stops
{
	my ($want, $what, $role, $sql) = @_;
	my $from = -s $subscriber->logfile;
	as($publisher, $role, $sql);
	ok($subscriber->wait_for_log($want, $from), $what);
	return;
}
there('CREATE ROLE late LOGIN');
stops(qr/ERROR:  role "late" does not exist/, 'a role that is not here', 'author', q{SELECT ml_grant('price', 'late', 'predict')});
here('CREATE ROLE late LOGIN');
arrive();
is(as($subscriber, 'late', q{SELECT count(ml_predict('price', t)) FROM t}), '300', '... when it is here');

my $own = q{SELECT version FROM ml_train('%s', 't', target => 'y', algorithm => 'linear', features => '{x}')};
is(as($subscriber, 'author', sprintf $own, 'own'), '1', 'a model of its own');
is(as($publisher, 'author', sprintf $own, 'more'), '1', '... beside another one there');
arrive();
is(here(q{SELECT string_agg(model, ' ' ORDER BY model) FROM ml.models}), 'colour more own price sums', '... are both here');
is(here('SELECT * FROM ml_verify()'), '', '... and nothing is broken');
stops(qr/unique (constraint|index) "model_name_key"/, 'the same name there', 'author', sprintf $own, 'own');
here(q{SELECT ml_rename('own', 'ours')});
arrive();
is(here(q{SELECT string_agg(name || ' ' || (model_id >= 1000000000000), ', ' ORDER BY name) FROM ml.model WHERE name IN ('own', 'ours')}),
	'ours true, own false', '... when the one here is renamed');
is(as($subscriber, 'author', sprintf $own, 'more'), '2', 'a version of a model from there');
stops(qr/unique (constraint|index) "version_model_id_version_key"/, '... and then one there', 'author', sprintf $own, 'more');
here(q{SELECT ml_rollback('more'); SELECT ml_drop('more', 2)});
arrive();
is(here(q{SELECT string_agg(version || ' ' || trained_by || ' ' || is_current, ', ' ORDER BY version) FROM ml.versions WHERE model = 'more'}),
	'1 author false, 2 author true', '... when the one here is dropped');
is(here(q{SELECT fingerprint FROM ml.versions WHERE model = 'more' AND version = 2}),
	there(q{SELECT fingerprint FROM ml.versions WHERE model = 'more' AND version = 2}), '... it is the one from there');
is(here('SELECT * FROM ml_verify()'), '', '... and nothing is broken');

here(q{SELECT ml_promote('more', 1)});
there(q{SELECT ml_comment('price', 'of flats')});
arrive();
is(here(q{SELECT current_version FROM ml.models WHERE model = 'more'}), '1', 'a promotion here');
there(q{SELECT ml_comment('more', 'and more')});
arrive();
is(here(q{SELECT current_version FROM ml.models WHERE model = 'more'}), '2', '... lasts until the model changes there');

# ---- what else the page says ----

is(there(q{CREATE PUBLICATION everything FOR ALL TABLES; SELECT count(*) FROM pg_publication_tables WHERE pubname = 'everything' AND schemaname = 'ml'}),
	there(q{SELECT count(*) FROM pg_class WHERE relnamespace = 'ml'::regnamespace AND relkind = 'r'}), 'FOR ALL TABLES: with the tables of schema ml');
here('CREATE DATABASE bare');
$subscriber->psql('bare', "CREATE SUBSCRIPTION bare CONNECTION '${connection}postgres' PUBLICATION everything", stderr => \my $bare);
like($bare, qr/ERROR:  schema "ml" does not exist/, '... which a subscriber must have');
there('DROP PUBLICATION everything');
if (here('SHOW server_version_num') >= 150000)
{
	there(q{CREATE PUBLICATION few FOR TABLE ml.version WHERE (model_id = 1)});
	like(as($publisher, 'author', q{SELECT ml_archive('more', 1)}), qr/cannot update table "version"/, 'a row filter: rows cannot change there');
	there('DROP PUBLICATION few');
}

# In binary roles come as numbers, and here the number of author there is somebody's.
$_->safe_psql('postgres', 'CREATE DATABASE numbers') foreach $publisher, $subscriber;
$publisher->safe_psql('numbers', qq{CREATE EXTENSION ml_ext; $publish});
$subscriber->safe_psql('numbers', 'CREATE EXTENSION ml_ext');
$subscriber->safe_psql('numbers', "CREATE SUBSCRIPTION numbers CONNECTION '${connection}numbers' PUBLICATION models WITH (binary = true)");
$subscriber->wait_for_subscription_sync($publisher, 'numbers', 'numbers');
$publisher->safe_psql('numbers', $table);
$publisher->psql('numbers', sprintf($own, 'm'), extra_params => [ '-U', 'author' ]);
$publisher->wait_for_catchup('numbers');
is($subscriber->safe_psql('numbers', 'SELECT owner FROM ml.models'), here(sprintf 'SELECT %s::regrole', there(q{SELECT 'author'::regrole::oid})),
	'in binary the owner is who has his number');
isnt($subscriber->safe_psql('numbers', 'SELECT owner FROM ml.models'), 'author', '... another one');
is($subscriber->safe_psql('numbers', 'SELECT * FROM ml_verify()'), '', '... which ml_verify does not see');
$subscriber->safe_psql('numbers', 'DROP SUBSCRIPTION numbers');
$_->safe_psql('postgres', 'DROP DATABASE numbers') foreach $publisher, $subscriber;

# Where the owner of the database made the extension; from 16 on he may own the subscription, too.
foreach my $node ($publisher, $subscriber)
{
	$node->safe_psql('postgres', 'CREATE ROLE boss LOGIN; CREATE DATABASE owned OWNER boss');
	$node->safe_psql('owned', 'CREATE EXTENSION ml_ext; CREATE TABLE t AS SELECT i::float8 AS x, 2.0::float8 * i AS y FROM generate_series(1, 40) i', extra_params => [ '-U', 'boss' ]);
}
my ($status, $out, $err) = $publisher->psql('owned', $publish, extra_params => [ '-U', 'boss' ]);
like($err, qr/must be owner of table audit_log/, 'who is no superuser cannot publish the audit');
$publisher->safe_psql('owned', $publish =~ s/ ml.audit_log,//r, extra_params => [ '-U', 'boss' ]);
$subscriber->safe_psql('owned', join '', $subscribe =~ /^ALTER SEQUENCE.*\n/mg);
$subscriber->safe_psql('owned', "CREATE SUBSCRIPTION owned CONNECTION '${connection}owned user=" . there('SELECT current_user') . "' PUBLICATION models");
$subscriber->wait_for_subscription_sync($publisher, 'owned', 'owned');
foreach my $version (1, 2)
{
	$publisher->safe_psql('owned', sprintf($own, 'm'), extra_params => [ '-U', 'boss' ]);
	$publisher->wait_for_catchup('owned');
	is($subscriber->safe_psql('owned', q{SELECT current_version, owner FROM ml.models}, extra_params => [ '-U', 'boss' ]), "$version|boss",
		"version $version arrives in tables of the owner of the database");
	last if here('SHOW server_version_num') < 160000;
	$subscriber->safe_psql('owned', 'ALTER SUBSCRIPTION owned SET (password_required = false); ALTER SUBSCRIPTION owned OWNER TO boss');
}
$subscriber->safe_psql('owned', 'DROP SUBSCRIPTION owned');

# ---- the subscriber goes on alone ----

$publisher->stop('immediate');
here($alone);
is(as($subscriber, 'author', sprintf $own, 'price'), '4', 'the next version of a model');
is(as($subscriber, 'approver', q{SELECT ml_promote('price', 4)}), '4', '... is promoted by who may');
is(as($subscriber, 'author', q{SELECT decision IS NOT NULL FROM ml_retrain('more')}), 't', 'a recipe is repeated');
is(as($subscriber, 'author', q{SELECT version FROM ml_forget('sums', 'SELECT x, y FROM t WHERE i <= 10', others => 'drop')}), '3', 'kept sums give rows back');
is(as($subscriber, 'author', q{SELECT version FROM ml_train('last', 't', target => 'y', features => '{x}')}), '1', 'a new model');
is(here('SELECT count(*) FROM ml.audit WHERE NOT restored AND audit_id >= 1000000000000') > 5, 1, 'the audit goes on');
is(here('SELECT * FROM ml_verify()'), '', 'nothing is broken');

$subscriber->stop;
done_testing();
