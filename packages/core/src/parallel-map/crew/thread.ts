import { Worker } from 'node:worker_threads'
import { messageOf } from '../../errors/base.js'
import {
  boardBytes,
  claimed,
  type FromWorker,
  firstLane,
  laneWords,
  mostLanes,
  rangeEnd,
  type WorkerStart,
  yielding,
} from '../protocol.js'
import type { HandleOptions, Held, WorkerEvents, WorkerHandle } from './handle.js'
import { workerSource } from './worker-source.js'

/** Starts a worker thread. Flags of this process (`--import tsx`) are not passed on: functions travel compiled. */
export function startThread({ worker, heap }: HandleOptions, events: WorkerEvents): WorkerHandle {
  const buffer = new SharedArrayBuffer(boardBytes)
  const board = new Int32Array(buffer)
  const start: WorkerStart = { worker, board: buffer, url: import.meta.url }
  const thread = new Worker(workerSource(), {
    eval: true,
    execArgv: [],
    workerData: start,
    name: `gangflow map ${worker}`,
    ...(heap === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heap } }),
  })
  let ended: Promise<unknown> | undefined
  let cause: { error: unknown } | undefined
  const held = (): Held[] => {
    const all: Held[] = []
    for (let lane = 0; lane < mostLanes; lane++) {
      const at = firstLane + lane * laneWords
      if (board[at + 1] !== 0) all.push({ lane, batch: board[at]!, position: board[at + 1]! - 1 })
    }
    return all
  }
  thread.on('message', (message: FromWorker) => events.message(message))
  thread.on('messageerror', (error) => (cause = { error }))
  thread.on('error', (error) => (cause = { error }))
  thread.once('exit', (code) => {
    events.gone({ how: wordsFor(code, cause?.error), cause: cause?.error, held: held() })
  })
  return {
    moves: true,
    post: (message, moved) => thread.postMessage(message, moved as ArrayBuffer[]),
    takeBack: (batch) => Atomics.compareExchange(board, claimed, batch - 1, batch) === batch - 1,
    askBack: (batch) => Atomics.store(board, yielding, batch),
    held,
    claimedTo: () => board[rangeEnd]!,
    memory: () => undefined,
    kill: async () => {
      ended ??= thread.terminate()
      await ended
    },
    keepAlive: (yes) => (yes ? thread.ref() : thread.unref()),
  }
}

function wordsFor(code: number, error: unknown): string {
  if (error === undefined) return `exited with code ${code}`
  if ((error as { code?: string }).code === 'ERR_WORKER_OUT_OF_MEMORY') return 'ran out of memory'
  return `was ended by an error that nothing caught: ${messageOf(error)}`
}
