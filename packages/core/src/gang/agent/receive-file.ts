import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { messageOf } from '../../errors/base.js'
import { readJsonLine, writeJsonLine } from '../lines.js'
import { type CopyHeader, CopyOnward, type CopyResult, contentError, type DialCopy, unreached } from './copy-chain.js'
import { copyHere, type FileHere, isHere } from './copy-here.js'
import { FileDigest } from './file-digest.js'
import { type SealedWays, takeSealed } from './sealed-copy.js'

/** Milliseconds without an answer after which a copy's header counts as lost. */
const HEADER_MS = 30_000
/** Milliseconds for the sender to come to its digest, which it begins with the first byte. */
const DIGEST_MS = 300_000
const LIMIT = 16 << 10
/** Bytes after which the digest is told of more. */
const STEP = 4 << 20

/**
 * The other end of a copy: written beside the target under another name, compared with what was sent, then renamed,
 * so that nobody reads half a file or a wrong one. Passed on to the next of the chain while it comes.
 */
export async function receiveFile(stream: Duplex, place: CopyPlace): Promise<void> {
  const { cwd, node } = place
  const gone = goneWith(stream)
  let part: string | undefined
  let behind: readonly number[] = []
  let further: readonly CopyResult[] | undefined
  const answer = (own: Omit<CopyResult, 'node'>, further: readonly CopyResult[]) =>
    writeJsonLine(stream, { results: [{ node, ...own }, ...further] })
  try {
    const header = await readHeader(stream)
    const { here, seal } = header
    behind = header.behind
    const binary = seal === undefined ? undefined : await place.sealed?.helper()
    if ((here && !(await isHere(here))) || (seal !== undefined && binary === undefined)) {
      writeJsonLine(stream, { plain: true })
      return void stream.end()
    }
    const target = resolve(cwd, header.target)
    // It is its own copy.
    if (here && (await isHere({ ...here, path: target }))) {
      answer({}, [])
      return void stream.end()
    }
    await mkdir(dirname(target), { recursive: true })
    part = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.part`)
    if (here) await copyHere(here, part, header.mode)
    else if (binary !== undefined)
      further = await takeSealed(stream, part, header, { ways: place.sealed!, binary, dial: place.dial, gone })
    else further = await takePlain(stream, part, header, place.dial, gone)
    await rename(part, target)
    answer({}, further ?? [])
  } catch (error) {
    if (part) await rm(part, { force: true })
    const { code, further: told } = error as { code?: unknown; further?: readonly CopyResult[] }
    const own = { error: messageOf(error), ...(code === 'E_GANG_COPY_CONTENT' ? { code } : {}) }
    answer(own, further ?? told ?? unreached(behind, `node ${node}, before it, failed`))
  }
  stream.end()
}

async function takePlain(
  stream: Duplex,
  part: string,
  header: CopyHeader,
  dial: DialCopy,
  gone: AbortSignal,
): Promise<readonly CopyResult[]> {
  const onward = await CopyOnward.begin(header, dial)
  try {
    const actual = await take(stream, part, header, onward)
    const { sha256 } = await readJsonLine(stream, LIMIT, AbortSignal.timeout(DIGEST_MS))
    const further = await onward.finish(String(sha256), gone)
    if (sha256 === actual) return further
    const what = `what arrived (SHA-256 ${actual}) is not what was sent (${String(sha256)}): the file changed meanwhile, or a byte on the way`
    throw Object.assign(contentError(what), { further })
  } finally {
    onward.close()
  }
}

/** Where a copy arrives. */
export interface CopyPlace {
  /** This member's own. */
  readonly node: number
  /** What relative targets mean. */
  readonly cwd: string
  readonly dial: DialCopy
  /** Absent where no member can be reached but through the mesh. */
  readonly sealed?: SealedWays | undefined
}

async function readHeader(stream: Duplex): Promise<CopyHeader> {
  const { target, size, mode, behind, seal, here } = await readJsonLine(stream, LIMIT, AbortSignal.timeout(HEADER_MS))
  return {
    target: String(target),
    size: Number(size),
    mode: Number(mode),
    behind: Array.isArray(behind) ? behind.map(Number) : [],
    ...(typeof seal === 'string' ? { seal } : {}),
    ...(here ? { here: here as FileHere } : {}),
  }
}

/** Aborted when the sender has gone: nobody wants the answer any more. */
function goneWith(stream: Duplex): AbortSignal {
  const gone = new AbortController()
  stream.once('close', () => gone.abort(new Error('the sender has gone')))
  return gone.signal
}

/** Writes `size` bytes, passing them on, and gives their digest as they are read back from the file. */
async function take(stream: Duplex, part: string, { mode, size }: CopyHeader, onward: CopyOnward): Promise<string> {
  const handle = await open(part, 'wx+', mode)
  const digest = new FileDigest(handle.fd)
  try {
    let written = 0
    let told = 0
    for await (const piece of exactly(stream, size)) {
      await Promise.all([onward.write(piece), writeWhole(handle, piece, written)])
      written += piece.length
      if (written < told + STEP) continue
      told = written
      digest.advance(told)
    }
    // As it was, whatever the umask here makes of a new file.
    const [sha256] = await Promise.all([digest.finish(size), handle.chmod(mode)])
    return sha256
  } finally {
    await digest.close()
    await handle.close()
  }
}

async function writeWhole(handle: FileHandle, piece: Buffer, at: number): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    done += (await handle.write(piece, done, piece.length - done, at + done)).bytesWritten
  }
}

/** The next `size` bytes of a stream that stays open; what follows them stays in it. */
async function* exactly(stream: Duplex, size: number): AsyncGenerator<Buffer> {
  for (let left = size; left > 0; ) {
    const chunk = stream.read() as Buffer | null
    if (chunk === null) {
      if (stream.readableEnded || stream.destroyed) throw new Error(`the sender ended ${left} bytes before the end`)
      await more(stream)
      continue
    }
    if (chunk.length > left) stream.unshift(chunk.subarray(left))
    const ours = chunk.subarray(0, left)
    left -= ours.length
    yield ours
  }
}

function more(stream: Duplex): Promise<void> {
  return new Promise((done) => {
    const wake = () => {
      for (const event of ['readable', 'end', 'close']) stream.off(event, wake)
      done()
    }
    for (const event of ['readable', 'end', 'close']) stream.on(event, wake)
  })
}
