// Runs the suite against a base URL, writes its results, and prints the required tests that fail. Fails if more do than
// docs/cache.md lists.
import fs from 'node:fs'
import { getResults, runTests } from './test-engine/client/runner.mjs'
import suites from './tests/index.mjs'

const [base, file] = process.argv.slice(2)
await runTests(suites, false, base)
const results = getResults()
fs.writeFileSync(file, JSON.stringify(results, null, 2) + '\n')
const kinds = new Map(suites.flatMap(suite => suite.tests.map(test => [test.id, test.kind ?? 'required'])))
const count = {}
for (const [id, result] of Object.entries(results)) {
  const kind = kinds.get(id)
  count[kind] ??= { passed: 0, all: 0 }
  count[kind].all += 1
  if (result === true) count[kind].passed += 1
  else if (kind === 'required') console.log(id, ...result)
}
console.log(count)
if (count.required.passed < 152) process.exit(1)
