import { describe, expect, it } from 'vitest'
import { FlowSpec, type Inputs, step } from '../../src/index.js'
import { complaint, complaintsOf, describeHere } from './helpers.js'

/** Every kind of split, nested: a gang in a foreach in a branch, a switch that leads back. */
class Whole extends FlowSpec {
  items = [1]
  state = 'again'
  n = 2
  @step start() {
    this.next(this.a, this.b)
  }
  @step a() {
    this.next(this.each, { foreach: 'items' })
  }
  @step each(_item: number) {
    this.next(this.train, { numParallel: this.n })
  }
  @step train() {
    this.next(this.afterTrain)
  }
  @step afterTrain(_inputs: Inputs<Whole>) {
    this.next({ again: this.tune, done: this.ready }, { condition: 'state' })
  }
  @step async tune() {
    await null
    return this.next({ again: this.tune, 2: this.ready }, { condition: `state` })
  }
  @step ready() {
    this.next(this.joinEach)
  }
  @step joinEach(_inputs: Inputs<Whole>) {
    this.next(this.join)
  }
  @step b() {
    this.next(this['join'])
  }
  @step join(_inputs: Inputs<Whole, 'joinEach' | 'b'>) {
    this.next(this.end)
  }
  @step end() {}
}

describe('a sound graph', () => {
  const description = describeHere(Whole)
  const byName = Object.fromEntries(description.steps.map((one) => [one.name, one]))

  it('has no complaints', () => expect(description.complaints).toEqual([]))

  it('lists the steps in order of declaration', () =>
    expect(description.steps.map(({ name }) => name)).toEqual([
      'start',
      'a',
      'each',
      'train',
      'afterTrain',
      'tune',
      'ready',
      'joinEach',
      'b',
      'join',
      'end',
    ]))

  it('reads every kind of transition', () =>
    expect(description.steps.map(({ transition }) => transition)).toEqual([
      { kind: 'branch', targets: ['a', 'b'] },
      { kind: 'foreach', target: 'each', artifact: 'items', reuse: false },
      { kind: 'gang', target: 'train', size: null },
      { kind: 'linear', target: 'afterTrain' },
      { kind: 'switch', cases: { again: 'tune', done: 'ready' }, condition: 'state' },
      { kind: 'switch', cases: { again: 'tune', 2: 'ready' }, condition: 'state' },
      { kind: 'linear', target: 'joinEach' },
      { kind: 'linear', target: 'join' },
      { kind: 'linear', target: 'join' },
      { kind: 'linear', target: 'end' },
      { kind: 'end' },
    ]))

  it('knows joins, what they close, and who leads where', () => {
    expect(description.steps.filter(({ join }) => join).map(({ name, closes }) => [name, closes])).toEqual([
      ['afterTrain', 'each'],
      ['joinEach', 'a'],
      ['join', 'start'],
    ])
    expect(byName['tune']!.from).toEqual(['afterTrain', 'tune'])
    expect(byName['join']!.from).toEqual(['joinEach', 'b'])
  })

  it('knows the gang step by its transition alone', () => {
    expect(byName['train']!.gang).toEqual({})
    expect(description.steps.filter(({ gang }) => gang)).toHaveLength(1)
  })
})

describe('shape', () => {
  const shapes = (flowClass: typeof Whole) => describeHere(flowClass).steps.map(({ shape }) => shape)

  it('stays when only code changes, and not when a transition does', () => {
    class Same extends Whole {
      @step override b() {
        console.log('a fixed bug')
        this.next(this.join)
      }
    }
    class Other extends Whole {
      @step override a() {
        this.next(this.each, { foreach: 'others' as 'items' })
      }
    }
    expect(shapes(Same as typeof Whole)).toEqual(shapes(Whole))
    const changed = shapes(Other as typeof Whole).map((shape, index) => shape !== shapes(Whole)[index])
    expect(changed).toEqual([false, true, ...Array(9).fill(false)])
  })
})

describe('complaints about the graph', () => {
  it('start or end missing, with the likely misspelling', () => {
    class Flow extends FlowSpec {
      @step strat() {
        this.next(this.end)
      }
      end() {}
    }
    expect(complaintsOf(Flow)).toEqual(['E_STEP_MISSING', 'E_STEP_MISSING', 'E_NEXT_TARGET strat'])
    const [start, end] = describeHere(Flow).complaints
    expect(start!.fix).toContain('rename strat')
    expect(end!.fix).toBe('mark its method end with @step')
  })

  it('no step at all', () => {
    class Flow extends FlowSpec {}
    expect(complaintsOf(Flow)[0]).toBe('E_STEP_MISSING')
  })

  it('an unknown target', () => {
    class Flow extends FlowSpec {
      @step start() {
        this.next((this as unknown as { fitt: () => void }).fitt)
      }
      @step fit() {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaint(Flow, 'E_NEXT_TARGET')).toMatchObject({ step: 'start', fix: 'did you mean this.fit?' })
  })

  it('an unreachable step', () => {
    class Flow extends FlowSpec {
      @step start() {
        this.next(this.end)
      }
      @step lost() {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toEqual(['E_GRAPH_UNREACHABLE lost'])
  })

  it('branches that meet without a join', () => {
    class Flow extends FlowSpec {
      @step start() {
        this.next(this.a, this.b)
      }
      @step a() {
        this.next(this.end)
      }
      @step b() {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toEqual(['E_GRAPH_JOIN end'])
    expect(complaint(Flow, 'E_GRAPH_JOIN').fix).toContain("end(inputs: Inputs<MyFlow, 'a' | 'b'>)")
  })

  it('a foreach that is never joined', () => {
    class Flow extends FlowSpec {
      items = [1]
      @step start() {
        this.next(this.fit, { foreach: 'items' })
      }
      @step fit(_item: number) {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toEqual(['E_GRAPH_UNJOINED start'])
  })

  it('a join that leaves out a branch', () => {
    class Flow extends FlowSpec {
      @step start() {
        this.next(this.a, this.b, this.c)
      }
      @step a() {
        this.next(this.join)
      }
      @step b() {
        this.next(this.join)
      }
      @step c() {
        this.next(this.end)
      }
      @step join(_inputs: Inputs<Flow>) {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toContain('E_GRAPH_JOIN join')
    expect(complaint(Flow, 'E_GRAPH_JOIN')).toMatchObject({ step: 'end' })
  })

  it('an inner split that leaks into the outer join', () => {
    class Flow extends FlowSpec {
      items = [1]
      @step start() {
        this.next(this.a, this.b)
      }
      @step a() {
        this.next(this.fit, { foreach: 'items' })
      }
      @step fit(_item: number) {
        this.next(this.join)
      }
      @step b() {
        this.next(this.join)
      }
      @step join(_inputs: Inputs<Flow>) {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toContain('E_GRAPH_JOIN join')
    expect(complaint(Flow, 'E_GRAPH_JOIN').what).toContain('two splits at once')
  })

  it('a split joined twice', () => {
    class Flow extends FlowSpec {
      way = 'x'
      @step start() {
        this.next(this.a, this.b)
      }
      @step a() {
        // @ts-expect-error: the case of a condition takes no inputs
        this.next({ x: this.one, y: this.two }, { condition: 'way' })
      }
      @step b() {
        // @ts-expect-error: the case of a condition takes no inputs
        this.next({ x: this.one, y: this.two }, { condition: 'way' })
      }
      @step one(_inputs: Inputs<Flow>) {
        this.next(this.end)
      }
      @step two(_inputs: Inputs<Flow>) {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toEqual(['E_GRAPH_JOIN start'])
    expect(complaint(Flow, 'E_GRAPH_JOIN').what).toContain('both')
  })

  it('a gang that does not lead directly to a join', () => {
    class Flow extends FlowSpec {
      @step start() {
        this.next(this.train, { numParallel: 2 })
      }
      @step train() {
        this.next(this.between)
      }
      @step between() {
        this.next(this.join)
      }
      @step join(_inputs: Inputs<Flow>) {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toEqual(['E_GANG_JOIN train'])
    expect(complaint(Flow, 'E_GANG_JOIN').fix).toContain('between(inputs: Inputs<MyFlow>)')
  })

  it('a join straight after its split', () => {
    class Flow extends FlowSpec {
      @step start() {
        this.next(this.join, { numParallel: 2 } as never)
      }
      @step join(_inputs: Inputs<Flow>) {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toContain('E_STEP_ARGUMENT join')
  })

  it('an argument where none is given', () => {
    class Flow extends FlowSpec {
      @step start(_what?: unknown) {
        this.next(this.middle)
      }
      @step middle(_a: unknown, _b: unknown) {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toEqual(['E_STEP_ARGUMENT start', 'E_STEP_ARGUMENT middle', 'E_GRAPH_JOIN middle'])
  })

  it('a foreach target led to without an item', () => {
    class Flow extends FlowSpec {
      items = [1]
      way = 'again'
      @step start() {
        this.next(this.fit, { foreach: 'items' })
      }
      @step fit(_item: number) {
        this.next({ again: this.fit as () => void, done: this.join as () => void }, { condition: 'way' })
      }
      @step join(_inputs: Inputs<Flow>) {
        this.next(this.end)
      }
      @step end() {}
    }
    expect(complaintsOf(Flow)).toEqual(['E_STEP_ARGUMENT fit'])
  })

  it('a loop without a switch, and a switch without a way out', () => {
    class Loop extends FlowSpec {
      @step start() {
        this.next(this.a)
      }
      @step a() {
        this.next(this.start)
      }
      @step end() {}
    }
    expect(complaintsOf(Loop)).toEqual(['E_GRAPH_UNREACHABLE end', 'E_GRAPH_LOOP start'])
    class Stuck extends FlowSpec {
      way = 'x'
      @step start() {
        this.next({ x: this.a, y: this.end }, { condition: 'way' })
      }
      @step a() {
        this.next({ x: this.a, y: this.a }, { condition: 'way' })
      }
      @step end() {}
    }
    expect(complaintsOf(Stuck)).toEqual(['E_GRAPH_LOOP a'])
  })
})
