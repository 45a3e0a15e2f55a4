import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkNeeds } from './needs.js'
import type { HostPlan, HostsOptions, SetPlan } from './plan.js'
import * as plans from './plan.js'
import { all, lives, look, type ProcessId, words } from './processes.js'
import { must, run } from './run.js'
import { checkout, type SetState, sweep, writeMaker, writeState } from './state.js'

/** Milliseconds within which all hosts must answer on port 22. */
const upTimeout = 30_000

/**
 * Starts a set of test hosts. Unless `detached`, it lives as long as this process at most: also after a kill -9 the
 * kernel ends every process of every host. Throws an Error that says what is missing or which host did not come up.
 */
export async function startSet(options: HostsOptions, detached = false): Promise<SetState> {
  checkNeeds()
  sweep()
  const owner = look(process.pid)!
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gf-hosts-')))
  writeMaker(folder, { maker: owner })
  try {
    const plan = await reserve(options)
    writeMaker(folder, { maker: owner, link: plan.machine.link })
    try {
      await writeFolder(folder, plan, options)
      return await launch(folder, plan, owner, detached)
    } catch (error) {
      await run(['ip', 'link', 'del', plan.machine.link])
      throw error
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

/** Takes a number that no other set has: the machine's cable carries it, and the kernel makes it once only. */
async function reserve(options: HostsOptions): Promise<SetPlan> {
  const first = process.pid % 254
  for (let tried = 0; tried < 254; tried++) {
    const plan = plans.planSet(options, ((first + tried) % 254) + 1)
    const { link } = plan.machine
    const made = await run([
      'ip',
      'link',
      'add',
      link,
      'address',
      plan.machine.mac,
      'type',
      'veth',
      'peer',
      'name',
      `${link}p`,
    ])
    if (made.code === 0) return plan
    if (!made.stderr.includes('File exists'))
      throw new Error(`this machine makes no virtual cable\n${made.stderr}  fix: run as root, with CAP_NET_ADMIN`)
  }
  throw new Error('all 254 numbers of sets are taken\n  fix: npm run hosts -- down --all')
}

async function writeFolder(folder: string, plan: SetPlan, options: HostsOptions): Promise<void> {
  const write = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text, { mode })
  }
  const key = (path: string, comment: string) =>
    must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', join(folder, path)])
  const hostKey = (name: string) => `hosts/${name}/etc/ssh/ssh_host_ed25519_key`
  for (const host of plan.hosts) {
    for (const [path, text] of Object.entries(plans.etcFiles(plan, host, options)))
      write(`hosts/${host.name}/${path}`, text)
    write(`hosts/${host.name}.batch`, plans.hostBatch(host))
  }
  await Promise.all([key('id_ed25519', plan.user), ...plan.hosts.map(({ name }) => key(hostKey(name), name))])
  const publicKeys = plan.hosts.map(({ name }): [string, string] => {
    const [type, bytes] = readFileSync(join(folder, `${hostKey(name)}.pub`), 'utf8').split(' ')
    return [name, `${type} ${bytes}`]
  })
  write('known_hosts', plans.knownHosts(plan, new Map(publicKeys)))
  write('ssh_config', plans.sshConfig(plan, folder))
  for (const { name } of plan.hosts) giveHome(folder, plan, join(folder, 'hosts', name, 'home', plan.user))
  write('set.batch', plans.setBatch(plan))
  write('settings', `disk=${plan.disk}\nshm=${plan.shm}\nuser=${plan.user}\nsshd=${plan.sshd ? 'yes' : 'no'}\n`)
  write('show', lines([...nodeBeside(), ...(options.show ?? [])]))
  write('hide', lines(options.hide ?? []))
  write('nothing', '')
  mkdirSync(join(folder, 'root'))
  for (const script of ['set.sh', 'host.sh']) copyFileSync(new URL(script, import.meta.url), join(folder, script))
}

const lines = (paths: readonly string[]) => paths.map((path) => `${path}\n`).join('')

/** The running Node, where it is not below /usr: hosts have a Node unless it is hidden. */
function nodeBeside(): string[] {
  const path = realpathSync(process.execPath)
  return path.startsWith('/usr/') ? [] : [path]
}

/** A home with the key of the set, which opens every host of it. */
function giveHome(folder: string, plan: SetPlan, home: string): void {
  const ssh = join(home, '.ssh')
  mkdirSync(home, { recursive: true })
  mkdirSync(ssh, { mode: 0o700 })
  writeFileSync(join(ssh, 'config'), plans.sshConfig(plan, `/home/${plan.user}/.ssh`), { mode: 0o600 })
  copyFileSync(join(folder, 'known_hosts'), join(ssh, 'known_hosts'))
  copyFileSync(join(folder, 'id_ed25519'), join(ssh, 'id_ed25519'))
  copyFileSync(join(folder, 'id_ed25519.pub'), join(ssh, 'authorized_keys'))
  chmodSync(home, 0o700)
  for (const name of ['', 'config', 'known_hosts', 'id_ed25519', 'authorized_keys'])
    chownSync(join(ssh, name), plan.uid, plan.uid)
  chownSync(home, plan.uid, plan.uid)
}

async function launch(folder: string, plan: SetPlan, owner: ProcessId, detached: boolean): Promise<SetState> {
  const names = plan.hosts.map(({ name }) => name)
  const argv = ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', `${folder}/set.sh`, folder, ...names]
  const hold = detached ? await openHold(folder) : 'pipe'
  const child = spawn('unshare', argv, { stdio: [hold, 'pipe', 'pipe'], detached: true })
  if (typeof hold === 'number') closeSync(hold)
  if (child.pid !== undefined) writeMaker(folder, { maker: owner, set: look(child.pid)!, link: plan.machine.link })
  let said = ''
  let complaints = ''
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (said += text))
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (complaints = (complaints + text).slice(-8000)))
  const exited = once(child, 'exit')
  const started = performance.now()
  const check = () => {
    const ended = /^ended (.*)$/m.exec(said)?.[1]
    const why = child.exitCode !== null ? 'the set ended' : ended === undefined ? undefined : `${ended} ended`
    const late = performance.now() - started > upTimeout ? `not all hosts came up within ${upTimeout} ms` : undefined
    if (why ?? late) throw new Error(`test hosts: ${why ?? late} at its start\n${complaints}`)
  }
  try {
    while (!said.includes('ready')) {
      check()
      await sleep(5)
    }
    const { link } = plan.machine
    await must(['ip', 'link', 'set', `${link}p`, 'netns', String(child.pid)])
    await Promise.all([
      must(['nsenter', '-t', String(child.pid), '-n', 'ip', 'link', 'set', `${link}p`, 'master', 'br0', 'up']),
      must(['ip', '-batch', '-'], {
        input: [...plans.addresses(link, plan.machine), `link set ${link} up`, ''].join('\n'),
      }),
    ])
    const isUp = ({ name }: HostPlan) => new RegExp(`^up ${name}$`, 'm').test(said)
    await Promise.all(plan.hosts.map((host) => (plan.sshd ? answers(host, check) : stands(() => isUp(host), check))))
    const init = all().find(({ parent }) => parent === child.pid)
    if (init === undefined) throw new Error(`test hosts: the set ended at its start\n${complaints}`)
    const hosts = findHosts(folder, plan)
    const pids = new Map(hosts.map(({ name, init }): [string, number] => [name, init.pid]))
    if (!plan.sshd) {
      mkdirSync(join(folder, 'bin'))
      writeFileSync(join(folder, 'bin/ssh'), plans.enterScript(plan, pids), { mode: 0o755 })
    }
    const state: SetState = { ...plan, id: basename(folder), folder, checkout, owner, init, hosts }
    writeState(state)
    for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as { unref?: () => void } | null)?.unref?.()
    child.unref()
    return state
  } catch (error) {
    child.kill('SIGKILL')
    await exited
    throw error
  }
}

/** A pipe that holds itself open: a detached set ends by `down` alone. */
async function openHold(folder: string): Promise<number> {
  const path = join(folder, 'hold')
  await must(['mkfifo', path])
  return openSync(path, constants.O_RDWR)
}

/** The first process of each host: the child of the `unshare` that made it. */
function findHosts(folder: string, plan: SetPlan): SetState['hosts'] {
  const seen = all()
  const makers = new Map<string, number>()
  for (const { pid } of seen) {
    const argv = words(pid)
    if (argv[0] === 'unshare' && argv.includes(`${folder}/host.sh`)) makers.set(argv.at(-2)!, pid)
  }
  return plan.hosts.map((host) => {
    const init = seen.find(({ parent }) => parent === makers.get(host.name))
    if (init === undefined || !lives(init)) throw new Error(`test hosts: ${host.name} has ended`)
    return { ...host, init: { pid: init.pid, start: init.start } }
  })
}

async function stands(isUp: () => boolean, check: () => void): Promise<void> {
  while (!isUp()) {
    check()
    await sleep(5)
  }
}

/** Resolves when a host's sshd has greeted. */
async function answers(host: HostPlan, check: () => void): Promise<void> {
  for (;;) {
    check()
    const greeted = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: host.address, port: 22 })
      const end = (value: boolean) => {
        socket.destroy()
        resolve(value)
      }
      socket.setTimeout(1_000, () => end(false))
      socket.on('error', () => end(false))
      socket.on('data', () => end(true))
    })
    if (greeted) return
    await sleep(10)
  }
}
