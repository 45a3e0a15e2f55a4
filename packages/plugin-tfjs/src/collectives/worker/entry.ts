import { workerData } from 'node:worker_threads'
import { Refusal } from './dial.js'
import { Engine } from './engine.js'
import { Links } from './links.js'
import { type FailureFacts, type FromWorker, HEARTBEAT, type ToWorker, type WorkerStart } from './protocol.js'

/** The thread that owns the sockets: it goes on while the main thread computes, or waits for it. */
const start = workerData as WorkerStart
const { port } = start
const post = (message: FromWorker) => port.postMessage(message)
const engine: Engine = new Engine(start, post, () => links.cutData())
const links = new Links(start, engine)
const state = new Int32Array(start.state)

const TICK_MS = 250
let last = performance.now()
let ticks = 0
const ticker = setInterval(() => {
  const now = performance.now()
  Atomics.add(state, HEARTBEAT, 1)
  ticks += 1
  // Who has itself been stopped, or kept from running, accuses nobody of silence.
  if (now - last > 4 * TICK_MS) for (const control of engine.controls) control.heard = now
  last = now
  if (ticks % 4 === 0) for (const control of engine.controls) control.beat()
  for (const control of engine.controls)
    if (engine.ready && !control.ended && now - control.heard > start.silenceMs)
      engine.gone(control.rank, `nothing was heard of it for ${start.silenceMs / 1000} s`)
  engine.tick(now)
}, TICK_MS)

/** What nobody foresaw is told, and not left to a thread that waits. */
process.on('uncaughtException', (error) =>
  engine.fail({
    code: 'E_TF_WORKER',
    what: `the thread of the collectives on rank ${start.rank} failed: ${error.stack ?? error}`,
    fix: 'this is a mistake of @gangflow/plugin-tfjs: report it with this message',
    rank: start.rank,
  }),
)

const failed = (error: unknown, otherwise: (message: string) => FailureFacts) =>
  engine.fail(error instanceof Refusal ? error.facts : otherwise((error as Error).message))

function close(): void {
  if (!engine.failure) engine.tell({ type: 'bye', rank: start.rank, calls: engine.made })
  engine.closing = true
  links.cutData()
  const open = engine.controls.filter(({ ended }) => !ended)
  let left = open.length
  const finish = () => {
    clearInterval(ticker)
    post({ type: 'closed' })
    port.close()
  }
  const timer = setTimeout(() => {
    for (const { socket } of open) socket.destroy()
  }, 1000)
  for (const { socket } of open) {
    socket.once('close', () => {
      left -= 1
      if (left > 0) return
      clearTimeout(timer)
      finish()
    })
    socket.end()
  }
  if (left === 0) {
    clearTimeout(timer)
    finish()
  }
}

port.on('message', (message: ToWorker) => {
  if (message.type === 'call') engine.call(message)
  else if (message.type === 'abandon') engine.abandon(message.sequence, message.why)
  else if (message.type === 'close') close()
  else
    links.connect(message.places).then(
      () => {
        engine.ready = true
        post({ type: 'ready' })
      },
      (error) => failed(error, (what) => ({ code: 'E_TF_CONNECT', what, fix: 'see the cause', rank: start.rank })),
    )
})

links.listen().then(
  ({ path, port: tcp }) =>
    post({ type: 'listening', ...(path === undefined ? {} : { path }), ...(tcp === undefined ? {} : { port: tcp }) }),
  (error) =>
    failed(error, (message) => ({
      code: 'E_TF_CONNECT',
      what: `rank ${start.rank} cannot listen: ${message}`,
      fix: 'give it an address of this machine at which nobody listens, or a path in a directory that you can write',
      rank: start.rank,
    })),
)
