import { execFile } from 'node:child_process'
import { beforeAll, describe, expect, it } from 'vitest'

const root = new URL('../../..', import.meta.url).pathname
const protocols = {
  standard: [],
  legacy: ['--experimentalDecorators', '--useDefineForClassFields', 'false'],
}

/** What a compiler complains about. */
function tsc(compiler: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const argv = [`node_modules/${compiler}/bin/tsc`, ...args, '--pretty', 'false']
    execFile(process.execPath, argv, { cwd: root }, (error, out, err) =>
      resolve(error ? `${out}${err}` || error.message : ''),
    )
  })
}

// In test-d every @ts-expect-error is an assertion: that what stands below it is refused. It sees the types as published.
describe('the types in test-d', () => {
  beforeAll(async () => expect(await tsc('typescript', ['-b', 'packages/core'])).toBe(''), 120_000)

  for (const compiler of ['typescript', 'typescript-5'])
    for (const [protocol, flags] of Object.entries(protocols))
      it(`hold under ${compiler} with ${protocol} decorators`, async () => {
        expect(await tsc(compiler, ['-p', 'packages/core/test-d', ...flags])).toBe('')
      }, 120_000)
})
