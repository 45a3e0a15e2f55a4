import type { AttemptAddress } from '../datastore/records.js'
import type { Casualty, Cause, EpochLosses, Verdict } from '../errors/verdict.js'
import type { StopReason } from './contract.js'
import type { Judgement, Placed } from './judge.js'

export interface VerdictFacts {
  readonly address: AttemptAddress
  readonly size: number
  readonly judgement?: Judgement | undefined
  /** Why the runtime ended the attempt, where nothing had failed before. */
  readonly stop?: StopReason | undefined
  readonly stopped: readonly Casualty[]
  readonly endedAfterMs?: number
  readonly missing?: readonly string[]
  /** What earlier epochs lost. */
  readonly losses?: readonly EpochLosses[]
  /** Why it was not formed again, where it might have been, and whom it lost besides the first. */
  readonly notAgain?: { readonly why: string; readonly lost: readonly Casualty[] } | undefined
  readonly author: Verdict['author']
}

/** The one account of how the attempt ended (D4). Pure. */
export function composeVerdict(facts: VerdictFacts): Verdict {
  const { address, size, judgement, stop, stopped, endedAfterMs, missing = [], losses = [], notAgain, author } = facts
  const { step } = address
  const common = {
    version: 1,
    stopped,
    author,
    ...(endedAfterMs === undefined ? {} : { endedAfterMs: Math.max(0, Math.round(endedAfterMs)) }),
    ...(missing.length > 0 ? { missing } : {}),
    ...(losses.length > 0 ? { losses } : {}),
  } as const
  if (!judgement) {
    const cause: Cause = stop?.cause ?? 'infrastructure'
    return {
      ...common,
      cause,
      code: 'E_GANG_STOPPED',
      summary: `step '${step}' was stopped: ${stop?.why ?? 'for no known reason'}`,
      echoes: [],
    }
  }
  const { first, echoes } = judgement
  const fix = first.fix ?? fixFor(first, address)
  return {
    ...common,
    cause: first.cause,
    summary: [describe(first, step, size), ...(notAgain ? [notAgain.why] : []), ...losses.map(told)].join('; '),
    ...(fix === undefined ? {} : { fix }),
    ...(first.code === undefined ? {} : { code: first.code }),
    first: first.casualty,
    echoes: [
      ...echoes.map((echo) => echo.casualty),
      ...(notAgain?.lost ?? []).filter(({ node }) => !echoes.some((echo) => echo.casualty.node === node)),
    ],
  }
}

/** What an earlier epoch lost, as a clause. */
const told = ({ epoch, lost }: EpochLosses): string =>
  `before, in epoch ${epoch}: ${lost.map(({ summary }) => summary).join(', and ')}`

/** `node 2 (gpu-c)`; `of 4` where that helps. */
function where({ node, host }: Casualty, size: number): string {
  if (node === undefined) return host ? ` on ${host}` : ''
  return ` on node ${node}${host ? ` (${host})` : ''} of ${size}`
}

/** What failed, in one sentence. */
export function describe(first: Pick<Placed, 'casualty' | 'summary'>, step: string, size: number): string {
  const { casualty, summary } = first
  if (summary !== undefined) {
    // The body's own account names the step, not the node that it ran on.
    if (casualty.node === undefined || summary.includes(`node ${casualty.node}`)) return summary
    const named = `step '${step}'`
    const place = where(casualty, size)
    return summary.includes(named) ? summary.replace(named, `${named}${place}`) : `${summary}${place}`
  }
  const pid = casualty.pid === undefined ? '' : `, pid ${casualty.pid}`
  const how = casualty.signal
    ? `was ended by ${casualty.signal}${casualty.outOfMemory ? ', because the system ran out of memory,' : ''}`
    : casualty.exitCode !== undefined
      ? `ended with exit code ${casualty.exitCode}`
      : 'failed'
  const why = casualty.error ? `: ${casualty.error.message.split('\n')[0]}` : ''
  const place = where(casualty, size)
  if (casualty.kind === 'process' || casualty.rank !== undefined) {
    const rank = casualty.rank === undefined ? `process '${casualty.process}'` : `rank ${casualty.rank}`
    return `${rank}${place}${pid} ${how} in step '${step}'${why}`
  }
  const what = {
    agent: 'the agent',
    keeper: 'the keeper',
    body: 'the body',
    member: 'the member',
    launcher: 'the launcher',
    process: 'a process',
  }
  return `${what[casualty.kind]}${place}${pid} ${how} in step '${step}'${why}`
}

function fixFor({ casualty, cause }: Placed, address: AttemptAddress): string | undefined {
  if (casualty.outOfMemory) {
    return 'hold less at once, put fewer members on a host, or ask for hosts with more memory'
  }
  if (casualty.signal === 'SIGTERM') {
    return 'find out who sent SIGTERM: a scheduler that wants the machine back, its shutdown, or a person; @retry({ preempted: 10 }) starts the gang anew after it'
  }
  if (casualty.signal === 'SIGKILL') {
    return "find out who sent SIGKILL: the kernel when memory ran out ('dmesg | tail'), a person, or a scheduler; @retry starts the gang anew"
  }
  if (casualty.signal === 'SIGSEGV' || casualty.signal === 'SIGABRT' || casualty.signal === 'SIGBUS') {
    return 'the program crashed in native code: its last lines and a core dump say where'
  }
  if (cause === 'user') return `see the last lines, and all that it said with \`${logsCommand(casualty, address)}\``
  return undefined
}

/** The command that shows the log of exactly this process. */
function logsCommand({ node, process }: Casualty, { flow, run, step, task, attempt }: AttemptAddress): string {
  const filters = [
    `--attempt ${attempt}`,
    ...(node === undefined ? [] : [`--node ${node}`]),
    ...(process === undefined ? [] : [`--process ${process}`]),
  ]
  return ['gangflow logs', `${flow}/${run}/${step}/${task}`, ...filters].join(' ')
}
