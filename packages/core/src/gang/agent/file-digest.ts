import type { Worker } from 'node:worker_threads'

/** A text, since the agent is one bundled file: reads as far as the file is said to be, in pieces. */
const program = `
const { parentPort, workerData } = require('node:worker_threads')
const { readSync } = require('node:fs')
const hash = require('node:crypto').createHash('sha256')
const piece = Buffer.allocUnsafe(1 << 20)
let at = 0
parentPort.on('message', ({ upTo, last }) => {
  while (at < upTo) {
    const length = readSync(workerData, piece, 0, Math.min(piece.length, upTo - at), at)
    if (length === 0) break
    hash.update(piece.subarray(0, length))
    at += length
  }
  if (!last) return
  parentPort.postMessage(hash.digest('hex'))
  parentPort.close()
})`

/** SHA-256 of a file's first bytes, computed in a thread of its own so that the agent never waits for it (D2). */
export class FileDigest {
  readonly #worker: Worker
  readonly #result: Promise<string>

  /** `fd` is open for reading, and stays so until the digest is finished or closed. */
  constructor(fd: number) {
    // Asked for here: most agents copy no file, and need not load it.
    const { Worker } = process.getBuiltinModule('node:worker_threads')
    this.#worker = new Worker(program, { eval: true, workerData: fd, execArgv: [] })
    this.#result = new Promise<string>((resolve, reject) => {
      this.#worker.once('message', resolve)
      this.#worker.once('error', reject)
      this.#worker.once('exit', () => reject(new Error('its digest was given up')))
    })
    this.#result.catch(() => {})
  }

  /** So many bytes are in the file by now: may be read while more of it is written. */
  advance(upTo: number): void {
    this.#worker.postMessage({ upTo, last: false })
  }

  /** The digest of the first `size` bytes, in hex. */
  finish(size: number): Promise<string> {
    this.#worker.postMessage({ upTo: size, last: true })
    return this.#result
  }

  /** Ends the thread; afterwards it reads no more. */
  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
