import { describe, expect, it } from 'vitest'
import type { FlowDescription } from '../../src/flow/description.js'
import { checkFlow } from '../../src/runtime/check.js'

const flow = (gang: object): FlowDescription => ({
  protocol: 1,
  name: 'Elastic',
  file: '/flow.ts',
  parameters: [],
  complaints: [],
  steps: [
    {
      name: 'train',
      location: { file: '/flow.ts', line: 7 },
      shape: '',
      transition: { kind: 'end' },
      join: false,
      from: ['start'],
      resources: {},
      environment: {},
      gang,
      plugins: [],
    },
  ],
})

describe('checkFlow', () => {
  it.each([{ minNodes: 2 }, { maxRestarts: 1 }])('refuses %j, which nothing would act on', (gang) => {
    expect(() => checkFlow(flow(gang), {})).toThrowError(/step 'train' asks for minNodes or maxRestarts/)
  })

  it('lets a gang without them pass', () => expect(() => checkFlow(flow({}), {})).not.toThrow())

  it('refuses to stop in a step that is not there', () => {
    expect(() => checkFlow(flow({}), { inspect: { step: 'tarin' } })).toThrowError(/no step 'tarin'/)
  })
})
