/** Who gets what of a charge (economics.md §§1, 3). */

import type { Backing } from "./account/lots.ts";
import { LANE_TABLE, type Lane, type Role, WHOLE } from "./lanes.ts";
import { type BasisPoints, type Millicredits, mulDivFloor, type NanoUsd } from "./units.ts";

/** Part of a charge that was drawn from lots of one kind. Backed parts count in nanoUSD, unbacked in millicredits. */
export interface ChargePart {
  readonly kind: string;
  readonly backing: Backing;
  /** The nanoUSD of the price that this part covers. */
  readonly nano_usd: NanoUsd;
  /** What was taken from unbacked lots; 0 for a backed part, whose amount is its nanoUSD. */
  readonly millicredits: Millicredits;
}

/** A share of a charge. A backed share is owed in nanoUSD, an unbacked one in millicredits; the other field is 0. */
export interface SplitLine {
  readonly to: string;
  readonly role: Role;
  readonly backing: Backing;
  readonly nano_usd: NanoUsd;
  readonly millicredits: Millicredits;
}

/** Who the roles of a lane are in one job: account ids, or names of system accounts. */
export type Payees = Readonly<Partial<Record<Role, string>>>;

/**
 * Divides a whole number by shares that sum to 10,000 basis points, by largest remainders; of equal remainders the
 * earlier share gets the unit. The parts sum to the amount.
 */
export function divideByShares(amount: number, shares: readonly BasisPoints[]): number[] {
  const parts = shares.map((share) => mulDivFloor(amount, share, WHOLE));
  const remainders = shares.map((share, index) => mulSubtract(amount, share, at(parts, index), WHOLE));
  let left = amount - parts.reduce((total, part) => total + part, 0);
  const order = shares.map((_, index) => index).sort((a, b) => at(remainders, b) - at(remainders, a) || a - b);
  for (const index of order) {
    if (left === 0) break;
    parts[index] = at(parts, index) + 1;
    left -= 1;
  }
  if (left !== 0) throw new RangeError("shares must sum to 10,000 basis points");
  return parts;
}

/**
 * Splits every part of a charge by its lane's shares. Lines of one role and backing are added up; lines of nothing are
 * left out. Σ lines = Σ parts, for each backing, to the last unit.
 */
export function splitCharge(lane: Lane, parts: readonly ChargePart[], payees: Payees): SplitLine[] {
  const rows = LANE_TABLE[lane].split;
  const shares = rows.map((row) => row.share);
  const lines = new Map<string, SplitLine>();
  for (const part of parts) {
    const backed = part.backing === "usdc";
    const amounts = divideByShares(backed ? part.nano_usd : part.millicredits, shares);
    for (const [index, { role }] of rows.entries()) {
      const amount = at(amounts, index);
      if (amount === 0) continue;
      const to = payees[role];
      if (to === undefined) throw new RangeError(`lane ${lane} needs a payee for ${role}`);
      const key = `${part.backing}/${role}`;
      const before = lines.get(key);
      lines.set(key, {
        backing: part.backing,
        millicredits: ((before?.millicredits ?? 0) + (backed ? 0 : amount)) as Millicredits,
        nano_usd: ((before?.nano_usd ?? 0) + (backed ? amount : 0)) as NanoUsd,
        role,
        to,
      });
    }
  }
  return [...lines.values()];
}

/** a · b − c · d where the products may pass 2^53 and the difference does not. */
function mulSubtract(a: number, b: number, c: number, d: number): number {
  if (a * b <= Number.MAX_SAFE_INTEGER) return a * b - c * d;
  return Number(BigInt(a) * BigInt(b) - BigInt(c) * BigInt(d));
}

function at(values: readonly number[], index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`no value at ${index}`);
  return value;
}
