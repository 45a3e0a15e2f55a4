/** A word in single quotes, as sh, bash, zsh, csh and fish read it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** A word as a shell reads it: bare where it can be, as people write it. */
export const shellWord = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : quoted(text))
