import {
  checkRankOptions,
  type RankFamily,
  type TorchRunOptions,
  type TorchrunOptions,
} from '@gangflow/plugin-torchrun/ranks'
import { onlyKnown, wrong } from './checks.js'
import { launcherOf, launcherWords } from './launcher.js'
import type { DeepSpeedOptions, DeepSpeedRunOptions } from './options.js'

export const family: RankFamily = { decorator: '@deepspeed', call: 'current.deepspeed.run', name: 'deepspeed' }

export const decoratorNames: readonly (keyof DeepSpeedOptions)[] = [
  'nprocPerNode',
  'masterPort',
  'startTimeout',
  'processGroupTimeout',
  'ops',
  'python',
  'outputArtifact',
]
const runNames: readonly (keyof DeepSpeedRunOptions)[] = [
  'entrypoint',
  'args',
  'module',
  'config',
  'configArgument',
  'localRank',
  'nprocPerNode',
  'launcher',
  'deepspeedArgs',
  'env',
  'cwd',
  'timeout',
]

/** Throws `E_DEEPSPEED_OPTION`, or `E_TORCH_OPTION` for what `@torchrun` has too, unless these may stand in `@deepspeed(…)`. Pure. */
export function checkOptions(options: DeepSpeedOptions): void {
  const where = family.decorator
  onlyKnown(where, options, decoratorNames)
  const { ops = [] } = options
  if (!Array.isArray(ops) || ops.some((name) => typeof name !== 'string' || !/^[a-z]\w*$/.test(name)))
    throw wrong(where, 'ops', ops, "names of DeepSpeed's operations, such as ['fused_adam']")
  checkRankOptions(rankOptions(options), family)
}

/** Throws `E_DEEPSPEED_OPTION` unless this may be called; what `current.torch.run` has too is checked there. Pure. */
export function checkCall(call: DeepSpeedRunOptions): void {
  const where = family.call
  onlyKnown(where, call, runNames)
  const { config, configArgument, localRank, env } = call
  const isObject = typeof config === 'object' && config !== null && !Array.isArray(config)
  if (config !== undefined && !isObject && !(typeof config === 'string' && config !== ''))
    throw wrong(where, 'config', config, "DeepSpeed's configuration, or the path of a file that has it")
  const named = configArgument === undefined || configArgument === false
  if (!named && !(typeof configArgument === 'string' && /^-{1,2}[\w-]+$/.test(configArgument)))
    throw wrong(where, 'configArgument', configArgument, "such as '--deepspeed', or false")
  if (localRank !== undefined && typeof localRank !== 'boolean')
    throw wrong(where, 'localRank', localRank, 'true or false')
  if (call.launcher !== undefined && call.launcher !== 'direct' && call.launcher !== 'deepspeed')
    throw wrong(where, 'launcher', call.launcher, "one of 'direct', 'deepspeed'")
  const words = launcherWords(call)
  if (call.launcher === 'direct' && words.length > 0)
    throw wrong(where, 'deepspeedArgs', call.deepspeedArgs, "them only with launcher: 'deepspeed'")
  for (const name of ['LOCAL_SIZE', 'CROSS_RANK', 'CROSS_SIZE'])
    if (env?.[name] !== undefined) throw wrong(where, `env.${name}`, env[name], 'no variable that the launcher sets')
}

/** What the ranks are opened with. */
export function rankOptions(options: DeepSpeedOptions): TorchrunOptions {
  const { ops: _, outputArtifact = 'deepspeedOutput', ...shared } = options
  return { ...shared, outputArtifact }
}

/** A call as the ranks take it: below DeepSpeed's own launcher they are as below torchrun. */
export function rankCall(call: DeepSpeedRunOptions): TorchRunOptions {
  const { config: _config, configArgument: _argument, localRank: _rank, deepspeedArgs: _args, ...shared } = call
  return { ...shared, launcher: launcherOf(call) === 'direct' ? 'direct' : 'torchrun' }
}
