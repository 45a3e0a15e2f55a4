// What an agent loads at its first need of SSH (dist/mesh.cjs).
export { openMesh } from '../ssh/mesh.js'
