/** Where maps say how far they are, as a `MapProgress`, for whoever listens in this process (`node:diagnostics_channel`). */
export const progressChannel = 'gangflow:map'
