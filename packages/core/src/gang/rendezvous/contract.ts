/**
 * Where the members of an attempt find whoever takes them in (D3): the launcher, whose address each agent is told; a
 * peer, at an address that follows from what the scheduler tells; or whoever wrote its address into the datastore first.
 */
export interface Rendezvous {
  readonly kind: 'launcher' | 'peer' | 'datastore'
  /**
   * Offers to take the members in at an address where this process listens. Undefined: it does now; else the address of
   * the one who does. `notAt`: an address at which nobody is any more.
   */
  host(address: string, notAt?: string): Promise<string | undefined>
  /** The address to dial, once it is known; rejects with the signal's reason. `notAt` as above. */
  find(options: { readonly signal: AbortSignal; readonly notAt?: string }): Promise<string>
}
