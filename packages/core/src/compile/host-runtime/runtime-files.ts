import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { GangflowError } from '../../errors/base.js'
import { coreFiles } from '../core-files.js'
import { type HostPlatform, platformName, thisPlatform } from '../package/host-platform.js'
import type { HostFacts, HostRuntime, RuntimeFile, RuntimeLayer } from './contract.js'

const scope = 'node_modules/@gangflow'

/**
 * What is sent to a host so that an agent can run there: core's own files with the native helper for its platform, and
 * a Node where it has none that serves. Throws E_RUNTIME_NODE when this machine's Node cannot be that one.
 * @param core folder of the core whose agent is to run: `CompiledFlow.core`.
 */
export async function runtimeFiles(core: string, host: HostFacts): Promise<HostRuntime> {
  const keeper = keeperFor(core, host.platform)
  const own = await layerOf('core', [...(await agentFiles(core)), ...keeper])
  const node = nodeServes(host.node) ? undefined : await layerOf('node', [nodeFor(host)])
  return {
    layers: [own, ...(node ? [node] : [])],
    agent: `${own.name}/${scope}/core/dist/agent.cjs`,
    ...(node ? { node: `${node.name}/bin/node` } : {}),
    keeper: keeper.length > 0,
  }
}

/** Whether a Node of this version can run agents and bodies: 20.19 or later. */
export function nodeServes(version: string | undefined): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)\./.exec(version ?? '') ?? []
  return Number(major) > 20 || (Number(major) === 20 && Number(minor) >= 19)
}

type Source = Pick<RuntimeFile, 'path' | 'source' | 'executable'>

/** What an agent loads, and what the doctor looks with. Its bodies come with their flow, or are those of a core that is there. */
async function agentFiles(core: string): Promise<Source[]> {
  const { files: names } = await coreFiles(core, ['agent.cjs', 'probe.cjs'])
  return names.map((name) => ({ path: `${scope}/core/${name}`, source: join(core, name), executable: false }))
}

/** The helper's package with the binary of that platform, or nothing where none is installed here. */
function keeperFor(core: string, { os, cpu }: HostPlatform): Source[] {
  const { resolve } = createRequire(join(core, 'package.json'))
  const folder = dirname(resolve('@gangflow/keeper/package.json'))
  const platform = `${os}-${cpu}`
  const places = [join(folder, 'dist', platform, 'gangflow-keeper')]
  try {
    places.unshift(createRequire(join(folder, 'index.js')).resolve(`@gangflow/keeper-${platform}/gangflow-keeper`))
  } catch {
    // Not installed for that platform.
  }
  const binary = places.find((place) => existsSync(place))
  if (binary === undefined) return []
  const at = `${scope}/keeper`
  return [
    { path: `${at}/package.json`, source: join(folder, 'package.json'), executable: false },
    ...['index.js', 'index.cjs'].map((name) => ({
      path: `${at}/${name}`,
      source: join(folder, name),
      executable: false,
    })),
    { path: `${at}/dist/${platform}/gangflow-keeper`, source: binary, executable: true },
  ]
}

/** This machine's Node, where it can run on the host. */
function nodeFor({ platform, node }: HostFacts): Source {
  const own = thisPlatform()
  const { variables } = process.config as unknown as { variables: Readonly<Record<string, unknown>> }
  const parts = Object.keys(variables).filter((name) => /^node_shared/.test(name) && variables[name] === true)
  const unlike = own.os !== platform.os || own.cpu !== platform.cpu || own.libc !== platform.libc
  if (!unlike && parts.length === 0) return { path: 'bin/node', source: process.execPath, executable: true }
  const has = node === undefined ? 'has no Node' : `has Node ${node}, which is too old`
  const why = unlike
    ? `this machine's is for ${platformName(own)}`
    : `this machine's (${process.execPath}) needs libraries of its own system`
  throw new GangflowError({
    code: 'E_RUNTIME_NODE',
    what: `a host (${platformName(platform)}) ${has}, and ${why}`,
    fix: 'install Node 20.19 or later on the host, where a non-interactive shell finds it on its PATH',
    details: { host: platform, here: own },
  })
}

const layers = new Map<string, Promise<RuntimeLayer>>()

/** Hashed once a process, for all hosts. */
function layerOf(kind: string, sources: readonly Source[]): Promise<RuntimeLayer> {
  const key = JSON.stringify(sources)
  const layer = layers.get(key) ?? hashed(kind, sources)
  layers.set(key, layer)
  layer.catch(() => layers.delete(key))
  return layer
}

async function hashed(kind: string, sources: readonly Source[]): Promise<RuntimeLayer> {
  const hash = createHash('sha256')
  const files: RuntimeFile[] = []
  for (const { path, source, executable } of sources) {
    const { size } = await stat(source)
    hash.update(`${JSON.stringify([path, size, executable])}\n`)
    for await (const piece of createReadStream(source, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer)
    files.push({ path, source, size, executable })
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  return { name: `${kind}-${hash.digest('hex').slice(0, 32)}`, bytes, files }
}
