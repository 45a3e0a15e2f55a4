import { messageOf } from '../errors/base.js'
import type { Complaints } from './complain.js'
import { type GangNeeds, type GangOptions, knownNeeds, type PluginUse, type StepDescription } from './description.js'
import { type LoadedStep, type PluginDecoration, pluginsOf } from './metadata.js'

type Decorated = Pick<
  StepDescription,
  'retry' | 'catchError' | 'timeoutMs' | 'resources' | 'environment' | 'plugins'
> & {
  /** Present when a decorator says that the step is a gang's. */
  readonly gang?: GangOptions
}

/** What the decorators of a step say, as plain data; complains about those that cannot stand together. */
export function readDecorations(step: LoadedStep, complaints: Complaints): Decorated {
  const { name, decorations } = step
  type Kind = (typeof decorations)[number]['kind']
  const one = <K extends Kind>(kind: K) => {
    const found = decorations.filter((each): each is Extract<typeof each, { kind: K }> => each.kind === kind)
    if (found.length > 1)
      complaints.add('E_DECORATOR_TWICE', name, `${name} has @${kind} ${found.length} times`, 'keep one')
    return found.at(-1)
  }
  const uses = pluginsOf(step)
  const plugins = uses.map((use) => describeUse(step, use, complaints))
  const gangs = plugins.filter(({ needs }) => needs.gang !== false)
  if (gangs.length > 1 && gangs.some(({ needs }) => (needs.body ?? 'all') !== 'all')) {
    const alone = gangs.filter(({ needs }) => (needs.body ?? 'all') !== 'all').map((use) => `@${use.name}`)
    complaints.add(
      'E_GANG_PLUGINS',
      name,
      `${name} has the gang decorators ${gangs.map((use) => `@${use.name}`).join(' and ')}, and ${alone.join(' and ')} runs the body on the control alone`,
      'give each a gang step of its own',
    )
  }
  for (const [index, { name: plugin, namespace }] of plugins.entries()) {
    const twin = plugins.findIndex(
      (other) => other.name === plugin || (namespace !== undefined && other.namespace === namespace),
    )
    if (twin < index)
      complaints.add(
        'E_DECORATOR_TWICE',
        name,
        plugins[twin]!.name === plugin
          ? `${name} has @${plugin} twice`
          : `${name} has @${plugin} and @${plugins[twin]!.name}, which both want current.${namespace}`,
        'keep one',
      )
  }
  one('step')
  const retry = one('retry')?.policy
  const caught = one('catchError')
  const timeoutMs = one('timeout')?.ms
  const parallel = one('parallel')
  return {
    ...(retry && { retry }),
    ...(caught && { catchError: caught.artifact === undefined ? {} : { artifact: caught.artifact } }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    resources: one('resources')?.resources ?? {},
    environment: one('environment')?.vars ?? {},
    ...((parallel || gangs.length > 0) && { gang: parallel?.options ?? {} }),
    plugins,
  }
}

function describeUse({ name }: LoadedStep, { plugin, options }: PluginDecoration, complaints: Complaints): PluginUse {
  let needs: GangNeeds = {}
  try {
    needs = plugin.needs?.(options) ?? {}
  } catch (error) {
    const fix = (error as { fix?: unknown } | null)?.fix
    const what = (error as { what?: unknown } | null)?.what
    complaints.add(
      'E_PLUGIN_NEEDS',
      name,
      `@${plugin.name} on ${name}: ${typeof what === 'string' ? what : messageOf(error)}`,
      typeof fix === 'string' ? fix : `change the options of @${plugin.name}`,
    )
  }
  const unknown = Object.keys(needs).filter((need) => !knownNeeds.includes(need))
  if (unknown.length > 0)
    complaints.add(
      'E_PLUGIN_NEEDS',
      name,
      `@${plugin.name} on ${name} needs ${unknown.map((need) => `'${need}'`).join(', ')} of the gang, and this core knows only ${knownNeeds.join(', ')}`,
      `install a @gangflow/core that knows it; which member does what, a plugin decides by nodeIndex and isControl`,
    )
  return {
    name: plugin.name,
    ...(plugin.namespace !== undefined && { namespace: plugin.namespace }),
    options: plain(options),
    needs,
  }
}

/** Options as JSON; what JSON cannot say is left out, since the body has the live ones. */
function plain(options: unknown): unknown {
  try {
    return JSON.parse(
      JSON.stringify(options, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)) ?? 'null',
    )
  } catch {
    return {}
  }
}
