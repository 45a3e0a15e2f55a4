import { dirname } from 'node:path'
import { archiveOf } from '../compile/host-runtime/archive.js'
import { presentCommand } from '../compile/host-runtime/present.js'
import { runtimeFiles } from '../compile/host-runtime/runtime-files.js'
import { thisPlatform } from '../compile/package/host-platform.js'
import { openDatastoreSync } from '../datastore/open.js'
import { encodePrelude, encodeSecret } from '../gang/agent/bootstrap.js'
import type { Bootstrap } from '../gang/contract.js'
import { RELAYED } from '../gang/store.js'

/** The command of an agent that an engine starts on every node of a job alike; its stdin is `encodeForAll`. */
export function agentCommand(agent: string, { datastore }: Pick<Bootstrap, 'datastore'>): readonly string[] {
  // Its compiled form is kept there.
  const folder = datastore === RELAYED ? '' : openDatastoreSync(datastore).scratch('code')
  return [process.execPath, agent, folder, 'allocated']
}

/** What all agents of a job are told on their stdin (D2): each finds its own place in its environment. */
export const encodeForAll = (bootstrap: Bootstrap): Uint8Array =>
  Buffer.concat([encodePrelude(bootstrap, undefined), encodeSecret(bootstrap)])

/** What an agent needs on a node that does not see this machine's disk, and is alike otherwise: of its platform, with a Node. */
export interface NodeRuntime {
  /** Name of its folder, by content. */
  readonly layer: string
  /** A gzip'd tar of that folder's files. */
  readonly archive: Uint8Array
  /** In the folder in which the layers lie. */
  readonly agent: string
  readonly keeper: string | undefined
  /** A command for `sh` in that folder that fails where the layer is not whole there. */
  readonly present: string
}

/** Of the core whose built agent that is. */
export async function nodeRuntime(agent: string): Promise<NodeRuntime> {
  const { layers, agent: path } = await runtimeFiles(dirname(dirname(agent)), {
    platform: thisPlatform(),
    node: process.version,
  })
  const [layer] = layers as [(typeof layers)[number]]
  const pieces: Uint8Array[] = []
  for await (const piece of await archiveOf(layer)) pieces.push(piece)
  const keeper = layer.files.find((file) => file.path.endsWith('/gangflow-keeper'))?.path
  return {
    layer: layer.name,
    archive: Buffer.concat(pieces),
    agent: path,
    keeper: keeper && `${layer.name}/${keeper}`,
    present: presentCommand('.', layer),
  }
}
