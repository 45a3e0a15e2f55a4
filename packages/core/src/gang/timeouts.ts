import type { GangTimeouts } from './contract.js'

export const defaultTimeouts: GangTimeouts = {
  start: 60_000,
  lease: 5_000,
  launcher: 60_000,
  settle: 300,
  stopGrace: 500,
  linger: 30_000,
  collective: 600_000,
}
