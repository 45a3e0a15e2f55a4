import { type Complaints, nearest } from './complain.js'
import { type GraphStep, reachable, sourcesOf, targetsOf } from './graph.js'
import { type Closes, checkNesting } from './nesting.js'

/** What the graph's check finds out besides complaints. */
export interface CheckedGraph {
  readonly isJoin: (name: string) => boolean
  readonly closes: Closes
}

/**
 * Checks the whole graph. What depends on where steps lead is left out while some step's transition cannot be
 * read: its complaint comes first.
 */
export function checkGraph(
  steps: ReadonlyMap<string, GraphStep>,
  methods: ReadonlySet<string>,
  complaints: Complaints,
): CheckedGraph {
  const items = new Set(
    [...steps.values()].flatMap(({ transition }) => (transition?.kind === 'foreach' ? [transition.target] : [])),
  )
  const isJoin = (name: string) => (steps.get(name)?.parameters ?? 0) > 0 && !items.has(name)
  let whole = [...steps.values()].every(({ transition }) => transition !== undefined)
  for (const name of ['start', 'end']) {
    if (steps.has(name)) continue
    whole = false
    const near = nearest(name, steps.keys())
    complaints.add(
      'E_STEP_MISSING',
      undefined,
      `the flow has no step '${name}'`,
      methods.has(name)
        ? `mark its method ${name} with @step`
        : `add '@step ${name}() { … }'${near ? `, or rename ${near}` : ''}`,
    )
  }
  for (const step of steps.values()) whole = checkTargets(step, steps, methods, complaints) && whole
  checkArguments(steps, items, complaints)
  if (!whole) return { isJoin, closes: new Map() }

  checkReach(steps, complaints)
  const reported = checkGangs(steps, isJoin, complaints)
  return { isJoin, closes: checkNesting(steps, isJoin, complaints, reported) }
}

function checkTargets(
  { name, transition }: GraphStep,
  steps: ReadonlyMap<string, GraphStep>,
  methods: ReadonlySet<string>,
  complaints: Complaints,
): boolean {
  const unknown = targetsOf(transition).filter((target) => !steps.has(target))
  for (const target of unknown) {
    const near = nearest(target, steps.keys())
    const fix = methods.has(target)
      ? `mark the method ${target} with @step`
      : near
        ? `did you mean this.${near}?`
        : `the steps are: ${[...steps.keys()].join(', ')}`
    complaints.add('E_NEXT_TARGET', name, `${name} leads to this.${target}, which is no step`, fix)
  }
  return unknown.length === 0
}

function checkArguments(
  steps: ReadonlyMap<string, GraphStep>,
  items: ReadonlySet<string>,
  complaints: Complaints,
): void {
  const start = steps.get('start')
  if (start && start.parameters > 0)
    complaints.add(
      'E_STEP_ARGUMENT',
      'start',
      'start takes an argument, and nothing comes before it',
      'for values from outside declare parameters: readonly lr = parameter.number({ default: 0.1 })',
    )
  for (const { name, parameters, transition } of steps.values()) {
    if (parameters > 1)
      complaints.add(
        'E_STEP_ARGUMENT',
        name,
        `${name} takes ${parameters} arguments`,
        'a join takes inputs, the target of a foreach takes its item, any other step takes none',
      )
    if (transition?.kind === 'gang' && (steps.get(transition.target)?.parameters ?? 0) > 0)
      complaints.add(
        'E_STEP_ARGUMENT',
        transition.target,
        `${transition.target} is a gang step and takes an argument`,
        'remove it; each member knows its place by current.parallel.nodeIndex',
      )
    if (!items.has(name) || parameters === 0) continue
    for (const source of sourcesOf(steps.values()).get(name) ?? []) {
      if (steps.get(source)!.transition!.kind !== 'foreach')
        complaints.add(
          'E_STEP_ARGUMENT',
          source,
          `${source} leads to ${name}, which takes the item of a foreach, and gives it none`,
          `lead to a step that takes no item, or keep the item in an artifact in ${name} and read that`,
        )
    }
  }
}

function checkReach(steps: ReadonlyMap<string, GraphStep>, complaints: Complaints): void {
  const follow = (name: string) => targetsOf(steps.get(name)?.transition)
  const fromStart = reachable('start', follow)
  for (const name of steps.keys()) {
    if (!fromStart.has(name))
      complaints.add(
        'E_GRAPH_UNREACHABLE',
        name,
        `no way leads from start to ${name}`,
        `lead to it by this.next(this.${name}), or remove its @step`,
      )
  }
  const straight = (name: string) => (steps.get(name)?.transition?.kind === 'switch' ? [] : follow(name))
  const looping = new Set(
    [...fromStart].filter((name) => straight(name).some((next) => reachable(next, straight).has(name))),
  )
  if (looping.size > 0) {
    const [first] = looping
    complaints.add(
      'E_GRAPH_LOOP',
      first,
      `${[...looping].join(', ')} lead${looping.size === 1 ? 's' : ''} back to ${looping.size === 1 ? 'itself' : 'each other'} for ever`,
      "only a switch may lead back: this.next({ again: this.fit, done: this.end }, { condition: 'state' })",
    )
    return
  }
  const sources = sourcesOf(steps.values())
  const toEnd = reachable('end', (name) => sources.get(name) ?? [])
  const stuck = [...fromStart].filter((name) => !toEnd.has(name))
  if (stuck.length > 0)
    complaints.add(
      'E_GRAPH_LOOP',
      stuck[0],
      `no way leads from ${stuck.join(', ')} to the end`,
      'give the switch a case that leads on to the end',
    )
}

/** Gives the splits that have been complained about. */
function checkGangs(
  steps: ReadonlyMap<string, GraphStep>,
  isJoin: (name: string) => boolean,
  complaints: Complaints,
): Set<string> {
  const reported = new Set<string>()
  for (const { name, transition: split } of steps.values()) {
    if (split?.kind !== 'gang') continue
    const { target } = split
    const transition = steps.get(target)?.transition
    if (!transition || isJoin(target) || (transition.kind === 'linear' && isJoin(transition.target))) continue
    reported.add(name)
    const next = transition.kind === 'linear' ? transition.target : undefined
    complaints.add(
      'E_GANG_JOIN',
      target,
      `the gang step ${target} does not lead directly to a join`,
      next !== undefined && next !== 'end'
        ? `let ${next} take what the members left: ${next}(inputs: Inputs<MyFlow>)`
        : `lead to a step that joins: this.next(this.join), with '@step join(inputs: Inputs<MyFlow>) { … }'`,
    )
  }
  return reported
}
