import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { milliseconds } from '@gangflow/core'
import type { GangContext } from '@gangflow/core/plugin'
import type { Ranks, TorchPlan } from '@gangflow/plugin-torchrun/ranks'
import { wrong } from './checks.js'
import type { DeepSpeedOptions, DeepSpeedResult, DeepSpeedRunOptions } from './options.js'
import { type About, deepspeedPlan, sharedBuffers } from './plan.js'
import { prepare } from './prepare.js'
import { checkCall, family, rankCall } from './settings.js'

/** `current.deepspeed` of a step with `@deepspeed`. */
export interface DeepSpeed {
  /**
   * Runs a script with DeepSpeed on the whole gang. Call it on every member, with the same options: it runs once, and all
   * calls settle together with one result. When a rank fails the gang ends, and its verdict names the first failing rank
   * with its traceback.
   * @throws GangflowError `E_DEEPSPEED_…`, and `E_TORCH_…` for the ranks; see docs/reference/errors.md
   */
  run(options: DeepSpeedRunOptions): Promise<DeepSpeedResult>
  /** What `run` would start on this member, without starting it. */
  plan(options: DeepSpeedRunOptions): TorchPlan
  /** On this member, `rank<N>` below it is what rank N of it saw as GANGFLOW_OUTPUT_DIR. */
  readonly outputDir: string
}

/** What the calls of one attempt on one member share. */
export interface Session {
  readonly gang: GangContext
  readonly options: DeepSpeedOptions
  readonly ranks: Ranks
  /** Calls so far, and those that have not settled. */
  calls: number
  open: number
}

export function makeDeepSpeed(session: Session): DeepSpeed {
  const { ranks } = session
  return {
    outputDir: ranks.outputDir,
    plan(call) {
      checkCall(call)
      return deepspeedPlan(ranks.plan(rankCall(call)), about(session, call, session.calls + 1))
    },
    async run(call) {
      session.open += 1
      try {
        return await perform(session, call)
      } finally {
        session.open -= 1
      }
    },
  }
}

async function perform(session: Session, call: DeepSpeedRunOptions): Promise<DeepSpeedResult> {
  const { gang, options, ranks } = session
  checkCall(call)
  // For its complaints, before anything is compiled.
  ranks.plan(rankCall(call))
  const place = about(session, call, ++session.calls)
  if (typeof call.config === 'object') {
    mkdirSync(resolve(place.config!, '..'), { recursive: true, mode: 0o700 })
    writeFileSync(place.config!, `${JSON.stringify(call.config, null, 2)}\n`, { mode: 0o600 })
  }
  const env = await prepare(gang, options, call)
  const buffers: string[] = []
  try {
    const { launcher: _, ...result } = await ranks.run(
      { ...rankCall(call), env: { ...call.env, ...env } },
      async (plan) => {
        for (const path of sharedBuffers(plan, process.getuid!())) {
          buffers.push(path)
          await gang.atEnd({ remove: path })
        }
        return deepspeedPlan(plan, place)
      },
    )
    return result
  } finally {
    for (const path of buffers) rmSync(path, { force: true })
  }
}

function about({ gang, options }: Session, call: DeepSpeedRunOptions, number: number): About {
  const { config } = call
  const cwd = resolve(gang.flowDir, call.cwd ?? '.')
  const path = typeof config === 'string' ? resolve(cwd, config) : `${gang.temp}/deepspeed-config/${number}.json`
  if (typeof config === 'string' && !statSync(path, { throwIfNoEntry: false })?.isFile())
    throw wrong(family.call, 'config', config, `the path of a file; there is no ${path}`)
  const ranks = call.nprocPerNode ?? options.nprocPerNode ?? 'auto'
  return {
    call,
    nodes: gang.roster.entries,
    sizes: gang.roster.entries.map(({ gpus }) => (ranks === 'auto' ? Math.max(1, gpus.length) : ranks)),
    config: config === undefined ? undefined : path,
    path: process.env['PATH'] ?? '',
    timeoutMs: options.processGroupTimeout === undefined ? undefined : milliseconds(options.processGroupTimeout),
  }
}
