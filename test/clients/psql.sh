#!/bin/bash
# The job in psql.  The connection is that of PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD.
set -eu
export PGOPTIONS="-c client_min_messages=error"

psql -X -q -A -t -F $'\t' <<'SQL'
SELECT 'train', version, algorithm, rows_used
	FROM ml_train('stone', 'stones', target => 'price', algorithm => 'ridge', params => '{"l2": 1}', exclude => '{id}');

PREPARE score(text, float8) AS
	SELECT 'score', $2, id, ml_predict($1, s) FROM stones s WHERE carat >= $2 ORDER BY id;
EXECUTE score('stone', 0.9);
EXECUTE score('stone', 1);
EXECUTE score('stone', 1.05);
EXECUTE score('stone', 1.1);
EXECUTE score('stone', 1.15);
EXECUTE score('stone', 1.2);
EXECUTE score('stone', 1.25);

PREPARE price(float8, float8, text) AS SELECT 'new', price_of($1, $2, $3);
EXECUTE price(0.1::float8 + 0.2::float8, 61.5, NULL);

SELECT 'view', id, cut, price, prediction, price < prediction FROM priced_stones ORDER BY id LIMIT 3;
SELECT 'metrics', ml_metrics(price, prediction) FROM priced_stones;

SELECT ml_predict('missing', s) FROM stones s;
SELECT 'error', :'LAST_ERROR_SQLSTATE', :'LAST_ERROR_MESSAGE';
SQL

# Control-C is SIGINT: psql cancels its statement, and with -c ends.
psql -X -v VERBOSITY=verbose -c "SELECT version FROM ml_train('stone', 'SELECT sin(i) AS x, i AS y
	FROM (SELECT generate_series(1, 1000000000) AS i) s', target => 'y', algorithm => 'linear')" \
	2> >(sed -n 's/^ERROR:  \(.....\): /cancel\t\1\t/p') &
until [ "$(psql -X -A -t -c 'SELECT count(*) FROM ml.progress')" = 1 ]; do sleep 0.1; done
kill -INT $!
wait $! || true
