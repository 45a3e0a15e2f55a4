import { type FileHandle, open } from 'node:fs/promises'
import { isAbsolute, relative, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { GangflowError, messageOf } from '../../errors/base.js'
import { readJsonLine, writeJsonLine } from '../lines.js'
import { type CopyHeader, type CopyResult, chainsFor, resultsIn, WORTH, writeOn } from './copy-chain.js'
import { refused, tooLate } from './copy-errors.js'
import { identityOf } from './copy-here.js'
import { CopyMeter, type CopyProgress } from './copy-meter.js'
import { FileDigest } from './file-digest.js'
import { type SealedWays, sendSealed } from './sealed-copy.js'

/** The sender's ways to the others. */
export interface CopyWays {
  dial(node: number, purpose: 'copy'): Promise<{ readonly stream: Duplex }>
  /** Members that see this one's disk: they copy by themselves. */
  readonly onOneHost?: boolean
  readonly sealed?: SealedWays | undefined
}

/** Bytes that are read at once. */
const PIECE = 256 << 10

export interface CopyRequest {
  readonly file: string
  readonly to: string | null
  readonly nodes: readonly number[]
  readonly cwd: string
  readonly timeoutMs: number
  /** Told once a second what has been sent to whom gets it slowest; not of a copy that is done before. */
  readonly onProgress?: (progress: CopyProgress) => void
}

/**
 * Sends a file to the same place under other members' working directories (or to `to`); a large one goes from member
 * to member while it comes, so that this one sends it once. Rejects naming the node that could not take it, that got
 * other bytes, or that was still waited for at the deadline.
 *
 * On the wire: a line `{target, size, mode, behind}`, the bytes, a line `{sha256}`; the answer is a line `{results}`. A
 * large file goes another way where there is one (sealed-copy.ts), and to members of the same host none at all
 * (`{…, here}`, answered at once): who cannot do that answers `{plain}`, and gets it as above.
 */
export async function sendFile(ways: CopyWays, request: CopyRequest, signal: AbortSignal): Promise<void> {
  const source = resolve(request.cwd, request.file)
  const file = await openFile(source)
  const { size, mode } = await file.stat()
  const header = { target: targetOf(source, request), size, mode: mode & 0o777, behind: [] }
  const waiting = new Set(request.nodes)
  const late = AbortSignal.timeout(Math.min(request.timeoutMs, 2 ** 31 - 1))
  const all = AbortSignal.any([signal, late])
  // Read beside the sending, once for all members that want it.
  let digest: FileDigest | undefined
  let sha256: Promise<string> | undefined
  const sum = () => {
    digest ??= new FileDigest(file.fd)
    sha256 ??= digest.finish(size)
    return sha256
  }
  all.addEventListener('abort', () => void digest?.close(), { once: true })
  const is = await identityOf(file)
  const changed = async () => ((await identityOf(file)) === is ? undefined : 'the file changed while it was sent')
  const binary = size < WORTH ? undefined : await ways.sealed?.helper()
  const dial = async (node: number) => (await ways.dial(node, 'copy')).stream
  /** The best way first. */
  const send = async (first: number, chain: CopyHeader, sent: (bytes: number) => void) => {
    const { onOneHost, sealed } = ways
    const own = onOneHost && (await tellHere(await dial(first), { ...chain, here: { path: source, is } }, all))
    if (own) return own
    const other =
      sealed &&
      binary &&
      (await sendSealed(first, {
        ...{ file, header: chain, dial, ways: sealed },
        ...{ binary, changed, signal: all, sent },
      }))
    if (other) return other
    return sendTo(await dial(first), file, chain, sum(), all, sent)
  }
  const failed = new Map<number, GangflowError>()
  const meter = new CopyMeter(source, size, request.nodes.length, request.onProgress)
  const settle = (node: number, cause?: unknown) => {
    waiting.delete(node)
    if (cause !== undefined) failed.set(node, GangflowError.is(cause) ? cause : refused(source, node, cause))
  }
  /** Along one chain; gives the nodes of which nothing is known. */
  const along = async ([first, ...behind]: readonly number[]): Promise<number[]> => {
    const unreached: number[] = []
    const sent = meter.begin()
    try {
      for (const { node, error, code, unreached: unknown } of await send(first!, { ...header, behind }, sent)) {
        if (unknown) unreached.push(node)
        else settle(node, error === undefined ? undefined : Object.assign(new Error(error), { code }))
      }
    } catch (cause) {
      if (late.aborted) failed.set(first!, tooLate(source, size, request.timeoutMs, [...waiting], first!, cause))
      else settle(first!, cause)
      if (!all.aborted) unreached.push(...behind)
    }
    return unreached
  }
  try {
    const unreached = (
      await Promise.all(
        (ways.onOneHost ? request.nodes.map((node) => [node]) : chainsFor(request.nodes, size)).map(along),
      )
    ).flat()
    // One in a chain broke: those behind it get theirs straight from here.
    await Promise.all(unreached.map((node) => along([node])))
  } finally {
    meter.close()
    await digest?.close()
    await file.close()
  }
  const [first] = failed.values()
  if (first) throw first
}

async function openFile(source: string): Promise<FileHandle> {
  const file = await open(source, 'r').catch((cause: unknown) => {
    throw new GangflowError(
      { code: 'E_GANG_COPY', what: `copy cannot read ${source}: ${messageOf(cause)}`, fix: 'check the path' },
      { cause },
    )
  })
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw new GangflowError({
    code: 'E_GANG_COPY',
    what: `copy takes a file, ${source} is none`,
    fix: 'copy its files one by one, or pack it',
  })
}

function targetOf(source: string, { to, cwd }: CopyRequest): string {
  const inside = relative(cwd, source)
  return to ?? (inside.startsWith('..') || isAbsolute(inside) ? source : inside)
}

/** To a member of the same host; undefined when it does not find the file. */
async function tellHere(stream: Duplex, header: CopyHeader, signal: AbortSignal) {
  try {
    writeJsonLine(stream, header)
    const line = await readJsonLine(stream, 256 << 10, signal)
    return line['plain'] === true ? undefined : resultsIn(line)
  } finally {
    stream.destroy()
  }
}

async function sendTo(
  stream: Duplex,
  file: FileHandle,
  header: CopyHeader,
  sha256: Promise<string>,
  signal: AbortSignal,
  sent: (bytes: number) => void,
): Promise<readonly CopyResult[]> {
  const { size } = header
  try {
    writeJsonLine(stream, header)
    await readThrough(file, size, stream, signal, sent)
    writeJsonLine(stream, { sha256: await sha256 })
    return resultsIn(await readJsonLine(stream, 256 << 10, signal))
  } finally {
    stream.destroy()
  }
}

/** The file's first bytes into a stream, no faster than it takes them. */
async function readThrough(
  file: FileHandle,
  size: number,
  stream: Duplex,
  signal: AbortSignal,
  sent: (bytes: number) => void,
): Promise<void> {
  for (let at = 0; at < size; ) {
    signal.throwIfAborted()
    const piece = Buffer.allocUnsafe(Math.min(PIECE, size - at))
    const { bytesRead } = await file.read(piece, 0, piece.length, at)
    if (bytesRead === 0) throw new Error('the file became shorter while it was sent')
    at += bytesRead
    if (!(await writeOn(stream, piece.subarray(0, bytesRead), signal))) throw new Error('the connection broke')
    sent(at)
  }
}
