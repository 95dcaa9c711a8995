/** What a missed day gives back (economics.md §10): one day more to every package that was live on it. */

import { epochStart } from "../allotment/epochs.ts";
import { DAY_MS } from "../time.ts";
import type { AccountState, Refund } from "./state.ts";

/** A package that lasts longer; `amount` is what of it had expired and comes back. */
export interface Extension extends Refund {
  /** When it would have ended. */
  readonly from: number;
  readonly expiresAt: number;
}

/**
 * The packages that were live at any time of a day and of which something is left, each with a day more. What has expired
 * meanwhile comes back. `creditedAt` tells when a lot came.
 */
export function extensionsOf(state: AccountState, day: number, creditedAt: (lot: string) => number): Extension[] {
  const extensions = new Map<string, Extension>();
  const add = (lot: Refund): void => {
    const { lot: id, expiresAt: from } = lot;
    if (from === null || from <= epochStart(day) || creditedAt(id) >= epochStart(day + 1)) return;
    extensions.set(id, { ...lot, from, expiresAt: from + DAY_MS });
  };
  for (const { id, kind, backing, expiresAt, concurrency } of state.lots.values()) {
    if (kind === "package") add({ lot: id, kind, backing, amount: 0, expiresAt, concurrency });
  }
  // One that open jobs still hold a part of stands in both.
  for (const lapsed of state.lapsed.values()) add(lapsed);
  return [...extensions.values()].sort((a, b) => (a.lot < b.lot ? -1 : 1));
}
