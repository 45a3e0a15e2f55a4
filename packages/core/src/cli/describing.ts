import { resolve } from 'node:path'
import type { FlowDescription } from '../flow/description.js'
import type { Arguments } from './commands.js'

/** Compiles and describes the flow named on the command line; its complaints are in the description. */
export async function describeFlowFile(args: Arguments): Promise<FlowDescription> {
  const { describeFile } = await import('../composition/describe.js')
  return describeFile(resolve(String(args['flow'])), {
    ...(typeof args['datastore'] === 'string' && { datastore: args['datastore'] }),
  })
}
