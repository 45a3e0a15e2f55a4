import type { GangTimeouts } from './contract.js'

export const defaultTimeouts: GangTimeouts = {
  provision: 600_000,
  join: 60_000,
  setup: 600_000,
  teardown: 300_000,
  lease: 5_000,
  launcher: 120_000,
  settle: 300,
  stopGrace: 500,
  linger: 30_000,
  collective: 600_000,
}
