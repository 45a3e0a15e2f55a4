import type { Discovered, DiscoveredHost, Surroundings } from './contract.js'
import { counted, Variables } from './variables.js'

/**
 * A job of LSF. Its hosts are in LSB_DJOB_RANKFILE or LSB_DJOB_HOSTFILE (a host for each slot), LSB_MCPU_HOSTS (`a 2 b 4`) or
 * LSB_HOSTS (`a a b`); under jsrun (JSM_NAMESPACE_*) the first of them is the node from which the job is launched, and takes
 * no part. See "Environment variables" of LSF's reference.
 */
export function discoverLsf(surroundings: Surroundings): Discovered {
  const about = new Variables('LSF', surroundings)
  const id = about.need('LSB_JOBID')
  const member = about.text('LSB_JOBINDEX')
  const byJsm = about.text('JSM_NAMESPACE_SIZE') !== undefined
  const all = hostsOf(about)
  const hosts = byJsm && all.length > 1 ? all.slice(1) : all
  const names = hosts.map(({ host }) => host)
  const index = ownIndex(about, names)
  return {
    engine: 'lsf',
    job: member === undefined || member === '0' ? id : `${id}[${member}]`,
    restarts: 0,
    size: hosts.length,
    ...(index === undefined ? {} : { index }),
    task: about.whole('JSM_NAMESPACE_LOCAL_RANK') ?? 0,
    hosts,
    main: { index: 0, host: names[0]! },
    ...(index === undefined ? {} : { slots: hosts[index]!.slots! }),
  }
}

function hostsOf(about: Variables): DiscoveredHost[] {
  const files = ['LSB_DJOB_RANKFILE', 'LSB_DJOB_HOSTFILE'].filter((name) => about.text(name) !== undefined)
  // On other nodes than the first the file may not be there; then the variables serve.
  const file = files.find((name) => about.file(about.text(name)!) !== undefined)
  if (file !== undefined) return atLeastOne(about, file, counted(about.lines(file)))
  const pairs = about.text('LSB_MCPU_HOSTS')
  if (pairs !== undefined) {
    const words = pairs.split(/\s+/)
    const hosts = words.flatMap((host, at) => (at % 2 === 0 ? [{ host, slots: Number(words[at + 1]) }] : []))
    if (hosts.some(({ slots }) => !Number.isInteger(slots)))
      about.wrong('LSB_MCPU_HOSTS', pairs, "hosts, each with its number of slots: 'a 2 b 4'")
    return atLeastOne(about, 'LSB_MCPU_HOSTS', hosts)
  }
  const list = about.text('LSB_HOSTS')
  if (list === undefined && files[0] !== undefined) about.lines(files[0])
  return counted((list ?? about.need('LSB_DJOB_RANKFILE', 'LSB_MCPU_HOSTS', 'LSB_HOSTS')).split(/\s+/))
}

function atLeastOne(about: Variables, name: string, hosts: DiscoveredHost[]): DiscoveredHost[] {
  return hosts.length > 0 ? hosts : about.wrong(name, '', 'a list with a host')
}

/** By this machine's name; else by jsrun's rank, where it starts one process on each host. */
function ownIndex(about: Variables, names: readonly string[]): number | undefined {
  const found = about.place(names)
  const size = about.whole('JSM_NAMESPACE_SIZE')
  const rank = size === names.length ? about.index('JSM_NAMESPACE_RANK', size) : undefined
  return found ?? rank
}
