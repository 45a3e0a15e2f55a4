// Lint, layers, types, what is published, then every test; the last line is `N passed, N failed`.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

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
let { status, results } = attempt(process.argv.slice(2))
const files = new Map(results.map((file) => [file.name, file]))
const red = [...files.values()].filter(({ status }) => status === 'failed')
// On a busy machine something real may be too slow once, also in what a whole file prepares: a few files may try again, alone.
if (process.env.CI && red.length > 0 && red.length <= 5) {
  console.log(`\n${red.length} of ${files.size} test files failed: they are tried once more, one at a time`)
  ;({ status, results } = attempt([...red.map(({ name }) => name), '--no-file-parallelism']))
  for (const file of results) files.set(file.name, file)
  for (const { name, assertionResults } of red.filter(({ name }) => files.get(name).status !== 'failed'))
    for (const test of assertionResults.filter(({ status }) => status !== 'passed'))
      console.log(`passed at the second attempt only: ${relative('.', name)}: ${test.fullName}`)
}
const all = [...files.values()]
const count = (...states) =>
  all.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => states.includes(status)).length
const passed = count('passed')
const skipped = count('pending', 'skipped', 'todo')
// A file that could not be loaded or prepared counts as one failure.
const unmade = all.filter(
  ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
)
// Vitest may have failed otherwise: it could not start, or an error came from outside of all tests.
const failed = (count('failed') + unmade.length || Number(status !== 0)) + broken.length
if (broken.length > 0) console.log(`npm run ${broken.join(', npm run ')}: failed`)
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed > 0 ? 1 : 0)

/** Runs Vitest; its exit code, and what it reports by file. */
function attempt(words) {
  const report = join(mkdtempSync(join(tmpdir(), 'gangflow-test-')), 'report.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const status = step('npx', ['vitest', 'run', ...reporters, ...words])
  try {
    return { status, results: JSON.parse(readFileSync(report, 'utf8')).testResults }
  } catch {
    return { status: status || 1, results: [] }
  }
}
