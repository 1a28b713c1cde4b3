import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import {
  answeredAt,
  CYCLE_MS,
  expectUnharmed,
  LIFETIME_MS,
  nameOf,
  probesIn,
  type Rotating,
  refusedAt,
  replaceFile,
  startRotating,
  TAKEN_UP_MS,
  temporaryFolder,
  withoutExcuse,
} from './rotating.ts';

/** Refusals without excuse, beside the probes in the time since it died. */
async function tooMany({ idp }: Rotating, dead: string, diedAt: number): Promise<number> {
  const refusals = withoutExcuse(await answeredAt(idp), nameOf(dead));
  return refusals.length - probesIn(Date.now() - diedAt);
}

async function tenantsThatRefuse({ idp }: Rotating, secret: string): Promise<number> {
  const refused = (await refusedAt(idp)).filter(({ credential }) => credential === nameOf(secret));
  return new Set(refused.map(({ tenant }) => tenant)).size;
}

test('a secret is rotated with overlap and without warning, and no reader misses a token', {
  timeout: 150_000,
}, async () => {
  const folder = temporaryFolder();
  const [first, second] = [`${folder}/first`, `${folder}/second`];
  for (const file of [first, second]) replaceFile(file, 'secret-one');
  const running = await startRotating({
    credentials: `[ { secret: { file: ${first} } }, { secret: { file: ${second} } } ]`,
    registration: { secrets: ['secret-one'] },
    daemonCount: 2,
  });
  const { idp, reader, register, uses } = running;
  await reader.everyKey(20_000);
  reader.reset();

  // With overlap: the server knows both before the file changes, and forgets the old one after a cycle.
  await register({ secrets: ['secret-one', 'secret-two'] });
  const overlapAt = Date.now();
  replaceFile(first, 'secret-two');
  await reader.readFor(CYCLE_MS);
  const two = await uses(nameOf('secret-two'));
  expect(two.accepted).toBeGreaterThan(100);
  expect(two.lastOfOthers).toBeLessThan(overlapAt + TAKEN_UP_MS);
  await register({ secrets: ['secret-two'] });
  await reader.readFor(CYCLE_MS / 2);
  expect(await refusedAt(idp)).toEqual([]);

  // Without warning, with the next one at hand already, in second place.
  replaceFile(second, 'secret-three');
  await reader.readFor(TAKEN_UP_MS / 2);
  const twoDiedAt = Date.now();
  await register({ secrets: ['secret-three'] });
  await reader.readFor(CYCLE_MS);
  expect((await uses(nameOf('secret-three'))).accepted).toBeGreaterThan(100);
  expect(await tenantsThatRefuse(running, 'secret-two')).toBeGreaterThanOrEqual(2);
  expect(await tooMany(running, 'secret-two', twoDiedAt)).toBeLessThanOrEqual(0);

  // Without warning, and the next one comes when everything is refused already.
  const threeDiedAt = Date.now();
  await register({ secrets: ['secret-four'] });
  await eventually(
    async () => (await tenantsThatRefuse(running, 'secret-three')) >= 2,
    'two have refused it',
  );
  await reader.readFor(1000);
  const replacedAt = Date.now();
  replaceFile(first, 'secret-four');
  await reader.readFor(1.1 * LIFETIME_MS);

  expectUnharmed(running);
  expect((await uses(nameOf('secret-four'))).lastOfOthers).toBeLessThan(replacedAt + TAKEN_UP_MS);
  expect(await tooMany(running, 'secret-three', threeDiedAt)).toBeLessThanOrEqual(0);
  expect(await tooMany(running, 'secret-two', twoDiedAt)).toBeLessThanOrEqual(0);
  await running.stop();
});
