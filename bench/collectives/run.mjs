// `npm run bench -- collectives [RANKS …]`: an all-reduce by gangflow, by gloo (torch) and by Open MPI, interleaved. All
// but Open MPI's processes stay, and sleep while it is another's turn.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pythonWithTorch } from '../../scripts/python-env.mjs'
import { freeAddresses } from '../../tests/support/addresses.mjs'
import { baseEnv, median } from '../lib/measure.mjs'

const here = new URL('.', import.meta.url).pathname
/** Elements of float32, and how often in one measurement. */
const sizes = [
  { title: '1 KB', count: 256, repetitions: 200 },
  { title: '64 KB', count: 16 * 1024, repetitions: 100 },
  { title: '1 MB', count: 256 * 1024, repetitions: 30 },
  { title: '25 MB', count: 6.25 * 2 ** 20, repetitions: 3 },
  { title: '100 MB', count: 25 * 2 ** 20, repetitions: 1 },
]

/** Processes that each do a measurement for a line; the first one tells its time. */
class Standing {
  constructor(name, argvs) {
    this.name = name
    this.children = argvs.map(([program, ...args]) =>
      spawn(program, args, { env: { ...baseEnv, OMP_NUM_THREADS: '1' }, stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    this.lines = this.children.map((child) => createInterface({ input: child.stdout }))
    this.ended = Promise.race(this.children.map((child) => once(child, 'exit'))).then((how) => {
      throw new Error(`${name} ended (${how.find((one) => one !== null)})`)
    })
    this.ended.catch(() => {})
    this.ready = Promise.race([this.ended, Promise.all(this.lines.map((lines) => once(lines, 'line')))])
  }
  async measure({ count, repetitions }) {
    await this.ready
    const told = once(this.lines[0], 'line', { signal: AbortSignal.timeout(120_000) })
    for (const child of this.children) child.stdin.write(`${count} ${repetitions}\n`)
    return Number((await Promise.race([told, this.ended]))[0])
  }
  /** By the end of their input: those that are killed one by one would tell of each other's death. */
  async end() {
    const ended = this.children.map(
      (child) => child.exitCode !== null || child.signalCode !== null || once(child, 'exit'),
    )
    for (const child of this.children) child.stdin.end()
    const late = setTimeout(() => {
      for (const child of this.children) child.kill('SIGKILL')
    }, 10_000)
    await Promise.all(ended)
    clearTimeout(late)
  }
}

/** Open MPI's processes never sleep, and so are started for each measurement. */
class OpenMpi {
  constructor(name, program, ranks, transport) {
    this.name = name
    const options = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '--mca', 'btl', transport]
    this.argv = [...options, '-n', String(ranks), program]
  }
  async measure({ count, repetitions }) {
    const env = { ...baseEnv, OMPI_MCA_btl_vader_single_copy_mechanism: 'none' }
    return Number(
      execFileSync('mpirun.openmpi', [...this.argv, String(count), String(repetitions)], { env, encoding: 'utf8' }),
    )
  }
  end() {}
}

export async function benchCollectives(wanted, { rounds = 5, say }) {
  const python = await pythonWithTorch()
  const folder = mkdtempSync(join(tmpdir(), 'gf-bench-'))
  const program = join(folder, 'mpi')
  const mpi = spawnSync('mpicc.openmpi', ['-O2', '-o', program, join(here, 'mpi.c')]).status === 0
  if (!mpi) console.log('without Open MPI: there is no mpicc.openmpi')
  const results = {}
  try {
    for (const ranks of wanted.length > 0 ? wanted : [2, 4]) {
      const all = await contestants(ranks, { folder, python, program: mpi ? program : undefined })
      try {
        results[ranks] = await measure(all, ranks, rounds, say)
      } finally {
        await Promise.all(all.map((one) => one.end()))
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return results
}

async function contestants(ranks, { folder, python, program }) {
  const each = Array.from({ length: ranks }, (_, rank) => rank)
  const node = (name, way, addresses) =>
    new Standing(
      name,
      each.map((rank) => [process.execPath, join(here, 'rank.mjs'), String(rank), way, ...addresses]),
    )
  const paths = (label) => each.map((rank) => join(folder, `${ranks}-${label}-${rank}`))
  const tcp = await freeAddresses(3 * ranks)
  const take = () => tcp.splice(0, ranks)
  return [
    new Standing(
      'gloo',
      each.map((rank) => [python, join(here, 'gloo.py'), join(folder, `gloo-${ranks}`), String(rank), String(ranks)]),
    ),
    node('tcp, asynchronous', 'async', take()),
    node('tcp, blocking', 'blocking', take()),
    node('tcp, blocking, copied', 'copied', take()),
    node('unix, asynchronous', 'async', paths('async')),
    node('unix, blocking', 'blocking', paths('blocking')),
    node('unix, blocking, copied', 'copied', paths('copied')),
    new Standing('threads', [[process.execPath, join(here, 'threads.mjs'), String(ranks)]]),
    ...(program
      ? [
          new OpenMpi('Open MPI, shared memory', program, ranks, 'self,vader'),
          new OpenMpi('Open MPI, tcp', program, ranks, 'self,tcp'),
        ]
      : []),
  ]
}

async function measure(all, ranks, rounds, say) {
  const results = {}
  for (const size of sizes) {
    const times = new Map(all.map(({ name }) => [name, []]))
    for (let round = -1; round < rounds; round++)
      for (const one of all) {
        const took = await one.measure(size)
        say(
          `  ${ranks} ranks, ${size.title}, ${round < 0 ? 'warm-up' : `round ${round + 1}`} ${one.name}: ${took.toFixed(3)} ms`,
        )
        if (round >= 0) times.get(one.name).push(took)
      }
    console.log(`\n${ranks} ranks, ${size.title}`)
    const gloo = times.get('gloo')
    for (const [name, own] of times) {
      const ratio = median(own.map((took, round) => took / gloo[round]))
      const range = `${Math.min(...own).toFixed(3)} to ${Math.max(...own).toFixed(3)}`
      console.log(
        `  ${name.padEnd(26)} ${median(own).toFixed(3).padStart(9)} ms  ${ratio.toFixed(2)} of gloo  (${range})`,
      )
    }
    results[size.title] = Object.fromEntries(times)
  }
  return results
}
