// An agent: `node agent.cjs [FOLDER]`, FOLDER keeps its compiled form. CommonJS, because Node starts that sooner.
import { loadCompiled } from './body/load-shared.js'

const { startAgent } = loadCompiled(__dirname, 'agent-main', process.argv[2]) as { startAgent(): Promise<never> }
void startAgent()
