// What a worker runs: a thread, or a process that was given a channel and a pipe for its marks.
import { writeSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { move } from '../move.js'
import { type FromWorker, firstLane, laneWords, markPipe, type ToWorker, type WorkerStart } from '../protocol.js'
import { shared } from '../shared.js'
import { inWorker } from './in-worker.js'
import type { Link } from './link.js'
import { WorkerMain } from './main.js'

function threadLink(board: Int32Array): Link {
  return {
    board,
    post: (message, moved) => parentPort!.postMessage(message, moved),
    mark: (lane, batch, position) => {
      const at = firstLane + lane * laneWords
      board[at] = batch
      board[at + 1] = position
    },
  }
}

function processLink(): Link {
  const words = new Int32Array(3)
  const bytes = new Uint8Array(words.buffer)
  return {
    board: undefined,
    // A parent that has gone is heard of by the channel's end: an error of its own would be printed.
    post: (message: FromWorker) => process.send!(message, () => {}),
    mark: (lane, batch, position) => {
      words.set([lane, batch, position])
      writeSync(markPipe, bytes)
    },
  }
}

/** Ends this process when its parent is gone, also while an item keeps the main thread from hearing of it. */
function watchParent(): void {
  const watch = `const parent = ${process.ppid}
    setInterval(() => process.ppid === parent || process.kill(process.pid, 'SIGKILL'), 500)`
  new Worker(watch, { eval: true, execArgv: [], name: 'gangflow watch' }).unref()
}

function serve(start: WorkerStart, link: Link, listen: (receive: (message: ToWorker) => void) => void): void {
  inWorker.set()
  const own = async (name: string): Promise<unknown> => {
    if (name === 'move') return move
    if (name === 'shared') return shared
    return ((await import(start.url)) as Record<string, unknown>)[name]
  }
  const main = new WorkerMain(link, start.worker, own)
  listen((message) => main.receive(message))
}

if (!isMainThread && parentPort) {
  const start = workerData as WorkerStart
  serve(start, threadLink(new Int32Array(start.board!)), (receive) => parentPort!.on('message', receive))
} else {
  process.once('disconnect', () => process.exit())
  // A terminal sends Ctrl-C to all: whether that ends the map is the program's to say, and its end is this one's.
  process.on('SIGINT', () => {})
  watchParent()
  process.once('message', (start) =>
    serve(start as WorkerStart, processLink(), (receive) =>
      process.on('message', (message) => receive(message as ToWorker)),
    ),
  )
}
