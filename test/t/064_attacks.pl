# Attacks, in a database whose owner made the extension and is no superuser: every function that takes
# the name of a model by five roles, every relation of schema ml by all of them; a search_path whose first schema has
# traps for all that we might call; text that is SQL in every text argument, name, category and JSON key.
# What the lists here do not know fails the test: a new function or table needs a line.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nmax_parallel_workers_per_gather = 0\n");
$node->start;
$node->safe_psql('postgres', "CREATE ROLE $_ LOGIN") for qw(boss author manager viewer asker stranger);
$node->safe_psql('postgres', 'CREATE DATABASE d OWNER boss');
my $super = $node->safe_psql('postgres', 'SELECT current_user');

sub run_as
{
	my ($role, $sql) = @_;
	my (undef, $out, $err) = $node->psql('d', $sql, extra_params => [ '-U', $role ]);
	return ($out, $err);
}
sub as { return join '', run_as(@_); }
# A page may say ERROR, too: what counts is what psql complains of.
sub done { my ($out, $err) = run_as(@_); $err =~ /ERROR|FATAL/ and die "$_[0]: $_[1]\n$err"; return $out; }

done('boss', q{CREATE EXTENSION ml_ext;
	GRANT CREATE ON SCHEMA public TO author;
	CREATE TABLE canary AS SELECT 1 AS alive;
	GRANT ALL ON canary TO PUBLIC;
	-- What a statement ends with; it is undone.
	CREATE FUNCTION attempt(sql text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			EXECUTE sql;
			RAISE EXCEPTION USING errcode = 'ML999';
		EXCEPTION
			WHEN SQLSTATE 'ML999' THEN RETURN 'ok';
			WHEN OTHERS THEN RETURN pg_catalog.concat(SQLSTATE, ' ', SQLERRM);
		END;
	END $$;});
my $prepare = q{
	CREATE TABLE t AS SELECT i, i::float8 AS x, (2 * i + i % 3)::float8 AS y, CASE WHEN i % 7 < 4 THEN 'a' ELSE 'b' END AS k FROM generate_series(1, 120) i;
	GRANT SELECT ON t TO PUBLIC;};
done('author', $prepare);
# regression and classes; two versions, the challenger named; something monitored and logged
sub make_models
{
	my ($s, $c, $from, $x, $k) = @_;
	done('author', qq{SELECT version FROM ml_train($_, '$from', target => 'y', algorithm => 'linear', features => ARRAY[$x], params => '{"keep_state": true, "impute": "zero"}'); SELECT ml_set_alias($_, 'prod', 2) WHERE EXISTS (SELECT FROM ml.versions WHERE model = $_ AND version = 2)}) for $s, $s, $s;
	done('author', qq{SELECT version FROM ml_train($_, '$from', target => $k, algorithm => 'logistic', features => ARRAY[$x]); SELECT ml_promote($_, 1)}) for $c, $c;
	done('author', qq{SELECT ml_grant(m, 'manager', 'manage'), ml_grant(m, 'viewer', 'view'), ml_grant(m, 'asker', 'predict'), ml_log_predictions(m, 1) FROM unnest(ARRAY[$s, $c]) m;
		SELECT count(*) FROM ml_monitor($s, '$from'); SELECT count(ml_predict_logged($s, t)) FROM (SELECT * FROM t LIMIT 3) t});
}
make_models(q{'secret'}, q{'secret class'}, 't', q{'x'}, q{'k'});

# ---- every function that takes the name of a model ----

# What is needed, and a call; {m}: a regression, {c}: classes, {v}: the value of {c}.
my $row = 'FROM (SELECT * FROM public.t LIMIT 2) t';
my $json = q{'{"x": 1}'::pg_catalog.jsonb};
my $text = q{'{"x": 1}'};
my %call = (
	'ml_archive(text,integer)' => [ manage => q{SELECT public.ml_archive({m}, 1)} ],
	'ml_classify(text,jsonb)' => [ predict => qq{SELECT public.ml_classify({c}, $json)} ],
	'ml_classify(text,record)' => [ predict => qq{SELECT public.ml_classify({c}, t) $row} ],
	'ml_classify(text,text)' => [ predict => qq{SELECT public.ml_classify({c}, $text)} ],
	'ml_classify_columns(bigint,text,text[],"any")' => [ predict => q{SELECT public.ml_classify_columns(99, {c}, '{x}', 1)} ],
	'ml_classify_columns(text,text[],"any")' => [ predict => q{SELECT public.ml_classify_columns({c}, '{x}'::pg_catalog.text[], 1)} ],
	'ml_classify_logged(text,record)' => [ predict => qq{SELECT public.ml_classify_logged({c}, t) $row} ],
	'ml_coefficients(text)' => [ view => q{SELECT FROM public.ml_coefficients({m})} ],
	'ml_comment(text,text)' => [ manage => q{SELECT public.ml_comment({m}, 'said')} ],
	'ml_compare(text,text,integer[])' => [ predict => q{SELECT FROM public.ml_compare({m}, 'public.t')} ],
	'ml_create_function(text,text,text,text)' => [ predict => q{SELECT public.ml_create_function({m}, 'public.made')} ],
	'ml_create_view(text,text,text,text,boolean)' => [ predict => q{SELECT public.ml_create_view({m}, 'public.made', 'public.t')} ],
	'ml_describe(text)' => [ view => q{SELECT FROM public.ml_describe({m})} ],
	'ml_drop(text,integer)' => [ manage => q{SELECT public.ml_drop({m})} ],
	'ml_evaluate(text,text)' => [ predict => q{SELECT FROM public.ml_evaluate({m}, 'public.t')} ],
	'ml_explain(text,jsonb)' => [ predict => qq{SELECT public.ml_explain({m}, $json)} ],
	'ml_explain(text,record)' => [ predict => qq{SELECT public.ml_explain({m}, t) $row} ],
	'ml_explain(text,text)' => [ predict => qq{SELECT public.ml_explain({m}, $text)} ],
	'ml_export(text,text)' => [ view => q{SELECT public.ml_export({m}, 'ml')} ],
	'ml_forget(text,text,text)' => [ manage => q{SELECT FROM public.ml_forget({m}, 'SELECT x, y FROM public.t WHERE i OPERATOR(pg_catalog.=) 50')} ],
	'ml_grant(text,text,text)' => [ manage => q{SELECT public.ml_grant({m}, 'stranger', 'view')} ],
	'ml_has_privilege(text,text)' => [ none => q{SELECT public.ml_has_privilege({m}, 'predict')} ],
	'ml_ice(text,text,text,integer,text,integer,bigint)' => [ predict => q{SELECT FROM public.ml_ice({m}, 'public.t', 'x')} ],
	'ml_import(text,text,text,text[],text,text[])' => [ store => q{SELECT FROM public.ml_import({m}, (SELECT d FROM public.document))} ],
	'ml_import(text,bytea,text,text[],text,text[])' => [ store => q{SELECT FROM public.ml_import({m}, (SELECT pg_catalog.convert_to(d, 'UTF8') FROM public.document))} ],
	'ml_importance(text)' => [ view => q{SELECT FROM public.ml_importance({m})} ],
	'ml_importance(text,text,text,integer,integer,bigint)' => [ view => q{SELECT FROM public.ml_importance({m}, 'permutation', 'public.t')} ],
	'ml_log_predictions(text,double precision,interval)' => [ manage => q{SELECT public.ml_log_predictions({m}, 0.5)} ],
	'ml_monitor(text,text,text,text,text,jsonb,boolean)' => [ view => q{SELECT FROM public.ml_monitor({m}, 'public.t', 'y', 'k')} ],
	'ml_partial_dependence(text,text,text,integer,text,integer,bigint)' => [ predict => q{SELECT FROM public.ml_partial_dependence({m}, 'public.t', 'x')} ],
	'ml_plot(text,text,text)' => [ view => q{SELECT public.ml_plot({m}, 'distribution')} ],
	'ml_predict(text,double precision[])' => [ predict => q{SELECT public.ml_predict({m}, 1)} ],
	'ml_predict(text,jsonb)' => [ predict => qq{SELECT public.ml_predict({m}, $json)} ],
	'ml_predict(text,record)' => [ predict => qq{SELECT public.ml_predict({m}, t) $row} ],
	'ml_predict(text,text)' => [ predict => qq{SELECT public.ml_predict({m}, $text)} ],
	'ml_predict_columns(bigint,text,text[],"any")' => [ predict => q{SELECT public.ml_predict_columns(1, {m}, '{x}', 1)} ],
	'ml_predict_columns(text,text[],"any")' => [ predict => q{SELECT public.ml_predict_columns({m}, '{x}'::pg_catalog.text[], 1)} ],
	'ml_predict_interval(text,jsonb,double precision)' => [ predict => qq{SELECT public.ml_predict_interval({m}, $json)} ],
	'ml_predict_interval(text,record,double precision)' => [ predict => qq{SELECT public.ml_predict_interval({m}, t) $row} ],
	'ml_predict_interval(text,text,double precision)' => [ predict => qq{SELECT public.ml_predict_interval({m}, $text)} ],
	'ml_predict_logged(text,record)' => [ predict => qq{SELECT public.ml_predict_logged({m}, t) $row} ],
	'ml_probabilities(text,jsonb)' => [ predict => qq{SELECT public.ml_probabilities({c}, $json)} ],
	'ml_probabilities(text,record)' => [ predict => qq{SELECT public.ml_probabilities({c}, t) $row} ],
	'ml_probabilities(text,text)' => [ predict => qq{SELECT public.ml_probabilities({c}, $text)} ],
	'ml_probabilities_columns(bigint,text,text[],"any")' => [ predict => q{SELECT public.ml_probabilities_columns(99, {c}, '{x}', 1)} ],
	'ml_probability(text,jsonb,text)' => [ predict => qq{SELECT public.ml_probability({c}, $json, 'a')} ],
	'ml_probability(text,record,text)' => [ predict => qq{SELECT public.ml_probability({c}, t, 'a') $row} ],
	'ml_probability(text,text,text)' => [ predict => qq{SELECT public.ml_probability({c}, $text, 'a')} ],
	'ml_probability_columns(bigint,text,text,text[],"any")' => [ predict => q{SELECT public.ml_probability_columns(99, {c}, 'a', '{x}', 1)} ],
	'ml_probability_columns(text,text,text[],"any")' => [ predict => q{SELECT public.ml_probability_columns({c}, 'a', '{x}'::pg_catalog.text[], 1)} ],
	'ml_promote(text,integer)' => [ manage => q{SELECT public.ml_promote({m}, 1)} ],
	'ml_rename(text,text)' => [ manage => q{SELECT public.ml_rename({m}, 'open')} ],
	'ml_report(text,text)' => [ view => q{SELECT public.ml_report({m})} ],
	'ml_reserve_promotion(text,text)' => [ owner => q{SELECT public.ml_reserve_promotion({m}, 'author')} ],
	'ml_retain(text,integer,interval)' => [ manage => q{SELECT public.ml_retain({m}, 1)} ],
	'ml_retrain(text,text,text,double precision,text,text,text)' => [ manage => q{SELECT FROM public.ml_retrain({m}, 'public.t', 'always')} ],
	'ml_revoke(text,text,text)' => [ manage => q{SELECT public.ml_revoke({m}, 'asker', 'predict')} ],
	'ml_rollback(text)' => [ manage => q{SELECT public.ml_rollback({m})} ],
	'ml_schedule(text,text,text,text,double precision,text,text,text)' => [ manage => q{SELECT public.ml_schedule({m}, '0 3 * * *', 'public.t')}, qr/^55000 extension "pg_cron" is not installed/ ],
	'ml_set_alias(text,text,integer)' => [ manage => q{SELECT public.ml_set_alias({m}, 'stage', 1)} ],
	'ml_to_sql(text,text,text,text)' => [ view => q{SELECT public.ml_to_sql({m})} ],
	'ml_train(text,text,text,text,jsonb,text[],text[],text,text,double precision,text,text,bigint,text)' => [ store => q{SELECT FROM public.ml_train({m}, 'public.t', 'y')} ],
	'ml_unarchive(text,integer)' => [ manage => q{SELECT public.ml_unarchive({m}, 1)} ],
	'ml_unschedule(text)' => [ predict => q{SELECT public.ml_unschedule({m})}, qr/^55000 extension "pg_cron" is not installed/ ],
	'ml_update(text,text,text)' => [ manage => q{SELECT FROM public.ml_update({m}, 'SELECT x, y FROM public.t LIMIT 9')} ]);
done('author', q{CREATE TABLE document AS SELECT ml_export('secret', 'ml') AS d; GRANT SELECT ON document TO PUBLIC});
done('boss', 'GRANT CREATE ON SCHEMA public TO PUBLIC');

my $functions = q{FROM pg_depend e JOIN pg_proc p ON p.oid = e.objid WHERE e.deptype = 'e' AND e.classid = 'pg_proc'::regclass
	AND e.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ml_ext')};
is(join("\n", sort keys %call), done('boss', qq{SELECT p.oid::regprocedure $functions AND p.prokind = 'f' AND p.prorettype <> 'internal'::regtype
	AND coalesce(p.proargnames[1:p.pronargs] @> '{model}' AND p.proargtypes[array_position(p.proargnames, 'model') - 1] = 'text'::regtype, false) ORDER BY p.oid::regprocedure::text COLLATE "C"}),
	'every function that takes the name of a model has a line here');
is(done('boss', qq{SELECT count(*) $functions AND p.prosecdef}), '0', 'no function runs as its owner');

# Runs all calls in one session and returns what each ended with.
sub attempts
{
	my ($role, $m, $c, $path, @names) = @_;
	my $sql = "SET search_path = $path;\n";
	for my $name (@names)
	{
		my $statement = $call{$name}[1] =~ s/\{m\}/$m/gr =~ s/\{c\}/$c/gr;
		$sql .= "SELECT pg_catalog.replace(public.attempt(\$attempt\$$statement\$attempt\$), E'\\n', ' ');\n";
	}
	my @out = split /\n/, as($role, $sql), -1;
	is(scalar @out, scalar @names, "$role has an answer for every call") or diag(join "\n", @out);
	my %out;
	@out{@names} = @out;
	return \%out;
}
my %level = (none => 0, predict => 1, view => 2, manage => 3, store => 3, owner => 4);
my %has = (stranger => 0, asker => 1, viewer => 2, manager => 3, author => 4);
my @names = sort keys %call;
my %normal;
for my $role (sort { $has{$a} <=> $has{$b} } keys %has)
{
	my $got = attempts($role, q{'secret'}, q{'secret class'}, 'public', @names);
	my $missing = attempts($role, q{'nothing'}, q{'nothing'}, 'public', @names);
	my @wrong;
	for my $name (@names)
	{
		my ($need, undef, $else) = @{ $call{$name} };
		my $is_class = $call{$name}[1] =~ /\{c\}/;
		my $model = $is_class ? 'secret class' : 'secret';
		my $expected =
		    $level{$need} <= $has{$role} ? $else || qr/^ok$/
		  : $need eq 'store' ? qr/^42710 model "\Q$model\E" already exists$/
		  : $has{$role} == 0 ? qr/^42704 model "\Q$model\E" does not exist$/
		  : $need eq 'owner' ? qr/^42501 (must be owner of|permission denied for) model "secret"/
		  : qr/^42501 permission denied for model "\Q$model\E"$/;
		push @wrong, "$name: $got->{$name}" if $got->{$name} !~ $expected;
		my $nothing = $need eq 'none' || $need eq 'store' ? qr/^ok$/ : qr/^42704 model "nothing" does not exist$/;
		push @wrong, "$name of a missing model: $missing->{$name}" if $missing->{$name} !~ $nothing;
	}
	is(join("\n", @wrong), '', "$role may do what he may, and learns nothing else");
	$normal{$role} = $got;
}

# functions that take no name, but reach the catalog
my $id = done('boss', q{SELECT model_id FROM ml.model WHERE name = 'secret'});
for ([ 'stranger', "SELECT ml.retrain_job($id, NULL, 'always', NULL, NULL, NULL, NULL)", qr/^42704 model with number $id does not exist$/ ],
	[ 'asker', "SELECT ml.retrain_job($id, NULL, 'always', NULL, NULL, NULL, NULL)", qr/^42501 permission denied for model "secret"$/ ],
	[ 'stranger', q{SELECT ml_verify()}, qr/^42501/ ], [ 'author', q{SELECT ml_verify()}, qr/^42501/ ], [ 'boss', q{SELECT ml_verify()}, qr/^ok/ ],
	[ 'stranger', q{SELECT ml_reassign('author', 'stranger')}, qr/^42501 permission denied to reassign models$/ ],
	[ 'manager', q{SELECT ml_reassign('author', 'manager')}, qr/^42501/ ], [ 'author', q{SELECT ml_reassign('author', 'author')}, qr/^ok/ ],
	[ 'stranger', q{SELECT ml.catalog_changed()}, qr/^42501/ ], [ 'stranger', q{SELECT ml.audit_guard()}, qr/^42501/ ],
	[ 'stranger', "SELECT 1 / ml_has_privilege($id, 'predict')::int", qr/^22012/ ], [ 'asker', "SELECT 1 / ml_has_privilege($id, 'predict')::int", qr/^ok/ ])
{
	my ($role, $sql, $expected) = @$_;
	like(done($role, "SELECT attempt(\$\$$sql\$\$)"), $expected, "$role: $sql");
}

# ---- every relation ----

# Which of the roles see anything of the model in a view; tables and sequences are for nobody.
my %sees = (models => 2, versions => 2, privileges => 2, roles => 2, audit => 2, monitoring => 2, prediction_log => 3, schedules => 9,
	algorithms => 9, parameters => 9, progress => 9);
my @relations = map { [ split /\|/ ] } split /\n/, done('boss', q{SELECT c.relname, c.relkind FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass
	WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ml_ext') AND c.relkind <> 'c' ORDER BY 1});
for my $role (sort { $has{$a} <=> $has{$b} } keys %has)
{
	my @wrong;
	for (@relations)
	{
		my ($name, $kind) = @$_;
		my @statements = $kind eq 'S' ? ("SELECT nextval('ml.$name')", "SELECT setval('ml.$name', 1)", "SELECT last_value FROM ml.$name")
		  : (($kind eq 'v' ? () : "SELECT FROM ml.$name"), "INSERT INTO ml.$name DEFAULT VALUES", "DELETE FROM ml.$name", "TRUNCATE ml.$name",
			"CREATE TRIGGER mine BEFORE INSERT ON ml.$name FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", "LOCK TABLE ml.$name IN ROW EXCLUSIVE MODE");
		for my $answer (split /\n/, done($role, join '', map { "SELECT \$\$$_\$\$, attempt(\$\$$_\$\$);\n" } @statements))
		{
			push @wrong, $answer if $answer !~ /\|(42501|42809 "\w+" is not a table|42809 "\w+" is a view|55000 cannot (insert into|delete from) view )/;
		}
		next if $kind ne 'v';
		push @wrong, "no line for view $name" if !exists $sees{$name};
		my $count = done($role, "SELECT count(*) > 0 FROM ml.$name v WHERE v::text LIKE '%secret%'");
		push @wrong, "sees in $name: $count" if $count ne ($has{$role} >= ($sees{$name} // 0) ? 't' : 'f');
	}
	is(join("\n", @wrong), '', "$role: all relations of schema ml");
}

# ---- a schema full of traps first in search_path ----

# Everything of pg_catalog that the library names, under the same names.
open my $library, '<:raw', `$ENV{PG_CONFIG} --pkglibdir` =~ s/\s+$//r . '/ml_ext.so' or die "the library: $!";
my %word = map { $_ => 1 } do { local $/; <$library> } =~ /[a-z][a-z0-9_]{1,62}/g;
my $words = join ',', sort keys %word;
done('boss', qq{CREATE SCHEMA evil; GRANT USAGE, CREATE ON SCHEMA evil TO PUBLIC; SET search_path = pg_catalog;
	CREATE TABLE evil.word AS SELECT unnest('{$words}'::text[]) AS word;} . q{
	DO $make$
	DECLARE
		f record;
		body text := $$ BEGIN RAISE EXCEPTION 'trapped as %', CURRENT_USER; END $$;
	BEGIN
		FOR f IN SELECT p.*, pg_get_function_identity_arguments(p.oid) AS args, n.nspname,
				(SELECT string_agg(format_type(a, NULL), ', ' ORDER BY i) FROM unnest(p.proargtypes) WITH ORDINALITY u (a, i)) AS types
			FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			WHERE n.nspname IN ('pg_catalog', 'public', 'ml') AND p.proname NOT IN ('attempt') AND p.prokind IN ('f', 'a')
			AND (n.nspname <> 'pg_catalog' OR p.proname::text IN (SELECT word FROM evil.word))
		LOOP
			BEGIN
				IF f.prokind = 'f' THEN
					EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.proname, f.types,
						CASE WHEN f.proretset THEN 'SETOF ' ELSE '' END || format_type(f.prorettype, NULL), body);
				ELSE
					EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS int LANGUAGE plpgsql AS %L', 'step ' || f.proname, concat_ws(', ', 'int', f.types), body);
					EXECUTE format('CREATE AGGREGATE evil.%I(%s) (sfunc = evil.%I, stype = int, initcond = 0)', f.proname, coalesce(f.types, '*'), 'step ' || f.proname);
				END IF;
			EXCEPTION WHEN OTHERS THEN NULL;	-- arguments that no such function can have
			END;
		END LOOP;
		FOR f IN SELECT o.oprname, format_type(o.oprleft, NULL) AS l, format_type(o.oprright, NULL) AS r, format_type(o.oprresult, NULL) AS result
			FROM pg_operator o WHERE o.oprleft <> 0 AND o.oprnamespace = 'pg_catalog'::regnamespace
			AND o.oprleft = ANY ('{text,name,int4,int8,float8,jsonb,oid,timestamptz,interval,bool,bytea,numeric,anyarray,anycompatiblearray,anynonarray}'::regtype[])
		LOOP
			BEGIN
				EXECUTE format('CREATE OR REPLACE FUNCTION evil."op %s"(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L', f.oprname, f.l, f.r, f.result, body);
				EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil."op %s")', f.oprname, f.l, f.r, f.oprname);
			EXCEPTION WHEN OTHERS THEN NULL;
			END;
		END LOOP;
		FOR f IN SELECT relname FROM pg_class WHERE relnamespace IN ('pg_catalog'::regnamespace, 'ml'::regnamespace) AND relkind IN ('r', 'v') LOOP
			EXECUTE format('CREATE TABLE evil.%I (trapped int); GRANT ALL ON evil.%I TO PUBLIC', f.relname, f.relname);
		END LOOP;
		FOR f IN SELECT typname FROM pg_type t WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typname !~ '^_'
			OR typname IN ('ml_model', 'ml_state') LOOP
			BEGIN
				EXECUTE format('CREATE DOMAIN evil.%I AS int CHECK (false)', f.typname);
			EXCEPTION WHEN OTHERS THEN NULL;	-- a table has the name
			END;
		END LOOP;
	END $make$;});
cmp_ok(done('boss', q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'evil'::regnamespace}), '>', 500, 'traps are set');
like(as('author', q{SET search_path = evil, pg_catalog, public; SELECT count(*) FROM public.t}), qr/trapped as author/, '... and catch');
for my $role (qw(author asker stranger), $super)
{
	my $got = attempts($role, q{'secret'}, q{'secret class'}, 'evil, pg_catalog, public', @names);
	my $before = $normal{$role} || $normal{author};
	is(join("\n", map { "$_: $got->{$_}" } grep { $got->{$_} ne $before->{$_} } @names), '', "$role walks into none of them");
}
# Functions without the name of a model, with what is at hand; whoever is caught says so.
my $plain = join '', map { "SELECT public.attempt(\$attempt\$$_\$attempt\$);\n" } (
	q{SELECT public.ml_fit('public.t', 'y')}, q{SELECT FROM public.ml_cv('public.t', 'y')}, q{SELECT public.ml_export(public.ml_fit('public.t', 'y'), 'ml')},
	q{SELECT public.ml_report('secret', 'public.t')}, q{SELECT public.ml_to_sql(public.ml_fit('public.t', 'k'), class => 'a')},
	q{SELECT FROM public.ml_evaluate(public.ml_fit('public.t', 'y'), 'public.t')}, q{SELECT public.ml_plot(public.ml_fit('public.t', 'k'), 'roc', 'public.t')},
	q{SELECT FROM public.ml_describe(public.ml_fit('public.t', 'y'))}, q{SELECT FROM public.ml_coefficients(public.ml_fit('public.t', 'y', 'linear'))},
	q{SELECT FROM public.ml_importance(public.ml_fit('public.t', 'y'), 'permutation', 'public.t')},
	q{SELECT public.ml_create_function(public.ml_fit('public.t', 'y'), 'public.made')},
	q{SELECT public.ml_metrics(y, x) FROM public.t}, q{SELECT public.ml_metrics(k, k) FROM public.t}, q{SELECT public.ml_auc(k OPERATOR(pg_catalog.=) 'a', x) FROM public.t},
	q{SELECT public.ml_finish(public.ml_accumulate(public.ml_spec('linear', '{y,x}', 'y'), y, x)) FROM public.t},
	q{SELECT FROM ml.models}, q{SELECT FROM ml.versions}, q{SELECT FROM ml.privileges}, q{SELECT FROM ml.roles}, q{SELECT FROM ml.audit},
	q{SELECT FROM ml.monitoring}, q{SELECT FROM ml.prediction_log}, q{SELECT FROM ml.schedules}, q{SELECT FROM ml.progress},
	q{SELECT FROM ml.algorithms}, q{SELECT FROM ml.parameters}, q{SELECT public.ml_reassign('author', 'author')},
	q{SELECT FROM public.ml_train('fresh', 'SELECT x, y, k FROM public.t', 'k', 'gradient_boosting', '{"n_estimators": 5}'), public.ml_retrain('fresh', 'public.t')});
is(as('author', "SET search_path = evil, pg_catalog, public;\n$plain"), as('author', $plain), 'nor does he elsewhere');
unlike(as('author', $plain), qr/^(?!ok)/m, '... where all works');
like(as($super, "SET search_path = evil, pg_catalog, public; SELECT public.attempt('SELECT FROM public.ml_verify()')"), qr/^ok$/, 'nor does ml_verify');

# ---- text that is SQL ----

my @payload = (q{x'; DROP TABLE public.canary; --}, q{x"; DROP TABLE public.canary; --}, q{x') FROM public.t; DROP TABLE public.canary; --},
	q{\\'; DROP TABLE public.canary; --}, q{$$; DROP TABLE public.canary; $$}, q{public.t; DROP TABLE public.canary}, q{(SELECT public.ml_grant('secret', 'stranger', 'manage'))},
	q{%s%n%1$s}, q{</script><script>alert(1)</script>});
my %valid = (model => q{'secret'}, source => q{'public.t'}, target => q{'y'}, feature => q{'x'}, kind => q{'distribution'}, format => q{'ml'}, data => q{'{}'},
	function_name => q{'public.made'}, view_name => q{'public.made'}, role => q{'viewer'}, privilege => q{'view'}, new_name => q{'new'}, alias => q{'stage'},
	cron => q{'0 3 * * *'}, version => '1', comment => q{'c'}, input => 't', names => q{'{x}'}, columns => '1', class => q{'a'}, numbers => '1', output => q{'prediction'},
	share => '1', old_role => q{'author'}, new_role => q{'author'}, method => q{'permutation'}, model_id => $id, algorithm => q{'linear'},
	promote => q{'always'}, map { $_ => 'NULL' } qw(holdout metric compare_on notes));
my @arguments = map { [ split /\|/, $_, -1 ] } split /\n/, done('boss', qq{SELECT p.oid::regprocedure, p.pronamespace::regnamespace || '.' || p.proname,
	array_to_string(p.proargnames[1:p.pronargs], ','), array_to_string(ARRAY(SELECT format_type(a, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY u (a, i) ORDER BY i), ','), p.pronargdefaults, p.provariadic <> 0
	$functions AND p.prokind = 'f' AND 'text'::regtype = ANY (p.proargtypes) AND NOT 'internal'::regtype = ANY (p.proargtypes) AND NOT 'bytea'::regtype = ANY (p.proargtypes[0:0]) ORDER BY 1});
my (@unknown, @statements);
for (@arguments)
{
	my ($signature, $function, $names, $types, $defaults, $variadic) = @$_;
	my @name = split /,/, $names;
	my @type = split /,/, $types;
	for my $i (grep { $type[$_] =~ /^text(\[\])?$/ } 0 .. $#name)
	{
		my @given;
		for my $j (0 .. $#name)
		{
			next if $j != $i && $j >= @name - $defaults;
			my $value = $type[$j] eq 'ml_model' ? q{(SELECT v FROM public.value)} : $valid{ $name[$j] };
			push @unknown, "$signature: $name[$j]" if $j != $i && !defined $value;
			push @given, [ $name[$j], $j == $i ? ($type[$j] eq 'text' ? '{payload}' : 'ARRAY[{payload}]') : $value . ($type[$j] eq 'jsonb' ? '::pg_catalog.jsonb' : '') ];
		}
		my $list = join ', ', map { $variadic eq 't' ? $_->[1] : "$_->[0] => $_->[1]" } @given;
		push @statements, "SELECT $function($list) FROM (SELECT * FROM public.t LIMIT 1) t";
	}
}
is(join("\n", @unknown), '', 'every argument has a value to be called with');
done('author', q{CREATE TABLE value AS SELECT ml_fit('t', 'y') AS v});
my %ended;
for my $role (qw(author stranger))
{
	my $sql = '';
	for my $payload (@payload)
	{
		for my $statement (@statements)
		{
			my $text = $statement =~ s/\{payload\}/\$payload\$$payload\$payload\$/gr;
			$sql .= "SELECT left(attempt(\$attempt\$$text\$attempt\$), 5);\n";
		}
	}
	my @out = split /\n/, as($role, "$sql SET standard_conforming_strings = off;\n$sql");
	is(scalar @out, 2 * @payload * @statements, "$role: " . @payload . ' texts in ' . @statements . ' arguments');
	$ended{$_}++ for @out;
	is(join(' ', grep { /^(XX|58|57|P0)/ } sort keys %ended), '', '... none ends where it must not');
	is(done('boss', 'SELECT alive FROM canary'), '1', '... nor does what it says');
}
note('they ended so: ' . join ', ', map { "$_ $ended{$_}" } sort keys %ended);

# Names of models, columns and classes, categories and JSON keys that are SQL: all works as with others.
my $quote = sub { return "'" . $_[0] =~ s/'/''/gr . "'"; };
my $ident = sub { return '"' . substr($_[0], 0, 60) =~ s/"/""/gr . '"'; };
my $n = 0;
for my $payload (grep { !/@/ } @payload)
{
	my $short = substr $payload, 0, 55;
	my ($x, $k, $m, $c) = ($ident->($short), $ident->("k$short"), $quote->("m$short"), $quote->("c$short"));
	$n++;
	done('author', qq{DROP TABLE t CASCADE; CREATE TABLE t AS SELECT i, i::float8 AS $x, (2 * i + i % 3)::float8 AS y, CASE WHEN i % 7 < 4 THEN 'a' ELSE $m END AS k,
		(ARRAY[$m, $c, 'z', ''])[i % 4 + 1] AS $k, i::float8 AS x FROM generate_series(1, 120) i; GRANT SELECT ON t TO PUBLIC});
	my ($xname, $kname) = ($quote->($short), $quote->("k$short"));
	make_models($m, $c, 't', "$xname, $kname", q{'k'});
	my @wrong;
	for my $name (@names)
	{
		my $statement = $call{$name}[1] =~ s/\{m\}/$m/gr =~ s/\{c\}/$c/gr;
		$statement =~ s/'\{"x": 1\}'::pg_catalog.jsonb/jsonb_build_object($xname, 1, $kname, $m)/g;
		$statement =~ s/'\{"x": 1\}'/jsonb_build_object($xname, 1, $kname, $m)::pg_catalog.text/g;
		$statement =~ s/'\{x\}'(::pg_catalog\.text\[\])?, 1\)/ARRAY[$xname, $kname], 1, 'z'::text)/g;
		next if $statement =~ /ml_predict\(.*, 1\)$/ || $statement =~ /document/;
		$statement =~ s/'public.t', 'x'\)/'public.t', $xname)/;
		$statement =~ s/SELECT x, y/SELECT */;
		my $end = done('author', "SELECT attempt(\$attempt\$$statement\$attempt\$)");
		my $expected = $call{$name}[2] || qr/^ok$/;
		push @wrong, "$name: $end" if $end !~ $expected;
	}
	is(join("\n", @wrong), '', "a model, its columns and categories named $payload");
	my $view = $quote->('public.' . $ident->("v$short"));
	is(done('author', "SELECT ml_create_view($m, $view, 't') IS NOT NULL"), 't', '... a view');
	my $formula = done('author', "SELECT ml_to_sql($m, 't')");
	is(done('author', "SELECT bool_and(abs($formula - ml_predict($m, t)) < 1e-6) FROM t"), 't', '... as SQL');
	unlike(done('author', "SELECT ml_report($m, 't')"), qr/<script>alert/, '... on a page');
	is(done('author', "SELECT ml_drop($m), ml_drop($c)"), '3|2', '... and dropped');
	is(done('boss', 'SELECT alive FROM canary'), '1', '... the canary lives');
}
is(done('boss', q{SELECT count(*) FROM ml.privileges WHERE grantee = 'stranger'}), '0', 'and the stranger has nothing');

# ---- in the place of others ----

done('author', $prepare =~ s/CREATE TABLE t /CREATE TABLE mine /r =~ s/ON t /ON mine /r);
done('author', q{CREATE VIEW definer AS SELECT ml_predict('secret', t) AS p FROM mine t; GRANT SELECT ON definer TO PUBLIC;
	ALTER TABLE mine ENABLE ROW LEVEL SECURITY; CREATE POLICY seen ON mine USING (ml_predict('secret', mine.x) > 0);
	CREATE FUNCTION lent() RETURNS float8 LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$ SELECT ml_predict('secret', 1) $$;});
like(as('stranger', 'SELECT max(p) FROM definer'), qr/model "secret" does not exist/, 'a view of the author asks for the privilege of who reads it');
like(as('stranger', 'SELECT count(*) FROM mine'), qr/model "secret" does not exist/, 'so does a policy');
is(done('asker', 'SELECT count(*) FROM mine'), '120', '... which he has');
is(done('stranger', 'SELECT lent() IS NOT NULL'), 't', 'a function of the author has his');
# What the stranger hangs on his own tables runs as himself when he is served.
done('stranger', q{CREATE TABLE his (x float8, y float8); INSERT INTO his SELECT i, i FROM generate_series(1, 40) i;
	CREATE FUNCTION grab() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.ml_grant('secret', 'stranger', 'manage'); RETURN true; END $$;
	CREATE VIEW bait AS SELECT x, y FROM his WHERE grab();});
like(done('stranger', q{SELECT attempt($$SELECT FROM ml_train('his', 'bait', 'y')$$)}), qr/^42704 model "secret" does not exist/, 'a source of his own is read as himself');
like(as('stranger', q{CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION grab()}), qr/permission denied/, 'event triggers are for superusers');
is(done('boss', 'SELECT * FROM ml_verify()'), '', 'and nothing is broken');

$node->stop;
done_testing();
