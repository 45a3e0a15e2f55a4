import { expect } from 'vitest'
import type { TestHosts } from '../../hosts/index.js'
import { slack, sleep } from '../../support/gang.js'
import { random } from '../../support/random.js'
import { kill, type MemberProcesses, type Place, Scene } from './scene.js'

interface Target {
  readonly scene: Scene
  readonly node: number
  readonly member: MemberProcesses
  readonly hosts: TestHosts | undefined
}

const slay = (one: { readonly pid: number } | undefined) => void (one && kill(one.pid, 'SIGKILL'))

/** What may be done to a gang whose members are all ready. */
const harms: Readonly<Record<string, (target: Target) => Promise<void> | void>> = {
  'kill rank': ({ member }) => slay(member.rank),
  'kill body': ({ member }) => slay(member.body),
  'kill agent': ({ member }) => slay(member.agent),
  'kill keeper': ({ member }) => slay(member.keeper),
  'stop agent': ({ member }) => kill(member.agent.pid, 'SIGSTOP'),
  'kill launcher': ({ scene }) => void scene.child.kill('SIGKILL'),
  'stop launcher': ({ scene }) => kill(scene.child.pid!, 'SIGSTOP'),
  'link down': ({ hosts, node }) => hosts!.hosts[node]!.cable('down'),
  deaf: ({ hosts, node }) => hosts!.hosts[node]!.impair({ loss: 1 }, 'in'),
  mute: ({ hosts, node }) => hosts!.hosts[node]!.impair({ loss: 1 }, 'out'),
}
const onHosts = ['link down', 'deaf', 'mute']

export interface Pair {
  readonly name: string
  readonly place: Place
  readonly harms: readonly { readonly name: string; readonly node: number }[]
  readonly gapMs: number
}

/** So many pairs of a seed, from one of them on; the same seed gives the same. */
export function drawPairs(seed: number, count: number, from = 0): Pair[] {
  const next = random(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!
  const drawn = Array.from({ length: from + count }, (_, index) => {
    const place: Place = next() < 0.5 ? 'local' : 'ssh'
    const names = Object.keys(harms).filter((name) => place === 'ssh' || !onHosts.includes(name))
    const both = [0, 1].map(() => ({ name: pick(names), node: Math.floor(next() * 2) }))
    const gapMs = Math.floor(next() * 1_000)
    const text = both.map(({ name, node }) => (/launcher/.test(name) ? name : `${name} ${node}`)).join(', ')
    return { name: `${seed}.${index} ${place}: ${text} after ${gapMs} ms`, place, harms: both, gapMs }
  })
  return drawn.slice(from)
}

/** Does two things to one gang; whatever they are, it ends, and nothing is left. */
export async function performPair(pair: Pair, { hosts, file }: { hosts: TestHosts; file: string }): Promise<void> {
  const ssh = pair.place === 'ssh'
  const scene = new Scene(file, { place: pair.place, phase: 'body', size: 2, ...(ssh ? { hosts } : {}) })
  try {
    await scene.ready()
    const members = [scene.member(0), scene.member(1)]
    const names = pair.harms.map(({ name }) => name)
    const lease = scene.timeouts['lease']!
    for (const [index, { name, node }] of pair.harms.entries()) {
      if (index > 0) await sleep(pair.gapMs)
      await harms[name]!({ scene, node, member: members[node]!, hosts: ssh ? hosts : undefined })
    }
    const at = performance.now()
    if (names.every((name) => name === 'stop launcher')) {
      // The one pair that is no fault of the gang: it waits for its launcher.
      await sleep(lease * 1.5)
      expect(scene.processes.look().users.length).toBeGreaterThan(0)
      kill(scene.child.pid!, 'SIGCONT')
      slay(members[0]!.rank)
    }
    await scene.usersGone(at, lease * 3 + 3_000 * slack)
    kill(scene.child.pid!, 'SIGCONT')
    if (ssh) await hosts.heal()
    const exit = await scene.exited
    if (!names.includes('kill launcher')) {
      expect(scene.verdict?.cause, `${JSON.stringify(scene.verdict)}\n${scene.said()}`).toMatch(
        /^(?:infrastructure|user)$/,
      )
      expect([1, 3]).toContain(exit)
    }
    await scene.allGone(performance.now(), (scene.timeouts['linger']! + 15_000) * Math.max(1, slack / 2), ssh)
  } finally {
    await hosts.heal()
    await scene.clear()
  }
}
