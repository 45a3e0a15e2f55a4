import { type Launch, names, type Part } from './launch-plan.js'
import { markingOptions } from './rank-output.js'

/** Options of Open MPI that flows written for it carry along, and that mean nothing here. */
const foreign = new Set(['--allow-run-as-root', '-allow-run-as-root'])

/** MPICH and others whose launcher is Hydra. Pure. */
export function planHydra({ input, world, network, crowded, plain }: Part): Launch {
  const { places, settings, implementation } = input
  const shim = `${places.directory}/bin/shim`
  const args = settings.args.filter((word) => !foreign.has(word))
  const isIntel = implementation.vendor === 'Intel MPI'
  const isApart = world.lines.length > 1
  const options = [
    ...['-f', `${places.directory}/hosts`],
    ...(isIntel
      ? ['-bootstrap', 'ssh', '-bootstrap-exec', shim]
      : ['-launcher', 'ssh', '-launcher-exec', shim, '-rmk', 'user']),
    // By its address: the others may not find it by its own name.
    ...(isApart && !isIntel && !names(args, '-localhost', '-iface') ? ['-localhost', world.lines[0]!.address] : []),
    // Members have environments of their own; what a call adds comes to each rank by its member.
    ...(args.some((word) => /^-genv(all|list|none)$/.test(word)) ? [] : ['-genvnone']),
    ...(settings.output === 'ranks' ? markingOptions(implementation) : []),
    ...args,
    ...['-n', String(world.np)],
  ]
  return {
    hostfile: world.lines.map(({ address, slots }) => `${address}:${slots}\n`).join(''),
    options,
    env: {},
    rankEnv: {
      UCX_POSIX_DIR: places.shared,
      ...(network?.interface && plain ? { UCX_NET_DEVICES: network.interface, FI_TCP_IFACE: network.interface } : {}),
      // Ranks that wait for one another in shared memory never let each other run.
      ...(crowded ? { MPIR_CVAR_NOLOCAL: '1', UCX_TLS: 'tcp,self' } : {}),
    },
  }
}
