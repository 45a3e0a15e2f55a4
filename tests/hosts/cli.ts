// `npm run hosts -- …`: test hosts for a developer's own trials.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { readFaults } from './faults.js'
import { livingHosts, startHosts, TestHosts } from './index.js'
import { inject } from './inject.js'
import { roomArgv } from './needs.js'
import { checkout } from './state.js'
import { startSet } from './up.js'

const help = `Hosts on this machine, out of namespaces: each with its own address, name, files and OpenSSH server.

  npm run hosts -- up N [options]        starts N hosts (host1, host2, …), which stay until 'down'
  npm run hosts -- list                  what runs
  npm run hosts -- exec HOST command…    runs a command there over ssh (--root: as root, past ssh)
  npm run hosts -- fault HOST FAULT      makes something wrong there, below
  npm run hosts -- room [command…]       for who is not root: a shell, or a command, in which all this works
  npm run hosts -- down [SET] [--all]    ends the newest set of this checkout, the named one, or all of this checkout

up:
  --names a,b,c       other names
  --ipv4, --ipv6      only such addresses (default: both)
  --user NAME         the unprivileged user (default gf)
  --show PATH         a path of this machine that the hosts see, read-only; again for more
  --hide PATH         a path below /usr or a shown one that they do not have; again for more
  --disk MIB          each host's disk (default 1024)
  --max-startups M    sshd's MaxStartups (default 10:30:100)
  --no-sshd           nobody listens there; SET/bin on PATH has an ssh that enters them
  --foreground        stay, and end the hosts on Ctrl-C
fault HOST:
  cable down|up       pulls the cable, or puts it back
  drop [in|out]       loses every frame to (in) or from (out) the host
  delay MS [in|out]   each frame comes later; with loss: 'delay 200 loss 5%'
  loss 5% [in|out]    loses this share of the frames
  apart NAMES         does not hear these hosts (a,b,c; launcher is this machine), nor they it
  heal                takes all of these away
  disk full|free      the host's disk: home, /tmp, /var
  clock SECONDS       shifts the wall clock of what starts there; 0 ends it
  rename NAME         another hostname
  forget              no host finds its name any more; 'fault all remember': all are found again
  kill                ends all its processes; crash: silently, as a lost power would
all:
  --set SET           which set, where several run (default: the newest of this checkout)
  --json              for programs
  --help
`

const options = {
  names: { type: 'string' },
  ipv4: { type: 'boolean' },
  ipv6: { type: 'boolean' },
  user: { type: 'string' },
  show: { type: 'string', multiple: true },
  hide: { type: 'string', multiple: true },
  disk: { type: 'string' },
  'max-startups': { type: 'string' },
  'no-sshd': { type: 'boolean' },
  foreground: { type: 'boolean' },
  root: { type: 'boolean' },
  all: { type: 'boolean' },
  set: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

/** What follows the host of `exec`, and `room`, is nobody's option; a number below zero is none either. */
function split(argv: readonly string[]): { own: string[]; rest: string[] } {
  const at = argv.findIndex((word) => word === 'exec' || word === 'room')
  if (at < 0) {
    const below = (word: string) => /^-\d/.test(word)
    return { own: [...argv.filter((word) => !below(word)), '--', ...argv.filter(below)], rest: [] }
  }
  if (argv[at] === 'room') return { own: argv.slice(0, at + 1), rest: argv.slice(at + 1) }
  let first = at + 1
  while (argv[first]?.startsWith('-')) first += argv[first] === '--set' ? 2 : 1
  return { own: argv.slice(0, first + 1), rest: argv.slice(first + 1) }
}

async function main(): Promise<number> {
  const { own, rest } = split(process.argv.slice(2))
  const { values, positionals } = parseArgs({ args: own, options, allowPositionals: true })
  const [command, ...words] = positionals
  if (values.help || command === undefined) {
    console.log(help)
    return values.help ? 0 : 2
  }
  const say = (json: unknown, text: string) => console.log(values.json ? JSON.stringify(json) : text)
  switch (command) {
    case 'up': {
      const only = values.ipv6 ? ('ipv6' as const) : values.ipv4 ? ('ipv4' as const) : ('both' as const)
      const wanted = {
        count: countOf(words[0] ?? values.names?.split(',').length),
        network: only,
        ...(values.names === undefined ? {} : { names: values.names.split(',') }),
        ...(values.user === undefined ? {} : { user: values.user }),
        ...(values.show === undefined ? {} : { show: values.show }),
        ...(values.hide === undefined ? {} : { hide: values.hide }),
        ...(values.disk === undefined ? {} : { disk: Number(values.disk) }),
        ...(values['no-sshd'] ? { sshd: false } : {}),
        ...(values['max-startups'] === undefined ? {} : { maxStartups: values['max-startups'] }),
      }
      // Also while hosts come up: what has begun is finished, then ended.
      const asked = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM'), forever()])
      const hosts = values.foreground ? await startHosts(wanted) : new TestHosts(await startSet(wanted, true))
      const ssh = hosts.state.sshd ? 'ssh' : `${hosts.state.folder}/bin/ssh`
      say(hosts.state, `${table(hosts)}\n\n${ssh} -F ${hosts.config} ${hosts.names[0]}`)
      if (!values.foreground) return 0
      await asked
      await hosts.down()
      return 0
    }
    case 'list':
      say(
        livingHosts().map(({ state }) => state),
        livingHosts().map(table).join('\n\n') || 'no test hosts run\n  fix: npm run hosts -- up 4',
      )
      return 0
    case 'down': {
      const sets = values.all ? ownSets() : [pick(words[0] ?? values.set)]
      for (const set of sets) await set.down()
      say(
        sets.map(({ state }) => state.id),
        sets.map(({ state }) => `${state.id} is gone`).join('\n'),
      )
      return 0
    }
    case 'exec': {
      const hosts = pick(values.set)
      const host = hosts.host(words[0] ?? '')
      const argv =
        values.root || !hosts.state.sshd
          ? host.enter(rest.length > 0 ? rest : ['bash'], values.root ? 'root' : 'user')
          : ['ssh', '-F', hosts.config, ...(process.stdin.isTTY && rest.length === 0 ? ['-t'] : []), host.name, ...rest]
      const child = spawn(argv[0]!, argv.slice(1), { stdio: 'inherit' })
      const [code] = (await once(child, 'exit')) as [number | null]
      return code ?? 1
    }
    case 'room': {
      const argv = roomArgv(rest.length > 0 ? rest : ['bash'])
      const child = spawn(argv[0]!, argv.slice(1), { stdio: 'inherit' })
      process.on('SIGINT', () => {})
      const [code] = (await once(child, 'exit')) as [number | null]
      return code ?? 1
    }
    case 'fault': {
      const hosts = pick(values.set)
      const done = await inject(hosts, words)
      say(readFaults(hosts.state), done)
      return 0
    }
    default:
      throw new Error(`${command} is no command\n  fix: npm run hosts -- --help`)
  }
}

function countOf(word: string | number | undefined): number {
  if (word === undefined || !/^\d+$/.test(String(word)))
    throw new Error(
      `up needs a number of hosts${word === undefined ? '' : `, not ${word}`}\n  fix: npm run hosts -- up 4`,
    )
  return Number(word)
}

/** Keeps the process until a signal comes. */
const forever = () => new Promise<never>(() => setInterval(() => {}, 60_000))

/** Those of this checkout: whoever names no set means one of them. */
const ownSets = () => livingHosts().filter(({ state }) => state.checkout === checkout)

function pick(id: string | undefined): TestHosts {
  const sets = livingHosts()
  const found = id === undefined ? ownSets().at(-1) : sets.find(({ state }) => state.id === id)
  if (found === undefined)
    throw new Error(
      `${id === undefined ? 'no test hosts of this checkout run' : `there is no set ${id}`}\n  fix: npm run hosts -- ${sets.length > 0 ? 'list' : 'up 4'}`,
    )
  return found
}

function table({ state, hosts }: TestHosts): string {
  const rows = hosts.map(({ name, alive, state: { ipv4, ipv6, init } }) => {
    return [name, ipv4 ?? '', ipv6 ?? '', alive ? String(init.pid) : 'dead']
  })
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  const faults = Object.entries(readFaults(state)).filter(([, fault]) => Object.keys(fault).length > 0)
  const wrong = faults.map(([name, fault]) => `  ${name}: ${JSON.stringify(fault)}`)
  return [
    `${state.id}  user ${state.user}  ${state.machine.link}  of ${state.checkout}`,
    ...rows.map((row) => `  ${line(row)}`),
    ...wrong,
  ].join('\n')
}

main().then(
  (code) => {
    process.exitCode = code
    process.exit()
  },
  (error: Error) => {
    console.error(error.message)
    process.exit(1)
  },
)
