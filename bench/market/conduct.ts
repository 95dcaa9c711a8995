/** When accounts ask and when daemons are there. Each draws from numbers of its own, whatever the market makes of it. */

import { between } from "../soak/random.ts";
import { exponential, streamOf } from "./draws.ts";
import type { Account, SimulatedDaemon } from "./population.ts";
import type { Scenario } from "./scenario.ts";
import type { Timeline } from "./timeline.ts";

const RUSH = 4;
/** Bursts, and the time between two of them. */
const ON_MS = 20_000;
const OFF_MS = 60_000;
/** What comes and goes is here for so long, and away for so long. */
const UP_MS = 60_000;
const DOWN_MS = 10_000;
/** Daemons come within this time at the beginning; newcomers, by a part of the whole time, later. */
const BEGIN_MS = 5_000;
const NEWCOMERS_FROM = 0.1;
/** A part of all accounts asks for some jobs more at once. */
const RUSH_PART = 0.05;
const RUSH_JOBS = 3;

/** Lets an account come in bursts of jobs, at its rate on average, more of them by day than by night. */
export function comeInBursts(account: Account, scenario: Scenario, timeline: Timeline, ask: () => void): void {
  const { random, rate } = account;
  const dayMs = 1_000 * scenario.seconds;
  const most = (rate * (1 + scenario.swing) * (ON_MS + OFF_MS)) / ON_MS / 1_000;
  if (rate === 0) return;
  const isTaken = (): boolean => {
    const now = 1 + scenario.swing * Math.sin((2 * Math.PI * timeline.now) / dayMs - Math.PI / 2);
    return random() * (1 + scenario.swing) < now;
  };
  const burst = (): void => {
    const endsAt = timeline.now + exponential(random, ON_MS);
    const next = (): void => {
      if (timeline.now >= endsAt) return;
      if (isTaken()) ask();
      timeline.after(exponential(random, 1 / most), next);
    };
    timeline.after(exponential(random, 1 / most), next);
    timeline.after(endsAt - timeline.now + exponential(random, OFF_MS), burst);
  };
  // As many are in the middle of a burst at the beginning as at any time.
  timeline.after(random() < ON_MS / (ON_MS + OFF_MS) ? 0 : exponential(random, OFF_MS), burst);
}

/** Now and then very many accounts ask for something at the same time. */
export function rush(
  accounts: readonly Account[],
  { rushes, seconds, warmUpSeconds }: Scenario,
  seed: number,
  timeline: Timeline,
  ask: (account: Account) => void,
): void {
  const random = streamOf(seed, RUSH, 0);
  for (let each = 0; each < rushes; each++) {
    timeline.after(1_000 * between(random, warmUpSeconds, seconds), () => {
      for (const account of accounts) {
        if (random() >= RUSH_PART) continue;
        for (let job = 0; job < RUSH_JOBS; job++) ask(account);
      }
    });
  }
}

/** Lets a daemon come, and go and come again where it does. */
export function comeAndGo(
  { random, isFlapping, isNewcomer }: SimulatedDaemon,
  { seconds }: Scenario,
  timeline: Timeline,
  { come, go }: { readonly come: () => void; readonly go: () => void },
): void {
  const here = (): void => {
    come();
    if (isFlapping) timeline.after(exponential(random, UP_MS), away);
  };
  const away = (): void => {
    go();
    timeline.after(exponential(random, DOWN_MS), here);
  };
  const first = isNewcomer ? 1_000 * seconds * between(random, NEWCOMERS_FROM, 2 * NEWCOMERS_FROM) : 0;
  timeline.after(first + between(random, 0, BEGIN_MS), here);
}
