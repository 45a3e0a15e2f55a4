import { resolve } from 'node:path'
import { exitCodes } from '../../errors/exit-codes.js'
import type { Arguments, CommandModule } from '../commands.js'
import { describeFlowFile } from '../describing.js'
import { factLines } from '../failure.js'
import { packageLines } from '../package-text.js'
import { styleOf } from '../style.js'

/** `gangflow check FLOW`: every complaint at once; 0 when there is none. */
export const command: CommandModule['command'] = async (args) => {
  const { flow, package: summary } = args['package'] === true ? await withPackage(args) : await alone(args)
  const tooLarge = summary !== undefined && summary.bytes > summary.limit
  if (args['json'] === true) {
    const { name, file, complaints } = flow
    console.log(JSON.stringify({ flow: name, file, complaints, ...(summary ? { package: summary } : {}) }, null, 2))
  } else {
    const style = styleOf(process.stdout, args)
    for (const complaint of flow.complaints) console.log(factLines(complaint, style).join('\n'))
    const count = flow.complaints.length
    if (count === 0) console.log(`${style.green('ok')} ${flow.name}: ${flow.steps.length} steps`)
    else console.log(style.red(`${flow.name}: ${count} ${count === 1 ? 'complaint' : 'complaints'}`))
    if (summary) console.log(packageLines(summary, style).join('\n'))
  }
  return flow.complaints.length === 0 && !tooLarge ? exitCodes.ok : exitCodes.usage
}

const alone = async (args: Arguments) => ({ flow: await describeFlowFile(args), package: undefined })

async function withPackage(args: Arguments) {
  const { describePackage } = await import('../../composition/describe.js')
  return describePackage(resolve(String(args['flow'])), {
    ...(typeof args['datastore'] === 'string' && { datastore: args['datastore'] }),
  })
}
