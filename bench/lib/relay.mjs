// The datastore's relay beside a copy on the same disk and a bare socket: a file of 1 GB (GANGFLOW_BENCH_MB).
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'

const megabytes = Number(process.env.GANGFLOW_BENCH_MB ?? 1024)

/** Contestants of `interleave`, and what ends the processes that serve them. */
export async function relayContestants(folder) {
  const part = join(folder, 'part.mjs')
  const entryPoints = [new URL('../relay/part.ts', import.meta.url).pathname]
  await build({ entryPoints, outfile: part, bundle: true, platform: 'node', format: 'esm', target: 'node20' })
  const path = (name) => join(folder, name)
  const file = path('file')
  const hash = createHash('sha256')
  const out = openSync(file, 'w')
  for (let n = 0; n < megabytes; n++) {
    const piece = Buffer.alloc(1 << 20, `${n} of the bench `)
    hash.update(piece)
    writeSync(out, piece)
  }
  closeSync(out)
  const name = hash.digest('hex')
  writeFileSync(`${file}.sha256`, name)
  const served = []
  const end = () => {
    for (const child of served) child.kill()
  }
  process.on('exit', end)
  const serve = async (...args) => {
    const child = spawn(process.execPath, [part, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    served.push(child)
    for await (const line of createInterface({ input: child.stdout })) if (line === 'up') return
  }
  mkdirSync(path('root'), { mode: 0o700 })
  await serve('owner', path('owner.sock'), path('root'))
  await serve('host', path('owner.sock'), path('host.sock'), path('cache'))
  await serve('take', path('take.sock'), path('taken'))
  const run = (...args) =>
    JSON.parse(execFileSync(process.execPath, [part, ...args], { input: '', encoding: 'utf8' })).ms
  const blob = (root) => join(path(root), 'blobs', name.slice(0, 2), name)
  const forget = (...roots) => {
    for (const root of roots) rmSync(blob(root), { force: true })
  }
  const location = `relay:${path('host.sock')}`
  const copy = () => {
    const begun = performance.now()
    execFileSync('cp', [file, path('copied')])
    execFileSync('sync', [path('copied')])
    return performance.now() - begun
  }
  return {
    end,
    of: [
      { name: 'cp and sync', measure: async () => ({ time: copy() }) },
      { name: 'bare socket', measure: async () => ({ time: run('send', path('take.sock'), file) }) },
      {
        name: 'relay, put',
        measure: async () => {
          forget('root', 'cache')
          return { time: run('put', location, file) }
        },
      },
      {
        name: 'relay, put again',
        measure: async () => ({ time: run('put', location, file) }),
      },
      {
        name: 'relay, read',
        measure: async () => {
          forget('cache')
          return { time: run('get', location, file) }
        },
      },
      { name: 'relay, read again', measure: async () => ({ time: run('get', location, file) }) },
    ],
  }
}
