import { expect, test } from 'vitest';
import { SharedLifetimes } from '../../src/store/lifetimes.ts';
import { sharedRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const LIFE = {
  shortestMs: 3_600_000,
  meanMs: 4_500_000,
  longestMs: 5_400_000,
  count: 9,
  at: 1_800_000_000_000,
};

async function store() {
  const { redis, keys } = await openStore(sharedRedis());
  return { redis, keys, lifetimes: new SharedLifetimes(redis, keys) };
}

test('what is written of some clients is read by all, and leaves the others as they are', async () => {
  const { redis, keys, lifetimes } = await store();
  expect(await lifetimes.read()).toEqual(new Map());
  await lifetimes.write(new Map([['billing', LIFE]]));
  await lifetimes.write(new Map([['mail', { ...LIFE, meanMs: 4_000_000 }]]));
  const other = new SharedLifetimes(redis, keys);
  expect(await other.read()).toEqual(
    new Map([
      ['billing', LIFE],
      ['mail', { ...LIFE, meanMs: 4_000_000 }],
    ]),
  );
  await lifetimes.write(new Map());
  expect((await other.read()).size).toBe(2);
});

test('what cannot be read counts as nothing, and is replaced', async () => {
  const { redis, keys, lifetimes } = await store();
  await redis.hset(keys.lifetimes, 'broken', '{', 'odd', '{"meanMs":-1}', 'billing', JSON.stringify(LIFE));
  expect([...(await lifetimes.read()).keys()]).toEqual(['billing']);
  await lifetimes.write(new Map([['broken', LIFE]]));
  expect((await lifetimes.read()).get('broken')).toEqual(LIFE);
});

test('clients that nobody has any more are dropped', async () => {
  const { lifetimes } = await store();
  await lifetimes.write(
    new Map([
      ['billing', LIFE],
      ['gone', LIFE],
    ]),
  );
  await lifetimes.drop(new Set(['billing', 'new']));
  expect([...(await lifetimes.read()).keys()]).toEqual(['billing']);
  await lifetimes.drop(new Set(['billing']));
});
