import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startNativeKeeper } from '../../src/process/keeper.js'
import { folder } from './helpers.js'

/** A helper that is not ours: a script. */
function impostor(script: string): string {
  const file = join(folder(), 'gangflow-keeper')
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  return file
}

describe('a native helper that cannot serve', () => {
  it.each([
    ['is not there', () => '/no/such/helper', 'ENOENT'],
    ['ends at once', () => impostor('exit 9'), 'exit code 9'],
    [
      'is of another version',
      () => impostor(`printf '\\000\\000\\000\\006\\001\\000\\000\\000\\000\\007'; sleep 60`),
      'version 7',
    ],
  ])('%s: a named error', async (_what, file, why) => {
    await expect(startNativeKeeper(file(), { mark: 'none' })).rejects.toMatchObject({
      code: 'E_KEEPER_START',
      what: expect.stringContaining(why),
      fix: expect.stringContaining('GANGFLOW_KEEPER=none'),
    })
  })
})
