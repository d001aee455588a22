# Scores on held-out rows of shipped data sets equal those of an independent implementation (test/witness/references.py)
# under the same preprocessing: train on rows with row_id % 5 <> 0, score the rest.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('references');
$node->init;
$node->start;
my $psql = sub { $node->safe_psql('postgres', "SET client_min_messages = error;\n$_[0]") };
$psql->(<<'SQL');
CREATE EXTENSION ml_ext;
CREATE TABLE reference (file text, task text, target text, left_out text, categories text, algorithm text,
	params jsonb, metric text, value float8);
SQL
sub load
{
	my ($table, $from, $options) = @_;
	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c',
			"\\copy $table FROM $from (FORMAT csv, HEADER)" ], "$table loads");
}
load('reference', "'test/data/references.csv'");

# A table of the file: categories and class labels are text, the rest numbers.
for my $row (split /\n/, $psql->(q{SELECT DISTINCT file, target, task, left_out, categories FROM reference ORDER BY 1}))
{
	my ($file, $target, $task, $left_out, $categories) = split /\|/, $row, -1;
	my ($name) = $file =~ /^(\w+)/;
	my $read = $file =~ /gz$/ ? "gzip -dc test/data/$file" : "cat test/data/$file";
	chomp(my $header = `$read | head -1`);
	my %text = map { $_ => 1 } split(' ', "$categories $left_out"), $task eq 'classification' ? $target : ();
	my @columns = map { qq{"$_" } . ($text{$_} ? 'text' : 'float8') } split /,/, $header;
	$psql->("CREATE TABLE $name (" . join(', ', @columns) . ')');
	load($name, "PROGRAM '$read'");
	my $out = join(' ', map { qq{, DROP "$_"} } split ' ', $left_out);
	$psql->("CREATE TABLE ${name}_new AS SELECT * FROM $name WHERE row_id::int % 5 = 0 ORDER BY row_id;
		DELETE FROM $name WHERE row_id::int % 5 = 0;
		ALTER TABLE $name DROP row_id $out; ALTER TABLE ${name}_new DROP row_id $out; VACUUM ANALYZE $name;");
}

for my $row (split /\n/, $psql->(
	q{SELECT file, target, task, algorithm, params, string_agg(metric || '=' || value, ' ' ORDER BY metric)
	  FROM reference GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 4}))
{
	my ($file, $target, $task, $algorithm, $params, $expected) = split /\|/, $row;
	my ($name) = $file =~ /^(\w+)/;
	my $model = "${name}_$algorithm";
	$psql->("SELECT ml_train('$model', '$name', target => '$target', algorithm => '$algorithm', task => '$task',
		params => '$params', holdout => 0)");
	my %query = (
		rmse => "ml_rmse($target, ml_predict('$model', d))",
		mae => "ml_mae($target, ml_predict('$model', d))",
		r2 => "ml_r2($target, ml_predict('$model', d))",
		accuracy => "avg((ml_classify('$model', d) = $target)::int)",
		log_loss => "avg(-ln(ml_probability('$model', d, $target)))",
		auc => "ml_auc($target = (SELECT max($target) FROM $name), ml_predict('$model', d))");
	for my $pair (split ' ', $expected)
	{
		my ($metric, $value) = split /=/, $pair;
		my $got = $psql->("SELECT $query{$metric} FROM ${name}_new d");
		my $tolerance = $metric eq 'accuracy' ? 1e-9 : 1e-6;
		ok(abs($got - $value) <= $tolerance * abs($value), "$name $algorithm $metric is $value")
		  or diag("got $got");
	}
}
$node->stop;
done_testing();
