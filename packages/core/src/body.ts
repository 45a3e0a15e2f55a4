import { bodyMain } from './body/main.js'
import { makeContext } from './gang/context/make-context.js'

await bodyMain({ makeContext })
