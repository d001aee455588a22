# ml_monitor: its figures equal those computed from the same rows by test/witness/drift.py, batches without drift
# raise no alarm, real drift does, an alert undoes a load, and everybody sees what he may.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('monitor');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION ml_ext');
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', 'test/data/load.sql' ], 'the data sets load');
sub sql { return $node->safe_psql('postgres', $_[0]); }

sub fails
{
	my ($sql, $message, $name) = @_;
	my ($ret, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	like($err, $message, $name);
}

# ---- figures ----

sql(q{CREATE TABLE training AS SELECT * FROM electricity WHERE row_id <= 17424;
	SELECT ml_train('price', 'training', 'price_up', algorithm => 'logistic', features => '{period,nswprice,nswdemand}');
	SELECT ml_train('income', 'adult', 'income', algorithm => 'logistic');
	CREATE TABLE drift (data text, first int, last int, feature text, measure text, value float8);
	CREATE TABLE adult_numbered AS SELECT row_number() OVER () AS i, a.* FROM adult_new a;});
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c',
	"\\copy drift FROM 'test/data/drift.csv' (FORMAT csv, HEADER)" ], 'the expected figures load');
sql(q{CREATE TABLE seen AS SELECT w.data, w.first, m.* FROM (SELECT DISTINCT data, first, last FROM drift) w,
	ml_monitor(CASE w.data WHEN 'adult' THEN 'income' ELSE 'price' END,
		format(CASE w.data WHEN 'adult' THEN 'SELECT * FROM adult_numbered WHERE i BETWEEN %s AND %s'
			ELSE 'SELECT * FROM electricity WHERE row_id BETWEEN %s AND %s' END, w.first, w.last), record => false) m});
is(sql(q{SELECT count(*) FROM drift d WHERE NOT EXISTS (SELECT FROM seen s
	WHERE s.data = d.data AND s.first = d.first AND s.feature = d.feature AND s.measure = d.measure)}), '0',
	'every expected figure is reported');
is(sql(q{SELECT d.*, s.value FROM drift d JOIN seen s USING (data, first, feature, measure)
	WHERE measure NOT IN ('ks', 'wasserstein') AND abs(s.value - d.value) > 1e-9 * greatest(1, d.value)}), '',
	'counts, stability index, divergence and chi-square are exact to 1e-9');
is(sql(q{SELECT d.*, s.ci_low, s.ci_high FROM drift d JOIN seen s USING (data, first, feature, measure)
	WHERE measure IN ('ks', 'wasserstein') AND (d.value < s.ci_low - 1e-9 OR d.value > s.ci_high + 1e-9)}), '',
	'Kolmogorov-Smirnov and Wasserstein lie within the bounds that are stated');
is(sql(q{SELECT count(*) FROM drift d JOIN seen s USING (data, first, feature, measure)
	WHERE measure = 'ks' AND s.value < d.value - 0.01}), '0', 'and less than 0.01 below');

# ---- performance ----

is(sql(q{SELECT count(*) FROM ml_monitor('price', 'training', actual => 'price_up', record => false) m
	JOIN ml_evaluate('price', 'training') e ON e.metric = m.measure
	WHERE m.value = e.value AND m.ci_low IS NOT DISTINCT FROM e.ci_low AND m.n = e.n}),
	sql(q{SELECT count(*) FROM ml_evaluate('price', 'training')}), 'metrics are those of ml_evaluate');
ok(sql(q{SELECT abs((SELECT value FROM ml_monitor('price', 'training', record => false) WHERE measure = 'estimated_accuracy')
	- (SELECT value FROM ml_evaluate('price', 'training') WHERE metric = 'accuracy'))}) < 0.01,
	'without actual values the accuracy is estimated to 0.01 where nothing has changed');

# ---- no false alarm ----

# Batches of rows that the model has not seen, from the same population, judged against the noise floor alone:
# with thresholds of zero every figure beyond its floor is an alarm.
sql(q{SELECT setseed(0.25); CREATE TABLE shuffled AS SELECT *, random() AS r FROM adult;
	CREATE TABLE part AS SELECT * FROM shuffled WHERE r < 0.5; ALTER TABLE part DROP r;
	SELECT ml_train('half', 'part', 'income', algorithm => 'logistic')});
my $zero = '{"psi":[0,0],"ks":[0,0],"jensen_shannon":[0,0],"wasserstein":[0,0],"chi_square":[0,0],"out_of_range":[0,0],'
  . '"new_categories":[0,0],"null_share":[0,0],"score":[0,0],"error":[0,0]}';
for my $case ([ 'half', 'SELECT * FROM shuffled WHERE r >= 0.5', 'income', 'rows not trained on', $zero ],
	[ 'price', 'SELECT * FROM training', 'price_up', 'training rows', '{}' ])
{
	my ($model, $from, $actual, $name, $thresholds) = @$case;
	my $runs = sql(qq{SELECT setseed(0.5); DO \$\$
		DECLARE size int; run int; actual text;
		BEGIN
			CREATE TABLE alarms (size int, run int, alarms int);
			FOREACH size IN ARRAY ARRAY[20, 60, 200, 1000] LOOP
				FOR run IN 1 .. 50 LOOP
					EXECUTE format('CREATE TEMP TABLE batch AS SELECT * FROM ($from) s ORDER BY random() LIMIT %s', size);
					actual := CASE WHEN run % 2 = 0 THEN '$actual' END;
					INSERT INTO alarms SELECT size, run, count(*) FROM ml_monitor('$model', 'batch', actual => actual,
						thresholds => '$thresholds', record => false) WHERE verdict IN ('warn', 'alert');
					DROP TABLE batch;
				END LOOP;
			END LOOP;
		END \$\$;
		SELECT count(*) FILTER (WHERE alarms > 0) FROM alarms; DROP TABLE alarms;});
	$runs =~ s/\s//g;
	cmp_ok($runs, '<=', 2, "$name: at most 1 % of 200 runs have a false alarm");
}

# ---- real drift ----

is(sql(q{SELECT string_agg(verdict, ' ' ORDER BY w) FROM generate_series(0, 3) w,
	LATERAL (SELECT max(verdict) FILTER (WHERE verdict <> 'ok') AS verdict FROM ml_monitor('price',
		format('SELECT * FROM electricity WHERE row_id BETWEEN %s AND %s', 17425 + 4000 * w, 21424 + 4000 * w),
		record => false) WHERE feature = 'nswprice' AND measure = 'psi') m}), 'alert alert alert alert',
	'prices of the second year are no longer those of the first');
is(sql(q{SELECT verdict FROM ml_monitor('price', 'SELECT * FROM electricity WHERE row_id BETWEEN 17425 AND 21424',
	actual => 'price_up', record => false) WHERE measure = 'log_loss'}), 'alert', 'and the model is worse there');
sql(q{SELECT ml_monitor('income', 'SELECT NULL::text AS workclass, ''x'' || education AS education, 200 AS age, a.fnlwgt,
	a.education_num, a.marital_status, a.occupation, a.relationship, a.race, a.sex, a.capital_gain, a.capital_loss,
	a.hours_per_week, a.native_country FROM adult_new a')});
is(sql(q{SELECT feature, measure, value FROM ml.monitoring WHERE model = 'income' AND verdict = 'alert'
	AND measure IN ('null_share', 'new_categories', 'out_of_range') AND subject = 'feature' ORDER BY 1, 2}),
	"age|out_of_range|1\neducation|new_categories|1\nworkclass|null_share|1",
	'NULLs, new categories and values out of range are found and kept');

# ---- a gate for loads ----

sql('CREATE TABLE store (LIKE electricity)');
fails(q{BEGIN; INSERT INTO store SELECT * FROM electricity WHERE row_id BETWEEN 17425 AND 21424;
	SELECT ml_monitor('price', 'store', on_alert => 'error'); COMMIT;},
	qr/ERROR:  ML001: monitoring of model "price" found \d+ alerts in 4000 rows.*feature "nswprice": psi is 1.102, threshold 0.25/s,
	'an alert is an error of its own');
is(sql('SELECT count(*) FROM store'), '0', 'that undoes the load');
is(sql(q{SELECT count(*) FROM ml.monitoring WHERE model = 'price'}), '0', 'and leaves no row');
sql(q{BEGIN; INSERT INTO store SELECT * FROM training ORDER BY row_id % 97 LIMIT 1000;
	SELECT ml_monitor('price', 'store', on_alert => 'error'); COMMIT;});
is(sql('SELECT count(*) FROM store'), '1000', 'rows like those of the training stay');

# ---- segments ----

is(sql(q{SELECT segment, n, verdict FROM ml_monitor('price', 'SELECT *, CASE WHEN row_id % 4000 < 20 THEN ''few''
	WHEN row_id % 3 > 0 THEN (row_id % 3)::text END AS part FROM training ORDER BY row_id LIMIT 8000', segment => 'part', record => false)
	WHERE measure = 'rows' ORDER BY 1}), "1|2653|ok\n2|2653|ok\nfew|40|\n|8000|ok",
	'each segment has its rows, too few of them no verdict');
fails(q{SELECT ml_monitor('price', 'training', segment => 'row_id')},
	qr/ERROR:  54000: column "row_id" has more than 100 segments/, 'too many segments are an error');
is(sql(q{WITH a AS (SELECT * FROM ml_monitor('price', 'SELECT *, row_id % 2 AS part FROM training', segment => 'part', record => false)),
	b AS (SELECT * FROM ml_monitor('price', 'training', record => false))
	SELECT count(*) FROM a JOIN b USING (subject, measure) WHERE a.segment IS NULL AND a.feature IS NOT DISTINCT FROM b.feature
	AND abs(a.value - b.value) > 1e-9}), '0', 'and the whole is the same as without');

# ---- arguments ----

fails(q{SELECT ml_monitor('price', 'training', on_alert => 'shout')}, qr/22023: unrecognized value "shout"/, 'on_alert');
fails(q{SELECT ml_monitor('price', 'training', thresholds => '{"psy": [1, 2]}')}, qr/22023: thresholds have no "psy"/, 'a name');
fails(q{SELECT ml_monitor('price', 'training', thresholds => '{"psi": [2, 1]}')}, qr/22023: invalid value for "psi"/, 'an order');
fails(q{SELECT ml_monitor('price', 'training', thresholds => '[1]')}, qr/22023: argument "thresholds" must be a JSON object/, 'an array');
fails(q{SELECT ml_monitor('price', 'training', actual => 'x"; DROP TABLE training; --')}, qr/42703/, 'a column that is none');
fails(q{SELECT ml_monitor('price', 'DELETE FROM training')}, qr/0A000|42602/, 'a source only reads');
fails(q{SELECT ml_monitor('price', 'SELECT period FROM training')}, qr/42703/, 'a feature is missing');
is(sql(q{SELECT verdict FROM ml_monitor('price', 'SELECT * FROM training WHERE false', record => false)}), 'alert', 'an empty batch');
is(sql(q{SELECT measure, value FROM ml_monitor('price', 'SELECT ''NaN''::float8 AS period, ''Infinity''::float8 AS nswprice,
	0.4::float8 AS nswdemand FROM training LIMIT 300', record => false) WHERE verdict = 'alert'
	AND (feature = 'period' OR measure IN ('out_of_range', 'not_predicted')) ORDER BY measure COLLATE "C"}),
	"not_predicted|1\nnull_share|1\nout_of_range|1", 'NaN counts as missing, infinity as out of range, and neither is an error');
sql(q{SELECT ml_train('flower', 'iris', 'species', algorithm => 'logistic')});
is(sql(q{SELECT subject || coalesce(' ' || feature, ''), measure FROM ml_monitor('flower', 'iris', record => false)
	WHERE subject <> 'feature' AND verdict = 'ok' AND (feature = 'class' OR subject = 'performance') ORDER BY 1, 2}),
	"performance|estimated_accuracy\nprediction class|chi_square\nprediction class|jensen_shannon\nprediction class|psi",
	'of three classes');

# ---- who may ----

sql(q{CREATE ROLE viewer; CREATE ROLE user_only; CREATE ROLE nobody;
	SELECT ml_grant('price', 'viewer', 'view'); SELECT ml_grant('price', 'user_only', 'predict');
	GRANT SELECT ON training, electricity TO viewer, user_only, nobody});
is(sql(q{SET ROLE viewer; SELECT count(*) > 10 FROM ml_monitor('price', 'training');
	SELECT count(DISTINCT model) || ' ' || (min(role) = session_user) FROM ml.monitoring}), "t\n1 true", 'who may view monitors and sees what was found');
is(sql(q{SELECT DISTINCT role FROM ml.monitoring WHERE run_id = (SELECT max(run_id) FROM ml.monitoring)}), 'viewer',
	'each run says who asked for it');
fails(q{SET ROLE user_only; SELECT ml_monitor('price', 'training')}, qr/42501: permission denied for model "price"/, 'who may predict does not');
fails(q{SET ROLE nobody; SELECT ml_monitor('price', 'training')}, qr/42704: model "price" does not exist/, 'for others there is none');
is(sql(q{SET ROLE user_only; SELECT count(*) FROM ml.monitoring}), '0', 'nor any row');
fails(q{SET ROLE viewer; SELECT * FROM ml.monitoring_row}, qr/42501/, 'the table is nobody\'s');
fails(q{SET ROLE viewer; SELECT ml_monitor('price', 'store')}, qr/42501: permission denied for table store/, 'the source is read with the caller\'s rights');
fails(q{BEGIN READ ONLY; SELECT ml_monitor('price', 'training')}, qr/25006/, 'a read-only transaction keeps nothing');
is(sql(q{BEGIN READ ONLY; SELECT count(*) > 10 FROM ml_monitor('price', 'training', record => false)}), 't', 'but can look');

# ---- the log of predictions ----

my $ask = q{SELECT count(ml_predict_logged('price', t)) FROM (SELECT * FROM training LIMIT 2000) t};
is(sql("$ask; SELECT count(*) FROM ml.prediction_log"), "2000\n0", 'nothing is logged unless asked for');
sql(q{SELECT ml_log_predictions('price', 0.25, '1 day')});
my $logged = sql("SET ROLE user_only; $ask; RESET ROLE; SELECT count(*) FROM ml.prediction_log WHERE role = 'user_only'");
ok($logged =~ /^2000\n(\d+)$/ && $1 > 400 && $1 < 600, "a share of the predictions is logged") or diag($logged);
is(sql(q{SELECT count(*) FROM ml.prediction_log l WHERE prediction <> ml_predict('price', l.features)}), '0',
	'with what is needed to predict again');
is(sql(q{SET ROLE viewer; SELECT count(*) FROM ml.prediction_log}), '0', 'viewers of the model do not see them');
is(sql(q{BEGIN; SELECT ml_log_predictions('price', 1); ROLLBACK; DELETE FROM ml.prediction_log_row;
	SELECT count(*) < 1000 FROM (SELECT ml_predict_logged('price', t) FROM (SELECT * FROM training LIMIT 2000) t) s}) =~ /f$/ ? 1 : 0, 1,
	'a switch that is rolled back');
ok(sql('SELECT count(*) FROM ml.prediction_log') < 1000, 'never was');
fails(q{SET ROLE viewer; SELECT ml_log_predictions('price', 1)}, qr/42501/, 'only who may manage switches it');
fails(q{SELECT ml_log_predictions('price', 2)}, qr/22023/, 'a share');
sql(q{UPDATE ml.prediction_log_row SET at = at - interval '2 days'});
is(sql(q{SELECT ml_log_predictions('price', 1, '1 day') > 0; SELECT count(*) FROM ml.prediction_log;
	SELECT count(ml_predict_logged('price', t)) FROM (SELECT * FROM training LIMIT 10) t;
	UPDATE ml.prediction_log_row SET at = at - interval '2 days'}), "t\n0\n10", 'old ones go');
is(sql(q{SELECT ml_predict_logged('price', t) IS NULL FROM training t LIMIT 1; SELECT count(*) FROM ml.prediction_log}), "f\n1",
	'while it is on, too');
fails(q{BEGIN READ ONLY; SELECT ml_predict_logged('price', t) FROM training t LIMIT 5}, qr/25006/, 'a log needs to write');
is(sql(q{SELECT ml_log_predictions('price', 0, '0'); SELECT count(*) FROM ml.prediction_log}), "1\n0", 'off, and empty');
is(sql(q{SELECT string_agg(action, ' ' ORDER BY audit_id) FROM ml.audit WHERE action LIKE 'log%'}), 'log_on log_on log_off',
	'the audit knows');

sql(q{SELECT ml_drop('price')});
is(sql(q{SELECT count(*) FROM ml.monitoring_row r WHERE NOT EXISTS (SELECT FROM ml.model m WHERE m.model_id = r.model_id)}), '0',
	'what was found goes with the model');
$node->stop;
done_testing();
