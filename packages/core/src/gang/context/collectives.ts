import type { Json } from '../../flow/values.js'
import type { CallOptions, KeyValue, Parallel } from '../../plugin/contract.js'
import { call, checkNode, type Link, timeoutOf } from './link.js'
import { type Packed, pack, unpack } from './values.js'

/** barrier, broadcast and allGather; counted in order of call, which is how the members' calls are matched. */
export function collectives(link: Link): Pick<Parallel, 'barrier' | 'broadcast' | 'allGather'> {
  let seq = 0
  const run = async (
    op: 'barrier' | 'broadcast' | 'allGather',
    name: string,
    value: Packed,
    options: CallOptions & { readonly from?: number } = {},
  ): Promise<unknown[]> => {
    seq += 1
    const params: Json = {
      op,
      name,
      seq,
      head: value.head,
      timeoutMs: timeoutOf(options),
      ...(options.from === undefined ? {} : { from: checkNode(link, options.from) }),
    }
    const { result, payload } = await call(link, 'gang.collective', params, options, value.bytes)
    let offset = 0
    return (result as { head: Json; length: number }[]).map(({ head, length }) => {
      offset += length
      return unpack({ head, bytes: payload.subarray(offset - length, offset) })
    })
  }
  const nothing: Packed = { head: null, bytes: new Uint8Array(0) }
  return {
    async barrier(name = '', options) {
      await run('barrier', name, nothing, options)
    },
    async broadcast<T>(value: T, options?: CallOptions & { readonly from?: number }): Promise<T> {
      const mine = (options?.from ?? 0) === link.node
      const [got] = await run('broadcast', '', mine ? pack(value, 'broadcast') : nothing, options)
      return got as T
    },
    async allGather<T>(value: T, options?: CallOptions): Promise<T[]> {
      return (await run('allGather', '', pack(value, 'allGather'), options)) as T[]
    },
  }
}

/** The gang's keys and values, kept by the control's agent for the epoch. */
export function keyValue(link: Link): KeyValue {
  return {
    async set(key, value) {
      await call(link, 'gang.kv.set', { key, value })
    },
    async get(key, options) {
      return (await call(link, 'gang.kv.get', { key, timeoutMs: timeoutOf(options) }, options)).result ?? null
    },
    async peek(key) {
      const { result } = await call(link, 'gang.kv.peek', { key })
      return (result as { value?: Json }).value
    },
  }
}
