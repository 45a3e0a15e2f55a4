import { mkdtempSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { connect } from '../../src/body/connect.js'
import { deferred } from '../../src/body/deferred.js'
import { dial, greet } from '../../src/body/greet.js'
import { type Methods, Peer, WithPayload } from '../../src/body/peer.js'
import { GangflowError } from '../../src/errors/base.js'

const undo: (() => void)[] = []
afterEach(() => {
  for (const act of undo.splice(0)) act()
})

/** Two peers over a real unix socket. */
async function pair(left: Methods, right: Methods = {}) {
  const path = join(mkdtempSync(join(tmpdir(), 'gf-')), 's')
  const accepted = deferred<Socket>()
  const server = createServer((socket) => accepted.resolve(socket))
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const socket = await connect(path, 1000)
  const a = new Peer(await accepted.promise, { name: 'the body', methods: left })
  const b = new Peer(socket, { name: 'the host', methods: right })
  undo.push(() => {
    a.close()
    b.close()
    server.close()
  })
  return { a, b, socket, server, path }
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: GangflowError) => error,
  )

describe('peers', () => {
  it('call each other, with bytes both ways, in any order', async () => {
    const { a, b } = await pair(
      {
        slow: async (params) => {
          await new Promise((resolve) => setTimeout(resolve, 20))
          return params
        },
        reverse: (_, payload) => new WithPayload(Buffer.from(payload).reverse(), { n: payload.length }),
      },
      { whoami: () => 'b' },
    )
    const order: string[] = []
    const slow = b.call('slow', [1]).then((value) => order.push(`slow ${JSON.stringify(value)}`))
    const { result, payload } = await b.callFrame('reverse', undefined, { payload: Buffer.from('abc') })
    order.push('fast')
    await slow
    expect([result, Buffer.from(payload).toString(), order]).toEqual([{ n: 3 }, 'cba', ['fast', 'slow [1]']])
    expect(await a.call('whoami')).toBe('b')
  })

  it('carry an error with its code, and say so of any other', async () => {
    const { b } = await pair({
      named: () => {
        throw new GangflowError({ code: 'E_DURATION', what: 'no', fix: 'yes', node: 3 })
      },
      plain: () => {
        throw new RangeError('boom')
      },
    })
    expect(await failure(b.call('named'))).toMatchObject({ code: 'E_DURATION', fix: 'yes', node: 3 })
    expect(await failure(b.call('plain'))).toMatchObject({ code: 'E_PEER_FAULT', what: "'plain' failed: boom" })
    expect(await failure(b.call('toString'))).toMatchObject({ code: 'E_PROTOCOL_METHOD' })
  })

  it('name whom they waited for at a deadline, and stop the other side', async () => {
    const stopped = deferred<string>()
    const { b } = await pair({
      wait: (_, __, { signal }) =>
        new Promise((resolve) => {
          signal.onabort = () => {
            stopped.resolve((signal.reason as Error).message)
            resolve(null)
          }
        }),
    })
    const error = await failure(b.call('wait', undefined, { timeoutMs: 30, waitsFor: 'nodes 2 and 3' }))
    expect(error).toMatchObject({ code: 'E_PEER_TIMEOUT' })
    expect(error!.message).toContain('30 ms for nodes 2 and 3')
    expect(await stopped.promise).toBe('deadline')
    const control = new AbortController()
    const given = failure(b.call('wait', undefined, { signal: control.signal }))
    control.abort(new Error('cancelled'))
    expect(await given).toMatchObject({ code: 'E_PEER_ABORTED', what: "'wait' was given up: cancelled" })
  })

  it('fail what is open when the connection ends, and what comes after', async () => {
    const { a, b } = await pair({ never: () => new Promise(() => {}) })
    const open = failure(b.call('never'))
    a.close()
    expect(await open).toMatchObject({ code: 'E_PEER_CLOSED' })
    expect(await b.closed).toBeUndefined()
    expect(await failure(b.call('never'))).toMatchObject({ code: 'E_PEER_CLOSED' })
    b.event('ignored')
  })

  it('close on the first malformed frame and say why', async () => {
    const { a, socket } = await pair({})
    socket.write('GET / HTTP/1.1\r\n\r\n')
    expect(await a.closed).toMatchObject({ code: 'E_PROTOCOL_FRAME' })
  })

  it('move 64 MiB in one call', async () => {
    const { b } = await pair({ size: (_, payload) => payload.length })
    expect(await b.call('size', null, { payload: new Uint8Array(64 << 20) })).toBe(64 << 20)
  })
})

describe('greeting', () => {
  async function host(admit: Parameters<typeof greet>[1]['admit'], timeoutMs = 1000) {
    const path = join(mkdtempSync(join(tmpdir(), 'gf-')), 's')
    const met = deferred<unknown>()
    const server = createServer((socket) => {
      greet(socket, { timeoutMs, admit }).then(met.resolve, met.resolve)
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    undo.push(() => server.close())
    return { path, met: met.promise }
  }
  const me = { role: 'tool', name: 'x', pid: 1 } as const

  it('lets in who may come in', async () => {
    const { path, met } = await host((hello) => ({ name: hello.name, methods: { ping: () => 'pong' } }))
    const peer = await dial(path, me, { name: 'host' })
    expect(await peer.call('ping')).toBe('pong')
    expect(await met).toMatchObject({ hello: { role: 'tool', name: 'x', pid: 1 } })
    peer.close()
  })

  it('refuses by name, and another major with the version to use', async () => {
    const { path } = await host(() => {
      throw new GangflowError({ code: 'E_PROTOCOL_HELLO', what: 'who are you' })
    })
    expect(await failure(dial(path, me, { name: 'host' }))).toMatchObject({ code: 'E_PROTOCOL_HELLO' })
    const old = await failure(dial(path, { ...me, protocol: 99 }, { name: 'host' }))
    expect(old).toMatchObject({ code: 'E_PROTOCOL_VERSION' })
    expect(old!.message).toMatch(/speaks protocol 99.*speaks 1/s)
  })

  it('gives up on who says nothing, or something else', async () => {
    const silent = await host(() => ({ name: 'x' }), 50)
    const socket = await connect(silent.path, 1000)
    expect(await silent.met).toMatchObject({ code: 'E_PROTOCOL_HELLO' })
    socket.destroy()
    const rude = await host(() => ({ name: 'x' }))
    const other = await connect(rude.path, 1000)
    other.write('GET / HTTP/1.1\r\n\r\n')
    expect(await rude.met).toMatchObject({ code: 'E_PROTOCOL_FRAME' })
    other.destroy()
  })
})
