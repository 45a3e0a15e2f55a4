/** Codes of the runtime rooms: `E_NAME: 'one-line meaning'`. */
export const runtimeCodes = {
  E_RUN_GRAPH: "a run's task does not fit the flow's graph",
  E_FOREACH_EMPTY: 'a foreach over nothing',
  E_GANG_SIZE: 'a gang of a size that is no whole number of at least 1',
  E_RUN_OWNED: 'a run that another launcher owns',
} as const
