import { execFile } from 'node:child_process'
import { describe, expect, it } from 'vitest'

const root = new URL('../../..', import.meta.url).pathname
const protocols = {
  standard: [],
  legacy: ['--experimentalDecorators', '--useDefineForClassFields', 'false'],
}

// In test-d every @ts-expect-error is an assertion: that what stands below it is refused.
describe('the types in test-d', () => {
  for (const compiler of ['typescript', 'typescript-5'])
    for (const [protocol, flags] of Object.entries(protocols))
      it.concurrent(`hold under ${compiler} with ${protocol} decorators`, async () => {
        const args = [`node_modules/${compiler}/bin/tsc`, '-p', 'packages/core/test-d', '--pretty', 'false', ...flags]
        const output = await new Promise<string>((resolve) => {
          execFile(process.execPath, args, { cwd: root }, (error, out, err) => resolve(error ? `${out}${err}` : ''))
        })
        expect(output).toBe('')
      }, 120_000)
})
