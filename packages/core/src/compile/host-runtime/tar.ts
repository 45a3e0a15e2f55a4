import { createReadStream } from 'node:fs'
import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { GangflowError } from '../../errors/base.js'
import type { RuntimeFile, RuntimeLayer } from './contract.js'
import { completeMark } from './present.js'

const BLOCK = 512

/** A layer as a gzip'd tar, for the command that `unpackCommand` gives; streamed. */
export function tarOf(layer: RuntimeLayer): AsyncIterable<Uint8Array> {
  // What breaks is thrown to whoever reads; who stops reading closes the file.
  return pipeline(Readable.from(entries(layer)), createGzip({ level: 1 }), () => {})
}

async function* entries({ name, files }: RuntimeLayer): AsyncGenerator<Uint8Array> {
  for (const file of files) {
    yield header(file.path, file.size, file.executable ? 0o755 : 0o644)
    let sent = 0
    for await (const piece of createReadStream(file.source, { highWaterMark: 1 << 18 })) {
      sent += (piece as Buffer).length
      if (sent <= file.size) yield piece as Buffer
    }
    if (sent !== file.size) throw changed(name, file)
    yield padding(file.size)
  }
  // Last, so that whoever finds it has all the rest.
  yield header(completeMark, 0, 0o644)
  yield Buffer.alloc(2 * BLOCK)
}

/** As POSIX.1-1988 has it (ustar): every tar reads it. */
function header(path: string, size: number, mode: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  const cut = path.length <= 100 ? -1 : path.lastIndexOf('/', 155)
  block.write(path.slice(cut + 1), 0, 100)
  if (cut > 0) block.write(path.slice(0, cut), 345, 155)
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, length, 'latin1')
  octal(mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(1_000_000_000, 136, 12)
  block.write('        0', 148, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

const padding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)

const changed = (layer: string, file: RuntimeFile) =>
  new GangflowError({
    code: 'E_RUNTIME_CHANGED',
    what: `${file.source} changed while it was sent (${layer})`,
    fix: 'run it again, once nothing builds or installs there',
  })
