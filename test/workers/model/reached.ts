/** What runs have reached: a model that is never led anywhere would agree with everything. */

import { receiptOf } from "./audit.ts";
import { isRaced } from "./endings.ts";
import type { World } from "./world.ts";

/** What a hundred runs must come by many times over, or the steps are not worth their name. */
export const MUST_REACH = [
  "completed, charged",
  "cancelled, charged",
  "failed",
  "unverified",
  "void",
  "moved on",
  "taken back",
  "told answer",
  "told broken",
  "told cancelled",
  "told insufficient_credits",
  "told below_minimum_balance",
  "told stream_interrupted",
  "told verification_failed",
] as const;

export class Reached {
  readonly counts = new Map<string, number>();

  add({ jobs, calls }: World): void {
    for (const job of jobs.all) {
      const receipt = receiptOf(job);
      const charged = receipt !== null && receipt.charge.nano_usd > 0 ? ", charged" : "";
      this.#count(receipt === null ? (job.endings[0]?.type ?? "no end") : `${receipt.outcome}${charged}`);
      if (job.attempts.length > 1) this.#count("moved on");
      if (isRaced(job)) this.#count("raced");
      if (job.reversals.length > 0) this.#count("taken back");
    }
    for (const { outcome } of calls) this.#count(`told ${outcome?.type === "refused" ? outcome.code : outcome?.type}`);
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}
