import { type ErrorFacts, GangflowError, messageOf } from '../errors/base.js'

/** The facts that travel for whatever a handler threw. */
export function factsOf(thrown: unknown, method: string): ErrorFacts {
  if (GangflowError.is(thrown)) return thrown.toJSON()
  return { code: 'E_PEER_FAULT', what: `'${method}' failed: ${messageOf(thrown)}` }
}

export function abandoned(method: string, reason: string): GangflowError {
  return new GangflowError({ code: 'E_PEER_ABORTED', what: `'${method}' was given up: ${reason}` })
}

export function late(
  method: string,
  request: { readonly timeoutMs?: number; readonly waitsFor?: string },
  name: string,
): GangflowError {
  return new GangflowError({
    code: 'E_PEER_TIMEOUT',
    what: `'${method}' waited ${request.timeoutMs} ms for ${request.waitsFor ?? name} and had no answer`,
    fix: 'raise its timeout where so long a wait is meant',
  })
}

export function unknownMethod(method: string): GangflowError {
  return new GangflowError({
    code: 'E_PROTOCOL_METHOD',
    what: `nothing here answers '${method}'`,
    fix: 'use the same version of @gangflow/core and of the plugin on all hosts',
  })
}

export function strange(t: string, name: string): GangflowError {
  return new GangflowError({ code: 'E_PROTOCOL_HELLO', what: `${name} sent '${t}' where none is awaited` })
}
