import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { probe } from '../../src/backends/probe.js'
import { type Finding, openBackend } from '../../src/index.js'
import { folder, packageOf, project, repository, without } from './project.js'

// What loads is remembered in the user's cache: each test has one of its own.
beforeEach(() => {
  const before = process.env['XDG_CACHE_HOME']
  process.env['XDG_CACHE_HOME'] = folder()
  onTestFinished(() => {
    if (before === undefined) delete process.env['XDG_CACHE_HOME']
    else process.env['XDG_CACHE_HOME'] = before
  })
})

const crashing = packageOf('tfjs-node', '4.22.0', 'process.kill(process.pid, "SIGSEGV"); while (true);')

/** What a choice says, and what TensorFlow.js then computes on. */
async function choice(options: Partial<Parameters<typeof openBackend>[0]> & { folder: string }) {
  const said: string[] = []
  const { name, tf } = await openBackend({ ...options, log: (line) => said.push(line) })
  const product = tf.matMul(tf.tensor2d([[2]]), tf.tensor2d([[3]]))
  return { name, runs: tf.getBackend(), product: product.dataSync()[0], said: said.join('\n') }
}

describe('openBackend', () => {
  it('takes tfjs-node first', async () => {
    expect(await choice({ folder: repository })).toMatchObject({
      name: 'tfjs-node',
      runs: 'tensorflow',
      product: 6,
      said: 'TensorFlow.js computes on tfjs-node 4.22.0',
    })
  })

  it('goes on with wasm, ready to train, where tfjs-node crashes, and says so', async () => {
    const { name, runs, said } = await choice({ folder: project({ 'tfjs-node': crashing }) })
    expect({ name, runs }).toEqual({ name: 'wasm', runs: 'wasm' })
    expect(said).toMatch(/computes on wasm 4\.22\.0; tfjs-node 4\.22\.0 does not load: it was ended by SIGSEGV/)
    const { tf } = await openBackend({ folder: repository, backend: 'wasm' })
    expect(tf.getKernel('Conv2DBackpropFilter', 'wasm')).toBeDefined()
  })

  it('can be forced', async () => {
    expect(await choice({ folder: repository, backend: 'cpu' })).toMatchObject({ name: 'cpu', runs: 'cpu', product: 6 })
    const broken = project({ 'tfjs-node': crashing })
    await expect(openBackend({ folder: broken, backend: 'tfjs-node' })).rejects.toMatchObject({
      code: 'E_TF_BACKEND',
      message: expect.stringMatching(/tfjs-node was asked for: .*SIGSEGV/),
    })
    await expect(openBackend({ folder: repository, backend: 'webgl' as never })).rejects.toMatchObject({
      code: 'E_TF_BACKEND',
      message: expect.stringContaining("no backend 'webgl'"),
    })
  })

  it('takes a wasm backend without its .wasm files for broken, not for cpu', async () => {
    const root = project({ 'tfjs-node': crashing, 'tfjs-backend-wasm': without('tfjs-backend-wasm', /\.wasm$/) })
    await expect(openBackend({ folder: root })).rejects.toMatchObject({ code: 'E_TF_FELL_BACK' })
    await expect(openBackend({ folder: root, backend: 'wasm' })).rejects.toMatchObject({ code: 'E_TF_BACKEND' })
  })

  it('looks anew when a file of a backend that loaded once is gone', async () => {
    const root = project({ 'tfjs-backend-wasm': without('tfjs-backend-wasm', /threaded/) })
    expect((await probe(root, 'wasm')).loads).toBe(true)
    rmSync(join(root, 'node_modules/@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm'))
    expect(await probe(root, 'wasm')).toMatchObject({ loads: false, broken: true })
  })

  it('refuses two copies of tfjs-core by their places', async () => {
    const other = packageOf('tfjs-core', '4.10.0', '')
    const root = project({
      'tfjs-backend-wasm': (at) => {
        packageOf('tfjs-backend-wasm', '4.10.0', '')(at)
        other(join(at, 'node_modules/@tensorflow/tfjs-core'))
      },
    })
    await expect(openBackend({ folder: root, backend: 'wasm' })).rejects.toMatchObject({
      code: 'E_TF_COPIES',
      message: expect.stringMatching(/@tensorflow\/tfjs.*4\.22\.0.*tfjs-backend-wasm has 4\.10\.0 in .*tfjs-core/),
    })
  })

  describe('of several members', () => {
    const everyone = (...others: Partial<Finding>[]) => ({
      agree: async (own: Finding) => [own, ...others.map((other) => ({ ...own, ...other }))],
    })

    it('is the first that all have', async () => {
      const agree = async (own: Finding): Promise<Finding[]> =>
        own.name === 'tfjs-node'
          ? [own, { ...own, loads: false, about: 'tfjs-node is not installed' }, own]
          : [own, own, own]
      const { name, said } = await choice({ folder: repository, agree })
      expect(name).toBe('wasm')
      expect(said).toBe('TensorFlow.js computes on wasm 4.22.0 on all 3 members; tfjs-node is not installed on node 1')
    })

    it('names the member that lacks the one that was asked for', async () => {
      const lacking = everyone({}, { loads: false, about: 'wasm 4.22.0 does not load: no memory' })
      await expect(openBackend({ folder: repository, backend: 'wasm', ...lacking })).rejects.toMatchObject({
        code: 'E_TF_BACKEND',
        node: 2,
        message: expect.stringContaining('does not load: no memory on node 2'),
      })
    })

    it('refuses other versions', async () => {
      const older = everyone({ version: '4.20.0' })
      await expect(openBackend({ folder: repository, backend: 'cpu', ...older })).rejects.toMatchObject({
        code: 'E_TF_MEMBERS',
        node: 1,
      })
    })
  })
})
