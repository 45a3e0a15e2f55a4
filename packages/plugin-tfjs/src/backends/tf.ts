/** The module `@tensorflow/tfjs`, as a program imports it. */
export type Tf = typeof import('@tensorflow/tfjs')
