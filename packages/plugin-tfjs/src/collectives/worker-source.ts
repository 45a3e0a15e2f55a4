/** What the build puts here: the bundled `worker/entry.ts`, as text, so that it is found wherever this package lies. */
declare const __COLLECTIVES_WORKER__: string
declare const __CORE_VERSION__: string

export const workerSource = (): string => __COLLECTIVES_WORKER__
/** Of this package. */
export const packageVersion = (): string => __CORE_VERSION__
