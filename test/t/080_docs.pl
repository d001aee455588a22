# Runs every ```sql block of README.md and docs/*.md, in order, in one database a file that has the tables of
# test/data/load.sql; a block marked ```sql error 42703
# must fail with that SQLSTATE.  Also docs/quickstart.sql.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shipped');
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('shipped'), '-f', 'test/data/load.sql' ],
	'the shipped data sets load');

sub read_file
{
	my ($path) = @_;
	open my $file, '<:encoding(UTF-8)', $path or die "$path: $!";
	local $/;
	return <$file>;
}

# A database for the file; pages that do not create the extension themselves find it there.
sub make_database
{
	my ($name, $text) = @_;
	$node->safe_psql('postgres', qq{CREATE DATABASE "$name" TEMPLATE shipped});
	$node->safe_psql($name, 'CREATE EXTENSION ml_ext') unless $text =~ /CREATE EXTENSION ml_ext/;
}

for my $path (glob('README.md docs/*.md docs/decisions/*.md'))
{
	next if $path eq 'docs/adding-an-algorithm.md';		# 081_example_algorithm.pl runs it
	my $text = read_file($path);
	my @blocks;
	push @blocks, [ 1 + (substr($text, 0, $-[0]) =~ tr/\n//), $1, $2 ]
	  while $text =~ /^```sql(?: error (\w{5}))?\n(.*?)^```/msg;
	next unless @blocks;
	make_database($path, $text);
	for my $block (@blocks)
	{
		my ($line, $sqlstate, $sql) = @$block;
		my ($out, $err);
		my $status = $node->psql($path, "\\set VERBOSITY verbose\n$sql", stdout => \$out, stderr => \$err, on_error_stop => 1);
		if ($sqlstate)
		{
			like($err, qr/ERROR:  $sqlstate:/, "$path:$line fails with $sqlstate");
		}
		else
		{
			is($status, 0, "$path:$line runs") or diag("$sql$err");
		}
	}
}

my $sql = read_file('docs/quickstart.sql');
make_database('quickstart', $sql);
my $err;
is($node->psql('quickstart', $sql, stderr => \$err, on_error_stop => 1), 0, 'docs/quickstart.sql runs') or diag($err);

# Links between pages lead somewhere.
for my $path (glob('README.md CHANGELOG.md docs/*.md docs/decisions/*.md src/*/*.md src/algo/*/*.md test/*/*.md'))
{
	my $text = read_file($path);
	my ($folder) = $path =~ m{^(.*/)};
	my @missing = grep { !-e(($folder // '') . $_) } $text =~ /\]\((?!https?:|#)([^)#]+)/g;
	is("@missing", '', "$path: its links lead somewhere");
}

$node->stop;
done_testing();
