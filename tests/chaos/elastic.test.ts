import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readLog } from '../../packages/core/src/datastore/logs/read.js'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { keys } from '../../packages/core/src/datastore/records.js'
import type { Head, Opening } from '../../packages/core/src/gang/arbiter/contract.js'
import {
  alive,
  cleanUp,
  doneOf,
  gangFlow,
  parentOf,
  processesOf,
  type RunningGang,
  slack,
  startGang,
  until,
  verdictOf,
} from '../support/gang.js'

afterAll(cleanUp)

/** Every member says where it is and holds a port; in the epoch `last` all meet and end, before it they wait to be harmed. */
const work = (last: number) => `
    const { createServer, connect } = await import('node:net')
    const port = await p.reservePort('meet')
    const rank = await p.start([p.nodeIndex], { name: 'rank', rank: p.nodeIndex, argv: ['sleep', '600'] })
    const seen = await p.kv.peek('of-epoch')
    const saved = await p.checkpoint.load('weights')
    if (p.isControl && p.epoch === 1) await p.checkpoint.save('weights', { step: 7, of: p.epoch, values: new Float64Array([1, 2.5]) })
    await p.barrier('begun')
    await p.kv.set('of-epoch', p.epoch)
    const all = await p.allGather(p.epoch)
    console.log('AT', JSON.stringify({ epoch: p.epoch, node: p.nodeIndex, nodes: p.numNodes, pid: process.pid, port, seen: seen ?? null, all,
      ids: p.roster.entries.map((one: any) => one.memberId), control: p.roster.control, value: String(this.value),
      saved: saved ? [saved.step, saved.of, ...saved.values] : null }))
    this.value = p.epoch
    if (p.epoch < ${last}) await sleep(600_000)
    await rank.stop()
    await p.barrier('ended')
    this.out = p.epoch * 100 + p.nodeIndex`

interface At {
  readonly epoch: number
  readonly node: number
  readonly nodes: number
  readonly pid: number
  readonly port: number
  readonly seen: number | null
  readonly all: readonly number[]
  readonly ids: readonly string[]
  readonly control: string
  readonly value: string
  readonly saved: readonly number[] | null
}

/** What each node of an epoch said, once all have. */
async function epochOf(gang: RunningGang, epoch: number, nodes: number): Promise<At[]> {
  const said = () =>
    gang.text().flatMap((line) => {
      const found = /^\d+ body AT (.*)$/.exec(line)?.[1]
      const at = found ? (JSON.parse(found) as At) : undefined
      return at?.epoch === epoch ? [at] : []
    })
  let over: object | undefined
  gang.outcome.then(
    (outcome) => {
      over = outcome
    },
    () => {},
  )
  await until(() => said().length === nodes || over !== undefined, `${nodes} nodes in epoch ${epoch}`, 20_000 * slack)
  if (said().length < nodes) throw new Error(`${JSON.stringify(over, null, 1)}\n${gang.text().join('\n')}`)
  return said().sort((a, b) => a.node - b.node)
}

/** Body, member keeper and agent of a node. */
const processesOfNode = ({ pid }: At) => ({ body: pid, keeper: parentOf(pid), agent: parentOf(parentOf(pid)) })

const elastic = (options: string, last = 2) => gangFlow(work(last), '', `@parallel(${options})`)

async function heads(gang: RunningGang): Promise<Head[]> {
  const store = await openDatastore(join(gang.folder, '.gangflow'))
  const address = { flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 }
  const found: Head[] = []
  for (let version = 1; ; version += 1) {
    const head = (await store.readRecord(keys.epochHead(address, version))) as unknown as Head | undefined
    if (!head) break
    found.push(head)
  }
  await store.close()
  return found
}

function nothingLeft(gang: RunningGang, of: readonly At[]): void {
  expect(of.filter(({ pid }) => alive(pid))).toEqual([])
  expect(processesOf(gang.run)).toEqual([])
}

/** Which of a node's processes is killed. */
type Victim = keyof ReturnType<typeof processesOfNode>
const kill = (at: At, victim: Victim = 'agent', signal: NodeJS.Signals = 'SIGKILL') =>
  process.kill(processesOfNode(at)[victim], signal)

describe('a gang that lost a member', () => {
  it.each([
    ['agent', 2, 'E_GANG_AGENT_LOST', ['m0', 'm1', 'm2.1', 'm3']],
    ['agent', 0, 'E_GANG_AGENT_LOST', ['m0.1', 'm1', 'm2', 'm3']],
    ['keeper', 1, undefined, ['m0', 'm1.1', 'm2', 'm3']],
    ['body', 3, undefined, ['m0', 'm1', 'm2', 'm3']],
  ] as const)('goes on after kill -9 of the %s of node %i, all at their places', async (victim, node, _code, ids) => {
    const gang = await startGang(elastic('{ minNodes: 3, maxRestarts: 2 }'))
    const first = await epochOf(gang, 1, 4)
    expect(first[0]).toMatchObject({ nodes: 4, ids: ['m0', 'm1', 'm2', 'm3'], control: 'm0', seen: null, saved: null })
    kill(first[node]!, victim)
    const second = await epochOf(gang, 2, 4)
    for (const [index, at] of second.entries()) {
      // Nothing of the first epoch is there: no value, no part in a collective, no artifact, no process.
      expect(at.saved).toEqual([7, 1, 1, 2.5])
      expect(at).toMatchObject({ node: index, ids, control: ids[0], seen: null, all: [2, 2, 2, 2], value: 'undefined' })
    }
    expect(second[0]!.port).not.toEqual(first[0]!.port)
    const done = doneOf(await gang.outcome, gang)
    await gang.ended
    expect(done).toMatchObject({ epoch: 2, attempt: 0 })
    expect(done.nodes!.map(({ memberId }) => memberId)).toEqual(ids)
    nothingLeft(gang, [...first, ...second])
    const [opened, again, ended, none] = await heads(gang)
    expect(opened).toMatchObject({ kind: 'open', epoch: 1, by: 'launcher' })
    expect(again).toMatchObject({ kind: 'open', epoch: 2, members: ids, lost: [{ casualty: { node } }] })
    expect(ended).toMatchObject({ kind: 'end', epoch: 2 })
    expect(none).toBeUndefined()
    expect(gang.lines.flatMap(({ event }) => (event?.type === 'epoch' ? [event] : []))).toMatchObject([
      { epoch: 2, members: victim === 'body' ? 4 : 3, restartsLeft: 1 },
    ])
  })

  it('goes on without those that cannot be replaced, the lowest that lives as its control', async () => {
    const gang = await startGang(elastic('{ minNodes: 2 }'), { replacements: 'none' })
    const first = await epochOf(gang, 1, 4)
    // Two at once, the control among them.
    kill(first[0]!)
    kill(first[2]!)
    const second = await epochOf(gang, 2, 2)
    expect(second[0]).toMatchObject({ ids: ['m1', 'm3'], control: 'm1', all: [2, 2], nodes: 2 })
    const done = doneOf(await gang.outcome, gang)
    await gang.ended
    expect(done.nodes!.map(({ memberId, node }) => [memberId, node])).toEqual([
      ['m1', 0],
      ['m3', 1],
    ])
    const again = (await heads(gang))[1] as Opening
    expect(again.lost!.map(({ casualty }) => casualty.memberId).sort()).toEqual(['m0', 'm2'])
    nothingLeft(gang, [...first, ...second])
    // What it said before it was lost is kept under its own epoch.
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    const address = { flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 }
    const lines: string[] = []
    for await (const { text } of readLog(store, address, { epoch: 1, node: 2 })) lines.push(text)
    expect(lines.some((text) => text.startsWith('AT'))).toBe(true)
    await store.close()
  })

  it('says why it ends with fewer than it needs', async () => {
    const gang = await startGang(elastic('{ minNodes: 3 }'), { replacements: 'none' })
    const first = await epochOf(gang, 1, 4)
    kill(first[1]!)
    kill(first[2]!)
    const verdict = verdictOf(await gang.outcome, gang)
    await gang.ended
    expect(verdict).toMatchObject({ code: 'E_GANG_AGENT_LOST', cause: 'infrastructure' })
    expect(verdict.summary).toMatch(/SIGKILL in step 'multi'; .*; 2 members were left, and the step needs 3$/)
    expect([verdict.first, ...verdict.echoes].map((one) => one!.node).sort()).toEqual([1, 2])
    nothingLeft(gang, first)
  })

  it('ends when it has been formed again as often as it may, and names every loss', async () => {
    const gang = await startGang(elastic('{ maxRestarts: 1 }', 3))
    const first = await epochOf(gang, 1, 4)
    kill(first[1]!)
    const second = await epochOf(gang, 2, 4)
    kill(second[3]!)
    const verdict = verdictOf(await gang.outcome, gang)
    await gang.ended
    expect(verdict.summary).toMatch(
      /^the agent on node 3 .*; it had been formed again 1 of 1 times; before, in epoch 1: the agent on node 1 /,
    )
    expect(verdict.losses).toMatchObject([{ epoch: 1, lost: [{ casualty: { memberId: 'm1' } }] }])
    nothingLeft(gang, [...first, ...second])
  })

  it('goes on after a loss while it was formed again, under the epoch that came to nothing', async () => {
    const gang = await startGang(elastic('{ minNodes: 4, maxRestarts: 3 }'), { replacements: 'first stillborn' })
    const first = await epochOf(gang, 1, 4)
    kill(first[2]!)
    const second = await epochOf(gang, 2, 4)
    expect(second[0]!.ids).toEqual(['m0', 'm1', 'm2.2', 'm3'])
    doneOf(await gang.outcome, gang)
    await gang.ended
    expect(gang.lines.filter(({ event }) => event?.type === 'epoch').length).toBe(2)
    nothingLeft(gang, [...first, ...second])
  })

  it('counts losses while it is formed again', async () => {
    const gang = await startGang(elastic('{ minNodes: 3, maxRestarts: 3 }', 3), { replacements: 'stillborn' })
    const first = await epochOf(gang, 1, 4)
    kill(first[0]!)
    const verdict = verdictOf(await gang.outcome, gang)
    await gang.ended
    expect(verdict.losses!.length).toBe(3)
    nothingLeft(gang, first)
  })

  it('does not go on after an error of its own program, nor when it is cancelled while it is formed', async () => {
    const broken = await startGang(
      gangFlow(
        "if (p.nodeIndex === 1) throw new Error('mine')\n    await sleep(600_000)",
        '',
        '@parallel({ minNodes: 2 })',
      ),
    )
    const verdict = verdictOf(await broken.outcome, broken)
    await broken.ended
    expect(verdict).toMatchObject({ cause: 'user', first: { node: 1 } })
    const gang = await startGang(elastic('{ minNodes: 2 }', 9))
    const first = await epochOf(gang, 1, 4)
    kill(first[3]!)
    await until(() => gang.lines.some(({ event }) => event?.type === 'epoch'), 'it is formed again')
    gang.child.kill('SIGINT')
    const cancelled = verdictOf(await gang.outcome, gang)
    await gang.ended
    expect(cancelled).toMatchObject({ cause: 'cancelled', code: 'E_GANG_STOPPED' })
    nothingLeft(gang, first)
  })

  it('is ended under its latest epoch by its members when the launcher and the control die', async () => {
    const gang = await startGang(elastic('{ minNodes: 2 }', 9))
    const first = await epochOf(gang, 1, 4)
    kill(first[1]!)
    const second = await epochOf(gang, 2, 4)
    const left = second.map(processesOfNode)
    gang.child.kill('SIGKILL')
    process.kill(left[0]!.agent, 'SIGKILL')
    await gang.ended
    await until(() => left.every(({ body, keeper, agent }) => ![body, keeper, agent].some(alive)), 'all have ended')
    const last = (await heads(gang)).at(-1)
    expect(last).toMatchObject({ kind: 'end', epoch: 2 })
    expect(second[0]!.ids.slice(1)).toContain(last!.by)
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    const address = { flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 }
    expect(await store.readRecord(keys.attemptFailed(address))).toMatchObject({
      verdict: { code: 'E_GANG_LAUNCHER_LOST', author: 'member' },
    })
    await store.close()
  })

  it('gives up a stopped agent that wakes too late: what it does is nothing', async () => {
    const gang = await startGang(elastic('{ minNodes: 3 }'), { timeouts: { lease: 1_000 } })
    const first = await epochOf(gang, 1, 4)
    kill(first[0]!, 'agent', 'SIGSTOP')
    const second = await epochOf(gang, 2, 4)
    expect(second[0]!.control).toBe('m0.1')
    doneOf(await gang.outcome, gang)
    await gang.ended
    nothingLeft(gang, [...first, ...second])
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    const address = { flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 }
    expect(await store.readRecord(keys.attemptFailed(address))).toBeUndefined()
    await store.close()
  })
})
