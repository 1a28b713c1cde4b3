/**
 * @peculiar/x509 refuses to load without the Reflect metadata API, and asks it only for what the constructors of its own
 * classes want injected: nothing. Import this file before it.
 */
Object.assign(Reflect, { getMetadata: () => undefined, getOwnMetadata: () => undefined });
