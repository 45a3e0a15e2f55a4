import { writeFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import type { GangNode } from '../../client/node.js'
import type { Task } from '../../client/task.js'
import { GangflowError } from '../../errors/base.js'
import { exitCodes } from '../../errors/exit-codes.js'
import type { Arguments, CommandModule } from '../commands.js'
import { openClient } from '../open-client.js'
import { type RunPath, resolveRunPath } from '../run-path.js'
import { styleOf } from '../style.js'
import { table } from '../table.js'

/** `gangflow artifacts RUN[/STEP[/TASK]] [NAME]`: the list, or one value. */
export const command: CommandModule['command'] = async (args) => {
  const path = await resolveRunPath(openClient(args), String(args['path']))
  const task = taskOf(path)
  const node = typeof args['node'] === 'number' ? args['node'] : undefined
  const of = node === undefined ? task : await ofNode(task, node)
  const artifacts = of.artifacts as Record<string, unknown>
  const name = args['name']
  if (typeof name !== 'string') list(args, task.pathspec, artifacts, of.artifactTypes)
  else await show(args, artifacts[name])
  return exitCodes.ok
}

function taskOf({ run, step = 'end', task }: RunPath): Task {
  return run.task(step, task)
}

async function ofNode(task: Task, node: number): Promise<GangNode> {
  const nodes = await task.nodes()
  const found = nodes.find((each) => each.node === node)
  if (found !== undefined) return found
  throw new GangflowError({
    code: 'E_USAGE',
    what: `task ${task.pathspec} has no node ${node}`,
    fix: nodes.length === 0 ? 'it is no gang: leave --node out' : `its nodes are 0 to ${nodes.length - 1}`,
  })
}

function list(
  args: Arguments,
  pathspec: string,
  artifacts: Record<string, unknown>,
  types: Readonly<Record<string, string>>,
): void {
  const names = Object.keys(artifacts).sort()
  const rows = names.map((name) => ({ name, type: types[name] ?? 'parameter' }))
  if (args['json'] === true) console.log(JSON.stringify(rows, null, 2))
  else if (rows.length === 0) console.log(`${pathspec} has no artifacts`)
  else
    console.log(
      table(
        ['artifact', 'type'],
        rows.map(({ name, type }) => [name, type]),
        styleOf(process.stdout, args),
      ),
    )
}

async function show(args: Arguments, value: unknown): Promise<void> {
  const out = args['out']
  if (typeof out === 'string') {
    await writeFile(out, ArrayBuffer.isView(value) ? bytesOf(value) : typeof value === 'string' ? value : asJson(value))
    console.error(`wrote ${out}`)
  } else if (args['json'] === true) console.log(asJson(value))
  else if (typeof value === 'string') console.log(value)
  else
    console.log(
      inspect(value, { depth: 6, maxArrayLength: 100, colors: process.stdout.isTTY && args['color'] !== false }),
    )
}

const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

/** JSON with what it cannot say written as people would: big integers as text, maps as objects, bytes as arrays. */
function asJson(value: unknown): string {
  const plain = (_: string, inner: unknown): unknown => {
    if (typeof inner === 'bigint') return inner.toString()
    if (inner instanceof Map) return Object.fromEntries(inner)
    if (inner instanceof Set) return [...inner]
    if (ArrayBuffer.isView(inner) && !(inner instanceof DataView)) return Array.from(inner as Uint8Array)
    return inner
  }
  return JSON.stringify(value, plain, 2) ?? 'null'
}
