import { readFileSync } from 'node:fs'

declare const __CORE_VERSION__: string | undefined

/** Version of this package: written in by the build, read from package.json where the sources run. */
export const coreVersion: string =
  typeof __CORE_VERSION__ === 'string'
    ? __CORE_VERSION__
    : (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version
