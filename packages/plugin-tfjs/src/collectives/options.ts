import { GangflowError, milliseconds } from '@gangflow/core'
import type { ConnectOptions, Place } from './contract.js'
import { tcpTarget } from './worker/dial.js'

/** Longest path of a unix socket. */
export const MOST_PATH = 107
const LEAST_SECRET = 16

const wrong = (what: string, fix: string) => new GangflowError({ code: 'E_TF_OPTIONS', what, fix })

/** Settled options of `connect`; throws `E_TF_OPTIONS`. */
export interface Settings {
  readonly timeoutMs: number | undefined
  readonly connectTimeoutMs: number
  readonly silenceMs: number
}

export function checkOptions(options: ConnectOptions): Settings {
  const { rank, size, secret, addresses } = options
  if (!Number.isInteger(size) || size < 1) throw wrong(`size is ${size}`, 'give the number of ranks, 1 or more')
  if (!Number.isInteger(rank) || rank < 0 || rank >= size)
    throw wrong(`rank is ${rank}, of ${size}`, `give a rank from 0 to ${size - 1}`)
  if (!(secret instanceof Uint8Array) || secret.length < LEAST_SECRET)
    throw wrong('secret is too short, or no Uint8Array', `give the same ${LEAST_SECRET} bytes or more to every rank`)
  if (typeof addresses !== 'function') {
    if (!Array.isArray(addresses) || addresses.length !== size)
      throw wrong(`there are ${addresses?.length} addresses for ${size} ranks`, 'give one address for each rank')
    for (const address of addresses) checkAddress(address)
  }
  return {
    timeoutMs: options.timeout === undefined ? undefined : milliseconds(options.timeout),
    connectTimeoutMs: milliseconds(options.connectTimeout ?? 60_000),
    silenceMs: milliseconds(options.silence ?? 30_000),
  }
}

function checkAddress(address: unknown): void {
  const isPath = typeof address === 'string' && address.startsWith('/')
  if (isPath && Buffer.byteLength(address) <= MOST_PATH) return
  if (isPath) throw wrong(`'${address}' is longer than ${MOST_PATH} bytes`, 'use a shorter path for a unix socket')
  const { host, port } = typeof address === 'string' ? tcpTarget(address) : { host: undefined, port: 0 }
  if (host === undefined || port < 1 || port > 65_535)
    throw wrong(`'${address}' is no address`, "use 'host:port', '[v6]:port', or a path beginning with '/'")
}

/** Places of ranks whose addresses are known beforehand. */
export function placesOf(addresses: readonly string[]): Place[] {
  return addresses.map((address) =>
    address.startsWith('/') ? { machine: 'here', path: address } : { machine: 'here', tcp: [address] },
  )
}
