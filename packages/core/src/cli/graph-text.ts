import { flagOf } from '../flow/describe-parameters.js'
import type { FlowDescription, ParameterDescription, RetryPolicy, StepDescription } from '../flow/description.js'
import type { Style } from './style.js'

/** The flow for a reader: its parameters, then each step with what it does next. */
export function graphText(flow: FlowDescription, style: Style): string {
  const lines = [`${style.bold(flow.name)}  ${style.dim(flow.file)}`]
  if (flow.doc !== undefined) lines.push(...flow.doc.split('\n').map((line) => `  ${line}`))
  if (flow.parameters.length > 0) {
    lines.push('', style.bold('Parameters'))
    lines.push(...parameterLines(flow.parameters, style))
  }
  lines.push('', style.bold('Steps'))
  for (const step of flow.steps) {
    lines.push(`  ${style.cyan(step.name)}${roleOf(step)}  ${style.dim(decoratorsOf(step))}`.trimEnd())
    if (step.doc !== undefined) lines.push(...step.doc.split('\n').map((line) => `      ${style.dim(line)}`))
    const next = nextOf(step)
    if (next !== undefined) lines.push(`      ${next}`)
  }
  return lines.join('\n')
}

/** A line for each parameter: its flag, kind, help and default. */
export function parameterLines(parameters: readonly ParameterDescription[], style: Style): string[] {
  const flags = parameters.map((parameter) => {
    const kind = parameter.kind === 'enum' ? (parameter.choices ?? []).join('|') : parameter.kind
    const last = parameter.required
      ? '(required)'
      : parameter.default === undefined
        ? ''
        : `(default ${JSON.stringify(parameter.default)})`
    return { flag: `--${flagOf(parameter.name)} ${kind}`, help: `${parameter.help ?? ''} ${style.dim(last)}`.trim() }
  })
  const width = Math.max(...flags.map(({ flag }) => flag.length))
  return flags.map(({ flag, help }) => `  ${flag.padEnd(width)}  ${help}`)
}

/** The flow as a Mermaid flowchart. */
export function graphMermaid(flow: FlowDescription): string {
  const lines = ['flowchart TD']
  for (const step of flow.steps) {
    const label =
      step.gang !== undefined ? `[["${step.name} (gang)"]]` : step.join ? `{{"${step.name}"}}` : `["${step.name}"]`
    lines.push(`  ${id(step.name)}${label}`)
  }
  for (const step of flow.steps) {
    for (const [target, label] of edgesOf(step)) {
      lines.push(`  ${id(step.name)} -->${label === '' ? '' : `|"${label}"|`} ${id(target)}`)
    }
  }
  return lines.join('\n')
}

const id = (name: string): string => `step_${name.replace(/\W/g, (letter) => `_${letter.charCodeAt(0)}_`)}`

function edgesOf({ transition }: StepDescription): (readonly [target: string, label: string])[] {
  switch (transition.kind) {
    case 'end':
      return []
    case 'linear':
      return [[transition.target, '']]
    case 'branch':
      return transition.targets.map((target) => [target, ''] as const)
    case 'foreach':
      return [[transition.target, `each of ${transition.artifact}`]]
    case 'gang':
      return [[transition.target, `${transition.size ?? 'computed'} nodes`]]
    case 'switch':
      return Object.entries(transition.cases).map(
        ([value, target]) => [target, `${transition.condition} = ${value}`] as const,
      )
  }
}

function nextOf(step: StepDescription): string | undefined {
  const edges = edgesOf(step)
  if (edges.length === 0) return undefined
  return `→ ${edges.map(([target, label]) => (label === '' ? target : `${target} (${label})`)).join(', ')}`
}

function roleOf(step: StepDescription): string {
  if (step.gang !== undefined) return ' [gang]'
  if (step.join) return step.closes === undefined ? ' [join]' : ` [joins ${step.closes}]`
  return ''
}

function decoratorsOf(step: StepDescription): string {
  const words = step.plugins.map((plugin) => `@${plugin.name}`)
  if (step.retry !== undefined) words.push(`@retry(${retryText(step.retry)})`)
  if (step.catchError !== undefined) words.push('@catchError')
  if (step.timeoutMs !== undefined) words.push(`@timeout(${step.timeoutMs / 1000}s)`)
  const resources = Object.entries(step.resources).map(([name, amount]) => `${name} ${amount}`)
  if (resources.length > 0) words.push(`@resources(${resources.join(', ')})`)
  return words.join(' ')
}

/** `3`, `3; infrastructure 5, user 0`. */
function retryText({ times, budgets = {} }: RetryPolicy): string {
  const own = Object.entries(budgets).map(([cause, count]) => `${cause} ${count}`)
  return own.length === 0 ? String(times) : `${times}; ${own.join(', ')}`
}
