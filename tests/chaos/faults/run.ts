// `npm run faults [-- ID … | --pairs N [--seed S] [--from K]]`: does every fault in every phase, and writes the table of
// what came of it; or N pairs of a seed, from its K-th (default: 0).
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { faults } from './faults.js'
import type { Outcome } from './perform.js'
import { rowsOf, withTable } from './table.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { pairs: { type: 'string' }, seed: { type: 'string' }, from: { type: 'string' } },
})
const folder = mkdtempSync(join(tmpdir(), 'gangflow-faults-'))
const record = join(folder, 'outcomes.jsonl')
const pairsOnly = values.pairs !== undefined && positionals.length === 0
const { status } = spawnSync('npx', ['vitest', 'run', 'tests/chaos/faults'], {
  stdio: 'inherit',
  env: {
    ...process.env,
    FAULTS: pairsOnly ? 'none' : positionals.join(',') || 'all',
    FAULTS_RECORD: record,
    FAULT_PAIRS: values.pairs ?? '0',
    FAULT_SEED: values.seed ?? '1',
    FAULT_FROM: values.from ?? '0',
  },
})
if (existsSync(record)) {
  const lines = readFileSync(record, 'utf8').trim().split('\n')
  const outcomes = lines.map((line) => JSON.parse(line) as Outcome)
  for (const { fault, place, phase, exit, endedMs, summary } of outcomes)
    console.log(
      `${fault}/${place}/${phase}: exit ${exit}${endedMs === undefined ? '' : `, ${Math.round(endedMs)} ms`}; ${summary ?? ''}`,
    )
  // Of a part of them no table is made.
  if (positionals.length === 0) {
    const path = new URL('../../../docs/reference/faults.md', import.meta.url)
    writeFileSync(path, withTable(readFileSync(path, 'utf8'), rowsOf(faults, outcomes)))
  }
}
rmSync(folder, { recursive: true })
process.exitCode = status ?? 1
