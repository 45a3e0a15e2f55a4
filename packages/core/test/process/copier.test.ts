import { createCipheriv, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keeperBinary } from '@gangflow/keeper'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { canCopy, startCopier } from '../../src/process/copier.js'

// The processors that this runs on have AES instructions; where none are, copies go through the mesh.
const binary = keeperBinary()!
const folder = mkdtempSync(join(tmpdir(), 'gangflow-copier-'))
const path = join(folder, 'file')
const never = new AbortController().signal
const piece = 256 << 10
const server = createServer({ pauseOnConnect: true })
beforeAll(() => once(server.listen(0, '127.0.0.1'), 'listening'))
afterAll(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Both ends of a connection: one for the helper, one for the test. */
async function pair(): Promise<[Socket, Socket]> {
  const other = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [own] = (await once(server, 'connection')) as [Socket]
  for (const socket of [own, other]) socket.on('error', () => {})
  return [own, other]
}

const nonceOf = (number: number) => {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(number), 4)
  return nonce
}

/** As Node's own cryptography seals it. */
function sealed(plain: Buffer, key: Uint8Array): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0, number = 0; at < plain.length; at += piece, number++) {
    const cipher = createCipheriv('aes-128-gcm', key, nonceOf(number))
    pieces.push(cipher.update(plain.subarray(at, at + piece)), cipher.final(), cipher.getAuthTag())
  }
  return Buffer.concat(pieces)
}

const copier = (act: 'seal' | 'open', size: number, key: Uint8Array, socket: Socket, signal = never) => {
  const file = openSync(path, act === 'seal' ? 'r' : 'w')
  const started = startCopier({ binary, act, size, key, file, socket, signal })
  closeSync(file)
  return started
}

it.each([0, 1, 16, 127, 128, 129, 1000, piece - 1, piece, piece + 1, 3 * piece + 4321])(
  'seals and opens %i bytes as AES-128-GCM',
  async (size) => {
    const [plain, key] = [randomBytes(size), randomBytes(16)]
    writeFileSync(path, plain)
    const [own, other] = await pair()
    const { done } = copier('seal', size, key, own)
    const sent: Buffer[] = []
    for await (const chunk of other) sent.push(chunk as Buffer)
    await done
    expect(Buffer.concat(sent).equals(sealed(plain, key))).toBe(true)

    const [from, to] = await pair()
    const opened = copier('open', size, key, from)
    to.end(sealed(plain, key))
    await opened.done
    expect(readFileSync(path).equals(plain)).toBe(true)
  },
)

it('says what failed: a changed bit, an early end, an aborted wait, a full disk', async () => {
  expect(await canCopy(binary)).toBe(true)
  const [plain, key] = [randomBytes(piece + 5), randomBytes(16)]
  const bent = sealed(plain, key)
  bent[piece + 18]! ^= 1
  const open = async (bytes: Buffer, signal = never) => {
    const [from, to] = await pair()
    const { done } = copier('open', plain.length, key, from, signal)
    to.write(bytes)
    if (signal === never) to.end()
    return done.catch((error: Error & { where?: string }) => error.where ?? error.message)
  }
  expect(await open(bent)).toBe('content')
  // The last piece alone has the right tag for another number.
  expect(await open(Buffer.concat([bent.subarray(piece + 16), bent]))).toBe('content')
  expect(await open(sealed(plain, key).subarray(0, -3))).toBe('receive')
  const gone = new AbortController()
  setTimeout(() => gone.abort(new Error('given up')), 50)
  expect(await open(sealed(plain, key).subarray(0, 9), gone.signal)).toBe('given up')
  const [from, to] = await pair()
  const full = openSync('/dev/full', 'w')
  const { done } = startCopier({
    binary,
    act: 'open',
    size: plain.length,
    key,
    file: full,
    socket: from,
    signal: never,
  })
  closeSync(full)
  to.end(sealed(plain, key))
  await expect(done).rejects.toThrow('the file could not be written (ENOSPC)')
})
