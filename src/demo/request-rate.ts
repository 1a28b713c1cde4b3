import type { MockIdpStats } from '../mock-idp/record.ts';

/** What mock-idp counted, of which the demo shows a part. */
export type Counted = Pick<MockIdpStats, 'requests' | 'failed' | 'peakPerSecond'>;

/** The traffic at the token endpoint. */
export interface Traffic extends Counted {
  /** Between the last two looks. */
  readonly perSecond: number;
}

export const NO_TRAFFIC: Traffic = { requests: 0, failed: 0, peakPerSecond: 0, perSecond: 0 };

/** The traffic after another look, `sinceMs` after the one before. */
export function nextTraffic(before: Traffic, counted: Counted, sinceMs: number): Traffic {
  const { requests, failed, peakPerSecond } = counted;
  const perSecond = sinceMs > 0 ? ((requests - before.requests) * 1000) / sinceMs : before.perSecond;
  return { requests, failed, peakPerSecond, perSecond };
}

const ANSWER_TIMEOUT_MS = 1000;

/** Asks mock-idp what it counted; undefined when it does not answer in time. */
export async function askMockIdp(url: string): Promise<Counted | undefined> {
  try {
    const response = await fetch(`${url}/control/stats`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return (await response.json()) as MockIdpStats;
  } catch {
    // It is busy or has ended: its end is noticed elsewhere, and the next look may succeed.
    return undefined;
  }
}
