import { join } from 'node:path'

/** The file in which a process's output is spooled (records of datastore/log-format.ts). */
export function spoolFile(spool: string, name: string): string {
  return join(spool, `${name.replace(/[^A-Za-z0-9._@=-]/g, '_')}.spool`)
}
