import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { keeperBinary } from '../../packages/keeper/index.js'

const slack = Number(process.env['GANGFLOW_SLACK'] ?? 4)
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const escaper = new URL('../../packages/core/test/process/fixtures/escape.py', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'gangflow-chaos-'))
const owner = join(folder, 'owner.mjs')
const owners: ChildProcess[] = []
let binary = ''
let count = 0

beforeAll(async () => {
  execFileSync(process.execPath, [new URL('../../packages/keeper/build.mjs', import.meta.url).pathname])
  binary = keeperBinary()!
  await build({
    entryPoints: [new URL('./fixtures/keeper-owner.ts', import.meta.url).pathname],
    outfile: owner,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
  })
})
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
afterEach(() => {
  for (const child of owners.splice(0)) child.kill('SIGKILL')
})

interface Line {
  keeper?: number
  name?: string
  pid?: number
  exit?: { code: number | null; signal: string | null; solicited: boolean; keeperLost?: boolean }
  stray?: { pid: number; command: string; process?: string }
  lapsed?: number
  closed?: { signal: string | null; code: number | null }
  ready?: boolean
}

/** Starts an owner with its keeper and commands; what it said so far, and its parts by name. */
async function own(plan: { root?: boolean; leaseMs?: number; helper?: 'none'; commands: object[] }) {
  const mark = `chaos-${process.pid}-${count++}`
  const child = spawn(process.execPath, [owner, JSON.stringify({ ...plan, mark, spool: folder })], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, GANGFLOW_KEEPER: plan.helper ?? binary },
  })
  owners.push(child)
  const lines: Line[] = []
  let rest = ''
  child.stdout!.on('data', (data: Buffer) => {
    const parts = (rest + data).split('\n')
    rest = parts.pop()!
    for (const part of parts) lines.push(JSON.parse(part))
  })
  await until('the owner to be ready', () => lines.some((line) => line.ready), 10_000 * slack)
  const pid = (name: string) => lines.find((line) => line.name === name && line.pid)!.pid!
  return { child, mark, lines, keeper: lines.find((line) => line.keeper)!.keeper!, pid }
}

async function until(what: string, check: () => boolean, ms = 3000 * slack): Promise<number> {
  const begun = performance.now()
  while (!check()) {
    if (performance.now() > begun + ms) throw new Error(`waited ${ms} ms for ${what}`)
    await sleep(5)
  }
  return performance.now() - begun
}

function running(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z'
  } catch {
    return false
  }
}

function marked(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`GANGFLOW_MARK=${mark}\0`) && running(pid)
      } catch {
        return false
      }
    })
}

/** What escapes writes its pid here. */
const pidFile = () => join(folder, `pid-${count++}`)
const readPid = async (file: string) => {
  await until('the escape', () => existsSync(file), 10_000 * slack)
  return Number(readFileSync(file, 'utf8'))
}
const deaf = ['sh', '-c', 'trap "" TERM; echo deaf; while :; do sleep 0.05; done']

describe('kill -9', () => {
  it('of the owner ends everything below: TERM, grace, KILL; and the keeper', async () => {
    const file = pidFile()
    const { child, mark, keeper, pid } = await own({
      commands: [
        { name: 'polite', argv: ['sh', '-c', 'trap "echo bye; exit 0" TERM; while :; do sleep 0.05; done'] },
        { name: 'deaf', argv: deaf },
        { name: 'escape', argv: ['python3', escaper, file, 'wait'] },
      ],
    })
    const away = await readPid(file)
    child.kill('SIGKILL')
    const took = await until('the end of all', () => marked(mark).length === 0 && !running(away) && !running(keeper))
    expect(took).toBeGreaterThan(400)
    expect(took).toBeLessThan(1500 * slack)
    expect(readFileSync(join(folder, mark, 'polite.spool'), 'utf8')).toContain('bye')
    expect(['polite', 'deaf'].map(pid).filter(running)).toEqual([])
  })

  it('of the owner leaves those that linger their time', async () => {
    const { child, mark, keeper, pid } = await own({
      commands: [
        { name: 'agent', argv: ['sh', '-c', 'trap "" TERM; sleep 0.8; echo account; sleep 60'], lingerMs: 2000 },
        { name: 'quick', argv: ['sh', '-c', 'sleep 1; echo done'], lingerMs: 60_000 },
        { name: 'task', argv: deaf },
      ],
    })
    child.kill('SIGKILL')
    await until('the end of the task', () => !running(pid('task')))
    expect(running(pid('agent'))).toBe(true)
    const took = await until('the end of all', () => marked(mark).length === 0 && !running(keeper))
    expect(took).toBeGreaterThan(700)
    expect(readFileSync(join(folder, mark, 'agent.spool'), 'utf8')).toContain('account')
    expect(readFileSync(join(folder, mark, 'quick.spool'), 'utf8')).toContain('done')
  })

  it('of a keeper ends its children at once, is told to the owner, which ends what escaped', async () => {
    const file = pidFile()
    const { lines, keeper, mark, pid } = await own({
      commands: [
        { name: 'rank', argv: deaf },
        { name: 'escape', argv: ['python3', escaper, file, 'leave'] },
        { name: 'child', argv: ['sh', '-c', '(sleep 671 &) ; sleep 672'] },
      ],
    })
    const away = await readPid(file)
    process.kill(keeper, 'SIGKILL')
    await until('the end of the rank', () => !running(pid('rank')))
    await until('the end of all', () => !running(away) && marked(mark).length === 0)
    await until('the word of it', () => lines.some((line) => line.closed))
    expect(lines.find((line) => line.closed)!.closed).toMatchObject({ signal: 'SIGKILL' })
    expect(lines.find((line) => line.name === 'rank' && line.exit)!.exit).toMatchObject({
      signal: 'SIGKILL',
      solicited: true,
      keeperLost: true,
    })
  })

  it('of a member keeper: the root keeper ends the orphans, also those that escaped', async () => {
    const file = pidFile()
    const inner = { mark: '', spool: folder, commands: [{ name: 'escape', argv: ['python3', escaper, file, 'wait'] }] }
    inner.mark = `chaos-${process.pid}-${count++}`
    const outer = await own({
      root: true,
      commands: [
        { name: 'agent', argv: [process.execPath, owner, JSON.stringify(inner)], strays: 'end' },
        { name: 'other', argv: deaf },
      ],
    })
    const away = await readPid(file)
    const memberKeeper = marked(inner.mark).find((pid) =>
      readFileSync(`/proc/${pid}/stat`, 'utf8').includes('(gangflow-keeper)'),
    )!
    process.kill(memberKeeper, 'SIGKILL')
    const took = await until('the end of the orphan', () => !running(away) && marked(inner.mark).length === 0)
    expect(took).toBeLessThan(1500 * slack)
    await until('the word of it', () => outer.lines.some((line) => line.stray?.pid === away))
    expect(outer.lines.find((line) => line.stray)!.stray).toMatchObject({ process: 'agent' })
    expect(running(outer.pid('agent')) && running(outer.pid('other'))).toBe(true)
  })

  it('of an agent: its keeper ends its own, within the bound', async () => {
    const file = pidFile()
    const inner = {
      mark: `chaos-${process.pid}-${count++}`,
      spool: folder,
      commands: [
        { name: 'escape', argv: ['python3', escaper, file, 'wait'] },
        { name: 'polite', argv: ['sh', '-c', 'trap "echo bye; exit 0" TERM; while :; do sleep 0.05; done'] },
      ],
    }
    const outer = await own({
      root: true,
      commands: [{ name: 'agent', argv: [process.execPath, owner, JSON.stringify(inner)], strays: 'end' }],
    })
    const away = await readPid(file)
    process.kill(outer.pid('agent'), 'SIGKILL')
    const took = await until('the end of the member', () => !running(away) && marked(inner.mark).length === 0)
    expect(took).toBeLessThan(1500 * slack)
    expect(readFileSync(join(folder, inner.mark, 'polite.spool'), 'utf8')).toContain('bye')
    await until('the word of it', () => outer.lines.some((line) => line.exit))
    expect(outer.lines.find((line) => line.exit)!.exit).toMatchObject({ signal: 'SIGKILL', solicited: false })
  })

  it('of the root keeper ends the agents, and their keepers what is below', async () => {
    const file = pidFile()
    const inner = {
      mark: `chaos-${process.pid}-${count++}`,
      spool: folder,
      commands: [{ name: 'escape', argv: ['python3', escaper, file, 'wait'] }],
    }
    const outer = await own({
      root: true,
      commands: [{ name: 'agent', argv: [process.execPath, owner, JSON.stringify(inner)], strays: 'end' }],
    })
    const away = await readPid(file)
    process.kill(outer.keeper, 'SIGKILL')
    await until('the end of all', () => !running(away) && [outer.mark, inner.mark].flatMap(marked).length === 0)
  })
})

describe('SIGSTOP of the owner', () => {
  it('ends everything after the lease, and the owner hears of it when it goes on', async () => {
    const { child, mark, lines, keeper, pid } = await own({ leaseMs: 500, commands: [{ name: 'rank', argv: deaf }] })
    await sleep(1500)
    expect(running(pid('rank'))).toBe(true)
    child.kill('SIGSTOP')
    const took = await until('the end of the rank', () => !running(pid('rank')))
    expect(took).toBeGreaterThan(800)
    expect(took).toBeLessThan(2500 * slack)
    await until('the end of the keeper', () => !running(keeper))
    child.kill('SIGCONT')
    await until('the word of it', () => lines.some((line) => line.closed))
    expect(lines.find((line) => line.lapsed)!.lapsed).toBeGreaterThanOrEqual(500)
    expect(lines.find((line) => line.exit)!.exit).toMatchObject({ signal: 'SIGKILL', solicited: true })
    expect(marked(mark)).toEqual([])
  })

  it('is no death without a lease', async () => {
    const { child, pid } = await own({ commands: [{ name: 'rank', argv: deaf }] })
    child.kill('SIGSTOP')
    await sleep(1500)
    expect(running(pid('rank'))).toBe(true)
    child.kill('SIGCONT')
    child.kill('SIGKILL')
    await until('the end of the rank', () => !running(pid('rank')))
  })
})

describe('without the native helper', () => {
  it('kill -9 of the owner ends the groups, and what carries the mark elsewhere', async () => {
    const { child, mark, pid } = await own({
      helper: 'none',
      commands: [
        {
          name: 'polite',
          argv: ['sh', '-c', 'trap "exit 0" TERM; (setsid sleep 661 &); while :; do sleep 0.05; done'],
        },
        { name: 'deaf', argv: deaf },
        { name: 'agent', argv: deaf, lingerMs: 2000 },
      ],
    })
    await until('all of it', () => marked(mark).length >= 4)
    child.kill('SIGKILL')
    await until('the end of the groups', () => !running(pid('polite')) && !running(pid('deaf')))
    expect(running(pid('agent'))).toBe(true)
    await until('the end of all', () => marked(mark).length === 0)
  })
})
