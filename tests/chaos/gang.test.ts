import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readLog } from '../../packages/core/src/datastore/logs/read.js'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { keys } from '../../packages/core/src/datastore/records.js'
import type { Verdict } from '../../packages/core/src/errors/verdict.js'
import {
  alive,
  cleanUp,
  gangFlow,
  parentOf,
  processesOf,
  type RunningGang,
  runFlowGang,
  slack,
  startGang,
  until,
  verdictOf,
} from '../support/gang.js'

afterAll(cleanUp)

const escaper = new URL('../../packages/core/test/process/fixtures/escape.py', import.meta.url).pathname
/** D4: TERM within 1 s, KILL after the grace of 0.5 s. */
const bound = 1_500 * slack

/** Every member starts a rank that leaves in every way: other title, no environment, two forks, TERM ignored. */
const ranks = `
    const node = p.nodeIndex
    console.log('BODY', process.pid)
    const rank = await p.start([node], { name: 'rank', rank: node, argv: ['python3', '${escaper}', 'escaped-' + node, 'wait'] })
    while (!existsSync('escaped-' + node)) await sleep(20)
    await p.barrier()
    console.log('READY')
    const [result] = await rank.ended
    throw new Error('rank ' + node + ' ended with ' + (result.signal ?? result.exitCode))`

interface Victims {
  body: number
  keeper: number
  agent: number
  rank: number
}

/** The processes of a node of a gang in which all are ready. */
async function victims(gang: RunningGang, node: number): Promise<Victims> {
  const body = Number((await gang.line(new RegExp(`^${node} body BODY (\\d+)`)))[1])
  await gang.line(new RegExp(`^${node} body READY`))
  const keeper = parentOf(body)
  const children = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(keeper)], { encoding: 'utf8' })
  const rank = Number(/^\s*(\d+) .*escape\.py/m.exec(children)?.[1])
  return { body, keeper, agent: parentOf(keeper), rank }
}

const escaped = (gang: RunningGang, size = 4) =>
  Array.from({ length: size }, (_, node) => Number(readFileSync(join(gang.folder, `escaped-${node}`), 'utf8')))

/** Runs a gang of escapers, harms it, and gives the verdict once everything has ended. */
async function harmed(harm: (of: Victims, gang: RunningGang) => void, node = 2, timeouts: object = {}) {
  const gang = await startGang(gangFlow(ranks), { timeouts })
  for (const one of [0, 1, 2, 3]) await gang.line(new RegExp(`^${one} body READY`))
  const of = await victims(gang, node)
  const pids = escaped(gang)
  expect(pids.every(alive)).toBe(true)
  const at = performance.now()
  harm(of, gang)
  const verdict = verdictOf(await gang.outcome, gang)
  await gang.ended
  return { gang, of, verdict, pids, took: performance.now() - at }
}

function nothingLeft(gang: RunningGang, pids: readonly number[]): void {
  expect(pids.filter(alive)).toEqual([])
  expect(processesOf(gang.run)).toEqual([])
}

describe('a member that fails', () => {
  it('ends the gang at once, and the verdict says which and why', async () => {
    const { gang, outcome } = await runFlowGang(
      gangFlow(`if (p.nodeIndex === 2) { await sleep(300); console.log('last words'); throw new TypeError('boom on two') }
    await sleep(20_000)`),
    )
    const verdict = verdictOf(outcome, gang)
    expect(verdict.summary).toMatch(
      /^step 'multi' on node 2 \(here\) of 4 threw TypeError: boom on two at .*flow\.ts:\d+$/,
    )
    expect(verdict).toMatchObject({
      cause: 'user',
      author: 'control',
      first: { kind: 'body', node: 2, host: 'here', memberId: 'm2', error: { message: 'TypeError: boom on two' } },
      echoes: [],
    })
    expect(verdict.first!.lastLines).toContain('last words')
    expect(verdict.stopped.map(({ node }) => node).sort()).toEqual([0, 1, 3])
    expect(verdict.endedAfterMs).toBeLessThan(bound)
    expect(gang.states(2)).toEqual(['starting', 'joined', 'setup', 'running', 'failed', 'gone'])
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    const record = await store.readRecord(
      keys.attemptFailed({ flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 }),
    )
    expect((record as unknown as { verdict: Verdict }).verdict).toEqual(verdict)
    await store.close()
  })

  it('comes before those that lose their connection to it', async () => {
    const { gang, outcome } = await runFlowGang(
      gangFlow(`const net = await import('node:net')
    if (p.nodeIndex === 1) {
      const server = net.createServer(() => {}).listen(0, '127.0.0.1')
      await new Promise((ready) => server.once('listening', ready))
      await p.kv.set('port', (server.address() as any).port)
      await p.barrier()
      process.kill(process.pid, 'SIGKILL')
    }
    const socket = net.connect(await p.kv.get('port'), '127.0.0.1')
    await new Promise((ready) => socket.once('connect', ready))
    await p.barrier()
    await new Promise((_, reject) => socket.once('close', () => reject(new Error('Connection closed by peer'))))`),
    )
    expect(verdictOf(outcome, gang)).toMatchObject({
      cause: 'infrastructure',
      first: { kind: 'body', node: 1, signal: 'SIGKILL' },
    })
  })

  it('is named by the plugin that knows more, with what the agent saw of the process', async () => {
    const { gang, outcome } = await runFlowGang(
      gangFlow(`if (p.nodeIndex !== 1) await sleep(20_000)
    const proc = await p.start([1], { name: 'rank3', rank: 3, argv: ['sh', '-c', 'echo traceback; exit 7'] })
    const [result] = await proc.ended
    await p.fail({ kind: 'process', process: 'rank3', error: { message: 'ValueError: bad learning rate' } })
    throw new Error('rank 3 failed with ' + result.exitCode)`),
    )
    const verdict = verdictOf(outcome, gang)
    expect(verdict.summary).toMatch(
      /^rank 3 on node 1 \(here\) of 4, pid \d+ ended with exit code 7 in step 'multi': ValueError: bad learning rate$/,
    )
    expect(verdict.first).toMatchObject({ process: 'rank3', rank: 3, exitCode: 7, lastLines: ['traceback'] })
    // Its body threw because of it, or was stopped before it could.
    expect([...verdict.echoes, ...verdict.stopped]).toContainEqual(expect.objectContaining({ kind: 'body', node: 1 }))
  })
})

describe('kill -9', () => {
  it('of a rank', async () => {
    const { gang, verdict, pids, of } = await harmed(({ rank }) => process.kill(rank, 'SIGKILL'))
    expect(verdict).toMatchObject({
      cause: 'infrastructure',
      first: { kind: 'process', node: 2, rank: 2, process: 'rank', pid: of.rank, signal: 'SIGKILL' },
    })
    expect(verdict.summary).toMatch(/^rank 2 on node 2 \(here\) of 4, pid \d+ was ended by SIGKILL in step 'multi'$/)
    expect(verdict.endedAfterMs).toBeLessThan(bound)
    nothingLeft(gang, pids)
  })

  it('of a body', async () => {
    const { gang, verdict, pids, of } = await harmed(({ body }) => process.kill(body, 'SIGKILL'))
    expect(verdict).toMatchObject({
      cause: 'infrastructure',
      first: { kind: 'body', node: 2, pid: of.body, signal: 'SIGKILL' },
    })
    expect(verdict.first!.lastLines).toContain('READY')
    expect(verdict.endedAfterMs).toBeLessThan(bound)
    nothingLeft(gang, pids)
  })

  it.each([2, 0])('of the agent of node %i', async (node) => {
    const { gang, verdict, pids, of } = await harmed(({ agent }) => process.kill(agent, 'SIGKILL'), node)
    expect(verdict).toMatchObject({
      cause: 'infrastructure',
      code: 'E_GANG_AGENT_LOST',
      author: node === 0 ? 'launcher' : 'control',
      first: { kind: 'agent', node, pid: of.agent, signal: 'SIGKILL' },
    })
    expect(verdict.summary).toBe(
      `the agent on node ${node} (here) of 4, pid ${of.agent} was ended by SIGKILL in step 'multi'`,
    )
    expect(verdict.first!.lastLines).toContain('READY')
    expect(verdict.endedAfterMs).toBeLessThan(bound)
    nothingLeft(gang, pids)
    // What its body said is not lost with it.
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    const log: string[] = []
    for await (const line of readLog(
      store,
      { flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 },
      { node },
    ))
      log.push(line.text)
    expect(log).toContain('READY')
    await store.close()
  })

  it('of a keeper', async () => {
    const { gang, verdict, pids, of } = await harmed(({ keeper }) => process.kill(keeper, 'SIGKILL'))
    expect(verdict).toMatchObject({
      cause: 'infrastructure',
      first: { kind: 'keeper', node: 2, pid: of.keeper, signal: 'SIGKILL' },
    })
    expect(verdict.endedAfterMs).toBeLessThan(bound)
    nothingLeft(gang, pids)
  })

  it('of the launcher', async () => {
    const gang = await startGang(gangFlow(ranks))
    for (const node of [0, 1, 2, 3]) await gang.line(new RegExp(`^${node} body READY`))
    const pids = escaped(gang)
    gang.child.kill('SIGKILL')
    await until(() => pids.every((pid) => !alive(pid)), 'every rank has ended', 6_000 * slack)
    await until(() => processesOf(gang.run).length === 0, 'every process has ended', 10_000 * slack)
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    const record = await store.readRecord(
      keys.attemptFailed({ flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 }),
    )
    const { verdict } = record as unknown as { verdict: Verdict }
    expect(verdict).toMatchObject({
      cause: 'infrastructure',
      code: 'E_GANG_LAUNCHER_LOST',
      author: 'control',
      first: { kind: 'launcher' },
    })
    expect(verdict.summary).toBe("the launcher has ended while step 'multi' ran on 4 members; they were stopped")
    await store.close()
  })

  it('of the launcher, when one member has still to undo something and the others wait to be let go', async () => {
    const undo = 'touch undoing; sleep 1; touch undone'
    const gang = await startGang(
      gangFlow(`if (!p.isControl) await p.atEnd({ run: { argv: ['sh', '-c', '${undo}'] } })`),
      { size: 2 },
    )
    const made = (name: string) => existsSync(join(gang.folder, name))
    await until(() => made('undoing'), 'the undo has begun')
    gang.child.kill('SIGKILL')
    // Not only after the linger, which is 30 s.
    await until(() => processesOf(gang.run).length === 0, 'every process has ended', 25_000)
    expect(made('undone')).toBe(true)
  })
})

describe('the launcher', () => {
  const address = (gang: RunningGang) => ({ flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 })
  const recorded = async (gang: RunningGang) => {
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    const record = await store.readRecord(keys.attemptFailed(address(gang)))
    await store.close()
    return (record as unknown as { verdict: Verdict }).verdict
  }

  it('killed together with the control: another member writes the account', async () => {
    const gang = await startGang(gangFlow(ranks))
    for (const node of [0, 1, 2, 3]) await gang.line(new RegExp(`^${node} body READY`))
    const pids = escaped(gang)
    const { agent } = await victims(gang, 0)
    gang.child.kill('SIGKILL')
    process.kill(agent, 'SIGKILL')
    await until(() => processesOf(gang.run).length === 0, 'every process has ended')
    nothingLeft(gang, pids)
    expect(await recorded(gang)).toMatchObject({ code: 'E_GANG_LAUNCHER_LOST', author: 'member' })
  })

  it('stopped for a while is no death: the members go on meanwhile', async () => {
    const gang = await startGang(
      gangFlow(`console.log('READY')
    for (let i = 0; i < 20; i += 1) { await sleep(50); await p.barrier() }
    writeFileSync('through-' + p.nodeIndex, '')`),
      { timeouts: { lease: 1_000 } },
    )
    for (const node of [0, 1, 2, 3]) await gang.line(new RegExp(`^${node} body READY`))
    gang.child.kill('SIGSTOP')
    await until(() => [0, 1, 2, 3].every((node) => existsSync(join(gang.folder, `through-${node}`))), 'all are through')
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    gang.child.kill('SIGCONT')
    expect(await gang.outcome).toMatchObject({ ok: true })
    await gang.ended
  })

  it('silent for too long is one: the gang ends itself, and the launcher finds the account', async () => {
    const gang = await startGang(gangFlow(`console.log('READY'); await sleep(60_000)`), {
      size: 2,
      timeouts: { lease: 1_000, launcher: 2_000 },
    })
    for (const node of [0, 1]) await gang.line(new RegExp(`^${node} body READY`))
    const { keeper, launcher } = gang.lines[0]!
    gang.child.kill('SIGSTOP')
    // Its own keeper cannot tell it of their end yet.
    const left = () => processesOf(gang.run).filter(({ pid }) => pid !== keeper && pid !== launcher)
    await until(() => left().length === 0, 'the members have ended')
    gang.child.kill('SIGCONT')
    const verdict = verdictOf(await gang.outcome, gang)
    await gang.ended
    expect(verdict).toMatchObject({ code: 'E_GANG_LAUNCHER_LOST', author: 'control' })
    expect(verdict.summary).toMatch(/^the launcher said nothing for 2 s while step 'multi' ran on 2 members/)
  })
})

describe('SIGTERM', () => {
  it('of an agent by a stranger is said to be just that', async () => {
    const gang = await startGang(
      gangFlow(`console.log('BODY', process.pid); console.log('READY'); await sleep(20_000)`),
      { size: 2 },
    )
    await gang.line(/^0 body READY/)
    const { agent } = await victims(gang, 1)
    process.kill(agent, 'SIGTERM')
    const verdict = verdictOf(await gang.outcome, gang)
    await gang.ended
    expect(verdict.summary).toBe(`the agent on node 1 (here) of 2, pid ${agent} was ended by SIGTERM in step 'multi'`)
    expect(processesOf(gang.run)).toEqual([])
  })
})

describe('a member that dies before its step has begun', () => {
  it('ends the gang all the same', async () => {
    const gang = await startGang(gangFlow(`await sleep(20_000)`))
    await until(() => gang.states(0).includes('joined'), 'the first has joined')
    const agents = processesOf('agent.cjs').filter(({ pid }) => parentOf(pid) === gang.lines[0]!.keeper)
    process.kill(agents.at(-1)!.pid, 'SIGKILL')
    const outcome = await gang.outcome
    await gang.ended
    expect(verdictOf(outcome, gang)).toMatchObject({
      code: 'E_GANG_AGENT_LOST',
      first: { kind: 'agent', signal: 'SIGKILL' },
    })
    expect(processesOf(gang.run)).toEqual([])
  })
})

describe('SIGSTOP', () => {
  it('of an agent: its keeper ends what is below it, the verdict names the silent one', async () => {
    const { gang, verdict, pids, of } = await harmed(({ agent }) => process.kill(agent, 'SIGSTOP'), 2, { lease: 2_000 })
    expect(verdict).toMatchObject({
      cause: 'infrastructure',
      code: 'E_GANG_MEMBER_SILENT',
      first: { kind: 'agent', node: 2, pid: of.agent },
    })
    expect(verdict.summary).toMatch(
      new RegExp(
        `^node 2 \\(here\\) has said nothing for [2-9].* s: its agent \\(pid ${of.agent}\\) was stopped by a signal \\(SIGSTOP\\)$`,
      ),
    )
    nothingLeft(gang, pids)
  })

  it('of a body is no failure of the gang', async () => {
    const gang = await startGang(gangFlow(`console.log('BODY', process.pid); await sleep(500); await p.barrier()`), {
      timeouts: { lease: 1_000 },
    })
    const body = Number((await gang.line(/^1 body BODY (\d+)/))[1])
    process.kill(body, 'SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    process.kill(body, 'SIGCONT')
    expect(await gang.outcome).toMatchObject({ ok: true })
    await gang.ended
  })
})

describe('what was declared by atEnd', () => {
  it('is performed after the body and the agent were killed', async () => {
    const gang = await startGang(
      gangFlow(`
    writeFileSync('precious-' + p.nodeIndex, 'x')
    await p.atEnd({ remove: process.cwd() + '/precious-' + p.nodeIndex })
    await p.atEnd({ run: { argv: ['sh', '-c', 'echo undone > undone-' + p.nodeIndex] } })
    if (p.isControl) await p.atEnd({ run: { argv: ['sh', '-c', 'echo done > from-control'] } }, { nodes: [1] })
    console.log('BODY', process.pid)
    console.log('READY')
    await sleep(20_000)`),
      { size: 2 },
    )
    await gang.line(/^0 body READY/)
    const { agent } = await victims(gang, 1)
    process.kill(agent, 'SIGKILL')
    verdictOf(await gang.outcome, gang)
    await gang.ended
    for (const node of [0, 1]) {
      expect(existsSync(join(gang.folder, `precious-${node}`))).toBe(false)
      expect(readFileSync(join(gang.folder, `undone-${node}`), 'utf8')).toBe('undone\n')
    }
    expect(existsSync(join(gang.folder, 'from-control'))).toBe(true)
  })
})

describe('the ends of a gang that were asked for', () => {
  it('Ctrl-C: cancelled, with the grace for the bodies, and nobody is blamed', async () => {
    const gang = await startGang(
      gangFlow(`process.on('SIGTERM', () => { setTimeout(() => { console.log('saved'); process.exit(0) }, 300) })
    console.log('READY'); await sleep(20_000)`),
      { size: 2 },
    )
    for (const node of [0, 1]) await gang.line(new RegExp(`^${node} body READY`))
    gang.child.kill('SIGINT')
    const verdict = verdictOf(await gang.outcome, gang)
    await gang.ended
    expect(verdict).toMatchObject({ cause: 'cancelled', summary: "step 'multi' was stopped: cancelled by Ctrl-C" })
    expect(verdict.first).toBeUndefined()
    expect(verdict.stopped.map(({ node }) => node)).toEqual([0, 1])
    expect(gang.text().filter((line) => line.endsWith('saved'))).toHaveLength(2)
    expect(processesOf(gang.run)).toEqual([])
  })

  it('a timeout of the step names the node', async () => {
    const { gang, outcome } = await runFlowGang(gangFlow(`if (p.nodeIndex === 1) await sleep(20_000)`), {
      size: 2,
      // Of both bodies, the start included.
      timeoutMs: 5_000,
    })
    expect(verdictOf(outcome, gang)).toMatchObject({ cause: 'timeout', first: { kind: 'body', node: 1 } })
  })
})

describe('collectives that cannot succeed', () => {
  it('name both sides of a mismatch', async () => {
    const { gang, outcome } = await runFlowGang(
      gangFlow(`await p.barrier(); if (p.nodeIndex === 2) await p.allGather(1); else await p.barrier('epoch')`),
    )
    const verdict = verdictOf(outcome, gang)
    expect(verdict).toMatchObject({ cause: 'user', code: 'E_GANG_COLLECTIVE_MISMATCH' })
    expect(verdict.summary).toMatch(/disagree about their 2nd collective: node \d called .*, node \d called .*/)
    expect(verdict.summary).toContain('node 2 called allGather()')
  })

  it('name the member whose step ended without the call', async () => {
    const { gang, outcome } = await runFlowGang(gangFlow(`if (p.nodeIndex !== 3) await p.barrier('late')`))
    expect(verdictOf(outcome, gang).summary).toMatch(/the step of node 3 ended without calling it/)
  })

  it('name whom they waited for', async () => {
    const { gang, outcome } = await runFlowGang(
      gangFlow(
        `await p.barrier(); if (p.nodeIndex === 1) await sleep(20_000); await p.barrier('epoch', { timeout: '2s' })`,
      ),
      { size: 3 },
    )
    const verdict = verdictOf(outcome, gang)
    expect(verdict).toMatchObject({ cause: 'timeout', code: 'E_GANG_COLLECTIVE_TIMEOUT' })
    expect(verdict.summary).toMatch(/barrier\("epoch"\) waited 2000 ms for node 1; nodes 0 and 2 had called it/)
  })
})

describe('a member that never comes', () => {
  it('is named at the start deadline', async () => {
    const gang = await startGang(gangFlow(`await sleep(1)`), { timeouts: { join: 6_000 }, env: {} })
    await until(() => gang.states(1).includes('starting'), 'the agents are started')
    const agents = processesOf('agent.cjs').filter(({ pid }) => parentOf(pid) === gang.lines[0]!.keeper)
    process.kill(agents[0]!.pid, 'SIGSTOP')
    const verdict = verdictOf(await gang.outcome, gang)
    await gang.ended
    expect(verdict.code === 'E_GANG_START_TIMEOUT' || verdict.code === 'E_GANG_MEMBER_SILENT').toBe(true)
    expect(verdict.summary).toMatch(/m\d \(here\)|node \d/)
    expect(processesOf(gang.run)).toEqual([])
  })
})
