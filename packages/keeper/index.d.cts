/** `linux-x64`, `linux-arm64`, …: the part of a platform package's name that differs. */
export declare const platform: string
/**
 * Absolute path of the helper, or undefined where there is none for this platform. The environment variable
 * GANGFLOW_KEEPER overrides it; `none` stands for no helper.
 */
export declare function keeperBinary(): string | undefined
