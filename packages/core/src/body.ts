import { bodyMain } from './body/main.js'
import { GangflowError } from './errors/base.js'

await bodyMain({
  makeContext: ({ step }) => {
    throw new GangflowError({ code: 'E_CURRENT_NO_GANG', what: `step '${step.name}' has no gang`, step: step.name })
  },
})
