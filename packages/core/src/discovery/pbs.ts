import type { Discovered, Surroundings } from './contract.js'
import { counted, Variables } from './variables.js'

/** A job of OpenPBS, PBS Pro or Torque: PBS_NODEFILE has a host for each process of MPI; see qsub(1B), pbsdsh(1B). */
export function discoverPbs(surroundings: Surroundings): Discovered {
  const about = new Variables('PBS', surroundings)
  const job = about.need('PBS_JOBID')
  const lines = counted(about.lines('PBS_NODEFILE'))
  if (lines.length === 0) about.wrong('PBS_NODEFILE', about.need('PBS_NODEFILE'), 'a file with a host in each line')
  const size = about.whole('PBS_NUM_NODES')
  if (size !== undefined && size !== lines.length)
    about.contradiction(`PBS_NUM_NODES is ${size}, but PBS_NODEFILE has ${lines.length} hosts`)
  const gpus = gpusOf(about)
  const hosts = lines.map((one) => ({ ...one, ...(gpus ? { gpus: gpus.get(one.host) ?? 0 } : {}) }))
  const names = hosts.map(({ host }) => host)
  const found = about.place(names)
  const told = about.index('PBS_NODENUM', names.length)
  if (found !== undefined && told !== undefined && found !== told)
    about.contradiction(`PBS_NODENUM is ${told}, but ${names[found]} is node ${found} of PBS_NODEFILE`)
  const index = found ?? told
  const slots = about.whole('NCPUS', 'PBS_NUM_PPN') ?? (index === undefined ? undefined : hosts[index]!.slots)
  return {
    engine: 'pbs',
    job,
    restarts: 0,
    size: hosts.length,
    ...(index === undefined ? {} : { index }),
    task: 0,
    hosts,
    main: { index: 0, host: names[0]! },
    ...(index === undefined || slots === undefined ? {} : { slots }),
    ...(index === undefined || !gpus ? {} : { gpus: hosts[index]!.gpus! }),
  }
}

/** Torque's PBS_GPUFILE: `host-gpu0` in each line. */
function gpusOf(about: Variables): Map<string, number> | undefined {
  if (about.text('PBS_GPUFILE') === undefined) return undefined
  const lines = about.lines('PBS_GPUFILE').map((line) => line.replace(/-gpu\d+$/, ''))
  return new Map(counted(lines).map(({ host, slots }) => [host, slots]))
}
