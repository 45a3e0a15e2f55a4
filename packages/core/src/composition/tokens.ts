import type { InjectionToken } from 'tsyringe'
import type { Datastore } from '../datastore/contract.js'
import type { BackendFactory } from '../gang/contract.js'
import type { Capacity } from '../runtime/admission.js'
import type { RunServices } from '../runtime/run.js'
import type { Settings } from './settings.js'

const token = <T>(name: string): InjectionToken<T> => Symbol(name)

/** What a run's container holds. */
export const tokens = {
  settings: token<Settings>('settings'),
  datastore: token<Datastore>('datastore'),
  backend: token<Promise<BackendFactory>>('backend'),
  capacity: token<Capacity>('capacity'),
  services: token<Promise<RunServices>>('services'),
} as const
