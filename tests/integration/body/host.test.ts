import { statSync } from 'node:fs'
import { get } from 'node:http'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { connect } from '../../../packages/core/src/body/connect.js'
import { dial } from '../../../packages/core/src/body/greet.js'
import { openBodyHost } from '../../../packages/core/src/body/host.js'
import { GangflowError } from '../../../packages/core/src/errors/base.js'
import { stage } from './harness.js'

const troubles = await stage('troubles.ts')

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: GangflowError) => error,
  )

function json(url: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve(JSON.parse(text)))
    }).on('error', reject)
  })
}

describe("a host's socket", () => {
  it('is for its owner alone, and short', () => {
    const { socket } = troubles.host
    expect(statSync(dirname(socket)).mode & 0o777).toBe(0o700)
    expect(Buffer.byteLength(socket)).toBeLessThan(107)
  })

  it('refuses whom it does not know', async () => {
    const { socket } = troubles.host
    for (const role of ['body', 'shim', 'rank'] as const) {
      const error = await failure(dial(socket, { role, name: 'x', pid: process.pid }, { name: 'host' }))
      expect(error).toMatchObject({ code: 'E_PROTOCOL_HELLO', what: `no ${role} of the name 'x' is known here` })
    }
    const old = await failure(dial(socket, { role: 'tool', name: 'x', pid: 1, protocol: 2 }, { name: 'host' }))
    expect(old).toMatchObject({ code: 'E_PROTOCOL_VERSION' })
  })

  it('outlives who sends garbage, or nothing', async () => {
    const rude = await connect(troubles.host.socket, 1000)
    rude.write('GET / HTTP/1.1\r\n\r\n')
    await new Promise((resolve) => rude.once('close', resolve))
    const silent = await connect(troubles.host.socket, 1000)
    expect(await troubles.run('complains').outcome).toMatchObject({ ok: true })
    silent.destroy()
  })

  it('serves those whom its owner lets in', async () => {
    const { keeper, store, spool } = troubles
    const host = await openBodyHost({
      keeper,
      datastore: store,
      spool,
      admit: ({ role, name }) => {
        if (role === 'shim') return { where: () => `for ${name}` }
        throw new GangflowError({ code: 'E_PROTOCOL_HELLO', what: 'shims only' })
      },
    })
    const shim = await dial(host.socket, { role: 'shim', name: 'node2', pid: process.pid }, { name: 'host' })
    expect(await shim.call('where')).toBe('for node2')
    const tool = await failure(dial(host.socket, { role: 'tool', name: 'x', pid: process.pid }, { name: 'host' }))
    expect(tool).toMatchObject({ what: 'shims only' })
    await host.close()
    expect(await shim.closed).toBeUndefined()
  })
})

describe('a step under a debugger', () => {
  it('waits for it before its code, without a timeout, and says where', async () => {
    const played = troubles.run('complains', { inspect: true, timeoutMs: 1 })
    const { url } = (await played.until('inspect')) as unknown as { url: string }
    expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\//)
    const [target] = (await json(`http://${new URL(url).host}/json/list`)) as { webSocketDebuggerUrl: string }[]
    expect(target!.webSocketDebuggerUrl).toBe(url)
    expect(played.lines('stderr').filter((line) => line.startsWith('complaint'))).toEqual([])
    played.stop({ cause: 'cancelled', why: 'cancelled by Ctrl-C', graceMs: 100 })
    expect(await played.outcome).toMatchObject({ ok: false, cause: 'cancelled' })
  })
})

describe('a host that is closed', () => {
  it('ends the bodies that still have a task', async () => {
    const own = await stage('troubles.ts')
    const played = own.run('patient')
    await played.until('line')
    await own.host.close()
    expect(await played.outcome).toMatchObject({ ok: false, casualty: { signal: 'SIGTERM' } })
    expect(await played.log()).toEqual(['waiting'])
  })
})

describe('whoever will not wait', () => {
  it('may kill a body that is being stopped', async () => {
    const played = troubles.run('ignoresTerm')
    await played.until('line')
    played.stop({ cause: 'cancelled', why: 'cancelled by Ctrl-C', graceMs: 600_000 })
    await played.until('line', (event) => 'text' in event && event.text === 'not listening')
    played.kill()
    expect(await played.outcome).toMatchObject({ ok: false, cause: 'cancelled', casualty: { signal: 'SIGKILL' } })
  })
})
