import { readdirSync } from 'node:fs'
import { availableParallelism, hostname } from 'node:os'
import { GangflowError } from '../../errors/base.js'
import type { GangRequest } from '../../gang/contract.js'

/** What this machine has to give, as far as a local gang asks. */
export interface LocalMachine {
  readonly host: string
  readonly cpus: number
  /** Device indices or ids that this process may use. */
  readonly gpus: readonly string[]
}

/** One member as it is going to be started. */
export interface LocalMemberPlan {
  readonly memberId: string
  readonly host: string
  readonly addresses: readonly string[]
  readonly slots: number
  readonly gpus: readonly string[]
}

export interface LocalPlan {
  readonly backend: 'local'
  readonly argv: readonly string[]
  readonly members: readonly LocalMemberPlan[]
}

/**
 * The request as it is performed and as `--dry-run` prints it. Pure. CPUs are shared where there are fewer than the
 * members ask for; GPUs are not: too few are a named error.
 */
export function planLocal(request: GangRequest, machine: LocalMachine, argv: readonly string[]): LocalPlan {
  const { size, resources, step } = request
  const lent = request.gpus ?? machine.gpus
  const wanted = resources.gpu ?? 0
  if (wanted * size > lent.length) {
    throw new GangflowError({
      code: 'E_GANG_RESOURCES',
      what: `step '${step.name}' asks for ${wanted} GPU${wanted === 1 ? '' : 's'} on each of ${size} members, ${machine.host} has ${machine.gpus.length}`,
      fix: 'ask for fewer with @resources({ gpu }) or numParallel, or use a backend with more hosts',
      step: step.name,
    })
  }
  const each = wanted > 0 ? wanted : Math.floor(lent.length / size)
  const slots = resources.cpu ?? Math.max(1, Math.floor(machine.cpus / size))
  const width = String(size - 1).length
  return {
    backend: 'local',
    argv,
    members: Array.from({ length: size }, (_, index) => ({
      memberId: `m${String(index).padStart(width, '0')}`,
      host: machine.host,
      addresses: ['127.0.0.1'],
      slots,
      gpus: lent.slice(index * each, (index + 1) * each),
    })),
  }
}

/** What this machine has: GPUs as CUDA_VISIBLE_DEVICES allows, else as the system lists them. */
export function thisMachine(env: NodeJS.ProcessEnv = process.env): LocalMachine {
  const allowed = env['CUDA_VISIBLE_DEVICES']
  return {
    host: hostname(),
    cpus: availableParallelism(),
    gpus:
      allowed === undefined
        ? listedGpus()
        : allowed
            .split(',')
            .map((id) => id.trim())
            .filter((id) => id !== '' && id !== '-1'),
  }
}

function listedGpus(): string[] {
  try {
    return readdirSync('/dev')
      .flatMap((name) => /^nvidia(\d+)$/.exec(name)?.[1] ?? [])
      .sort((a, b) => Number(a) - Number(b))
  } catch {
    return []
  }
}
