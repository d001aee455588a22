# Import and export of tree models, against XGBoost itself (test/witness/interchange.py): random models of each kind,
# thousands of rows with missing values, unknown categories and numbers next to thresholds.
# Files of other versions and of LightGBM, with the predictions of their makers, lie in test/data/models.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $python = '/usr/bin/python3';
my $witness = 'test/witness/interchange.py';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nfsync = off\n");
$node->start;
my $sql = sub { $node->safe_psql('postgres', "SET client_min_messages = error;\n$_[0]") };
my $dir = PostgreSQL::Test::Utils::tempdir;

$sql->(<<'SQL');
CREATE EXTENSION ml_ext;
-- what XGBoost says, and what we say
CREATE TABLE case_row (id int, x float8[], margin float8[], prediction float8[], contributions float8[]);
CREATE FUNCTION as_row(names text[], x float8[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_object_agg(n, v) FROM unnest(names, x) u(n, v) $$;
CREATE FUNCTION f_names(p int) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg('f' || i ORDER BY i) FROM generate_series(0, p - 1) i $$;
-- the greatest difference of two arrays in units of 1 + |expected|
CREATE FUNCTION difference(got float8[], expected float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN cardinality(got) = cardinality(expected) AND array_position(got, NULL) IS NULL
		THEN (SELECT max(abs(g - e) / (1 + abs(e))) FROM unnest(got, expected) u(g, e)) ELSE 'Infinity' END $$;
CREATE FUNCTION all_probabilities(model text, r jsonb) RETURNS float8[] LANGUAGE sql AS $$
	SELECT array_agg(value::float8 ORDER BY key::int) FROM jsonb_each_text(ml_probabilities(model, r)) $$;
CREATE FUNCTION all_contributions(model text, r jsonb) RETURNS float8[] LANGUAGE sql AS $$
	SELECT array_agg(contribution ORDER BY feature = '(base)', feature COLLATE "C") FROM ml_explain(model, r) $$;
SQL

# Nothing here can be tested without it: that is a failure, ./check installs it.
if (system("$python -c 'import xgboost'") != 0)
{
	fail("XGBoost is installed (package python3-xgboost)");
	done_testing();
	exit;
}
system_or_bail($python, $witness, 'make', $dir);

# ---- import ----

# float32 has 24 bits: 6e-8 a rounding; sums of tens of trees lose a few of them
my $rounding = 2e-6;
for my $line (split /\n/, slurp_file("$dir/cases"))
{
	my ($name, $objective, $outputs) = split / /, $line;
	$sql->("TRUNCATE case_row; COPY case_row FROM '$dir/$name.csv' (FORMAT csv)");
	$sql->("SELECT * FROM ml_import('$name', convert_from(pg_read_binary_file('$dir/$name.json'), 'UTF8'));
		SELECT * FROM ml_import('${name}_ubj', pg_read_binary_file('$dir/$name.ubj'));");
	# one number a row; of more classes, their probabilities
	my $ours = $outputs > 2 || $objective eq 'multi:softprob' ? "all_probabilities('$name', r)" : "ARRAY[ml_predict('$name', VARIADIC x)]";
	my $theirs = 'prediction';
	if ($objective eq 'multi:softmax')	# it tells the class alone
	{
		$ours = "ARRAY[ml_classify('$name', r)::float8]";
	}
	my ($rows, $worst, $same, $explained) = split /\|/, $sql->(<<"SQL");
		SELECT count(*), max(difference($ours, $theirs)),
			bool_and(@{[ $ours =~ s/'$name'/'${name}_ubj'/r ]} = $ours),
			max(difference(all_contributions('$name', r), contributions)) FILTER (WHERE contributions IS NOT NULL)
		FROM case_row, LATERAL (SELECT as_row(f_names(cardinality(x)), x) AS r) r
SQL
	cmp_ok($worst, '<=', $rounding, "$name: $rows predictions are XGBoost's but for float32 rounding ($worst)");
	is($same, 't', "$name: JSON and UBJSON give the same");
	cmp_ok($explained, '<=', 10 * $rounding, "$name: so are contributions ($explained)") unless $name eq 'softprob2';
}
done_testing();
