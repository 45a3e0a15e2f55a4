import 'reflect-metadata/lite'
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { container, type DependencyContainer, instanceCachingFactory } from 'tsyringe'
import { openBodyHost } from '../body/host.js'
import { sweepRunDirectories } from '../body/run-directory.js'
import { compileFlow } from '../compile/compile-flow.js'
import { saveValues } from '../datastore/artifacts/save.js'
import { defaultDatastore, openDatastoreSync } from '../datastore/open.js'
import type { Json } from '../flow/values.js'
import { startKeeper } from '../process/start.js'
import { keptParameters, newParameters } from '../runtime/parameters.js'
import type { RunServices } from '../runtime/run.js'
import { loadBackend } from './backends.js'
import { builtInBackends } from './built-in.js'
import { machineCapacity } from './capacity.js'
import type { Settings } from './settings.js'
import { tokens } from './tokens.js'

/** A container for one run: everything in it is made at first need, once. */
export function runContainer(settings: Settings): DependencyContainer {
  const child = container.createChildContainer()
  const { options, request } = settings
  child.register(tokens.settings, { useValue: settings })
  child.register(tokens.datastore, {
    useFactory: instanceCachingFactory(() => openDatastoreSync(options.datastore ?? defaultDatastore(request.file))),
  })
  child.register(tokens.backend, {
    useFactory: instanceCachingFactory(() => loadBackend(options.backend ?? 'local', request.file, builtInBackends)),
  })
  child.register(tokens.capacity, { useFactory: instanceCachingFactory(() => machineCapacity(options.maxWorkers)) })
  child.register(tokens.services, { useFactory: instanceCachingFactory(services) })
  return child
}

async function services(from: DependencyContainer): Promise<RunServices> {
  const { options } = from.resolve(tokens.settings)
  const backend = await from.resolve(tokens.backend)
  const datastore = from.resolve(tokens.datastore)
  return {
    datastore,
    backend: (keeper, core) =>
      backend(options.backendOptions ?? {}, { keeper, agent: join(core, 'dist', 'agent.cjs') }),
    backendName: {
      name: options.backend ?? 'local',
      options: (options.backendOptions ?? {}) as Readonly<Record<string, Json>>,
    },
    capacity: from.resolve(tokens.capacity),
    prepareGang: async (ahead) => (await import('../gang/prelude.js')).prepareGang(ahead),
    runGang: async (attempt) => (await import('../gang/run-gang.js')).runGang(attempt),
    save: async (value) => (await saveValues(datastore, [value], { label: 'caught' }))[0]!,
    compile: async (compileRequest) => ({
      ...(await compileFlow(compileRequest, datastore)),
      ...(options.package ? { package: options.package } : {}),
    }),
    startKeeper: (run) => startKeeper({ mark: run, root: true }),
    startHost: async (keeper, run) => {
      // What launchers that were killed have left; nobody waits for it.
      void sweepRunDirectories()
      const spool = datastore.scratch('spool', run)
      const host = await openBodyHost({ keeper, datastore, spool })
      // Spools go when their logs are stored; one that is left is recovered later, its folder with it.
      return {
        socket: host.socket,
        run: (task) => host.run(task),
        prepare: (spec, count) => host.prepare(spec, count),
        close: () => host.close().finally(() => rmdir(spool).catch(() => {})),
      }
    },
    parameters: (description, origin) =>
      origin
        ? keptParameters(datastore, description, origin)
        : newParameters(datastore, description, {
            values: options.parameters ?? {},
            as: options.parametersAs ?? 'value',
          }),
  }
}
