import { optionChecks } from '@gangflow/core/plugin'

export const { wrong, onlyKnown, duration } = optionChecks({ code: 'E_MPI_OPTION' })
