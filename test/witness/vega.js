#!/usr/bin/env node
// Are charts valid by the JSON schema of the Vega-Lite that is shipped?  Reads specifications, one a line:
//
//   cd somewhere && npm install ajv@8 ajv-formats@2 vega-lite@5.23.0
//   ML_TEST_SPECIFICATIONS=/somewhere/specifications test/run 053_report
//   NODE_PATH=/somewhere/node_modules node test/witness/vega.js /somewhere/specifications
const fs = require('fs');
const path = require('path');
const Ajv = require('ajv');
const formats = require('ajv-formats');

const package = path.dirname(require.resolve('vega-lite/package.json'));
const same = (name) => fs.readFileSync(path.join(package, 'build', name)).equals(fs.readFileSync(path.join(__dirname, '../../share/vega', name)));
if (!same('vega-lite.min.js')) throw new Error(package + ' is not the version that is shipped');
const ajv = new Ajv({strict: false, allErrors: true});
formats(ajv);
ajv.addFormat('color-hex', () => true);
const valid = ajv.compile(JSON.parse(fs.readFileSync(path.join(package, 'build/vega-lite-schema.json'))));
const lines = fs.readFileSync(process.argv[2], 'utf8').split('\n').filter((line) => line);
let bad = 0;
for (const line of lines) {
	const spec = JSON.parse(line);
	if (valid(spec)) continue;
	bad++;
	// a union fails in all its branches: those that came furthest say most
	const deepest = Math.max(...valid.errors.map((e) => e.instancePath.split('/').length));
	console.log(spec.description, valid.errors.filter((e) => e.instancePath.split('/').length === deepest).slice(0, 5)
		.map((e) => e.instancePath + ' ' + e.message + ' ' + JSON.stringify(e.params)));
}
console.log(`${lines.length} specifications, ${bad} not valid`);
process.exit(bad > 0 || lines.length === 0 ? 1 : 0);
