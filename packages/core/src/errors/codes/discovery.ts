/** Codes of discovery: `E_NAME: 'one-line meaning'`. */
export const discoveryCodes = {
  E_DISCOVERY_CONTRADICTION: 'variables of the engine that placed this process do not agree; the message names them',
  E_DISCOVERY_MISSING: 'a variable or file that an engine gives every process of a job is not there',
  E_DISCOVERY_SEVERAL: 'the environment has the variables of several engines',
  E_DISCOVERY_SHAPE: 'a job has a shape in which no gang can be formed, such as components of Slurm',
  E_DISCOVERY_VALUE: 'a variable of an engine is not what the engine writes',
} as const
