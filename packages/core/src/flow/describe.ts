import type { SourceLocation } from '../errors/base.js'
import { type Complaints, collectComplaints } from './complain.js'
import { describeParameters } from './describe-parameters.js'
import type { FlowDescription, StepDescription } from './description.js'
import { docAbove } from './doc.js'
import { type GraphStep, hashOf, sourcesOf } from './graph.js'
import type { FlowClass } from './invocation.js'
import { type Locator, openLocator } from './locate.js'
import { type LoadedStep, stepsOf } from './metadata.js'
import { checkMethods } from './methods.js'
import { readDecorations } from './read-decorations.js'
import { type ReadStep, readStep } from './read-step.js'
import { checkDecorations } from './roles.js'
import { type CheckedGraph, checkGraph } from './validate.js'

/** Where a flow was loaded from. */
export interface FlowOrigin {
  /** Absolute path of the person's source file. */
  readonly file: string
  /** Absolute path of what was loaded (the bundle), where that is known. */
  readonly loaded?: string
}

/**
 * Describes a loaded flow class: its graph as read from the source of its steps, its parameters and decorators, and
 * everything that is wrong with them (`complaints`). Runs the class's constructor once, and each plugin's `needs`.
 * Positions are those of the source when the running code has a source map.
 */
export function describeFlow(flowClass: FlowClass, origin: FlowOrigin): FlowDescription {
  const locator = openLocator(origin.loaded)
  try {
    return describe(flowClass, origin, locator)
  } finally {
    locator.close()
  }
}

function describe(flowClass: FlowClass, { file }: FlowOrigin, locator: Locator): FlowDescription {
  const steps = stepsOf(flowClass)
  const locations = new Map<string, SourceLocation>()
  for (const [name, { method }] of steps) locations.set(name, locator.locate(method) ?? { file, line: 1 })
  const place = locator.locate(flowClass) ?? { file, line: 1 }
  const complaints = collectComplaints((step) => (step === undefined ? place : (locations.get(step) ?? place)))
  const { helpers, names } = checkMethods(flowClass, steps, locator, complaints)
  const read = new Map<string, ReadStep & GraphStep>()
  for (const [name, step] of steps) {
    const locate = (offset: number) => locator.locate(step.method, offset)
    read.set(name, { name, ...readStep(step, helpers, locate, complaints) })
  }
  const graph = checkGraph(read, names, complaints)
  const doc = docAbove(place)
  return {
    protocol: 1,
    name: flowClass.name,
    ...(doc !== undefined && { doc }),
    file,
    parameters: describeParameters(flowClass, complaints),
    steps: describeSteps(steps, read, graph, locations, complaints),
    complaints: complaints.list,
  }
}

function describeSteps(
  steps: ReadonlyMap<string, LoadedStep>,
  read: ReadonlyMap<string, GraphStep>,
  graph: CheckedGraph,
  locations: ReadonlyMap<string, SourceLocation>,
  complaints: Complaints,
): StepDescription[] {
  const sources = sourcesOf(read.values())
  return [...steps.values()].map((step): StepDescription => {
    const { name } = step
    const { transition = { kind: 'end' }, parameters } = read.get(name)!
    const { gang, ...decorated } = readDecorations(step, complaints)
    const from = sources.get(name) ?? []
    const sizes = from.map((source) => read.get(source)!.transition!).filter((one) => one.kind === 'gang')
    checkDecorations(
      name,
      { ...decorated, gang, transition, sizes: sizes.map(({ size }) => size), reached: from.length > 0 },
      complaints,
    )
    const closes = graph.closes.get(name)
    const location = locations.get(name)!
    const doc = docAbove(location)
    return {
      name,
      ...(doc !== undefined && { doc }),
      location,
      shape: shapeOf(name, transition, parameters, decorated),
      transition,
      join: graph.isJoin(name),
      from,
      ...(closes !== undefined && { closes }),
      ...decorated,
      ...((gang || sizes.length > 0) && { gang: gang ?? {} }),
    }
  })
}

/** What must be the same for a resumed run to take over a finished task of the step. */
function shapeOf(
  name: string,
  transition: StepDescription['transition'],
  parameters: number,
  { catchError, plugins }: Pick<StepDescription, 'catchError' | 'plugins'>,
): string {
  const way = transition.kind === 'foreach' ? { ...transition, reuse: undefined } : transition
  return hashOf({ name, way, parameters, catchError, plugins: plugins.map((plugin) => plugin.name) })
}
