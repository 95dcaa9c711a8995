/** Which object of a very large account is asked for a hold: the account itself, or one of its slices (docs/decisions/0029). */

import type { AccountId } from "../../core/ids.ts";
import type { SliceHint } from "../../protocol/internal/account.ts";

/** Hints kept by an isolate: few accounts are as large. */
const KNOWN_HINTS = 1_024;

const hints = new Map<AccountId, SliceHint>();

/** Keeps what an account's answer said of its slices. */
export function learnSlices(account: AccountId, hint: SliceHint | undefined): void {
  if (hint === undefined) return;
  if (hints.size >= KNOWN_HINTS) hints.clear();
  hints.set(account, hint);
}

/**
 * The slice to ask, or 0 for the account itself, each as often as the others. `draw` is a number from 0 to below 1. An
 * account that says nothing of slices any more is asked alone.
 */
export function drawSlice(account: AccountId, now: number, draw: number): number {
  const hint = hints.get(account);
  if (hint === undefined) return 0;
  if (now < hint.until) return Math.floor(draw * (hint.count + 1));
  hints.delete(account);
  return 0;
}
