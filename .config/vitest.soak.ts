import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/soak/**/*.soak.ts'],
    globalSetup: ['test/support/redis-for-all.ts'],
    maxWorkers: 1,
    hookTimeout: 60_000,
  },
});
