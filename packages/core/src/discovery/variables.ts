import { GangflowError } from '../errors/base.js'
import type { Surroundings } from './contract.js'

/** The variables of one engine, read with errors that name it. */
export class Variables {
  constructor(
    /** As people call it. */
    readonly engine: string,
    readonly surroundings: Surroundings,
  ) {}

  /** The first of these that is there and not empty. */
  text(...names: readonly string[]): string | undefined {
    for (const name of names) {
      const value = this.surroundings.env[name]?.trim()
      if (value) return value
    }
    return undefined
  }

  need(...names: readonly string[]): string {
    const value = this.text(...names)
    if (value !== undefined) return value
    throw new GangflowError({
      code: 'E_DISCOVERY_MISSING',
      what: `this looks like a job of ${this.engine}, but ${names.join(' or ')} is not set`,
      fix: 'start this by the engine itself (a shell or a container between them may have dropped the variable)',
    })
  }

  /** A whole number that is not negative. */
  whole(...names: readonly string[]): number | undefined {
    const name = names.find((one) => this.text(one) !== undefined)
    if (name === undefined) return undefined
    const value = this.text(name)!
    return /^\d{1,15}$/.test(value) ? Number(value) : this.wrong(name, value, 'a whole number')
  }

  needWhole(...names: readonly string[]): number {
    this.need(...names)
    return this.whole(...names)!
  }

  /** The lines of a file that a variable names, without empty ones. */
  lines(name: string): string[] {
    const path = this.need(name)
    const text = this.file(path)
    if (text === undefined)
      throw new GangflowError({
        code: 'E_DISCOVERY_MISSING',
        what: `${name} names ${path}, which cannot be read here`,
        fix: `${this.engine} keeps it on the job's first node: start this there, or by the engine's own launcher`,
      })
    return text
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean)
  }

  file(path: string): string | undefined {
    try {
      return this.surroundings.readFile(path)
    } catch {
      return undefined
    }
  }

  wrong(name: string, value: string, wanted: string): never {
    throw new GangflowError({
      code: 'E_DISCOVERY_VALUE',
      what: `${name} of ${this.engine} is '${value.slice(0, 200)}', not ${wanted}`,
      fix: 'see who has set it: it is not what the engine writes',
    })
  }

  contradiction(what: string): never {
    throw new GangflowError({
      code: 'E_DISCOVERY_CONTRADICTION',
      what: `the variables of ${this.engine} contradict each other: ${what}`,
      fix: 'they may come from two jobs (a shell inside another, `env` passed on): start this in a clean environment of one job',
    })
  }

  /** An index that a job of this size has. */
  index(name: string, size: number): number | undefined {
    const index = this.whole(name)
    if (index !== undefined && index >= size) this.contradiction(`${name} is ${index}, but there are ${size} nodes`)
    return index
  }

  /** Where this machine is in a list of hosts; a short name serves for a full one and the other way round. */
  place(hosts: readonly string[]): number | undefined {
    const own = this.surroundings.hostname
    const exact = hosts.indexOf(own)
    if (exact >= 0) return exact
    const short = own.split('.')[0]
    const alike = hosts.flatMap((host, index) => (host.split('.')[0] === short ? [index] : []))
    return alike.length === 1 ? alike[0] : undefined
  }
}

/** Hosts in the order of their first line, with the number of their lines. */
export function counted(lines: readonly string[]): { host: string; slots: number }[] {
  const slots = new Map<string, number>()
  for (const host of lines) slots.set(host, (slots.get(host) ?? 0) + 1)
  return [...slots].map(([host, count]) => ({ host, slots: count }))
}
