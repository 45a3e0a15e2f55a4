/** Codes of the compile rooms: `E_NAME: 'one-line meaning'`. */
export const compileCodes = {
  E_FLOW_FILE: 'a flow file that does not exist, is a folder, or is neither TypeScript nor JavaScript',
  E_COMPILE: 'source that does not compile',
  E_IMPORT: 'an import that leads nowhere',
  E_PACKAGE_TYPESCRIPT: 'a package that offers TypeScript source instead of JavaScript',
  E_CORE_MISSING: 'a flow in whose folder no @gangflow/core is installed',
  E_CORE_INCOMPATIBLE: 'a @gangflow/core that was not built, or of a version that this one cannot start',
  E_TWO_CORES: 'two copies of @gangflow/core in one flow',
  E_FLOW_LOAD: 'a flow file that threw, exited or crashed while it was loaded',
  E_FLOW_LOAD_TIMEOUT: 'a flow file that takes too long to load',
  E_NO_FLOW: 'a file that exports no flow',
  E_SEVERAL_FLOWS: 'a file that exports several flows and none as its default',
  E_RUNTIME_NODE: 'a host without a Node that serves, where the Node of this machine cannot be sent',
  E_RUNTIME_CHANGED: 'a file of core or of Node that changed while it was sent to a host',
} as const
