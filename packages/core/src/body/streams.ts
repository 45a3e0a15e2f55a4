import type { Writable } from 'node:stream'

type Handled = Writable & { _handle?: { setBlocking?(on: boolean): number } }

const names = ['stdout', 'stderr'] as const

/**
 * Makes every write to stdout and stderr wait until the pipe has it, so that what a step printed is out when it
 * exits, is killed or runs out of memory, and a flood does not pile up in memory. Each stream is made at its first
 * use, as Node does: a body that prints nothing does not pay for them.
 */
export function writeThrough(): void {
  for (const name of names) {
    const made = Object.getOwnPropertyDescriptor(process, name)
    if (!made?.get || !made.configurable) continue
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get() {
        const stream = made.get!.call(process) as Handled
        stream._handle?.setBlocking?.(true)
        used.add(stream)
        Object.defineProperty(process, name, made)
        return stream
      },
    })
  }
}

const used = new Set<Writable>()

/** Settles when all that was printed has left this process. */
export async function flushStreams(): Promise<void> {
  for (const stream of used) {
    if (stream.writableLength > 0 && !stream.destroyed)
      await new Promise<void>((resolve) => stream.write('', () => resolve()))
  }
}
