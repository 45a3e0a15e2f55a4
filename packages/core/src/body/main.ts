import { dirname } from 'node:path'
import { loadFlow } from '../compile/load-flow.js'
import type { Datastore } from '../datastore/contract.js'
import { openDatastoreSync } from '../datastore/open.js'
import type { Around } from '../datastore/patient.js'
import type { FlowClass } from '../flow/invocation.js'
import type { Json } from '../flow/values.js'
import { takeUpCertificates } from '../process/extra-certificates.js'
import type { BodyState, MakeContext } from './contract.js'
import { diskWaitPath, noteDiskWaits } from './disk-wait.js'
import { errorFacts } from './facts.js'
import { dial } from './greet.js'
import { guardStep } from './guard.js'
import { lastWordsPath } from './last-words.js'
import { forwardMapProgress } from './map-progress.js'
import type { Peer } from './peer.js'
import { perform } from './perform.js'
import type { Assignment, Completion } from './protocol.js'
import { flushStreams, writeThrough } from './streams.js'

export interface BodyComposition {
  readonly makeContext: MakeContext
  /** What a flow imports of core. */
  readonly core: Record<string, unknown>
}

/** A body process, from its start to its end: `node body.cjs SOCKET NAME BUNDLE FILE`. Says nothing on its own streams. */
export async function bodyMain({ makeContext, core }: BodyComposition): Promise<void> {
  const [socket, name, bundle, file] = process.argv.slice(2) as [string, string, string, string]
  process.argv = [process.argv[0]!, file]
  takeUpCertificates()
  writeThrough()
  // What the flow's modules throw is told by the task that needs them.
  let flow: Promise<FlowClass> | undefined
  const load = () => {
    flow ??= loadFlow(bundle, file, core)
    flow.catch(() => {})
    return flow
  }
  const around = noteDiskWaits(diskWaitPath(socket, name))
  const stop = new AbortController()
  const listeners: ((event: string, data: Json | undefined, payload: Uint8Array) => void)[] = []
  const peer = await dial(
    socket,
    { role: 'body', name, pid: process.pid },
    {
      name: 'the host of this body',
      methods: {
        // The call may come together with the welcome, before `dial` has given the peer.
        run: async (params, _, { peer }) => {
          const body = {
            peer,
            load,
            makeContext,
            words: lastWordsPath(socket, name),
            around,
            signal: stop.signal,
            listeners,
          }
          return (await runTask(body, params as unknown as Assignment)) as unknown as Json
        },
      },
      onEvent: (event, data, payload) => {
        if (event === 'bye') process.exit(0)
        if (event === 'stop') stop.abort(new Error(String((data as { why?: string } | undefined)?.why ?? 'stopped')))
        for (const listener of listeners) listener(event, data, payload)
      },
    },
  )
  // After the hello: a file that takes long at its top level is no body that does not come up.
  void load()
  // Without its host a body has nobody to work for.
  void peer.closed.then(() => process.exit(1))
}

interface Body {
  readonly peer: Peer
  load(): Promise<FlowClass>
  readonly makeContext: MakeContext
  readonly words: string
  readonly around: Around
  readonly signal: AbortSignal
  readonly listeners: ((event: string, data: Json | undefined, payload: Uint8Array) => void)[]
}

const stores = new Map<string, Datastore>()

/** One task: its Completion, whatever happens. */
async function runTask(body: Body, assignment: Assignment): Promise<Completion> {
  const { peer, signal, makeContext, listeners } = body
  const step = assignment.address.step
  const tell = (state: BodyState) => peer.event('state', state)
  // One that is used again may have been left elsewhere.
  process.chdir(dirname(assignment.description.file))
  const guard = guardStep(step, body.words)
  // From here on only open calls keep this process alive, so that a wait without hope is noticed.
  peer.background = true
  listeners.length = 0
  const quiet = forwardMapProgress(peer)
  try {
    const store = stores.get(assignment.datastore) ?? openDatastoreSync(assignment.datastore, { around: body.around })
    stores.set(assignment.datastore, store)
    const work = body.load().then((flowClass) =>
      perform({
        assignment,
        flowClass,
        store,
        peer,
        signal,
        makeContext,
        tell,
        onEvent: (listener) => listeners.push(listener),
        ...(assignment.inspect ? { beforeStep: () => waitForDebugger(peer) } : {}),
      }),
    )
    const completion = await Promise.race([work, guard.failed])
    // What was rejected and not caught comes to light once the microtasks are done.
    await Promise.race([new Promise((resolve) => setImmediate(resolve)), guard.failed])
    return completion
  } catch (error) {
    return { ok: false, error: errorFacts(error, step) }
  } finally {
    peer.background = false
    quiet()
    await flushStreams()
    guard.release()
  }
}

async function waitForDebugger(peer: Peer): Promise<void> {
  const inspector = await import('node:inspector')
  inspector.open(0, '127.0.0.1')
  peer.event('inspect', inspector.url() ?? '')
  await peer.flushed()
  inspector.waitForDebugger()
  // biome-ignore lint/suspicious/noDebugger: this is where the person asked to stop
  debugger
}
