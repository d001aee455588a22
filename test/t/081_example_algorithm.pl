# Builds ml_ext with the algorithm of docs/adding-an-algorithm.md in it, as the page tells, in a second private
# copy of the server, and runs the page's SQL there.
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
$node->stop;
done_testing();
