// What piscina and tinypool run. It loads nothing else: their start-up is measured with it.
export * from './tasks.mjs'
