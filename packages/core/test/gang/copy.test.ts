import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { afterAll, afterEach, expect, it } from 'vitest'
import { receiveFile } from '../../src/gang/agent/receive-file.js'
import { sendFile } from '../../src/gang/agent/send-file.js'

const folder = mkdtempSync(join(tmpdir(), 'gangflow-copy-'))
const [here, there] = ['here', 'there'].map((name) => join(folder, name)) as [string, string]
for (const each of [here, there]) mkdirSync(each)
const undo: (() => void)[] = []
afterEach(() => {
  for (const each of undo.splice(0)) each()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A real connection to a member, over a wire that may change what passes. */
async function wire(change?: (chunk: Buffer, at: number) => Buffer) {
  const server = createServer((socket) => {
    if (!change) return void receiveFile(socket, there)
    let at = 0
    const bad = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        done(null, change(chunk, at))
        at += chunk.length
      },
    })
    const end = connect((inner.address() as AddressInfo).port)
    socket.pipe(bad).pipe(end).pipe(socket)
    for (const one of [socket, end]) one.on('error', () => {})
    socket.on('close', () => end.destroy())
  })
  const inner = createServer((socket) => void receiveFile(socket, there))
  for (const one of [server, inner]) {
    await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))
    undo.push(() => one.close())
  }
  return {
    dial: async () => {
      const stream: Socket = connect((server.address() as AddressInfo).port)
      stream.on('error', () => {})
      return { peer: 'test', stream, close: () => stream.destroy() }
    },
  }
}

const request = (file: string) => ({ file, to: null, nodes: [1, 2], cwd: here, timeoutMs: 60_000 })
const never = new AbortController().signal

it.each([0, 1, (1 << 16) + 3, 20_000_003])('carries %i bytes exactly, with their mode', async (size) => {
  const bytes = randomBytes(size)
  writeFileSync(join(here, `f${size}`), bytes)
  chmodSync(join(here, `f${size}`), 0o540)
  await sendFile(await wire(), request(`f${size}`), never)
  expect(readFileSync(join(there, `f${size}`)).equals(bytes)).toBe(true)
  expect(statSync(join(there, `f${size}`)).mode & 0o777).toBe(0o540)
})

it('is an error by name when a byte changed on the way, and leaves nothing', async () => {
  writeFileSync(join(here, 'bent'), Buffer.alloc(3_000_000, 7))
  const bend = (chunk: Buffer, at: number) => {
    const place = 2_000_000 - at
    if (place < 0 || place >= chunk.length) return chunk
    const other = Buffer.from(chunk)
    other[place]! ^= 1
    return other
  }
  await expect(sendFile(await wire(bend), request('bent'), never)).rejects.toMatchObject({
    code: 'E_GANG_COPY_CONTENT',
    what: expect.stringMatching(/copy of bent to node 1 failed: what arrived \(SHA-256 [0-9a-f]{64}\) is not/),
  })
  expect(readdirSync(there).filter((name) => name.includes('bent'))).toEqual([])
})

it('of what is no file, or is not there, is refused', async () => {
  await expect(sendFile(await wire(), request('nothing'), never)).rejects.toMatchObject({ code: 'E_GANG_COPY' })
  await expect(sendFile(await wire(), request('.'), never)).rejects.toMatchObject({ code: 'E_GANG_COPY' })
})
