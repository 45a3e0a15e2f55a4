import { dirname } from 'node:path'
import type { PlannedCheck } from '../../backend/doctor/plugin-checks.js'
import { GangflowError } from '../../errors/base.js'
import type { FlowDescription } from '../../flow/description.js'
import type { DoctorCheck } from '../../plugin/contract.js'
import { findPlugins, type InstalledPlugin } from '../installed-plugins.js'

/** What the plugins want to be looked at: those of the flow with its options, else all that are installed here. */
export async function plannedChecks(
  flow: FlowDescription | undefined,
): Promise<{ checks: PlannedCheck[]; broken: InstalledPlugin[] }> {
  const installed = await findPlugins(flow === undefined ? process.cwd() : dirname(flow.file))
  const broken = installed.filter(({ status }) => status !== 'ok')
  const plugins = installed.flatMap(({ decorators }) => decorators)
  const uses =
    flow === undefined
      ? plugins.map(({ name }) => ({ name, options: {}, needs: undefined }))
      : flow.steps.flatMap((step) => step.plugins)
  const planned = new Map<string, PlannedCheck>()
  for (const { name, options, needs } of uses) {
    for (const check of plugins.find((plugin) => plugin.name === name)?.checks ?? []) {
      // One check of several steps with the same options is one.
      const key = JSON.stringify([name, check.name, options])
      const twins = [...planned.values()].filter((each) => each.name.startsWith(`${name}: ${check.name}`)).length
      if (!planned.has(key))
        planned.set(key, { name: `${name}: ${check.name}${twins === 0 ? '' : ` (${twins + 1})`}`, check, options })
    }
    for (const program of needs?.executables ?? [])
      planned.set(program, { name: `${name}: ${program}`, check: onPath(program), options })
  }
  return { checks: [...planned.values()], broken }
}

/** That a program which a plugin needs on every member is there. */
const onPath = (program: string): DoctorCheck => ({
  name: program,
  command: () => ['sh', '-c', 'command -v -- "$1"', 'sh', program],
  judge({ exitCode, stdout }) {
    if (exitCode === 0) return stdout.trim()
    throw new GangflowError({
      code: 'E_DOCTOR_PROGRAM',
      what: `${program} is not on PATH`,
      fix: `install it, or put its folder on the PATH of non-interactive shells (~/.ssh/environment, /etc/environment)`,
    })
  },
})
