/** What a worker asks of a server, and what both put before their numbers. All of it is float32, in one message each way. */
export const HEAD = 4

/** Numbers of the head: what is asked, rows that the gradients are of, learning rate, whether they are not all finite. */
export const At = { ask: 0, rows: 1, rate: 2, broken: 3 } as const

export const Ask = {
  /** Gradients follow; the answer is the variables as they are when this worker may go on. */
  push: 1,
  /** No gradients; the answer is the variables as they are now. */
  pull: 2,
  /** This worker has no more steps in this epoch: nobody waits for it. */
  rest: 3,
  /** The answer's head tells the optimizer's count of steps and of slots, which follow one by one. */
  state: 4,
  /** The training is over for this worker. */
  end: 5,
} as const
