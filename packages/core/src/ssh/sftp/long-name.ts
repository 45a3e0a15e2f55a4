import type { Stats } from 'node:fs'

/** The line of a file as `ls -l` has it, which clients show. */
export function longName(name: string, stats: Stats): string {
  const kind = stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : '-'
  const rights = [6, 3, 0]
    .map((shift) => {
      const bits = (stats.mode >> shift) & 7
      return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${bits & 1 ? 'x' : '-'}`
    })
    .join('')
  const [, month, day, year] = stats.mtime.toUTCString().match(/\w+, (\d+) (\w+) (\d+)/)!
  return `${kind}${rights} ${stats.nlink} ${stats.uid} ${stats.gid} ${stats.size} ${day} ${month} ${year} ${name}`
}
