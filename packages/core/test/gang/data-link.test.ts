import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { Peer } from '../../src/body/peer.js'
import { DataLink } from '../../src/gang/agent/data-link.js'
import { Live } from '../../src/gang/agent/live.js'
import { answer } from '../../src/gang/handshake.js'
import { OwnedMember } from '../../src/gang/owner/members.js'
import { hostRendezvous } from '../../src/gang/owner/rendezvous.js'
import { unixTransport } from '../../src/gang/transport/unix.js'

const slack = Number(process.env['GANGFLOW_SLACK'] ?? 4)
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

/** An owner's rendezvous and one member's link to it, over a real socket. */
async function linked(leaseMs: number, heard: (line: string) => void) {
  const directory = mkdtempSync(join(tmpdir(), 'gf-'))
  const transport = unixTransport(directory)
  const listener = await transport.listen('rendezvous')
  const member = new OwnedMember({
    memberId: 'm0',
    host: 'here',
    agentExited: new Promise(() => {}),
    reap: async () => {},
  })
  const key = new Uint8Array(32)
  let epoch = 0
  hostRendezvous({
    listener,
    key,
    members: new Map([['m0', member]]),
    work: {} as never,
    epoch: () => epoch,
    joined: () => {},
    reported: () => {},
    dropped: () => {},
    vouched: () => {},
    lines: (_, lines) => {
      for (const { text } of lines) heard(text)
    },
    state: () => {},
    progress: () => {},
    at: () => {},
  })
  let theirs = 0
  let dialled = 0
  const link = new DataLink({
    leaseMs,
    dial: async (limitMs) => {
      const signal = AbortSignal.timeout(limitMs)
      const { stream } = await transport.connect(listener.address, { signal })
      await answer(stream, key, { member: 'm0', purpose: 'data', epoch: theirs }, signal)
      dialled += 1
      return new Peer(stream, { name: 'the launcher' })
    },
  })
  await link.open(5_000 * slack)
  ends.push(() => {
    link.close()
    rmSync(directory, { recursive: true, force: true })
    return listener.close()
  })
  return {
    member,
    link,
    live: new Live(link),
    dialled: () => dialled,
    close: () => listener.close(),
    open: (owners: number, members: number) => {
      epoch = owners
      theirs = members
    },
  }
}

const line = (text: string) => ({ process: 'body', stream: 'stdout', text }) as const

it('loses and repeats no line when its connection is cut again and again', async () => {
  const heard: string[] = []
  const gang = await linked(5_000 * slack, (text) => {
    heard.push(text)
    // In the middle of taking lines: what is taken is not answered any more.
    if (heard.length % 70 === 35) gang.member.data!.close()
  })
  gang.open(1, 1)
  const said = Array.from({ length: 500 }, (_, i) => `line ${i}`)
  for (const [i, text] of said.entries()) {
    gang.live.line(line(text))
    if (i % 10 === 0) await sleep(5)
  }
  await expect.poll(() => heard.length, { timeout: 10_000 * slack }).toBeGreaterThanOrEqual(said.length)
  await gang.live.drain()
  await gang.member.drained.promise
  expect(heard).toEqual(said)
  expect(gang.dialled()).toBeGreaterThan(3)
})

it('is not taken in again under an epoch that is over, and gives up after the lease', async () => {
  const heard: string[] = []
  const gang = await linked(500, (text) => heard.push(text))
  gang.open(2, 1)
  gang.member.data!.close()
  gang.live.line(line('late'))
  await gang.live.flush()
  await gang.link.flushed()
  expect(heard).toEqual([])
  expect(gang.dialled()).toBe(1)
})

it('gives up at once when the owner is gone', async () => {
  const gang = await linked(60_000 * slack, () => {})
  await gang.close()
  gang.member.data!.close()
  gang.live.line(line('late'))
  await gang.live.flush()
  await gang.link.flushed()
  expect(gang.dialled()).toBe(1)
})
