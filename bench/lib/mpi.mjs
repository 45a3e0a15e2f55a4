// The rows `mpi` and `mpich`: current.mpi on four test hosts beside the same mpirun typed by hand over OpenSSH there.
import { execFileSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { mpiEnvironment } from '../../scripts/mpi-env.mjs'
import { baseEnv } from './measure.mjs'

const rows = { mpi: 'openmpi5', mpich: 'mpich' }

/** What the hosts of these rows must see of this machine. */
export async function mpiFolders(wanted) {
  const names = Object.entries(rows).flatMap(([row, name]) => (wanted.has(row) ? [name] : []))
  const homes = await Promise.all(names.map(async (name) => dirname((await mpiEnvironment(name)).bin)))
  // Of a virtual environment the interpreter is elsewhere; and `cc` is one of Debian's alternatives.
  const bases = homes.map((home) => dirname(dirname(realpathSync(`${home}/bin/python`))))
  const shown = [...homes, ...bases.filter((base) => !/^\/usr(?:\/|$)/.test(base))]
  return homes.length > 0 ? [...new Set(shown), '/etc/alternatives'] : []
}

/** Contestants of one row: one flow times all of them in turns. */
export async function mpiContestants(row, { names, config }, flow, rounds) {
  const { bin } = await mpiEnvironment(rows[row])
  const { argv } = flow('gangflow', 'mpi.ts')
  const megabytes = process.env.GANGFLOW_BENCH_MB ?? '1024'
  let samples
  const measured = () => {
    if (samples) return samples
    const hosts = ['--hosts', names.join(','), '--ssh-config', config, '--env', `GANGFLOW_MPI_HOME=${dirname(bin)}`]
    const words = [...argv.slice(1), ...hosts, '--rounds', String(rounds + 1), '--megabytes', megabytes]
    const out = execFileSync(argv[0], words, { encoding: 'utf8', env: baseEnv, maxBuffer: 1 << 28 })
    samples = new Map()
    for (const [, time, figure, name] of out.matchAll(/time (\d+(?:\.\d+)?) (.*) \/ (.*)$/gm)) {
      const key = name.trim()
      if (!samples.has(key)) samples.set(key, {})
      const figures = samples.get(key)
      figures[figure] = [...(figures[figure] ?? []), Number(time)]
    }
    return samples
  }
  return ['by hand', 'by hand, our settings', 'gangflow', 'MPI_Bcast'].map((name) => {
    let round = 0
    return {
      name,
      measure: async () => {
        const figures = measured().get(name)
        if (!figures) throw new Error(`the flow said no time of '${name}'`)
        const at = round++
        return Object.fromEntries(Object.entries(figures).map(([figure, times]) => [figure, times[at % times.length]]))
      },
    }
  })
}
