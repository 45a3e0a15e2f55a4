import type { GangBackend } from './contract.js'

/** Whether this backend's hosts are sent the code. */
export const isDelivered = (backend: Pick<GangBackend, 'code' | 'datastore'>): boolean =>
  (backend.code ?? (backend.datastore === 'relayed' ? 'delivered' : 'local')) === 'delivered'
