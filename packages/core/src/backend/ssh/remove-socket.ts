import { spawn } from 'node:child_process'
import type { HostSpec } from './hosts.js'
import { type SshWay, sshOptions } from './ssh-argv.js'

/**
 * Removes a forwarded socket by SFTP: sshd made it before an account that runs no commands (nologin) turned our script away,
 * and leaves it. Nobody waits for it; where there is no SFTP either, it has to stay.
 */
export function removeSocket({ host, user, port }: HostSpec, way: SshWay, socket: string): void {
  const argv = [
    ...['-q', '-b', '-', '-S', way.program],
    ...sshOptions(way),
    ...(port === undefined ? [] : ['-P', String(port)]),
    ...(user === undefined ? [] : ['-o', `User=${user}`]),
    host.includes(':') ? `[${host}]` : host,
  ]
  const child = spawn('sftp', argv, { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  child.stdin.end(`-rm ${socket}\n`)
  child.unref()
}
