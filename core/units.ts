/**
 * Amounts and their arithmetic (economics.md §1).
 *
 * Every amount is a branded safe integer, so that nanoUSD and millicredits cannot be mixed by mistake. Products that
 * may pass 2^53 are computed in `bigint` inside a function and checked on the way out. Rounding always has a name.
 */

declare const unit: unique symbol;
type Branded<Name extends string> = number & { readonly [unit]: Name };

/** Integer, 1e-9 USD (or USDC). */
export type NanoUsd = Branded<"NanoUsd">;
/** Integer, 1/1000 credit. At a peg of 1 a millicredit is worth one nanoUSD. */
export type Millicredits = Branded<"Millicredits">;
/** Integer, 1e-6 USDC: the token's own unit on Solana, in which the treasury is counted. */
export type MicroUsdc = Branded<"MicroUsdc">;
/** Integer, 1/10,000. */
export type BasisPoints = Branded<"BasisPoints">;
/** Whole number of the stake token's own units, below 2^64. As text in SQL and JSON: a large supply passes 2^53. */
export type StakeUnits = bigint & { readonly [unit]: "StakeUnits" };

/** The largest amount that is ever stored: SQLite and D1 hand integers back as doubles, exact up to 2^53 ≈ 9.007e15. */
export const MAX_AMOUNT = 9.0e15;

/** millicredits per nanoUSD, as a rational. 1/1 at genesis. */
export interface Peg {
  readonly millicredits: number;
  readonly nanoUsd: number;
}

export const GENESIS_PEG: Peg = { millicredits: 1, nanoUsd: 1 };

/** Throws a RangeError unless `value` is a whole number within ±{@link MAX_AMOUNT}. A failure here is a bug, not bad input. */
export function assertAmount(value: number, what: string): void {
  if (!Number.isSafeInteger(value) || Math.abs(value) > MAX_AMOUNT) {
    throw new RangeError(`${what} must be a whole number within ±${MAX_AMOUNT}, got ${value}`);
  }
}

/** Brands a whole number of nanoUSD. */
export function nanoUsd(value: number): NanoUsd {
  assertAmount(value, "nanoUSD");
  return value as NanoUsd;
}

/** Brands a whole number of millicredits. */
export function millicredits(value: number): Millicredits {
  assertAmount(value, "millicredits");
  return value as Millicredits;
}

/** Brands a whole number of micro-USDC. */
export function microUsdc(value: number): MicroUsdc {
  assertAmount(value, "micro-USDC");
  return value as MicroUsdc;
}

const NANO_USD_PER_MICRO_USDC = 1_000;

/** What an amount of USDC is worth. Throws a RangeError beyond {@link MAX_AMOUNT}, some nine million dollars. */
export function nanoUsdOf(amount: MicroUsdc): NanoUsd {
  return nanoUsd(amount * NANO_USD_PER_MICRO_USDC);
}

/** The amount of USDC that is worth so much; null where it is no whole number of the token's unit. */
export function microUsdcOf(amount: NanoUsd): MicroUsdc | null {
  return amount % NANO_USD_PER_MICRO_USDC === 0 ? microUsdc(amount / NANO_USD_PER_MICRO_USDC) : null;
}

/** Brands a whole number of basis points. */
export function basisPoints(value: number): BasisPoints {
  assertAmount(value, "basis points");
  return value as BasisPoints;
}

/** Brands a whole number of stake units. A token program counts in 64 bits, and so does its supply. */
export function stakeUnits(value: bigint): StakeUnits {
  if (value >= 0n && value < 1n << 64n) return value as StakeUnits;
  throw new RangeError(`stake must be from 0 to 2^64 - 1, got ${value}`);
}

/** Sums amounts of one unit; checks every step. */
export function sum<T extends number>(amounts: Iterable<T>): T {
  let total = 0;
  for (const amount of amounts) {
    total += amount;
    assertAmount(total, "sum");
  }
  return total as T;
}

/** a − b within one unit; the result may not be negative. */
export function subtract<T extends number>(a: T, b: T): T {
  const rest = a - b;
  assertAmount(rest, "difference");
  if (rest < 0) throw new RangeError(`difference must not be negative: ${a} − ${b}`);
  return rest as T;
}

/** ceil(a · b / c) for whole numbers ≥ 0 and c > 0, exact at any size of the product. */
export function mulDivCeil(a: number, b: number, c: number): number {
  const product = a * b;
  if (product <= Number.MAX_SAFE_INTEGER) return ceilDiv(product, c);
  return fromBig((BigInt(a) * BigInt(b) + BigInt(c) - 1n) / BigInt(c));
}

/** floor(a · b / c) for whole numbers ≥ 0 and c > 0, exact at any size of the product. */
export function mulDivFloor(a: number, b: number, c: number): number {
  const product = a * b;
  if (product <= Number.MAX_SAFE_INTEGER) return checked((product - (product % c)) / c);
  return fromBig((BigInt(a) * BigInt(b)) / BigInt(c));
}

/** ceil(numerator / denominator) of whole numbers ≥ 0 that are exact, by the remainder: a quotient could round. */
export function ceilDiv(numerator: number, denominator: number): number {
  const rest = numerator % denominator;
  return checked((numerator - rest) / denominator + (rest > 0 ? 1 : 0));
}

/** ceil(numerator / denominator) of whole numbers ≥ 0. */
export function ceilDivBig(numerator: bigint, denominator: bigint): number {
  return fromBig((numerator + denominator - 1n) / denominator);
}

function fromBig(value: bigint): number {
  return checked(Number(value));
}

function checked(result: number): number {
  assertAmount(result, "result");
  return result;
}

/** ceil(x · peg): what x nanoUSD cost in millicredits. */
export function toMillicreditsCeil(amount: NanoUsd, peg: Peg): Millicredits {
  return mulDivCeil(amount, peg.millicredits, peg.nanoUsd) as Millicredits;
}

/** floor(x · peg): what x nanoUSD are shown (or issued) as in millicredits. */
export function toMillicreditsFloor(amount: NanoUsd, peg: Peg): Millicredits {
  return mulDivFloor(amount, peg.millicredits, peg.nanoUsd) as Millicredits;
}

/** floor(m / peg): the nanoUSD of a price that m millicredits cover. */
export function toNanoUsdFloor(amount: Millicredits, peg: Peg): NanoUsd {
  return mulDivFloor(amount, peg.nanoUsd, peg.millicredits) as NanoUsd;
}

/** Millicredits as a decimal string of credits with three places, e.g. `1200000` → `"1200.000"`. */
export function formatCredits(amount: Millicredits): string {
  return formatDecimal(amount, 3);
}

/** nanoUSD as a decimal string of USD with nine places, e.g. `80000` → `"0.000080000"`. */
export function formatUsd(amount: NanoUsd): string {
  return formatDecimal(amount, 9);
}

/** Micro-USDC as a decimal string with six places, e.g. `2500000` → `"2.500000"`. */
export function formatUsdc(amount: MicroUsdc): string {
  return formatDecimal(amount, 6);
}

/** Parses a decimal string of credits into millicredits; null when it is no such number or has more than three places. */
export function parseCredits(text: string): Millicredits | null {
  return parseDecimal(text, 3) as Millicredits | null;
}

/** Parses a decimal string of USD into nanoUSD; null when it is no such number or has more than nine places. */
export function parseUsd(text: string): NanoUsd | null {
  return parseDecimal(text, 9) as NanoUsd | null;
}

function formatDecimal(amount: number, places: number): string {
  const digits = Math.abs(amount)
    .toString()
    .padStart(places + 1, "0");
  return `${amount < 0 ? "-" : ""}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

function parseDecimal(text: string, places: number): number | null {
  const match = /^(-?)(\d{1,16})(?:\.(\d+))?$/.exec(text);
  if (!match) return null;
  const [, sign = "", whole = "", fraction = ""] = match;
  if (fraction.length > places) return null;
  const value = Number(`${sign}${whole}${fraction.padEnd(places, "0")}`);
  // Adding 0 turns the −0 of "-0" into 0.
  return Number.isSafeInteger(value) && Math.abs(value) <= MAX_AMOUNT ? value + 0 : null;
}
