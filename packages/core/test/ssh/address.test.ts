import { describe, expect, it } from 'vitest'
import { deriveOf } from '../../../../tests/support/mesh.js'
import { formatAddress, parseAddress } from '../../src/ssh/address.js'
import { openMesh } from '../../src/ssh/mesh.js'

describe('addresses of the mesh', () => {
  it.each([
    ['ssh://m0@10.0.0.1:22', { memberId: 'm0', candidates: [{ host: '10.0.0.1', port: 22 }] }],
    [
      'ssh://m%2F1@host-a:4000,[fd00::2]:4000,/tmp/gf-x/a.sock',
      {
        memberId: 'm/1',
        candidates: [{ host: 'host-a', port: 4000 }, { host: 'fd00::2', port: 4000 }, { path: '/tmp/gf-x/a.sock' }],
      },
    ],
  ])('%s', (text, target) => {
    expect(parseAddress(text)).toEqual(target)
    expect(formatAddress(target)).toBe(text)
  })

  it.each([
    '',
    'ssh://',
    'ssh://m0',
    'ssh://m0@',
    'ssh://m0@a',
    'ssh://m0@a:0',
    'ssh://m0@a:70000',
    'ssh://m0@a:1,',
    'unix:/x',
    'ssh://m0@fd00::1:22',
  ])("'%s' is none", (text) => expect(parseAddress(text)).toBeUndefined())

  it('of IPv6 are listened at and dialled', async () => {
    const mesh = openMesh({ memberId: 'six', derive: deriveOf('addresses') })
    const address = await mesh.listen({ bind: ['::1'] })
    expect(address).toMatch(/^ssh:\/\/six@\[::1\]:\d+$/)
    mesh.onControl((stream, from) => stream.end(`hello ${from}`))
    const stream = await mesh.open(parseAddress(address)!, { signal: AbortSignal.timeout(10_000) })
    expect(String(await new Promise((resolve) => stream.once('data', resolve)))).toBe('hello six')
    await mesh.close()
  })

  it('refuse to be bound where they are not, with a name for it', async () => {
    const mesh = openMesh({ memberId: 'none', derive: deriveOf('addresses') })
    await expect(mesh.listen({ bind: ['192.0.2.1'] })).rejects.toMatchObject({ code: 'E_MESH_LISTEN' })
    await mesh.close()
  })

  it('run nothing and forward nothing where no host was given, as at a launcher', async () => {
    const mesh = openMesh({ memberId: 'launcher', derive: deriveOf('addresses') })
    const target = parseAddress(await mesh.listen({ bind: ['127.0.0.1'] }))!
    const limit = { signal: AbortSignal.timeout(10_000) }
    for (const request of [{ command: 'true', env: {} }, { env: {} }, { subsystem: 'sftp', env: {} }])
      await expect(mesh.run(target, request, limit)).rejects.toMatchObject({ code: 'E_MESH_REFUSED' })
    await expect(mesh.forward(target, { host: '127.0.0.1', port: 22 }, limit)).rejects.toMatchObject({
      code: 'E_MESH_REFUSED',
    })
    await mesh.close()
  })
})
