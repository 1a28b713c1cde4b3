import type { Client, Target } from '../core/client.ts';
import {
  type Choice,
  chooseCredential,
  credentialHold,
  type Hold,
  type Recovery,
  recoveryOf,
} from '../core/credential-choice.ts';
import {
  type CredentialEvent,
  claimProbe,
  type Marks,
  probeNow,
  reduceMarks,
  seeCredentials,
} from '../core/credential-marks.ts';
import type { Problem } from '../core/failure.ts';
import { NO_TENANT } from '../core/target.ts';
import type { Acquired, AcquirePort, CredentialAtHand, MarksPort } from './ports.ts';

export interface CredentialDependencies {
  readonly marks: MarksPort;
  readonly acquire: Pick<AcquirePort, 'atHand'>;
  /** A client has a good credential, after it had none. */
  readonly recovered: (client: string, recovery: Recovery) => void;
  /** How many tenants a client has now; where its endpoint has none, targets. */
  readonly scopes: (client: Client) => number;
}

/** What an attempt goes on with. */
export type Chosen =
  | ChosenCredential
  | { readonly act: 'hold'; readonly hold: Hold }
  /** There is nothing at hand that could be tried. */
  | { readonly act: 'unusable'; readonly problem: Problem };

export interface ChosenCredential {
  readonly act: 'use';
  readonly fingerprint: string;
  /** It is being proved by this attempt. */
  readonly probe: boolean;
  /** The client's marks as they were. */
  readonly marks: Marks;
}

const NOTHING: ReadonlySet<string> = new Set();

/** Which credential to use for a request, and what its answer says about it, for the whole fleet. */
export class Credentials {
  readonly #deps: CredentialDependencies;

  constructor(deps: CredentialDependencies) {
    this.#deps = deps;
  }

  /** For the first request of an attempt; `marks` as of `now`. */
  async choose(target: Target, marks: Marks, now: number): Promise<Chosen> {
    return this.#choose(target, marks, NOTHING, now);
  }

  /** For the next request of an attempt, after `tried` were refused. */
  async chooseNext(target: Target, tried: ReadonlySet<string>): Promise<Chosen> {
    const { after, now } = await this.#deps.marks.change(target.client.name, (marks) => marks);
    return this.#choose(target, after, tried, now);
  }

  async #choose(target: Target, marks: Marks, tried: ReadonlySet<string>, now: number): Promise<Chosen> {
    const { client } = target;
    const all = await this.#deps.acquire.atHand(client);
    const atHand = fingerprintsOf(all);
    if (atHand.length === 0) return { act: 'unusable', problem: problemOf(all) };
    const input = { atHand, tried, scope: scopeOf(target) };
    const choice = chooseCredential({ ...input, marks, now });
    if (choice.act === 'hold' || !choice.probe) return withMarks(choice, marks);
    const claimed = await this.#deps.marks.change(client.name, (current, at) =>
      claimProbe(current, choice.fingerprint, at),
    );
    if (claimed.after !== claimed.before) return withMarks(choice, claimed.after);
    // Another attempt was faster: what is left is what may be used without a probe.
    const second = chooseCredential({ ...input, marks: claimed.after, now: claimed.now });
    // Still a probe: a newer daemon keeps the marks, and what is known of credentials is its affair.
    return withMarks(second.act === 'use' ? { ...second, probe: false } : second, claimed.after);
  }

  /** Takes up what a request told about its credential. */
  async report(target: Target, chosen: ChosenCredential, acquired: Acquired, sentAt: number): Promise<void> {
    const needed = Math.max(1, Math.min(2, this.#deps.scopes(target.client)));
    const event = eventOf(target, chosen, acquired, sentAt, needed);
    if (event === undefined || reduceMarks(chosen.marks, event, sentAt) === chosen.marks) return;
    await this.#change(target.client, (marks, now) => reduceMarks(marks, event, now));
  }

  /** Nothing was sent with a credential that this attempt was to prove: the next one may. */
  async giveUp(target: Target, { probe, fingerprint }: ChosenCredential): Promise<void> {
    if (!probe) return;
    await this.#change(target.client, (marks, now) =>
      reduceMarks(marks, { kind: 'unjudged', fingerprint }, now),
    );
  }

  /**
   * Lets the fleet know what a client has at hand. `again`: what was refused may be tried now, since starting a daemon or
   * changing its configuration is what an operator does after mending it. Gives whether its targets need not wait any more.
   */
  async introduce(client: Client, { again }: { again: boolean }): Promise<boolean> {
    const atHand = fingerprintsOf(await this.#deps.acquire.atHand(client));
    const { before, after, now } = await this.#deps.marks.change(client.name, (marks, at) => {
      const seen = seeCredentials(marks, atHand, at);
      return again ? probeNow(seen, at) : seen;
    });
    return credentialHold(before, now) !== undefined && credentialHold(after, now) === undefined;
  }

  async #change(client: Client, reduce: (marks: Marks, now: number) => Marks): Promise<void> {
    const { before, after } = await this.#deps.marks.change(client.name, reduce);
    if (before === after) return;
    const atHand = fingerprintsOf(await this.#deps.acquire.atHand(client));
    const recovery = recoveryOf(before, after, atHand);
    if (recovery !== undefined) this.#deps.recovered(client.name, recovery);
  }
}

const withMarks = (choice: Choice, marks: Marks): Chosen =>
  choice.act === 'use' ? { ...choice, marks } : choice;

const fingerprintsOf = (all: readonly CredentialAtHand[]): string[] =>
  all.flatMap((each) => ('fingerprint' in each ? [each.fingerprint] : []));

const problemOf = (all: readonly CredentialAtHand[]): Problem =>
  all.flatMap((each) => ('problem' in each ? [each.problem] : []))[0] ?? 'credential unreadable';

function eventOf(
  target: Target,
  { fingerprint, probe }: ChosenCredential,
  acquired: Acquired,
  startedAt: number,
  needed: number,
): CredentialEvent | undefined {
  if (acquired.ok) return { kind: 'accepted', fingerprint, startedAt, scope: scopeOf(target) };
  const { kind, answeredBy } = acquired.failure;
  if (kind !== 'credential' || answeredBy === 'unsent')
    return probe ? { kind: 'unjudged', fingerprint } : undefined;
  const { code } = acquired.failure;
  return {
    ...{ kind: 'refused', fingerprint, startedAt, code },
    scope: scopeOf(target),
    needed,
  };
}

/** Where an endpoint has no tenants, its targets stand for them. */
const scopeOf = ({ id, tenant }: Target): string => (tenant === NO_TENANT ? id : tenant);
