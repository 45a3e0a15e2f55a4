/** JSON-able. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/** A serializer for values that core cannot save, contributed by a plugin. */
export interface ArtifactCodec<T = unknown> {
  readonly name: string
  matches(value: unknown): value is T
  encode(value: T): Promise<Uint8Array> | Uint8Array
  decode(bytes: Uint8Array): T
}
