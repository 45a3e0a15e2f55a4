import { GangflowError } from '../errors/base.js'
import { locationOf } from './facts.js'
import { writeLastWords } from './last-words.js'

export interface Guard {
  /** Rejects with what failed the step from outside of its own call: what nobody caught, or a wait without hope. */
  readonly failed: Promise<never>
  /** Takes the guard away: the step is over. */
  release(): void
}

/** Watches over a process while a step's code runs in it. `words` is where a `process.exit` is written down. */
export function guardStep(step: string, words: string): Guard {
  let fail!: (error: unknown) => void
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => {})
  const onUncaught = (error: unknown) => {
    // Somebody else takes such errors too: then it is theirs.
    if (process.listenerCount('uncaughtException') === 1) fail(error)
  }
  const onIdle = () => fail(stalled(step))
  const exit = process.exit
  let calledAt: Error | undefined
  const ownExit = ((code?: number | string | null) => {
    calledAt ??= new Error('process.exit')
    return exit.call(process, code)
  }) as typeof process.exit
  const onExit = (code: number) => {
    const location = locationOf(calledAt)
    writeLastWords(words, { step, exitCode: code, ...(location ? { location } : {}) })
  }
  process.exit = ownExit
  process.on('uncaughtException', onUncaught)
  process.on('beforeExit', onIdle)
  process.on('exit', onExit)
  return {
    failed,
    release() {
      if (process.exit === ownExit) process.exit = exit
      process.off('uncaughtException', onUncaught)
      process.off('beforeExit', onIdle)
      process.off('exit', onExit)
    },
  }
}

function stalled(step: string): GangflowError {
  return new GangflowError({
    code: 'E_STEP_STALLED',
    what: `step '${step}' waits for what can never happen: nothing is left in its process that could wake it`,
    fix: 'look for a promise that nobody resolves; an unref()ed timer or server keeps no process alive',
    step,
  })
}
