import { defineStepDecorator } from '@gangflow/core/plugin'

declare module '@gangflow/core' {
  interface CurrentNamespaces {
    readonly fake: { readonly answer: 42 }
  }
}

export interface FakeOptions {
  readonly port?: number
}

/** All options may be left out. */
export const fake = defineStepDecorator<FakeOptions, 'fake'>({
  name: 'fake',
  apiVersion: 1,
  namespace: 'fake',
  options: ['port'],
  needs: ({ port }) => ({ body: 'all', ports: port === undefined ? [] : ['main'] }),
  setup: async () => ({ answer: 42 }),
  wrap: async (gang, { port }, next) => {
    await gang.barrier(String(port))
    await next()
  },
})

/** One option is required. */
export const needy = defineStepDecorator<{ readonly must: boolean }>({ name: 'needy', apiVersion: 1 })

defineStepDecorator<FakeOptions, 'fake'>({
  name: 'fake',
  apiVersion: 1,
  namespace: 'fake',
  // @ts-expect-error no such option
  options: ['prt'],
  // @ts-expect-error not what the namespace holds
  setup: async () => ({ answer: 43 }),
})
