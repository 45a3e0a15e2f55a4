// What this package gives, told to the capture: a function that uses it has it in a worker by its name.
import { registerOwn } from './capture/own.js'
import { move } from './move.js'
import { parallelMap } from './parallel-map.js'
import { WorkerPool } from './pool.js'
import { shared } from './shared.js'
import { Vectorizer } from './vectorizer.js'

registerOwn({ move, parallelMap, shared, Vectorizer, WorkerPool })

export { move, parallelMap, shared, Vectorizer, WorkerPool }
