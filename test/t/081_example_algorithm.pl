# Builds ml_ext with the algorithm of docs/adding-an-algorithm.md in it, as the page tells, in a second private
# copy of the server, and runs the page's SQL there.  The build also has the algorithms of probe.c, which tell what
# they were given: the ways in which the core serves an algorithm that reads the rows itself.
use strict;
use warnings;
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = 'docs/adding-an-algorithm.md';
open my $file, '<', $page or die "$page: $!";
my $text = do { local $/; <$file> };
my ($code) = $text =~ /^```c\n(.*?)^```/ms or die "$page has no code";
my ($algorithm) = $code =~ /^const MlAlgorithm ml_algo_(\w+)/m or die "$page has no algorithm";

# The server finds its files relative to its binary, so copies in the same layout do.
my $work = PostgreSQL::Test::Utils::tempdir;
my %dir;
for my $what ('bindir', 'sharedir', 'pkglibdir')
{
	chomp($dir{$what} = `$ENV{PG_CONFIG} --$what`);
}
my ($prefix) = $dir{bindir} =~ m{^(.*)/usr/lib/postgresql/};
plan skip_all => 'the server is not laid out as Debian does' unless defined $prefix;
my $root = "$work/root";
for my $path ($dir{bindir}, $dir{sharedir}, $dir{pkglibdir})
{
	my $to = $root . substr($path, length $prefix);
	make_path($to);
	system_or_bail('cp', '-a', "$path/.", $to);
}
make_path("$root/usr/include");
symlink('/usr/include/postgresql', "$root/usr/include/postgresql") or die $!;
my $bin = $root . substr($dir{bindir}, length $prefix);

my $src = "$work/src";
make_path($src);
system_or_bail('sh', '-c', "tar -c --exclude=./.git --exclude=./test --exclude='*.o' . | tar -x -C '$src'");
make_path("$src/src/algo/$algorithm");
open my $out, '>', "$src/src/algo/$algorithm/$algorithm.c" or die $!;
print $out $code;
close $out;
make_path("$src/src/algo/probe");
system_or_bail('cp', 'test/t/probe.c', "$src/src/algo/probe/");

command_ok([ 'make', '-s', '-j2', '-C', $src, "PG_CONFIG=$bin/pg_config", 'install' ], 'the example compiles without a warning');

my $node = PostgreSQL::Test::Cluster->new('example', install_path => $bin =~ s{/bin$}{}r);
$node->init;
$node->start;
system_or_bail("$bin/psql", '-X', '-q', '-d', $node->connstr('postgres'), '-f', 'test/data/load.sql');
$node->safe_psql('postgres', 'CREATE EXTENSION ml_ext');
while ($text =~ /^```sql(?: error (\w{5}))?\n(.*?)^```/msg)
{
	my ($sqlstate, $sql, $err) = ($1, $2, '');
	my $status = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", stderr => \$err, on_error_stop => 1);
	if ($sqlstate) { like($err, qr/ERROR:  $sqlstate:/, 'a wrong parameter is refused by its table') }
	else { is($status, 0, 'its SQL runs') or diag($err) }
}
# 131 is what the same formula gives in numpy.
is($node->safe_psql('postgres', "SELECT count(*) FROM iris i WHERE species = ml_classify('species', i)"),
	'131', 'and it classifies as it should');

# ---- algorithms that read the rows themselves ----

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE t AS SELECT i, sin(i) AS x, CASE WHEN i % 10 > 0 THEN cos(i) END AS holes,
	(ARRAY['a', 'b', 'c', NULL])[1 + i % 4] AS k, 'level ' || i * 7919::bigint % 300 AS many, date '2020-01-01' + i % 400 AS day,
	'group ' || (i / 7) AS g, i % 17 = 0 AS b, sin(i) + i % 4 AS y FROM generate_series(1, 2000) i;
CREATE TABLE large AS SELECT sin(i) AS x, i % 2 = 0 AS b, sin(i) AS y FROM generate_series(1, 70000) i;
ANALYZE large;
SQL
$ENV{PGOPTIONS} = '-c client_min_messages=error';
my $sql = sub { my $value = $node->safe_psql('postgres', $_[0]); $value };
my $line = sub { my ($item, $fit) = @_; $sql->("SELECT value FROM ml_describe(ml_fit($fit)) WHERE item = '$item'") };
my $fails = sub
{
	my ($statement, $pattern, $name) = @_;
	my $err = '';
	$node->psql('postgres', "\\set VERBOSITY verbose\n$statement", stderr => \$err, on_error_stop => 1);
	like($err, $pattern, $name);
};
my $features = q{features => '{x,holes,k,many,day}'};

is($line->('columns', "'t', 'y', 'probe', $features"), 'x holes k:3 many day.days day.month day.dow',
	'native columns: categories as levels, of more than 254 a statistic of the target');
like($line->('rows', "'t', 'y', 'probe', holdout => 0, $features"), qr/^rows 2000 missing 700 y 3001\.716579 .* draft 0 seed 0 carry 0$/,
	'missing values stay missing');
like($line->('rows', "'t', 'y', 'probe', $features"), qr/^rows 2000 .* draft 0 seed 0 carry 7$/,
	'fitted again on all rows, with the carry of the measured fit');
like($line->('rows', "'t', 'y', 'probe', '{\"refit\": \"never\"}', seed => 3, $features"), qr/^rows 1600 .* draft 0 seed 3 carry 0$/,
	'not fitted again when told so');
like($line->('rows', "'large', 'y', 'probe', features => '{x}'"), qr/^rows 560\d\d .* draft 0 /, 'nor with more than 50000 rows');
like($line->('rows', "'large', 'y', 'probe', '{\"refit\": \"always\"}', features => '{x}'"), qr/^rows 70000 /, 'but when told so');
is($line->('refit', "'large', 'y', 'probe', features => '{x}'"), 'false', 'which the model says');
is($line->('columns', q{'t', 'y', 'probe', '{"categories": "one_hot", "impute": "mean"}', features => '{x,holes,k}'}),
	'x holes k=a k=b k=c k is null', 'other encodings are obeyed');
is($line->('columns', q{'t', 'k', 'probe', features => '{x,many}'}), 'x many:225', 'levels are those that occur with a target');
is($line->('columns', q{'t', 'k', 'probe', '{"unseen": "error", "indicator": true}', features => '{holes,many}', holdout => 0}),
	'holes holes is null many:225', 'an indicator beside a number that stays missing');
is($line->('columns', qq{'t', 'y', 'probe', '{"monotone": {"x": 1, "holes": 0, "day": -1}, "interactions": [["x", "day"], ["k"]]}', $features}),
	'x+ holes k:3 many day.days- day.month- day.dow- | x day.days day.month day.dow | k:3' =~ s/:3$//r,
	'directions and sets by encoded column');
is($sql->(q{SELECT value FROM ml_describe(ml_fit('t', 'y', 'probe', '{"monotone": {"x": 1}, "interactions": [["x"]]}', features => '{x,holes}'))
	WHERE item LIKE 'parameter.mono%' OR item LIKE 'parameter.inter%' ORDER BY item}), qq{[["x"]]\n1}, 'kept among the parameters as given');
is($sql->(q{SELECT array_agg(substring(value FROM 'pairs \d+')) FROM ml_describe(ml_fit('t', 'y', 'probe', '{"group": "g"}',
	exclude => '{i}', holdout => 0)) WHERE item = 'rows'}), '{"pairs 1714"}', 'groups of any type');
is($sql->(q{SELECT value FROM ml_describe(ml_fit('t', 'y', 'probe', '{"group": "g"}', features => '{x}', holdout => 0)) WHERE item = 'columns'}),
	'x', 'a group is no feature');
$fails->(q{SELECT ml_fit('t', 'y', 'probe', '{"group": "k"}')}, qr/22004: column "k", the group, contains NULL/, 'a group must be there');
$fails->(q{SELECT ml_fit('t', 'y', 'probe', '{"group": "g"}', features => '{x,g}')},
	qr/22023: column "g", the group, cannot be a feature/, 'nor can it be named as one');
$fails->(q{SELECT ml_fit('t', 'y', 'probe', '{"monotone": {"k": 1}}')},
	qr/22023: column "k" of parameter "monotone" has categories, which have no order/, 'no direction of categories');
$fails->(q{SELECT ml_fit('t', 'y', 'probe', '{"monotone": {"y": 1}}')},
	qr/22023: column "y" of parameter "monotone" is not a feature/, 'a direction of the target');
$fails->(q{SELECT ml_fit('t', 'y', 'probe', '{"interactions": [["x", "hole"]]}')},
	qr/42703: column "hole" does not exist in the source.*Did you mean "holes"/s, 'a set with an unknown column');
for my $wrong ('"x"', '{"x": 2}', '{"x": "1"}', '[]', 'true')
{
	$fails->(qq{SELECT ml_fit('t', 'y', 'probe', '{"monotone": $wrong}')},
		qr/22023: invalid value .* for parameter "monotone"\nDETAIL:  Expected is an object of columns with -1, 0 or 1/, "directions as $wrong");
}
for my $wrong ('"x"', '{"x": 2}', '["x"]', '[["x", 1]]', '[["x", ["holes"]]]', '[[{"x": "holes"}]]')
{
	$fails->(qq{SELECT ml_fit('t', 'y', 'probe', '{"interactions": $wrong}')},
		qr/22023: invalid value .* for parameter "interactions"\nDETAIL:  Expected is an array of arrays of columns/, "sets as $wrong");
}
$fails->(q{SELECT ml_spec('probe', '{x,y}', 'y')}, qr/0A000: algorithm "probe" cannot be trained from states.*Use ml_train or ml_fit/s,
	'states are for others');

# ---- prediction ----

$sql->("SELECT ml_train('p', 't', 'y', 'probe', $features)");
is($sql->(q{SELECT sum(ml_predict('p', t)) FROM t}), '700', 'missing values stay missing in a row');
is($sql->(q{SELECT sum(ml_predict('p', to_jsonb(t))) FROM t}), '700', 'in jsonb');
is($sql->(q{SELECT ml_predict('p', r) FROM (SELECT 1 AS x, NULL::int AS holes, 'new' AS k, 'new' AS many, NULL::date AS day) r}), '5',
	'an unseen category is missing; one beyond 254 has the overall mean');
$sql->(q{SELECT ml_train('numbers', 'SELECT x, holes, y FROM t', 'y', 'probe')});
is($sql->(q{SELECT sum(ml_predict('numbers', VARIADIC ARRAY[x, holes])) FROM t}), '200', 'in an array');
is($sql->(q{SELECT round(avg(mean)::numeric, 6) FROM ml_cv('t', 'y', 'probe', folds => 3) WHERE metric = 'rmse'}) > 1, 1, 'cross-validation');
is($sql->(q{SELECT n FROM ml_evaluate('p', 't') WHERE metric = 'rmse'}), '2000', 'evaluation');
$fails->(q{SELECT ml_predict('p', r) FROM (SELECT 'Infinity'::float8 AS x, 1 AS holes, 'a' AS k, 'a' AS many, NULL::date AS day) r},
	qr/22003: column "x" has the value Infinity/, 'infinity does not pass');
$fails->(q{SELECT ml_fit('t', 'y', 'linear', '{"impute": "native"}')}, qr/22023: algorithm "linear" cannot take missing values as they are/,
	'nor does a missing value where it cannot be used');
$fails->(q{SELECT ml_fit('t', 'y', 'linear', '{"categories": "native"}')}, qr/22023: algorithm "linear" cannot take categories as they are/,
	'nor categories');

# ---- without a target ----

is($sql->("SELECT task, rows_used, metric IS NULL, value IS NULL FROM ml_train('odd', 't', algorithm => 'stray', $features)"),
	'anomaly|2000|t|t', 'trained without a target');
is($sql->(q{SELECT task, target IS NULL FROM ml.versions WHERE model = 'odd'}), 'anomaly|t', 'and kept so');
is($sql->(q{SELECT tasks FROM ml.algorithms WHERE name = 'stray'}), '{anomaly}', 'a task of its own');
is($sql->(q{SELECT sum(ml_predict('odd', t)) FROM t}), '700', 'its score');
is($line->('columns', "'t', NULL, 'stray', features => '{many}'"), 'many', 'many categories are shares then');
$fails->(q{SELECT ml_fit('t', 'y', 'stray')}, qr/22023: algorithm "stray" learns without a target\nHINT:.*exclude => '\{y\}'/, 'a target is refused');
$fails->(q{SELECT ml_fit('t', NULL, 'probe')}, qr/22023: no target given/, 'a missing target is, too');
$fails->(q{SELECT ml_fit('t', NULL, 'stray', split_by => 'k')}, qr/22023: argument "split_by" needs a target/, 'no split without a target');
$fails->(q{SELECT ml_fit('t', NULL, 'stray', '{"categories": "target"}')}, qr/22023: value "target" of parameter "categories" needs a target/,
	'no statistics of it');
$fails->(q{SELECT * FROM ml_cv('t', NULL, 'stray')}, qr/0A000: algorithm "stray" learns without a target, so there is nothing/, 'no cross-validation');
$fails->(q{SELECT * FROM ml_evaluate('odd', 't')}, qr/0A000: algorithm "stray" learns without a target, so there is nothing/, 'no evaluation');
$fails->(q{SELECT ml_classify('odd', t) FROM t}, qr/22023: model predicts a number and has no classes/, 'no classes');

# ---- memory, files, threads, the order of rows ----

my $fit = q{SELECT md5(ml_fit('large', 'y', 'probe', '{"act": "%s"}', features => '{x}')::text)};
my $same = $sql->(sprintf $fit, 'nothing');
is($sql->("SET maintenance_work_mem = '1MB'; " . sprintf $fit, 'nothing'), $same, 'rows in a file give the same');
is($sql->("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; " . sprintf $fit, 'nothing'),
	$same, 'as do settings that call for parallel plans');
like($sql->(sprintf $fit, 'give_back'), qr/^\w{32}$/, 'memory given back can be had again');
$fails->(sprintf($fit, 'take_all'), qr/53200: memory budget exceeded by training/, 'memory has an end');
like($sql->(sprintf $fit, 'write_file'), qr/^\w{32}$/, 'a file keeps what was written');
$fails->("SET temp_file_limit = '6MB'; " . sprintf($fit, 'write_file'), qr/53400: temporary file size exceeds "?temp_file_limit/, 'files have a limit');
$fails->(sprintf($fit, 'fail'), qr/22000: failed as told/, 'an error');
is($sql->('SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'leaves no file');
my $threads = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'Threads:\s+(\d+)')};
SKIP:
{
	skip 'needs /proc', 2 unless -r '/proc/self/status';
	is($sql->("SET ml.threads = 4; " . sprintf($fit, 'nothing') . "; $threads"), "$same\n1", 'threads give the same, and end');
	is($sql->("SET ml.threads = 4; DO \$\$ BEGIN PERFORM ml_fit('large', 'y', 'probe', '{\"act\": \"fail\"}');"
		. " EXCEPTION WHEN data_exception THEN NULL; END \$\$; $threads"), '1', 'after an error, too');
}
$fails->("LOAD 'ml_ext'; SET ml.threads = 65", qr/22023: 65 is outside the valid range for parameter "ml.threads" \(1 \.\. 64\)/, 'threads have a range');
$node->stop;
done_testing();
