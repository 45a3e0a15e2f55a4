import { checkFunction } from './begin-map.js'
import { capture } from './capture/capture.js'
import { registerOwn } from './capture/own.js'
import * as given from './exports.js'
import type { Program } from './protocol.js'
import { rebuild } from './worker/rebuild.js'

/** A function with all that it uses, as data that a thread's message can carry. */
export interface CapturedFunction {
  readonly program: unknown
}

/**
 * Captures a function with the variables that it uses, as `parallelMap` does, for a thread of this process: send the
 * result by a message, and call `rebuildFunction` there. Throws `E_MAP_CAPTURE`, `E_MAP_READONLY`, `E_MAP_OPTION`.
 */
export async function captureFunction(fn: unknown): Promise<CapturedFunction> {
  checkFunction(fn)
  return { program: (await capture(fn, 'thread')).program }
}

/** The function made anew in this thread, with copies of what it captured, which are read-only. */
export async function rebuildFunction(captured: CapturedFunction): Promise<(...given: never[]) => unknown> {
  const own = async (name: string): Promise<unknown> => (given as Readonly<Record<string, unknown>>)[name]
  return (await rebuild(captured.program as Program, own)) as (...given: never[]) => unknown
}

registerOwn({ captureFunction, rebuildFunction })
