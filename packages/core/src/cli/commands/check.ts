import { exitCodes } from '../../errors/exit-codes.js'
import type { CommandModule } from '../commands.js'
import { describeFlowFile } from '../describing.js'
import { factLines } from '../failure.js'
import { styleOf } from '../style.js'

/** `gangflow check FLOW`: every complaint at once; 0 when there is none. */
export const command: CommandModule['command'] = async (args) => {
  const flow = await describeFlowFile(args)
  if (args['json'] === true) {
    console.log(JSON.stringify({ flow: flow.name, file: flow.file, complaints: flow.complaints }, null, 2))
  } else {
    const style = styleOf(process.stdout, args)
    for (const complaint of flow.complaints) console.log(factLines(complaint, style).join('\n'))
    const count = flow.complaints.length
    if (count === 0) console.log(`${style.green('ok')} ${flow.name}: ${flow.steps.length} steps`)
    else console.log(style.red(`${flow.name}: ${count} ${count === 1 ? 'complaint' : 'complaints'}`))
  }
  return flow.complaints.length === 0 ? exitCodes.ok : exitCodes.usage
}
