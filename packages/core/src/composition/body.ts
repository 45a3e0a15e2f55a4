import { bodyMain } from '../body/main.js'
import { makeContext } from '../gang/context/make-context.js'

/** A body process, from its start to its end. */
export const startBody = (): Promise<void> => bodyMain({ makeContext })
