import { homedir } from 'node:os'
import { join } from 'node:path'

/** A folder of this user's cache: below `$XDG_CACHE_HOME/gangflow`, else `~/.cache/gangflow`. */
export const userCache = (name: string, env: NodeJS.ProcessEnv = process.env): string =>
  join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'gangflow', name)
