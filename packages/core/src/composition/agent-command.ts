import { openDatastoreSync } from '../datastore/open.js'
import { encodePrelude, encodeSecret } from '../gang/agent/bootstrap.js'
import type { Bootstrap } from '../gang/contract.js'
import { RELAYED } from '../gang/store.js'

/** The command of an agent that an engine starts on every node of a job alike; its stdin is `encodeForAll`. */
export function agentCommand(agent: string, { datastore }: Pick<Bootstrap, 'datastore'>): readonly string[] {
  // Its compiled form is kept there.
  const folder = datastore === RELAYED ? '' : openDatastoreSync(datastore).scratch('code')
  return [process.execPath, agent, folder, 'allocated']
}

/** What all agents of a job are told on their stdin (D2): each finds its own place in its environment. */
export const encodeForAll = (bootstrap: Bootstrap): Uint8Array =>
  Buffer.concat([encodePrelude(bootstrap, undefined), encodeSecret(bootstrap)])
