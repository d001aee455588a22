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
$node->stop;
done_testing();
