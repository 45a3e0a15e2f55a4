import type { Client } from '../client/client.js'
import type { Run } from '../client/run.js'
import type { Task } from '../client/task.js'
import { GangflowError } from '../errors/base.js'

export interface RunPath {
  readonly run: Run
  readonly step?: string
  readonly task?: string
}

/** Finds `[FLOW/]RUN[/STEP[/TASK]]`; a flow's name alone means its newest run, as does `FLOW/latest`. */
export async function resolveRunPath(client: Client, path: string): Promise<RunPath> {
  const words = path.split('/').filter((word) => word !== '')
  const flow = words[0] !== undefined && !/^\d/.test(words[0]) ? words.shift() : undefined
  const id = words.shift()
  const [step, task, ...more] = words
  if ((flow === undefined && id === undefined) || more.length > 0) {
    throw new GangflowError({
      code: 'E_USAGE',
      what: `'${path}' names no run`,
      fix: 'write [FLOW/]RUN[/STEP[/TASK]], or a flow for its newest run; `gangflow runs` lists them',
    })
  }
  const newest = flow !== undefined && (id === undefined || id === 'latest')
  const run = newest ? await client.latest(flow) : client.run(flow === undefined ? id! : `${flow}/${id}`)
  return { run, ...(step !== undefined && { step }), ...(task !== undefined && { task }) }
}

/** The tasks that a path means, in the order of the flow's steps. */
export async function tasksOf({ run, step, task }: RunPath): Promise<Task[]> {
  if (step !== undefined && task !== undefined) return [run.task(step, task)]
  const steps = step === undefined ? await run.steps() : [run.step(step)]
  return (await Promise.all(steps.map((each) => each.tasks()))).flat()
}
