import { stepDecorator } from './protocol.js'

/** Marks a method of a flow as one of its steps. Other decorators of replacing kind belong above it. */
export const step = stepDecorator('@step', (method) => ({ kind: 'step', method }))
