import { probe } from './probe.js'

void probe(process.argv[2] ?? '', process.argv[3] ?? '/tmp')
