/** What a relay knows of the model's jobs, but for how they end. */

import { askRate } from "../../../core/auction/standing.ts";
import type { JobId, Pseudonym } from "../../../core/ids.ts";
import type { Lane } from "../../../core/lanes.ts";
import type { Outcome } from "../../../core/outcome.ts";
import type { Tokens } from "../../../core/pricing.ts";
import type { JobFacts } from "../../../core/receipt/body.ts";
import type { Daemon } from "../../../core/scheduler/daemon.ts";
import { idOf } from "../receipts.ts";
import { MAX_ASK, PARAMETERS, RATE } from "./market.ts";

const HASH = "0".repeat(64);
const CONSUMER = idOf<Pseudonym>("consumer");
/** Nobody checks it here: a million signatures would take an hour. */
const SIGNATURE = "A".repeat(86);

export type AttemptFacts = Omit<JobFacts, "outcome" | "fence" | "usage" | "claim">;

/** What is known of an attempt when a daemon has the job. */
export function attemptFacts(job: JobId, lane: Lane, { daemon, provider, floor }: Daemon): AttemptFacts {
  return {
    network: "local",
    job,
    n: 0,
    lane,
    model: "m",
    quantization: "q4",
    consumer: CONSUMER,
    provider,
    daemon,
    times: { queued: 0, dispatched: 0, first_token: null, completed: 0 },
    terms: {
      rate: lane === "public" ? askRate(MAX_ASK, PARAMETERS) : RATE,
      floor: lane === "dedicated" ? floor : null,
    },
    auction: { asks: 0, winning_ask: null, second_ask: null },
    digest: { request: HASH, response: HASH, salt: "0".repeat(32) },
    payees: { provider, network: "network", creator: "creator", admin: "admin" },
  };
}

/** How it ended. */
export function endedFacts(attempt: AttemptFacts, outcome: Outcome, fence: number, usage: Tokens): JobFacts {
  return {
    ...attempt,
    outcome,
    fence,
    usage: { ...usage, relayed: usage.completion },
    claim: { usage, signature: SIGNATURE },
  };
}
