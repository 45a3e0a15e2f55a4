/** Codes of the choice of a backend. */
export const backendCodes = {
  E_TF_MISSING: '@tensorflow/tfjs is not installed where the flow is',
  E_TF_COPIES: 'there is more than one @tensorflow/tfjs-core',
  E_TF_BACKEND: 'a backend that was asked for is not there on every member, or has no such name',
  E_TF_FELL_BACK: 'a backend is installed but could not be begun, and TensorFlow.js went on with another',
  E_TF_MEMBERS: 'the members have different versions of TensorFlow.js',
  E_TF_BUILD: 'tfjs-node could not be built',
} as const
