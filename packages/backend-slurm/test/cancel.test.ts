import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { Cancels } from '../src/cancel.js'

const folder = mkdtempSync(join(tmpdir(), 'gangflow-scancel-'))

afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true, force: true })
})

it('an end that no controller hears is given up at a second Ctrl-C, by the names of jobs and of what ends them', async () => {
  const word = 'scancel: error: Kill job error on job id $id: Unable to contact slurm controller'
  const deaf = `#!/bin/sh\nfor id; do echo "${word}" >&2; done\nexit 1\n`
  writeFileSync(join(folder, 'scancel'), deaf, { mode: 0o755 })
  vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`)
  const cancels = new Cancels()
  const { signal, kill } = killed()
  const notes: string[] = []
  const note = (text: string) => {
    notes.push(text)
    kill()
  }
  const wishes = ['7', '8_1'].map((id) => cancels.cancel({ id, signal, note }))
  for (const wish of wishes)
    await expect(wish).rejects.toMatchObject({
      code: 'E_SLURM_UNHEARD',
      what: expect.stringMatching(
        /that jobs 7, 8_1 are to end, and may still run them: Unable to contact slurm controller$/,
      ),
      fix: expect.stringContaining('`scancel 7 8_1` ends it'),
    })
  expect(notes[0]).toMatch(/^waits up to 120 s for Slurm to hear/)
  // Nobody is left who would want to know of it.
  const last = cancels.cancel({ id: '9', signal: undefined, note: () => cancels.close() })
  await expect(last).rejects.toMatchObject({ what: expect.stringContaining('job 9 is to end') })
})

function killed(): { signal: AbortSignal; kill(): void } {
  const controller = new AbortController()
  return { signal: controller.signal, kill: () => controller.abort() }
}
