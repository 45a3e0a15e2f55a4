import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { HoldRequest } from './contract.js'
import { portError } from './errors.js'

/** The numeric address of a request to hold a port; empty for all. */
export async function addressOf(request: HoldRequest): Promise<string> {
  if (request.host === undefined || isIP(request.host)) return request.host ?? ''
  try {
    return (await lookup(request.host)).address
  } catch (cause) {
    throw portError({ host: request.host }, (cause as NodeJS.ErrnoException).code ?? 'ENOTFOUND')
  }
}
