/**
 * Small networks of accounts under random treatment, five thousand of them: their real ledgers over rows in memory, every
 * command that moves money, answers and writes that fail, transfers that come late, twice or in another order. After each
 * command everything is held against a second book; at the end it is asked whether anybody made USDC out of credits
 * (test/support/accounts/closed-loop.ts).
 *
 * A failure prints its seed, a path and the shrunk steps: `ACCOUNTS_MODEL_SEED=… ACCOUNTS_MODEL_PATH=…` play the same again,
 * and the steps become a named test beside this one. For more runs there is `npm run soak:accounts`.
 */

import * as fc from "fast-check";
import { expect, it } from "vitest";
import { accountsModelSettings } from "../../model-settings.ts";
import { property } from "../../support/accounts/play.ts";

/** On a quiet machine a run takes two or three milliseconds. */
const RUN_MS = 40;
const SHRINK_MS = 60_000;
/** What is rare, and what the rules are about. */
const MUST_REACH = [
  "credit: id_conflict",
  "held included",
  "held dedicated",
  "held in a slot",
  "held beyond the slots",
  "held public",
  "hold: lane_unavailable",
  "hold: budget_exceeded",
  "hold: insufficient_credits",
  "hold: below_minimum_balance",
  "hold: concurrency_limit",
  "hold: invalid_request",
  "hold: in_progress",
  "hold: idempotency_mismatch",
  "hold: already_completed",
  "held, of several lots",
  "nobody may serve it",
  "a payee is at its cap",
  ...["completed", "cancelled", "failed", "timed_out", "expired", "unverified"].map((outcome) => `posted ${outcome}`),
  "posted, beyond the allotment",
  "posted, of both backings at another peg",
  "reversed, of both backings at another peg",
  "reverse: nothing_to_reverse",
  "post: superseded",
  "post: voided",
  "void: superseded",
  "void: already_posted",
  "advanced: true",
  "advanced: false",
  "sent",
  "send: transfer_to_self",
  "send: insufficient_credits",
  "sent before",
  "brought, confirmed: true",
  "brought, confirmed: false",
  "brought again",
];
const EVENTS = ["held", "credited", "posted", "voided", "hold_expired", "lot_expired", "reversed", "sent", "received"];

const { runs, seed, path } = accountsModelSettings(process.env);

it(`keeps every unit in one place and the loop closed, in ${runs} networks that everything happens to`, {
  timeout: runs * RUN_MS + SHRINK_MS,
}, () => {
  const [reached, events] = [new Set<string>(), new Set<string>()];
  const started = performance.now();
  const all = property((world) => {
    for (const answer of world.reached.keys()) reached.add(answer);
    for (const event of world.events.keys()) events.add(event);
  });
  fc.assert(all, { seed, numRuns: runs, ...(path === null ? {} : { path }) });
  console.log(`seed ${seed}: ${runs} runs in ${Math.round(performance.now() - started)} ms`);
  if (path !== null || runs < 2_000) return;
  expect([...reached]).toEqual(expect.arrayContaining(MUST_REACH));
  expect([...events].toSorted()).toEqual(EVENTS.toSorted());
});
