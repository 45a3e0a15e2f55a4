import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'

/** `current.parallel.kv` of an epoch, on the control's agent. */
export class KeyValueStore {
  readonly #values = new Map<string, Json>()
  readonly #waiting = new Map<string, Set<(value: Json) => void>>()

  set(key: string, value: Json): void {
    this.#values.set(key, value)
    const waiting = this.#waiting.get(key)
    this.#waiting.delete(key)
    for (const tell of waiting ?? []) tell(value)
  }

  peek(key: string): Json | undefined {
    return this.#values.get(key)
  }

  /** Waits until somebody sets the key; `E_GANG_KV_TIMEOUT` after `timeoutMs`. */
  get(key: string, timeoutMs: number, signal: AbortSignal): Promise<Json> {
    if (this.#values.has(key)) return Promise.resolve(this.#values.get(key)!)
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(key) ?? new Set()
      this.#waiting.set(key, waiting)
      const done = (act: () => void) => {
        clearTimeout(timer)
        waiting.delete(tell)
        signal.removeEventListener('abort', aborted)
        act()
      }
      const tell = (value: Json) => done(() => resolve(value))
      const aborted = () => done(() => reject(signal.reason))
      const timer = setTimeout(
        () =>
          done(() =>
            reject(
              new GangflowError({
                code: 'E_GANG_KV_TIMEOUT',
                what: `nobody set the key ${JSON.stringify(key)} within ${timeoutMs} ms; set are ${
                  [...this.#values.keys()]
                    .sort()
                    .slice(0, 20)
                    .map((name) => JSON.stringify(name))
                    .join(', ') || 'none'
                }`,
                fix: 'set it on some member before, or give the call a longer timeout',
                details: { key },
              }),
            ),
          ),
        Math.min(timeoutMs, 2 ** 31 - 1),
      )
      waiting.add(tell)
      signal.addEventListener('abort', aborted)
    })
  }
}
