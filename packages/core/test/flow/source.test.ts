import { describe, expect, it } from 'vitest'
import { FlowSpec, step } from '../../src/index.js'
import { complaint, complaintsOf, describeHere } from './helpers.js'

abstract class Base extends FlowSpec {
  good = true
  items = [1]
  way = 'x'
  @step a() {
    this.next(this.end)
  }
  @step b() {
    this.next(this.end)
  }
  @step end() {}
}

const cases: Record<string, [code: string, fix: RegExp, flow: () => new () => FlowSpec]> = {
  'no transition': [
    'E_NEXT_COUNT',
    /this\.next\(this\.end\)/,
    () =>
      class Flow extends Base {
        @step start() {}
      },
  ],
  'two transitions': [
    'E_NEXT_COUNT',
    /this\.next\(this\.a, this\.b\)/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a)
          this.next(this.b)
        }
      },
  ],
  'one in each branch of an if': [
    'E_NEXT_COUNT',
    /this\.choice = \(this\.good\) \? 'yes' : 'no'; this\.next\(\{ yes: this\.a, no: this\.b \}, \{ condition: 'choice' \}\)/,
    () =>
      class Flow extends Base {
        @step start() {
          if (this.good) this.next(this.a)
          else this.next(this.b)
        }
      },
  ],
  'one under an if': [
    'E_NEXT_CONDITIONAL',
    /switch/,
    () =>
      class Flow extends Base {
        @step start() {
          if (this.good) {
            this.next(this.a)
          }
        }
      },
  ],
  'one under &&': [
    'E_NEXT_CONDITIONAL',
    /switch/,
    () =>
      class Flow extends Base {
        @step start() {
          this.good && this.next(this.a)
        }
      },
  ],
  'one in a try with a catch': [
    'E_NEXT_CONDITIONAL',
    /after the try, at the end of start/,
    () =>
      class Flow extends Base {
        @step start() {
          try {
            this.next(this.a)
          } catch {}
        }
      },
  ],
  'one in a loop': [
    'E_NEXT_CONDITIONAL',
    /foreach/,
    () =>
      class Flow extends Base {
        @step start() {
          for (const _ of this.items) this.next(this.a)
        }
      },
  ],
  'one in a callback': [
    'E_NEXT_CONDITIONAL',
    /call it in start itself/,
    () =>
      class Flow extends Base {
        @step start() {
          setImmediate(() => this.next(this.a))
        }
      },
  ],
  'a return before it': [
    'E_NEXT_CONDITIONAL',
    /switch/,
    () =>
      class Flow extends Base {
        @step start() {
          if (this.good) return
          this.next(this.a)
        }
      },
  ],
  'one in a helper': [
    'E_NEXT_HELPER',
    /in start itself/,
    () =>
      class Flow extends Base {
        @step start() {
          this.go()
        }
        go() {
          this.next(this.a)
        }
      },
  ],
  'one left to super': [
    'E_NEXT_HELPER',
    /write the this\.next\(…\) of a here/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a, this.b)
        }
        @step override a() {
          super.a()
        }
      },
  ],
  'next passed on': [
    'E_NEXT_SHAPE',
    /literally/,
    () =>
      class Flow extends Base {
        @step start() {
          const next = this.next.bind(this)
          next(this.a)
        }
      },
  ],
  'computed options': [
    'E_NEXT_SHAPE',
    /literally/,
    () =>
      class Flow extends Base {
        @step start() {
          const options = { foreach: 'items' } as const
          this.next(this.a, options)
        }
      },
  ],
  'spread options': [
    'E_NEXT_SHAPE',
    /literally/,
    () =>
      class Flow extends Base {
        @step start() {
          const options = { foreach: 'items' } as const
          this.next(this.a, { ...options })
        }
      },
  ],
  'a computed foreach': [
    'E_NEXT_SHAPE',
    /name the artifact/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a, { foreach: this.way as 'items' })
        }
      },
  ],
  'a computed condition': [
    'E_NEXT_SHAPE',
    /name the artifact/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next({ x: this.a }, { condition: this.way as 'way' })
        }
      },
  ],
  'a computed target': [
    'E_NEXT_SHAPE',
    /literally/,
    () =>
      class Flow extends Base {
        @step start() {
          const to = this.a
          this.next(to)
        }
      },
  ],
  'cases without a condition': [
    'E_NEXT_SHAPE',
    /condition: 'mode'/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next({ x: this.a } as never)
        }
      },
  ],
  'an unknown option': [
    'E_NEXT_SHAPE',
    /valid options: foreach/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a, { forEach: 'items' } as never)
        }
      },
  ],
  'reuse without a foreach': [
    'E_NEXT_SHAPE',
    /foreach: 'items', reuse: true/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a, { numParallel: 2, reuse: true } as never)
        }
      },
  ],
  'a step named twice': [
    'E_NEXT_SHAPE',
    /foreach/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a, this.a)
        }
      },
  ],
  'numParallel: 0': [
    'E_NUM_PARALLEL',
    /whole number >= 1/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a, { numParallel: 0 })
        }
      },
  ],
  'numParallel: -1': [
    'E_NUM_PARALLEL',
    /whole number >= 1/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a, { numParallel: -1 })
        }
      },
  ],
  "numParallel: '4'": [
    'E_NUM_PARALLEL',
    /whole number >= 1/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a, { numParallel: '4' as never })
        }
      },
  ],
  'a generator': [
    'E_STEP_GENERATOR',
    /write 'start/,
    () =>
      class Flow extends Base {
        // biome-ignore lint/correctness/useYield: that it is a generator is what is wrong
        @(step as unknown as (value: unknown, context: unknown) => void) *start() {
          this.next(this.a)
        }
      },
  ],
  'a step that goes on after the end': [
    'E_NEXT_AT_END',
    /remove/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.end)
        }
        @step override end() {
          this.next(this.a)
        }
      },
  ],
  'a wrapper under @step': [
    'E_STEP_WRAPPED',
    /directly above the method/,
    () =>
      class Flow extends Base {
        @step
        @wrap
        start() {
          this.next(this.a)
        }
      },
  ],
  'a wrapping arrow under @step': [
    'E_STEP_WRAPPED',
    /directly above the method/,
    () =>
      class Flow extends Base {
        @step
        @wrapByArrow
        start() {
          this.next(this.a)
        }
      },
  ],
  'an override without @step': [
    'E_STEP_OVERRIDE',
    /write @step above a there too/,
    () =>
      class Flow extends Base {
        @step start() {
          this.next(this.a)
        }
        override a() {
          this.next(this.b)
        }
      },
  ],
}

function wrap(method: (this: FlowSpec) => void) {
  return function (this: FlowSpec) {
    return method.call(this)
  }
}

function wrapByArrow(method: (this: FlowSpec) => void) {
  return () => method.call({} as FlowSpec)
}

describe('complaints about a step’s source', () => {
  it.each(Object.entries(cases))('%s', (_, [code, fix, make]) => {
    const found = complaint(make(), code)
    expect(found.fix).toMatch(fix)
    expect(found.step).toBeTruthy()
    expect(found.location).toMatchObject({ file: expect.stringContaining('source.test.ts'), line: expect.any(Number) })
  })

  it('says one thing once, and nothing about what follows from it', () => {
    // Without keep-names esbuild leaves a class expression no name.
    for (const name of [
      'no transition',
      'one in a helper',
      'computed options',
      'a wrapper under @step',
      'next passed on',
    ])
      expect(complaintsOf(cases[name]![2]()).filter((one) => one !== 'E_FLOW_NAME')).toEqual([
        `${cases[name]![0]} start`,
      ])
  })
})

describe('what looks like a second transition and is none', () => {
  it('strings, comments, other objects and nested classes', () => {
    class Flow extends Base {
      other = { next: (_: unknown) => {} }
      @step start() {
        // this.next(this.b)
        const text = `this.next(this.b) ${'this.next(this.b)'}`
        this.other.next(text)
        class Inner {
          next(_: unknown) {}
          go() {
            this.next(text)
          }
        }
        new Inner().go()
        this.next(this.a)
      }
    }
    expect(describeHere(Flow).steps.find(({ name }) => name === 'start')!.transition).toEqual({
      kind: 'linear',
      target: 'a',
    })
    expect(complaintsOf(Flow)).toEqual(['E_GRAPH_UNREACHABLE b'])
  })

  it('a wrapper above @step, a mixin, a private field and `using`', () => {
    const mixin = (base: typeof Base) => {
      abstract class Mixed extends base {
        @step start() {
          this.next(this.a, this.b)
        }
      }
      return Mixed
    }
    class Flow extends mixin(Base) {
      #secret = 1
      @wrap
      @step
      override a() {
        this.good = this.#secret > 0
        this.next(this.join)
      }
      @step override b() {
        using _ = { [Symbol.dispose]() {} }
        this.next(this.join)
      }
      @step join(_inputs: readonly unknown[]) {
        this.next(this.end)
      }
    }
    expect(complaintsOf(Flow)).toEqual([])
  })
})
