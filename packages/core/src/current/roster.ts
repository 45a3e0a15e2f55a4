/** One member as the roster of an epoch lists it. */
export interface RosterEntry {
  /** 0…N-1 within the epoch. */
  readonly node: number
  readonly memberId: string
  readonly host: string
  /** Addresses at which peers reach it, as they have found out before the epoch opened; best first. */
  readonly addresses: readonly string[]
  /** Name of its network interface to the gang's network, such as `eth0`; absent where it is not known. */
  readonly interface?: string
  /** CPUs given to this member. */
  readonly slots: number
  /** Device indices or ids given to this member. */
  readonly gpus: readonly string[]
}

/** The agreed list of an epoch. */
export interface Roster {
  readonly epoch: number
  /** Member id of the control; always the entry of node 0. */
  readonly control: string
  readonly entries: readonly RosterEntry[]
}
