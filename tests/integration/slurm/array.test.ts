import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Cluster, startCluster, until } from '../../slurm/cluster.js'
import { loseNode } from '../../slurm/lose-node.js'
import { slack } from '../../support/gang.js'

const cli = new URL('../../../packages/core/dist/cli.cjs', import.meta.url).pathname
const flow = new URL('flows/many.ts', import.meta.url).pathname

let cluster: Cluster
let store: string

beforeAll(async () => {
  cluster = await startCluster({ cpus: 4, settings: ['MaxArraySize=4'] })
  store = mkdtempSync(join(tmpdir(), 'gangflow-array-'))
})

afterAll(async () => {
  await cluster?.down()
  rmSync(store, { recursive: true, force: true, maxRetries: 10 })
})

/** A run whose elements do what these words say, and the folder in which they leave their files. */
function many(words: string) {
  const folder = mkdtempSync(join(store, 'folder-'))
  const argv = [cli, 'run', flow, '--backend', 'slurm', '--datastore', join(store, 'store')]
  const child = spawn(process.execPath, [...argv, '--words', words, '--folder', folder], {
    env: cluster.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => (text += more))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, text }))
  const held = async (task: number): Promise<{ pid: number; node: string }> => {
    const path = join(folder, `held-${task}`)
    await until(
      `element ${task} in:\n${text}`,
      () => existsSync(path) && readFileSync(path, 'utf8') !== '',
      30_000 * slack,
    )
    const [pid, node] = readFileSync(path, 'utf8').split(' ')
    return { pid: Number(pid), node: node! }
  }
  return { ended, held, go: () => writeFileSync(join(folder, 'go'), ''), text: () => text }
}

it('hands a foreach over in as many arrays as the site asks for, and of a failure only what failed', async () => {
  const { code, text } = await many('go,throw,go,go,go,go').ended
  expect(text).toContain('gathered 6')
  expect(code).toBe(0)
  expect(text.match(/each\/\d+ failed/g)).toEqual(['each/2 failed'])
  const rows = await cluster.run('squeue', '-h', '-r', '-t', 'all', '--name=Many.each', '-O', 'ArrayJobID:|,State')
  const sizes = new Map<string, number>()
  for (const row of rows.split('\n')) sizes.set(row.split('|')[0]!, (sizes.get(row.split('|')[0]!) ?? 0) + 1)
  expect([...sizes.values()].sort()).toEqual([1, 3, 3])
})

it('names the element that somebody cancelled, and ends the others', async () => {
  const run = many('hold,hold')
  await Promise.all([run.held(1), run.held(2)])
  const job =
    /its job (\d+)_0/.exec(run.text())?.[1] ??
    (await cluster.run('squeue', '-h', '--name=Many.each', '-o', '%F')).split('\n')[0]
  await cluster.run('scancel', `${job}_1`)
  const { code, text } = await run.ended
  expect(text).toMatch(new RegExp(`each/2 failed\\n +cancelled job ${job}_1 of step `))
  expect(code).toBe(130)
  await until('an empty queue', async () => (await cluster.run('squeue', '-h')) === '', 20_000 * slack)
})

it('starts again the elements of a node that died, and no others', async () => {
  const run = many('hold,hold,hold,hold')
  const held = await Promise.all([1, 2, 3, 4].map((task) => run.held(task)))
  const { node } = held[3]!
  const there = held.filter((one) => one.node === node).length
  loseNode(cluster, node)
  const again = () => run.text().match(/each\/\d its job was started again \(1\)/g) ?? []
  await until(`${there} new starts`, () => again().length === there, 90_000 * slack)
  run.go()
  const { code, text } = await run.ended
  expect(text).toContain('gathered 4')
  expect(again().sort()).toEqual(
    held.flatMap((one, index) => (one.node === node ? [`each/${index + 1} its job was started again (1)`] : [])),
  )
  expect(code).toBe(0)
}, 180_000)
