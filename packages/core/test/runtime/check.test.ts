import { describe, expect, it } from 'vitest'
import type { FlowDescription } from '../../src/flow/description.js'
import { checkFlow } from '../../src/runtime/check.js'

const flow: FlowDescription = {
  protocol: 1,
  name: 'Small',
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
      plugins: [],
    },
  ],
}

describe('checkFlow', () => {
  it('refuses to stop in a step that is not there', () => {
    expect(() => checkFlow(flow, { inspect: { step: 'tarin' } })).toThrowError(/no step 'tarin'/)
  })
})
