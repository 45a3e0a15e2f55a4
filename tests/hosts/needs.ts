import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { delimiter, join } from 'node:path'

/** The commands that test hosts are made of, and the Debian package of each. */
const commands: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
}

/** Throws an Error that names all that is missing on this machine and the command that brings it. */
export function checkNeeds(): void {
  const missing = Object.keys(commands).filter((command) => !onPath(command))
  if (process.platform !== 'linux') throw new Error('test hosts are made of Linux namespaces\n  fix: use Linux')
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((command) => commands[command]))].join(' ')
    throw new Error(`test hosts need ${missing.join(', ')}\n  fix: apt-get install ${packages}`)
  }
  if (process.getuid?.() !== 0)
    throw new Error(
      'test hosts need root, or a user namespace in which you are root\n' +
        '  fix: sudo, or begin the command with: npm run hosts -- room',
    )
}

/**
 * The command line that runs `argv` as root of a user namespace of its own, with a network of its own: test hosts can be
 * had there, and all of them end with it. There is no way out of that network. Throws where this machine allows none.
 */
export function roomArgv(argv: readonly string[]): string[] {
  if (process.getuid?.() === 0) return [...argv]
  const missing = ['newuidmap', 'newgidmap'].filter((command) => !onPath(command))
  if (missing.length > 0)
    throw new Error(`a user namespace with several users needs ${missing.join(' and ')}\n  fix: apt-get install uidmap`)
  const { username } = userInfo()
  for (const file of ['/etc/subuid', '/etc/subgid'])
    if (!existsSync(file) || !readFileSync(file, 'utf8').includes(`${username}:`))
      throw new Error(
        `${file} gives ${username} no numbers\n  fix: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`,
      )
  const namespaces = ['--user', '--map-root-user', '--map-auto', '--net', '--mount', '--pid', '--fork', '--kill-child']
  const start = 'PATH=$PATH:/usr/sbin:/sbin && ip link set lo up && exec "$@"'
  const room = ['unshare', ...namespaces, '--mount-proc', 'sh', '-c', start, 'sh']
  const { status, stderr } = spawnSync(room[0]!, [...room.slice(1), 'true'], { encoding: 'utf8' })
  if (status !== 0)
    throw new Error(
      `this machine lets ${username} make no namespaces\n${stderr}` +
        '  fix: sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0, or use root',
    )
  return [...room, ...argv]
}

function onPath(command: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => existsSync(join(folder, command)))
}
