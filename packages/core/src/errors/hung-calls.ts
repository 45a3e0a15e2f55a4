/** Across the files of core in one process, each of which has this module by itself. */
const key = Symbol.for('gangflow.hung-calls')
const all = globalThis as { [key]?: number }

/** Calls to a disk that were given up and have not come back: Node does not exit before they have. */
export const hungCalls = (): number => all[key] ?? 0

/** Counts one that was given up (1), or that came back after all (-1). */
export function countHung(change: 1 | -1): void {
  all[key] = hungCalls() + change
}
