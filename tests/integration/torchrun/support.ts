import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type RunEvent, run, type Verdict } from '@gangflow/core'

export const slack = Number(process.env['GANGFLOW_SLACK'] ?? 4)
const file = new URL('./flow/flow.ts', import.meta.url)
const folders: string[] = []
let count = 0

export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gangflow-torch-'))
  folders.push(folder)
  return folder
}

export function removeTemporary(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
}

export interface Train {
  readonly args?: readonly string[]
  readonly script?: string
  readonly launcher?: 'direct' | 'torchrun' | 'prefork'
  readonly nproc?: number
  readonly members?: number
  readonly env?: Readonly<Record<string, string>>
  /** Called with each line of output as it comes. */
  readonly onLine?: (line: Extract<RunEvent, { type: 'line' }>) => void
}

/** Runs the flow of this folder to its end. */
export async function train({ args = [], env = {}, onLine, ...parameters }: Train) {
  const datastore = temporary()
  // Every rank's command line has it, so that none can be overlooked.
  const mark = `mark-${process.pid}-${count++}`
  const handle = run(file, { datastore, env, parameters: { ...parameters, args: [...args, mark] } })
  let verdict: Verdict | undefined
  let failedAt = 0
  for await (const event of handle.events) {
    if (event.type === 'line') onLine?.(event)
    if (event.type === 'task-failed') {
      verdict = event.verdict
      failedAt = performance.now()
    }
  }
  const result = await handle.result
  return { result, verdict, failedAt, left: processesWith(mark), run: new Client(datastore).run(`Torch/${result.run}`) }
}

export function processesWith(mark: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        return command.includes(mark) ? [`${pid} ${command}`] : []
      } catch {
        return []
      }
    })
}
