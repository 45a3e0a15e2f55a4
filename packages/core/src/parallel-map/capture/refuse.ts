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

/** A member, refused by `path` where reading it throws: a Proxy need not give what it stands for (a URL wants itself as `this`). */
export function readMember(value: object, key: string, path: string, name: string): unknown {
  try {
    return (value as Record<string, unknown>)[key]
  } catch (error) {
    const why = `reading it fails here too (${error instanceof Error ? error.message : String(error)})`
    return refuse(name, path, why, 'read what you need of it into a variable, before the map')
  }
}
