import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { Alone } from './alone.js'
import type { Collectives, ConnectOptions, Listen, Place } from './contract.js'
import { errorOf } from './failure.js'
import { Arena, makeMemory, ownGround } from './memory.js'
import { checkOptions, MOST_PATH, placesOf } from './options.js'
import { neighbours, SMALL_BYTES } from './plan.js'
import { HEADER_BYTES } from './shape.js'
import { SocketCollectives } from './sockets.js'
import { tcpTarget } from './worker/dial.js'
import { type FromWorker, type Layout, STATE_WORDS, type ToWorker, type WorkerStart } from './worker/protocol.js'
import { READ_BYTES } from './worker/stream.js'
import { packageVersion, workerSource } from './worker-source.js'

/**
 * Connects this rank with the others and settles when all connections of this rank stand. Errors: `E_TF_OPTIONS`,
 * `E_TF_CONNECT` (names the ranks that are missing, and why), `E_TF_SECRET`, `E_TF_VERSION`, `E_TF_RANK_LOST`.
 *
 * Connections are authenticated by the secret in both directions, not encrypted.
 */
export async function connect(options: ConnectOptions): Promise<Collectives> {
  const { rank, size, signal } = options
  const settings = checkOptions(options)
  signal?.throwIfAborted()
  if (size === 1) return new Alone(rank, size, new Arena(makeMemory(0), ownGround(0)))
  const { layout, end } = layOut(rank, size)
  const memory = makeMemory(end)
  const state = new SharedArrayBuffer(STATE_WORDS * 4)
  const { port1, port2 } = new MessageChannel()
  const doors = whereToListen(options)
  const start: WorkerStart = {
    port: port2,
    rank,
    size,
    secret: options.secret,
    name: options.name ?? '',
    version: packageVersion(),
    memory,
    layout,
    state,
    listen: doors.listen,
    connectTimeoutMs: settings.connectTimeoutMs,
    silenceMs: settings.silenceMs,
  }
  const worker = new Worker(workerSource(), {
    eval: true,
    workerData: start,
    transferList: [port2],
    env: {},
    execArgv: [],
    name: 'gangflow collectives',
  })
  try {
    await meet(options, worker, port1, doors)
  } catch (error) {
    await worker.terminate()
    throw error
  } finally {
    if (doors.temporary) rmSync(doors.temporary, { recursive: true, force: true })
  }
  worker.unref()
  const arena = new Arena(memory, ownGround(end))
  return new SocketCollectives(rank, size, arena, settings.timeoutMs, worker, port1, new Int32Array(state), signal)
}

/** From the worker's listening to its last connection. */
async function meet(options: ConnectOptions, worker: Worker, port: MessagePort, doors: Doors): Promise<void> {
  const { addresses, signal } = options
  const send = (message: ToWorker) => port.postMessage(message)
  await new Promise<void>((resolve, reject) => {
    const aborted = () => {
      send({ type: 'abandon', sequence: 0, why: String(signal!.reason) })
      reject(signal!.reason)
    }
    const over = (settle: () => void) => {
      signal?.removeEventListener('abort', aborted)
      worker.removeAllListeners()
      port.off('message', heard)
      settle()
    }
    const heard = (message: FromWorker) => {
      if (message.type === 'failed') over(() => reject(errorOf(message.facts)))
      else if (message.type === 'ready') over(resolve)
      else if (message.type === 'listening') {
        const places =
          typeof addresses === 'function' ? addresses(doors.place(message)) : Promise.resolve(placesOf(addresses))
        places.then(
          (all) => send({ type: 'connect', places: all }),
          (error) => over(() => reject(error)),
        )
      }
    }
    signal?.addEventListener('abort', aborted, { once: true })
    worker.once('error', (error) => over(() => reject(error)))
    worker.once('exit', () => over(() => reject(new Error('the thread of the collectives ended'))))
    port.on('message', heard)
  })
}

interface Doors {
  readonly listen: WorkerStart['listen']
  /** Made for the socket; removed when all are connected. */
  readonly temporary?: string
  place(listening: { readonly path?: string; readonly port?: number }): Place
}

function whereToListen({ addresses, rank, listen }: ConnectOptions): Doors {
  if (typeof addresses !== 'function') {
    const own = addresses[rank]!
    return {
      listen: own.startsWith('/') ? { path: own } : { tcp: tcpTarget(own) },
      place: () => placesOf([own])[0]!,
    }
  }
  const wanted: Listen = listen ?? { host: '127.0.0.1', directory: tmpdir() }
  const temporary = wanted.directory === undefined ? undefined : socketDirectory(wanted.directory)
  return {
    listen: {
      ...(temporary === undefined ? {} : { path: join(temporary, 's') }),
      ...(wanted.host === undefined ? {} : { tcp: { host: wanted.host, port: 0 } }),
    },
    ...(temporary === undefined ? {} : { temporary }),
    place: ({ path, port }) => ({
      machine: thisMachine(),
      ...(path === undefined ? {} : { path }),
      ...(port === undefined ? {} : { tcp: [tcpAddress(wanted.host!, port)] }),
    }),
  }
}

export const tcpAddress = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** A new directory that only we can enter; elsewhere when the path of a socket in it would be too long. */
function socketDirectory(within: string): string {
  const fits = Buffer.byteLength(join(within, 'gf-XXXXXX', 's')) <= MOST_PATH
  return mkdtempSync(join(fits ? within : tmpdir(), 'gf-'))
}

/** The same where paths are the same files: one boot, one host name, one mount namespace. */
function thisMachine(): string {
  const part = (read: () => string): string => {
    try {
      return read().trim()
    } catch {
      return ''
    }
  }
  return [
    hostname(),
    part(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    part(() => readlinkSync('/proc/self/ns/mnt')),
  ].join('/')
}

/** Places at the beginning of the shared memory for what the connections need. */
function layOut(rank: number, size: number): { readonly layout: Layout; readonly end: number } {
  const { from, to } = neighbours(rank, size)
  let end = 0
  const take = (bytes: number) => {
    const at = end
    end += Math.ceil(bytes / 64) * 64
    return at
  }
  const incoming = new Map(
    from.map((other) => [other, { scratch: take(READ_BYTES), landing: take(SMALL_BYTES), side: take(16) }]),
  )
  const outgoing = new Map(to.map((other) => [other, take(HEADER_BYTES + SMALL_BYTES)]))
  return { layout: { incoming, outgoing }, end }
}
