import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '@gangflow/core'
import { expect, it } from 'vitest'
import { artifact, doneRecord, slack, temporary } from '../../integration/runtime/support.js'
import { launch, processesOf } from './launched.js'

const here = (name: string) => new URL(name, import.meta.url).pathname
const KILLS = 12

it(`is resumed to the right result after ${KILLS} kills -9 of the launcher at any moment, and leaves no process`, async () => {
  const datastore = temporary()
  const diary = join(datastore, 'diary')
  const options = { datastore, maxWorkers: 2 }
  const start = { ...options, parameters: { diary } }
  const finished = new Set<string>()
  let run: string | undefined
  let resumed = 0
  // Of the fastest run from its start to its end: a kill comes before that.
  let fastest = slack(700)
  for (let kills = 0; kills < KILLS; ) {
    const token = `chaos-${randomBytes(8).toString('hex')}`
    const launched =
      run === undefined ? launch('run', start, token, 'flow.ts') : launch('resume', options, token, 'flow.ts')
    const fresh = run === undefined
    const began = performance.now()
    const timer = setTimeout(() => launched.child.kill('SIGKILL'), (0.1 + 0.9 * Math.random()) * fastest)
    await launched.ended
    clearTimeout(timer)
    const said = launched.said()
    await expect.poll(() => processesOf(token), { timeout: slack(3000), interval: 50 }).toEqual([])
    const id: string | undefined = /^id (\S+)$/m.exec(said)?.[1]
    if (id !== undefined) run = id
    if (launched.child.signalCode === 'SIGKILL') kills += 1
    else {
      // It was faster than the kill, or the one before had just written its end: look at it, and begin anew.
      expect(said).toMatch(/status done|E_RESUME_DONE/)
      expect(artifact(datastore, { flow: 'Marathon', run: run!, step: 'end', task: '1' }, 'value')).toBe(1040)
      if (fresh) fastest = Math.min(fastest, performance.now() - began)
      else if (said.includes('status done')) resumed += 1
      run = undefined
    }
  }
  if (run === undefined) {
    // The last kills came before a run had a name, or just after an end: whatever the moments were, one is resumed.
    const named = launch('run', start, 'named', 'flow.ts')
    await expect
      .poll(() => /^id (\S+)$/m.exec(named.said())?.[1], { timeout: slack(20_000), interval: 5 })
      .toBeDefined()
    named.child.kill('SIGKILL')
    await named.ended
    run = /^id (\S+)$/m.exec(named.said())![1]!
  }
  const last = launch('resume', options, 'last', 'flow.ts')
  await last.ended
  expect(last.said()).toMatch(/status done|E_RESUME_DONE/)
  if (last.said().includes('status done')) resumed += 1
  run = /^id (\S+)$/m.exec(last.said())?.[1] ?? run
  expect(artifact(datastore, { flow: 'Marathon', run, step: 'end', task: '1' }, 'value')).toBe(1040)
  expect(doneRecord(datastore, { flow: 'Marathon', run, step: 'turn', task: '3' })).toBeDefined()
  // What was done is not done again: in no run does a task run twice.
  for (const line of readFileSync(diary, 'utf8').trim().split('\n')) {
    expect(finished.has(line), line).toBe(false)
    finished.add(line)
  }
  expect(resumed).toBeGreaterThan(0)
})

it('fails by name when the root keeper is killed, and leaves no process', async () => {
  const datastore = temporary()
  const token = `chaos-${randomBytes(8).toString('hex')}`
  const handle = run(here('flow.ts'), {
    datastore,
    parameters: { diary: join(datastore, 'diary') },
    env: { CHAOS_TOKEN: token },
  })
  let killed = false
  for await (const event of handle.events) {
    if (killed || event.type !== 'task-started' || event.step !== 'item') continue
    killed = true
    const stat = readFileSync(`/proc/${event.pid}/stat`, 'utf8')
    process.kill(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]), 'SIGKILL')
  }
  const result = await handle.result
  expect(killed).toBe(true)
  expect(result).toMatchObject({ status: 'failed', error: { code: 'E_KEEPER_LOST' } })
  await expect.poll(() => processesOf(token), { timeout: slack(3000), interval: 50 }).toEqual([])
})

it.each([
  ['task', 1],
  ['gang', 2],
  ['pause', 0],
] as const)('tries nothing again when the root keeper is killed (%s)', async (kind, hanging) => {
  const handle = run(here('retried.ts'), { datastore: temporary(), env: { KIND: kind } })
  let seen = 0
  let keeper = 0
  const kill = () => process.kill(keeper, 'SIGKILL')
  const attempts = []
  for await (const event of handle.events) {
    if (event.type === 'task-started') attempts.push(event.attempt)
    if (event.type === 'task-started' && event.pid !== undefined && keeper === 0) {
      const stat = readFileSync(`/proc/${event.pid}/stat`, 'utf8')
      keeper = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    }
    if (event.type === 'line' && event.text === 'hanging' && ++seen === hanging) kill()
    if (event.type === 'task-failed' && kind === 'pause') kill()
  }
  expect(attempts.every((attempt) => attempt === 0)).toBe(true)
  expect(await handle.result).toMatchObject({
    status: 'failed',
    error: { code: 'E_KEEPER_LOST', fix: expect.stringMatching(/look for whoever|find out who ended/) },
  })
})

it('ends a gang too when the launcher is killed -9, and runs it again as a whole', async () => {
  const datastore = temporary()
  const token = `chaos-${randomBytes(8).toString('hex')}`
  const launched = launch('run', { datastore, parameters: { forMs: 600_000 } }, token, 'ganged.ts')
  await expect.poll(() => launched.said().split('line works').length, { timeout: slack(20_000) }).toBe(3)
  launched.child.kill('SIGKILL')
  await launched.ended
  await expect.poll(() => processesOf(token), { timeout: slack(8000), interval: 100 }).toEqual([])
  const again = launch('resume', { datastore, env: { SHORT: '1' } }, 'again', 'ganged.ts')
  await again.ended
  expect(again.said()).toContain('status done')
  const run = /^id (\S+)$/m.exec(again.said())![1]!
  expect(artifact(datastore, { flow: 'Ganged', run, step: 'end', task: '1' }, 'total')).toBe(3)
})
