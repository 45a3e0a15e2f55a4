import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, run, type TaskLine } from '@gangflow/core'
import { expect, it } from 'vitest'
import { recoverSpools } from '../../../packages/core/src/datastore/logs/recover.js'
import { slack, temporary } from '../runtime/support.js'
import type Watched from './watched.js'

const file = new URL('watched.ts', import.meta.url).pathname
const texts = async (lines: AsyncIterable<TaskLine>): Promise<string[]> => {
  const all: string[] = []
  for await (const { text } of lines) all.push(text)
  return all
}

it('a run is read back whole: artifacts, logs, attempts, members', async () => {
  const datastore = temporary()
  const result = await run(file, { datastore, tags: ['nightly'], parameters: { scale: 3 } }).result
  expect(result.error).toBeUndefined()
  const client = new Client(datastore)
  const [watched] = await client.runs<Watched>('Watched', { tag: 'nightly', status: 'done' })
  expect(watched?.id).toBe(result.run)
  const { artifacts } = client.run<Watched>(result.run)
  expect(artifacts.sizes).toEqual([1, 1, 1])
  expect(artifacts.ranks).toEqual([0, 1])
  expect(artifacts.weights).toEqual(new Float64Array(200_000).fill(3))
  expect(artifacts.scale).toBe(3)
  expect((await watched!.steps()).map(({ name }) => name)).toEqual(['start', 'item', 'join', 'together', 'meet', 'end'])
  expect(new Set((await watched!.tasks()).map(({ status }) => status))).toEqual(new Set(['done']))

  const start = watched!.task('start')
  expect(start.attempts().map(({ status }) => status)).toEqual(['failed', 'done'])
  expect(start.attempts()[0]?.verdict?.summary).toMatch(/not yet/)
  expect(start.verdict).toBeUndefined()

  const items = await watched!.tasks({ step: 'item' })
  expect(items.map(({ item }) => item)).toEqual(['a', 'b', 'c'])
  for (const task of items) {
    expect((await texts(task.logs())).sort()).toEqual([`item ${task.item} on stderr`, `item ${task.item} on stdout`])
    expect(await texts(task.logs({ stream: 'stderr' }))).toEqual([`item ${task.item} on stderr`])
  }

  const gang = watched!.task('together')
  const nodes = await gang.nodes()
  expect(nodes.map(({ node, control, artifacts }) => [node, control, artifacts.rank])).toEqual([
    [0, true, 0],
    [1, false, 1],
  ])
  expect(nodes[0]!.artifactTypes).toMatchObject({ rank: 'number' })
  for (const node of [0, 1]) {
    expect(await texts(gang.logs({ node }))).toEqual([`node ${node} begins`, 'from a command'])
  }
  expect(await texts(gang.logs({ process: 'body' }))).toHaveLength(2)

  const end = watched!.task('end')
  expect(await texts(end.logs())).toEqual([
    ...Array.from({ length: 2000 }, (_, n) => `line ${n}`),
    'the last words, without a line end',
  ])
  expect((await end.tail(2)).map(({ text }) => text)).toEqual(['line 1999', 'the last words, without a line end'])
})

it('a run whose launcher was killed is lost, and its log has the last words', async () => {
  const datastore = temporary()
  const script = new URL('launch.mjs', import.meta.url).pathname
  const launcher = spawn(process.execPath, [script, file, datastore], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [id] = await once(launcher.stdout, 'data')
  const client = new Client(datastore)
  const store = client.datastore
  const watched = client.run<Watched>(String(id).trim())
  const last = async () => {
    try {
      return (await watched.task('end').tail(1))[0]?.text
    } catch {
      return undefined // not there yet
    }
  }
  for (
    const until = Date.now() + slack(15_000);
    (await last()) !== 'the last words, without a line end';
    await sleep(100)
  ) {
    expect(Date.now()).toBeLessThan(until)
  }
  expect(watched.status).toBe('running')
  expect(watched.task('end').status).toBe('running')
  launcher.kill('SIGKILL')
  await once(launcher, 'exit')
  expect(watched.status).toBe('lost')
  expect(watched.task('end').status).toBe('lost')
  const all = [...Array.from({ length: 2000 }, (_, n) => `line ${n}`), 'the last words, without a line end']
  expect(await texts(watched.task('end').logs())).toEqual(all)
  const left = await recoverSpools(store, { quietMs: 0 })
  expect(left.map(({ address }) => address.step)).toEqual(['end'])
  expect(await texts(watched.task('end').logs())).toEqual(all)
  expect(await recoverSpools(store, { quietMs: 0 })).toEqual([])
})
