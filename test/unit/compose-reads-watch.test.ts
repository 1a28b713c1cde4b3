import { expect, test } from 'vitest';
import { HealthState } from '../../src/compose/health.ts';
import { ReadsWatch } from '../../src/compose/reads-watch.ts';
import type { Logger } from '../../src/observe/log.ts';

function scene() {
  const world = {
    why: undefined as string | undefined,
    retireUnreadAfterMs: 1 as number | undefined,
    asked: 0,
  };
  const said: string[] = [];
  const health = new HealthState();
  const log = {
    warn: ({ code, why }: { code: string; why: string }) => said.push(`${code}: ${why}`),
    info: (message: string) => said.push(message),
  } as unknown as Logger;
  const watch = new ReadsWatch({
    ...{ log, health },
    clients: () => [{ retireUnreadAfterMs: undefined }, { retireUnreadAfterMs: world.retireUnreadAfterMs }],
    whyUnknown: async () => {
      world.asked++;
      return world.why;
    },
  });
  return { watch, world, said, health };
}

test('that Redis does not tell what is read is said once, and again when it has come and gone', async () => {
  const { watch, world, said, health } = scene();
  await watch.look();
  expect(said).toEqual([]);
  world.why = 'an LFU policy';
  for (let i = 0; i < 3; i++) await watch.look();
  expect(said).toEqual(['READS_UNKNOWN: an LFU policy']);
  expect(health.has('reads-unknown')).toBe(true);
  world.why = undefined;
  await watch.look();
  expect(health.has('reads-unknown')).toBe(false);
  expect(said).toHaveLength(2);
});

test('nobody is asked, and nothing is wrong, where no client retires what is unread', async () => {
  const { watch, world, health } = scene();
  world.why = 'an LFU policy';
  await watch.look();
  world.retireUnreadAfterMs = undefined;
  await watch.look();
  expect(health.has('reads-unknown')).toBe(false);
  expect(world.asked).toBe(1);
});
