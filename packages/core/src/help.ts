// Used by the build alone: prints help.json.
import { helpTexts } from './cli/help-text.js'

console.log(JSON.stringify(await helpTexts()))
