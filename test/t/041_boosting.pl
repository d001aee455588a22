# Gradient boosting scores as XGBoost does with the same settings, mean over five splits of shipped data sets
# (test/witness/boosting_quality.py).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('boosting');
$node->init;
$node->start;
my $psql = sub { $node->safe_psql('postgres', "SET client_min_messages = error;\n$_[0]") };
$psql->(<<'SQL');
CREATE EXTENSION ml_ext;
CREATE TABLE reference (file text, target text, metric text, left_out text, categories text, tolerance float8, value float8);
SQL
sub load
{
	my ($table, $from) = @_;
	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c',
			"\\copy $table FROM $from (FORMAT csv, HEADER)" ], "$table loads");
}
load('reference', "'test/data/boosting.csv'");

for my $row (split /\n/, $psql->('SELECT * FROM reference ORDER BY file'))
{
	my ($file, $target, $metric, $left_out, $categories, $tolerance, $expected) = split /\|/, $row, -1;
	my ($name) = $file =~ /^(\w+)/;
	my $read = $file =~ /gz$/ ? "gzip -dc test/data/$file" : "cat test/data/$file";
	chomp(my $header = `$read | head -1`);
	my %text = map { $_ => 1 } split(' ', "$categories $left_out"), $metric ne 'r2' ? $target : ();
	my @columns = map { qq{"$_" } . ($_ eq 'row_id' ? 'int' : $text{$_} ? 'text' : 'float8') } split /,/, $header;
	$psql->("CREATE TABLE $name (" . join(', ', @columns) . ')');
	load($name, "PROGRAM '$read'");
	my $exclude = join(', ', map { "'$_'" } 'row_id', split(' ', $left_out));
	my $score = {
		r2 => "ml_r2($target, ml_predict('m', d))",
		accuracy => "avg((ml_classify('m', d) = $target)::int)",
		auc => "ml_auc($target = (SELECT max($target) FROM $name), ml_predict('m', d))"
	}->{$metric};
	# XGBoost 1.7 starts from 0.5
	my $params = $metric eq 'r2' ? '{"base_score": 0.5}' : '{}';
	my $sum = 0;
	for my $split (1 .. 5)
	{
		my $part = "left(md5(row_id || ':$split'), 1) IN ('0', '1', '2')";
		my $task = $metric eq 'r2' ? 'regression' : 'classification';
		$psql->("SELECT ml_train('m', \$\$SELECT * FROM $name WHERE NOT $part\$\$, target => '$target',
			algorithm => 'gradient_boosting', params => '$params', task => '$task', exclude => ARRAY[$exclude], holdout => 0)");
		$sum += $psql->("SELECT $score FROM $name d WHERE $part");
	}
	my $mean = $sum / 5;
	cmp_ok($mean, '>', $expected - $tolerance, sprintf '%s: %s %.4f, XGBoost %.4f', $name, $metric, $mean, $expected);
}

# A category of 100 levels with few rows each: sets of levels, ordered by their gradients, would fit noise.
$psql->(<<'SQL');
CREATE TABLE levels AS SELECT i, 'k' || k AS k, 'l' || l AS l, x, sin(k * 12.9898) + sin(l * 78.233) * x + x + e AS y
FROM (SELECT i, (hashint4(i) & 1048575) % 100 AS k, (hashint4(i + 100000) & 1048575) % 100 AS l,
	(hashint4(i + 200000) & 65535) / 32768.0::float8 - 1 AS x, (hashint4(i + 300000) & 65535) / 16384.0::float8 - 2 AS e
	FROM generate_series(1, 8000) i) t;
SQL
my @r2 = map {
	$psql->("SELECT ml_train('m', 'SELECT k, l, x, y FROM levels WHERE i <= 4000', 'y', 'gradient_boosting', '{\"one_hot_levels\": $_}', holdout => 0)");
	$psql->("SELECT ml_r2(y, ml_predict('m', t)) FROM levels t WHERE i > 4000");
} (64, 100, 0);
cmp_ok($r2[0], '>', $r2[1] - 0.005, sprintf 'categories of 100 levels: r2 %.4f, one level against the rest %.4f, always sets %.4f', @r2);
cmp_ok($r2[0], '>', $r2[2] + 0.02, 'and that is better than sets where levels have few rows');
$node->stop;
done_testing();
