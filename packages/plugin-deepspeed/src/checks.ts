import { optionChecks } from '@gangflow/core/plugin'

export const { wrong, onlyKnown } = optionChecks({ code: 'E_DEEPSPEED_OPTION' })
