import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, isAbsolute, relative, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GangflowError, messageOf } from '../../errors/base.js'
import { readJsonLine, writeJsonLine } from '../lines.js'
import { FileDigest } from './file-digest.js'
import type { Peers } from './peers.js'

export interface CopyRequest {
  readonly file: string
  readonly to: string | null
  readonly nodes: readonly number[]
  readonly cwd: string
  readonly timeoutMs: number
}

/**
 * Sends a file to the same place under other members' working directories (or to `to`), to all at once; rejects
 * naming the node that could not take it, that got other bytes, or that was still waited for at the deadline.
 *
 * On the wire: a line `{target, size, mode}`, the bytes, a line `{sha256}`; the answer is a line `{ok}` or `{error, code?}`.
 */
export async function sendFile(peers: Pick<Peers, 'dial'>, request: CopyRequest, signal: AbortSignal): Promise<void> {
  const source = resolve(request.cwd, request.file)
  const file = await openFile(source)
  const { size, mode } = await file.stat()
  const header = { target: targetOf(source, request), size, mode: mode & 0o777 }
  const waiting = new Set(request.nodes)
  const late = AbortSignal.timeout(Math.min(request.timeoutMs, 2 ** 31 - 1))
  const all = AbortSignal.any([signal, late])
  // Read beside the sending, once for all members.
  const digest = new FileDigest(file.fd)
  const sha256 = digest.finish(size)
  all.addEventListener('abort', () => void digest.close(), { once: true })
  const ended = await Promise.allSettled(
    request.nodes.map(async (node) => {
      try {
        const { stream } = await peers.dial(node, 'copy')
        await sendTo(stream, file.fd, header, sha256, all)
        waiting.delete(node)
      } catch (cause) {
        if (GangflowError.is(cause)) throw cause
        if (late.aborted) throw tooLate(source, size, request.timeoutMs, [...waiting], node, cause)
        throw refused(source, node, cause)
      }
    }),
  )
  await digest.close()
  await file.close()
  const failed = ended.find((one) => one.status === 'rejected')
  if (failed) throw failed.reason
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

async function sendTo(
  stream: Duplex,
  fd: number,
  header: { readonly size: number },
  sha256: Promise<string>,
  signal: AbortSignal,
): Promise<void> {
  const { size } = header
  try {
    writeJsonLine(stream, header)
    if (size > 0) {
      const reading = createReadStream('', { fd, start: 0, end: size - 1, autoClose: false })
      await pipeline(reading, stream, { signal, end: false })
      if (reading.bytesRead < size) throw new Error('the file became shorter while it was sent')
    }
    writeJsonLine(stream, { sha256: await sha256 })
    const { error, code } = await readJsonLine(stream, 16 << 10, signal)
    if (typeof error !== 'string') return
    throw Object.assign(new Error(error), { code })
  } finally {
    stream.destroy()
  }
}

function refused(source: string, node: number, cause: unknown): GangflowError {
  const changed = (cause as { code?: unknown }).code === 'E_GANG_COPY_CONTENT'
  return new GangflowError(
    {
      code: changed ? 'E_GANG_COPY_CONTENT' : 'E_GANG_COPY',
      what: `copy of ${basename(source)} to node ${node} failed: ${messageOf(cause)}`,
      fix: changed
        ? 'do not write to a file while it is copied; if nobody did, suspect memory or disk of either host'
        : 'check the path and the free space there',
      node,
    },
    { cause },
  )
}

function tooLate(
  source: string,
  size: number,
  timeoutMs: number,
  waiting: readonly number[],
  node: number,
  cause: unknown,
): GangflowError {
  return new GangflowError(
    {
      code: 'E_GANG_COPY_TIMEOUT',
      what: `copy of ${basename(source)} (${size} bytes) waited ${timeoutMs} ms for node ${waiting.join(', ')}`,
      fix: 'give copy a longer timeout',
      node,
    },
    { cause },
  )
}
