import type { EngineFinding, EngineOrder } from '@gangflow/core/backend'
import { type CommandEnd, said } from './command.js'

/** `scontrol show config`, by name. Pure, as all below. */
export const parseConfig = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^(\w+)\s*=\s*(.*)$/.exec(line.trim()) ?? []
      return name === undefined ? [] : [[name, value!.trim()]]
    }),
  )

/** Slurm's own default of MaxArraySize. */
const ARRAY_SIZE = 1_001

/** How many elements an array may have: indices are below MaxArraySize, and 0 means that there are no arrays. Of `parseConfig`. */
export function largestArray(config: Readonly<Record<string, string>>): number {
  const size = Number(config['MaxArraySize'] ?? ARRAY_SIZE)
  return Number.isInteger(size) ? Math.max(1, size) : ARRAY_SIZE
}

export function judgeVersion(version: string): EngineFinding {
  const [year = 0, month = 0] = version.split('.').map(Number)
  if (year * 100 + month >= 2205) return { check: 'slurm', status: 'ok', found: version }
  const fix = 'gangflow is made for Slurm 22.05 and newer'
  return { check: 'slurm', status: 'warn', found: version || 'of an unknown version', fix }
}

/** What a site has set that jobs of ours depend on. */
export function judgeConfig(config: Readonly<Record<string, string>>): EngineFinding[] {
  const value = (name: string) => config[name] ?? ''
  const preempts = !/^(OFF|\(null\))?$/.test(value('PreemptMode'))
  const warns = /preempt_send_user_signal|send_user_signal/.test(
    `${value('SlurmctldParameters')} ${value('PreemptParameters')}`,
  )
  const largest = largestArray(config)
  return [
    ...(preempts
      ? [
          warns
            ? { check: 'preemption', status: 'ok' as const, found: `${value('PreemptMode')}, and jobs are warned` }
            : {
                check: 'preemption',
                status: 'warn' as const,
                found: `${value('PreemptMode')}, and jobs are not warned: current.onPreempt is called before time limits alone`,
                fix: 'ask for SlurmctldParameters=preempt_send_user_signal; until then save checkpoints as often as you can bear to lose',
              },
        ]
      : []),
    ...(/^0$|NO/i.test(value('JobRequeue'))
      ? [{ check: 'requeue', status: 'info' as const, found: 'not by default; gangflow asks for it with --requeue' }]
      : []),
    ...(largest < 1_000
      ? [
          {
            check: 'arrays',
            status: 'info' as const,
            found: `of at most ${largest} elements: a foreach of more is several of them`,
          },
        ]
      : []),
    ...(/none$|^\(null\)$/.test(value('AccountingStorageType'))
      ? [
          {
            check: 'accounting',
            status: 'info' as const,
            found: `none: an ended job is known for ${value('MinJobAge')}`,
          },
        ]
      : []),
  ]
}

/** Of `sinfo -h -o '%P|%a|%l|%D|%t'`; `wanted`: the one that was asked for. */
export function judgePartitions(text: string, wanted: string | undefined): EngineFinding[] {
  const rows = text
    .split('\n')
    .map((line) => line.trim().split('|'))
    .filter((row) => row.length === 5)
  const names = [...new Set(rows.map(([name]) => name!))]
  const plain = names.map((name) => name.replace(/\*$/, ''))
  const known = `there are ${plain.join(', ') || 'none'}`
  const missing = (wanted ?? '').split(',').filter((name) => name !== '' && !plain.includes(name))
  if (missing.length > 0)
    return [{ check: 'partition', status: 'fail', found: `there is no ${missing.join(', ')}`, fix: known }]
  const looked = wanted?.split(',')
  return [
    ...(wanted === undefined && !names.some((name) => name.endsWith('*'))
      ? [
          {
            check: 'partition',
            status: 'fail' as const,
            found: 'none is the default',
            fix: `name one: partition=…; ${known}`,
          },
        ]
      : []),
    ...names
      .filter((name) => looked?.includes(name.replace(/\*$/, '')) ?? true)
      .map((name): EngineFinding => {
        const own = rows.filter(([of]) => of === name)
        const count = (which: (state: string) => boolean) =>
          own.reduce((sum, [, , , nodes, state]) => (which(state!) ? sum + Number(nodes) : sum), 0)
        const all = count(() => true)
        const serving = count((state) => /^(idle|mix|alloc|comp|plnd|resv)/.test(state) && !/[*~#!]$/.test(state))
        const open = own[0]![1] === 'up'
        const found = `${name}: ${serving} of ${all} nodes serve, ${count((state) => state === 'idle')} idle, jobs of ${own[0]![2]} at most`
        if (open && serving > 0) return { check: 'partition', status: 'ok', found }
        const fix = open ? '`sinfo -R` says why nodes are down' : 'its administrator has closed it: choose another'
        return { check: 'partition', status: 'warn', found: open ? found : `${name} is ${own[0]![1]}`, fix }
      }),
  ]
}

/** Of the same: how many nodes are idle in the partition that was asked for, or in the default one. */
export const idleNodes = (text: string, wanted: string | undefined): number =>
  text
    .split('\n')
    .map((line) => line.trim().split('|'))
    .filter(
      ([name = '', , , , state]) =>
        state === 'idle' && (wanted === undefined ? name.endsWith('*') : name.replace(/\*$/, '') === wanted),
    )
    .reduce((sum, row) => sum + Number(row[3]), 0)

/** Of `sinfo -h -N -o %t`: whether there are nodes that take no jobs now, but may again. */
export const someAway = (text: string): boolean =>
  text.split('\n').some((line) => /^\w/.test(line) && !/^(idle|mix|alloc|comp|plnd|futr)\w*[~#%+-]*$/.test(line.trim()))

export interface SeenFrom extends EngineOrder {
  readonly node: string
  readonly version: string
  /** What was said of the datastore: the option of that name. */
  readonly shared?: boolean | undefined
}

/** What nodes have said: `gangflow|HOST|NODE|datastore|core|project|version of Node`. */
export function judgeNodes(answer: CommandEnd, wanted: SeenFrom): EngineFinding[] {
  const rows = answer.stdout
    .split('\n')
    .map((line) => line.split('|'))
    .filter(([mark]) => mark === 'gangflow')
  if (rows.length === 0) {
    const busy = /busy|immediate|not available/i.test(answer.stderr)
    const found = busy ? 'none was free to be looked at' : `none could be looked at: ${said(answer).slice(0, 300)}`
    const fix = busy ? 'look again when the cluster is less busy' : '`sinfo` shows what the cluster has'
    return [{ check: 'nodes', status: busy ? 'warn' : 'fail', found, fix }]
  }
  return rows.flatMap(([, , host = '', datastore, core, project, version = '']): EngineFinding[] => {
    const about = (check: string, path: string, seen: boolean, fix: string): EngineFinding => ({
      check,
      host,
      ...(seen ? { status: 'ok', found: `sees ${path}` } : { status: 'fail', found: `does not see ${path}`, fix }),
    })
    if (datastore !== 'yes' && wanted.shared !== true) return relayedOn(host, version, wanted)
    return [
      about('datastore of nodes', wanted.datastore, datastore === 'yes', shareIt),
      about('project of nodes', wanted.flowDir, project === 'yes', 'put the project on a disk that every node sees'),
      about('core of nodes', wanted.core, core === 'yes', 'put node_modules on a disk that every node sees'),
      {
        check: 'node of nodes',
        host,
        ...(version === wanted.version
          ? { status: 'ok' as const, found: version }
          : {
              status: 'fail' as const,
              found: version ? `${wanted.node} is ${version} there` : `${wanted.node} does not run there`,
              fix: `start gangflow with a Node on a disk that every node sees, or install ${wanted.version} at the same path there`,
            }),
      },
    ]
  })
}

const shareIt = 'let it be a directory that every node sees at the same path: --datastore DIR'

/** What follows where a node does not see the datastore: code and data travel, and a Node is all that it must have. */
function relayedOn(host: string, version: string, { datastore }: SeenFrom): EngineFinding[] {
  const [, major = 0, minor = 0] = (/^v(\d+)\.(\d+)\./.exec(version) ?? []).map(Number)
  const serves = major > 20 || (major === 20 && minor >= 19)
  return [
    {
      check: 'datastore of nodes',
      host,
      status: 'warn',
      found: `does not see ${datastore}: tasks and gangs run relayed through the launcher and end with it; no foreach, no --detach`,
      fix: `${shareIt}; or leave it so, and say shared=false to spare each run the job that finds out`,
    },
    {
      check: 'node of nodes',
      host,
      ...(serves
        ? { status: 'ok', found: version }
        : {
            status: 'fail',
            found: version ? `${version}, which is too old` : 'has no Node',
            fix: 'install Node 20.19 or newer there, on the PATH of a job',
          }),
    },
  ]
}
