// The describe process (DESIGN D14): loads a flow and says as plain data what it is.
import { serveDescribe } from './compile/describe-child.js'

await serveDescribe()
