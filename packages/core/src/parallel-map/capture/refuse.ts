import { GangflowError } from '../../errors/base.js'

/** Why a function cannot be sent; `path` leads from a captured name to what is in the way. */
export function refuse(name: string, path: string, why: string, fix: string): never {
  throw new GangflowError({
    code: 'E_MAP_CAPTURE',
    what: `cannot send ${path} to a worker: ${why}`,
    fix,
    details: { function: name, path },
  })
}
