import { GangflowError } from '../../errors/base.js'
import { formatAddress, parseAddress } from '../../ssh/address.js'
import type { Connection, Transport } from '../contract.js'
import type { OwnerLink } from './owner-link.js'
import type { MemberState } from './state.js'

/** Milliseconds for the owner to log in to this host once more. */
const ASIDE_MS = 20_000

/**
 * The way to the owner of all but the lease. Where the lease goes through a forwarded socket, what is large would share
 * its TCP connection and delay it: the owner is asked for another one.
 */
export class SideWay {
  readonly #state: MemberState
  readonly #owner: OwnerLink
  readonly #transport: Transport
  #joined!: () => void
  readonly #hasOwner = new Promise<void>((resolve) => {
    this.#joined = resolve
  })
  #aside: Promise<string | undefined> | undefined

  constructor(state: MemberState, owner: OwnerLink, transport: Transport) {
    this.#state = state
    this.#owner = owner
    this.#transport = transport
  }

  /** The lease is open: its way is known. */
  open(): void {
    this.#joined()
  }

  async connect(options: { readonly signal: AbortSignal; readonly own: true }): Promise<Connection> {
    const { signal } = options
    const main = await this.#state.rendezvous.find({ signal })
    const straight = straightOf(main)
    if (straight === main) return this.#transport.connect(main, options)
    const direct = straight && (await this.#directly(straight, options))
    if (direct) return direct
    await before(this.#hasOwner, signal)
    if (this.#owner.forwarded) this.#aside ??= this.#ask()
    const asked = this.#owner.forwarded ? this.#aside : undefined
    const aside = await before(Promise.resolve(asked), signal)
    if (aside === undefined) return this.#transport.connect(main, options)
    try {
      return await this.#transport.connect(aside, options)
    } catch (error) {
      // It has ended alone: that says nothing of the owner.
      if (this.#aside === asked) this.#aside = undefined
      if (!GangflowError.is(error) || error.code !== 'E_GANG_REFUSED') throw error
      throw new GangflowError({ code: 'E_GANG_UNREACHABLE', what: error.what }, { cause: error })
    }
  }

  /** Beside the lease, not after it: as a rule this serves both. */
  async #directly(
    address: string,
    options: { readonly signal: AbortSignal; readonly own: true },
  ): Promise<Connection | undefined> {
    const over = new AbortController()
    void this.#hasOwner.then(() => this.#owner.forwarded && over.abort())
    const signal = AbortSignal.any([options.signal, over.signal])
    try {
      return await this.#transport.connect(address, { ...options, signal })
    } catch {
      options.signal.throwIfAborted()
      return undefined
    }
  }

  /** Nothing where there is none, or an owner that cannot say: the lease's own way then has to do. */
  async #ask(): Promise<string | undefined> {
    const waitsFor = 'the launcher to open another way here'
    const told = await this.#owner.call<string | null>('aside', null, ASIDE_MS, waitsFor).catch(() => null)
    return told ?? undefined
  }
}

/** The address without places that something else carries on; itself where it has none such, undefined where it has no other. */
function straightOf(address: string): string | undefined {
  const target = parseAddress(address)
  if (!target) return address
  const candidates = target.candidates.filter((one) => !('path' in one))
  if (candidates.length === target.candidates.length) return address
  return candidates.length > 0 ? formatAddress({ ...target, candidates }) : undefined
}

function before<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason)
    if (signal.aborted) return aborted()
    signal.addEventListener('abort', aborted, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
