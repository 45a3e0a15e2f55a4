import childProcess from 'node:child_process'
import crypto from 'node:crypto'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import type { LoadTrace } from './describe-protocol.js'

// biome-ignore lint/suspicious/noExplicitAny: functions of Node's modules, by name
type Functions = Record<string, any>

/** Functions whose answer may differ next time: who calls one while a flow loads is described anew each time. */
const impure: readonly (readonly [module: string, object: object, names: readonly string[]])[] = [
  ['fs', fs, ['readFileSync', 'readFile', 'readdirSync', 'readdir', 'opendirSync', 'opendir', 'createReadStream']],
  ['fs', fs, ['openSync', 'open', 'statSync', 'stat', 'lstatSync', 'lstat', 'existsSync', 'accessSync', 'access']],
  ['fs.promises', fs.promises, ['readFile', 'readdir', 'opendir', 'open', 'stat', 'lstat', 'access']],
  ['child_process', childProcess, ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork']],
  ['net.Socket', net.Socket.prototype, ['connect']],
  ['os', os, ['hostname', 'cpus', 'availableParallelism', 'networkInterfaces', 'userInfo', 'totalmem', 'freemem']],
  ['os', os, ['loadavg', 'uptime', 'homedir']],
  ['crypto', crypto, ['randomBytes', 'randomFillSync', 'randomUUID', 'randomInt']],
  ['crypto', Object.getPrototypeOf(crypto.webcrypto), ['getRandomValues', 'randomUUID']],
  ['Math', Math, ['random']],
  ['globalThis', globalThis, ['fetch']],
]

/**
 * Watches what a module looks at from now on. A description may be kept for the next run only when it follows
 * from the code, the packages and the environment variables that were read: a default such as today's date, a
 * file that was read or a host that was asked makes it different tomorrow. `covered` tells the files whose content is
 * part of the bundle's hash.
 */
export function watchLoad(covered: (path: string) => boolean): { end(): LoadTrace } {
  const seen = new Set<string>()
  const env: Record<string, string | null> = {}
  const restore = impure.flatMap(([module, object, names]) =>
    names.map((name) =>
      spy(object, name, (args) => {
        if (!isCode(args[0], covered)) seen.add(`${module}.${name}`)
      }),
    ),
  )
  restore.push(watchDate(seen), watchEnvironment(env))
  syncBuiltinESMExports()
  return {
    end() {
      for (const undo of restore) undo()
      syncBuiltinESMExports()
      return { env, impure: [...seen].sort() }
    },
  }
}

function spy(object: object, name: string, called: (args: readonly unknown[]) => void): () => void {
  const functions = object as Functions
  const original = functions[name]
  if (typeof original !== 'function' || !Object.getOwnPropertyDescriptor(object, name)?.writable) return () => {}
  functions[name] = new Proxy(original, {
    apply(target, self, args: unknown[]) {
      called(args)
      return Reflect.apply(target, self, args)
    },
  })
  return () => {
    functions[name] = original
  }
}

/** Node's own loader reads CommonJS packages by the public `fs`; their versions are part of the key. */
function isCode(from: unknown, covered: (path: string) => boolean): boolean {
  const path = from instanceof URL && from.protocol === 'file:' ? fileURLToPath(from) : from
  if (typeof path !== 'string') return false
  return covered(path) || /\/node_modules\/.*(?:\.[cm]?js|\.json|\.node)$/.test(path)
}

function watchDate(seen: Set<string>): () => void {
  const original = Date
  globalThis.Date = new Proxy(original, {
    construct(target, args, newTarget) {
      if (args.length === 0) seen.add('new Date()')
      return Reflect.construct(target, args, newTarget)
    },
    apply(target, self, args: []) {
      seen.add('Date()')
      return Reflect.apply(target, self, args)
    },
    get(target, key, receiver) {
      if (key === 'now') seen.add('Date.now')
      return Reflect.get(target, key, receiver)
    },
  })
  return () => {
    globalThis.Date = original
  }
}

function watchEnvironment(read: Record<string, string | null>): () => void {
  const original = process.env
  const note = (name: string | symbol) => {
    if (typeof name === 'string') read[name] = original[name] ?? null
  }
  process.env = new Proxy(original, {
    get(target, name) {
      note(name)
      return Reflect.get(target, name)
    },
    has(target, name) {
      note(name)
      return Reflect.has(target, name)
    },
    getOwnPropertyDescriptor(target, name) {
      note(name)
      return Reflect.getOwnPropertyDescriptor(target, name)
    },
    ownKeys(target) {
      const names = Reflect.ownKeys(target)
      for (const name of names) note(name)
      read['*'] = String(names.length)
      return names
    },
  })
  return () => {
    process.env = original
  }
}
