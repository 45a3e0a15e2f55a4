import { Client } from '../client/client.js'
import type { Arguments } from './commands.js'

/** The datastore that the command line means, for reading. */
export function openClient(args: Arguments): Client {
  return new Client(typeof args['datastore'] === 'string' ? args['datastore'] : undefined)
}
