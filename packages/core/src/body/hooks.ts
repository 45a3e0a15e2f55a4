import { GangflowError, messageOf } from '../errors/base.js'
import type { PluginDecoration } from '../flow/metadata.js'
import type { GangContext, Outcome } from '../plugin/contract.js'

/** Milliseconds that one plugin's setup may take; a step's @timeout is mostly shorter. */
const setupMs = 30 * 60_000
/** And its teardown: the step is over, and others wait. */
const teardownMs = 30_000

/** Runs each plugin's `setup` in the order in which they are written; what one gives becomes its namespace. */
export async function setUp(
  plugins: readonly PluginDecoration[],
  gang: GangContext,
  namespaces: Map<string, unknown>,
  step: string,
): Promise<void> {
  for (const { plugin, options } of plugins) {
    if (!plugin.setup) {
      if (plugin.namespace !== undefined) namespaces.set(plugin.namespace, undefined)
      continue
    }
    const given = await within(plugin.setup(gang, options), setupMs, `the setup of @${plugin.name}`, step)
    if (plugin.namespace !== undefined) namespaces.set(plugin.namespace, given)
  }
}

/** The step's code inside of every plugin's `wrap`, the first written outermost. */
export function wrapped(
  plugins: readonly PluginDecoration[],
  gang: GangContext,
  run: () => Promise<void>,
): () => Promise<void> {
  return plugins.reduceRight<() => Promise<void>>((next, { plugin, options }) => {
    const { wrap } = plugin
    return wrap ? () => wrap.call(plugin, gang, options, next) : next
  }, run)
}

/** Runs each plugin's `teardown`, the last set up first. One that fails is told on stderr: the step's result stands. */
export async function tearDown(
  plugins: readonly PluginDecoration[],
  gang: GangContext,
  outcome: Outcome,
  step: string,
): Promise<void> {
  for (const { plugin } of [...plugins].reverse()) {
    if (!plugin.teardown) continue
    try {
      await within(plugin.teardown(gang, outcome), teardownMs, `the teardown of @${plugin.name}`, step)
    } catch (error) {
      process.stderr.write(`gangflow: the teardown of @${plugin.name} failed: ${messageOf(error)}\n`)
    }
  }
}

async function within<T>(work: Promise<T>, ms: number, what: string, step: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new GangflowError({
          code: 'E_PLUGIN_HOOK_TIMEOUT',
          what: `${what} on step '${step}' did not end within ${ms / 1000} s`,
          fix: 'see the last lines of the step for what it waits for',
          step,
        }),
      )
    }, ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
