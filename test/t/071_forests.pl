# Trees score as well on held-out rows as scikit-learn's (test/witness/forests.py), which sees categories one-hot: train on rows
# with row_id % 5 <> 0, score the rest, mean over seeds.  A mean may be lower by 0.005 and by twice the standard error that
# the spread over seeds gives the difference.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('forests');
$node->init;
$node->append_conf('postgresql.conf', "maintenance_work_mem = '1GB'");
$node->start;
my $psql = sub { $node->safe_psql('postgres', "SET client_min_messages = error;\n$_[0]") };
$psql->(<<'SQL');
CREATE EXTENSION ml_ext;
CREATE TABLE reference (file text, task text, target text, left_out text, categories text, algorithm text,
	params jsonb, metric text, value float8, sd float8);
SQL
sub load
{
	my ($table, $from, $options) = @_;
	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c',
			"\\copy $table FROM $from (FORMAT csv, HEADER)" ], "$table loads");
}
load('reference', "'test/data/forest_references.csv'");

my %seeds;
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
	$seeds{$name} = $psql->("SELECT count(*) FROM $name") > 10000 ? 1 : 5;
}

for my $row (split /\n/, $psql->(
	q{SELECT file, target, task, algorithm, params, string_agg(metric || '=' || value || '=' || sd, ' ' ORDER BY metric)
	  FROM reference GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 4}))
{
	my ($file, $target, $task, $algorithm, $params, $expected) = split /\|/, $row;
	my ($name) = $file =~ /^(\w+)/;
	my %query = (
		r2 => "ml_r2($target, ml_predict('m', d))",
		accuracy => "avg((ml_classify('m', d) = $target)::int)",
		auc => "ml_auc($target = (SELECT max($target) FROM $name), ml_predict('m', d))");
	my @metrics = map { [ split /=/ ] } split ' ', $expected;
	my @sums = (0) x @metrics;
	my $n = $algorithm eq 'decision_tree' ? 1 : $seeds{$name};
	for my $seed (1 .. $n)
	{
		$psql->("SELECT ml_train('m', '$name', target => '$target', algorithm => '$algorithm', task => '$task',
			params => '$params', holdout => 0, seed => $seed)");
		my @got = split /\|/, $psql->('SELECT ' . join(', ', map { $query{ $_->[0] } } @metrics) . " FROM ${name}_new d");
		$sums[$_] += $got[$_] / $n for 0 .. $#metrics;
	}
	for my $i (0 .. $#metrics)
	{
		my ($metric, $value, $sd) = @{ $metrics[$i] };
		my $least = $value - 0.005 - 2 * $sd * sqrt(1 / 5 + 1 / $n);
		ok($sums[$i] >= $least, sprintf('%s %s: %s %.4f, scikit-learn %.4f', $name, $algorithm, $metric, $sums[$i], $value));
	}
}

# A forest larger than the memory: its trees go to a file, and come back for the rows out of bag and held out.  What the
# backend takes is the budget, and the value beside it, which ml_model_send copies.
$psql->(<<'SQL');
CREATE TABLE deep AS SELECT sin(i) AS x1, cos(i * 1.7) AS x2, sin(i * 0.3) AS x3, sin(i * 3.1) AS x4, cos(i * 0.9) AS x5, i % 3 = 0 AS b,
	sin(i * 1.1) + cos(i * 7.7) AS y, (i * 7919 % 300)::text AS k FROM generate_series(1, 30000) i;
CREATE FUNCTION kb(field text) RETURNS int LANGUAGE sql AS
	$$ SELECT substring(pg_read_file('/proc/self/status') FROM field || E':\\s+(\\d+)')::int $$;
CREATE FUNCTION peak() RETURNS int LANGUAGE sql AS	-- of the backend's own pages: code and shared buffers only grow
	$$ SELECT kb('VmHWM') - kb('RssFile') - kb('RssShmem') $$;
SQL
for my $case ([ 'y', 'random_forest', 20, 'regression' ], [ 'b', 'extra_trees', 40, 'classification' ], [ 'k', 'random_forest', 5, 'classification' ])
{
	my ($target, $algorithm, $trees, $task) = @$case;
	my $fit = "SELECT length(v), encode(sha256(v), 'hex') FROM (SELECT ml_model_send(ml_fit('deep', '$target', '$algorithm',
		'{\"n_estimators\": $trees}', task => '$task', features => '{x1,x2,x3,x4,x5}')) AS v OFFSET 0) t";
	my $want = $psql->($fit);
	my ($bytes) = split /\|/, $want;
  SKIP:
	{
		skip 'needs /proc', 2 unless -r '/proc/self/status';
		my ($before, $got, $after) = split /\n/, $psql->(
			"SET maintenance_work_mem = '24MB'; LOAD 'ml_ext'; SELECT peak(); $fit; SELECT peak();");
		is($got, $want, "$algorithm of $target: the same model of $bytes bytes in 24 MB");
		skip 'a sanitizer takes memory, too', 1 if $ENV{ML_TEST_REPORTS};
		cmp_ok(($after - $before) * 1024, '<', (24 + 8) * 1048576 + 3 * $bytes, 'and no more memory than that and the value');
	}
}
$node->stop;
done_testing();
