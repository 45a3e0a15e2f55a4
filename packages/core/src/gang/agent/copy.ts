import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GangflowError, messageOf } from '../../errors/base.js'
import { readJsonLine, writeJsonLine } from '../lines.js'
import type { Peers } from './peers.js'

/** Milliseconds without an answer after which a copy's header counts as lost. */
const HEADER_MS = 30_000

/**
 * Sends a file to the same place under other members' working directories (or to `to`), to all at once; rejects
 * naming the node that could not take it, or that was still waited for at the deadline.
 */
export async function sendFile(
  peers: Peers,
  request: { file: string; to: string | null; nodes: readonly number[]; cwd: string; timeoutMs: number },
  signal: AbortSignal,
): Promise<void> {
  const source = resolve(request.cwd, request.file)
  const facts = await stat(source).catch((cause: unknown) => {
    throw new GangflowError(
      { code: 'E_GANG_COPY', what: `copy cannot read ${source}: ${messageOf(cause)}`, fix: 'check the path' },
      { cause },
    )
  })
  if (!facts.isFile()) {
    throw new GangflowError({
      code: 'E_GANG_COPY',
      what: `copy takes a file, ${source} is none`,
      fix: 'copy its files one by one, or pack it',
    })
  }
  const inside = relative(request.cwd, source)
  const target = request.to ?? (inside.startsWith('..') || isAbsolute(inside) ? source : inside)
  const waiting = new Set(request.nodes)
  const late = AbortSignal.timeout(Math.min(request.timeoutMs, 2 ** 31 - 1))
  const all = AbortSignal.any([signal, late])
  await Promise.all(
    request.nodes.map(async (node) => {
      try {
        const { stream } = await peers.dial(node, 'copy')
        try {
          writeJsonLine(stream, { target, size: facts.size, mode: facts.mode & 0o777 })
          await pipeline(createReadStream(source), stream, { signal: all, end: false })
          const reply = await readJsonLine(stream, 16 << 10, all)
          if (typeof reply['error'] === 'string') throw new Error(reply['error'])
          waiting.delete(node)
        } finally {
          stream.destroy()
        }
      } catch (cause) {
        if (GangflowError.is(cause)) throw cause
        throw new GangflowError(
          {
            code: late.aborted ? 'E_GANG_COPY_TIMEOUT' : 'E_GANG_COPY',
            what: late.aborted
              ? `copy of ${basename(source)} (${facts.size} bytes) waited ${request.timeoutMs} ms for node ${[...waiting].join(', ')}`
              : `copy of ${basename(source)} to node ${node} failed: ${messageOf(cause)}`,
            fix: late.aborted ? 'give copy a longer timeout' : 'check the path and the free space there',
            node,
          },
          { cause },
        )
      }
    }),
  )
}

/** The other end: written beside the target under another name, then renamed, so that nobody reads half a file. */
export async function receiveFile(stream: Duplex, cwd: string): Promise<void> {
  let part: string | undefined
  try {
    const header = await readJsonLine(stream, 16 << 10, AbortSignal.timeout(HEADER_MS))
    const target = resolve(cwd, String(header['target']))
    const size = Number(header['size'])
    await mkdir(dirname(target), { recursive: true })
    part = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.part`)
    await pipeline(
      exactly(stream, size),
      createWriteStream(part, { mode: Number(header['mode']), flush: true } as never),
    )
    await rename(part, target)
    writeJsonLine(stream, { ok: true })
  } catch (error) {
    if (part) await rm(part, { force: true })
    writeJsonLine(stream, { error: messageOf(error) })
  }
  stream.end()
}

/** The next `size` bytes of a stream that stays open. */
async function* exactly(stream: Duplex, size: number): AsyncGenerator<Buffer> {
  let left = size
  while (left > 0) {
    const chunk = stream.read() as Buffer | null
    if (chunk === null) {
      if (stream.readableEnded || stream.destroyed) throw new Error(`the sender ended ${left} bytes before the end`)
      await new Promise<void>((done) => {
        const wake = () => {
          stream.off('readable', wake)
          stream.off('end', wake)
          stream.off('close', wake)
          done()
        }
        stream.on('readable', wake)
        stream.on('end', wake)
        stream.on('close', wake)
      })
      continue
    }
    left -= chunk.length
    yield chunk
  }
}
