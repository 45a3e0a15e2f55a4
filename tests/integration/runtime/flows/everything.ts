import { catchError, current, FlowSpec, type Inputs, parameter, retry, step } from '@gangflow/core'

/** Every construct but the gang: nested branches and foreach, a switch that leads back, retry, catch, parameters. */
export default class Everything extends FlowSpec {
  readonly items = parameter.number({ default: 2 })
  readonly notes = parameter.file({ encoding: 'utf8', required: false })
  outer: string[] = []
  inner: number[] = []
  letter!: string
  product!: string
  pieces!: string[]
  failure!: { message: string } | undefined
  round = 0
  again!: 'yes' | 'no'
  result!: unknown

  @step start() {
    this.outer = ['a', 'b']
    this.next(this.spread, this.risky)
  }

  @step spread() {
    this.next(this.letterOf, { foreach: 'outer' })
  }

  @step letterOf(item: string) {
    this.letter = item
    this.inner = Array.from({ length: this.items }, (_, index) => index)
    this.next(this.piece, { foreach: 'inner' })
  }

  @retry({ times: 2, delay: '5ms' })
  @step
  async piece(item: number) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (item === 1 && current.attempt === 0) throw new Error('only the second attempt is good')
    this.product = `${this.letter}${item}@${current.attempt}`
    this.next(this.joinPieces)
  }

  @step joinPieces(inputs: Inputs<Everything, 'piece'>) {
    this.pieces = inputs.map((input) => input.product)
    this.next(this.joinLetters)
  }

  @step joinLetters(inputs: Inputs<Everything, 'joinPieces'>) {
    this.pieces = inputs.flatMap((input) => input.pieces)
    this.next(this.meet)
  }

  @catchError({ artifact: 'failure' })
  @step
  risky() {
    if (this.outer.length > 0) throw new TypeError('caught on purpose')
    this.next(this.meet)
  }

  @step meet(inputs: Inputs<Everything, 'joinLetters' | 'risky'>) {
    this.pieces = inputs.joinLetters.pieces
    this.failure = inputs.risky.failure
    this.round = 0
    this.next(this.turn)
  }

  @step turn() {
    this.round += 1
    this.again = this.round < 3 ? 'yes' : 'no'
    this.next({ yes: this.turn, no: this.end }, { condition: 'again' })
  }

  @step end() {
    console.log(`round ${this.round} of task ${current.task}`)
    this.result = { pieces: this.pieces, message: this.failure?.message, round: this.round, notes: this.notes }
  }
}
