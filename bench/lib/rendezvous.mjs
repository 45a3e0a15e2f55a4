// How a gang's start grows with its size: members of few processes, every handshake real. Beside it torch's own store.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'

/** Members in one process: one thread has the cryptography of all of them. */
const TOGETHER = 250
/** Sizes up to which members look for each other's addresses too: some seven handshakes each, all on this machine. */
const PROBED = 200

export async function benchRendezvous({ sizes = [10, 100, 500, 2000], python, say = console.log } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'gangflow-bench-'))
  const part = join(folder, 'part.mjs')
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))
  // What a killed owner leaves lies in it too.
  process.env.TMPDIR = folder
  await build({
    entryPoints: [new URL('../rendezvous/part.ts', import.meta.url).pathname],
    outfile: part,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    define: { __CORE_VERSION__: '"bench"' },
    external: ['cpu-features', '*.node', 'esbuild'],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); var __dirname = import.meta.dirname;",
    },
  })
  const results = []
  for (const size of sizes) {
    const one = await measure(part, size, size <= PROBED)
    const store = python && (await torchStore(python, size))
    results.push({ ...one, ...(store ? { store } : {}) })
    say(row({ ...one, store }))
  }
  return results
}

const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`

function row({ size, probed, owner, control, members, stop, store }) {
  const each = (value) => value / size
  const lines = [
    `${size} members: joined ${ms(owner.joined)}, formed ${ms(owner.formed)}${probed ? ' (with addresses looked for)' : ''}, met at a barrier ${ms(owner.met)}`,
    `  CPU a member: owner ${ms(each(owner.cpuMs))}, control ${ms(each(control.cpuMs))}, member itself ${ms(each(members.cpuMs))}`,
    `  at the owner, a member: ${each(owner.messages).toFixed(1)} messages out, ${(each(owner.bytes) / 1024).toFixed(1)} KiB, ${each(owner.connections).toFixed(1)} connections`,
    `  at the control: ${control.messages} messages out, ${(control.bytes / 1024).toFixed(0)} KiB, ${control.connections} connections; members sent ${each(members.messages).toFixed(1)} messages each`,
    `  at rest: owner ${ms(owner.rest.cpuMs)} CPU and ${owner.rest.messages.toFixed(0)} messages out a second for signs of life`,
    `  stop: ordered at the last member after ${ms(stop.orderedMs)}, all accounts after ${ms(stop.tookMs)}; at the owner ${stop.messages} messages out, ${ms(stop.cpuMs)} CPU`,
  ]
  if (store)
    lines.push(
      `  torch's TCPStore, plain and without secrets, the same round, CPU a client: server ${ms(each(store.server))}, client ${ms(each(store.client))}`,
    )
  return lines.join('\n')
}

async function measure(part, size, probed) {
  const children = []
  const start = (...args) => {
    const child = spawn(process.execPath, [part, ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
    children.push(child)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async () => {
      const { value, done } = await lines.next()
      if (done) throw new Error(`the ${args[0]} ended before its figures`)
      return JSON.parse(value)
    }
    return { child, next }
  }
  try {
    const owner = start('owner', size)
    const told = `${JSON.stringify(await owner.next())}\n`
    const cuts = [0, 1]
    while (cuts.at(-1) < size) cuts.push(Math.min(size, cuts.at(-1) + TOGETHER))
    const groups = cuts.slice(1).map((to, at) => start('members', cuts[at], to, probed ? 'probe' : 'no'))
    for (const { child } of groups) child.stdin.write(told)
    const [figures, ...each] = await Promise.all([owner.next(), ...groups.map(({ next }) => next())])
    const sum = (name) => each.reduce((total, one) => total + one[name], 0)
    return {
      size,
      probed,
      owner: figures,
      control: each[0],
      members: { cpuMs: sum('cpuMs'), messages: sum('messages') },
      stop: { ...figures.stop, orderedMs: Math.max(...each.map(({ stoppedAt }) => stoppedAt)) - figures.stop.at },
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

/** The same round with TCPStore: each sets 300 bytes, reads a list of all, and meets the others. */
async function torchStore(python, size) {
  const child = spawn(python, [new URL('../rendezvous/store.py', import.meta.url).pathname, String(size)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.on('data', (data) => (out += data))
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`the store ended with ${code}`)
  return JSON.parse(out)
}
