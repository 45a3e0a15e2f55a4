import type { GangContext, Json } from '@gangflow/core/plugin'
import type { LaunchPlan } from './launch-plan.js'

const secret = /KEY|TOKEN|SECRET|PASSW|CREDENTIAL/i

/** An environment as it may be shown: values of names that sound like secrets are masked (DESIGN D12). */
export const masked = (env: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [name, secret.test(name) ? '***' : value]))

/** Keeps a plan with the task. Never rejects: a launch is not held up by its record. */
export async function record(gang: GangContext, number: number, plan: LaunchPlan): Promise<void> {
  const shown = { ...plan, env: masked(plan.env), rankEnv: masked(plan.rankEnv) }
  await note(gang, `mpi-${number}`, shown as unknown as Json)
}

/** Keeps what a call performs with the task. Never rejects. */
export async function note(gang: GangContext, name: string, request: Json): Promise<void> {
  await gang.record(name, request).catch(() => {})
}
