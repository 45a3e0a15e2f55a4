import { configDefaults, defineConfig } from 'vitest/config'

// Unit suites import the sources; integration and chaos suites run what was built into dist/, after them. Two files at a
// time (Vitest's own choice is one on two cores), save the unit suites of rooms that measure times, memory or traffic.
// In CI a test that starts real processes on a shared machine may be tried twice; the report marks it as retried, and
// `scripts/test.mjs` tries a file that failed once more, alone.
const shared = { esbuild: { target: 'node20' } } as const
const retry = process.env['CI'] ? 1 : 0
const unit = { testTimeout: 120_000, hookTimeout: 120_000, retry } as const
const measuring = [
  'core/test/{body,gang,process,ssh}/**/*',
  'core/test/datastore/relay',
  'plugin-torchrun/test/**/*',
].map((file) => `packages/${file}.test.ts`)

export default defineConfig({
  ...shared,
  test: {
    projects: [
      {
        ...shared,
        test: { ...unit, name: 'measuring', include: measuring, maxWorkers: 1, sequence: { groupOrder: 0 } },
      },
      {
        ...shared,
        test: {
          ...unit,
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...measuring],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
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
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
