/** Jobs for an account's own devices: free, so that nothing is held, but begun by keys that have bounds all the same. */

import { refuseModel } from "../../core/account/budget.ts";
import { refuse } from "../../core/errors.ts";
import type { Admission } from "../../protocol/internal/account.ts";
import type { Entered } from "./books.ts";
import { termsOf } from "./key-desk.ts";
import type { Quotas } from "./quotas.ts";

/** Lets a key begin a job of a model on an own device, and takes it from the key's minute. Nothing is stored. */
export function admit({ key, ledger }: Entered, model: string, quotas: Quotas): Admission {
  const now = ledger.timeOf(Date.now());
  const refusal = refuseModel(termsOf(key), model);
  if (refusal !== null) return { refusal, quota: quotas.of(key, now) };
  const { ok, quota } = quotas.take(key, now);
  return { refusal: ok ? null : tooFast(quota.limit), quota };
}

/** The refusal of a key that has begun as many jobs in this minute as it may. */
export function tooFast(limit: number) {
  return refuse("rate_limited", { detail: `This key may begin ${limit} jobs in a minute.` });
}
