import { stat } from 'node:fs/promises';

/** What tells that files have changed, without reading them. */
export interface Stamp {
  readonly value: string;
  /** Changed so lately that the next change may leave no trace: clocks of file systems tick every few ms. */
  readonly young: boolean;
}

const YOUNG_MS = 1000;

/**
 * The stamp of files, each of which may be absent. Symbolic links are followed: Kubernetes renews a mounted secret by
 * pointing its `..data` link elsewhere, which changes nothing at the path itself.
 */
export async function stampOf(paths: readonly string[]): Promise<Stamp> {
  const stamps = await Promise.all(paths.map(stampFile));
  return { value: stamps.map(({ value }) => value).join(' '), young: stamps.some(({ young }) => young) };
}

async function stampFile(path: string): Promise<Stamp> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(path, { bigint: true });
    // The change of the inode: whoever sets the time of modification back cannot hide behind it.
    const young = Math.abs(Date.now() - Number(ctimeMs)) < YOUNG_MS;
    return { value: [dev, ino, size, mtimeNs, ctimeNs].join('.'), young };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return { value: typeof code === 'string' ? code : 'unreadable', young: false };
  }
}
