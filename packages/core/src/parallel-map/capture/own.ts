const names = new Map<unknown, string>()

/** Tells the capture that a worker has this function of the package itself, by its exported name. */
export function registerOwn(functions: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(functions)) names.set(value, name)
}

export function ownName(value: unknown): string | undefined {
  return names.get(value)
}
