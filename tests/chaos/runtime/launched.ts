import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

export interface Launched {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
  said(): string
}

/** A launcher of a flow beside this file, in a process of its own; all that it starts inherits the token. */
export function launch(verb: string, options: object, token: string, flow: string, env: object = {}): Launched {
  const here = (name: string) => new URL(name, import.meta.url).pathname
  const child = spawn(process.execPath, [here('launch.mjs'), verb, here(flow), JSON.stringify(options)], {
    env: { ...process.env, ...env, CHAOS_TOKEN: token },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout!.on('data', (chunk) => {
    text += chunk
  })
  return { child, ended: once(child, 'close'), said: () => text }
}

/** Every process that inherited the token, the keepers too. */
export const processesOf = (token: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(token)
    } catch {
      return false
    }
  })
