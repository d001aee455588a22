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
my $dir = $ENV{IX_DIR} // PostgreSQL::Test::Utils::tempdir;

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

# ---- files of other versions, and of LightGBM ----

my $rounding = 2e-6;			# float32 has 24 bits: 6e-8 a rounding; sums of tens of trees lose a few of them
my $double = 1e-12;				# LightGBM computes with doubles
my %refused = (lightgbm4_zero => 'zero_as_missing', lightgbm4_linear => 'linear models in their leaves');
foreach my $file (sort glob 'test/data/models/*.csv')
{
	my ($name) = $file =~ m{([^/]+)\.csv$};
	my @kinds = $name =~ /^lightgbm/ ? ('txt') : ('json', 'ubj');

	foreach my $kind (@kinds)
	{
		my $hex = unpack 'H*', slurp_file("test/data/models/$name.$kind");
		my $data = $kind eq 'ubj' ? "'\\x$hex'::bytea" : "convert_from('\\x$hex', 'UTF8')";
		my $import = "SELECT task, features, origin FROM ml_import('$name', $data)";
		if (my $why = $refused{$name})
		{
			my ($out, $err) = ('', '');
			$node->psql('postgres', $import, stdout => \$out, stderr => \$err);
			like($err, qr/not supported: .*\Q$why\E/, "$name is refused");
			next;
		}
		$sql->($import);
		my $values = join ',', map { /^"(.*)","(.*)"$/; "('$1'::float8[], '$2'::float8[])" } split /\n/, slurp_file($file);
		my $ours = $name =~ /classes/ ? "all_probabilities('$name', as_row((SELECT array_agg(feature ORDER BY length(feature), feature) FROM names), x))" : "ARRAY[ml_predict('$name', VARIADIC x)]";
		my ($rows, $worst) = split /\|/, $sql->("WITH names AS MATERIALIZED (SELECT (CASE WHEN '$name' LIKE 'lightgbm%' THEN 'Column_' ELSE 'f' END || i) AS feature FROM generate_series(0, 3) i)
			SELECT count(*), max(difference($ours, p)) FROM (VALUES $values) v(x, p)");
		cmp_ok($worst, '<=', $name =~ /^lightgbm/ ? $double : $rounding, "$name.$kind: the $rows predictions kept with it ($worst)");
	}
}

# Nothing further on can be tested without it: that is a failure, ./check installs it.
if (system("$python -c 'import xgboost'") != 0)
{
	fail("XGBoost is installed (package python3-xgboost)");
	done_testing();
	exit;
}
system_or_bail($python, $witness, 'make', $dir);

# ---- import ----

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
	# e to a margin makes the margin's absolute error a relative one: 2.2e-6 with XGBoost 3.0.0
	cmp_ok($worst, '<=', $objective eq 'survival:cox' ? 2 * $rounding : $rounding, "$name: $rows predictions are XGBoost's but for float32 rounding ($worst)");
	is($same, 't', "$name: JSON and UBJSON give the same");
	cmp_ok($explained, '<=', 10 * $rounding, "$name: so are contributions ($explained)") unless $name eq 'softprob2';
}

# ---- export ----

# Numbers are float4, so that rounding to float32 changes none.
$sql->(<<'SQL');
CREATE TABLE own AS
	SELECT i AS id, CASE WHEN i % 11 <> 3 THEN sin(i * 1.7) * 3 END::float4 AS a, (hashint4(i) % 1000 / 250.0)::float4 AS "b ""c"" \",
		CASE WHEN i % 13 <> 5 THEN (hashint4(i + 9) % 8) END::float4 AS d, (hashint4(-i) % 100000 / 1e4)::float4 AS "größe",
		CASE WHEN i % 17 <> 2 THEN 'k' || abs(hashint4(i * 3)) % 20 END AS kind, (ARRAY['x', 'y, "z"'])[1 + i / 2 % 2] AS side
	FROM generate_series(1, 4000) i;
ALTER TABLE own ADD y float8, ADD n int, ADD two text, ADD four text;
UPDATE own SET y = coalesce(a, 1) * 2 + coalesce(d, -3) * "größe" / 10 + CASE WHEN kind IN ('k1', 'k2', 'k7') OR kind IS NULL THEN 5 ELSE 0 END
	+ CASE side WHEN 'x' THEN coalesce(a, 0) ELSE 0 END + hashint4(i_id) % 100 / 200.0 FROM (SELECT id AS i_id FROM own) o WHERE id = i_id;
UPDATE own SET n = greatest(0, floor(y / 3))::int, two = CASE WHEN y > 2 THEN 'yes' ELSE 'no' END,
	four = CASE WHEN y > 6 THEN 'high' WHEN y > 2 THEN 'middle' WHEN y > -1 THEN 'low' ELSE 'none' END;
CREATE TABLE own_theirs (id int, prediction float8[]);
CREATE FUNCTION own_labels(model text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT (ml_export(model, 'xgboost')::jsonb #>> '{learner,attributes,ml_ext}')::jsonb -> 'labels' $$;
CREATE FUNCTION own_probabilities(model text, o own, labels jsonb) RETURNS float8[] LANGUAGE sql AS $$
	SELECT array_agg(ml_probability(model, o, label) ORDER BY i) FROM jsonb_array_elements_text(labels) WITH ORDINALITY l(label, i) $$;
SQL
my @models = (
	[ 'squared', 'y', 'gradient_boosting', '{"n_estimators": 60}' ],
	[ 'absolute', 'y', 'gradient_boosting', '{"n_estimators": 30, "objective": "absolute", "growth": "leaf_wise", "max_leaves": 20, "max_depth": 0}' ],
	[ 'poisson', 'n', 'gradient_boosting', '{"n_estimators": 40, "objective": "poisson"}' ],
	[ 'binary', 'two', 'gradient_boosting', '{"n_estimators": 40, "subsample": 0.7, "l1": 0.5}' ],
	[ 'classes', 'four', 'gradient_boosting', '{"n_estimators": 20}' ],
	[ 'forest', 'y', 'random_forest', '{"n_estimators": 30}' ],
	[ 'forest_binary', 'two', 'random_forest', '{"n_estimators": 30}' ],
	[ 'extra', 'y', 'extra_trees', '{"n_estimators": 10}' ],
	[ 'tree', 'y', 'decision_tree', '{"max_depth": 6}' ],
	[ 'tree_binary', 'two', 'decision_tree', '{}' ]);
mkdir "$dir/own";
for my $model (@models)
{
	my ($name, $target, $algorithm, $params) = @$model;
	my $task = $target =~ /y|n/ && $target !~ /two/ ? 'regression' : 'classification';
	$sql->(qq{SELECT ml_train('own_$name', 'SELECT a, "b ""c"" \\", d, "größe", kind, side, $target FROM own WHERE id % 2 = 0',
		target => '$target', algorithm => '$algorithm', task => '$task', params => '$params', holdout => 0, seed => 3);
		COPY (SELECT ml_export('own_$name', 'xgboost')::json) TO '$dir/own/$name.model' (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02');
		UPDATE own SET kind = 'never seen' WHERE id % 50 = 1;});
	my $columns = $sql->(qq{SELECT string_agg(quote_ident(n), ', ' ORDER BY i) FROM jsonb_array_elements_text(
		ml_export('own_$name', 'xgboost')::jsonb #> '{learner,feature_names}') WITH ORDINALITY f(n, i)});
	$sql->(qq{COPY (SELECT id, $columns FROM own) TO '$dir/own/$name.rows' (FORMAT csv, HEADER)});
}
system_or_bail($python, $witness, 'apply', "$dir/own");
for my $model (@models)
{
	my ($name, $target, $algorithm) = @$model;
	$sql->("TRUNCATE own_theirs; COPY own_theirs FROM '$dir/own/$name.out' (FORMAT csv)");
	my $ours = $name eq 'classes' ? "own_probabilities('own_classes', o, (SELECT own_labels('own_classes')))" : "ARRAY[ml_predict('own_$name', o)]";
	my ($rows, $worst, $spread) = split /\|/,
		$sql->("SELECT count(*), max(difference($ours, prediction)), stddev(prediction[1]) > 0.05 FROM own o JOIN own_theirs USING (id)");
	cmp_ok($worst, '<=', $rounding, "$name of $algorithm: XGBoost predicts the same $rows values with it ($worst)");
	is($spread, 't', "$name: they differ from row to row");
	# what was written is read again
	$sql->("SELECT * FROM ml_import('again_$name', ml_export('own_$name', 'xgboost'))");
	is($sql->("SELECT ml_export('again_$name', 'xgboost')::jsonb #- '{learner,attributes}' #- '{learner,learner_model_param,base_score}' #- '{learner,objective}'
		= ml_export('own_$name', 'xgboost')::jsonb #- '{learner,attributes}' #- '{learner,learner_model_param,base_score}' #- '{learner,objective}'"),
		't', "$name: import and export give the same again");
}
done_testing();
