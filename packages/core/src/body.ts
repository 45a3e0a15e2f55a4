// A body process. Compiled to CommonJS, unlike other entries: Node starts that sooner.
import { dirname } from 'node:path'
import { loadShared } from './body/load-shared.js'

const core = loadShared(__dirname, dirname(process.argv[4]!))
;(core['startBody'] as (core: Record<string, unknown>) => void)(core)
