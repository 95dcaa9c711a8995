/** A balance as the network API shows it: amounts as decimal strings of credits, times as text. */

import type { Balance } from "../../core/account/balance.ts";
import type { Slots } from "../../core/account/slots.ts";
import { formatCredits, GENESIS_PEG, type Millicredits } from "../../core/units.ts";
import { timeText } from "./common.ts";

/** The balance of `GET /balance`. `minimum` is what remote inference needs. */
export function shownBalance(balance: Balance, minimum: Millicredits) {
  return {
    ...shownTotals(balance),
    minimum: formatCredits(minimum),
    peg: { millicredits: GENESIS_PEG.millicredits, nano_usd: GENESIS_PEG.nanoUsd },
    lots: balance.lots.map(shownLot),
  };
}

/** What changes with every job. */
export function shownTotals({ available, held, openJobs, packages, allotment }: Balance) {
  return {
    available: formatCredits(available),
    held: formatCredits(held),
    open_jobs: openJobs,
    packages: packages && shownSlots(packages),
    allotment: allotment && {
      granted: formatCredits(allotment.granted),
      left: formatCredits(allotment.left),
      ...shownSlots(allotment),
      refresh_at: timeText(allotment.refreshAt),
    },
  };
}

export function shownSlots({ slots, inUse }: Slots) {
  return { slots, in_use: inUse };
}

export function shownLot({ id, kind, backing, available, held, expiresAt }: Balance["lots"][number]) {
  return {
    id,
    kind,
    backing,
    available: formatCredits(available),
    held: formatCredits(held),
    expires_at: expiresAt === null ? null : timeText(expiresAt),
  };
}
