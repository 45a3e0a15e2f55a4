import { existsSync } from 'node:fs'
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
  if (process.getuid?.() !== 0) throw new Error('test hosts need root\n  fix: run this as root (sudo)')
}

function onPath(command: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => existsSync(join(folder, command)))
}
