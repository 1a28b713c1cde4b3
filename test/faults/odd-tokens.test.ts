import { expect, test } from 'vitest';
import { makeCertificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { mostIdentical } from '../support/fleet.ts';
import {
  answeredAt,
  MountedSecret,
  type Rotating,
  refusedAt,
  replaceFile,
  startRotating,
  temporaryFolder,
} from './rotating.ts';

const TENANTS = 10;
const TARGETS = 3 * TENANTS;
const LIFETIME_MS = 10_000;
/** So wide that it is not the limit that keeps the requests few. */
const LIMITS = '{ perHost: 100/s, perTenant: 50/s, identical: 100/20s }';
const FEW = { tenantCount: TENANTS, daemonCount: 1, lifetimeMs: LIFETIME_MS, limits: LIMITS };

function startWithSecret(control: object): Promise<Rotating> {
  const file = `${temporaryFolder()}/secret`;
  replaceFile(file, 'a-secret');
  const credentials = `[ { secret: { file: ${file} } } ]`;
  return startRotating({ ...FEW, credentials, registration: { secrets: ['a-secret'] }, control });
}

const mostInALife = async ({ idp }: Rotating): Promise<number> =>
  mostIdentical(await answeredAt(idp), LIFETIME_MS);

test('a server that gives the same token again until it ends is not asked again and again', {
  timeout: 60_000,
}, async () => {
  const running = await startWithSecret({ sameToken: true });
  const { reader } = running;
  await reader.everyKey(15_000);

  await reader.readFor(1.5 * LIFETIME_MS);

  expect(reader.seen).toMatchObject({ expired: [], wentBack: [] });
  expect(await mostInALife(running)).toBeLessThanOrEqual(8);
  await running.stop();
});

test('a token that has ended is never published, and takes the place of none that lives', {
  timeout: 60_000,
}, async () => {
  const running = await startWithSecret({ expiredTokens: true });
  const { idp, reader } = running;
  await eventually(async () => (await answeredAt(idp)).length >= TARGETS, 'every target was asked for');
  await reader.readFor(3000);
  expect(reader.seen.present).toBe(0);
  expect(await mostInALife(running)).toBeLessThanOrEqual(8);

  await idp.control({ expiredTokens: false });
  await reader.everyKey(20_000);
  reader.reset();
  await idp.control({ expiredTokens: true });
  await reader.readFor(0.4 * LIFETIME_MS);

  expect(reader.seen).toMatchObject({ missed: [], expired: [], wentBack: [], present: TARGETS });
  await idp.control({ expiredTokens: false });
  await running.stop();
});

test("a server's clock is ten minutes ahead, then ten minutes behind, and takes our certificate all the same", {
  timeout: 60_000,
}, async () => {
  const { certificatePem, keyPem } = await makeCertificate();
  const mounted = new MountedSecret();
  mounted.swap({ 'app.pem': certificatePem + keyPem });
  const { idp, reader, stop } = await startRotating({
    ...FEW,
    credentials: `[ { certificate: { file: ${mounted.file('app.pem')} } } ]`,
    registration: { certificates: [certificatePem] },
    // More than an assertion lasts.
    control: { clockSkewSeconds: 660 },
  });
  await reader.everyKey(15_000);
  const learntAt = Date.now();
  reader.reset();
  await reader.readFor(0.6 * LIFETIME_MS);
  expect((await refusedAt(idp)).filter(({ at }) => at > learntAt)).toEqual([]);

  await idp.control({ clockSkewSeconds: -660 });
  const movedAt = Date.now();
  await reader.readFor(1.2 * LIFETIME_MS);

  expect(reader.seen).toMatchObject({ missed: [], expired: [], wentBack: [], present: TARGETS });
  const refusals = await refusedAt(idp);
  expect(new Set(refusals.map(({ error }) => error))).toEqual(new Set([700024]));
  // Each of the assertions that were signed by the time before is refused once, for all that are on their way with it.
  expect(refusals.filter(({ at }) => at > movedAt + 0.8 * LIFETIME_MS)).toEqual([]);
  await stop();
});
