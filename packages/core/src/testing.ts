export type * from './flow/invocation.js'
