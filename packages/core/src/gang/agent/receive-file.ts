import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { messageOf } from '../../errors/base.js'
import { readJsonLine, writeJsonLine } from '../lines.js'
import { type CopyHeader, CopyOnward, type CopyResult, type DialCopy } from './copy-chain.js'
import { FileDigest } from './file-digest.js'

/** Milliseconds without an answer after which a copy's header counts as lost. */
const HEADER_MS = 30_000
/** Milliseconds for the sender to come to its digest, which it begins with the first byte. */
const DIGEST_MS = 300_000
const LIMIT = 16 << 10
/** Bytes after which the digest is told of more. */
const STEP = 4 << 20

/**
 * The other end of a copy: written beside the target under another name, compared with the sender's digest, then
 * renamed, so that nobody reads half a file or a wrong one. Passed on to the next of the chain while it comes.
 */
export async function receiveFile(stream: Duplex, place: CopyPlace): Promise<void> {
  const { cwd, node } = place
  let part: string | undefined
  let onward: CopyOnward | undefined
  let further: readonly CopyResult[] = []
  const answer = (own: Omit<CopyResult, 'node'>) => writeJsonLine(stream, { results: [{ node, ...own }, ...further] })
  try {
    const header = await readHeader(stream)
    onward = await CopyOnward.begin(header, place.dial)
    const target = resolve(cwd, header.target)
    await mkdir(dirname(target), { recursive: true })
    part = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.part`)
    const actual = await take(stream, part, header, onward)
    const { sha256 } = await readJsonLine(stream, LIMIT, AbortSignal.timeout(DIGEST_MS))
    further = await onward.finish(String(sha256), goneWith(stream))
    if (sha256 !== actual) {
      const what = `what arrived (SHA-256 ${actual}) is not what was sent (${String(sha256)}): the file changed meanwhile, or a byte on the way`
      throw Object.assign(new Error(what), { code: 'E_GANG_COPY_CONTENT' })
    }
    await rename(part, target)
    answer({})
  } catch (error) {
    if (part) await rm(part, { force: true })
    const { code } = error as { code?: unknown }
    onward?.close()
    answer({ error: messageOf(error), ...(code === 'E_GANG_COPY_CONTENT' ? { code } : {}) })
  }
  stream.end()
}

/** Where a copy arrives. */
export interface CopyPlace {
  /** This member's own. */
  readonly node: number
  /** What relative targets mean. */
  readonly cwd: string
  readonly dial: DialCopy
}

async function readHeader(stream: Duplex): Promise<CopyHeader> {
  const { target, size, mode, behind } = await readJsonLine(stream, LIMIT, AbortSignal.timeout(HEADER_MS))
  return {
    target: String(target),
    size: Number(size),
    mode: Number(mode),
    behind: Array.isArray(behind) ? behind.map(Number) : [],
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
    const [sha256] = await Promise.all([digest.finish(size), handle.chmod(mode).then(() => handle.sync())])
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
