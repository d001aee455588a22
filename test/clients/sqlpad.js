// Called by test/clients/sqlpad: node sqlpad.js URL EXPECTED CHART.  Has SQLPad at the URL connect to the server of PGHOST
// and so on, look at the tables and query the view; compares with what psql printed; writes the chart's address.
const fs = require('fs');
const [url, expectedFile, chartFile] = process.argv.slice(2);
const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
let cookie = '';

async function call(path, body) {
	const response = await fetch(url + path, {
		method: body ? 'POST' : 'GET',
		headers: { 'Content-Type': 'application/json', Accept: 'application/json', Cookie: cookie },
		body: body && JSON.stringify(body),
		redirect: 'manual',
	});
	cookie = (response.headers.get('set-cookie') || cookie).split(';')[0];
	const answer = JSON.parse(await response.text());
	if (answer.error) throw new Error(`${path}: ${JSON.stringify(answer)}`);
	return answer;
}

function check(good, what) {
	console.log(`${good ? 'ok' : 'not ok'}: ${what}`);
	if (!good) process.exitCode = 1;
}

async function main() {
	for (let i = 0; ; i++) {
		try {
			await fetch(url);
			break;
		} catch (error) {
			if (i === 300) throw error;
			await new Promise((done) => setTimeout(done, 200));
		}
	}
	const user = { email: 'reader@example.org', password: PGPASSWORD, passwordConfirmation: PGPASSWORD };
	await call('/api/signup', user);
	const { connection } = await call('/api/connections', {
		name: 'work', driver: 'postgres', host: PGHOST, port: PGPORT, database: PGDATABASE, username: PGUSER, password: PGPASSWORD,
	});

	const { schemaInfo } = await call(`/api/schema-info/${connection._id}`);
	// SQLPad calls a float8 a point and a line, too: types whose elements are float8.
	const columns = schemaInfo.public.priced_stones.map((c) => `${c.column_name} ${c.data_type}`).filter((c) => !/ (point|line)$/.test(c));
	const wanted = ['id int4', 'carat float8', 'depth float8', 'cut text', 'price numeric', 'prediction float8'];
	check(columns.join() === wanted.join(), `it lists the view's columns: ${columns.join(', ')}`);

	const queryText = 'SELECT id, cut, price, prediction FROM priced_stones ORDER BY id';
	const { queryResult } = await call('/api/query-result', { connectionId: connection._id, cacheKey: 'view', queryName: 'view', queryText });
	const expected = fs.readFileSync(expectedFile, 'utf8').trim().split('\n').map((line) => line.split('\t'));
	const different = expected.filter(([id, cut, price, prediction], i) => {
		const row = queryResult.rows[i];
		return !(row.id === Number(id) && row.cut === cut && row.price === price && Object.is(row.prediction, Number(prediction)));
	});
	check(queryResult.rows.length === expected.length && different.length === 0, `${expected.length} predictions are psql's to the last bit`);
	console.log(`type of prediction: ${queryResult.meta.prediction.datatype}, from ${queryResult.meta.prediction.min} to ${queryResult.meta.prediction.max}`);

	const { query } = await call('/api/queries', {
		name: 'Predicted and real prices', connectionId: connection._id,
		queryText: "SELECT price::float8 AS price, prediction, cut FROM priced_stones WHERE id % 4 = 0",
		chartConfiguration: { chartType: 'bubble', fields: { x: 'prediction', y: 'price', color: 'cut' } },
	});
	fs.writeFileSync(chartFile, `${url}/query-chart/${query._id}`);
}

main().catch((error) => {
	console.log(`not ok: ${error.stack}`);
	process.exit(1);
});
