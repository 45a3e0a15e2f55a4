// Gangs on four test hosts (namespaces of this machine, each with its own sshd) beside bare SSH.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { baseEnv } from './measure.mjs'

const root = new URL('../..', import.meta.url).pathname
const hostsCommand = (...words) => ['--import', 'tsx', join(root, 'tests/hosts/cli.ts'), ...words]

/** Brings four hosts up, which see these paths of this machine; they go with this process. */
export function benchHosts(show = []) {
  const run = (...words) =>
    execFileSync(process.execPath, hostsCommand(...words), {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  const set = JSON.parse(run('up', '4', '--disk', '6144', ...show.flatMap((path) => ['--show', path]), '--json'))
  const id = set.id
  process.on('exit', () => run('down', id))
  return { names: set.hosts.map(({ name }) => name), config: join(set.folder, 'ssh_config') }
}

/** Contestants of row `ssh`: from the command to its end. */
export function sshContestants({ names, config }, flow) {
  const ssh = (name, ...command) => ['ssh', '-F', config, name, ...command]
  const on = ['--hosts', names.join(','), '--ssh-config', config]
  const gang = flow('gangflow', 'gang.ts')
  return [
    { name: 'ssh, all at once', together: names.map((name) => ssh(name, 'true')) },
    {
      name: 'pdsh',
      argv: ['pdsh', '-R', 'ssh', '-w', names.join(','), 'true'],
      env: { PDSH_SSH_ARGS: `-F ${config}` },
    },
    flow('gangflow without', 'three.ts'),
    { ...gang, argv: [...gang.argv, ...on] },
  ]
}

/** Contestants of row `copy`: one file from the first host to the three others. */
export function copyContestants({ names, config }, flow) {
  const megabytes = Number(process.env.GANGFLOW_BENCH_MB ?? 1024)
  const [first, ...others] = names
  const ssh = (command) => execFileSync('ssh', ['-F', config, first, command], { encoding: 'utf8' })
  ssh(`head -c ${megabytes}M /dev/urandom > ~/big.bin`)
  const copy = flow('gangflow', 'copy.ts')
  const scp = others.map((name) => `scp -q big.bin ${name}:by-scp.bin`).join(' && ')
  const sums = others.map((name) => `ssh ${name} sha256sum by-scp.bin`).join(' && ')
  const timed = (command) => {
    const begun = performance.now()
    ssh(command)
    return { time: performance.now() - begun }
  }
  return [
    { name: 'scp, one by one', measure: async () => timed(`${scp} && rm -f none`) },
    { name: 'scp, with sha256sum', measure: async () => timed(`sha256sum big.bin && ${scp} && ${sums}`) },
    {
      name: 'gangflow',
      measure: async () => {
        const argv = [...copy.argv, '--hosts', names.join(','), '--ssh-config', config]
        const out = execFileSync(argv[0], argv.slice(1), { encoding: 'utf8', env: baseEnv })
        const [, ms] = /copied in (\d+(?:\.\d+)?) ms/.exec(out) ?? []
        if (ms === undefined) throw new Error(`the flow did not say how long the copy took:\n${out}`)
        return { time: Number(ms) }
      },
    },
  ]
}

/** Contestants of row `shell`: ways to a command on another host of a living gang, all timed by one flow in turns. */
export function shellContestants({ names, config }, flow) {
  let samples
  const measured = () => {
    if (samples) return samples
    const { argv } = flow('gangflow', 'shell.ts')
    const words = [...argv.slice(1), '--hosts', names.join(','), '--ssh-config', config]
    const out = execFileSync(argv[0], words, { encoding: 'utf8', env: baseEnv, maxBuffer: 1 << 28 })
    samples = new Map()
    for (const [, time, name] of out.matchAll(/time (\d+(?:\.\d+)?) (.*)$/gm))
      samples.set(name.trim(), [...(samples.get(name.trim()) ?? []), Number(time)])
    return samples
  }
  const ways = ['ssh, sshd', 'ssh, the mesh', 'shim', 'scp, sshd', 'scp, the mesh', 'shim, cat']
  return ways.map((name) => {
    let round = 0
    return {
      name,
      measure: async () => {
        const all = measured().get(name)
        if (!all) throw new Error(`the flow said no time of '${name}'`)
        return { time: all[round++ % all.length] }
      },
    }
  })
}
