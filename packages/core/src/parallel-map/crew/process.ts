import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { type FromWorker, markPipe, type WorkerStart } from '../protocol.js'
import type { HandleOptions, Held, WorkerEvents, WorkerHandle } from './handle.js'
import { workerSource } from './worker-source.js'

/** Takes the program from the channel: as an argument it would show in every list of processes. */
const bootstrap = "process.once('message',s=>{new Function('require',s)(require)});process.title='gangflow map'"

/** Starts a worker process. It ends with this one: at the end of its channel. */
export function startProcess({ worker, heap }: HandleOptions, events: WorkerEvents): WorkerHandle {
  const child = spawn(
    process.execPath,
    [...(heap === undefined ? [] : [`--max-old-space-size=${heap}`]), '-e', bootstrap],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
      serialization: 'advanced',
    },
  )
  const marks = child.stdio[markPipe] as Readable
  const lanes = new Map<number, Held>()
  readMarks(marks, lanes)
  let failed: unknown
  let finished = false
  const start: WorkerStart = { worker, board: undefined, url: import.meta.url }
  const ended = new Promise<void>((resolve) => {
    const gone = (how: string): void => {
      if (finished) return
      finished = true
      events.gone({ how, cause: failed, held: [...lanes.values()] })
      resolve()
    }
    // 'close' comes once the marks are read to their end.
    child.once('close', (code, signal) => gone(signal ? `was ended by ${signal}` : `exited with code ${code}`))
    child.once('error', (error) => {
      failed = error
      if (child.pid === undefined) gone('could not be started')
    })
  })
  child.on('message', (message) => events.message(message as FromWorker))
  // Each is listened for by what the one before it made.
  child.send(workerSource(), () => {})
  child.send(start, () => {})
  return {
    moves: false,
    post: (message) => {
      if (child.connected) child.send(message, () => {})
    },
    takeBack: () => false,
    askBack: () => {},
    held: () => [...lanes.values()],
    claimedTo: () => 0,
    memory: () => residentBytes(child.pid),
    kill: () => {
      child.kill('SIGKILL')
      return ended
    },
    keepAlive: (yes) => {
      if (yes) child.ref()
      else child.unref()
      const pipe = marks as unknown as { ref(): void; unref(): void }
      if (yes) pipe.ref()
      else pipe.unref()
      const channel = child.channel as { ref(): void; unref(): void } | null | undefined
      if (yes) channel?.ref()
      else channel?.unref()
    },
  }
}

/** Keeps which item each lane holds: three words (lane, batch, position plus one) a mark. */
function readMarks(marks: Readable, lanes: Map<number, Held>): void {
  let rest: Buffer = Buffer.alloc(0)
  marks.on('error', () => {})
  marks.on('data', (data: Buffer) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data])
    const whole = rest.length - (rest.length % 12)
    for (let at = 0; at < whole; at += 12) {
      const [lane, batch, position] = [rest.readInt32LE(at), rest.readInt32LE(at + 4), rest.readInt32LE(at + 8)]
      if (position === 0) lanes.delete(lane)
      else lanes.set(lane, { lane, batch, position: position - 1 })
    }
    rest = rest.subarray(whole)
  })
}

function residentBytes(pid: number | undefined): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096
  } catch {
    return undefined
  }
}
