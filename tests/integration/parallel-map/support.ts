/** How much longer than on a quiet machine something may take. */
export const slack = Number(process.env['GANGFLOW_SLACK'] ?? 4)
