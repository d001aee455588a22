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
SELECT ml_train('income', 'SELECT * FROM adult LIMIT 6000', target => 'income', algorithm => 'gradient_boosting', params => '{"n_estimators": 20, "early_stopping": 5}');
SELECT ml_train('earns', 'SELECT age, education_num, hours_per_week, income FROM adult LIMIT 2000', target => 'income', algorithm => 'logistic', params => '{"l2": 1}');
SELECT ml_train('strange', 'SELECT carat, depth, "table", price FROM diamonds LIMIT 2000', algorithm => 'isolation_forest');
CREATE TABLE searches AS SELECT i / 20 AS query, (i * 37 % 101) / 101.0::float8 AS a, (i * 53 % 97) / 97.0::float8 AS b,
	((i * 37 % 101) / 25 + (i * 71 % 13) / 12)::int AS relevance FROM generate_series(0, 1999) i;
SELECT ml_train('ranking', 'searches', target => 'relevance', algorithm => 'gradient_boosting', split_by => 'query', task => 'regression',
	params => '{"objective": "lambdarank", "group": "query", "n_estimators": 10, "early_stopping": 5}');
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
	income => [ 'income', 'adult_new', 7 ],
	earns => [ 'earns', undef, 7 ],
	strange => [ 'strange', undef, 1 ],
	scored => [ 'strange', 'diamonds_new', 2 ],
	ranking => [ 'ranking', undef, 2 ],
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

# Every chart of every kind of model, of the holdout and of a source, bare and of a page: the shipped Vega-Lite compiles
# it, and Vega draws it, without a word.  Whether the JSON schema holds is for test/witness/vega.js, which needs npm.
$psql->(<<'SQL');
CREATE FUNCTION plots(model text, source text) RETURNS TABLE (kind text, spec jsonb) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH kind IN ARRAY '{roc,pr,calibration,confusion,residuals,distribution,importance,learning,drift,versions}'::text[] LOOP
		BEGIN
			spec := ml_plot(model, kind, source);
			RETURN NEXT;
		EXCEPTION WHEN feature_not_supported OR object_not_in_prerequisite_state OR invalid_parameter_value THEN
			NULL;
		END;
	END LOOP;
END $$;
CREATE TABLE plot AS SELECT m.*, p.* FROM (VALUES ('earns', 'adult_new'), ('income', 'adult_new'), ('price', 'diamonds_new'), ('ranking', 'searches'),
	('species', 'iris'), ('strange', 'diamonds_new')) m (model, source), LATERAL (SELECT 'kept' AS of, * FROM plots(model, NULL) UNION ALL SELECT 'source', * FROM plots(model, source)) p;
SQL
is($psql->("SELECT model || ' ' || of || ': ' || string_agg(kind, ' ' ORDER BY kind) FROM plot GROUP BY model, of ORDER BY model, of"), <<'END' =~ s/\n\z//r, 'each model has its plots');
earns kept: calibration confusion distribution importance learning pr roc versions
earns source: calibration confusion distribution importance pr roc
income kept: calibration confusion distribution importance learning pr roc versions
income source: calibration confusion distribution importance pr roc
price kept: distribution drift importance residuals versions
price source: distribution importance residuals
ranking kept: distribution importance learning residuals versions
ranking source: distribution importance residuals
species kept: calibration confusion distribution importance pr roc versions
species source: calibration confusion distribution importance pr roc
strange kept: importance
strange source: distribution importance
END
my @specs = split /\n/, $psql->('SELECT spec FROM plot ORDER BY model, of, kind');
foreach my $name (sort keys %charts)
{
	push @specs, slurp_file("$folder/$name.html") =~ /<script type="application\/json"[^>]*>([^<]*)<\/script>/g;
}
if (my $file = $ENV{ML_TEST_SPECIFICATIONS})
{
	open my $out, '>', $file or die "$file: $!";
	print $out "$_\n" foreach @specs;
	close $out;
}
if ($chromium)
{
	my $list = join(",\n", @specs) =~ s/</\\u003c/gr;
	my $libraries = join '', map { "<script src=\"file://$ENV{PWD}/share/vega/$_.min.js\"></script>\n" } qw(vega vega-lite);
	open my $out, '>', "$folder/specs.html" or die $!;
	print $out "<!DOCTYPE html><meta charset=\"utf-8\"><title>specifications</title>$libraries<body><div id=\"at\"></div><script>", <<'END', "[$list]", <<'END';
'use strict';
const words = [], say = function (...args) { words.push(args.join(' ')); return this; };
const logger = {level() { return this; }, error: say, warn: say, info() { return this; }, debug() { return this; }};
let drawn = 0;
const draw = async (spec) => {
	const view = new vega.View(vega.parse(vegaLite.compile(spec, {logger}).spec), {logger, renderer: 'svg', container: '#at'});
	await view.runAsync();
	drawn++;
};
(async (specs) => {
	for (const spec of specs)
		try { await draw(spec); } catch (e) { words.push(spec.description + ': ' + e); }
	document.title = `${drawn} drawn; ${words.join('; ')}`;
})(
END
);
</script>
END
	close $out;
	my ($dom, $console) = look("$folder/specs.html", '--dump-dom');
	is($console, '', 'all plots: the console is silent');
	my ($title) = $dom =~ m{<title>(.*?)</title>}s;
	is($title, scalar(@specs) . ' drawn; ', 'all plots: compiled and drawn without a warning');
}
$node->stop;
done_testing();
