import { setMaxListeners } from 'node:events'
import { availableParallelism, hostname } from 'node:os'
import type { ContextRequest } from '../../body/contract.js'
import type { Roster } from '../../current/roster.js'
import { keys } from '../../datastore/records.js'
import type { Json } from '../../flow/values.js'
import type { GangContext, GangPort } from '../../plugin/contract.js'
import { RELAYED } from '../store.js'
import { checkpoints } from './checkpoints.js'
import { collectDirectory } from './collect.js'
import { collectives, keyValue } from './collectives.js'
import { call, checkNode, type Link, nodeList, timeoutOf } from './link.js'
import { processes } from './processes.js'
import { shell } from './shell.js'
import { streams } from './streams.js'

/**
 * `current.parallel` and the plugins' context in a body: everything is asked of the member's own agent, over the
 * body's one connection. Loads nothing but what a body has anyway.
 */
export function makeContext(request: ContextRequest): GangContext {
  const { assignment, step, datastore } = request
  const roster = assignment.gang?.roster ?? alone()
  // Each call under way listens: a plugin may make many at once.
  setMaxListeners(0, request.signal)
  const listeners = new Map<string, ((data: Json, payload: Uint8Array) => void)[]>()
  request.onEvent((event, data, payload) => {
    for (const listener of listeners.get(event) ?? []) listener(data ?? null, payload)
  })
  const link: Link = {
    peer: request.peer,
    node: assignment.node,
    size: roster.entries.length,
    gang: assignment.gang !== undefined,
    step: step.name,
    signal: request.signal,
    on: (event, listener) => {
      listeners.set(event, [...(listeners.get(event) ?? []), listener])
    },
  }
  const control = roster.entries[0]!
  const { address } = assignment
  return {
    numNodes: link.size,
    nodeIndex: link.node,
    mainIp: control.addresses[0] ?? '127.0.0.1',
    controlTaskId: address.task,
    attempt: address.attempt,
    epoch: roster.epoch,
    roster,
    isControl: link.node === 0,
    ...collectives(link),
    kv: keyValue(link),
    checkpoint: checkpoints(datastore, address, roster.epoch),
    ...processes(link),
    ...streams(link),
    ...shell(link),
    signal: request.signal,
    step: step.name,
    taskId: address.task,
    resources: step.resources,
    temp: assignment.temp,
    flowDir: request.flowDir,
    sharedFolder() {
      if (datastore.location.startsWith(RELAYED)) return undefined
      const { flow, run, step: name, task, attempt } = address
      return datastore.scratch('files', flow, run, name, task, String(attempt))
    },
    async copy(file, options) {
      const targets = nodeList(link, options?.nodes ?? 'others').filter((node) => node !== link.node)
      await call(
        link,
        'gang.copy',
        { file, to: options?.to ?? null, nodes: targets, timeoutMs: timeoutOf(options) },
        options,
      )
    },
    async key(label) {
      return new Uint8Array((await call(link, 'gang.key', { label })).payload)
    },
    async reservePort(name, node = 0): Promise<GangPort> {
      const { result } = await call(link, 'gang.port', { name, node: checkNode(link, node) })
      return {
        node,
        port: result as number,
        async release() {
          await call(link, 'gang.port.release', { name, node })
        },
      }
    },
    async atEnd(undo, options) {
      const entry = 'run' in undo && undo.run.stdin ? { run: { ...undo.run, stdin: undefined } } : undo
      const nodes = nodeList(link, options?.nodes ?? [link.node])
      await call(link, 'gang.undo', { undo: entry as unknown as Json, nodes })
    },
    async record(name, plan) {
      await datastore.putRecord(keys.plan(address, link.node, name), plan)
    },
    async fail(casualty, cause) {
      const told = { casualty, ...(cause === undefined ? {} : { cause }) } as unknown as Json
      if (!link.gang) await call(link, 'gang.fail', told)
      // Also while the gang is being stopped: a cause may be known only then.
      else await link.peer.callFrame('gang.fail', told)
    },
    async collect(artifact, directory) {
      request.addArtifact(artifact, await collectDirectory(datastore, artifact, directory))
    },
    progress(data) {
      link.peer.event('progress', data)
    },
  }
}

/** The roster of an ordinary task, for plugins that also serve steps without a gang. */
const alone = (): Roster => ({
  epoch: 1,
  control: 'm0',
  entries: [
    { node: 0, memberId: 'm0', host: hostname(), addresses: ['127.0.0.1'], slots: availableParallelism(), gpus: [] },
  ],
})
