/** Parts of core that few processes use. */
type Part = 'gang'

const holder = globalThis as { [key: symbol]: Set<Part> | undefined }
const key = Symbol.for('@gangflow/core/used-parts')

/** Says that this process uses a part: the compiled form of core that it leaves then has it too. */
export function usePart(part: Part): void {
  holder[key] = usedParts().add(part)
}

/** Known across the bundles of core: what loads one is in another. */
export const usedParts = (): Set<Part> => holder[key] ?? new Set()
