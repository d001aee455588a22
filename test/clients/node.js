// The job with node and pg.  The connection is that of PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD.
const { Client } = require('pg');
const print = (...fields) => console.log(fields.join('\t'));

async function cancelWhenItRuns(pid) {
	const other = new Client();
	await other.connect();
	for (;;) {
		await new Promise((done) => setTimeout(done, 100));
		const { rows } = await other.query('SELECT pg_cancel_backend(pid) FROM ml.progress WHERE pid = $1', [pid]);
		if (rows.length > 0) break;
	}
	await other.end();
}

async function main() {
	const client = new Client();
	await client.connect();

	let { rows } = await client.query(
		"SELECT version, algorithm, rows_used FROM ml_train($1, $2, target => $3, algorithm => 'ridge', params => $4, exclude => $5)",
		['stone', 'stones', 'price', { l2: 1 }, ['id']]);
	print('train', rows[0].version, rows[0].algorithm, rows[0].rows_used);	// bigint comes as a string

	// A statement with a name is prepared once.
	for (const carat of [0.9, 1, 1.05, 1.1, 1.15, 1.2, 1.25]) {
		({ rows } = await client.query({
			name: 'score',
			text: 'SELECT id, ml_predict($1, s) AS predicted FROM stones s WHERE carat >= $2 ORDER BY id',
			values: ['stone', carat],
		}));
		for (const row of rows) print('score', carat, row.id, row.predicted);
	}
	({ rows } = await client.query('SELECT price_of($1, $2, $3) AS predicted', [0.1 + 0.2, 61.5, null]));
	print('new', rows[0].predicted);

	({ rows } = await client.query(
		'SELECT id, cut, price, prediction, price < prediction AS bargain FROM priced_stones ORDER BY id LIMIT 3'));
	print('types', ...Object.values(rows[0]).map((value) => typeof value));
	for (const row of rows) print('view', ...Object.values(row));

	({ rows } = await client.query('SELECT ml_metrics(price, prediction) AS metrics FROM priced_stones'));
	print('metrics', JSON.stringify(rows[0].metrics));		// an object

	try {
		await client.query('SELECT ml_predict($1, s) FROM stones s', ['missing']);
	} catch (error) {
		print('error', error.code, error.message);
	}

	const cancel = cancelWhenItRuns(client.processID);
	try {
		await client.query(
			"SELECT version FROM ml_train('stone', $1, target => 'y', algorithm => 'linear')",
			['SELECT sin(i) AS x, i AS y FROM (SELECT generate_series(1, 1000000000) AS i) s']);
	} catch (error) {
		print('cancel', error.code, error.message);
	}
	await cancel;
	await client.end();
}

main();
