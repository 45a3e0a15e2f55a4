import { spawn } from 'node:child_process'
import { GangflowError } from '@gangflow/core'
import { overruling, passed } from './plan.js'

export interface CommandEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Milliseconds for one of Slurm's commands: its own limit for an answer of the controller is 10 s, tried a few times. */
const LIMIT_MS = 60_000

/**
 * What Slurm's commands are given: what the job is to have, and the variables of Slurm itself. Not those by which a person
 * has squeue filter or write times in another way, and none of sbatch's that would overrule the script. Pure.
 */
export function slurmEnv(env: NodeJS.ProcessEnv = process.env, script = ''): Record<string, string> {
  const overrules = overruling(script)
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => {
      const [name, value] = entry
      if (value === undefined || name === 'SLURM_TIME_FORMAT' || name === 'SLURM_BITSTR_LEN') return false
      return passed.includes(name) || (/^(SBATCH|SLURM)_/.test(name) && !overrules(name))
    }),
  )
}

/** Runs one of Slurm's commands to its end. Throws `E_SLURM_COMMAND` where there is none. */
export function slurmCommand(argv: readonly string[], stdin = '', signal?: AbortSignal): Promise<CommandEnd> {
  return new Promise((resolve, reject) => {
    // A session of its own: Ctrl-C at the terminal is for the launcher.
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: slurmEnv(process.env, stdin),
      signal,
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.stdin.on('error', () => {})
    child.stdin.end(stdin)
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
    child.once('error', (cause) => {
      clearTimeout(timer)
      reject(signal?.aborted ? cause : notThere(argv[0]!, cause))
    })
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, stdout, stderr })
    })
  })
}

const notThere = (command: string, cause: Error): GangflowError =>
  new GangflowError(
    {
      code: 'E_SLURM_COMMAND',
      what: `Slurm's command ${command} cannot be run: ${cause.message}`,
      fix: "run gangflow on a machine that has Slurm's commands, such as the cluster's login node; `module load slurm` where they come by modules",
    },
    { cause },
  )

/** What Slurm said, without the names of its commands. */
export const said = ({ stderr, stdout }: CommandEnd): string =>
  (stderr.trim() || stdout.trim())
    .split('\n')
    .map((line) => line.replace(/^(sbatch|squeue|scancel|srun|scontrol): (error: )?/, '').trim())
    .filter((line) => line !== '')
    .join('; ')

/** What Slurm's commands say of a controller that does not answer; as they are written, but for the first letter's case. */
export const silences = ['Unable to contact', 'Socket timed out', 'Zero Bytes', 'connection failure', 'standby mode']
const silence = new RegExp(`(${silences.join('|')})[^\\n]*`, 'i')

/** The controller did not answer: whether it was done is not known. */
export const unanswered = ({ code, stderr }: CommandEnd): boolean =>
  code === null || (code !== 0 && silence.test(stderr))

/** How that was said, once: a command about hundreds of jobs says it of each. */
export const silenceOf = ({ stderr }: CommandEnd): string => silence.exec(stderr)?.[0] ?? 'it does not answer'
