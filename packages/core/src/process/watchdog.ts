import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Where there is no native helper: a shell that does nothing but wait for our end. At end of file it ends the groups
 * of its last line (`GROUP:SECONDS …`: TERM now, KILL after the grace; those with seconds are killed after them),
 * then, where /proc is, whatever carries the mark.
 */
const script = `
trap '' INT HUP TERM
list=
while read -r line; do list=$line; done
longest=0
for one in $list; do
  linger=\${one#*:}
  if [ "$linger" = 0 ]; then kill -TERM "-\${one%:*}"; elif [ "$linger" -gt "$longest" ]; then longest=$linger; fi
done 2>/dev/null
sleep "$2"
for one in $list; do [ "\${one#*:}" = 0 ] && kill -KILL "-\${one%:*}"; done 2>/dev/null
[ "$longest" = 0 ] || sleep "$longest"
for one in $list; do kill -KILL "-\${one%:*}"; done 2>/dev/null
for file in $(grep -lzx "GANGFLOW_MARK=$1" /proc/[0-9]*/environ 2>/dev/null); do
  pid=\${file#/proc/}
  kill -KILL "\${pid%/environ}"
done 2>/dev/null
`

export interface Watchdog {
  readonly process: ChildProcess
  /** Tells it the groups that live now, and after how many seconds each ends (0: at once). */
  tell(groups: ReadonlyMap<number, number>): void
  /** It goes without doing anything. */
  dismiss(): void
}

export function startWatchdog(mark: string, graceMs: number): Watchdog {
  const child = spawn('/bin/sh', ['-c', script, 'gangflow-watchdog', mark, String(graceMs / 1000)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
  })
  child.stdin!.on('error', () => {})
  child.on('error', () => {})
  child.unref()
  return {
    process: child,
    tell: (groups) => child.stdin!.write(`${[...groups].map(([group, after]) => `${group}:${after}`).join(' ')}\n`),
    dismiss: () => child.kill('SIGKILL'),
  }
}
