import type { GangNeeds, StepDescription } from '../flow/description.js'

/** What all of a step's plugins need together: a body on the control only where one of them wants that. */
export function needsOf(step: StepDescription): GangNeeds {
  const all = step.plugins.map((plugin) => plugin.needs)
  return {
    body: all.some((needs) => needs.body === 'control') ? 'control' : 'all',
    executables: [...new Set(all.flatMap((needs) => needs.executables ?? []))],
    ports: [...new Set(all.flatMap((needs) => needs.ports ?? []))],
    ssh: all.some((needs) => needs.ssh === true),
  }
}
