import { writeFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import {
  alive,
  cleanUp,
  doneOf,
  gangFlow,
  parentOf,
  processesOf,
  type RunningGang,
  runFlowGang,
  slack,
  sleep,
  startGang,
  until,
  verdictOf,
} from '../support/gang.js'

afterAll(cleanUp)

/** Nodes 1 and 2 below the control, 3 and 4 below 1, 5 and 6 below 2. */
const tree = { size: 7, fanOut: 2 } as const
const all = [0, 1, 2, 3, 4, 5, 6]
const bound = 1_500 * slack

/** The pids of all bodies and agents, once each has said that it is ready. */
async function ready(gang: RunningGang): Promise<{ bodies: number[]; agents: number[] }> {
  const bodies = await Promise.all(
    all.map(async (node) => Number((await gang.line(new RegExp(`^${node} body READY (\\d+)`)))[1])),
  )
  return { bodies, agents: bodies.map((pid) => parentOf(parentOf(pid))) }
}

async function nothingLeft(gang: RunningGang, bodies: readonly number[]): Promise<void> {
  await gang.ended
  expect(bodies.filter(alive)).toEqual([])
  expect(processesOf(gang.run)).toEqual([])
}

describe('a gang with a tree', () => {
  it.each(['unix', 'ssh'] as const)('has the same collectives as one without, over %s', async (transport) => {
    const { gang, outcome } = await runFlowGang(
      gangFlow(`await p.barrier('begin')
    const gathered = await p.allGather({ node: p.nodeIndex, text: 'x'.repeat(p.nodeIndex) })
    const told = await p.broadcast(p.nodeIndex === 5 ? { from: 5 } : undefined, { from: 5 })
    const late = p.nodeIndex === 6 ? undefined : await p.barrier('late', { timeout: '1s' }).then(() => 'met', (error: any) => error.message)
    if (p.nodeIndex === 6) await sleep(2_000)
    console.log('GOT', JSON.stringify({ gathered: gathered.map(({ node, text }: any) => node + text), told, late }))`),
      { ...tree, transport },
    )
    doneOf(outcome, gang)
    const got = gang.text().flatMap((line) => (line.includes(' GOT ') ? [JSON.parse(line.split(' GOT ')[1]!)] : []))
    expect(got.length).toBe(7)
    for (const { gathered, told } of got) {
      expect(gathered).toEqual(all.map((node) => `${node}${'x'.repeat(node)}`))
      expect(told).toEqual({ from: 5 })
    }
    const late = got.flatMap((one) => one.late ?? [])
    expect(late.length).toBe(6)
    for (const message of late)
      expect(message).toMatch(/^barrier\("late"\) waited 1000 ms for node 6; nodes 0, 1, 2, 3, 4 and 5 had called it/)
  })

  it('is told by the control whose step ended without a collective that others wait in', async () => {
    const { gang, outcome } = await runFlowGang(gangFlow(`if (p.nodeIndex !== 4) await p.barrier('for all')`), tree)
    expect(verdictOf(outcome, gang).summary).toMatch(/called barrier\("for all"\).* but the step of node 4 ended/)
  })

  it('names an inner node that was killed while those below it waited in a barrier', async () => {
    const gang = await startGang(
      gangFlow(`console.log('READY', process.pid)
    if (p.nodeIndex === 1) await sleep(60_000)
    await p.barrier()`),
      tree,
    )
    const { bodies, agents } = await ready(gang)
    await sleep(300)
    process.kill(agents[1]!, 'SIGKILL')
    const verdict = verdictOf(await gang.outcome, gang)
    expect(verdict).toMatchObject({ code: 'E_GANG_AGENT_LOST', first: { kind: 'agent', node: 1, pid: agents[1] } })
    expect(verdict.endedAfterMs).toBeLessThan(bound)
    await nothingLeft(gang, bodies)
  })

  it.each([
    [5, 'at the bottom'],
    [1, 'with others below it'],
  ])('names node %i, %s, when it says nothing for a lease, and nobody before', async (node) => {
    const lease = 2_000
    const gang = await startGang(gangFlow(`console.log('READY', process.pid); await sleep(60_000)`), {
      ...tree,
      timeouts: { lease },
    })
    const { bodies, agents } = await ready(gang)
    // Longer than what its neighbours take to say that they hear it, and a pause that is no end.
    await sleep(lease)
    process.kill(agents[node]!, 'SIGSTOP')
    await sleep(lease / 2)
    process.kill(agents[node]!, 'SIGCONT')
    await sleep(lease)
    process.kill(agents[node]!, 'SIGSTOP')
    const verdict = verdictOf(await gang.outcome, gang)
    expect(verdict).toMatchObject({ code: 'E_GANG_MEMBER_SILENT', first: { kind: 'agent', node, pid: agents[node] } })
    expect(verdict.echoes.filter(({ kind }) => kind === 'agent')).toEqual([])
    expect(verdict.endedAfterMs).toBeLessThan(lease * slack + bound)
    await nothingLeft(gang, bodies)
  })

  it('stops those below an inner node that says nothing, within the bound', async () => {
    const gang = await startGang(
      gangFlow(`console.log('READY', process.pid)
    await p.barrier()
    if (p.nodeIndex === 6) { while (!existsSync('fail')) await sleep(20); throw new Error('boom on six') }
    await sleep(60_000)`),
      tree,
    )
    const { bodies, agents } = await ready(gang)
    // The ways between members stand a second after the start.
    await sleep(1_500)
    process.kill(agents[1]!, 'SIGSTOP')
    const at = performance.now()
    writeFileSync(`${gang.folder}/fail`, '')
    await until(() => [0, 2, 3, 4, 5, 6].every((node) => !alive(bodies[node]!)), 'all but node 1 have stopped', bound)
    expect(performance.now() - at).toBeLessThan(bound)
    const verdict = verdictOf(await gang.outcome, gang)
    // Which of the two came first is the judge's business: both are told.
    const told = [verdict.first!, ...verdict.echoes]
    expect(told.map(({ kind, node }) => `${kind} ${node}`)).toEqual(expect.arrayContaining(['agent 1', 'body 6']))
    await nothingLeft(gang, bodies)
  })
})
