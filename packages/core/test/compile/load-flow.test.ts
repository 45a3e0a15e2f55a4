import { describe, expect, it } from 'vitest'
import { flowOf, loadError } from '../../src/compile/load-flow.js'
import { flowBrand } from '../../src/flow/brand.js'

const flow = (name: string) => {
  const made = { [name]: class {} }[name]!
  Object.defineProperty(made.prototype, flowBrand, { value: true })
  return made
}
const [Train, Other] = [flow('Train'), flow('Other')]

describe('the flow among the exports', () => {
  it.each([
    ['the default one, beside others', { default: Train, Other }],
    ['the only one, beside what is no flow', { Train, helper: () => 1, text: 'x' }],
    ['one under two names', { Train, Again: Train }],
    ['module.exports = Train', { default: Train }],
    ['exports.default = Train', { default: { default: Train, __esModule: true } }],
    ['exports.Train = Train', { default: { Train } }],
  ])('%s', (_, exports) => {
    expect(flowOf(exports, '/flow.ts')).toBe(Train)
  })

  it('several without a default are refused by name', () => {
    expect(() => flowOf({ Train, Other, x: 1 }, '/flow.ts')).toThrow(
      expect.objectContaining({ code: 'E_SEVERAL_FLOWS', details: { file: '/flow.ts', flows: ['Train', 'Other'] } }),
    )
  })

  it.each([
    ['nothing', {}, 'it exports nothing'],
    ['no flow', { default: 3, helper: () => 1 }, 'default, helper'],
  ])('%s is refused', (_, exports, what) => {
    expect(() => flowOf(exports, '/flow.ts')).toThrow(expect.objectContaining({ code: 'E_NO_FLOW' }))
    expect(() => flowOf(exports, '/flow.ts')).toThrow(what)
  })
})

describe('a package that is missing where the flow is loaded', () => {
  it.each([
    ["Cannot find package 'left-pad' imported from /x/node_modules/user/index.js", 'left-pad'],
    ["Cannot find module '@scope/name/deep.js'\nRequire stack:\n- /x/index.js", '@scope/name'],
  ])('is named with the option that sends it: %s', (message, name) => {
    expect(loadError(new Error(message), '/flow.ts').fix).toContain(`package.include: ['node_modules/${name}']`)
  })

  it('is not one that is asked for by a path', () => {
    for (const path of ['/x/y.js', './y.js']) {
      expect(loadError(new Error(`Cannot find module '${path}'`), '/flow.ts').fix).not.toContain('package.include')
    }
  })
})
