import { expect, onTestFinished, test } from 'vitest';
import { Churn } from '../bench/churn.ts';
import { sharedRedis } from '../support/redis.ts';

test('keeps as many keys after 100 cycles of targets that come and go as after 10', async () => {
  const { url, namespace } = sharedRedis();
  const churn = await Churn.start(url, namespace);
  onTestFinished(() => churn.stop());
  for (let i = 0; i < 10; i++) await churn.cycle();
  const early = await churn.keys();
  for (let i = 10; i < 100; i++) await churn.cycle();
  expect(await churn.keys()).toEqual(early);
});
