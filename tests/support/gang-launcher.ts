// A launcher as small as can be: compiles a flow, runs one gang step of it, says every event as a line of JSON.
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { localBackend } from '../../packages/core/src/backend/local/backend.js'
import type { LocalPlan } from '../../packages/core/src/backend/local/plan.js'
import { compileFlow } from '../../packages/core/src/compile/compile-flow.js'
import type { PackageOptions } from '../../packages/core/src/compile/package/contract.js'
import { saveArtifacts } from '../../packages/core/src/datastore/artifacts/save.js'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { type DoneRecord, keys } from '../../packages/core/src/datastore/records.js'
import { RelayServer } from '../../packages/core/src/datastore/relay/server.js'
import type { GangBackend, Member, StopReason, TransportKind } from '../../packages/core/src/gang/contract.js'
import { runGang } from '../../packages/core/src/gang/run-gang.js'
import { startKeeper } from '../../packages/core/src/process/start.js'
import { json } from '../../packages/core/src/runtime/run-record.js'

export interface Plan {
  readonly file: string
  readonly step: string
  readonly size: number
  readonly run: string
  readonly attempt?: number
  readonly transport?: TransportKind
  readonly timeouts?: object
  readonly timeoutMs?: number
  /** Children of a member in the gang's tree; else by its size. */
  readonly fanOut?: number
  readonly gpus?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Values that the step is given. */
  readonly given?: Readonly<Record<string, { readonly megabytes: number }>>
  /** Members have a disk of their own, and see nothing of the datastore but the code that lies in it. */
  readonly apart?: boolean
  /** With `apart`: their disks are out of reach once their agents have ended. */
  readonly outOfReach?: boolean
  /** Replacements for lost members: none, or agents that end at once, all or the first. Default: as the backend gives them. */
  readonly replacements?: 'none' | 'stillborn' | 'first stillborn'
  /** With `apart`: milliseconds after which every connection over which the datastore is relayed breaks, again and again. */
  readonly cutEvery?: number
  /** A given value whose blob nobody can open. */
  readonly hangs?: string
  /** As if its hosts did not see this disk: the code is kept below this folder. */
  readonly deliverTo?: string
  readonly package?: PackageOptions
}

const plan = JSON.parse(process.argv[2]!) as Plan
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)
const datastore = await openDatastore(join(plan.file, '..', '.gangflow'))
const compiled = await compileFlow({ file: plan.file }, datastore)
const step = compiled.description.steps.find(({ name }) => name === plan.step)!
const address = {
  flow: compiled.description.name,
  run: plan.run,
  step: plan.step,
  task: '2',
  attempt: plan.attempt ?? 0,
}
const given = Object.entries(plan.given ?? {}).map(([name, { megabytes }]) => ({
  name,
  state: 'value' as const,
  value: Buffer.alloc(megabytes << 20, name),
}))
const artifacts = await saveArtifacts(datastore, given, {})
if (plan.hangs !== undefined) {
  const { hash } = artifacts[plan.hangs]!
  const fifo = join(plan.file, '../.gangflow/blobs', hash.slice(0, 2), hash)
  rmSync(fifo)
  execFileSync('mkfifo', [fifo])
}
const keeper = await startKeeper({ mark: `${address.flow}/${address.run}`, root: true })
const parent: DoneRecord = {
  attempt: 0,
  epoch: 1,
  startedAt: 0,
  endedAt: 0,
  artifacts,
  transition: { kind: 'gang', target: plan.step, size: plan.size },
}
await datastore.putRecord(keys.done({ ...address, step: 'start', task: '1' }), json(parent))
const stop = new AbortController()
process.on('SIGINT', () => {
  const reason: StopReason = { cause: 'cancelled', why: 'cancelled by Ctrl-C', graceMs: 3_000 }
  stop.abort(reason)
})
if (plan.deliverTo !== undefined) process.env['XDG_CACHE_HOME'] = plan.deliverTo
const local = localBackend({
  keeper,
  agent: process.env['AGENT'] ?? join(compiled.core, 'dist', 'agent.cjs'),
  machine: { host: 'here', cpus: 2, gpus: plan.gpus ?? [] },
  ...(plan.transport ? { transport: plan.transport } : {}),
  ...(plan.apart ? { apart: join(plan.file, '..', 'apart') } : {}),
})
/** Each agent in a mount namespace where the datastore's own directories are empty and may not be written. */
const hidden = (['records', 'blobs', 'tmp', 'scratch/spool'] as const).map((name) =>
  join(plan.file, '../.gangflow', name),
)
const hide = `for d in ${hidden.join(' ')}; do mkdir -p $d; mount -t tmpfs -o ro none $d || exit 99; done; exec "$0" "$@"`
const blind: GangBackend<LocalPlan> = {
  ...local,
  plan: (request) => {
    const made = local.plan(request)
    return { ...made, argv: ['unshare', '--map-root-user', '--mount', 'sh', '-c', hide, ...made.argv] }
  },
}
if (plan.replacements !== undefined) {
  const start = local.start
  let count = 0
  local.start = async (made, bootstrap, signal, note) => {
    const { replace, ...allocation } = await start(made, bootstrap, signal, note)
    if (plan.replacements === 'none') return allocation
    return {
      ...allocation,
      async replace(lost, as, until) {
        const fresh = await replace?.(lost, as, until)
        if (plan.replacements === 'stillborn' || count++ === 0) await fresh?.reap()
        return fresh
      },
    }
  }
}
if (plan.outOfReach) {
  blind.start = async (made, bootstrap, signal, note) => {
    const allocation = await local.start(made, bootstrap, signal, note)
    const members = allocation.members.map(
      (member): Member => ({
        memberId: member.memberId,
        host: member.host,
        agentExited: member.agentExited,
        reap: () => member.reap(),
        spools: () => Promise.reject(new Error('the host does not answer')),
      }),
    )
    return { members, release: () => allocation.release() }
  }
}
if (plan.cutEvery !== undefined) {
  const streams = new Set<Duplex>()
  const { serve } = RelayServer.prototype
  RelayServer.prototype.serve = function (stream) {
    streams.add(stream)
    stream.once('close', () => streams.delete(stream))
    serve.call(this, stream)
  }
  const cut = () => {
    say({ cut: streams.size })
    for (const stream of streams) stream.destroy()
  }
  setInterval(cut, plan.cutEvery).unref()
}
say({ launcher: process.pid, keeper: keeper.pid })
const began = performance.now()
if (plan.deliverTo !== undefined) process.env['XDG_CACHE_HOME'] = plan.deliverTo
const outcome = await runGang({
  request: { address, step, size: plan.size, resources: step.resources },
  backend: plan.deliverTo === undefined ? (plan.apart ? blind : local) : { ...local, code: 'delivered' },
  compiled: { ...compiled, ...(plan.package ? { package: plan.package } : {}) },
  assignment: {
    address,
    datastore: datastore.location,
    description: compiled.description,
    parents: [{ step: 'start', task: '1' }],
    frames: [],
    parameters: {},
    user: 'tester',
    tags: [],
    temp: '/nowhere',
    ...(plan.timeoutMs === undefined ? {} : { timeoutMs: plan.timeoutMs }),
  },
  datastore,
  keeper,
  env: plan.env ?? {},
  signal: stop.signal,
  ...(plan.timeouts ? { timeouts: plan.timeouts } : {}),
  ...(plan.fanOut === undefined ? {} : { fanOut: plan.fanOut }),
  emit: (event) => say({ event, at: performance.now() - began }),
})
say({ outcome, tookMs: performance.now() - began })
await keeper.close()
await datastore.close()
