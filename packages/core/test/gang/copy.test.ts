import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { afterAll, afterEach, expect, it, vi } from 'vitest'
import { chainsFor } from '../../src/gang/agent/copy-chain.js'
import { CopyMeter, type CopyProgress } from '../../src/gang/agent/copy-meter.js'
import { receiveFile } from '../../src/gang/agent/receive-file.js'
import { sendFile } from '../../src/gang/agent/send-file.js'

const folder = mkdtempSync(join(tmpdir(), 'gangflow-copy-'))
const here = join(folder, 'here')
const nodes = [1, 2, 3]
const at = (node: number) => join(folder, `node${node}`)
for (const each of [here, ...nodes.map(at)]) mkdirSync(each)
const undo: (() => void)[] = []
afterEach(() => {
  for (const each of undo.splice(0)) each()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What may happen to the connections to a node. */
interface Wire {
  readonly node: number
  /** Changes what passes. */
  change?(chunk: Buffer, at: number): Buffer
  /** Bytes after which each connection to it is cut. */
  readonly cutAt?: number
}

/** Real connections to members, of which one may be bad. */
async function wire(bad?: Wire) {
  const ports = new Map<number, number>()
  const dialled: string[] = []
  const dialFrom = (from: number) => async (node: number) => {
    dialled.push(`${from}>${node}`)
    const stream: Socket = connect(ports.get(node)!)
    stream.on('error', () => {})
    return stream
  }
  const serve = async (take: (socket: Socket) => void) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      take(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    undo.push(() => server.close())
    return (server.address() as AddressInfo).port
  }
  for (const node of nodes) {
    const own = await serve((socket) => void receiveFile(socket, { node, cwd: at(node), dial: dialFrom(node) }))
    const outer =
      bad?.node !== node
        ? own
        : await serve((socket) => {
            let passed = 0
            const through = new Transform({
              transform(chunk: Buffer, _encoding, done) {
                done(null, bad.change ? bad.change(chunk, passed) : chunk)
                passed += chunk.length
                if (passed > (bad.cutAt ?? Number.POSITIVE_INFINITY)) socket.destroy()
              },
            })
            const end = connect(own)
            socket.pipe(through).pipe(end).pipe(socket)
            for (const one of [socket, end]) one.on('error', () => {})
            socket.on('close', () => end.destroy())
          })
    ports.set(node, outer)
  }
  const dial = dialFrom(0)
  return {
    dialled,
    dial: async (node: number) => {
      const stream = await dial(node)
      return { peer: 'test', stream, close: () => void stream.destroy() }
    },
  }
}

const request = (file: string) => ({ file, to: null, nodes, cwd: here, timeoutMs: 60_000 })
const never = new AbortController().signal

it.each([0, 1, (1 << 16) + 3, 20_000_003])('carries %i bytes exactly, with their mode', async (size) => {
  const bytes = randomBytes(size)
  writeFileSync(join(here, `f${size}`), bytes)
  chmodSync(join(here, `f${size}`), 0o572)
  await sendFile(await wire(), request(`f${size}`), never)
  for (const node of nodes) {
    expect(readFileSync(join(at(node), `f${size}`)).equals(bytes)).toBe(true)
    expect(statSync(join(at(node), `f${size}`)).mode & 0o777).toBe(0o572)
  }
})

it('sends a large file once, and a small one to each at once', async () => {
  writeFileSync(join(here, 'large'), randomBytes(5_000_000))
  writeFileSync(join(here, 'small'), 'small')
  const net = await wire()
  await sendFile(net, request('large'), never)
  expect(net.dialled.splice(0)).toEqual(['0>1', '1>2', '2>3'])
  await sendFile(net, request('small'), never)
  expect(net.dialled.sort()).toEqual(['0>1', '0>2', '0>3'])
})

it('tells once a second how far the slowest chain is, and no more when it is closed', () => {
  vi.useFakeTimers()
  try {
    const told: CopyProgress[] = []
    const meter = new CopyMeter('/some/big.bin', 100_000_000, 3, (progress) => void told.push(progress))
    const [one, other] = [meter.begin(), meter.begin()]
    one(50_000_000)
    other(25_000_000)
    vi.advanceTimersByTime(1_500)
    meter.close()
    vi.advanceTimersByTime(5_000)
    const line = 'copying big.bin to 3 members: 25 % of 100 MB, 25 MB/s'
    expect(told).toEqual([{ file: 'big.bin', bytes: 25_000_000, size: 100_000_000, line }])
  } finally {
    vi.useRealTimers()
  }
})

it.each([1, 2, 3])('reaches the others when the connections to node %i break, and names that one', async (node) => {
  const bytes = randomBytes(9_000_000)
  const name = `broken${node}`
  writeFileSync(join(here, name), bytes)
  const net = await wire({ node, cutAt: 3_000_000 })
  await expect(sendFile(net, request(name), never)).rejects.toMatchObject({ code: 'E_GANG_COPY', node })
  for (const other of nodes.filter((one) => one !== node))
    expect(readFileSync(join(at(other), name)).equals(bytes)).toBe(true)
  await vi.waitFor(() => expect(readdirSync(at(node)).filter((one) => one.includes(name))).toEqual([]), 10_000)
})

it('puts at most sixteen in one chain', () => {
  const chains = chainsFor(
    Array.from({ length: 40 }, (_, index) => index),
    1 << 30,
  )
  expect(chains.map(({ length }) => length)).toEqual([14, 14, 12])
  expect(chains.flat()).toHaveLength(40)
})

it('is an error by name when a byte changed on the way, and leaves nothing', async () => {
  writeFileSync(join(here, 'bent'), Buffer.alloc(3_000_000, 7))
  const change = (chunk: Buffer, passed: number) => {
    const place = 2_000_000 - passed
    if (place < 0 || place >= chunk.length) return chunk
    const other = Buffer.from(chunk)
    other[place]! ^= 1
    return other
  }
  await expect(sendFile(await wire({ node: 1, change }), request('bent'), never)).rejects.toMatchObject({
    code: 'E_GANG_COPY_CONTENT',
    what: expect.stringMatching(/copy of bent to node 1 failed: what arrived \(SHA-256 [0-9a-f]{64}\) is not/),
  })
  expect(readdirSync(at(1)).filter((name) => name.includes('bent'))).toEqual([])
})

it('of what is no file, or is not there, is refused', async () => {
  await expect(sendFile(await wire(), request('nothing'), never)).rejects.toMatchObject({ code: 'E_GANG_COPY' })
  await expect(sendFile(await wire(), request('.'), never)).rejects.toMatchObject({ code: 'E_GANG_COPY' })
})
