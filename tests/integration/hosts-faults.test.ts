import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startHosts, type TestHost, type TestHosts } from '../hosts/index.js'
import type { Ran } from '../hosts/run.js'
import { slack, sleep } from '../support/gang.js'

let hosts: TestHosts
let one: TestHost
let two: TestHost
beforeAll(async () => {
  hosts = await startHosts({ count: 4, disk: 64 })
  ;[one, two] = hosts.hosts as [TestHost, TestHost]
})
afterEach(async () => {
  await hosts.heal()
})
afterAll(() => hosts?.down())

/** The greeting of a host's sshd within `ms`, asked for from this machine; where none is awaited a short time is enough. */
async function greets(host: TestHost, ms = 1_000 * slack): Promise<boolean> {
  const socket = connect({ host: host.address, port: 22 })
  socket.on('error', () => {})
  const greeted = await Promise.race([once(socket, 'data').then(() => true), sleep(ms).then(() => false)])
  socket.destroy()
  return greeted
}

/** Whether a host's sshd greets another host within so many seconds. */
async function hears(from: TestHost, to: TestHost, seconds = slack): Promise<boolean> {
  const script = `exec 3<>/dev/tcp/${to.address}/22 && read -r line <&3`
  return (await from.exec(['timeout', String(seconds), 'bash', '-c', script])).code === 0
}

/** After a fault the kernel may hold a neighbour for unreachable for a moment yet. */
const soon = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: 10_000 * slack })

/** Runs one command and then another over one connection: the second once `go` is called. Resolves when the first has run. */
async function inTwo(
  host: TestHost,
  first: string,
  second: string,
): Promise<{ ended: Promise<Ran>; go(): Promise<unknown> }> {
  const waits = 'touch /tmp/waits; while [ -e /tmp/waits ]; do sleep 0.05; done'
  const ended = hosts.ssh(host.name, `${first}; ${waits}; ${second}`)
  const there = async () => (await host.exec(['test', '-e', '/tmp/waits'])).code
  await expect.poll(there, { timeout: 10_000 * slack }).toBe(0)
  return { ended, go: () => host.must(['rm', '/tmp/waits']) }
}

/** Round trips of single bytes to a port of the host that echoes, in milliseconds. */
const echo = `require('net').createServer({noDelay:true},s=>s.pipe(s)).listen(7000,()=>console.log('up'))`
const rounds = (
  count: number,
) => `const s=require('net').connect({host:process.argv[1],port:7000,noDelay:true});let t,n=0
s.on('connect',()=>{t=performance.now();s.write('x')});s.on('data',()=>{console.log(performance.now()-t);
if(++n===${count})process.exit();t=performance.now();s.write('x')})`

describe('faults of a cable', () => {
  it('pulls it and puts it back, and a connection in use goes on', async () => {
    const { ended, go } = await inTwo(one, 'echo a', 'echo b')
    await one.cable('down')
    expect(await greets(one, 300)).toBe(false)
    expect(await greets(two)).toBe(true)
    await go()
    await one.cable('up')
    expect((await ended).stdout).toBe('a\nb\n')
    await soon(() => hears(two, one)).toBe(true)
  })

  it('drops one way alone', async () => {
    const seen = async (way: string) =>
      Number((await one.must(['sh', '-c', `cat /sys/class/net/eth0/statistics/${way}_packets`])).trim())
    await one.impair({ loss: 1 }, 'in')
    expect(await greets(one, 300)).toBe(false)
    const received = await seen('rx')
    const sent = await seen('tx')
    await one.exec(['timeout', '1', 'bash', '-c', `: < /dev/tcp/${two.address}/22`])
    expect(await seen('rx')).toBe(received)
    expect(await seen('tx')).toBeGreaterThan(sent)
    await one.impair({}, 'in')
    await one.impair({ loss: 1 }, 'out')
    expect(await greets(one, 300)).toBe(false)
    expect(await seen('rx')).toBeGreaterThan(received)
    await one.heal()
    await soon(() => greets(one)).toBe(true)
  })

  it('delays both ways, loses frames, and carries whole connections meanwhile', async () => {
    const server = one.exec(['timeout', '100', 'node', '-e', echo])
    const ask = async (count: number) =>
      (await two.must(['node', '-e', rounds(count), one.address])).trim().split('\n').map(Number)
    await expect
      .poll(
        () =>
          ask(1).then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 * slack },
      )
      .toBe(true)
    const plain = Math.min(...(await ask(5)))
    await one.impair({ delay: 100 })
    const slow = await ask(5)
    expect(Math.min(...slow)).toBeGreaterThanOrEqual(200)
    expect(plain).toBeLessThan(Math.min(...slow) / 4)
    await one.impair({ delay: 5, loss: 0.05 })
    // A retransmission takes at least 200 ms: 100 round trips of 200 frames have some.
    const lossy = await ask(100)
    const again = lossy.filter((ms) => ms >= 200).length
    expect(again).toBeGreaterThan(2)
    expect(again).toBeLessThan(60)
    await one.heal()
    expect(Math.min(...(await ask(5)))).toBeLessThan(20)
    await one.must(['pkill', '-f', 'createServer'])
    await server
  })

  it('carries large transfers with their bytes right through a bad cable', async () => {
    await two.impair({ delay: 5, loss: 0.002 })
    const script =
      'head -c 8000000 /dev/urandom > /tmp/big; ssh host1 "cat > /tmp/big" < /tmp/big; sha256sum < /tmp/big; ssh host1 sha256sum < /tmp/big; ssh host1 "sha256sum < /tmp/big"; rm /tmp/big; ssh host1 rm /tmp/big'
    const { stdout } = await hosts.ssh('host2', script)
    const sums = stdout.trim().split('\n')
    expect(sums).toHaveLength(3)
    expect(new Set(sums).size).toBe(1)
  })

  it('parts hosts into groups, the launcher among them', async () => {
    const [, , three, four] = hosts.hosts as TestHost[] as [TestHost, TestHost, TestHost, TestHost]
    await hosts.partition(['host1', 'host2'], ['host3', 'host4'])
    expect(await Promise.all([hears(one, two), hears(three, four)])).toEqual([true, true])
    expect(await Promise.all([hears(one, three, 1), hears(four, two, 1), hears(three, one, 1)])).toEqual([
      false,
      false,
      false,
    ])
    expect(await Promise.all([greets(one), greets(three)])).toEqual([true, true])
    await hosts.partition(['launcher'], ['host4'])
    expect(await Promise.all([greets(four, 300), hears(three, four)])).toEqual([false, true])
    await hosts.heal()
    await soon(() => Promise.all([hears(one, three), greets(four)])).toEqual([true, true])
  })
})

describe('faults of a host', () => {
  it('fills the disk and frees it', async () => {
    await one.fillDisk()
    const write = (path: string) => one.exec(['sh', '-c', `head -c 100000 /dev/zero > ${path}`], { as: 'user' })
    expect((await write('/tmp/x')).stderr).toMatch(/No space left/)
    expect((await write('/home/gf/x')).stderr).toMatch(/No space left/)
    expect((await hosts.ssh('host2', 'head -c 100000 /dev/zero > /tmp/x')).code).toBe(0)
    await one.freeDisk()
    expect((await write('/tmp/x')).code).toBe(0)
    expect((await one.must(['df', '-m', '--output=size', '/'])).trim().split('\n').at(-1)!.trim()).toBe('64')
    await one.fillDisk(0, '/dev/shm')
    expect((await write('/dev/shm/x')).stderr).toMatch(/No space left/)
    await one.freeDisk('/dev/shm')
    expect((await write('/dev/shm/x')).code).toBe(0)
  })

  it('shifts the wall clock and leaves the monotonic one', async () => {
    const script = 'console.log(JSON.stringify([Date.now(), Number(process.hrtime.bigint() / 1000000n)]))'
    const clocks = async (name: string) =>
      JSON.parse((await hosts.ssh(name, `node -e '${script}'`)).stdout) as [number, number]
    await one.shiftClock(3600)
    const [there, here] = [await clocks('host1'), await clocks('host2')]
    expect((there[0] - here[0]) / 3_600_000).toBeCloseTo(1, 1)
    expect(Math.abs(there[1] - here[1])).toBeLessThan(30_000 * slack)
    const { ended, go } = await inTwo(one, 'date +%s', 'sleep 1; date +%s')
    await one.shiftClock(-3600)
    await go()
    const [before, after] = (await ended).stdout.trim().split('\n').map(Number) as [number, number]
    expect((before - after) / 7200).toBeCloseTo(1, 1)
    await one.shiftClock(0)
    expect(Math.abs((await clocks('host1'))[0] - Date.now())).toBeLessThan(30_000 * slack)
  })

  it('gives hosts equal names and names that nobody resolves', async () => {
    await one.rename('twin')
    await two.rename('twin')
    expect((await hosts.ssh('host1', 'hostname; ssh host2 hostname')).stdout).toBe('twin\ntwin\n')
    expect((await one.exec(['getent', 'hosts', 'twin'])).code).toBe(2)
    await hosts.forget(['host2'])
    expect((await one.exec(['getent', 'hosts', 'host2'])).code).toBe(2)
    await hosts.forget([])
    expect((await one.exec(['getent', 'hosts', 'host2'])).code).toBe(0)
    await one.rename('host1')
    await two.rename('host2')
  })

  it('ends a host with its processes, or silences it as a lost power would', async () => {
    const [, , three, four] = hosts.hosts as TestHost[] as [TestHost, TestHost, TestHost, TestHost]
    const session = hosts.ssh('host3', 'sleep 100')
    const over = new AbortController()
    onTestFinished(() => over.abort())
    const long = hosts.ssh('host4', 'sleep 100', { signal: over.signal }).then(
      () => 'ended',
      () => 'silent',
    )
    const sleeping = (host: TestHost) =>
      expect.poll(() => host.must(['ps', 'ax']), { timeout: 10_000 * slack }).toMatch(/sleep 100/)
    await sleeping(three)
    await sleeping(four)
    await three.kill()
    expect((await session).code).toBe(255)
    await four.crash()
    expect(await Promise.race([long, sleep(2_000).then(() => 'silent')])).toBe('silent')
    expect(hosts.hosts.map(({ alive }) => alive)).toEqual([true, true, false, false])
    expect(await greets(one)).toBe(true)
  })
})
