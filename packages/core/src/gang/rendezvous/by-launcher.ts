import type { Rendezvous } from './contract.js'

/** The launcher's own address, told to each agent at its start: there is no other, and nothing to wait for. */
export const launcherRendezvous = (address: string): Rendezvous => ({
  kind: 'launcher',
  host: async (own) => (own === address ? undefined : address),
  find: async ({ signal }) => {
    signal.throwIfAborted()
    return address
  },
})
