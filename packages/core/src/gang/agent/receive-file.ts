import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '../../errors/base.js'
import { readJsonLine, writeJsonLine } from '../lines.js'
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
 * renamed, so that nobody reads half a file or a wrong one.
 */
export async function receiveFile(stream: Duplex, cwd: string): Promise<void> {
  let part: string | undefined
  try {
    const header = await readJsonLine(stream, LIMIT, AbortSignal.timeout(HEADER_MS))
    const target = resolve(cwd, String(header['target']))
    const mode = Number(header['mode'])
    await mkdir(dirname(target), { recursive: true })
    part = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.part`)
    const actual = await take(stream, part, mode, Number(header['size']))
    const { sha256 } = await readJsonLine(stream, LIMIT, AbortSignal.timeout(DIGEST_MS))
    if (sha256 !== actual) {
      const what = `what arrived (SHA-256 ${actual}) is not what was sent (${String(sha256)}): the file changed meanwhile, or a byte on the way`
      throw Object.assign(new Error(what), { code: 'E_GANG_COPY_CONTENT' })
    }
    await rename(part, target)
    writeJsonLine(stream, { ok: true })
  } catch (error) {
    if (part) await rm(part, { force: true })
    const { code } = error as { code?: unknown }
    writeJsonLine(stream, { error: messageOf(error), ...(code === 'E_GANG_COPY_CONTENT' ? { code } : {}) })
  }
  stream.end()
}

/** Writes `size` bytes and gives their digest as they are read back from the file. */
async function take(stream: Duplex, part: string, mode: number, size: number): Promise<string> {
  const handle = await open(part, 'wx+', mode)
  const digest = new FileDigest(handle.fd)
  try {
    const file = createWriteStream('', { fd: handle.fd, autoClose: false })
    let told = 0
    const onChunk = () => {
      if (file.bytesWritten < told + STEP) return
      told = file.bytesWritten
      digest.advance(told)
    }
    await pipeline(exactly(stream, size, onChunk), file)
    const [sha256] = await Promise.all([digest.finish(size), handle.sync()])
    return sha256
  } finally {
    await digest.close()
    await handle.close()
  }
}

/** The next `size` bytes of a stream that stays open; what follows them stays in it. */
async function* exactly(stream: Duplex, size: number, onChunk: () => void): AsyncGenerator<Buffer> {
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
    onChunk()
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
