import type { Duplex } from 'node:stream'
import { messageOf } from '../../errors/base.js'
import { readJsonLine, writeJsonLine } from '../lines.js'
import type { FileHere } from './copy-here.js'

/** First line of a copy. */
export interface CopyHeader {
  readonly target: string
  /** Bytes. */
  readonly size: number
  readonly mode: number
  /** Nodes to which the receiver passes it on while it comes, one behind the other. */
  readonly behind: readonly number[]
  /** The id of a sealed copy, whose bytes come another way. */
  readonly seal?: string
  /** To a member of the same host: no bytes come, it takes them from there. */
  readonly here?: FileHere
}

/** How it went at one node; `unreached`: nothing is known of it, since one before it in the chain broke. */
export interface CopyResult {
  readonly node: number
  readonly error?: string
  readonly code?: string
  readonly unreached?: boolean
}

/** Opens the connection for a copy to a node. */
export type DialCopy = (node: number) => Promise<Duplex>

/** Bytes of the answer's line. */
const LIMIT = 256 << 10
/** Members of one chain: longer ones take longer to fill than they save. */
const LONGEST = 16
/** Bytes from which on passing on is worth the dialling one after the other, and a helper its start. */
export const WORTH = 4 << 20

/** The chains in which nodes get a file of so many bytes: each list is passed on along itself. */
export function chainsFor(nodes: readonly number[], size: number): number[][] {
  if (size < WORTH) return nodes.map((node) => [node])
  const chains = Math.ceil(nodes.length / LONGEST)
  const length = Math.ceil(nodes.length / Math.max(1, chains))
  return Array.from({ length: chains }, (_, index) => nodes.slice(index * length, (index + 1) * length))
}

/** The way from a member to those behind it in a chain. What breaks there does not disturb the member itself. */
export class CopyOnward {
  #stream: Duplex | undefined
  #error = 'the connection broke'
  readonly #behind: readonly number[]

  private constructor(behind: readonly number[]) {
    this.#behind = behind
  }

  /** Dials the next of the chain, where there is one, and tells it what comes. */
  static async begin(header: CopyHeader, dial: DialCopy): Promise<CopyOnward> {
    const [next, ...behind] = header.behind
    const onward = new CopyOnward(header.behind)
    if (next === undefined) return onward
    try {
      const stream = await dial(next)
      stream.on('error', () => {})
      stream.once('close', () => {
        onward.#stream = undefined
      })
      writeJsonLine(stream, { ...header, behind })
      onward.#stream = stream
    } catch (error) {
      onward.#error = messageOf(error)
    }
    return onward
  }

  /** Passes a piece on; settles when there is room for more. */
  async write(piece: Uint8Array): Promise<void> {
    if (this.#stream) await writeOn(this.#stream, piece, never)
  }

  /** Tells the digest, and gives what those behind answer. */
  async finish(sha256: string, signal: AbortSignal): Promise<readonly CopyResult[]> {
    const stream = this.#stream
    try {
      if (!stream) throw new Error(this.#error)
      writeJsonLine(stream, { sha256 })
      return resultsIn(await readJsonLine(stream, LIMIT, signal))
    } catch (error) {
      return unreached(this.#behind, messageOf(error))
    } finally {
      stream?.destroy()
    }
  }

  close(): void {
    this.#stream?.destroy()
  }
}

const never = new AbortController().signal

/** Writes a piece and waits for room; false when the stream has ended, or the wait was aborted. */
export async function writeOn(stream: Duplex, piece: Uint8Array, signal: AbortSignal): Promise<boolean> {
  if (stream.destroyed) return false
  if (stream.write(piece)) return true
  await new Promise<void>((done) => {
    const wake = () => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, wake)
      signal.removeEventListener('abort', wake)
      done()
    }
    for (const event of ['drain', 'close', 'error']) stream.on(event, wake)
    signal.addEventListener('abort', wake)
  })
  return !stream.destroyed && !signal.aborted
}

/** Of nodes to which nobody knows whether anything came. */
export const unreached = (nodes: readonly number[], error: string): readonly CopyResult[] =>
  nodes.map((node) => ({ node, error, unreached: true }))

/** What arrived is not what was sent. */
export const contentError = (what: string): Error => Object.assign(new Error(what), { code: 'E_GANG_COPY_CONTENT' })

export function resultsIn(line: Record<string, unknown>): readonly CopyResult[] {
  if (Array.isArray(line['results'])) return line['results'] as CopyResult[]
  throw new Error('an answer that is none')
}
