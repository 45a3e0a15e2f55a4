import { randomBytes } from 'node:crypto'
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GangflowError, messageOf } from '@gangflow/core'
import type { BackendFactory, EngineFinding } from '@gangflow/core/backend'
import { type CommandEnd, said, slurmCommand } from './command.js'
import { idleNodes, judgeConfig, judgeNodes, judgePartitions, judgeVersion, parseConfig } from './findings.js'
import { readOptions, type SlurmSettings } from './options.js'

/** As many idle nodes are looked at, at most: they are taken for a moment. */
const NODES = 8
/** Seconds that they are waited for. */
const WAIT = 30

/** Looks at the cluster that a run would use: its commands, its controller, and what some of its idle nodes see. */
export const examine: NonNullable<BackendFactory['examine']> = async (given, order, signal) => {
  const settings = readOptions(given)
  const findings: EngineFinding[] = []
  const run = (...argv: string[]): Promise<CommandEnd> => slurmCommand(argv, '', signal)
  try {
    const ping = await run('scontrol', 'ping')
    if (ping.code !== 0 || !/is UP/.test(ping.stdout)) {
      const found = said(ping).slice(0, 300)
      const fix =
        "run it on a machine of the cluster, such as its login node; SLURM_CONF names the cluster's slurm.conf"
      return [{ check: 'controller', status: 'fail', found: `does not answer: ${found}`, fix }]
    }
    const config = parseConfig((await run('scontrol', 'show', 'config')).stdout)
    findings.push(judgeVersion(config['SLURM_VERSION'] ?? ''))
    findings.push({ check: 'controller', status: 'ok', found: ping.stdout.trim().split('\n')[0]! })
    findings.push(...judgeConfig(config))
    if (config['AuthType'] === 'auth/munge') findings.push(await munge(config['AuthInfo'] ?? '', signal))
    if (/slurmdbd/.test(config['AccountingStorageType'] ?? ''))
      findings.push(accounting(await run('sacct', '-X', '-n', '--starttime=now')))
    const partitions = await run('sinfo', '-h', '-o', '%P|%a|%l|%D|%t')
    findings.push(...judgePartitions(partitions.stdout, settings.partition))
    if (findings.every(({ check, status }) => check !== 'partition' || status !== 'fail'))
      findings.push(...(await nodes(settings, order, idleNodes(partitions.stdout, settings.partition), run)))
  } catch (error) {
    if (signal.aborted) return findings
    const { what, fix } = GangflowError.is(error) ? error : { what: messageOf(error), fix: 'see the message' }
    findings.push({ check: 'slurm', status: 'fail', found: what, ...(fix === undefined ? {} : { fix }) })
  }
  return findings
}

async function munge(info: string, signal: AbortSignal): Promise<EngineFinding> {
  const socket = /socket=([^,]+)/.exec(info)?.[1]
  const fix = 'ask who runs the cluster: without munge no command of this machine is believed'
  try {
    const made = await slurmCommand(['munge', '--no-input', ...(socket ? [`--socket=${socket}`] : [])], '', signal)
    if (made.code === 0) return { check: 'munge', status: 'ok', found: 'signs for this user' }
    return { check: 'munge', status: 'fail', found: said(made), fix }
  } catch {
    // Slurm's commands have munge's library; its own command need not be there.
    return { check: 'munge', status: 'info', found: 'its command is not here' }
  }
}

const accounting = (answer: CommandEnd): EngineFinding =>
  answer.code === 0
    ? { check: 'accounting', status: 'ok', found: 'slurmdbd answers' }
    : {
        check: 'accounting',
        status: 'warn',
        found: said(answer),
        fix: 'ask who runs the cluster; until then jobs are known for MinJobAge after their end',
      }

/** Has some idle nodes say whether they see what a job needs: by a token in the folder, which a namesake would not have. */
async function nodes(
  { partition, account, qos, constraint, reservation, shared }: SlurmSettings,
  { datastore, core, flowDir }: Parameters<typeof examine>[1],
  idle: number,
  run: (...argv: string[]) => Promise<CommandEnd>,
): Promise<EngineFinding[]> {
  const token = randomBytes(8).toString('hex')
  const file = join(datastore, `.doctor-${token}`)
  const asked = Object.entries({ partition, account, qos, constraint, reservation })
  const script =
    'at() { if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }; ' +
    `echo "gangflow|$(hostname)|\${SLURMD_NODENAME}|$(at grep -q ${token} "$0")|$(at test -f "$1/dist/job.cjs")|$(at test -d "$2")|$("$3" --version 2>/dev/null || node --version 2>/dev/null)"`
  const made = mkdirSync(datastore, { recursive: true })
  writeFileSync(file, token)
  try {
    const answer = await run(
      ...[
        'srun',
        `--nodes=${Math.min(NODES, Math.max(1, idle))}`,
        '--ntasks-per-node=1',
        '--time=1',
        `--immediate=${WAIT}`,
        '--mpi=none',
      ],
      ...asked.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`])),
      ...[
        '--job-name=gangflow-doctor',
        '--chdir=/',
        '--quiet',
        'sh',
        '-c',
        script,
        file,
        core,
        flowDir,
        process.execPath,
      ],
    )
    return judgeNodes(answer, { datastore, core, flowDir, node: process.execPath, version: process.version, shared })
  } finally {
    rmSync(file, { force: true })
    if (made !== undefined) rmdirSync(datastore)
  }
}
