import { afterAll, describe, expect, it } from 'vitest'
import { cleanUp, doneOf, gangFlow, runFlowGang } from '../support/gang.js'

afterAll(cleanUp)

describe('a gang of four', () => {
  it('knows itself', async () => {
    const file = gangFlow(
      `this.out = { n: p.numNodes, i: p.nodeIndex, c: p.isControl }; console.log('hello from', p.nodeIndex)`,
    )
    const { gang, outcome } = await runFlowGang(file)
    const done = doneOf(outcome, gang)
    expect(done.nodes!.map(({ node }) => node)).toEqual([0, 1, 2, 3])
  })
})
