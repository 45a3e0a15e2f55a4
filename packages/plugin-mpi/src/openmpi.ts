import { type Launch, names, type Part, TREE_FROM } from './launch-plan.js'
import { markingOptions } from './rank-output.js'

/** Schedulers whose allocation the launcher would take instead of the hostfile. */
const schedulers = '^slurm,tm,pbs,lsf,gridengine,alps,loadleveler,flux'

/** Open MPI 4 (ORTE) and 5 (PRRTE): the same launch, most of it under other names. Pure. */
export function planOpenMpi(part: Part): Launch {
  const { input, world } = part
  const { places, settings, root } = input
  const hostfile = `${places.directory}/hosts`
  return {
    hostfile: world.lines.map(({ address, slots }) => `${address} slots=${slots}\n`).join(''),
    options: [
      ...['--hostfile', hostfile, '-np', String(world.np)],
      ...crowding(part),
      ...binding(part),
      ...(settings.output === 'ranks' ? markingOptions(input.implementation) : []),
      ...settings.args,
    ],
    env: {
      ...runtime(part),
      ...messages(part),
      ...(root ? { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' } : {}),
    },
    rankEnv: {},
  }
}

/** Of the daemons: the remote shell is the gang's, and nothing is left behind outside the call's folder. */
function runtime({ input, world, network }: Part): Record<string, string> {
  const { directory } = input.places
  const shim = `${directory}/bin/shim`
  const inTree = world.lines.length < TREE_FROM ? '1' : '0'
  if (input.implementation.launcher === 'prrte')
    return {
      PRTE_MCA_plm: 'ssh',
      PRTE_MCA_plm_ssh_agent: shim,
      PRTE_MCA_plm_ssh_no_tree_spawn: inTree,
      PRTE_MCA_ras: schedulers,
      PRTE_MCA_prte_tmpdir_base: `${directory}/tmp`,
      // By name: of a range it says that no interface has it where hosts have IPv6 too.
      ...(network?.interface ? { PRTE_MCA_prte_if_include: network.interface } : {}),
    }
  return {
    OMPI_MCA_plm: 'rsh',
    OMPI_MCA_plm_rsh_agent: shim,
    OMPI_MCA_plm_rsh_no_tree_spawn: inTree,
    // Else the daemons leave their channels, and nobody sees them die.
    OMPI_MCA_orte_leave_session_attached: '1',
    OMPI_MCA_ras: schedulers,
    OMPI_MCA_orte_tmpdir_base: `${directory}/tmp`,
    ...(network ? { OMPI_MCA_oob_tcp_if_include: network.include } : {}),
  }
}

/** Of the ranks' messages; forwarded to them by the launcher itself. */
function messages({ input, network, crowded, plain }: Part): Record<string, string> {
  const isOld = input.implementation.launcher === 'orte'
  const shared = isOld ? 'vader' : 'sm'
  return {
    // Without a fabric the search for one costs a second at each start.
    ...(plain ? { OMPI_MCA_pml: 'ob1', OMPI_MCA_btl: `tcp,self,${shared}` } : {}),
    // A bridge that every host has with the same address (docker0) would be tried first, and nobody answers there.
    ...(network ? { OMPI_MCA_btl_tcp_if_include: network.include } : {}),
    [`OMPI_MCA_btl_${shared}_backing_directory`]: input.places.shared,
    // Ranks that wait for one another on one core must let each other run.
    ...(crowded ? { OMPI_MCA_mpi_yield_when_idle: '1' } : {}),
  }
}

/** More ranks than slots; Open MPI 5's own `--oversubscribe` would put them all on the first host. */
function crowding({ input, world }: Part): string[] {
  const { settings, implementation } = input
  if (world.np <= world.slots || names(settings.args, '--map-by', '-map-by')) return []
  return implementation.launcher === 'prrte' ? ['--map-by', 'slot:OVERSUBSCRIBE'] : ['--oversubscribe']
}

/** Binding is the person's; but where members share a host, each job would bind to its first cores. */
function binding({ input, world, crowded }: Part): string[] {
  const shared = crowded || world.lines.some(({ members }) => members.length > 1)
  return shared && !names(input.settings.args, '--bind-to', '-bind-to', '--cpu-set', '--rankfile')
    ? ['--bind-to', 'none']
    : []
}
