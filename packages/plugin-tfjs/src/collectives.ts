/** Collectives over the bodies of a gang. */
export {}
