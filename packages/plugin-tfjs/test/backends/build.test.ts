import { existsSync, lstatSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { buildNode } from '../../src/backends/build/build.js'
import { folder, packageOf, project, repository } from './project.js'

const build = async (options: Partial<Parameters<typeof buildNode>[0]> & { folder: string }) => {
  const said: string[] = []
  const told = { log: (line: string) => said.push(line), signal: new AbortController().signal, env: process.env }
  return { found: await buildNode({ ...told, ...options }), said }
}

describe('gangflow-tfjs-node', () => {
  it('leaves one that loads alone', async () => {
    expect(await build({ folder: repository })).toEqual({ found: 'tfjs-node 4.22.0 loads', said: [] })
  })

  // The first time ever this fetches and compiles; then all of it comes from the user's cache.
  it('puts one that was built into a project that has none, or a broken one', { timeout: 600_000 }, async () => {
    const root = project({ 'tfjs-node': packageOf('tfjs-node', '4.22.0', 'throw new Error("broken")') })
    const { found } = await build({ folder: join(root, 'node_modules'), rebuild: true })
    const placed = join(root, 'node_modules/@tensorflow/tfjs-node')
    expect(found).toBe(`tfjs-node 4.22.0 loads, from ${placed}`)
    // Links to files travel to hosts as files; a folder elsewhere would not.
    for (const part of ['lib/napi-v8', 'deps/lib', 'node_modules', 'dist'])
      expect(lstatSync(join(placed, part)).isDirectory(), part).toBe(true)
    expect(existsSync(realpathSync(join(placed, 'deps/lib/libtensorflow_cc.so.2')))).toBe(true)
  })

  it('says what it needs', async () => {
    const nothing = folder()
    await expect(build({ folder: repository, tensorflow: nothing })).rejects.toMatchObject({
      code: 'E_TF_BUILD',
      message: expect.stringContaining(`${nothing} has no libtensorflow_cc.so.2`),
    })
    // A TensorFlow of its own is compiled against, and these libraries are none.
    mkdirSync(join(nothing, 'include/tensorflow/c'), { recursive: true })
    for (const file of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2', 'include/tensorflow/c/c_api.h'])
      writeFileSync(join(nothing, file), '')
    await expect(build({ folder: project(), tensorflow: nothing })).rejects.toMatchObject({
      code: 'E_TF_BUILD',
      message: expect.stringMatching(/g\+\+ .*ended with 1: (?:.|\n)*fix: see whether .* is whole/),
    })
    const other = { ...process.env, CXX: 'no-such-compiler' }
    await expect(build({ folder: project(), tensorflow: nothing, env: other })).rejects.toMatchObject({
      message: expect.stringMatching(/cannot be started(?:.|\n)*fix: install a C\+\+ compiler/),
    })
  })
})
