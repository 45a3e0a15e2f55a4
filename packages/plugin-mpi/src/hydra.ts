import { dirname } from 'node:path'
import { GangflowError } from '@gangflow/core'
import { nameOf } from './implementation.js'
import { type Launch, names, type Part, type PlanInput } from './launch-plan.js'
import { markingOptions } from './rank-output.js'

/** Options of Open MPI that flows written for it carry along, and that mean nothing here. */
const foreign = new Set(['--allow-run-as-root', '-allow-run-as-root'])

/** MPICH and others whose launcher is Hydra. Pure; throws `E_MPI_MEMBER` where it cannot reach one. */
export function planHydra({ input, world, network, crowded, plain }: Part): Launch {
  const { places, settings, implementation } = input
  const shim = `${places.directory}/bin/shim`
  const args = settings.args.filter((word) => !foreign.has(word))
  const isIntel = implementation.vendor === 'Intel MPI'
  const isApart = world.lines.length > 1
  if (isApart) refuseIpv6(input)
  const whereItself = (intel: boolean) =>
    !intel ? ['-localhost', world.lines[0]!.address] : network?.interface ? ['-iface', network.interface] : []
  const options = [
    ...['-f', `${places.directory}/hosts`],
    ...(isIntel
      ? ['-bootstrap', 'ssh', '-bootstrap-exec', shim]
      : ['-launcher', 'ssh', '-launcher-exec', shim, '-rmk', 'user']),
    // By its address: the others may not find it by its own name.
    ...(isApart && !names(args, '-localhost', '-iface') ? whereItself(isIntel) : []),
    // Members have environments of their own; what a call adds comes to each rank by its member.
    ...(args.some((word) => /^-genv(all|list|none)$/.test(word)) ? [] : ['-genvnone']),
    ...(settings.output === 'ranks' ? markingOptions(implementation) : []),
    ...args,
    ...['-n', String(world.np)],
  ]
  return {
    hostfile: world.lines.map(({ address, slots }) => `${address}:${slots}\n`).join(''),
    options,
    // What its own script of variables would set: its parts look for one another by it.
    env: isIntel ? { I_MPI_ROOT: dirname(input.bin) } : {},
    rankEnv: {
      ...(isIntel ? { I_MPI_ROOT: dirname(input.bin) } : {}),
      UCX_POSIX_DIR: places.shared,
      ...(network?.interface && plain ? { UCX_NET_DEVICES: network.interface, FI_TCP_IFACE: network.interface } : {}),
      // Ranks that wait for one another in shared memory never let each other run.
      ...(crowded ? { MPIR_CVAR_NOLOCAL: '1', UCX_TLS: 'tcp,self' } : {}),
    },
  }
}

/** Its proxies dial mpiexec by IPv4 alone; they would say that a host cannot be found. */
function refuseIpv6({ nodes, implementation, settings }: PlanInput): void {
  const without = nodes.filter(({ addresses }) => addresses.length > 0 && addresses.every((one) => one.includes(':')))
  if (without.length === 0) return
  const { node, host } = without[0]!
  throw new GangflowError({
    code: 'E_MPI_MEMBER',
    what: `${settings.launcher} of ${nameOf(implementation)} speaks IPv4 only, and there is none to ${without.map((one) => `node ${one.node} (${one.host})`).join(', ')}`,
    fix: 'use Open MPI, which runs over IPv6, or give these hosts IPv4 addresses',
    node,
    host,
  })
}
