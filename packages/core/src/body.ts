// A body process. Compiled to CommonJS, unlike other entries: Node starts that sooner.
import { dirname } from 'node:path'
import { loadShared } from './body/load-shared.js'

const { startBody } = loadShared(__dirname, dirname(process.argv[4]!)) as { startBody(): void }
startBody()
