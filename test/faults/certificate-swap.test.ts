import { expect, test } from 'vitest';
import { makeCertificate } from '../support/certificates.ts';
import {
  CYCLE_MS,
  expectUnharmed,
  LIFETIME_MS,
  MountedSecret,
  nameOf,
  refusedAt,
  startRotating,
  TAKEN_UP_MS,
} from './rotating.ts';

test('a mounted certificate is swapped while both are registered, and no reader misses a token', {
  timeout: 120_000,
}, async () => {
  const [before, after] = await Promise.all([makeCertificate(), makeCertificate()]);
  const [oldName, newName] = [nameOf(before.certificate.raw), nameOf(after.certificate.raw)];
  const mounted = new MountedSecret();
  mounted.swap({ 'app.pem': before.certificatePem + before.keyPem });
  const running = await startRotating({
    credentials: `[ { certificate: { file: ${mounted.file('app.pem')} } } ]`,
    registration: { certificates: [before.certificatePem] },
  });
  const { idp, reader, register, uses } = running;
  await reader.everyKey(20_000);
  reader.reset();

  await register({ certificates: [before.certificatePem, after.certificatePem] });
  const swappedAt = Date.now();
  mounted.swap({ 'app.pem': after.certificatePem + after.keyPem });
  await reader.readFor(CYCLE_MS);
  await register({ certificates: [after.certificatePem] });
  await reader.readFor(1.1 * LIFETIME_MS);

  expectUnharmed(running);
  expect(await refusedAt(idp)).toEqual([]);
  expect((await uses(oldName)).accepted).toBeGreaterThanOrEqual(300);
  const { accepted, lastOfOthers } = await uses(newName);
  expect(accepted).toBeGreaterThanOrEqual(300);
  expect(lastOfOthers).toBeLessThan(swappedAt + TAKEN_UP_MS);
  await running.stop();
});
