/** Codes of the datastore rooms: `E_NAME: 'one-line meaning'`. */
export const datastoreCodes = {
  E_DATASTORE_LOCATION: 'a location that names no datastore',
  E_DATASTORE_SHARED: 'other users may write the datastore’s directory',
  E_DATASTORE_FULL: 'no space is left for the datastore',
  E_DATASTORE_PERMISSION: 'the datastore may not be read or written',
  E_DATASTORE_FILESYSTEM: 'the file system cannot create a record safely',
  E_DATASTORE_IO: 'the disk or mount below the datastore failed',
  E_DATASTORE_CORRUPT: 'a record or blob is not what was written',
  E_DATASTORE_BLOB_MISSING: 'a blob that a record names is not there',
  E_DATASTORE_KEY: 'a name that cannot be part of a key',
  E_ARTIFACT_UNSUPPORTED: 'an artifact holds what cannot be saved',
  E_ARTIFACT_CODEC: 'the codec of an artifact is missing or failed',
  E_ARTIFACT_CORRUPT: 'the bytes of an artifact cannot be decoded',
  E_ARTIFACT_UNKNOWN: 'no artifact has this name',
  E_NOT_FOUND: 'no flow, run, step or task has this name',
  E_TASK_NOT_DONE: 'artifacts were read of a task that has not ended well',
  E_GC_KEEP: 'a number of runs to keep that is none',
} as const
