import { optionChecks } from '@gangflow/core/plugin'

export const { wrong, onlyKnown, duration, interpreter } = optionChecks({ code: 'E_TORCH_OPTION' })
