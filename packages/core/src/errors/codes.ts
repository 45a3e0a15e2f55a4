import { bodyCodes } from './codes/body.js'
import { cliCodes } from './codes/cli.js'
import { compileCodes } from './codes/compile.js'
import { datastoreCodes } from './codes/datastore.js'
import { discoveryCodes } from './codes/discovery.js'
import { flowCodes } from './codes/flow.js'
import { gangCodes } from './codes/gang.js'
import { meshCodes } from './codes/mesh.js'
import { pluginCodes } from './codes/plugin.js'
import { poolCodes } from './codes/pool.js'
import { processCodes } from './codes/process.js'
import { runtimeCodes } from './codes/runtime.js'
import { sshCodes } from './codes/ssh.js'

/** Every code that core can give, each with its one-line meaning; docs/reference/errors.md lists the same. */
export const codes = {
  ...flowCodes,
  ...compileCodes,
  ...datastoreCodes,
  ...processCodes,
  ...bodyCodes,
  ...gangCodes,
  ...meshCodes,
  ...discoveryCodes,
  ...runtimeCodes,
  ...sshCodes,
  ...pluginCodes,
  ...cliCodes,
  ...poolCodes,
} as const

export type ErrorCode = keyof typeof codes
