# ml_to_sql: what it writes, run in a second server that does not have the extension, is what ml_predict,
# ml_probability and ml_classify give, to 1e-12, for every algorithm, preprocessing and type of column, with NULL,
# NaN, values beyond those of the training and categories that it did not have; and NULL where they refuse the row.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ml = PostgreSQL::Test::Cluster->new('ml');
my $plain = PostgreSQL::Test::Cluster->new('plain');
foreach my $node ($ml, $plain)
{
	$node->init;
	$node->append_conf('postgresql.conf', "client_min_messages = error\nfsync = off\njit = off\ntimezone = 'Asia/Kathmandu'\n");
	$node->start;
}
$ml->safe_psql('postgres', 'CREATE EXTENSION ml_ext');

# The same rows on both: made by hashes, not by random().
my $tables = <<'SQL';
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine" \ $$ ünï');
CREATE DOMAIN percent AS numeric(6, 2);
CREATE FUNCTION u(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
	$$ SELECT (('x' || substr(md5(i || '/' || k), 1, 8))::bit(32)::bigint & 4294967295)::float8 / 4294967296 $$;
CREATE TABLE everything (id int, part text, "s 2" smallint, i4 int, i8 bigint, f4 real, f8 float8, n numeric(14, 4), p percent,
	b boolean, "t""x" text, v varchar(20), c char(6), m mood, u uuid, d date, ts timestamp, "Tz" timestamptz, iv interval,
	tm time, ai int[], af float8[], same text COLLATE "C");
INSERT INTO everything SELECT i, CASE WHEN i <= 1500 THEN 'train' ELSE 'test' END,
	nullif((u(i, 1) * 20)::int, 7) - 10, (u(i, 2) * 1e6)::int, (u(i, 3) * 1e12)::bigint,
	(u(i, 4) * 7 - 3)::real, CASE WHEN u(i, 25) < 0.05 THEN NULL ELSE exp(8 * u(i, 5) - 4) - 3 END,
	round((u(i, 6) * 1e7 - 5e6)::numeric, 4), round((u(i, 7) * 100)::numeric, 2),
	CASE WHEN u(i, 8) < 0.1 THEN NULL ELSE u(i, 8) < 0.6 END,
	(ARRAY['red', 'o''brien', 'back\slash', '$$; DROP TABLE everything; --', 'blüte 🌸', '', 'only in the test', NULL])
		[1 + (u(i, 9) * CASE WHEN i <= 1500 THEN 6 ELSE 8 END)::int % 8],
	'v' || (u(i, 10) * u(i, 10) * CASE WHEN i <= 1500 THEN 40 ELSE 45 END)::int,
	(ARRAY['a', 'bb', 'ccc  '])[1 + (u(i, 11) * 2.9)::int],
	(ARRAY['sad', 'ok', 'it''s "fine" \ $$ ünï', NULL]::mood[])[1 + (u(i, 12) * 3.9)::int % 4],
	md5('u' || (u(i, 13) * 5)::int)::uuid,
	date '1890-03-01' + (u(i, 14) * 60000)::int,
	timestamp '1999-12-20' + u(i, 15) * interval '700 days' + (u(i, 16) * 1e6)::int * interval '1 microsecond',
	timestamptz '2020-10-25 00:30+02' + u(i, 17) * interval '400 days',
	CASE WHEN u(i, 18) < 0.06 THEN NULL ELSE make_interval(years => (u(i, 18) * 3)::int, months => -(u(i, 19) * 14)::int,
		days => (u(i, 20) * 50)::int - 20, secs => round((u(i, 21) * 100000)::numeric, 6)::float8 - 5000) END,
	time '00:00' + u(i, 22) * interval '23:59:59',
	ARRAY[(u(i, 23) * 9)::int, CASE WHEN u(i, 24) < 0.1 THEN NULL ELSE (u(i, 24) * 90)::int END, (u(i, 26) * 5)::int],
	CASE WHEN u(i, 27) < 0.05 THEN NULL ELSE ARRAY[u(i, 28), u(i, 29) * 100] END, 'one'
FROM generate_series(1, 4000) i;
-- The rows to be predicted are stranger than those of the training.
UPDATE everything SET f8 = 'NaN', f4 = 'NaN' WHERE part = 'test' AND id % 19 = 0;
UPDATE everything SET f8 = f8 * 1000, i8 = -i8, n = n * 100, d = d + 40000, ts = ts + interval '90 years' WHERE part = 'test' AND id % 17 = 0;
UPDATE everything SET "s 2" = NULL, i4 = NULL, i8 = NULL, f4 = NULL, n = NULL, d = NULL, ts = NULL, "Tz" = NULL, tm = NULL, ai = NULL,
	c = NULL, u = NULL WHERE part = 'test' AND id % 13 = 0;
UPDATE everything SET f8 = 1e-300, af = '[0:1]={1e-305,NaN}', v = 'V1' WHERE part = 'test' AND id % 29 = 0;
UPDATE everything SET f8 = 2e-310, u = md5('never')::uuid, tm = '24:00', b = NULL WHERE part = 'test' AND id % 31 = 0;
CREATE TABLE answer (id int, value float8, label text);
SQL
$_->safe_psql('postgres', $tables) foreach $ml, $plain;
$ml->safe_psql('postgres', <<'SQL');
-- The same prediction, the error as NULL.
CREATE FUNCTION ask(model text, r everything, class text, OUT value float8, OUT label text) LANGUAGE plpgsql AS $$
BEGIN
	IF class = '(label)' THEN label := ml_classify(model, r);
	ELSIF class IS NULL THEN value := ml_predict(model, r);
	ELSE value := ml_probability(model, r, class);
	END IF;
EXCEPTION WHEN invalid_parameter_value OR null_value_not_allowed OR numeric_value_out_of_range THEN
	NULL;
END $$;
CREATE VIEW train AS SELECT e.*,
	coalesce("s 2", 0) + 3 * (e.c = 'bb')::int + ln(4 + coalesce(f8, 0)) + coalesce(f4, 9) * b::int + u(id, 50) AS y,
	-50 + floor(100 * u(id, 51)) AS y2,
	floor(exp(coalesce(f4, 1) / 3) + u(id, 52))::int AS y_count,
	exp(coalesce(f4, 1) / 3) * (0.5 + u(id, 53)) AS y_positive,
	CASE WHEN coalesce(f4, 0) + "s 2" / 8.0 + 3 * u(id, 54) > 2 THEN 'yes ''\"' ELSE 'no $$' END AS y_two,
	(coalesce(f4, 0) + 3 * u(id, 56) > 1.5)::int AS y_flag,
	(ARRAY['a', 'it''s b', 'c\c', 'd"d', 'é'])[1 + (abs(coalesce(f4, 1)) + 2 * u(id, 55))::int % 5] AS y_five
FROM everything e WHERE part = 'train' AND "s 2" IS NOT NULL AND b IS NOT NULL;
SQL

my $worst = 0;

# Trains, writes the expression, and compares for the rows of the test; classes: which to ask for, (label) for the class itself.
sub check
{
	my ($algorithm, $target, $params, %more) = @_;
	my $name = "$algorithm $target " . ($params || '{}') . ($more{features} ? " on $more{features}" : '');
	my $features = $more{features} ? "features => '{$more{features}}'" : "exclude => '{id,part,y,y2,y_count,y_positive,y_flag,y_two,y_five}'";
	my $where = $more{where} // 'true';
	my $p = ($params || '{}') =~ s/'/''/gr;
	$features =~ s/,?\b$target\b// unless $more{features} || $more{no_target};
	my $goal = $more{no_target} ? '' : "target => '$target',";

	$ml->safe_psql('postgres', "SELECT ml_drop('m') FROM ml.models WHERE model = 'm'");
	my (undef, undef, $err) = $ml->psql('postgres', "SELECT ml_train('m', 'train', $goal algorithm => '$algorithm', params => '$p', $features, holdout => 0)");
	is($err, '', "$name: trained") or return;
	foreach my $class (@{ $more{classes} // [''] })
	{
		my $quoted = $class eq '' ? 'NULL' : "'" . ($class =~ s/'/''/gr) . "'";
		my $call = $class eq '(label)' ? "'m', 'e', output => 'class'" : "'m', 'e', $quoted";
		my $sql = $ml->safe_psql('postgres', "SELECT ml_to_sql($call)");

		$ml->safe_psql('postgres', "COPY (SELECT id, (ask('m', e, $quoted)).* FROM everything e WHERE part = 'test' AND ($where)) TO '" . $ml->basedir . "/answer'");
		$plain->safe_psql('postgres', "TRUNCATE answer; COPY answer FROM '" . $ml->basedir . "/answer'");
		my $value = $class eq '(label)' ? 'NULL::float8' : $sql;
		my $label = $class eq '(label)' ? $sql : 'NULL::text';
		my $got = $plain->safe_psql('postgres', <<SQL);
SELECT count(*), count(*) FILTER (WHERE value IS NULL AND label IS NULL),
	count(*) FILTER (WHERE (g IS NULL) <> (value IS NULL) OR g = 'NaN' OR abs(g - value) > 1e-12 * greatest(1, abs(value)) OR l IS DISTINCT FROM label),
	max(abs(g - value) / greatest(1, abs(value))), min(id) FILTER (WHERE (g IS NULL) <> (value IS NULL) OR abs(g - value) > 1e-12 * greatest(1, abs(value)) OR l IS DISTINCT FROM label)
FROM (SELECT a.*, $value AS g, $label AS l FROM everything e JOIN answer a USING (id)) s
SQL
		my ($rows, $refused, $wrong, $max, $first) = split /\|/, $got;
		$worst = $max if $max ne '' && $max > $worst;
		ok($rows > 1000 && $wrong eq '0' && $refused < $rows / 2,
			"$name" . ($class eq '' ? '' : ", $class") . ": $rows rows, $refused refused, greatest difference " . ($max eq '' ? '-' : $max) . ', ' . length($sql) . ' bytes')
		  or diag("$got\n" . substr($sql, 0, 3000));
	}
}

my @five = ('a', "it's b", 'd"d', 'é', '(label)');
my @two = ('', "yes '\\\"", 'no $$', '(label)');

# Every algorithm and link.
check('baseline', 'y');
check('baseline', 'y_two', '', classes => \@two);
check('baseline', 'y_five', '', classes => \@five);
check('linear', 'y');
check('linear', 'y', '{"intercept": false}');
check('ridge', 'y', '{"l2": 3, "indicator": true}');
check('lasso', 'y', '{"lambda": 0.01}');
check('elastic_net', 'y', '{"lambda": 0.02, "l1_ratio": 0.3, "levels": "all"}');
check('logistic', 'y_two', '{"l2": 1}', classes => \@two);
check('logistic', 'y_five', '{"l2": 1}', classes => \@five);
foreach my $family (['gaussian', 'y_positive', 'identity', 'log', 'inverse'], ['binomial', 'y_flag', 'logit', 'probit', 'cloglog', 'cauchit', 'log'],
	['poisson', 'y_count', 'log', 'identity', 'sqrt'], ['gamma', 'y_positive', 'inverse', 'identity', 'log'])
{
	my ($name, $target, @links) = @$family;
	check('glm', $target, qq({"family": "$name", "link": "$_", "l2": 5}), features => 'f4,"s 2",b,f8') foreach grep { $_ ne 'log' || $name ne 'binomial' } @links;
}
check('decision_tree', 'y');
check('decision_tree', 'y', '{"max_depth": 3}');
check('decision_tree', 'y_two', '{"max_depth": 4}', classes => \@two);
check('decision_tree', 'y_five', '{"max_depth": 6}', classes => \@five);
check('random_forest', 'y', '{"n_estimators": 10, "max_depth": 8}');
check('random_forest', 'y_two', '{"n_estimators": 7, "max_depth": 6}', classes => \@two);
check('random_forest', 'y_five', '{"n_estimators": 5, "max_depth": 6}', classes => \@five);
check('extra_trees', 'y', '{"n_estimators": 5, "max_depth": 6}');
check('isolation_forest', 'y', '{"n_estimators": 20, "max_samples": 64}', no_target => 1);
check('gradient_boosting', 'y', '{"n_estimators": 40}');
check('gradient_boosting', 'y_count', qq({"n_estimators": 20, "objective": "poisson"}));
check('gradient_boosting', 'y_two', '{"n_estimators": 30}', classes => \@two);
check('gradient_boosting', 'y_five', '{"n_estimators": 10}', classes => \@five);

# Every way to encode.
foreach my $encode ('{"categories": "ordinal"}', '{"categories": "frequency", "indicator": true}', '{"categories": "target"}', '{"max_categories": 3}',
	'{"levels": "reference", "indicator": true}', '{"scale": "minmax"}', '{"scale": "robust", "impute": "mean"}', '{"impute": "zero", "unseen": "error"}')
{
	check('ridge', 'y', $encode =~ s/\}/, "l2": 1}/r);
	check('decision_tree', 'y', $encode =~ s/\}/, "max_depth": 7}/r) unless $encode =~ /levels/;
}
check('ridge', 'y', '{"impute": "error", "l2": 1}', features => 'p,c,i4');
check('gradient_boosting', 'y', '{"unseen": "error", "n_estimators": 5}');
check('gradient_boosting', 'y', '{"impute": "drop", "n_estimators": 5}', features => 'p,i4,b');

# Each type alone.
foreach my $column ('"s 2"', 'i4', 'i8', 'f4', 'f8', 'n', 'p', 'b', '"t""x"', 'v', 'c', 'm', 'u', 'd', 'ts', '"Tz"', 'iv', 'tm', 'ai', 'af')
{
	my $escaped = $column =~ s/(["\\])/\\$1/gr;
	$escaped = $column =~ /^"t/ ? '"t\"x"' : $column;
	check('linear', 'y2', '', features => $escaped);
	check('decision_tree', 'y2', '{"max_depth": 8}', features => $escaped);
}

# Infinite values are refused.
$_->safe_psql('postgres', "UPDATE everything SET f8 = 'Infinity' WHERE part = 'test' AND id % 7 = 0; UPDATE everything SET ts = '-infinity' WHERE part = 'test' AND id % 11 = 0;
	UPDATE everything SET ai = '{1,2}' WHERE part = 'test' AND id % 23 = 0; UPDATE everything SET ai = '{{1,2,3}}' WHERE part = 'test' AND id % 37 = 0; UPDATE everything SET af = '{1,-Infinity}' WHERE part = 'test' AND id % 41 = 0") foreach $ml, $plain;
check('ridge', 'y', '{"l2": 3}');
check('gradient_boosting', 'y', '{"n_estimators": 5}');
cmp_ok($worst, '<=', 1e-12, "greatest relative difference of all: $worst");

# What is too large is refused, and the most that is written can be run.
$ml->safe_psql('postgres', q{SELECT ml_train('large', 'SELECT i AS x, i * 7919 % 40009 AS z, u(i, 60) AS y FROM generate_series(1, 40000) i', 'y', algorithm => 'decision_tree', holdout => 0)});
my (undef, undef, $err) = $ml->psql('postgres', "\\set VERBOSITY verbose\nSELECT ml_to_sql('large')");
like($err, qr/54000: model is too large/, 'a model that is too large is refused');
# A tree in which every condition but the last stands on the right of the one before: LightGBM's text.
sub chain
{
	my ($n) = @_;
	my $list = sub { join ' ', map { $_[0]->($_) } 0 .. $_[1] - 1 };
	my $ones = sub { $list->(sub { 1 }, $_[0]) };
	return "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\nobjective=regression\nfeature_names=x\n"
	  . "feature_infos=[0:$n]\ntree_sizes=1000\n\nTree=0\nnum_leaves=" . ($n + 1) . "\nnum_cat=0\nsplit_feature=" . $list->(sub { 0 }, $n)
	  . "\nsplit_gain=" . $ones->($n) . "\nthreshold=" . $list->(sub { $_[0] + 0.5 }, $n) . "\ndecision_type=" . $list->(sub { 2 }, $n)
	  . "\nleft_child=" . $list->(sub { -1 - $_[0] }, $n) . "\nright_child=" . $list->(sub { $_[0] + 1 < $n ? $_[0] + 1 : -$n - 1 }, $n)
	  . "\nleaf_value=" . $list->(sub { $_[0] }, $n + 1) . "\nleaf_weight=" . $ones->($n + 1) . "\nleaf_count=" . $ones->($n + 1)
	  . "\ninternal_value=" . $ones->($n) . "\ninternal_weight=" . $ones->($n) . "\ninternal_count=" . $ones->($n) . "\nis_linear=0\nshrinkage=1\n\n\nend of trees\n";
}
$ml->safe_psql('postgres', "SELECT ml_import('deep', '" . chain(500) . "')");
my $deep = $ml->safe_psql('postgres', "SELECT ml_to_sql('deep')");
is($plain->safe_psql('postgres', "SELECT sum(abs(($deep) - x)) FROM (SELECT generate_series(0, 500)::float8 AS x) s"), '0', '500 conditions in each other run');
$ml->safe_psql('postgres', "SELECT ml_import('deep', '" . chain(501) . "')");
(undef, undef, $err) = $ml->psql('postgres', "\\set VERBOSITY verbose\nSELECT ml_to_sql('deep')");
like($err, qr/54000: model is too deep/, 'one more is refused');
$ml->stop;
$plain->stop;
done_testing();
