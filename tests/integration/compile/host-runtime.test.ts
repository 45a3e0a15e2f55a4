import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { HostRuntime, RuntimeLayer } from '../../../packages/core/src/compile/host-runtime/contract.js'
import { presentCommand } from '../../../packages/core/src/compile/host-runtime/present.js'
import { nodeServes, runtimeFiles } from '../../../packages/core/src/compile/host-runtime/runtime-files.js'
import { tarOf } from '../../../packages/core/src/compile/host-runtime/tar.js'
import { thisPlatform } from '../../../packages/core/src/compile/package/host-platform.js'

const core = new URL('../../../packages/core', import.meta.url).pathname
const platform = thisPlatform()

/** A host's directory, with a name that a shell would take apart. */
function place(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "gangflow host's ")))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'run time')
}

const present = (directory: string, layer: RuntimeLayer) =>
  spawnSync('sh', ['-c', presentCommand(directory, layer)], { encoding: 'utf8' }).status

async function unpack(directory: string, layer: RuntimeLayer, tar = tarOf(layer)): Promise<number> {
  const folder = join(directory, layer.name)
  mkdirSync(folder, { recursive: true })
  const child = spawn('tar', ['-xzf', '-', '-C', folder], { stdio: ['pipe', 'inherit', 'pipe'] })
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)))
  await pipeline(Readable.from(tar), child.stdin).catch(() => {})
  return ended
}

const own = async (): Promise<HostRuntime> => runtimeFiles(core, { platform, node: process.version })

describe('the runtime of a host', () => {
  it('is an agent that runs from where it was unpacked, with its helper', async () => {
    const directory = place()
    const { layers, agent, node, keeper } = await own()
    expect(node).toBeUndefined()
    expect(keeper).toBe(platform.os === 'linux')
    const built = layers[0]!.files.flatMap(({ path }) => /core\/dist\/(.*)/.exec(path)?.[1] ?? [])
    expect(built).toEqual(['agent-main.cjs', 'agent.cjs', 'mesh.cjs', 'probe.cjs'])
    const [layer] = layers as [RuntimeLayer]
    expect(present(directory, layer)).toBe(3)
    expect(await unpack(directory, layer)).toBe(0)
    expect(present(directory, layer)).toBe(0)
    const started = spawnSync(process.execPath, [join(directory, agent)], { input: '', encoding: 'utf8', cwd: '/' })
    expect(started.stderr).toContain('the agent was not told on its stdin which gang it belongs to')
    expect(started.status).toBe(70)
    const helper = execFileSync(
      process.execPath,
      ['-e', `import('@gangflow/keeper').then(({ keeperBinary }) => console.log(keeperBinary()))`],
      { cwd: join(directory, layer.name, 'node_modules/@gangflow/core/dist'), encoding: 'utf8' },
    ).trim()
    expect(helper).toContain(directory)
  })

  it('has the Node of this machine for a host of its kind that has none, or one that is too old', async () => {
    const directory = place()
    const { layers, node } = await runtimeFiles(core, { platform, node: 'v18.20.4' })
    expect(await unpack(directory, layers[1]!)).toBe(0)
    expect(execFileSync(join(directory, node!), ['--version'], { encoding: 'utf8' }).trim()).toBe(process.version)
  })

  it('refuses a host of another kind by name', async () => {
    const other = { os: 'linux', cpu: platform.cpu === 'arm64' ? 'x64' : 'arm64', libc: 'musl' } as const
    await expect(runtimeFiles(core, { platform: other })).rejects.toMatchObject({
      code: 'E_RUNTIME_NODE',
      what: expect.stringContaining(`linux ${other.cpu} musl`),
    })
    expect(await runtimeFiles(core, { platform: other, node: 'v22.0.0' })).toMatchObject({ keeper: false })
  })

  it('has one name for one content', async () => {
    expect((await own()).layers[0]!.name).toBe((await own()).layers[0]!.name)
  })

  it('counts as there when it is whole', async () => {
    const directory = place()
    const [layer] = (await own()).layers as [RuntimeLayer]
    async function* cut() {
      let left = 20_000
      for await (const piece of tarOf(layer)) {
        yield piece.subarray(0, left)
        left -= piece.length
        if (left <= 0) return
      }
    }
    expect(await unpack(directory, layer, cut())).not.toBe(0)
    expect(present(directory, layer)).toBe(3)
    expect(await unpack(directory, layer)).toBe(0)
    expect(present(directory, layer)).toBe(0)
    const file = join(directory, layer.name, layer.files.find(({ path }) => path.endsWith('agent-main.cjs'))!.path)
    appendFileSync(file, 'x')
    expect(present(directory, layer)).toBe(3)
    expect(await unpack(directory, layer)).toBe(0)
    expect(present(directory, layer)).toBe(0)
  })

  it('says that a file changed while it was sent', async () => {
    const directory = place()
    const [layer] = (await own()).layers as [RuntimeLayer]
    const source = join(realpathSync(mkdtempSync(join(tmpdir(), 'gangflow-changed-'))), 'file')
    onTestFinished(() => rmSync(join(source, '..'), { recursive: true, force: true }))
    writeFileSync(source, 'longer than it was')
    const files = [{ ...layer.files[0]!, source, size: 3 }]
    const read = async () => {
      for await (const _ of tarOf({ ...layer, files }));
    }
    await expect(read()).rejects.toMatchObject({ code: 'E_RUNTIME_CHANGED' })
    expect(await unpack(directory, { ...layer, files }, tarOf({ ...layer, files }))).not.toBe(0)
  })

  it.each([
    ['v20.19.0', true],
    ['v20.18.9', false],
    ['v22.0.0', true],
    ['v18.20.4', false],
    ['', false],
    [undefined, false],
  ])('knows whether Node %s serves', (version, serves) => expect(nodeServes(version)).toBe(serves))
})
