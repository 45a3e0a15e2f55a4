// `npm run bench -- slurm [latency] [foreach] [ITEMS]`: jobs of gangflow beside Slurm's own commands and submitit, on four test nodes.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tsImport } from 'tsx/esm/api'
import { baseEnv, interleave } from '../lib/measure.mjs'
import { submititFolder } from './submitit.mjs'

const node = process.execPath
const cli = new URL('../../packages/core/dist/cli.cjs', import.meta.url).pathname
const here = new URL('.', import.meta.url).pathname

/** @returns {Promise<object>} rows by name, as `interleave` gives them */
export async function benchSlurm(words, { rounds = 3, say = () => {} } = {}) {
  const parts = words.filter((word) => !Number(word))
  const items = Number(words.find(Number) ?? 500)
  const { startCluster } = await tsImport('../../tests/slurm/cluster.ts', import.meta.url)
  const cluster = await startCluster({ cpus: 4 })
  const folder = mkdtempSync(join(tmpdir(), 'gangflow-bench-slurm-'))
  // Nothing of the certificates either: jobs get little of an environment anyway.
  const env = { ...baseEnv, ...cluster.env, NODE_EXTRA_CA_CERTS: '' }
  const place = { folder, env, items }
  const results = {}
  const stop = new AbortController()
  const leave = () => stop.abort()
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, leave)
  try {
    for (const [name, { title, base, of }] of Object.entries({ latency: latency(place), foreach: foreach(place) })) {
      if (parts.length > 0 && !parts.includes(name)) continue
      const measured = await interleave(await of(), { rounds, say, signal: stop.signal })
      results[name] = { base, measured }
      console.log(`\n${title}`)
      for (const figure of new Set(measured.map((one) => one.figure))) {
        if (figure !== 'time') console.log(` ${figure}`)
        const rows = measured.filter((one) => one.figure === figure)
        const against = rows.find((one) => one.name === base)
        for (const { name: who, median, times } of rows)
          console.log(
            `  ${who.padEnd(22)} ${median.toFixed(0).padStart(7)} ms  ${(median / against.median).toFixed(2)} of ${base}  (${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)})`,
          )
      }
    }
    return results
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, leave)
    await cluster.down()
    rmSync(folder, { recursive: true, force: true })
    if (stop.signal.aborted) process.exit(130)
  }
}

const TASK = 'one task'
const GANG = 'four members'

/** Milliseconds until a body begins, of the last of four where there are four; all on one machine's clock. */
function latency({ folder, env }) {
  const begun = join(folder, 'begun')
  const told = () => {
    const times = readdirSync(folder)
      .filter((name) => name.startsWith('begun'))
      .map((name) => {
        const at = Number(readFileSync(join(folder, name), 'utf8'))
        rmSync(join(folder, name))
        return at
      })
    return Math.max(...times)
  }
  const script = `require('fs').writeFileSync('${begun}'+(process.env.SLURM_PROCID??''),String(Date.now()))`
  const sbatch = (...argv) => {
    const at = Date.now()
    const options = ['sbatch', '--wait', '--output=/dev/null', '--ntasks-per-node=1', ...argv]
    execFileSync(options[0], options.slice(1), { env, stdio: 'ignore' })
    return told() - at
  }
  const run = (file) => {
    const argv = [cli, 'run', join(here, file), '--backend', 'slurm', '--datastore', join(folder, 'store')]
    const text = execFileSync(node, argv, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
    return Number(/latency (\d+)/.exec(text)[1])
  }
  return {
    title: `from the wish to the first line of a body in Node: by hand from the start of sbatch; gangflow's from the last line
of the step before, which is then committed, and whose end the launcher has to see`,
    base: 'sbatch',
    of: () => [
      {
        name: 'sbatch',
        measure: () => ({
          [TASK]: sbatch(`--wrap=exec ${node} -e "${script}"`),
          [GANG]: sbatch('--nodes=4', `--wrap=srun --mpi=none ${node} -e "${script}"`),
        }),
      },
      { name: 'gangflow', measure: () => ({ [TASK]: run('task.ts'), [GANG]: run('gang.ts') }) },
    ],
  }
}

/** Empty tasks, from the first submission until the last has ended. */
function foreach({ folder, env, items }) {
  const run = (command, ...argv) =>
    execFileSync(command, argv, { env, cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  const timed = async (work) => {
    const begun = performance.now()
    await work()
    return { time: performance.now() - begun }
  }
  const ended = async () => {
    while (run('squeue', '-h') !== '') await new Promise((resolve) => setTimeout(resolve, 200))
  }
  // As much as a task of gangflow is: a Node process.
  const body = `--wrap=exec ${node} -e 0`
  return {
    title: `foreach of ${items} empty tasks, the whole`,
    base: 'one array',
    of: async () => {
      const { python, path } = await submititFolder()
      return [
        {
          name: 'one array',
          measure: () =>
            timed(async () => {
              run('sbatch', '--output=/dev/null', `--array=0-${items - 1}`, body)
              await ended()
            }),
        },
        {
          name: `${items} times sbatch`,
          measure: () =>
            timed(async () => {
              for (let n = 0; n < items; n++) run('sbatch', '--output=/dev/null', body)
              await ended()
            }),
        },
        {
          name: 'submitit, array',
          argv: [python, join(here, 'by_submitit.py'), String(items), join(folder, 'submitit')],
          env: { ...env, PYTHONPATH: path },
        },
        {
          name: 'gangflow',
          argv: [
            ...[node, cli, 'run', join(here, 'foreach.ts'), '--backend', 'slurm'],
            ...['--datastore', join(folder, 'store'), '--items', String(items)],
          ],
          env,
        },
      ]
    },
  }
}
