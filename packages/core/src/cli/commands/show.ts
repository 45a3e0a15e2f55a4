import { exitCodes } from '../../errors/exit-codes.js'
import type { CommandModule } from '../commands.js'
import { describeFlowFile } from '../describing.js'
import { graphMermaid, graphText } from '../graph-text.js'
import { styleOf } from '../style.js'

/** `gangflow show FLOW`: the graph as text, Mermaid, or (with --json) the whole description. */
export const command: CommandModule['command'] = async (args) => {
  const flow = await describeFlowFile(args)
  if (args['json'] === true) console.log(JSON.stringify(flow, null, 2))
  else if (args['format'] === 'mermaid') console.log(graphMermaid(flow))
  else console.log(graphText(flow, styleOf(process.stdout, args)))
  return flow.complaints.length === 0 ? exitCodes.ok : exitCodes.usage
}
