import { describe, expect, it } from 'vitest'
import { artifactsOf, stage } from './harness.js'

const chain = await stage('chain.ts')

describe('a body', () => {
  it('runs one step: current, parameters, artifacts, output, working directory', async () => {
    const played = chain.run('start')
    const outcome = await played.outcome
    expect(artifactsOf(chain.store, outcome)).toEqual({
      word: expect.stringMatching(/^r\d+\/start\/1 lr=0.1$/),
      where: new URL('./fixtures', import.meta.url).pathname,
      begun: false,
      later: undefined,
    })
    expect(outcome).toMatchObject({ ok: true, completion: { transition: { kind: 'next', targets: ['end'] } } })
    await played.logged
    expect(played.lines('stdout')).toEqual(['hello from start'])
    expect(played.lines('stderr')).toEqual(['and on stderr'])
  })

  it('starts without reading certificates that it cannot use, and hands them on', async () => {
    const env = { ...chain.spec.env, NODE_EXTRA_CA_CERTS: '/etc/ssl/certs/ca-certificates.crt' }
    const played = chain.run('start', { spec: { ...chain.spec, env } })
    expect(artifactsOf(chain.store, await played.outcome)).toMatchObject({
      begun: false,
      later: '/etc/ssl/certs/ca-certificates.crt',
    })
    const traced = chain.run('start', { spec: { ...chain.spec, env, execArgv: ['--import', 'data:text/javascript,'] } })
    expect(artifactsOf(chain.store, await traced.outcome)).toMatchObject({ begun: true })
  })
})
