import { once } from 'node:events'
import type { TaskLine } from '../../client/logs.js'
import { exitCodes } from '../../errors/exit-codes.js'
import type { CommandModule } from '../commands.js'
import { openClient } from '../open-client.js'
import { resolveRunPath, tasksOf } from '../run-path.js'
import { hue, styleOf } from '../style.js'
import { labelOf } from '../view/plain.js'

/** `gangflow logs RUN[/STEP[/TASK]]`: whole logs, streamed, stderr to stderr unless prefixed or JSON. */
export const command: CommandModule['command'] = async (args) => {
  const tasks = await tasksOf(await resolveRunPath(openClient(args), String(args['path'])))
  const filter = {
    ...(typeof args['node'] === 'number' && { node: args['node'] }),
    ...(typeof args['process'] === 'string' && { process: args['process'] }),
    ...(typeof args['stream'] === 'string' && { stream: args['stream'] as 'stdout' | 'stderr' }),
    ...(typeof args['attempt'] === 'number' && { attempt: args['attempt'] }),
  }
  const style = styleOf(process.stdout, args)
  const print = printer(args, (line, gang) => {
    const { step, task, attempt, process: name } = line
    const label = labelOf({ step, task, attempt, process: name, ...(gang && { node: line.node }) })
    return `${hue(style, step)(label)} ${style.dim('│')} ${line.text}`
  })
  for (const task of tasks) {
    const gang = task.gangSize !== undefined
    if (typeof args['tail'] === 'number')
      for (const line of await task.tail(args['tail'], filter)) await print(line, gang)
    else {
      const follow = args['follow'] === true
      for await (const line of task.logs({ ...filter, ...(follow && { follow }) })) await print(line, gang)
    }
  }
  return exitCodes.ok
}

type Print = (line: TaskLine, gang: boolean) => Promise<void>

function printer(args: Readonly<Record<string, unknown>>, prefixed: (line: TaskLine, gang: boolean) => string): Print {
  const write = async (stream: NodeJS.WriteStream, text: string) => {
    if (!stream.write(`${text}\n`)) await once(stream, 'drain')
  }
  if (args['json'] === true) {
    return (line) => {
      const { step, task, attempt, epoch, node, process: name, stream, text } = line
      return write(process.stdout, JSON.stringify({ step, task, attempt, epoch, node, process: name, stream, text }))
    }
  }
  if (args['prefix'] === false) {
    return (line) => write(line.stream === 'stderr' ? process.stderr : process.stdout, line.text)
  }
  return (line, gang) => write(process.stdout, prefixed(line, gang))
}
