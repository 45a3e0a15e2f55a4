/** In whose words a call speaks and under whose names it keeps its things: two such decorators may be on one step. */
export interface RankFamily {
  /** `@torchrun`. */
  readonly decorator: string
  /** `current.torch.run`. */
  readonly call: string
  /** Prefix of records, ports and folders. */
  readonly name: string
}

export const torchFamily: RankFamily = { decorator: '@torchrun', call: 'current.torch.run', name: 'torch' }
