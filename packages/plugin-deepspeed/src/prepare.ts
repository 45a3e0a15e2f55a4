import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GangflowError } from '@gangflow/core'
import { type GangContext, memberPython } from '@gangflow/core/plugin'
import type { DeepSpeedOptions, DeepSpeedRunOptions } from './options.js'

/** This package's Python files. */
const tools = fileURLToPath(new URL('../py', import.meta.url))
/** What every rank on a CPU compiles in `init_distributed`, used or not. */
const shared = 'deepspeed_shm_comm'

/** Operations that a member compiles: as asked, else what its ranks would. */
const opsFor = ({ ops }: DeepSpeedOptions, gpus: readonly string[]): readonly string[] =>
  ops ?? (gpus.length > 0 ? [] : [shared])

/**
 * Has this member's DeepSpeed ready before its ranks start: once a host, whoever asks. Gives the environment in which
 * what could not be compiled is switched off. Throws `E_DEEPSPEED_MISSING`, `E_DEEPSPEED_OPS`.
 */
export async function prepare(
  gang: GangContext,
  options: DeepSpeedOptions,
  { env = {} }: Pick<DeepSpeedRunOptions, 'env'>,
): Promise<Record<string, string>> {
  const own = gang.roster.entries[gang.nodeIndex]!
  const ops = opsFor(options, own.gpus)
  const command = {
    name: 'deepspeed-ops',
    argv: [...memberPython(options.python), '-u', `${tools}/prepare.py`, ...ops],
    cwd: gang.flowDir,
    env,
  }
  const timeout = options.startTimeout ?? '10m'
  const [end] = await gang.exec([gang.nodeIndex], command, { timeout, signal: gang.signal })
  const { exitCode, stdout, stderr } = end!
  const last = stderr.trim().split('\n').at(-1) ?? ''
  const facts = { step: gang.step, node: gang.nodeIndex, host: own.host, details: { stderr } }
  if (exitCode === 127 || exitCode === 3)
    throw new GangflowError({
      ...facts,
      code: 'E_DEEPSPEED_MISSING',
      what: `the Python of node ${gang.nodeIndex} (${own.host}) has no DeepSpeed, or there is none: ${last}`,
      fix: 'pip install deepspeed there, or name an interpreter that has it: `python` of @deepspeed, python= in the hosts file, GANGFLOW_PYTHON',
    })
  const failed = new Map(
    [...stdout.matchAll(/^\[gangflow\] (\w+) is not compiled: (.*)$/gm)].map(([, op, why]) => [op!, why!]),
  )
  const lost = exitCode === 0 ? [...failed.keys()] : ops
  const asked = options.ops?.find((name) => lost.includes(name))
  if (asked)
    throw new GangflowError({
      ...facts,
      code: 'E_DEEPSPEED_OPS',
      what: `node ${gang.nodeIndex} (${own.host}) cannot compile ${asked}: ${failed.get(asked) ?? last}`,
      fix: `see the log of deepspeed-ops; install g++ and ninja there, or leave it out of \`ops\``,
    })
  return switchedOff(options.ops?.length === 0 ? [shared] : lost, env)
}

/** The environment of a rank that is to do without these. Pure. */
function switchedOff(ops: readonly string[], env: Readonly<Record<string, string>>): Record<string, string> {
  if (ops.length === 0) return {}
  const path = env['PYTHONPATH'] ?? process.env['PYTHONPATH']
  const hook = `${tools}/hook`
  return { GANGFLOW_DEEPSPEED_OFF: ops.join(' '), PYTHONPATH: path ? `${hook}${delimiter}${path}` : hook }
}
