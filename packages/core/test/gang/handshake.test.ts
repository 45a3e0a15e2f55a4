import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { makeRunDirectory } from '../../src/body/run-directory.js'
import { keepDoor } from '../../src/gang/doorkeeper.js'
import { answer, type Hello } from '../../src/gang/handshake.js'
import { deriveKey, drawSecret } from '../../src/gang/keys.js'
import { connectUnix, listenUnix } from '../../src/gang/transport/unix.js'

const address = { flow: 'F', run: '1', step: 's', task: '2', attempt: 0 }
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function door(
  secret: Uint8Array,
  admit: (hello: Hello) => { code: string; what: string } | undefined = () => undefined,
) {
  const listener = await listenUnix(join(makeRunDirectory(), 'door'))
  closing.push(() => listener.close())
  const entered: Hello[] = []
  const refused: unknown[] = []
  void keepDoor(listener, {
    key: deriveKey(secret, address, 'join'),
    admit,
    enter: (hello, { stream }) => {
      entered.push(hello)
      stream.write('welcome, raw bytes')
    },
    refused: (error) => refused.push(error),
  })
  return { address: listener.address, entered, refused }
}

const hello: Hello = { member: 'm1', purpose: 'lease', epoch: 0 }
const dial = async (path: string, secret: Uint8Array, at = address) => {
  const signal = AbortSignal.timeout(30_000)
  const { stream } = await connectUnix(path, { signal })
  await answer(stream, deriveKey(secret, at, 'join'), hello, signal)
  return stream
}

describe('the handshake', () => {
  it('lets in who knows the secret, and leaves the bytes behind it alone', async () => {
    const secret = drawSecret()
    const { address: path, entered } = await door(secret)
    const stream = await dial(path, secret)
    const bytes = await new Promise<Buffer>((resolve) => stream.once('data', resolve))
    expect(bytes.toString()).toBe('welcome, raw bytes')
    expect(entered).toEqual([hello])
  })

  it('refuses another secret, and the same secret of another attempt', async () => {
    const secret = drawSecret()
    const { address: path, entered } = await door(secret)
    await expect(dial(path, drawSecret())).rejects.toMatchObject({ code: 'E_GANG_SECRET' })
    await expect(dial(path, secret, { ...address, attempt: 1 })).rejects.toMatchObject({ code: 'E_GANG_SECRET' })
    expect(entered).toEqual([])
  })

  it('has more than it takes at once wait in line, and turns none of them away', async () => {
    const secret = drawSecret()
    const { address: path, entered, refused } = await door(secret)
    const all = await Promise.all(Array.from({ length: 600 }, () => dial(path, secret)))
    expect(entered).toHaveLength(600)
    expect(refused).toEqual([])
    for (const stream of all) stream.destroy()
  }, 60_000)

  it('tells the reason of a refusal to who knows the secret', async () => {
    const secret = drawSecret()
    const { address: path } = await door(secret, () => ({ code: 'E_GANG_LATE', what: 'too late' }))
    await expect(dial(path, secret)).rejects.toMatchObject({ code: 'E_GANG_LATE', what: 'too late' })
  })

  it('does not take an answer for another challenge', async () => {
    const secret = drawSecret()
    const { address: path, entered, refused } = await door(secret)
    const first = await record(path, secret)
    const replay = connect(path)
    await new Promise((resolve) => replay.once('data', resolve))
    replay.write(first)
    const reply = await new Promise<Buffer>((resolve) => replay.once('data', resolve))
    expect(JSON.parse(reply.toString())).toMatchObject({ ok: false, error: { code: 'E_GANG_SECRET' } })
    expect(entered).toHaveLength(1)
    expect(refused).toHaveLength(1)
  })

  it('survives noise', async () => {
    const secret = drawSecret()
    const { address: path } = await door(secret)
    for (let i = 0; i < 50; i += 1) {
      const socket = connect(path)
      socket.on('error', () => {})
      socket.write(i % 2 ? randomBytes(30_000) : '{"gangflow":1}\n')
    }
    await expect(dial(path, secret)).resolves.toBeDefined()
  })

  it('says that nobody listens', async () => {
    await expect(dial('/tmp/gf-none/none', drawSecret())).rejects.toMatchObject({ code: 'E_GANG_REFUSED' })
  })
})

/** What an honest client says on the wire. */
async function record(path: string, secret: Uint8Array): Promise<Buffer> {
  const signal = AbortSignal.timeout(5_000)
  const { stream } = await connectUnix(path, { signal })
  const said: Buffer[] = []
  const write = stream.write.bind(stream)
  stream.write = ((chunk: string) => {
    said.push(Buffer.from(chunk))
    return write(chunk)
  }) as typeof stream.write
  await answer(stream, deriveKey(secret, address, 'join'), hello, signal)
  return Buffer.concat(said)
}
