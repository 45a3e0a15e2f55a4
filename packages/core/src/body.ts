// A body process. Compiled to CommonJS, unlike other entries: Node starts that sooner.
import { dirname } from 'node:path'
import { loadCompiled } from './body/load-shared.js'

const core = loadCompiled(__dirname, 'shared', dirname(process.argv[4]!))
;(core['startBody'] as (core: Record<string, unknown>) => void)(core)
