import { homedir } from 'node:os'
import { join } from 'node:path'

/** This plugin's folder in the user's cache: below `$XDG_CACHE_HOME`, else `~/.cache`. */
export const cacheFolder = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'gangflow', 'tfjs')
