export { launcher } from './composition/launcher.js'
