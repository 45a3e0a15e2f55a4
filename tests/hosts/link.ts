// A host's cable: straight into the bridge, or through the program of link.c while something is wrong with it.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cable } from './plan.js'
import { must } from './run.js'
import type { SetState } from './state.js'

export interface Impairment {
  /** Milliseconds that each frame comes later; default 0. */
  readonly delay?: number
  /** Share of frames that are lost, 0 to 1; 1 drops all. Default 0. */
  readonly loss?: number
}

/** What is wrong with a host's cable; `out` is from the host. */
export interface LinkFaults {
  readonly down?: boolean
  readonly out?: Impairment
  readonly in?: Impairment
  /** Hosts (or `launcher`) that it cannot hear and that do not hear it. */
  readonly apart?: readonly string[]
}

/** Brings a host's cable into the state that `faults` names; resolves when it is so. */
export async function applyLink(set: SetState, host: string, faults: LinkFaults, seed: number): Promise<void> {
  const index = set.hosts.findIndex(({ name }) => name === host)
  const own = cable(index)
  const inSet = (...argv: string[]) =>
    must(['nsenter', '-t', String(set.init.pid), '-m', '-n', '-p', ...argv], { timeout: 10_000 })
  await inSet('ip', 'link', 'set', own, faults.down ? 'down' : 'up')
  const socket = join(set.folder, `${host}.link`)
  const bad = faults.out !== undefined || faults.in !== undefined || (faults.apart ?? []).length > 0
  const net = `w${index + 1}`
  if (!bad) {
    if (!existsSync(socket)) return
    await tell(socket, 'end')
    for (const deadline = performance.now() + 10_000; existsSync(socket); await sleep(2))
      if (performance.now() > deadline) throw new Error(`the cable of ${host} does not let go of its faults`)
    await inSet('ip', 'link', 'del', net)
    await inSet('ip', 'link', 'set', own, 'master', 'br0')
    return
  }
  if (!existsSync(socket)) {
    const log = join(set.folder, `${host}.link.log`)
    const [v, w, x, program] = [own, net, `x${index + 1}`, linkProgram(set.folder)]
    const start = `ip link add ${w} type veth peer name ${x} && ip link set ${x} master br0 up && ip link set ${w} up &&
      { '${program}' ${v} ${w} '${socket}' /run/netns/${host} < /dev/null > '${log}' 2>&1 & }`
    await inSet('sh', '-c', start)
    for (const deadline = performance.now() + 10_000; !existsSync(socket); await sleep(2)) {
      const said = readFileSync(log, 'utf8')
      if (said !== '' || performance.now() > deadline) throw new Error(`the cable of ${host} takes no faults\n${said}`)
    }
    await inSet('ip', 'link', 'set', own, 'nomaster')
  }
  await tell(socket, rules(set, faults, seed))
}

function rules(set: SetState, faults: LinkFaults, seed: number): string {
  const way = ({ delay = 0, loss = 0 }: Impairment = {}) => `${Math.round(delay * 1000)} ${Math.round(loss * 1e6)}`
  const machines = [...set.hosts, { name: 'launcher', mac: set.machine.mac }]
  const macs = (faults.apart ?? []).map((name) => machines.find((machine) => machine.name === name)!.mac)
  return `${way(faults.out)} ${way(faults.in)} ${seed} ${macs.join(',')}`
}

function tell(socket: string, line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket)
    let answer = ''
    connection.setTimeout(10_000, () => connection.destroy(new Error(`${socket} does not answer`)))
    connection.on('data', (chunk) => (answer += chunk))
    connection.on('error', reject)
    connection.on('close', () =>
      answer === 'ok\n' || line === 'end' ? resolve() : reject(new Error(`${socket} does not understand: ${line}`)),
    )
    connection.write(`${line}\n`)
  })
}

let program: string | undefined

function writable(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The compiled link.c; once for each of its versions. */
function linkProgram(otherwise: string): string {
  if (program !== undefined) return program
  const source = fileURLToPath(new URL('link.c', import.meta.url))
  const hash = createHash('sha256').update(readFileSync(source)).update(process.arch).digest('hex').slice(0, 16)
  const cache = fileURLToPath(new URL('../../node_modules/.cache/gangflow', import.meta.url))
  const place = writable(cache) ? cache : otherwise
  const path = join(place, `hosts-link-${hash}`)
  if (!existsSync(path)) {
    const fresh = `${path}.${process.pid}`
    const compiler = process.env['CC'] ?? 'cc'
    const { status, stderr, error } = spawnSync(compiler, ['-std=gnu11', '-O2', '-o', fresh, source], {
      encoding: 'utf8',
    })
    if (status !== 0)
      throw new Error(
        `faults of links need a C compiler\n${error?.message ?? stderr}\n  fix: apt-get install gcc libc6-dev`,
      )
    renameSync(fresh, path)
  }
  if (place === cache) program = path
  return path
}
