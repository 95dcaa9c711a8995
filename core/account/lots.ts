/**
 * Lots: what an account has, kept by where it came from (economics.md §§1, 3). A backed lot (bought with USDC) counts in
 * nanoUSD, an unbacked one in millicredits; a `number` here is an amount in its lot's own unit.
 */

import {
  type Millicredits,
  type NanoUsd,
  type Peg,
  toMillicreditsCeil,
  toMillicreditsFloor,
  toNanoUsdFloor,
} from "../units.ts";

export const LOT_KINDS = ["allotment", "package", "bonus", "received", "earned", "topup"] as const;
export type LotKind = (typeof LOT_KINDS)[number];

/** What stands behind an amount: USDC in the treasury, or nothing. It decides what a provider can earn from it. */
export type Backing = "usdc" | "none";

export interface Lot {
  readonly id: string;
  readonly kind: LotKind;
  readonly backing: Backing;
  /** What the lot began with. */
  readonly granted: number;
  /** What can be held or sent now. */
  available: number;
  /** What open holds have reserved. */
  held: number;
  /** Milliseconds since 1970, or null for a lot that stays. */
  readonly expiresAt: number | null;
  /** Jobs at once: the slots that a package reserves, or what a stake carries; 0 for other lots. */
  readonly concurrency: number;
}

/** Whether a lot's time is not over. */
export function isLive({ expiresAt }: Pick<Lot, "expiresAt">, now: number): boolean {
  return expiresAt === null || expiresAt > now;
}

/** An amount taken from a lot, in the lot's own unit. */
export interface Draw {
  readonly lot: string;
  readonly kind: LotKind;
  readonly backing: Backing;
  readonly amount: number;
}

/** Something that a price can be drawn from: a lot, or what a hold reserved of one. */
export interface Source {
  readonly lot: string;
  readonly kind: LotKind;
  readonly backing: Backing;
  readonly amount: number;
}

export interface Drawn {
  readonly draws: readonly (Draw & { readonly covers: NanoUsd })[];
  /** What of the price is covered; the price itself unless the sources ran out. */
  readonly covered: NanoUsd;
}

/** The nanoUSD of a price that an amount of a lot can cover. */
export function coverage(backing: Backing, amount: number, peg: Peg): NanoUsd {
  return backing === "usdc" ? (amount as NanoUsd) : toNanoUsdFloor(amount as Millicredits, peg);
}

/** An amount of a lot as millicredits to show: exact for an unbacked lot, at the peg and rounded down for a backed one. */
export function shown(backing: Backing, amount: number, peg: Peg): Millicredits {
  return backing === "usdc" ? toMillicreditsFloor(amount as NanoUsd, peg) : (amount as Millicredits);
}

/**
 * Takes a price from sources in their order. An unbacked source of m millicredits covers min(rest, floor(m / peg)) and
 * gives ceil(covered · peg) ≤ m. Hold and post both use this function, and what a hold reserved for a price always covers
 * a smaller price too, since floor(ceil(x · peg) / peg) ≥ x (economics.md §3). `most` bounds what kinds of lot cover in
 * all.
 */
export function draw(
  sources: Iterable<Source>,
  price: NanoUsd,
  peg: Peg,
  most: Partial<Record<LotKind, NanoUsd>> = {},
): Drawn {
  const draws: (Draw & { covers: NanoUsd })[] = [];
  const left: Partial<Record<LotKind, number>> = { ...most };
  let rest: number = price;
  for (const { amount: available, ...source } of sources) {
    const { kind, backing } = source;
    if (rest === 0) break;
    const covers = Math.min(rest, coverage(backing, available, peg), left[kind] ?? rest) as NanoUsd;
    if (covers === 0) continue;
    if (left[kind] !== undefined) left[kind] -= covers;
    draws.push({ ...source, amount: backing === "usdc" ? covers : toMillicreditsCeil(covers, peg), covers });
    rest -= covers;
  }
  return { draws, covered: (price - rest) as NanoUsd };
}

/**
 * The lots that may fund a lane, in the order in which they are drawn: by kind as the lane lists them, and within a kind
 * the lot that expires first (economics.md §3). Expired and empty lots are left out.
 */
export function fundingOrder(lots: Iterable<Lot>, kinds: readonly LotKind[], now: number): Source[] {
  const usable = [...lots].filter((lot) => lot.available > 0 && kinds.includes(lot.kind) && isLive(lot, now));
  usable.sort(
    (a, b) =>
      kinds.indexOf(a.kind) - kinds.indexOf(b.kind) ||
      (a.expiresAt ?? Number.MAX_SAFE_INTEGER) - (b.expiresAt ?? Number.MAX_SAFE_INTEGER) ||
      (a.id < b.id ? -1 : 1),
  );
  return usable.map((lot) => ({ lot: lot.id, kind: lot.kind, backing: lot.backing, amount: lot.available }));
}
