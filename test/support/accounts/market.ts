/** Who serves the model's jobs: daemons that are always free, chosen among by the code that chooses among real ones. */

import { strict as assert } from "node:assert";
import type { AccountId, DaemonId, JobId } from "../../../core/ids.ts";
import { withParameters } from "../../../core/parameters.ts";
import { type ElectricityFloor, isFloorWithin, perThousand, type Rate } from "../../../core/pricing.ts";
import { seeded } from "../../../core/random.ts";
import type { Standing } from "../../../core/routing/standing.ts";
import { chooseDaemon } from "../../../core/scheduler/choose.ts";
import type { Daemon } from "../../../core/scheduler/daemon.ts";
import type { WaitingJob } from "../../../core/scheduler/waiting-job.ts";
import type { HeldTerms } from "../../../protocol/internal/account.ts";
import { idOf, keyOf } from "../receipts.ts";
import { MOST_ACCOUNTS, MOST_OUTSIDERS, type Setting } from "./steps.ts";

/** Small numbers that do not divide: every price rounds. */
export const RATE: Rate = { completion: 7, prompt: 3, per: 4 };
/** The most that the public lane pays; everybody asks just that. */
export const MAX_ASK = perThousand(RATE);

/** Small minimums, as amounts here are small. */
export const PARAMETERS = withParameters({
  minimumBalanceMillicredits: 5,
  minimumCompletionTokens: 20,
  includedCompletionTokens: 200,
  transferLeastMillicredits: 1,
});

const FREE: ElectricityFloor = {
  watts: 1,
  nano_usd_per_kwh: 0,
  decode_millitokens_per_second: 10_000,
  prefill_millitokens_per_second: 30_000,
};
/** 2.1 nanoUSD a completion token: above the catalog's rate of 1.75, and below the most that a sponsor pays. */
const COSTLY: ElectricityFloor = { ...FREE, watts: 63, nano_usd_per_kwh: 1_000_000 };

/** So much better than others that it serves whatever it may. */
const FAVOURITE: Standing = { reliability: 0.5, quality: 1, tokensPerSecond: 10, newcomer: false, quarantined: false };
const OTHER: Standing = { ...FAVOURITE, quality: 1e-12 };

/** Those that an account may be or deal with, in the order in which steps number them. */
const EVERYBODY = Array.from({ length: MOST_ACCOUNTS + MOST_OUTSIDERS }, (_, index) => ({
  provider: idOf<AccountId>(`account ${index}`),
  daemon: keyOf(`daemon ${index}`).id,
}));

/** What decides who may serve a job. */
export interface Demand {
  readonly job: JobId;
  readonly account: AccountId;
  readonly terms: HeldTerms;
  readonly only: AccountId | null;
  readonly excluded: readonly DaemonId[];
  /** The allotment that pays for it by the second book, with what its payees had of it when the job was held. */
  readonly allotment: { readonly granted: number; readonly earned: ReadonlyMap<string, number> } | null;
}

export class Market {
  readonly providers: readonly Daemon[];

  constructor({ accounts, outsiders, usdcOnly, costly }: Setting) {
    const serving = EVERYBODY.filter(
      (_, index) => index < accounts || (index >= MOST_ACCOUNTS && index < MOST_ACCOUNTS + outsiders),
    );
    this.providers = serving.map(({ provider, daemon }, index) => ({
      daemon,
      relay: "relay",
      provider,
      quantization: "q4",
      slots: 1_000,
      sharedSlots: 1_000,
      elsewhere: 0,
      context: 100_000,
      features: [],
      tokensPerSecond: 10,
      floor: costly[index] ? COSTLY : FREE,
      margin: null,
      accepts: usdcOnly[index] ? "usdc" : "any",
      networks: [],
      loaded: true,
      draining: false,
      running: new Set<JobId>(),
      idleSince: 1,
      standing: OTHER,
    }));
  }

  accountAt(index: number): AccountId {
    const account = this.providers[index % this.providers.length]?.provider;
    if (account === undefined) throw new Error("nobody serves");
    return account;
  }

  /** Who gets a job, the favourite if it may; with the most that it may have had of the allotment that pays. */
  dispatch(demand: Demand, favourite: number): { readonly daemon: Daemon; readonly cap: number | null } | null {
    const { allotment } = demand;
    const preferred = this.accountAt(favourite);
    for (const daemon of this.providers) daemon.standing = daemon.provider === preferred ? FAVOURITE : OTHER;
    const share = PARAMETERS.allotmentPayeeShareBasisPoints;
    // In an auction nobody asks for less than its power, whoever else may be chosen.
    const asking =
      demand.terms.lane === "public" ? this.providers.filter((each) => isPaid(each, demand)) : this.providers;
    const choosing = { parameters: PARAMETERS, medianSpeed: 0, random: seeded(favourite) };
    const daemon = chooseDaemon(asking, this.providers, waiting(demand), choosing);
    const able = this.providers.filter((each) => mayServe(each, demand));
    // One payee earns at most max(20 % ◆, 1 / eligible payees) of an allotment (economics.md §3).
    const cap =
      allotment === null
        ? null
        : Math.max(Math.floor((allotment.granted * share) / 10_000), Math.ceil(allotment.granted / able.length));
    const free = able.filter(({ provider }) => cap === null || (allotment?.earned.get(provider) ?? 0) < cap);
    assert.equal(daemon === null, free.length === 0, "a job is dispatched if and only if somebody may serve it");
    if (daemon === null) return null;
    assert(
      free.includes(daemon),
      `${daemon.provider} may not serve ${demand.job}, or has had its part of the allotment`,
    );
    return { daemon, cap };
  }
}

/** The rules by which somebody may serve a job at all, said once more. */
function mayServe(serving: Daemon, demand: Demand): boolean {
  const { provider, daemon, accepts } = serving;
  const { account, terms, only, excluded } = demand;
  if (provider === account || excluded.includes(daemon)) return false;
  if (only !== null && only !== provider) return false;
  if (terms.unbacked && accepts === "usdc") return false;
  return isPaid(serving, demand);
}

function isPaid({ floor }: Daemon, { terms }: Demand): boolean {
  return isFloorWithin(floor, terms.maxRate ?? RATE);
}

function waiting({ job, account, terms, only, excluded }: Demand): WaitingJob {
  return {
    job,
    account,
    flow: { lane: terms.lane, account, weight: terms.share.weight },
    network: null,
    reserved: terms.reserved,
    rate: RATE,
    maxRate: terms.maxRate ?? RATE,
    maxPrice: null,
    allotment: terms.allotment,
    estimate: { prompt: 0, completion: 0 },
    unbacked: terms.unbacked,
    context: 0,
    features: [],
    quantizations: null,
    only: only === null ? null : [only],
    ignore: [],
    excluded,
    enqueuedAt: 0,
    waitUntil: 0,
    holdExpiresAt: terms.expiresAt,
  };
}
