import keeper from './index.cjs'

export const { platform, keeperBinary } = keeper
