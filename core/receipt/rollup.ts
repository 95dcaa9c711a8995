/**
 * What a receipt adds to the sums of its window (economics.md §11). A close reads these sums and never the receipts, and
 * both sides of every charge are in them, so that Σ charges = Σ shares can be checked per window, lane and backing.
 */

import type { Backing } from "../account/lots.ts";
import type { Lane } from "../lanes.ts";
import { type Millicredits, millicredits, type NanoUsd, nanoUsd } from "../units.ts";
import type { ReceiptBody } from "./body.ts";

/** Whether a sum is of what consumers were charged, or of what one payee is owed. */
export type Side = "charge" | "share";

/** The payee of every charge: all consumers of a lane together. Each of them has its own chain for itself. */
export const CONSUMERS = "consumers";

/** The payee of the network's own shares, which nobody is owed. */
export const NETWORK_PAYEE = "network";

/** One sum of a window. Backed amounts count in nanoUSD and unbacked ones in millicredits; the other field is 0. */
export interface Rollup {
  readonly window: number;
  readonly side: Side;
  /** An account, a system account, or {@link CONSUMERS}. */
  readonly payee: string;
  readonly lane: Lane;
  readonly backing: Backing;
  readonly nano_usd: NanoUsd;
  readonly millicredits: Millicredits;
  /** Receipts that the sum is of. */
  readonly receipts: number;
}

/** The body's fields that sums are made of. */
export type Summed = Pick<ReceiptBody, "lane" | "split"> & { readonly charge: Pick<ReceiptBody["charge"], "parts"> };

/**
 * The sums of some receipts of one window, in order of first appearance. A receipt counts once in each sum it adds to.
 * Throws a RangeError when a sum leaves the bounds of an amount.
 */
export function rollUp(bodies: Iterable<Summed>, window: number): Rollup[] {
  const sums = new Map<string, Rollup>();
  for (const { lane, charge, split } of bodies) {
    const seen = new Set<string>();
    const add = (side: Side, payee: string, backing: Backing, nano: number, credits: number): void => {
      const key = JSON.stringify([side, payee, lane, backing]);
      const before = sums.get(key);
      sums.set(key, {
        window,
        side,
        payee,
        lane,
        backing,
        nano_usd: nanoUsd((before?.nano_usd ?? 0) + nano),
        millicredits: millicredits((before?.millicredits ?? 0) + credits),
        receipts: (before?.receipts ?? 0) + (seen.has(key) ? 0 : 1),
      });
      seen.add(key);
    };
    for (const part of charge.parts) {
      // An unbacked part also says which nanoUSD of the price it covers, but nobody is owed those.
      const backed = part.backing === "usdc";
      add("charge", CONSUMERS, part.backing, backed ? part.nano_usd : 0, backed ? 0 : part.millicredits);
    }
    for (const line of split) add("share", line.to, line.backing, line.nano_usd, line.millicredits);
  }
  return [...sums.values()];
}

/**
 * Whether Σ charges = Σ shares of one receipt in each backing: what {@link imbalances} says of its sums, without making
 * them. Throws a RangeError when a sum leaves the bounds of an amount.
 */
export function isConserved({ charge, split }: Summed): boolean {
  const rest = { usdc: { nano: 0, credits: 0 }, none: { nano: 0, credits: 0 } };
  for (const { backing, nano_usd, millicredits: credits } of charge.parts) {
    if (backing === "usdc") rest.usdc.nano = nanoUsd(rest.usdc.nano + nano_usd);
    else rest.none.credits = millicredits(rest.none.credits + credits);
  }
  for (const { backing, nano_usd, millicredits: credits } of split) {
    rest[backing].nano = nanoUsd(rest[backing].nano - nano_usd);
    rest[backing].credits = millicredits(rest[backing].credits - credits);
  }
  const { usdc, none } = rest;
  return usdc.nano === 0 && usdc.credits === 0 && none.nano === 0 && none.credits === 0;
}

/** Σ charges − Σ shares for each lane and backing that is not zero in both units; none where everything is conserved. */
export function imbalances(
  rollups: Iterable<Pick<Rollup, "side" | "lane" | "backing" | "nano_usd" | "millicredits">>,
): { lane: Lane; backing: Backing; nano_usd: number; millicredits: number }[] {
  const totals = new Map<string, { lane: Lane; backing: Backing; nano_usd: number; millicredits: number }>();
  for (const { side, lane, backing, nano_usd, millicredits } of rollups) {
    const key = `${lane}/${backing}`;
    const total = totals.get(key) ?? { lane, backing, nano_usd: 0, millicredits: 0 };
    const sign = side === "charge" ? 1 : -1;
    total.nano_usd += sign * nano_usd;
    total.millicredits += sign * millicredits;
    totals.set(key, total);
  }
  return [...totals.values()].filter((total) => total.nano_usd !== 0 || total.millicredits !== 0);
}
