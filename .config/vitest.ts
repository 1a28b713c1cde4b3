import { defineConfig } from 'vitest/config';

const root = new URL('..', import.meta.url).pathname;

export default defineConfig({
  root,
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/soak/**', 'node_modules/**'],
    globalSetup: ['test/support/redis-for-all.ts'],
    // Most of the time the tests wait, for lives to pass and processes to start: five at once fit on two cores.
    maxWorkers: 5,
    // The daemons and commands that tests start, some hundred, compile the same files: half of their start.
    env: { NODE_COMPILE_CACHE: `${root}node_modules/.cache/evertoken-compile` },
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
