// `npm run bench [-- ROW …] [--rounds N] [--json FILE]`: gangflow beside bare Node and Metaflow's local runtime, in one run,
// interleaved; prints medians and ratios. And `-- torch`: current.torch.run beside torchrun typed by hand.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchCollectives } from './collectives/run.mjs'
import * as dask from './engines/dask.mjs'
import * as deepspeed from './engines/deepspeed.mjs'
import { engineNodes } from './engines/run.mjs'
import { benchKernels } from './kernels/run.mjs'
import { hasCertificates, interleave, ratioOf } from './lib/measure.mjs'
import { metaflowEnv, metaflowPython } from './lib/metaflow.mjs'
import { mpiContestants, mpiFolders } from './lib/mpi.mjs'
import { relayContestants } from './lib/relay.mjs'
import { benchRendezvous } from './lib/rendezvous.mjs'
import { benchHosts, copyContestants, shellContestants, sshContestants } from './lib/ssh.mjs'
import { byHand, figures, torchContestants } from './lib/torch.mjs'
import { benchPool } from './pool/run.mjs'
import { benchRay } from './ray/run.mjs'
import { benchScaling } from './scaling/run.mjs'
import { benchSlurm } from './slurm/run.mjs'

const usage = `npm run bench [-- ROW …] [--rounds N] [--json FILE] [--verbose]

Rows: help single chain foreach gang (these five where none is named), relay (1 GB: needs 6 GB in TMPDIR), ssh, shell, copy (four test hosts: root; copy needs 6 GB of memory), torch (needs a Python with torch),
      dask [NODES] (scheduler and workers until all are there, their end, and the end of a run that lost a worker, beside \`dask\` typed by hand),
      deepspeed [NODES] (ranks until their first line and until they have met, and the end of a run that lost one, by both launchers,
                         beside \`deepspeed\` typed by hand; these and dask: 4 nodes, all on this machine, two minutes a round),
      mpi mpich (current.mpi beside mpirun typed by hand over OpenSSH on four test hosts: root, 6 GB of memory; GANGFLOW_BENCH_MB for less),
      rendezvous [SIZE …] (10 to 2,000 members of few processes; GANGFLOW_PYTHON with torch: beside its TCPStore),
      kernels [PART OF A NAME …] (TensorFlow.js on wasm with the plugin's kernels, beside tfjs-node and cpu; a minute),
      pool [TASK …] (parallelMap beside other pools, twenty quiet minutes; installs them into bench/ at first use),
      scaling [wasm] [tfjs-node] (a convolutional network by two workers of each strategy, beside two independent processes; a minute),
      ray [NODES] [stop] (a Ray cluster beside \`ray start\` by hand and metaflow-ray; 4 nodes, two to four minutes a round; stop: a raylet is stopped, not killed),
      slurm [latency] [foreach] [ITEMS] (jobs beside sbatch, srun and submitit on four test nodes: root; 500 items),
      collectives [RANKS …] (all-reduce beside gloo and Open MPI, 2 and 4 ranks; needs a Python with torch, 5 GB of memory).
  --rounds N   measured rounds after one to warm up; default 5, or the row's own
  --peers A,B  of the row pool: only these beside gangflow (piscina, 'py multiprocessing', …)
  --json FILE  writes every time, in milliseconds
  --verbose    says each run as it ends (torch does so in any case: a round takes a minute)`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    rounds: { type: 'string' },
    json: { type: 'string' },
    peers: { type: 'string' },
    certificates: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(usage)
  process.exit()
}
if (values.rounds !== undefined && !(Number(values.rounds) >= 1))
  throw new Error(`--rounds ${values.rounds}: give 1 or more`)
if (positionals[0] === 'pool') {
  const rounds = values.rounds && Number(values.rounds)
  console.log(`${cpus().length} CPUs, Node ${process.version}; medians, and medians of each round's ratios`)
  const measured = await benchPool(positionals.slice(1), {
    rounds,
    peers: values.peers?.split(','),
    say: values.verbose ? console.error : () => {},
  })
  if (values.json) writeFileSync(values.json, JSON.stringify(measured, null, 2))
  process.exit()
}
if (positionals[0] === 'kernels') {
  console.log(`${cpus().length} CPUs, Node ${process.version}; medians, and medians of each round's ratios`)
  const rounds = values.rounds && { rounds: Number(values.rounds) }
  const measured = await benchKernels(positionals.slice(1), {
    ...rounds,
    say: values.verbose ? console.error : () => {},
  })
  if (values.json) writeFileSync(values.json, JSON.stringify(measured, null, 2))
  process.exit()
}
if (positionals[0] === 'rendezvous') {
  console.log(`${cpus().length} CPUs, Node ${process.version}; all members on this machine`)
  const sizes = positionals.slice(1).map(Number)
  if (sizes.some((size) => !(size >= 2))) throw new Error('rendezvous takes numbers of members, from 2')
  const python = process.env.GANGFLOW_PYTHON
  const measured = await benchRendezvous({ ...(sizes.length > 0 ? { sizes } : {}), python })
  if (values.json) writeFileSync(values.json, JSON.stringify(measured, null, 2))
  process.exit()
}
if (positionals[0] === 'ray') {
  console.log(`${cpus().length} CPUs, Node ${process.version}; medians, and medians of each round's ratios`)
  const rounds = values.rounds && { rounds: Number(values.rounds) }
  const measured = await benchRay(positionals.slice(1), { ...rounds, say: values.verbose ? console.error : () => {} })
  if (values.json) writeFileSync(values.json, JSON.stringify(measured, null, 2))
  process.exit()
}
if (positionals[0] === 'slurm') {
  console.log(`${cpus().length} CPUs, Node ${process.version}; medians`)
  const measured = await benchSlurm(positionals.slice(1), {
    ...(values.rounds && { rounds: Number(values.rounds) }),
    say: values.verbose ? console.error : () => {},
  })
  if (values.json) writeFileSync(values.json, JSON.stringify(measured, null, 2))
  process.exit()
}
if (positionals[0] === 'collectives') {
  console.log(`${cpus().length} CPUs, Node ${process.version}; medians, and medians of each round's ratios to gloo`)
  const ranks = positionals.slice(1).map(Number)
  if (ranks.some((count) => !(count >= 2))) throw new Error('collectives takes numbers of ranks, from 2')
  const rounds = values.rounds && Number(values.rounds)
  const measured = await benchCollectives(ranks, {
    ...(rounds ? { rounds } : {}),
    say: values.verbose ? console.error : () => {},
  })
  if (values.json) writeFileSync(values.json, JSON.stringify(measured, null, 2))
  process.exit()
}
if (positionals[0] === 'scaling') {
  console.log(`${cpus().length} CPUs, Node ${process.version}; medians, and medians of each round's ratios`)
  const rounds = values.rounds && { rounds: Number(values.rounds) }
  const measured = await benchScaling(positionals.slice(1), {
    ...rounds,
    say: values.verbose ? console.error : () => {},
  })
  if (values.json) writeFileSync(values.json, JSON.stringify(measured, null, 2))
  process.exit()
}
const here = new URL('.', import.meta.url).pathname
const node = process.execPath
const cli = new URL('../packages/core/dist/cli.cjs', import.meta.url).pathname
const store = mkdtempSync(join(tmpdir(), 'gangflow-bench-'))
// Also when it is stopped, or there is no Python for a row.
process.on('exit', () => rmSync(store, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))
const isEngine = positionals.includes('dask') || positionals.includes('deepspeed')
const { nodes, rows: named } = isEngine ? engineNodes(positionals) : { rows: positionals }
const wanted = new Set(named.length > 0 ? named : ['help', 'single', 'chain', 'foreach', 'gang'])
const python = [...wanted].some(
  (row) => !['help', 'torch', 'dask', 'deepspeed', 'relay', 'ssh', 'copy', 'shell', 'mpi', 'mpich'].includes(row),
)
  ? metaflowPython()
  : undefined

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

const relay = wanted.has('relay') ? await relayContestants(store) : { of: [], end() {} }
const onHosts = ['ssh', 'copy', 'shell', 'mpi', 'mpich'].some((row) => wanted.has(row))
const hosts = onHosts ? benchHosts(await mpiFolders(wanted)) : undefined
const mpiRow = async (row, title) => ({
  title,
  base: 'by hand',
  of: wanted.has(row) ? await mpiContestants(row, hosts, flow, Number(values.rounds ?? 5)) : [],
})
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
    title: 'five empty steps in a row, a task (a fifth of the whole run, start-up included)',
    base: 'metaflow',
    of: [
      flow('gangflow', 'chain.ts', { per: 5 }),
      flow('gangflow, two', 'single.ts', { per: 2, aside: true }),
      ...peer('metaflow', 'chain.py', { per: 5 }),
      ...peer('metaflow, two', 'single.py', { per: 2, aside: true }),
    ],
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
    title: `gang of four, empty body, the whole run. Its members start while the step before it runs, which here is
empty; 'later': which takes half a second; 'cold': which alone says how many they are, so that none starts before`,
    base: 'eight bare nodes',
    of: [
      { name: 'eight bare nodes', together: Array.from({ length: 8 }, () => [node, '-e', '0']) },
      flow('gangflow without', 'three.ts'),
      flow('gangflow', 'gang.ts'),
      flow('gangflow, cold', 'gang-cold.ts'),
      flow('without, later', 'three-later.ts'),
      flow('gangflow, later', 'gang-later.ts'),
      ...peer('metaflow', 'gang.py', { rounds: 3 }),
    ],
  },
  relay: {
    title: 'a file of 1 GB from a process through a host to the datastore of another, on its disk, and back',
    base: 'bare socket',
    of: relay.of,
    rounds: 3,
  },
  ssh: {
    title: 'gang of four on four hosts over SSH, empty body, the whole run; what it needs is there from the warm-up',
    base: 'ssh, all at once',
    of: wanted.has('ssh') ? sshContestants(hosts, flow) : [],
  },
  shell: {
    title: '`true` on another host of a gang, and 256 MB to its disk (in memory)',
    base: 'ssh, sshd',
    of: wanted.has('shell') ? shellContestants(hosts, flow) : [],
    rounds: 6,
  },
  copy: {
    title: 'a file of 1 GB from one host to three others, on their disks (in memory), digests compared',
    base: 'scp, one by one',
    of: wanted.has('copy') ? copyContestants(hosts, flow) : [],
    rounds: 3,
  },
  mpi: await mpiRow('mpi', 'Open MPI 5, eight ranks on four hosts; by hand: mpirun over OpenSSH, and scp one by one'),
  mpich: await mpiRow('mpich', 'MPICH, eight ranks on four hosts; by hand: mpiexec over OpenSSH, and scp one by one'),
  torch: {
    title: `four ranks of a gloo all-reduce on one host; ratios are medians of each round's
${Object.entries(figures)
  .map(([name, what]) => `  ${name}: ${what}`)
  .join('\n')}`,
    base: byHand,
    of: wanted.has('torch') ? await torchContestants(store) : [],
    isSlow: true,
  },
}

/** Rows of engines, each beside what a person types. */
for (const [name, { byHand: base, figures: told, contestants }] of Object.entries({
  dask: { ...dask, contestants: dask.daskContestants },
  deepspeed: { ...deepspeed, contestants: deepspeed.deepspeedContestants },
})) {
  const lines = Object.entries(told).map(([figure, what]) => `  ${figure}: ${what}`)
  const title = [`${name} on ${nodes} nodes, all on this machine; ratios are medians of each round's`, ...lines].join(
    '\n',
  )
  rows[name] = { title, base, of: wanted.has(name) ? await contestants({ store, nodes }) : [], isSlow: true, rounds: 3 }
}

/** A gang alone: a run less the same steps without it. */
const gangs = [
  ['the gang alone (the run less the same steps without it)', 'gangflow', 'gangflow without'],
  ['the same, cold', 'gangflow, cold', 'gangflow without'],
  ['the same, later', 'gangflow, later', 'without, later'],
]
const results = {}
console.log(`${cpus().length} CPUs, Node ${process.version}, medians of whole processes in milliseconds`)
if (hasCertificates && !values.certificates) console.log('without NODE_EXTRA_CA_CERTS (--certificates leaves it)')
for (const name of wanted) {
  const row = rows[name]
  if (row === undefined) throw new Error(`no row '${name}': there are ${Object.keys(rows).join(', ')}`)
  const say = values.verbose || row.isSlow ? console.error : () => {}
  const measured = await interleave(row.of, { rounds: Number(values.rounds ?? row.rounds ?? 5), say })
  const find = (who, figure) => measured.find((one) => one.name === who && one.figure === figure)
  const of = (who, figure = 'time') => find(who, figure)?.median
  const base = of(row.base)
  results[name] = { base: row.base, measured }
  console.log(`\n${row.title}`)
  for (const figure of new Set(measured.map((one) => one.figure))) {
    if (figure !== 'time') console.log(` ${figure}`)
    const against = find(row.base, figure)
    for (const one of measured.filter((each) => each.figure === figure)) {
      const { name: who, median, times } = one
      if (row.of.find((each) => each.name === who)?.aside) continue
      const ratio = against && (row.isSlow ? ratioOf(one, against) : median / against.median)
      const told = ratio === undefined ? '' : `  ${ratio.toFixed(3)} of ${row.base}`
      console.log(
        `  ${who.padEnd(18)} ${median.toFixed(1).padStart(9)} ms${told}  (${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)})`,
      )
    }
  }
  if (name === 'chain') {
    const further = (who) => (of(who) * 5 - of(`${who}, two`) * 2) / 3
    const beside = base === undefined ? '' : `, ${(further('gangflow') / further('metaflow')).toFixed(3)} of metaflow's`
    console.log(`  a further task (five less two, by three): ${further('gangflow').toFixed(1)} ms${beside}`)
  }
  for (const [told, who, without] of gangs) {
    if (!['gang', 'ssh'].includes(name) || of(who) === undefined) continue
    const gang = of(who) - of(without)
    console.log(`  ${told}: ${gang.toFixed(1)} ms, ${(gang / base).toFixed(2)} of ${row.base}`)
  }
}
if (values.json) writeFileSync(values.json, JSON.stringify(results, null, 2))
relay.end()
