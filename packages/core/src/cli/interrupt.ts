import { exitCodes } from '../errors/exit-codes.js'
import type { RunHandle } from '../runtime/contract.js'
import { whenUnread } from './unread.js'

export interface InterruptOptions {
  /** Leave the run to its jobs instead of cancelling it, where it has any that go on. */
  readonly detach: boolean
  say(text: string): void
  /** Where a person answers. Default: this process's terminal, where it has one. */
  readonly input?: NodeJS.ReadStream
}

const CTRL_C = '\x03'
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * The first Ctrl-C (or TERM) cancels and says so, the second kills what runs, the third leaves at once. Of a run that can be
 * left to its jobs a person at a terminal is asked first, and a terminal that goes away (HUP) or output that nobody reads any
 * more leaves it. Returns how to end it.
 */
export function onInterrupt(handle: RunHandle, { detach, say, input = process.stdin }: InterruptOptions): () => void {
  let asked = 0
  let endQuestion: (() => void) | undefined
  let left = false
  const leave = () => {
    left = handle.detach()
    return left
  }
  const cancel = (what: string) => {
    asked += 1
    if (asked > 2) process.exit(exitCodes.cancelled)
    if (asked === 2) {
      say('killing')
      return handle.cancel()
    }
    say(`${what}: stopping; once more kills at once`)
    handle.cancel(what)
  }
  const ask = () => {
    say(
      'Ctrl-C: c (or Ctrl-C again) cancels the run, d detaches: its jobs go on without this launcher; any other key goes on',
    )
    endQuestion = keys(input, (key) => {
      endQuestion?.()
      endQuestion = undefined
      if (key === 'c' || key === CTRL_C) cancel('Ctrl-C')
      else if (key !== 'd') say('going on')
      else if (!leave()) cancel('Ctrl-C')
    })
  }
  const heard = (signal: NodeJS.Signals) => {
    const leaves = asked === 0 && handle.detachable
    if (leaves && (detach || signal === 'SIGHUP') && leave()) return say(`${signal}: detaching`)
    if (leaves && signal === 'SIGINT' && input.isTTY && process.stderr.isTTY && !endQuestion) return ask()
    cancel(signal === 'SIGINT' ? 'Ctrl-C' : signal)
  }
  for (const signal of signals) process.on(signal, heard)
  const forget = whenUnread(() => {
    // A terminal that went away said so by HUP.
    if (left || asked > 0) return
    const why = 'nobody reads its output any more'
    if (handle.detachable && leave()) say(`${why}: detaching`)
    else cancel(why)
  })
  return () => {
    forget()
    endQuestion?.()
    for (const signal of signals) process.off(signal, heard)
  }
}

/** Each key as it is pressed, Ctrl-C too. Returns how to end it. */
function keys(input: NodeJS.ReadStream, pressed: (key: string) => void): () => void {
  const take = (data: Buffer | string) => pressed(String(data).slice(0, 1).toLowerCase())
  input.setRawMode(true)
  input.on('data', take)
  input.resume()
  return () => {
    input.off('data', take)
    input.setRawMode(false)
    input.pause()
  }
}
