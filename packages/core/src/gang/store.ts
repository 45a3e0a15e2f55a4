import type { GangTimeouts } from './contract.js'

/** In place of a datastore's location: the members reach it through the owner. */
export const RELAYED = 'relay:'

/** Milliseconds that the datastore may take to get on with one request: an owner that was paused is no fault of it. */
export const storeSilence = (timeouts: GangTimeouts): number => timeouts.launcher

/** Milliseconds without a sign of the owner until a member gives up a request; the owner tells of its datastore first. */
export const hostSilence = (timeouts: GangTimeouts): number => storeSilence(timeouts) + 2 * timeouts.lease
