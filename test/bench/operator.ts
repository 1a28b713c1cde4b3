import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { Agent } from 'undici';
import { DEMO_CLIENT } from '../../src/mock-idp/options.ts';
import { type BenchOptions, type Figure, median, percentile } from './report.ts';
import { clientName, type MockIdpProcess, Stage } from './stage.ts';

/** The first few warm up, and are not counted. */
const WARM_UP = 20;

/** From an operator's job to the new token in Redis, in a daemon that has nothing else to do. */
export async function measureOperatorLatency({ quick }: BenchOptions): Promise<readonly Figure[]> {
  await using stage = new Stage();
  const { url } = await stage.redis();
  const idp = await stage.mockIdp();
  await idp.setLifetime('24h');
  const samples = (quick ? 40 : 200) + WARM_UP;
  const subscriber = new Redis(url);
  stage.defer(() => subscriber.disconnect());
  await subscriber.subscribe('evertoken:refreshed');
  await stage.daemon({ redisUrl: url, idpUrls: [idp.url], targets: samples });
  while ((await idp.stats()).issued < samples) await sleep(100);
  await sleep(500);

  const commands = new Queue('commands', { connection: { url }, prefix: '{evertoken}' });
  stage.defer(() => commands.close());
  const agent = new Agent({ connections: 1 });
  stage.defer(() => agent.close());
  const latencies: number[] = [];
  const services: number[] = [];
  for (let i = 0; i < samples; i++) {
    services.push(await endpointMs(agent, idp, i));
    latencies.push(await orderMs(commands, subscriber, `${clientName(0)}/tenant-${i}/graph`));
  }
  return figures(latencies.slice(WARM_UP), services.slice(WARM_UP));
}

async function orderMs(commands: Queue, subscriber: Redis, select: string): Promise<number> {
  const refreshed = once(subscriber, 'message') as Promise<[string, string]>;
  const startedAt = performance.now();
  await commands.add('refresh', { select, force: true, by: 'bench' });
  const [, message] = await refreshed;
  const ms = performance.now() - startedAt;
  if (!message.startsWith(`${select} `)) throw new Error('expected to hear of the target that was ordered');
  // Commands come one at a time here, so the daemon is to be idle again.
  await sleep(20);
  return ms;
}

/** The endpoint's own time, as a client sees it that keeps its connection. */
async function endpointMs(agent: Agent, { url }: MockIdpProcess, i: number): Promise<number> {
  const startedAt = performance.now();
  const { statusCode, body } = await agent.request({
    origin: url,
    path: `/probe-${i}/oauth2/v2.0/token`,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: DEMO_CLIENT.clientId,
      client_secret: DEMO_CLIENT.secret,
      scope: 'https://graph.microsoft.com/.default',
    }).toString(),
  });
  await body.text();
  if (statusCode !== 200) throw new Error(`expected 200 from mock-idp, but got ${statusCode}`);
  return performance.now() - startedAt;
}

function figures(latencies: readonly number[], services: readonly number[]): Figure[] {
  const beyond = median(latencies) - median(services);
  return [
    {
      what: "order to token, beyond the endpoint's time: median",
      value: beyond,
      unit: 'ms',
      aim: 'at most 20',
    },
    { what: 'order to token, all of it: median', value: median(latencies), unit: 'ms' },
    { what: '… nine of ten', value: percentile(latencies, 0.9), unit: 'ms' },
    { what: '… the slowest', value: Math.max(...latencies), unit: 'ms' },
    { what: 'the endpoint: median', value: median(services), unit: 'ms' },
    { what: 'orders', value: latencies.length, unit: '' },
  ];
}
