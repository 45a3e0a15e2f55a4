import { signalWithin } from '@gangflow/core/plugin'
import { Channel } from './grpc.js'
import type { RayNode } from './options.js'
import { type Field, fields, text } from './proto.js'

/** How long one raylet may take to answer, in milliseconds, before it is asked anew. */
const RAYLET_MS = 1_000
const ALL_NODES = '/ray.rpc.NodeInfoGcsService/GetAllNodeInfo'
const HEALTH = '/grpc.health.v1.Health/Check'
const nothing = new Uint8Array(0)
/** Marks which node of the gang a Ray node is: several on one machine have one address. */
const mark = /^gang_node_(\d+)$/

/** A cluster's GCS and raylets, asked over HTTP/2: no Python process takes part. */
export class Gcs {
  readonly #gcs: Channel
  readonly #raylets = new Map<string, Channel>()

  constructor(
    address: string,
    private readonly token: string,
    private readonly hosts: readonly string[],
  ) {
    this.#gcs = new Channel(address, token)
  }

  /** All nodes that it has ever had, the dead ones too. Rejects while it does not answer. */
  async nodes(signal: AbortSignal): Promise<RayNode[]> {
    return readNodes(await this.#gcs.call(ALL_NODES, nothing, signal)).map((node) => ({
      ...node,
      host: this.hosts[node.node] ?? node.host,
    }))
  }

  /** The gang's nodes that are alive, have what they must, and whose raylet answers itself. */
  async present(wanted: readonly Wanted[], signal: AbortSignal): Promise<number[]> {
    const nodes = await this.nodes(signal)
    const limit = signalWithin(RAYLET_MS, signal)
    const answered = await Promise.all(
      wanted.map(async ({ resources, raylet }, node) => {
        const there = nodes.find((one) => one.node === node && one.alive && has(one.resources, resources))
        return there && (await this.#answers(raylet, limit)) ? [node] : []
      }),
    )
    return answered.flat()
  }

  close(): void {
    this.#gcs.close()
    for (const channel of this.#raylets.values()) channel.close()
  }

  async #answers(raylet: string, signal: AbortSignal): Promise<boolean> {
    const channel = this.#raylets.get(raylet) ?? new Channel(raylet, this.token)
    this.#raylets.set(raylet, channel)
    return channel.call(HEALTH, nothing, signal).then(
      () => true,
      () => false,
    )
  }
}

/** What a node of the gang must have to be there. */
export interface Wanted {
  readonly resources: Readonly<Record<string, number>>
  /** `HOST:PORT` of its raylet: on loopback the GCS has another. */
  readonly raylet: string
}

const has = (resources: Readonly<Record<string, number>>, wanted: Wanted['resources']): boolean =>
  Object.entries(wanted).every(([name, amount]) => (resources[name] ?? 0) >= amount)

/** GetAllNodeInfoReply, src/ray/protobuf/gcs_service.proto of Ray; GcsNodeInfo is in gcs.proto. */
export function readNodes(reply: Uint8Array): RayNode[] {
  return [...fields(reply)].flatMap((field) => (field.number === 2 ? [readNode(field.value as Uint8Array)] : []))
}

function readNode(message: Uint8Array): RayNode {
  const of = new Map<number, Field['value']>()
  const resources: Record<string, number> = {}
  for (const { number, value } of fields(message)) {
    if (number !== 11) {
      of.set(number, value)
      continue
    }
    const pair = [...fields(value as Uint8Array)]
    const amount = pair.find((one) => one.number === 2)?.value
    resources[text(pair.find((one) => one.number === 1)?.value ?? 0)] = typeof amount === 'number' ? amount : 0
  }
  const marked = Object.keys(resources).find((name) => mark.test(name))
  const address = text(of.get(2) ?? 0)
  return {
    node: marked === undefined ? -1 : Number(mark.exec(marked)![1]),
    host: text(of.get(8) ?? 0),
    nodeId: Buffer.from((of.get(1) as Uint8Array | undefined) ?? []).toString('hex'),
    address,
    alive: (of.get(7) ?? 0) === 0,
    isHead: of.get(25) === 1,
    resources,
  }
}
