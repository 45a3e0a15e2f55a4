import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import { fixtures } from './call.js'

const hook = new URL('../py/hook', import.meta.url).pathname

// A rank in five or more ends with SIGABRT here without the hook's handler.
it('ends ranks cleanly that leave right after a collective, on a machine that starves their threads', async () => {
  const python = await pythonWithTorch()
  const output = execFileSync(python, [`${fixtures}/exit_race.py`, '8', hook], { encoding: 'utf8' })
  expect(output).toBe('failed 0\n')
}, 600_000)
