# Pages of ml_report in headless Chromium: every chart is drawn, nothing is loaded, no script but ours runs, and the
# console stays silent.  Without Chromium the pages are only written; ML_TEST_BROWSER=1 demands it.
use strict;
use warnings;
use File::Temp qw(tempdir);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('report');
$node->init;
$node->start;
my $psql = sub { $node->safe_psql('postgres', "SET client_min_messages = error;\n$_[0]") };
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', 'test/data/load.sql' ], 'the data load');
$psql->(<<'SQL');
CREATE EXTENSION ml_ext;
SELECT ml_train('income', 'SELECT * FROM adult LIMIT 6000', target => 'income', algorithm => 'gradient_boosting', params => '{"n_estimators": 20}');
SELECT ml_train('species', 'iris', target => 'species', algorithm => 'random_forest', params => '{"n_estimators": 20}');
SELECT ml_train('price', 'SELECT * FROM diamonds LIMIT 6000', target => 'price', algorithm => 'ridge', params => '{"l2": 1}', task => 'regression');
SELECT ml_train('price', 'SELECT * FROM diamonds LIMIT 6000', target => 'price', algorithm => 'decision_tree', task => 'regression');
SELECT ml_monitor('price', 'SELECT * FROM diamonds WHERE carat > ' || q, actual => 'price') FROM unnest('{0,0.5,1}'::float8[]) q;
CREATE TABLE bad AS SELECT i * 37 % 101 AS "x<img src=a onerror=document.title=1>",
	CASE WHEN i * 37 % 101 + i % 23 > 60 THEN '</script><script>document.title=2</script>' ELSE U&'<b>\2028\00e9''"' END AS "</title>y"
	FROM generate_series(1, 300) i;
SELECT ml_train('bad', 'bad', target => '</title>y', algorithm => 'random_forest', params => '{"n_estimators": 5}',
	notes => '<script>document.title=3</script>');
SELECT ml_rename('bad', '<img src=a onerror=document.title=4>');
SQL

my $folder = tempdir(CLEANUP => 1);
my %charts = (
	income => [ 'income', 'adult_new', 6 ],
	species => [ 'species', undef, 6 ],
	price => [ 'price', 'diamonds_new', 5 ],
	bad => [ '<img src=a onerror=document.title=4>', 'bad', 6 ]);
my ($chromium) = grep { -x } map { "$_/chromium" } split /:/, $ENV{PATH};
ok(defined $chromium, 'there is Chromium') if $ENV{ML_TEST_BROWSER};
my @common = (qw(--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars),
	qw(--enable-logging=stderr --virtual-time-budget=20000), '--window-size=1280,4000');

sub look
{
	my ($file, @options) = @_;
	my ($out, $err) = ('', '');
	local $ENV{HOME} = $folder;
	IPC::Run::run([ $chromium, @common, "--user-data-dir=$folder/profile", @options, "file://$file" ],
		'>', \$out, '2>', \$err, IPC::Run::timeout(180));
	return ($out, join("\n", grep { /CONSOLE/ } split /\n/, $err));
}

for my $name (sort keys %charts)
{
	my ($model, $source, $count) = @{ $charts{$name} };
	my $html = $psql->(sprintf q{SELECT ml_report('%s', %s)}, $model, defined $source ? "'$source'" : 'NULL');
	my $file = "$folder/$name.html";
	open my $out, '>', $file or die "$file: $!";
	print $out $html;
	close $out;
	my $body = $html =~ s/<script>.*?<\/script>//gsr;
	is(scalar(() = $body =~ /data-chart="chart-/g), $count, "$name: $count charts");
	unlike($body, qr{(src|href|action)=["'h/]}, "$name: nothing refers to anything outside");
	next unless $chromium;
	my ($dom, $console) = look($file, '--dump-dom');
	is($console, '', "$name: the console is silent");
	$dom =~ s/<script.*?<\/script>//gs;
	is(scalar(() = $dom =~ /data-drawn=""/g), $count, "$name: all charts are drawn");
	is(scalar(() = $dom =~ /<svg/g), $count, "$name: as SVG");
	my ($title) = $dom =~ m{<title>(.*?)</title>}s;
	like($title, qr/, version \d+$/, "$name: no foreign script has run");
	look($file, "--screenshot=$folder/$name.png");
	cmp_ok(-s "$folder/$name.png" // 0, '>', 50000, "$name: a picture of it");
}
$node->stop;
done_testing();
