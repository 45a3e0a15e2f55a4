import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const packages = new URL('../../..', import.meta.url).pathname

it('no deadline is made within AbortSignal.any: Node 20 forgets it (errors/signal-within.ts)', () => {
  const sources = readdirSync(packages, { withFileTypes: true })
    .flatMap(({ name }) =>
      readdirSync(join(packages, name), { withFileTypes: true })
        .filter((entry) => entry.name === 'src')
        .flatMap(() =>
          readdirSync(join(packages, name, 'src'), { recursive: true, encoding: 'utf8' }).map((file) =>
            join(packages, name, 'src', file),
          ),
        ),
    )
    .filter((file) => file.endsWith('.ts') && !file.endsWith('signal-within.ts'))
  expect(sources.length).toBeGreaterThan(300)
  const forgotten = /AbortSignal\.any\(\s*\[[^\]]*AbortSignal\.timeout/
  expect(sources.filter((file) => forgotten.test(readFileSync(file, 'utf8')))).toEqual([])
})
