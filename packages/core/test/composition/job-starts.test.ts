import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { JobStarts } from '../../src/composition/job-starts.js'
import { warningFile } from '../../src/composition/job-warning.js'

it('gives a job up whose node was lost five times, not one that was told to end as often', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gangflow-starts-'))
  try {
    const place = join(folder, '000001-0')
    const starts = (count: number) => new JobStarts(place, count)
    for (const start of [0, 1, 2, 3, 4, 5]) writeFileSync(warningFile(place, start), '')
    expect(starts(4).refusal('train')).toBeUndefined()
    expect(starts(6).refusal('train')).toMatchObject({ code: 'E_JOB_NODES', what: expect.stringContaining('6 times') })
    for (const start of [1, 3]) starts(start).told()
    expect(starts(6).refusal('train')).toBeUndefined()
  } finally {
    rmSync(folder, { recursive: true })
  }
})
