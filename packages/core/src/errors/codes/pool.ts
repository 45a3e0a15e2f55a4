/** Codes of the parallel map: `E_NAME: 'one-line meaning'`. */
export const poolCodes = {
  E_MAP_CAPTURE: 'a function uses something that cannot be sent to a worker',
  E_MAP_ITEM: 'the function of a map failed on an item',
  E_MAP_ITEMS: 'what is to be mapped cannot be iterated',
  E_MAP_MEMORY: 'an item was in work when the memory ceiling was passed',
  E_MAP_OPTION: 'a map or a pool was given an option that it does not have, or an ill-typed one',
  E_MAP_READONLY: 'a function writes to a captured value of which each worker has its own read-only copy',
  E_MAP_RESULT: 'what the function gave for an item cannot be sent back',
  E_MAP_SEND: 'an item cannot be sent to a worker',
  E_MAP_TIMEOUT: 'an item took longer than its timeout',
  E_MAP_WORKER: 'a worker died while it held an item',
  E_POOL_CLOSED: 'a pool was used after it was closed',
  E_POOL_INIT: 'the init function of a pool failed in a worker',
  E_POOL_START: 'no worker could be started, or workers died before they could do anything',
} as const
