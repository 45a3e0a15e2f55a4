// Lint, layers, types, what is published, then every test; the last line is `N passed, N failed`.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

process.chdir(new URL('..', import.meta.url).pathname)
const step = (command, args) => {
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  return status ?? 1
}
// Mostly waits for the network. Where only some tests are asked for, those make what they need.
const making =
  process.argv.length > 2
    ? undefined
    : spawn(process.execPath, ['scripts/environments.mjs'], { stdio: 'inherit', timeout: 1_800_000 })
const made = making && once(making, 'exit')
/** Each of these that fails counts as one failed test. */
const broken = ['lint', 'types', 'exports'].filter((script) => step('npm', ['run', '-s', script]) !== 0)
await made
const report = join(mkdtempSync(join(tmpdir(), 'gangflow-test-')), 'report.json')
const status = step('npx', [
  'vitest',
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
])
let passed = 0
let failed = 0
let skipped = 0
try {
  const result = JSON.parse(readFileSync(report, 'utf8'))
  passed = result.numPassedTests
  failed = result.numFailedTests
  skipped = result.numPendingTests + (result.numTodoTests ?? 0)
  // A file that could not even be loaded counts as one failure.
  failed += result.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length
} catch {
  failed = 1
}
if (status !== 0 && failed === 0) failed = 1
failed += broken.length
if (broken.length > 0) console.log(`npm run ${broken.join(', npm run ')}: failed`)
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed > 0 || status !== 0 ? 1 : 0)
