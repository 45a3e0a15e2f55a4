/** Monotonic milliseconds. `performance` would be loaded for it first, which takes a worker's start most of one. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
