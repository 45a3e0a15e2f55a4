import { GangflowError } from '@gangflow/core'
import type { GangContext } from '@gangflow/core/plugin'
import type { Tf } from '../../backends/tf.js'
import type { Collectives } from '../../collectives/contract.js'
import { connectGroups, type GangCollectivesOptions } from '../../collectives/gang.js'
import type { TrainingHooks } from '../fit.js'
import { checkOptions } from '../options.js'
import type { Links } from './links.js'
import { type ParameterServerOptions, ParameterServerStrategy } from './strategy.js'

/** How many were opened on a gang: the same number on every member names the same one. */
const opened = new WeakMap<GangContext, number>()

/** Over the members of a gang; each calls it, as often as the others and with the same options. */
export async function openParameterServer(
  tf: Tf,
  gang: GangContext,
  all: Collectives,
  options: ParameterServerOptions,
  hooks: TrainingHooks,
  tuning: GangCollectivesOptions,
): Promise<{ strategy: ParameterServerStrategy; close(): Promise<void> }> {
  const { servers = 1, staleness = Number.POSITIVE_INFINITY, ...rest } = options
  const { numNodes: size, nodeIndex: node, epoch } = gang
  checkOptions(rest, 'parameterServer')
  checkCounts(servers, staleness, size)
  const number = (opened.get(gang) ?? 0) + 1
  opened.set(gang, number)
  const workers = size - servers
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at)
  const name = `${epoch}/servers ${number}`
  const pair = (worker: number, server: number) => ({
    name: `${name}/${worker}/${server}`,
    members: [worker, server],
  })
  const isWorker = node < workers
  const groups = isWorker
    ? [{ name, members: range(0, workers) }, ...range(workers, size).map((server) => pair(node, server))]
    : range(0, workers).map((worker) => pair(worker, node))
  const made = await connectGroups(gang, groups, tuning)
  const [among, ...others] = made as [Collectives, ...Collectives[]]
  const links: Links = isWorker
    ? { all, workers, servers, among, pairs: others }
    : { all, workers, servers, pairs: made }
  return {
    strategy: new ParameterServerStrategy(tf, links, options, hooks),
    close: async () => {
      await Promise.all(made.map((one) => one.close()))
    },
  }
}

function checkCounts(servers: number, staleness: number, members: number): void {
  const wrong = (what: string, fix: string) =>
    new GangflowError({ code: 'E_TF_DECORATOR', what: `parameterServer: ${what}`, fix })
  if (!(Number.isInteger(servers) && servers > 0))
    throw wrong(`servers is ${servers}`, 'give a number of members, 1 or more')
  if (servers >= members)
    throw wrong(
      `${servers} of ${members} members are servers, and none is a worker`,
      'take fewer servers, or a larger gang: numParallel is the number of both together',
    )
  if (!(staleness >= 0 && (Number.isInteger(staleness) || staleness === Number.POSITIVE_INFINITY)))
    throw wrong(`staleness is ${staleness}`, 'give a number of steps, 0 or more, or leave it out')
}
