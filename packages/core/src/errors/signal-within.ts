/**
 * Aborts with the first of these signals, and after `ms` milliseconds (then with a `TimeoutError`). In place of
 * `AbortSignal.any([…, AbortSignal.timeout(ms)])`: Node 20 collects that timeout as garbage, and it never fires.
 */
export function signalWithin(ms: number, ...signals: readonly AbortSignal[]): AbortSignal {
  const own = new AbortController()
  const late = () => own.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'))
  // Longest that a timer can wait. It holds the controller, and no process.
  const timer = setTimeout(late, Math.min(ms, 2_147_483_647))
  timer.unref()
  own.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  for (const signal of signals) {
    if (signal.aborted) own.abort(signal.reason)
    signal.addEventListener('abort', () => own.abort(signal.reason), { once: true, signal: own.signal })
  }
  return own.signal
}

/** Does something with such a signal, of which nothing is left once it is done. */
export async function within<T>(
  ms: number,
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const done = new AbortController()
  try {
    return await work(signalWithin(ms, ...signals, done.signal))
  } finally {
    done.abort()
  }
}
