/**
 * What paid for a window's receipts, by kind of backed lot: what was charged to it and which fees of that the network has
 * (economics.md §7). Rollups keep lanes and payees apart, and in `dedicated` an allotment and a package pay side by side.
 */

import { LANE_TABLE } from "../lanes.ts";
import { divideByShares } from "../split.ts";
import { type NanoUsd, nanoUsd } from "../units.ts";
import type { ReceiptBody } from "./body.ts";

/** One sum of a window, of one kind of lot. Below 0 where more was taken back than charged. */
export interface Funding {
  readonly window: number;
  readonly kind: string;
  readonly charged: NanoUsd;
  /** The network's shares of that. */
  readonly fees: NanoUsd;
}

/** The body's fields that these sums are made of. */
export type Funded = Pick<ReceiptBody, "lane" | "split"> & { readonly charge: Pick<ReceiptBody["charge"], "parts"> };

/**
 * The sums of some receipts of one window, in order of first appearance. All fees together are the network's backed shares.
 * Throws a RangeError when a sum leaves the bounds of an amount.
 */
export function sumFunding(bodies: Iterable<Funded>, window: number): Funding[] {
  const sums = new Map<string, Funding>();
  for (const body of bodies) {
    for (const { kind, charged, fees } of fundingOf(body)) {
      const before = sums.get(kind);
      sums.set(kind, {
        window,
        kind,
        charged: nanoUsd((before?.charged ?? 0) + charged),
        fees: nanoUsd((before?.fees ?? 0) + fees),
      });
    }
  }
  return [...sums.values()];
}

function fundingOf({ lane, charge, split }: Funded): { kind: string; charged: number; fees: number }[] {
  const parts = charge.parts.filter(({ backing }) => backing === "usdc");
  let rest = split
    .filter(({ role, backing }) => role === "network" && backing === "usdc")
    .reduce((sum, { nano_usd }) => sum + nano_usd, 0);
  return parts.map(({ kind, nano_usd: charged }, index) => {
    // The last part has what is left, so that no unit is lost whatever was split how.
    const fees = index === parts.length - 1 ? rest : networkShare(lane, charged);
    rest -= fees;
    return { kind, charged, fees };
  });
}

/** What the network has of one part, as it was split (core/split.ts); a part that was taken back has it turned round. */
function networkShare(lane: Funded["lane"], amount: number): number {
  const rows = LANE_TABLE[lane].split;
  const shares = divideByShares(
    Math.abs(amount),
    rows.map(({ share }) => share),
  );
  return Math.sign(amount) * (shares[rows.findIndex(({ role }) => role === "network")] ?? 0);
}
