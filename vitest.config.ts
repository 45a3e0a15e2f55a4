import { defineConfig } from 'vitest/config'

// Unit suites import the sources; integration and chaos suites run what was built into dist/, two files at a time (they
// mostly wait), after them. In CI a test that starts real processes on a shared machine may be tried twice; the report marks it as retried.
const shared = { esbuild: { target: 'node20' } } as const
const retry = process.env['CI'] ? 1 : 0

export default defineConfig({
  ...shared,
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          retry,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...shared,
        test: {
          name: 'integration',
          include: ['tests/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          retry,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
