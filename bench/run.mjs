// `npm run bench [-- ROW …] [--rounds N] [--json FILE]`: gangflow beside bare Node and Metaflow's local runtime, in one run,
// interleaved; prints medians and ratios. Rows: help single chain foreach gang.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { interleave } from './lib/measure.mjs'
import { metaflowEnv, metaflowPython } from './lib/metaflow.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})
const here = new URL('.', import.meta.url).pathname
const node = process.execPath
const cli = new URL('../packages/core/dist/cli.js', import.meta.url).pathname
const store = mkdtempSync(join(tmpdir(), 'gangflow-bench-'))
const wanted = new Set(positionals.length > 0 ? positionals : ['help', 'single', 'chain', 'foreach', 'gang'])
const python = [...wanted].some((row) => row !== 'help') ? metaflowPython() : undefined

const flow = (name, file, extra = {}) => ({
  name,
  argv: [node, cli, 'run', join(here, 'flows', file), '--datastore', store, '--max-workers', '2'],
  ...extra,
})
const peer = (name, file, extra = {}) =>
  python === undefined
    ? []
    : [
        {
          name,
          argv: [python, join(here, 'metaflow', file), 'run', '--max-workers', '2', '--max-num-splits', '200'],
          cwd: store,
          env: metaflowEnv,
          ...extra,
        },
      ]

const rows = {
  help: {
    title: 'gangflow --help',
    base: 'node -e 0',
    of: [
      { name: 'node -e 0', argv: [node, '-e', '0'] },
      { name: 'gangflow --help', argv: [node, cli, '--help'] },
    ],
    rounds: 21,
  },
  single: {
    title: 'run of the least flow (start, end)',
    base: 'metaflow',
    of: [flow('gangflow', 'single.ts'), ...peer('metaflow', 'single.py')],
  },
  chain: {
    title: 'five empty steps in a row, a task',
    base: 'metaflow',
    of: [flow('gangflow', 'chain.ts', { per: 5 }), ...peer('metaflow', 'chain.py', { per: 5 })],
  },
  foreach: {
    title: 'foreach of 200 empty tasks, an item',
    base: 'metaflow',
    of: [
      flow('gangflow', 'foreach-fresh.ts', { per: 200 }),
      flow('gangflow, reuse', 'foreach-reuse.ts', { per: 200 }),
      ...peer('metaflow', 'foreach.py', { per: 200, rounds: 1 }),
    ],
    rounds: 3,
  },
  gang: {
    title: 'gang of four, empty body, the whole run',
    base: 'eight bare nodes',
    of: [
      { name: 'eight bare nodes', together: Array.from({ length: 8 }, () => [node, '-e', '0']) },
      flow('gangflow without', 'three.ts'),
      flow('gangflow', 'gang.ts'),
      ...peer('metaflow', 'gang.py', { rounds: 3 }),
    ],
  },
}

const results = {}
try {
  console.log(`${cpus().length} CPUs, Node ${process.version}, medians of whole processes in milliseconds`)
  for (const name of wanted) {
    const row = rows[name]
    if (row === undefined) throw new Error(`no row '${name}': there are ${Object.keys(rows).join(', ')}`)
    const say = values.verbose ? console.error : () => {}
    const measured = await interleave(row.of, { rounds: row.rounds ?? Number(values.rounds), say })
    const base = measured.find((each) => each.name === row.base)?.median
    results[name] = { base: row.base, measured }
    const of = (who) => measured.find((each) => each.name === who)?.median
    const gang = name === 'gang' ? of('gangflow') - of('gangflow without') : undefined
    console.log(`\n${row.title}`)
    for (const { name: who, median, times } of measured) {
      const ratio = base === undefined ? '' : `  ${(median / base).toFixed(3)} of ${row.base}`
      console.log(
        `  ${who.padEnd(18)} ${median.toFixed(1).padStart(9)} ms${ratio}  (${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)})`,
      )
    }
    if (gang !== undefined) {
      console.log(
        `  the gang alone (the run less the same steps without it): ${gang.toFixed(1)} ms, ${(gang / base).toFixed(2)} of ${row.base}`,
      )
    }
  }
  if (values.json) writeFileSync(values.json, JSON.stringify(results, null, 2))
} finally {
  rmSync(store, { recursive: true, force: true })
}
