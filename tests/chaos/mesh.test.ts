import { hkdfSync } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { afterAll, expect, it } from 'vitest'
import { openMesh } from '../../packages/core/src/ssh/mesh.js'
import { cleanUp, doneOf, gangFlow, processesOf, sleep, startGang } from '../support/gang.js'
import { type Malformed, seeded } from '../support/malformed.js'

afterAll(cleanUp)

/** TCP ports and unix sockets at which a process listens. */
function listenersOf(pid: number): (number | string)[] {
  const own = new Set<string>()
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
      if (inode) own.add(inode)
    } catch {
      // Closed meanwhile.
    }
  }
  const rows = (table: string) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
  const ports = ['tcp', 'tcp6']
    .flatMap(rows)
    .filter((fields) => fields[3] === '0A' && own.has(fields[9]!))
    .map((fields) => Number.parseInt(fields[1]!.split(':')[1]!, 16))
  // Flags 10000: it accepts.
  const sockets = rows('unix').filter((fields) => fields[3] === '00010000' && own.has(fields[6]!) && fields[7])
  return [...ports, ...sockets.map((fields) => fields[7]!)]
}

/** One connection with many malformed frames on it; settles when it is over, however it ended. */
async function attack(target: string | number, random: Malformed, frames: number): Promise<void> {
  const socket = typeof target === 'number' ? connect(target, '127.0.0.1') : connect(target)
  const over = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => {})
  socket.resume()
  if (random.below(3)) socket.write(typeof target === 'number' ? 'SSH-2.0-OpenSSH_9\r\n' : '{"gangflow":1}\n')
  for (let sent = 0; sent < frames; sent += 50) {
    socket.write(Buffer.concat(Array.from({ length: 50 }, () => random.frame())))
    await new Promise(setImmediate)
  }
  setTimeout(() => socket.destroy(), 200)
  return over
}

it.each(['unix', 'ssh'] as const)(
  'a living gang over %s outlives 100,000 malformed frames, strangers, and a flood of connections',
  async (transport) => {
    const flow = gangFlow(`
    const shell = await p.shell()
    if (p.isControl) console.log('UP')
    for (let round = 0; ; round += 1) {
      const sum = (await p.allGather(p.nodeIndex)).reduce((a: number, b: number) => a + b, 0)
      if (sum !== 6) throw new Error('a wrong sum')
      const stop = await p.broadcast(existsSync('enough'))
      if (p.nodeIndex === 1 && round % 5 === 0) {
        const text = execFileSync(shell.shim, ['2', 'echo fine'], { encoding: 'utf8', env: { ...process.env, ...shell.env } })
        if (text !== 'fine\\n') throw new Error('a wrong answer: ' + text)
      }
      if (stop) break
      await sleep(50)
    }
    await p.barrier()
    console.log('THROUGH')`)
    const gang = await startGang(flow, { transport })
    await gang.line(/body UP/)
    const agents = processesOf(gang.run).filter(({ command }) => command.includes('agent.cjs'))
    const targets = [gang.child.pid!, ...agents.map(({ pid }) => pid)].flatMap(listenersOf)
    const ports = targets.filter((target): target is number => typeof target === 'number')
    expect(ports.length).toBeGreaterThanOrEqual(4)
    // Of each agent: its bodies' host, streams, attachments, the shim, the ssh-agent; and the owner's rendezvous.
    expect(targets.length - ports.length).toBeGreaterThanOrEqual(21)
    const random = seeded(42)
    let frames = 0
    while (frames < 100_000) {
      const round = Array.from({ length: 20 }, () => attack(targets[random.below(targets.length)]!, random, 250))
      frames += 20 * 250
      await Promise.all(round)
    }
    const stranger = openMesh({
      memberId: 'm1',
      derive: (label) => new Uint8Array(hkdfSync('sha256', 'no secret of theirs', '', label, 32)),
    })
    for (const port of ports) {
      const target = { memberId: 'm0', candidates: [{ host: '127.0.0.1', port }] }
      await expect(stranger.open(target, { signal: AbortSignal.timeout(20_000) })).rejects.toMatchObject({
        code: 'E_MESH_HOST_KEY',
      })
    }
    await stranger.close()
    const flood = ports.flatMap((port) => Array.from({ length: 300 }, () => connect(port, '127.0.0.1')))
    for (const socket of flood) socket.on('error', () => {})
    await sleep(1_000)
    writeFileSync(`${gang.folder}/enough`, '')
    doneOf(await gang.outcome, gang)
    expect(gang.text().filter((line) => line.includes('THROUGH')).length).toBe(4)
    for (const socket of flood) socket.destroy()
    await gang.ended
  },
)
