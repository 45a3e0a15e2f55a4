import { type ChildProcess, spawn } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { DoneRecord } from '../../packages/core/src/datastore/records.js'
import type { Verdict } from '../../packages/core/src/errors/verdict.js'
import type { GangEvent, GangOutcome } from '../../packages/core/src/gang/contract.js'
import { keeperBinary } from '../../packages/keeper/index.js'
import type { Plan } from './gang-launcher.js'

export const slack = Number(process.env['GANGFLOW_SLACK'] ?? 4)
export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const core = new URL('../../packages/core', import.meta.url).pathname

let launcher: Promise<string> | undefined
const folders: string[] = []
const children: ChildProcess[] = []

/** The bundled launcher of tests; once per file. */
function builtLauncher(): Promise<string> {
  launcher ??= (async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gangflow-launcher-')))
    folders.push(folder)
    mkdirSync(join(folder, 'node_modules', '@gangflow'), { recursive: true })
    symlinkSync(join(core, '..', 'keeper'), join(folder, 'node_modules', '@gangflow', 'keeper'))
    symlinkSync(
      new URL('../../node_modules/esbuild', import.meta.url).pathname,
      join(folder, 'node_modules', 'esbuild'),
    )
    const outfile = join(folder, 'launcher.mjs')
    await build({
      entryPoints: [new URL('./gang-launcher.ts', import.meta.url).pathname],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      external: ['esbuild', '@gangflow/keeper', 'cpu-features', '*.node'],
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); var __dirname = import.meta.dirname;",
      },
    })
    return outfile
  })()
  return launcher
}

/** Ends and removes what this file's gangs left, also after a failed test: what ends with a launcher may write for a moment yet. */
export function cleanUp(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  launcher = undefined
}

/** A folder with a flow whose gang step `multi` has this body; `head` stands before the class. */
export function gangFlow(body: string, head = '', decorators = ''): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gangflow-gang-')))
  folders.push(folder)
  mkdirSync(join(folder, 'node_modules', '@gangflow'), { recursive: true })
  symlinkSync(core, join(folder, 'node_modules', '@gangflow', 'core'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(
    join(folder, 'flow.ts'),
    `import { FlowSpec, step, current, parallel } from '@gangflow/core'
import { spawn, execFileSync } from 'node:child_process'
import { writeFileSync, readFileSync, existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
${head}
export default class Gang extends FlowSpec {
  declare out: unknown
  @step start() { this.next(this.multi, { numParallel: 4 }) }
  ${decorators}
  @step async multi() {
    const p = current.parallel as any
    ${body}
    this.next(this.join)
  }
  @step join(inputs: any) { this.next(this.end) }
  @step end() {}
}
`,
  )
  return join(folder, 'flow.ts')
}

export interface Line {
  readonly launcher?: number
  readonly keeper?: number
  /** Connections that were broken. */
  readonly cut?: number
  readonly event?: GangEvent
  readonly at?: number
  readonly outcome?: GangOutcome
  readonly tookMs?: number
}

export interface RunningGang {
  readonly child: ChildProcess
  readonly lines: Line[]
  readonly folder: string
  readonly run: string
  /** Settles with the outcome; rejects when the launcher ended without one. */
  readonly outcome: Promise<GangOutcome>
  readonly ended: Promise<void>
  text(): string[]
  /** Waits for a line of output that matches, and gives the match. */
  line(pattern: RegExp): Promise<RegExpExecArray>
  states(node: number): string[]
}

let count = 0

/** Starts a launcher with one gang. */
export async function startGang(file: string, more: Partial<Plan> = {}): Promise<RunningGang> {
  const run = more.run ?? `r${process.pid}-${count++}`
  const plan: Plan = { file, step: 'multi', size: 4, run, ...more }
  const child = spawn(process.execPath, [await builtLauncher(), JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, GANGFLOW_KEEPER: keeperBinary()! },
  })
  children.push(child)
  const lines: Line[] = []
  const waiting = new Set<() => void>()
  let rest = ''
  let errors = ''
  child.stderr!.on('data', (data: Buffer) => {
    errors += data
  })
  child.stdout!.on('data', (data: Buffer) => {
    const parts = (rest + data).split('\n')
    rest = parts.pop()!
    for (const part of parts) lines.push(JSON.parse(part) as Line)
    for (const wake of waiting) wake()
  })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      resolve()
      for (const wake of waiting) wake()
    })
  })
  const find = async <T>(pick: () => T | undefined, what: string): Promise<T> => {
    let over = false
    void ended.then(() => {
      over = true
    })
    for (;;) {
      const found = pick()
      if (found !== undefined) return found
      if (over) throw new Error(`the launcher ended without ${what}\n${errors}\n${text().join('\n')}`)
      await new Promise<void>((resolve) => {
        const wake = () => {
          waiting.delete(wake)
          resolve()
        }
        waiting.add(wake)
      })
    }
  }
  const text = () =>
    lines.flatMap(({ event }) => (event?.type === 'line' ? [`${event.node} ${event.process} ${event.text}`] : []))
  const outcome = find(() => lines.at(-1)?.outcome ?? lines.at(-2)?.outcome, 'an outcome')
  outcome.catch(() => {})
  return {
    child,
    lines,
    run,
    folder: join(file, '..'),
    ended,
    outcome,
    text,
    line: (pattern) => {
      let seen = 0
      return find(() => {
        for (; seen < lines.length; seen += 1) {
          const { event } = lines[seen]!
          const match = event?.type === 'line' ? pattern.exec(`${event.node} ${event.process} ${event.text}`) : null
          if (match) return match
        }
        return undefined
      }, String(pattern))
    },
    states: (node) =>
      lines.flatMap(({ event }) => (event?.type === 'member' && event.node === node ? [event.state] : [])),
  }
}

export async function runFlowGang(
  file: string,
  more: Partial<Plan> = {},
): Promise<{ gang: RunningGang; outcome: GangOutcome }> {
  const gang = await startGang(file, more)
  const outcome = await gang.outcome
  await gang.ended
  return { gang, outcome }
}

/** The outcome as a verdict; fails with the whole output when it is none. */
export function verdictOf(outcome: GangOutcome, gang: RunningGang): Verdict {
  if (outcome.ok) throw new Error(`the gang succeeded\n${gang.text().join('\n')}`)
  return outcome.verdict
}

export function doneOf(outcome: GangOutcome, gang: RunningGang): DoneRecord {
  if (!outcome.ok) throw new Error(`${JSON.stringify(outcome.verdict, null, 2)}\n${gang.text().join('\n')}`)
  return outcome.done
}

/** Processes of this machine whose command line, environment or working directory speak of `mark`. */
export function processesOf(mark: string): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')
        const environ = readFileSync(`/proc/${name}/environ`, 'utf8')
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        if (stat[stat.lastIndexOf(')') + 2] === 'Z') return []
        return command.includes(mark) || environ.includes(mark) ? [{ pid: Number(name), command }] : []
      } catch {
        return []
      }
    })
}

export function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

export function alive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat[stat.lastIndexOf(')') + 2] !== 'Z'
  } catch {
    return false
  }
}

/** Waits until it holds; fails saying what did not. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, ms = 10_000 * slack): Promise<void> {
  const deadline = performance.now() + ms
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`)
    await sleep(20)
  }
}
