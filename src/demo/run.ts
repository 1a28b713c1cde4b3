import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from './child.ts';
import { aborted, type Ending, endingOf, listenForInterruptions } from './ending.ts';
import { headline, introduction } from './introduction.ts';
import { lineScreen, type Screen, screenFor } from './screen.ts';
import type { DemoOptions } from './setting.ts';
import { Cleanup, type Stage, setStage } from './stage.ts';
import { notWarm, type Summary, summarise, summaryLines } from './summary.ts';
import { Watch } from './watch.ts';

const WARM_UP_LIMIT_MS = 60_000;
const REDIS_LOOK_MS = 500;

/** Runs the demo to its end, prints what it has shown, and leaves nothing behind. Gives the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const screen = options.json ? lineScreen(process.stderr) : screenFor(process.stdout, process.env);
  const interruptions = listenForInterruptions();
  const cleanup = new Cleanup();
  const watch = new Watch(options, screen);
  try {
    screen.say(headline(options));
    const ending = await perform({ options, screen, cleanup, watch }, interruptions.signal).catch(endingOf);
    screen.close();
    const { counts, traffic, elapsedMs } = watch;
    const summary = summarise({ options, counts, traffic, elapsedMs, ending });
    report(summary, ending, options.json);
    return summary.ok ? 0 : 1;
  } finally {
    screen.close();
    await cleanup.run();
    interruptions.dispose();
  }
}

interface Performance {
  readonly options: DemoOptions;
  readonly screen: Screen;
  readonly cleanup: Cleanup;
  readonly watch: Watch;
}

async function perform(
  { options, screen, cleanup, watch }: Performance,
  interrupted: AbortSignal,
): Promise<Ending> {
  const stage = await setStage(options, cleanup, interrupted);
  for (const line of introduction(options, stage)) screen.say(line);
  try {
    return await Promise.race([
      watch.begin(stage).then(() => forEver()),
      aborted(interrupted).then(endingOf),
      endOfTime(options, watch, stage),
      endOfChild(stage.daemon),
      endOfChild(stage.mockIdp),
      endOfRedis(stage.redis.pid),
    ]);
  } finally {
    await watch.end();
  }
}

const forEver = (): Promise<never> => new Promise(() => {});

async function endOfTime({ forMs }: DemoOptions, watch: Watch, stage: Stage): Promise<Ending> {
  await watch.until(Math.min(forMs ?? WARM_UP_LIMIT_MS, WARM_UP_LIMIT_MS));
  if (!watch.isWarm) {
    const message = notWarm(watch.counts, watch.elapsedMs);
    return { kind: 'failed', message, log: stage.daemon.logTail() };
  }
  await (forMs === undefined ? forEver() : watch.until(forMs));
  return { kind: 'time' };
}

async function endOfChild(child: Child): Promise<Ending> {
  const how = await child.ended;
  return { kind: 'failed', message: `${child.name} has ended by itself (${how})`, log: child.logTail() };
}

async function endOfRedis(pid: number): Promise<Ending> {
  while (isRunning(pid)) await sleep(REDIS_LOOK_MS, undefined, { ref: false });
  return { kind: 'failed', message: 'the private Redis has ended by itself', log: undefined };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function report(summary: Summary, ending: Ending, asJson: boolean): void {
  process.stdout.write(`${asJson ? JSON.stringify(summary) : summaryLines(summary).join('\n')}\n`);
  if (ending.kind !== 'failed' || ending.log === undefined) return;
  const { of, lines } = ending.log;
  process.stderr.write(`The last lines that ${of} printed:\n${lines.map((line) => `  ${line}\n`).join('')}`);
}
