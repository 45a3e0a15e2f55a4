import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { makeRunDirectory, sweepRunDirectories } from '../../src/body/run-directory.js'
import { thisOwner } from '../../src/datastore/owner.js'

const parent = mkdtempSync('/tmp/gangflow-parent-')
afterAll(() => rmSync(parent, { recursive: true, force: true }))

it('removes a run directory once its owner has been dead for a while, and no other', async () => {
  const env = { XDG_RUNTIME_DIR: parent }
  const [alive, dead] = [makeRunDirectory(env), makeRunDirectory(env)]
  expect(statSync(alive).mode & 0o777).toBe(0o700)
  writeFileSync(join(dead, 'owner'), JSON.stringify({ ...thisOwner(), pidStart: '1' }))
  await sweepRunDirectories(env)
  expect([alive, dead].map((path) => existsSync(path))).toEqual([true, true])
  await sweepRunDirectories(env)
  expect(existsSync(dead)).toBe(true)
  const before = new Date(Date.now() - 6 * 60_000)
  utimesSync(join(dead, 'dead'), before, before)
  await sweepRunDirectories(env)
  expect([alive, dead].map((path) => existsSync(path))).toEqual([true, false])
})

it('removes at once, where it is asked to, what nobody lives in any more', async () => {
  const env = { XDG_RUNTIME_DIR: parent }
  const [lived, left] = [makeRunDirectory(env), makeRunDirectory(env)]
  for (const one of [lived, left]) writeFileSync(join(one, 'owner'), JSON.stringify({ ...thisOwner(), pidStart: '1' }))
  mkdirSync(join(lived, 'm0'))
  const agent = createServer().listen(join(lived, 'm0', 'host'))
  await once(agent, 'listening')
  await sweepRunDirectories(env, true)
  expect([lived, left].map((path) => existsSync(path))).toEqual([true, false])
  agent.close()
  await sweepRunDirectories(env, true)
  expect(existsSync(lived)).toBe(false)
})
