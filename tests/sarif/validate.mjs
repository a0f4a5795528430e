// Holds a SARIF log against the OASIS schema.
// usage: node validate.mjs MODULES LOG.sarif...
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const [modules, ...logs] = process.argv.slice(2);
const require = createRequire(path.join(modules, 'x.js'));
const Ajv = require('ajv-draft-04');
const addFormats = require('ajv-formats');
const schema = JSON.parse(readFileSync(
  path.join(modules, 'node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json')));
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: true, unicodeRegExp: false });
addFormats(ajv);
const valid = ajv.compile(schema);
let failed = 0;
for (const log of logs) {
  const text = JSON.parse(readFileSync(log));
  if (!valid(text)) {
    failed += 1;
    console.log(`FAILED: ${log}: ${ajv.errorsText(valid.errors)}`);
  }
  // The schema would take a result that no scanner can show.
  const placeless = text.runs[0].results.filter((result) => !result.locations?.[0]?.physicalLocation?.region?.startLine);
  if (placeless.length > 0) {
    failed += 1;
    console.log(`FAILED: ${log}: ${placeless.length} results without a place`);
  }
}
// A schema that takes everything would prove nothing.
if (logs.length === 0 || valid({ version: '2.1.0', runs: [{ results: [] }] })) {
  failed += 1;
  console.log('FAILED: the schema takes a log without a tool');
}
console.log(`${Math.max(0, logs.length + 1 - failed)} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
