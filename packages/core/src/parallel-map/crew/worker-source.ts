/** What the build puts here: the bundled `worker/entry.ts`, as text, so that a worker starts without reading a file. */
declare const __POOL_WORKER__: string

export function workerSource(): string {
  return __POOL_WORKER__
}
