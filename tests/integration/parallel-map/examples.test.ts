import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { run } from '@gangflow/core'
import { describe, expect, it } from 'vitest'
import { artifact, temporary } from '../runtime/support.js'

const folder = new URL('../../../examples/all-cores/', import.meta.url).pathname

describe('examples/all-cores', () => {
  it.each(['tokenize.ts', 'slow-fn.ts', 'slow-fn-malloc.ts'])('%s gives what its loop gives', async (file) => {
    const argv = ['--import', 'tsx', file]
    const { stdout, stderr } = await promisify(execFile)(process.execPath, argv, { cwd: folder })
    expect(stdout).toContain('all the same')
    expect(stderr).toBe('')
  })

  it('big-sum.ts sums a matrix inside of a step', async () => {
    const datastore = temporary()
    const { run: id, status } = await run(`${folder}big-sum.ts`, { datastore, parameters: { side: 500 } }).result
    expect(status).toBe('done')
    const left = (name: string) =>
      artifact(datastore, { flow: 'BigSum', run: id, step: 'start', task: '1' }, name) as number
    expect(left('sum')).toBeCloseTo(left('plain'), 6)
    expect(left('sum')).toBeCloseTo(500 * 500 * 0.45, 6)
  })
})
