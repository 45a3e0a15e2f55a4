import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { artifact, slack, temporary } from '../../integration/runtime/support.js'
import { launch, processesOf } from './launched.js'

const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** A run whose first step waits, while the two members of its gang do: agents, keepers, bodies. */
async function waiting(parameters: object = {}) {
  const datastore = temporary()
  const sockets = temporary()
  const temps = join(sockets, 'tmp')
  mkdirSync(temps)
  const token = `chaos-${randomBytes(8).toString('hex')}`
  const go = join(datastore, 'go')
  const env = { XDG_RUNTIME_DIR: sockets, TMPDIR: temps }
  const launched = launch('run', { datastore, parameters: { go, ...parameters } }, token, 'ahead.ts', env)
  const pidsOf = (entry: string) => processesOf(token).filter((pid) => commandOf(pid).includes(entry))
  const all = () => [pidsOf('agent.cjs').length, pidsOf('body.cjs').length]
  // The body of the first step, and those of the members.
  await expect.poll(all, { timeout: slack(20_000), interval: 20 }).toEqual([2, 3])
  /** Directories of members, their temporary files, and spools. */
  const places = () =>
    [sockets, temps, join(datastore, 'scratch')].flatMap((folder) =>
      (readdirSync(folder, { recursive: true }) as string[]).filter((name) => /(^|\/)m[01]$/.test(name)),
    )
  return { datastore, token, launched, pidsOf, places, go: () => writeFileSync(go, '') }
}

const nothingLeft = (token: string) =>
  expect.poll(() => processesOf(token), { timeout: slack(5000), interval: 50 }).toEqual([])

it('gives the step the members that waited for it', async () => {
  const { launched, datastore, pidsOf, go, token } = await waiting()
  const bodies = pidsOf('body.cjs')
  go()
  await launched.ended
  expect(launched.said()).toContain('status done')
  const run = /^id (\S+)$/m.exec(launched.said())![1]!
  const pids = artifact(datastore, { flow: 'Ahead', run, step: 'join', task: '1' }, 'pids') as number[]
  expect(bodies).toEqual(expect.arrayContaining(pids.map(String)))
  await nothingLeft(token)
})

it.each(['SIGKILL', 'SIGSTOP'] as const)('starts others where one that waited got %s', async (signal) => {
  const { launched, pidsOf, go, token } = await waiting()
  process.kill(Number(pidsOf('agent.cjs')[0]), signal)
  go()
  await launched.ended
  expect(launched.said()).toContain('status done')
  await nothingLeft(token)
})

it('leaves nothing of those that wait when the launcher is killed -9', async () => {
  const { launched, places, token } = await waiting()
  expect(places().length).toBeGreaterThan(0)
  launched.child.kill('SIGKILL')
  await launched.ended
  await nothingLeft(token)
  expect(places()).toEqual([])
})

it('ends those that wait with a run that never comes to them', async () => {
  const { launched, places, go, token } = await waiting({ fails: true })
  go()
  await launched.ended
  expect(launched.said()).toContain('status failed')
  expect(processesOf(token)).toEqual([])
  expect(places()).toEqual([])
})
