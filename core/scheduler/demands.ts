/** What a job demands of a daemon, one thing after the other, and how many of a pool's daemons meet each. */

import type { AccountId } from "../ids.ts";
import { obstacle } from "./choose.ts";
import type { Daemon } from "./daemon.ts";
import type { WaitingJob } from "./waiting-job.ts";

/** A demand, as the metadata of a refusal shows it. */
export interface Demand {
  readonly demand:
    | "other_account"
    | "network"
    | "provider"
    | "quantization"
    | "context"
    | "feature"
    | "takes_unbacked_credits"
    | "price";
  /** The parameter of the request that makes it; null where none does. */
  readonly param: string | null;
  /** How many daemons meet it, whatever else they lack. */
  readonly met_by: number;
  /** Tokens that the job needs, and the most that a daemon has: of `context`. */
  readonly tokens?: number;
  readonly largest?: number;
}

/** Any price: far above every floor, and still a safe integer. */
const ANY_RATE = { completion: Number.MAX_SAFE_INTEGER, prompt: Number.MAX_SAFE_INTEGER, per: 1 };

/** The daemons that take jobs at all, and the demands of a job with the number of those that meet each. */
export function demandsOf(daemons: readonly Daemon[], job: WaitingJob): { there: number; demands: Demand[] } {
  const { account, network, only, ignore, quantizations, context, features, unbacked, maxRate } = job;
  const anything: WaitingJob = {
    ...job,
    account: "" as AccountId,
    network: null,
    only: null,
    ignore: [],
    quantizations: null,
    context: 0,
    features: [],
    unbacked: false,
    maxRate: ANY_RATE,
    excluded: [],
  };
  const there = daemons.filter((daemon) => obstacle(daemon, anything) === null);
  const demand = (name: Demand["demand"], param: string | null, alone: Partial<WaitingJob>): Demand => {
    const asked = { ...anything, ...alone };
    return { demand: name, param, met_by: there.filter((daemon) => obstacle(daemon, asked) === null).length };
  };
  const demands = [demand("other_account", null, { account })];
  if (network !== null) demands.push(demand("network", "network", { network }));
  if (only !== null) demands.push(demand("provider", "provider.only", { only }));
  if (ignore.length > 0) demands.push(demand("provider", "provider.ignore", { ignore }));
  if (quantizations !== null) demands.push(demand("quantization", "provider.quantizations", { quantizations }));
  const largest = Math.max(0, ...there.map((daemon) => daemon.context));
  demands.push({ ...demand("context", "messages", { context }), tokens: context, largest });
  for (const feature of features) demands.push(demand("feature", feature.param, { features: [feature] }));
  if (unbacked) demands.push(demand("takes_unbacked_credits", null, { unbacked }));
  demands.push(demand("price", "provider.max_price", { maxRate }));
  return { there: there.length, demands };
}
