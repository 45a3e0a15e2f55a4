import { describe } from '../shape.js'
import type { CallInWork } from './calls.js'
import type { Control, Frame, Standing } from './control.js'
import type { FailureFacts } from './protocol.js'

/** Who does not answer within this time is left out of the account. */
const ASK_MS = 1000

/** What an inquiry needs of the engine. */
interface Asker {
  readonly controls: readonly Control[]
  /** Calls made so far. */
  readonly made: number
}

/** Finds out who keeps a call waiting: a question goes once around the ring, and gathers where each rank stands. */
export class Inquiry {
  private asked: { settle: () => void; rows: readonly Standing[] | undefined } | undefined

  constructor(
    private readonly own: { readonly rank: number; readonly size: number },
    private readonly asker: Asker,
  ) {}

  get isUnderWay(): boolean {
    return this.asked !== undefined
  }

  /** Why the call was not done in time. */
  async about({ request, streams }: CallInWork): Promise<FailureFacts> {
    const { sequence, shape, timeoutMs } = request
    const { rank, size } = this.own
    await new Promise<void>((settle) => {
      this.asked = { settle, rows: undefined }
      setTimeout(settle, ASK_MS)
      this.pass({ type: 'ask', by: rank, rows: [] })
    })
    const rows = this.asked?.rows
    this.asked = undefined
    const behind = rows?.filter(({ calls }) => calls < sequence) ?? []
    const from = [...streams].filter(([, stream]) => stream.remaining > 0).map(([other]) => other)
    const waited =
      behind.length > 0
        ? behind.map((row) => `rank ${row.rank} has made ${row.calls} calls`).join(', ')
        : rows?.length === size - 1
          ? `every rank has made the call, and its data is slow to come from rank ${from.join(', ')}`
          : `the next data was to come from rank ${from.join(', ')}, and not every rank answers`
    return {
      code: 'E_TF_CALL_TIMEOUT',
      what: `call #${sequence}, ${describe(shape)}, was not done within ${timeoutMs / 1000} s on rank ${rank}: ${waited}`,
      fix: 'make every call on every rank; give a longer `timeout` where a rank computes for longer',
      ...(behind[0] ? { rank: behind[0].rank } : {}),
    }
  }

  answer({ by, rows }: Frame & { type: 'ask' }): void {
    const { rank } = this.own
    if (by !== rank) this.pass({ type: 'ask', by, rows: [...rows, { rank, calls: this.asker.made }] })
    else if (this.asked) {
      this.asked.rows = rows
      this.asked.settle()
    }
  }

  private pass(frame: Frame): void {
    this.asker.controls.find(({ side }) => side === 'right')?.send(frame)
  }
}
