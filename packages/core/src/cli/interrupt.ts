import { exitCodes } from '../errors/exit-codes.js'
import type { RunHandle } from '../runtime/contract.js'

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
 * left to its jobs a person at a terminal is asked first, and a terminal that goes away (HUP) leaves it. Returns how to end it.
 */
export function onInterrupt(handle: RunHandle, { detach, say, input = process.stdin }: InterruptOptions): () => void {
  let asked = 0
  let endQuestion: (() => void) | undefined
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
      else if (!handle.detach()) cancel('Ctrl-C')
    })
  }
  const heard = (signal: NodeJS.Signals) => {
    // The terminal may be gone: nobody is to fail because nothing can be said any more.
    if (signal === 'SIGHUP') for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
    const leaves = asked === 0 && handle.detachable
    if (leaves && (detach || signal === 'SIGHUP') && handle.detach()) return say(`${signal}: detaching`)
    if (leaves && signal === 'SIGINT' && input.isTTY && process.stderr.isTTY && !endQuestion) return ask()
    cancel(signal === 'SIGINT' ? 'Ctrl-C' : signal)
  }
  for (const signal of signals) process.on(signal, heard)
  return () => {
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
