import { randomBytes } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import { messageOf } from '../../errors/base.js'
import { signalWithin } from '../../errors/signal-within.js'
import { type Copier, startCopier } from '../../process/copier.js'
import { readJsonLine, writeJsonLine } from '../lines.js'
import { type CopyHeader, type CopyResult, contentError, type DialCopy, resultsIn, unreached } from './copy-chain.js'
import type { PeerDoors } from './peers.js'

/**
 * A large file's way between hosts. What is said goes over the mesh; the bytes go over a bare connection beside it, from one
 * native helper to the other, in pieces of AES-128-GCM under a key that the gang derives for this copy alone. Members
 * pass the sealed pieces on as they are, so that each opens what the sender has sealed: the tags are the checksum.
 *
 * On the mesh: a line `{target, size, mode, behind, seal}`, the answer `{token}` (or `{plain}`: it cannot), a bare
 * connection with that token, the answer `{ready}`, the bytes; then `{same}` or `{changed}`, and the answer `{results}`.
 */
export interface SealedWays extends PeerDoors {
  /** The native helper, where there is one and it can copy on this processor. */
  helper(): Promise<string | undefined>
  /** 16 bytes: the same for an id on every member of the gang. */
  key(id: string): Uint8Array
}

/** Milliseconds for an answer at once, for the bare connection, and until all of a chain are ready. */
const ANSWER_MS = 30_000
const DOOR_MS = 5_000
const READY_MS = 60_000
/** For a receiver to say why it stopped. */
const WHY_MS = 5_000
const LIMIT = 256 << 10

/** Sends along one chain; undefined where the first of it cannot take it so: nothing has been sent then. */
export async function sendSealed(
  first: number,
  { file, header, dial, ways, binary, changed, signal, sent }: SealedSending,
): Promise<readonly CopyResult[] | undefined> {
  const stream = await dial(first)
  try {
    const seal = randomBytes(16).toString('hex')
    const way = await enter(stream, first, { ...header, seal }, ways, signal)
    if (way === undefined || 'results' in way) return way?.results
    const copier = startCopier({
      ...{ binary, act: 'seal', size: header.size, key: ways.key(seal), file: file.fd },
      ...{ socket: way.socket, signal, onProgress: sent },
    })
    try {
      await copier.done
    } catch (error) {
      if (signal.aborted || (error as { where?: unknown }).where !== 'send') throw error
      // Its reason is worth more than the broken connection.
      const line = await readJsonLine(stream, LIMIT, AbortSignal.timeout(WHY_MS)).catch(() => undefined)
      if (!line) throw error
      return resultsIn(line)
    }
    const what = await changed()
    writeJsonLine(stream, what === undefined ? { same: true } : { changed: what })
    return resultsIn(await readJsonLine(stream, LIMIT, signal))
  } finally {
    stream.destroy()
  }
}

export interface SealedSending {
  readonly file: FileHandle
  readonly header: CopyHeader
  readonly dial: DialCopy
  readonly ways: SealedWays
  readonly binary: string
  /** What has changed of the file since it was opened. */
  readonly changed: () => Promise<string | undefined>
  readonly signal: AbortSignal
  readonly sent: (bytes: number) => void
}

/** Tells a member what comes and enters its door; `results`: it has given up by itself; undefined: it cannot do this. */
async function enter(stream: Duplex, node: number, header: CopyHeader, ways: SealedWays, signal: AbortSignal) {
  const within = (ms: number) => signalWithin(ms, signal)
  writeJsonLine(stream, header)
  const { token } = await readJsonLine(stream, LIMIT, within(ANSWER_MS))
  if (typeof token !== 'string') return undefined
  // Whoever forwards the mesh's port only, by SSH, may be unreachable so.
  const socket = await ways.enterDoor(node, token, within(DOOR_MS)).catch(() => undefined)
  if (!socket) return undefined
  try {
    const line = await readJsonLine(stream, LIMIT, within(READY_MS))
    if (line['ready'] === true) return { socket }
    socket.destroy()
    return { results: resultsIn(line) }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** Takes a sealed copy into a new file, and passes it on; gives what those behind answer. */
export async function takeSealed(
  stream: Duplex,
  part: string,
  header: CopyHeader,
  { ways, binary, dial, gone }: SealedTaking,
): Promise<readonly CopyResult[]> {
  const { size, mode, behind, seal = '' } = header
  const door = ways.openDoor(signalWithin(ANSWER_MS, gone))
  writeJsonLine(stream, { token: door.token })
  const onward = passOn(header, ways, dial, gone)
  const socket = await door.socket.catch((error: unknown) => {
    void onward.then((next) => next?.stream.destroy())
    throw error
  })
  const next = await onward
  let handle: FileHandle | undefined
  try {
    handle = await open(part, 'wx', mode)
    const copier: Copier = startCopier({
      ...{ binary, act: 'open', size, key: ways.key(seal), file: handle.fd },
      ...{ socket, onward: next?.socket, signal: gone },
    })
    writeJsonLine(stream, { ready: true })
    await copier.done
    const verdict = await readJsonLine(stream, LIMIT, gone)
    const further = next ? await answersOf(next.stream, verdict, behind, copier, gone) : unreached(behind, 'no way')
    if (verdict['same'] !== true) throw Object.assign(contentError(String(verdict['changed'])), { further })
    // As it was, whatever the umask here makes of a new file.
    await handle.chmod(mode)
    return further
  } finally {
    socket.destroy()
    next?.socket.destroy()
    next?.stream.destroy()
    await handle?.close()
  }
}

export interface SealedTaking {
  readonly ways: SealedWays
  readonly binary: string
  readonly dial: DialCopy
  /** Aborted when the sender has gone. */
  readonly gone: AbortSignal
}

/** The next of the chain, ready to take; undefined where there is none, or no way of this kind to it. */
async function passOn({ behind, ...header }: CopyHeader, ways: SealedWays, dial: DialCopy, gone: AbortSignal) {
  const [next, ...further] = behind
  if (next === undefined) return undefined
  const stream = await dial(next).catch(() => undefined)
  if (!stream) return undefined
  stream.on('error', () => {})
  const way = await enter(stream, next, { ...header, behind: further }, ways, gone).catch(() => undefined)
  if (way && 'socket' in way) return { stream, socket: way.socket }
  stream.destroy()
  return undefined
}

async function answersOf(
  stream: Duplex,
  verdict: Record<string, unknown>,
  behind: readonly number[],
  copier: Copier,
  signal: AbortSignal,
): Promise<readonly CopyResult[]> {
  try {
    if (copier.onwardLost === undefined) writeJsonLine(stream, verdict)
    return resultsIn(await readJsonLine(stream, LIMIT, signal))
  } catch (error) {
    return unreached(behind, copier.onwardLost ?? messageOf(error))
  }
}
