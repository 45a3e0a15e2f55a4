import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { keeperBinary } from '@gangflow/keeper'
import { afterAll, afterEach, expect, it, vi } from 'vitest'
import { chainsFor } from '../../src/gang/agent/copy-chain.js'
import { CopyMeter, type CopyProgress } from '../../src/gang/agent/copy-meter.js'
import { receiveFile } from '../../src/gang/agent/receive-file.js'
import type { SealedWays } from '../../src/gang/agent/sealed-copy.js'
import { sendFile } from '../../src/gang/agent/send-file.js'
import { Doors, enterDoor } from '../../src/ssh/doors.js'
import { heardKnock } from '../../src/ssh/knock.js'

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

/** How the sealed way is, where there is one. */
interface Sealed {
  /** Nodes without a helper, and those whose doors nobody reaches. */
  readonly without?: readonly number[]
  readonly shut?: readonly number[]
  /** Cuts the bare connections to this node after so many bytes. */
  readonly cut?: { readonly node: number; readonly at: number }
  readonly entering?: () => void
}

/** The bare ways between members: real doors on real ports, and the real helper. */
async function bareWays({ without = [], shut = [], cut, entering }: Sealed) {
  const key = randomBytes(16)
  const ports = new Map<number, number>()
  const doors = new Map<number, Doors>()
  for (const node of nodes) {
    const own = new Doors()
    doors.set(node, own)
    const server = createServer((socket) => {
      socket.on('error', () => {})
      void heardKnock(socket, 'knock', 5_000).then((heard) => own.enter(heard?.door ?? '', socket))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    undo.push(() => server.close())
    const { port } = server.address() as AddressInfo
    if (cut?.node === node) {
      const outer = createServer((socket) => {
        let passed = 0
        const end = connect(port, '127.0.0.1')
        for (const one of [socket, end]) one.on('error', () => {})
        socket.on('data', (chunk) => {
          end.write(chunk)
          passed += chunk.length
          if (passed > cut.at) for (const one of [socket, end]) one.destroy()
        })
      })
      await new Promise<void>((resolve) => outer.listen(0, '127.0.0.1', resolve))
      undo.push(() => outer.close())
      ports.set(node, (outer.address() as AddressInfo).port)
    } else ports.set(node, port)
  }
  return (node: number): SealedWays => ({
    helper: async () => (without.includes(node) ? undefined : keeperBinary()),
    key: () => key,
    openDoor: (signal) => doors.get(node)!.open(signal),
    async enterDoor(other, token, signal) {
      entering?.()
      if (shut.includes(other)) throw new Error('nobody listens there')
      return enterDoor({ host: '127.0.0.1', port: ports.get(other)! }, token, signal)
    },
  })
}

/** Real connections to members, of which one may be bad. */
async function wire(bad?: Wire, how?: Sealed) {
  const sealed = how ? await bareWays(how) : () => undefined
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
    const own = await serve(
      (socket) => void receiveFile(socket, { node, cwd: at(node), dial: dialFrom(node), sealed: sealed(node) }),
    )
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
    sealed: sealed(0),
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

it.each<[string, Sealed, string[]]>([
  ['along a chain', {}, ['0>1', '1>2', '2>3']],
  ['past one without a helper', { without: [2] }, ['0>1', '1>2', '0>2', '0>2', '0>3']],
  ['past one whose door nobody reaches', { shut: [3] }, ['0>1', '1>2', '2>3', '0>3', '0>3']],
])('goes sealed %s', async (_, how, ways) => {
  const bytes = randomBytes(9_000_001)
  writeFileSync(join(here, 'sealed'), bytes)
  chmodSync(join(here, 'sealed'), 0o751)
  const net = await wire(undefined, how)
  await sendFile(net, request('sealed'), never)
  for (const node of nodes) {
    expect(readFileSync(join(at(node), 'sealed')).equals(bytes)).toBe(true)
    expect(statSync(join(at(node), 'sealed')).mode & 0o777).toBe(0o751)
    expect(readdirSync(at(node)).filter((name) => name.endsWith('.part'))).toEqual([])
  }
  expect(net.dialled.toSorted()).toEqual(ways.toSorted())
})

it('names, also of a sealed copy, whose connection broke, whose place is none, and that the file changed', async () => {
  const bytes = randomBytes(9_000_000)
  writeFileSync(join(here, 'half'), bytes)
  const net = await wire(undefined, { cut: { node: 2, at: 3_000_000 } })
  await expect(sendFile(net, request('half'), never)).rejects.toMatchObject({ code: 'E_GANG_COPY', node: 2 })
  for (const node of [1, 3]) expect(readFileSync(join(at(node), 'half')).equals(bytes)).toBe(true)
  expect(readdirSync(at(2)).filter((name) => name.includes('half'))).toEqual([])

  mkdirSync(join(at(1), 'folder'))
  const occupied = sendFile(await wire(undefined, {}), { ...request('half'), to: 'folder' }, never)
  await expect(occupied).rejects.toMatchObject({ code: 'E_GANG_COPY', node: 1 })
  for (const node of [2, 3]) expect(readFileSync(join(at(node), 'folder')).equals(bytes)).toBe(true)

  const entering = () => appendFileSync(join(here, 'half'), 'more')
  const changing = sendFile(await wire(undefined, { entering }), { ...request('half'), to: 'moving' }, never)
  await expect(changing).rejects.toMatchObject({
    code: 'E_GANG_COPY_CONTENT',
    what: 'copy of half to node 1 failed: the file changed while it was sent',
  })
  for (const node of nodes) expect(readdirSync(at(node)).filter((name) => name.includes('moving'))).toEqual([])
})

it('within one host sends nothing: each member takes the file from where it is', async () => {
  const bytes = randomBytes(5_000_000)
  writeFileSync(join(here, 'near'), bytes)
  const net = { ...(await wire()), onOneHost: true }
  await sendFile(net, request('near'), never)
  await sendFile(net, { ...request('near'), to: join(here, 'near') }, never)
  for (const node of nodes) expect(readFileSync(join(at(node), 'near')).equals(bytes)).toBe(true)
  expect(statSync(join(at(1), 'near')).ino).not.toBe(statSync(join(here, 'near')).ino)
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
