# Golden models: what earlier versions wrote is read and predicts the same numbers, bit by bit (links, to 14
# digits: the last bit of erfc, for one, differs between C libraries); with any
# byte changed or any end cut off it is refused, or works, and never ends in an internal error.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION ml_ext;
CREATE TABLE golden (name text, m bytea, r jsonb);
-- The model with these bytes, the digest made right unless it is to be kept; then everything is done with
-- it.  Returns the SQLSTATE, 00000 without an error.
CREATE FUNCTION try(bytes bytea, row_asked jsonb, repair bool) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m ml_model;
	read bool := false;
BEGIN
	IF repair THEN
		bytes := substr(bytes, 1, 8) || substr(sha256(substr(bytes, 25)), 1, 16) || substr(bytes, 25);
	END IF;
	m := bytes::text::ml_model;
	read := true;
	PERFORM ml_predict(m, row_asked);
	PERFORM ml_explain(m, row_asked);
	PERFORM ml_describe(m);
	PERFORM ml_coefficients(m);
	PERFORM ml_importance(m);
	PERFORM ml_to_sql(m);
	RETURN '00000';
EXCEPTION WHEN others THEN
	RETURN CASE WHEN read THEN 'used ' ELSE '' END || SQLSTATE;
END $$;
-- What came of one random bit changed in every byte, and of every truncation.
CREATE FUNCTION change_all(m bytea, r jsonb, repair bool) RETURNS TABLE (state text, n bigint) LANGUAGE sql AS $$
	SELECT try(set_byte(m, i, get_byte(m, i) # (1 << (i * 7919 % 1009 % 8))), r, repair), count(*)
	FROM generate_series(CASE WHEN repair THEN 24 ELSE 0 END, length(m) - 1) i GROUP BY 1 $$;
-- A model of format 3 as format 2 has it: without the size and the checksum of its head, which SQL cannot make right.
CREATE FUNCTION older(m bytea) RETURNS bytea LANGUAGE sql AS $$
	SELECT CASE WHEN get_byte(m, 7) <> 3 THEN m ELSE set_byte(substr(m, 1, 24), 7, 2) || substr(m, 33) END $$;
CREATE FUNCTION cut_all(m bytea, r jsonb) RETURNS TABLE (state text, n bigint) LANGUAGE sql AS $$
	SELECT try(substr(m, 1, i), r, i % 2 = 0 AND i >= 24), count(*) FROM generate_series(0, length(m) - 1) i GROUP BY 1 $$;
SQL

foreach my $file (sort glob 'test/models/*.hex')
{
	my ($name) = $file =~ m{([^/]+)\.hex$};
	my ($model, @rows) = split /\n/, slurp_file($file);
	my $asked = join ',', map { my ($row) = /^(.*)\|/; "('" . ($row =~ s/'/''/gr) . "'::jsonb)" } @rows;
	my $linked = $name =~ /^(glm|logistic)/;
	my $seen = sub { $linked ? $_[0] =~ s/(\d+\.\d+(?:e[-+]?\d+)?)/sprintf('%.14g', $1)/ger : $_[0] };
	my $function = $name =~ /_classes$/ ? 'ml_probabilities' : 'ml_predict';

	is($seen->($node->safe_psql('postgres', "SELECT r::text || '|' || coalesce($function('$model'::ml_model, r)::text, '') FROM (VALUES $asked) v(r)")),
		$seen->(join("\n", @rows)), "$name: predictions are what they were" . ($linked ? '' : ', bit by bit'));
	$node->safe_psql('postgres', "INSERT INTO golden SELECT '$name', '$model', r FROM (VALUES $asked) v(r) LIMIT 1");
	is($node->safe_psql('postgres', "SELECT string_agg(state, ',') FROM golden, change_all(m, r, false) WHERE name = '$name' AND state NOT IN ('XX001', '0A000')"),
		'', "$name: no byte can be changed unnoticed");
	is($node->safe_psql('postgres', "SELECT string_agg(state, ',') FROM golden, change_all(older(m), r, true) WHERE name = '$name' AND state IN ('XX000', 'used XX000', 'used XX001', '57014')"),
		'', "$name: nor does a changed byte do harm when the checksum is right");
	is($node->safe_psql('postgres', "SELECT string_agg(state, ',') FROM golden, cut_all(m, r) WHERE name = '$name' AND state <> 'XX001'"),
		'', "$name: a part of it is refused");
}

is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT try(set_byte(m, i, get_byte(m, i) # 1), r, true), ',') FROM golden, generate_series(24, 31) i WHERE get_byte(m, 7) >= 3"),
	'XX001', 'size and checksum of the head are looked at, too');

# Of a stored version a prediction reads the head alone, whose bytes it checks; ml_verify finds what is wrong behind it.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION unchecked(bytea) RETURNS ml_model LANGUAGE internal STRICT AS 'byteasend';
CREATE TABLE few AS SELECT i * 0.5 AS x, i % 7 AS y FROM generate_series(1, 200) i;
SELECT ml_train('stored', 'few', 'y', 'gradient_boosting', '{"n_estimators": 3}');
CREATE TABLE kept AS SELECT model::text::bytea AS m FROM ml.version;
CREATE FUNCTION damage(at int) RETURNS void LANGUAGE sql AS $$
	UPDATE ml.version SET model = unchecked(set_byte(m, at, get_byte(m, at) # 4)) FROM kept $$;
SQL
my $head = $node->safe_psql('postgres', "SELECT ('x' || encode(substr(m, 29, 4), 'hex'))::bit(32)::int & 2147483647 FROM kept");
my $size = $node->safe_psql('postgres', 'SELECT length(m) FROM kept');
cmp_ok($head, '<', $size / 2, "the head takes $head of $size bytes");
my $noticed = 0;
my @places = map { int(24 + ($head - 25) * $_ / 40) } 0 .. 40;
foreach my $at (@places)
{
	$node->safe_psql('postgres', "SELECT damage($at)");
	my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT ml_predict('stored', f) FROM few f LIMIT 1");
	$noticed += $err =~ /ERROR:  XX001/;
}
is($noticed, scalar @places, 'a prediction by a damaged version is refused');
$node->safe_psql('postgres', 'SELECT damage(' . ($head + 100) . ')');
is($node->psql('postgres', "SELECT ml_predict('stored', f) FROM few f LIMIT 1"), 0, 'behind the head there is nothing that it needs');
isnt($node->safe_psql('postgres', "SELECT count(*) FROM ml_verify()"), '0', 'but ml_verify sees it');
$node->safe_psql('postgres', 'UPDATE ml.version SET model = unchecked(m) FROM kept');
is($node->safe_psql('postgres', "SELECT count(*) FROM ml_verify()"), '0', 'and nothing when it is mended');

# States: every byte of one with rows in its buffers, splits and summaries.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION try_state(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	s ml_state;
BEGIN
	s := bytes::text::ml_state;
	PERFORM ml_finish(ml_combine(v)) FROM unnest(ARRAY[s, s]) v;
	RETURN '00000';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE;
END $$;
SQL
foreach my $algorithm ('linear', 'ridge', 'baseline')
{
	my $state = "(SELECT ml_accumulate(ml_spec('$algorithm', '{x,y}', 'y'), i::float8, (i * i % 17)::float8)::text::bytea AS s FROM generate_series(1, 300) i)";
	is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT t, ',') FROM $state s, generate_series(0, length(s) - 1) i,
		LATERAL try_state(set_byte(s, i, get_byte(s, i) # (1 << (i * 7919 % 1009 % 8)))) t WHERE t !~ '^(00000|XX001|0A000|22...)\$'"),
		'', "state of $algorithm: no changed byte does harm");
	is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT t, ',') FROM $state s, generate_series(0, length(s) - 1) i,
		LATERAL try_state(substr(s, 1, i)) t WHERE t <> 'XX001'"), '', "state of $algorithm: a part of it is refused");
}
foreach my $bad ('', '\x', 'x', '\xzz', '\x0', 'NULL')
{
	my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT '$bad'::ml_model");
	like($err, qr/ERROR:  (22P02|22023|XX001)/, "\"$bad\" is no model");
	(undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT '$bad'::ml_state");
	like($err, qr/ERROR:  (22P02|22023|XX001)/, "\"$bad\" is no state");
}
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal|invalid memory alloc/, 'the server was never in danger');
done_testing();
