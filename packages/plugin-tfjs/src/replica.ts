// What the threads of MirroredStrategy run: the one that watches, and the replicas.
import { workerData } from 'node:worker_threads'
import type { ReplicaStart, WatchStart } from './mirrored/messages.js'

const start = workerData as ReplicaStart | WatchStart
if (start.role === 'watch') (await import('./mirrored/watch.js')).watch(start, new URL(import.meta.url))
else await (await import('./mirrored/replica.js')).serve(start)
