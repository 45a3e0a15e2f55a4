import { createHash } from 'node:crypto'
import { words } from './arguments.js'
import { duration, interpreter, onlyKnown, wrong } from './checks.js'
import { type RankFamily, torchFamily } from './family.js'
import type { Launcher, TorchRunOptions, TorchrunOptions } from './options.js'

/** A call with the decorator's options behind it, checked and complete. */
export interface Settings {
  readonly entrypoint: string
  readonly module: boolean
  readonly args: readonly string[]
  readonly torchrunArgs: readonly string[]
  readonly nprocPerNode: number | 'auto'
  readonly masterPort: number | undefined
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
  readonly python: readonly string[] | undefined
  readonly launcher: Launcher
  readonly startTimeoutMs: number
  readonly processGroupTimeoutMs: number
  readonly timeoutMs: number | undefined
  readonly outputArtifact: string
}

const launchers = ['direct', 'torchrun', 'prefork'] as const
export const decoratorNames: readonly (keyof TorchrunOptions)[] = [
  'nprocPerNode',
  'masterPort',
  'startTimeout',
  'processGroupTimeout',
  'launcher',
  'python',
  'outputArtifact',
]
const callNames: readonly (keyof TorchRunOptions)[] = [
  'entrypoint',
  'args',
  'module',
  'torchrunArgs',
  'nprocPerNode',
  'env',
  'cwd',
  'python',
  'launcher',
  'timeout',
]
/** Variables that tell a rank who it is; only the launcher may set them. */
const reserved = new Set(
  [
    'RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE GROUP_RANK GROUP_WORLD_SIZE ROLE_RANK ROLE_NAME ROLE_WORLD_SIZE',
    'MASTER_ADDR MASTER_PORT TORCHELASTIC_RESTART_COUNT TORCHELASTIC_MAX_RESTARTS TORCHELASTIC_RUN_ID',
    'TORCHELASTIC_USE_AGENT_STORE TORCHELASTIC_ERROR_FILE GANGFLOW_OUTPUT_DIR GANGFLOW_TORCH_RANK',
  ].flatMap((names) => names.split(' ')),
)
/** What the gang decides, so that torchrun must not be told otherwise. */
const decided = new Set(
  'nnodes nproc-per-node node-rank master-addr master-port rdzv-endpoint rdzv-id standalone log-dir module m run-path'.split(
    ' ',
  ),
)

/** Throws `E_TORCH_OPTION` unless these may stand in `@torchrun(…)`. Pure. */
export function checkOptions(options: TorchrunOptions, family: RankFamily = torchFamily): void {
  const where = family.decorator
  onlyKnown(where, options, decoratorNames)
  checkShared(where, options)
  if (options.masterPort !== undefined && !(Number.isInteger(options.masterPort) && inPorts(options.masterPort)))
    throw wrong(where, 'masterPort', options.masterPort, 'a port from 1 to 65535')
  const artifact = options.outputArtifact
  if (artifact !== undefined && !/^[A-Za-z_$][\w$]*$/.test(artifact))
    throw wrong(where, 'outputArtifact', artifact, 'the name of a field of the flow')
  duration(where, 'startTimeout', options.startTimeout)
  duration(where, 'processGroupTimeout', options.processGroupTimeout)
}

/** A call completed by the decorator's options. Pure; throws `E_TORCH_OPTION`. */
export function settle(options: TorchrunOptions, call: TorchRunOptions, family: RankFamily = torchFamily): Settings {
  const where = family.call
  checkOptions(options, family)
  onlyKnown(where, call, callNames)
  checkShared(where, call)
  if (typeof call.entrypoint !== 'string' || call.entrypoint === '' || call.entrypoint.includes('\0'))
    throw wrong(where, 'entrypoint', call.entrypoint, 'the path of a Python script, or a module with `module: true`')
  if (call.cwd !== undefined && typeof call.cwd !== 'string') throw wrong(where, 'cwd', call.cwd, 'a path')
  const torchrunArgs = words(call.torchrunArgs, 'torchrunArgs', where)
  const asked = call.launcher ?? (torchrunArgs.length > 0 ? 'torchrun' : options.launcher)
  if (torchrunArgs.length > 0 && asked !== 'torchrun')
    throw wrong(where, 'torchrunArgs', call.torchrunArgs, "them only with launcher: 'torchrun'")
  for (const argument of torchrunArgs) {
    const name = /^--?([^=]+)/.exec(argument)?.[1]?.replaceAll('_', '-')
    if (name && decided.has(name))
      throw wrong(
        where,
        'torchrunArgs',
        argument,
        `no ${argument}: the gang decides it (\`nprocPerNode\` and \`module\` are options)`,
      )
  }
  const python = call.python ?? options.python
  return {
    entrypoint: call.entrypoint,
    module: call.module ?? false,
    args: words(call.args, 'args', where),
    torchrunArgs,
    nprocPerNode: call.nprocPerNode ?? options.nprocPerNode ?? 'auto',
    masterPort: options.masterPort,
    env: environment(where, call.env ?? {}),
    cwd: call.cwd,
    python: interpreter(where, 'python', python),
    launcher: asked ?? 'direct',
    startTimeoutMs: duration(where, 'startTimeout', options.startTimeout) ?? 600_000,
    processGroupTimeoutMs: duration(where, 'processGroupTimeout', options.processGroupTimeout) ?? 1_800_000,
    timeoutMs: duration(where, 'timeout', call.timeout),
    outputArtifact: options.outputArtifact ?? 'torchOutput',
  }
}

/** Equal on members that called alike: arguments, environment and folder may differ by node, as with torchrun. */
export function digest(settings: Settings): string {
  const { entrypoint, module, torchrunArgs, nprocPerNode, masterPort, launcher } = settings
  const shared = [entrypoint, module, torchrunArgs, nprocPerNode, masterPort ?? null, launcher]
  return createHash('sha256').update(JSON.stringify(shared)).digest('hex')
}

function checkShared(where: string, o: Pick<TorchRunOptions, 'nprocPerNode' | 'launcher' | 'python'>): void {
  const n = o.nprocPerNode
  if (n !== undefined && n !== 'auto' && !(Number.isInteger(n) && n >= 1))
    throw wrong(where, 'nprocPerNode', n, "a whole number from 1, or 'auto' for the number of GPUs")
  if (o.launcher !== undefined && !launchers.includes(o.launcher))
    throw wrong(where, 'launcher', o.launcher, `one of ${launchers.map((name) => `'${name}'`).join(', ')}`)
  interpreter(where, 'python', o.python)
}

function environment(where: string, env: Readonly<Record<string, string>>): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (reserved.has(name)) throw wrong(where, `env.${name}`, value, 'no variable that the launcher sets')
    if (name === '' || /[=\0]/.test(name) || typeof value !== 'string' || value.includes('\0'))
      throw wrong(where, `env.${name}`, value, 'variables with strings')
    result[name] = value
  }
  return result
}

function inPorts(port: number): boolean {
  return port >= 1 && port <= 65_535
}
