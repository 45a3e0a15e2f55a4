import { bodyMain } from '../body/main.js'
import { makeContext } from '../gang/context/make-context.js'

/** A body process, from its start to its end; `core` is what a flow imports. */
export const startBody = (core: Record<string, unknown>): Promise<void> => bodyMain({ makeContext, core })
