import { mkdirSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { GangflowError } from '@gangflow/core'
import { signalWithin } from '@gangflow/core/plugin'
import { execDriver, runDriver } from './driver.js'
import { driverEnvironment } from './environment.js'
import { submitJob } from './job.js'
import type { RayExecOptions, RayJobResult, RayNode, RayResult, RayRunOptions, RaySubmitOptions } from './options.js'
import type { Session } from './session.js'

/** `current.ray` of a step with `@ray`. */
export interface Ray {
  /** `HOST:PORT` of the GCS, which drivers find in `RAY_ADDRESS`. */
  readonly address: string
  /** With `@ray({ dashboard: true })`. It wants the token as `authorization: Bearer …`: `env.RAY_AUTH_TOKEN`. */
  readonly dashboardUrl: string | undefined
  /**
   * A folder, or URI, that all nodes share: what `@ray` was given, else a folder of the attempt in the run's datastore,
   * kept with the run. @throws GangflowError `E_RAY_STORAGE` where the hosts see neither
   */
  readonly storagePath: string
  /** Ray's folder of this start on the control, removed at the end; its logs are in `session_latest/logs`. */
  readonly tempDir: string
  /** What a driver needs in its environment: address and token. */
  readonly env: Readonly<Record<string, string>>
  /** From the first start until every node was there. */
  readonly startedMs: number
  /** As the GCS has them now, in the gang's order. */
  nodes(): Promise<readonly RayNode[]>
  /**
   * Runs a Python script as a driver on the control, to its end: its own exit code.
   * @throws GangflowError `E_RAY_DRIVER`, unless `check: false`; `E_RAY_TIMEOUT`; the cluster's error when that fails
   */
  run(options: RayRunOptions): Promise<RayResult>
  /** The same for any command; `ray` and `python` are those of the cluster's interpreter: `['ray', 'status']`. */
  exec(command: readonly string[], options?: RayExecOptions): Promise<RayResult>
  /**
   * Submits a Ray job and waits for its end: its log comes live, and its driver's own exit code. Needs
   * `@ray({ dashboard: true })`.
   * @throws GangflowError `E_RAY_JOB`, unless `check: false`; `E_RAY_DASHBOARD`
   */
  submit(options: RaySubmitOptions): Promise<RayJobResult>
}

/** The namespace of one attempt. */
export function makeRay(session: Session): Ray {
  const { gang, options, plan, token, cluster } = session
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    session.open += 1
    try {
      return await work()
    } finally {
      session.open -= 1
    }
  }
  return {
    address: plan.address,
    dashboardUrl: plan.dashboardUrl,
    get storagePath() {
      const { storagePath } = options
      if (storagePath !== undefined)
        return isAbsolute(storagePath) || /^\w+:\/\//.test(storagePath)
          ? storagePath
          : resolve(gang.flowDir, storagePath)
      const shared = gang.sharedFolder()
      if (shared !== undefined) return shared
      const hosts = new Set(gang.roster.entries.map(({ host }) => host))
      if (hosts.size > 1)
        throw new GangflowError({
          code: 'E_RAY_STORAGE',
          what: `the members are on ${hosts.size} hosts that do not see the datastore's disk, and no other path is known that they share`,
          fix: "@ray({ storagePath: '/shared/runs' }), or a URI such as s3://bucket/runs",
          step: gang.step,
        })
      const folder = `${gang.temp}/ray-storage`
      mkdirSync(folder, { recursive: true })
      return folder
    },
    tempDir: plan.tempDir,
    env: driverEnvironment(plan, token),
    startedMs: cluster.startedMs,
    async nodes() {
      const all = await session.gcs.nodes(signalWithin(10_000, gang.signal))
      return all.sort((a, b) => a.node - b.node)
    },
    run: (call) => counted(() => runDriver(session, call)),
    exec: (command, call = {}) => counted(() => execDriver(session, command, call)),
    submit: (call) => counted(() => submitJob(session, call)),
  }
}
